"""One group's transaction: mutations applied in order, counters written, the changeset encoded.

Steps refuse before they write, so a mutation needs no savepoint of its own; when one is refused
half done, the transaction is begun anew with a savepoint around each. What the log's writer says of
chunks is nobody's call: when the rows do not take it, that is told, and calls are applied without.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import apsw

from coffre.catalog.apply import apply, needs_body, place
from coffre.catalog.apply_audit import finished
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.log import EncodedRecord, Record, RecordKind, encode
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.mutations import (
    CondemnChunk,
    Mutation,
    OpenLanding,
    Refusal,
    Refused,
    Result,
    SealChunk,
)
from coffre.catalog.replay import count_changes, roll_back, taking_changeset
from coffre.catalog.schema import LogPosition, column_counts, write_position
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.buffer import Buffer
from coffre.vault.records import ChunkKind, Extent

_journal = logging.getLogger(__name__)
_SET_LENGTH = "UPDATE chunks SET length = ?, last_sequence = ? WHERE id = ?"
_LAST_SEQUENCE = "SELECT kind, last_sequence FROM chunks WHERE id = ?"
# The database's own trouble; any other error is of the mutation that it struck.
_TROUBLE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.InterruptError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
Answers = list[Result | Refused]


class NotApplied(Exception):
    """A group cannot be applied now, by no fault of its calls: nothing of it happened."""


class _HalfDone(Exception):
    """A mutation was refused after it had changed rows, and no savepoint stands before it."""


@dataclass(eq=False)
class Call:
    """What one caller sent and waits for; never split between groups. `records`: one of the audit
    for each mutation (b"": none), or none at all."""

    mutations: tuple[Mutation, ...]
    body: tuple[Buffer, ...]
    size: int
    future: asyncio.Future[Any]
    single: bool
    records: tuple[bytes, ...] = ()

    def settle(self, answers: Answers) -> None:
        if not self.future.done():
            self.future.set_result(answers[0] if self.single else answers)

    def fail(self) -> None:
        fail(self.future)


def fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(CommitUnknown("the committer stopped"))


@dataclass(eq=False)
class Group:
    """A group applied inside the open transaction: what to log (None: nothing) and to answer."""

    answers: list[Answers]
    blobs: list[Buffer]
    record: EncodedRecord | None = None


class Transaction:
    """Applies groups to `db` and leaves each in its open transaction, ready to be logged."""

    def __init__(self, db: apsw.Connection, writer: LogWriter, stamps: HybridClock) -> None:
        self._db = db
        self._writer = writer
        self._stamps = stamps
        self._columns = column_counts(db)
        self._trusted_ms = 0

    def apply(self, calls: list[Call]) -> Group:
        """Open a transaction and apply the calls in it; it is over if there is nothing to log.

        Raises NotApplied, apsw.Error: the transaction is to be rolled back."""
        try:
            return self._try(calls, guarded=False)
        except _HalfDone:
            roll_back(self._db)
            return self._try(calls, guarded=True)

    def _try(self, calls: list[Call], *, guarded: bool) -> Group:
        """`apply`, with a savepoint around each mutation (`guarded`) or raising _HalfDone."""
        db, writer = self._db, self._writer
        db.execute("BEGIN IMMEDIATE")
        session = taking_changeset(db)
        try:
            tally = Tally()
            self._trusted_ms = self._stamps.release_clock(db).trusted_ms
            for mutation, length in writer.bookkeeping():
                if self._keep_books(mutation, tally) and length is not None:
                    # This record goes elsewhere: the one before it is the last that can be there.
                    last = writer.position.sequence
                    db.execute(_SET_LENGTH, (length, last, mutation.id))  # type: ignore[union-attr]
            group, changed = self._apply_calls(calls, tally, guarded)
            if not changed and not writer.due:
                roll_back(db)
                return group
            tally.write(db, self._trusted_ms)
            changeset = session.changeset()
        finally:
            session.close()
        group.record = encode(
            Record(
                writer.epoch,
                writer.position.sequence + 1,
                writer.position.hash,
                SCHEMA_VERSION,
                RecordKind.CHANGESET,
                self._columns,
                count_changes(changeset),
                changeset,
            )
        )
        write_position(db, self._rows_position(group.record))
        return group

    def _keep_books(self, mutation: Mutation, tally: Tally) -> bool:
        """Apply what the log's writer says of a chunk; False if the rows do not take it. Raises
        NotApplied where the group could refer to nothing in its own chunk."""
        answer, _ = self._step(mutation, tally, guarded=True)
        if not isinstance(answer, Refused):
            return True
        _journal.error("the rows do not take %s: %s", mutation, answer.message)
        if isinstance(mutation, OpenLanding) and mutation.id == self._writer.chunk:
            self._writer.abandon()
            raise NotApplied(f"chunk {mutation.id.hex()} cannot be opened")
        return False

    def _apply_calls(self, calls: list[Call], tally: Tally, guarded: bool) -> tuple[Group, bool]:
        """Apply each mutation; (what came of it, did anything change)."""
        group = Group([], [])
        offset = self._writer.blobs_offset
        changed = False
        for call in calls:
            answers: Answers = []
            for mutation in call.mutations:
                if call.body and needs_body(mutation):
                    extent = Extent(self._writer.chunk, offset, call.size)
                    mutation = place(mutation, (extent,))
                answer, touched = self._step(mutation, tally, guarded)
                answers.append(answer)
                changed = changed or touched
            for record, answer in zip(call.records, answers, strict=False):
                if record and not isinstance(answer, Refused):
                    tally.record(finished(record, answer))
                    changed = True
            if call.body and not isinstance(answers[0], Refused):
                group.blobs.extend(call.body)
                offset += call.size
            group.answers.append(answers)
        return group, changed

    def _step(
        self, mutation: Mutation, tally: Tally, guarded: bool
    ) -> tuple[Result | Refused, bool]:
        """One mutation's answer, and whether it changed any row or counter."""
        db = self._db
        if guarded:
            db.execute("SAVEPOINT mutation")
        before, mark = db.total_changes(), tally.mark()
        answer: Result | Refused
        try:
            if isinstance(mutation, SealChunk):
                self.check(mutation)
            elif isinstance(mutation, CondemnChunk):
                self._check_log(mutation)
            answer = apply(db, mutation, self._stamps.stamp(self._trusted_ms), tally)
        except Refusal as refusal:
            answer = Refused(refusal.code, refusal.message, refusal.fields)
        except _TROUBLE:
            raise
        except Exception:
            # A fault of ours in one mutation must not take down everybody else's.
            _journal.exception("%s could not be applied", type(mutation).__name__)
            answer = Refused("InternalError", None, {})
        touched = db.total_changes() != before
        refused = isinstance(answer, Refused)
        if refused:
            tally.roll_back(mark)
            if guarded:
                db.execute("ROLLBACK TO mutation")
            elif touched:
                raise _HalfDone
        if guarded:
            db.execute("RELEASE mutation")
        return answer, not refused and (touched or tally.mark() != mark)

    def check(self, seal: SealChunk) -> None:
        """The mirrors go next: refuse a seal that lost the end of what was acknowledged."""
        if not self._writer.holds_all(seal):
            raise Refusal("InternalError", f"chunk {seal.id.hex()} was sealed without its end")

    def _check_log(self, condemned: CondemnChunk) -> None:
        """Refuse while the log in a landing chunk may be needed."""
        row = self._db.execute(_LAST_SEQUENCE, (condemned.id,)).get
        if row is not None and row[0] == ChunkKind.LANDING:
            last = max(row[1], condemned.last_sequence)
            if not self._writer.may_go(condemned.id, last):
                raise Refusal("OperationAborted", f"chunk {condemned.id.hex()} holds needed log")

    def _rows_position(self, record: EncodedRecord) -> LogPosition:
        position = record.position
        return LogPosition(record.epoch, position.sequence, position.hash, self._stamps.last_order)
