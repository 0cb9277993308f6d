"""Is the audit as it was written? Every link of its chain is computed again, packed or not.

The chain is followed from where retention left it to its end as the catalog knows it: the batches
that a segment holds are laid out again from its rows, the others are rows themselves. What does not
follow from what stands before it is told with its place; the check goes on behind it. Whoever can
write all of a zone can make another chain: an `anchor` that was noted elsewhere finds that.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import groupby
from typing import Final, Literal, Protocol

import duckdb
from msgspec import Struct

from coffre.catalog.audit_records import (
    AuditBatch,
    BadBatch,
    ChainHead,
    batch_hash,
    decode_records,
    encode_records,
    hash_of,
)
from coffre.catalog.trail_records import AuditHorizon, AuditSegment
from coffre.ledger.placed import Placed
from coffre.ledger.segments import read_rows
from coffre.vault.interface import DataLost

_PAGE: Final = 256
# More are counted, and not told.
MOST_PROBLEMS: Final = 1000


class Problem(Struct, frozen=True):
    """`where` in the chain: `batch 12`, `segment 1-4096`, `end`."""

    where: str
    what: str


class Verified(Struct, frozen=True):
    """What was looked at, and everything that is not as it was written. `head` is the chain's end,
    to be noted elsewhere: an `anchor`."""

    verdict: Literal["whole", "broken"]
    batches: int
    records: int
    segments: int
    head: str
    problems: tuple[Problem, ...]


class Anchor(Struct, frozen=True):
    """A batch and its hash as somebody noted them: `12:af45…`."""

    sequence: int
    hash: bytes

    @classmethod
    def read(cls, text: str) -> Anchor:
        """Raises ValueError."""
        sequence, _, digest = text.partition(":")
        anchor = cls(int(sequence), bytes.fromhex(digest))
        if anchor.sequence < 1 or len(anchor.hash) != 32:
            raise ValueError("an anchor is a batch's number and its hash")
        return anchor


class Rows(Protocol):
    """What is read of the catalog (`catalog.interface.Reader`)."""

    def audit_batches(self, *, after: int, limit: int) -> list[AuditBatch]: ...

    def audit_head(self) -> ChainHead: ...

    def audit_segments(self) -> list[AuditSegment]: ...

    def audit_horizon(self) -> AuditHorizon: ...


class ChainCheck:
    """Follows the chain, piece by piece, from `horizon` on."""

    def __init__(self, horizon: AuditHorizon, anchor: Anchor | None = None) -> None:
        self.sequence = horizon.sequence
        self.records = 0
        self.batches = 0
        self.segments = 0
        self.problems: list[Problem] = []
        self._hash = horizon.hash
        self._removed = horizon.records
        self._anchor = anchor

    def batch(self, one: AuditBatch) -> None:
        """The next batch that is a row."""
        where = f"batch {one.sequence}"
        self._follow(where, one.sequence, one.previous)
        if hash_of(one) != one.hash:
            self._tell(where, "is not what its hash was made of")
        else:
            self._read(where, one)
        self._step(one.sequence, one.hash, one.count)

    def segment(self, one: AuditSegment, content: bytes) -> None:
        """A segment that begins behind the last piece, or, where it was merged meanwhile, before
        its end."""
        where = f"segment {one.first_sequence}-{one.last_sequence}"
        self.segments += 1
        if one.first_sequence > self.sequence:
            self._follow(where, one.first_sequence, one.previous)
        if hashlib.sha256(content).digest() != one.digest:
            self._tell(where, "is not the file that was written")
        try:
            self._lay_out(where, one, read_rows(content))
        except (duckdb.Error, TypeError, ValueError) as error:
            self._tell(where, f"cannot be read: {error}")
            self._step(one.last_sequence, one.hash, one.records)

    def lost(self, one: AuditSegment, why: str) -> None:
        """A segment whose bytes cannot be read."""
        where = f"segment {one.first_sequence}-{one.last_sequence}"
        self._tell(where, f"cannot be read: {why}")
        self._step(one.last_sequence, one.hash, one.records)

    def end(self, head: ChainHead) -> Verified:
        """All was followed: is that the chain's end?"""
        if self.sequence < head.sequence:
            self._tell("end", f"batches {self.sequence + 1} to {head.sequence} are missing")
        elif (self.sequence, self._hash) != (head.sequence, head.hash):
            self._tell("end", "the last batch is not the one that the catalog knows as such")
        elif self._removed + self.records != head.records and not self.problems:
            self._tell("end", f"{head.records - self._removed - self.records} records are missing")
        if self._anchor is not None:
            self._tell("end", f"batch {self._anchor.sequence}, which was noted, is not there")
        found = tuple(self.problems[:MOST_PROBLEMS])
        verdict: Literal["whole", "broken"] = "broken" if found else "whole"
        last = f"{self.sequence}:{self._hash.hex()}"
        return Verified(verdict, self.batches, self.records, self.segments, last, found)

    def _lay_out(self, where: str, one: AuditSegment, rows: Iterable[Placed]) -> None:
        """The batches of a segment, as they were before it was packed."""
        at, sequence, records = one.previous, one.first_sequence - 1, 0
        for number, batch in _batches(rows):
            if number != sequence + 1:
                self._tell(where, f"batch {number} stands where {sequence + 1} should")
            times = [record.at_ms for record in batch]
            packed = encode_records(batch)
            at = batch_hash(at, number, min(times), max(times), len(batch), packed)
            sequence, records = number, records + len(batch)
            if number == self.sequence and at != self._hash:
                self._tell(where, f"batch {number} is not the one that stood there")
            if number > self.sequence:
                self._step(number, at, len(batch))
        if (sequence, at, records) != (one.last_sequence, one.hash, one.records):
            self._tell(where, "does not hold the batches that it took the place of")
        self.sequence, self._hash = max(self.sequence, one.last_sequence), one.hash

    def _follow(self, where: str, sequence: int, previous: bytes) -> None:
        if sequence != self.sequence + 1:
            missing = self.sequence + 1
            what = f"batches {missing} to {sequence - 1} are missing before it"
            self._tell(where, what if sequence > missing else "stands twice")
        elif previous != self._hash:
            self._tell(where, "does not follow from what stands before it")

    def _read(self, where: str, one: AuditBatch) -> None:
        try:
            decode_records(one)
        except BadBatch as error:
            self._tell(where, str(error))

    def _step(self, sequence: int, digest: bytes, records: int) -> None:
        anchor = self._anchor
        if anchor is not None and anchor.sequence == sequence:
            self._anchor = None
            if anchor.hash != digest:
                self._tell(f"batch {sequence}", "is not the one that was noted")
        self.sequence, self._hash = sequence, digest
        self.records += records
        self.batches += 1

    def _tell(self, where: str, what: str) -> None:
        self.problems.append(Problem(where, what))


