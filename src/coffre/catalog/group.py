"""Group commit: what waits is applied, logged, synced once a mirror, committed and answered.

Only apply -> append and sync -> COMMIT is serial; while a group syncs, the loop goes on receiving
the next. A mutation that is refused changes nothing and its body is not written; its answer waits
for its group, because it may stem from an earlier mutation there. A group in which nothing changed
is not logged (`coffre.catalog.transaction`).

Failures, by where they strike:

- Before the log: the transaction is rolled back and the group refused; nothing happened. What the
  database itself cannot go on from (an I/O error, damage) ends `run` all the same.
- A mirror fails or is late: rolled back, the member ejected, applied again to a new chunk under the
  next epoch (`LogWriter.supersede`). So too where this process cannot write to it for want of its
  own; the drive is not to blame then.
- Between the log's sync and COMMIT: the record is rolled forward into the rows as at a start. When
  that fails too, `run` raises and every call under way is `CommitUnknown`: a restart recovers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import apsw
from msgspec import Struct

from coffre.catalog.checkpoint import WAL_BYTES, Checkpointer
from coffre.catalog.generation import changes_rights
from coffre.catalog.group_watch import UNWATCHED, GroupWatch
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.log import EncodedRecord, decode
from coffre.catalog.log_state import NOT_WRITTEN, ChunkGivenUp, KeptSnapshots, SealingBehind
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.mutations import (
    CloseChunk,
    Mutation,
    OpenLanding,
    Refused,
    ReplaceMember,
    Result,
    SealChunk,
)
from coffre.catalog.replay import (
    ReplayStopped,
    immediate,
    replay,
    roll_back,
)
from coffre.catalog.schema import LogPosition, write_position
from coffre.catalog.stamp import HybridClock
from coffre.catalog.transaction import Answers, Call, Group, NotApplied, Transaction, fail
from coffre.catalog.zone_writer import Change
from coffre.system.buffer import Buffer
from coffre.vault.drives import Drive
from coffre.vault.interface import StorageFull
from coffre.vault.records import Chunk
from coffre.vault.superblock import Superblock

_journal = logging.getLogger(__name__)
# What chunks' own states need; a chunk that holds nothing else may stay open for ever.
_CHUNK_STATES = (OpenLanding, CloseChunk, ReplaceMember, SealChunk)
_NOT_LOGGED = (*NOT_WRITTEN, NotApplied)
_PASSING = (apsw.BusyError, apsw.FullError, apsw.LockedError, apsw.NoMemError)


class CommitterBroken(Exception):
    """The committer cannot go on: rows or drives are not what they must be. Start it again."""


class Limits(Struct, frozen=True):
    """How much one group takes at most, how much may wait before callers are told so, and from
    which length on SQLite's WAL is brought to its beginning again."""

    group_mutations: int = 512
    group_bytes: int = 16 * 1024 * 1024
    queued_mutations: int = 16_384
    queued_bytes: int = 128 * 1024 * 1024
    wal_bytes: int = WAL_BYTES


_DEFAULTS = Limits()


def _nothing() -> None:
    """For a committer whose readers remember nothing, and whose rows always have room."""