def _batches(rows: Iterable[Placed]) -> Iterator[tuple[int, list]]:  # type: ignore[type-arg]
    for number, group in groupby(rows, key=lambda row: row.batch):
        yield number, [row.record for row in group]


async def verify_chain(
    rows: Rows,
    content: Callable[[AuditSegment], Awaitable[bytes]],
    anchor: Anchor | None = None,
) -> Verified:
    """Follow the whole chain, while batches are written, packed and merged. `content` gives a
    segment's file; it raises LookupError for one that is gone by now, DataLost."""
    check = ChainCheck(rows.audit_horizon(), anchor)
    gone: AuditSegment | None = None
    while True:
        # The end first: what is behind it by then was written since.
        head = rows.audit_head()
        segment = _next(rows.audit_segments(), check.sequence)
        if segment is not None:
            try:
                file = await content(segment)
            except LookupError:
                if segment == gone:
                    check.lost(segment, "its object is gone")
                gone = segment
            except DataLost as lost:
                check.lost(segment, str(lost))
            else:
                await asyncio.to_thread(check.segment, segment, file)
            continue
        batches = rows.audit_batches(after=check.sequence, limit=_PAGE)
        if not batches:
            if _next(rows.audit_segments(), check.sequence) is None:
                return check.end(head)
            continue
        if batches[0].sequence != check.sequence + 1 and _packed(rows, check.sequence):
            continue
        for batch in batches:
            check.batch(batch)
        await asyncio.sleep(0)


def _packed(rows: Rows, sequence: int) -> bool:
    """Whether what was a row a moment ago is in a segment now."""
    return _next(rows.audit_segments(), sequence) is not None


def _next(segments: Iterable[AuditSegment], sequence: int) -> AuditSegment | None:
    """The first segment that holds a batch behind one."""
    return next((one for one in segments if one.last_sequence > sequence), None)