class GroupCommitter:
    """The one writer of `db` and of the log: a `coffre.catalog.interface.Committer`.

    `db` is the writer's connection, at the log's own position (see `coffre.catalog.recovery`).
    `run` does the work until `stop`.
    """

    def __init__(
        self,
        db: apsw.Connection,
        writer: LogWriter,
        stamps: HybridClock,
        *,
        limits: Limits = _DEFAULTS,
        rights_changed: Callable[[], None] = _nothing,
        make_room: Callable[[], object] = _nothing,
        watch: GroupWatch = UNWATCHED,
    ) -> None:
        """`make_room` is asked for space where the rows are kept, when they do not fit; `watch`
        is told of every group."""
        self._db = db
        self._writer = writer
        self._stamps = stamps
        self._limits = limits
        self._rights_changed = rights_changed
        self._make_room = make_room
        self._watch = watch
        self._transaction = Transaction(db, writer, stamps)
        self._queue: deque[Call] = deque()
        self._queued_mutations = 0
        self._queued_bytes = 0
        self._under_way: list[Call] = []
        self._controls: deque[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._checkpointer = Checkpointer(db, self._between_groups, wal_bytes=limits.wal_bytes)

    @property
    def busy(self) -> bool:
        """Would a mutation be refused now, for what waits already?"""
        limits = self._limits
        return (
            self._over
            or self._queued_mutations >= limits.queued_mutations
            or self._queued_bytes >= limits.queued_bytes
        )

    @property
    def waiting(self) -> tuple[int, int]:
        """Mutations that wait for a group, and the bytes of their bodies."""
        return self._queued_mutations, self._queued_bytes

    def submit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> asyncio.Future[Result | Refused]:
        """Queue one mutation; its answer, or CommitUnknown. Raises CommitterBusy."""
        records = (record,) if record else ()
        return self._enqueue((mutation,), tuple(body), records, single=True)

    def submit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> asyncio.Future[Answers]:
        """Queue several as one piece of one group, in order. Raises CommitterBusy."""
        return self._enqueue(tuple(mutations), (), tuple(records), single=False)

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        """See `coffre.catalog.interface.RecordingCommitter`."""
        answer = await self.submit(mutation, body, record)
        if isinstance(answer, Refused):
            raise answer.error()
        return answer

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> Answers:
        """See `coffre.catalog.interface.RecordingCommitter`."""
        return await self.submit_all(mutations, records)

    async def close_all(self) -> tuple[Chunk, ...]:
        """Close the open landing chunk; the next write opens another.

        The log's chunks that now wait to be sealed, with their lengths, oldest first.
        """
        closed: tuple[Chunk, ...] = await self._between_groups(self._writer.close_all)
        return closed

    async def record_sealed(self, seals: Sequence[SealChunk]) -> None:
        """The chunks that `close_all` named are re-laid: say so where a start looks first.

        Nothing is appended, so that no chunk is open afterwards: superblocks and rows say it, and
        the next group logs it. When a write came in between, it is logged at once. Raises Refusal,
        SuperblockNotWritten.
        """
        for seal in seals:
            self._transaction.check(seal)
        if not await self._between_groups(lambda: self._writer.record_sealed(seals)):
            for answer in await self.submit_all(seals):
                if isinstance(answer, Refused):
                    raise answer.error()

    async def amend(self, change: Change, joining: Sequence[Drive] = ()) -> dict[bytes, str]:
        """Change what superblocks say of the zone (`LogWriter.amend`). Raises
        SuperblockNotWritten, SuperblockTooLarge, Starved: then nothing is changed in this run."""
        failed: dict[bytes, str] = await self._between_groups(
            lambda: self._writer.amend(change, joining)
        )
        return failed

    async def follow_drives(self) -> None:
        """Drives failed, came, or are to be emptied: leave what stands open on them
        (`LogWriter.follow_drives`). Raises SuperblockNotWritten, SuperblockTooLarge."""
        await self._between_groups(self._writer.follow_drives)

    @property
    def zone(self) -> Superblock:
        """The zone as its superblocks describe it."""
        return self._writer.zone

    @property
    def log_floor(self) -> int:
        """The record up to which the log is not needed any more: the oldest snapshot holds it."""
        return self._writer.said.log_floor

    @property
    def named_chunks(self) -> frozenset[bytes]:
        """The log's chunks that superblocks name as unsealed, or may name."""
        return self._writer.said.named_chunks

    @property
    def kept_snapshots(self) -> KeptSnapshots:
        """Which snapshots superblocks name, or may name."""
        return self._writer.said.kept_snapshots

    def stop(self) -> None:
        """Let `run` finish what is queued and return."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Commit groups until `stop`. Raises what the committer cannot go on from."""
        try:
            while not self._stopping or self._queue or self._controls:
                if self._controls:
                    await self._control(*self._controls[0])
                    self._controls.popleft()
                elif self._queue or self._writer.due:
                    await self._commit_group(self._take())
                else:
                    await self._rest()
            await asyncio.gather(*self._tasks)
            await self._writer.finish()
        finally:
            self._over = True
            self._checkpointer.stop()
            roll_back(self._db)
            self._writer.close()
            for task in self._tasks:
                task.cancel()
            for call in (*self._under_way, *self._queue):
                call.fail()
            for _, future in self._controls:
                fail(future)
            self._queue.clear()

    def _enqueue(
        self,
        mutations: tuple[Mutation, ...],
        body: tuple[Buffer, ...],
        records: tuple[bytes, ...],
        *,
        single: bool,
    ) -> asyncio.Future[Any]:
        if self.busy:
            raise CommitterBusy("too much waits for the next group")
        size = sum(len(piece) for piece in body)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(Call(mutations, body, size, future, single, records))
        self._queued_mutations += len(mutations)
        self._queued_bytes += size
        self._wake.set()
        return future

    async def _between_groups(self, work: Callable[[], Awaitable[Any]]) -> Any:
        if self._over:
            raise CommitUnknown("the committer stopped")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._controls.append((work, future))
        self._wake.set()
        return await future

    async def _control(
        self, work: Callable[[], Awaitable[Any]], future: asyncio.Future[Any]
    ) -> None:
        try:
            result = await work()
        except Exception as error:  # The asker's, whatever it is: no group was under way.
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    async def _rest(self) -> None:
        """Wait for calls, or until the open chunk is due to be closed."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._writer.seconds_until_due()):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[Call]:
        """The next group's calls: at least one if any waits, then as many as the limits allow."""
        calls: list[Call] = []
        mutations = size = 0
        while self._queue:
            call = self._queue[0]
            mutations += len(call.mutations)
            size += call.size
            full = mutations > self._limits.group_mutations or size > self._limits.group_bytes
            if calls and full:
                break
            calls.append(self._queue.popleft())
            self._queued_mutations -= len(call.mutations)
            self._queued_bytes -= call.size
        return calls

    async def _commit_group(self, calls: list[Call]) -> None:
        self._under_way = calls
        try:
            group = await self._log_group(calls)
        except StorageFull as error:
            refused = [call for call in calls if call.body] or calls
            behind = isinstance(error, SealingBehind)
            self._refuse(refused, "SlowDown" if behind else "InsufficientStorage")
            if len(refused) < len(calls):
                await self._commit_group([call for call in calls if not call.body])
        except _NOT_LOGGED as error:
            _journal.error("a group is refused: %s", error)
            self._refuse(calls, "ServiceUnavailable")
        else:
            self._answer(calls, group)
        self._under_way = []

    async def _log_group(self, calls: list[Call]) -> Group:
        """Apply, append, COMMIT. Raises one of _NOT_LOGGED when nothing of it can have happened;
        anything else is fatal."""
        size, watch = sum(call.size for call in calls), self._watch
        while True:
            watch.begun(sum(len(call.mutations) for call in calls), size)
            self._writer.plan(size)
            group = self._apply(calls)
            if group.record is None:
                return group
            watch.applied()
            try:
                await self._writer.append(group.blobs, group.record)
            except ChunkGivenUp as gone:
                roll_back(self._db)
                if gone.superseding:
                    await self._supersede()
                continue
            watch.logged()
            self._commit(group.record)
            watch.committed(len(group.record.plain))
            if any(changes_rights(mutation) for call in calls for mutation in call.mutations):
                self._rights_changed()
            by_client = any(
                not isinstance(mutation, _CHUNK_STATES)
                for call in calls
                for mutation in call.mutations
            )
            self._writer.appended(group.record.position, by_client=by_client)
            return group

    def _apply(self, calls: list[Call]) -> Group:
        """Raises NotApplied; any apsw.Error is fatal."""
        try:
            try:
                return self._transaction.apply(calls)
            except apsw.FullError:
                roll_back(self._db)
                self._make_room()
                return self._transaction.apply(calls)
        except _PASSING as error:
            raise NotApplied(f"the rows cannot be written now: {error}") from error
        except (NotApplied, apsw.Error):
            raise
        except Exception as error:
            _journal.exception("a group cannot be applied")
            raise NotApplied(f"a fault of ours: {error}") from error

    def _commit(self, encoded: EncodedRecord) -> None:
        """COMMIT what is logged; when that fails, roll it forward as a start would."""
        try:
            self._db.execute("COMMIT")
        except apsw.Error as error:
            _journal.error("COMMIT failed after the log's sync: %s; rolling forward", error)
            roll_back(self._db)
            self._make_room()
            try:
                with immediate(self._db):
                    replay(
                        self._db,
                        decode(encoded.plain),
                        encoded.position,
                        last_order=self._stamps.last_order,
                    )
            except (apsw.Error, ReplayStopped) as again:
                raise CommitterBroken(f"the log cannot be rolled forward: {again}") from again

    async def _supersede(self) -> None:
        try:
            position = await self._writer.supersede()
        except _NOT_LOGGED as error:
            # The group may lie on a mirror, and nothing stands that outlaws it.
            raise CommitterBroken(f"a failed mirror could not be ejected: {error}") from error
        with immediate(self._db):
            last_order = self._stamps.last_order
            write_position(
                self._db,
                LogPosition(self._writer.epoch, position.sequence, position.hash, last_order),
            )

    def _refuse(self, calls: list[Call], code: str) -> None:
        roll_back(self._db)
        self._writer.postpone()
        self._watch.refused(code, sum(len(call.mutations) for call in calls))
        for call in calls:
            call.settle([Refused(code, None, {})] * len(call.mutations))

    def _answer(self, calls: list[Call], group: Group) -> None:
        """Answer every call; those that sealed chunks once superblocks stop naming the mirrors."""
        for call, answers in zip(calls, group.answers, strict=True):
            sealed = [
                mutation.id
                for mutation, answer in zip(call.mutations, answers, strict=True)
                if isinstance(mutation, SealChunk) and not isinstance(answer, Refused)
            ]
            if sealed:
                self._spawn(self._drop_sealed(call, answers, sealed))
            else:
                call.settle(answers)

    async def _drop_sealed(self, call: Call, answers: Answers, sealed: list[bytes]) -> None:
        try:
            await self._writer.drop_sealed(sealed)
        except _NOT_LOGGED as error:
            _journal.error("superblocks still name sealed chunks: %s", error)
        except Exception:
            _journal.exception("superblocks may still name sealed chunks")
        else:
            call.settle(answers)
        finally:
            call.fail()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
