"""The auditor: records of the audit are packed into segments, small segments merged into larger
ones, old ones removed.

What waits is packed when it is much, or when it is a minute old. Segments are merged as soon as
there are some of one level side by side; one that is large stays as it is. Each of these steps is
one commit, in which a segment takes the place of exactly what it holds: what is cut anywhere is
done again, and nothing is lost or there twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import msgspec

from coffre.catalog.audit_records import AuditBatch, AuditRecord, encode_record
from coffre.catalog.interface import Reader, RecordingCommitter
from coffre.catalog.trail_mutations import FoundAudit, PackAudit, RemoveAudit
from coffre.catalog.trail_records import (
    SYSTEM_STORE_ID,
    AuditSegment,
    SegmentFile,
)
from coffre.stewards.expirer import released_ms
from coffre.stewards.shape import Round, Steward
from coffre.stewards.staging import close_left, commit_written
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.vault.interface import Staged, Vault

log = logging.getLogger("coffre.auditor")

OWNER: Final = "auditor-"
"""What the names of those begin with who write chunks of segments."""
ROUND_S: Final = 2.0
PACK_AFTER_MS: Final = 60_000
PACK_BYTES: Final = 2 * 1024 * 1024
"""Of records in one segment when it is made: what it replaces travels once more in the log."""
SIDE_BY_SIDE: Final = 16
"""How many segments of a level are merged into one of the next."""
FULL_RECORDS: Final = 1 << 20
FULL_BYTES: Final = 64 * 1024 * 1024
FULL_TEXT: Final = 384 * 1024 * 1024
"""No merge makes more of any: the first two are what a search reads quickly, all of them what a
merge has room for in memory."""
FULL_MS: Final = 31 * 24 * 3600 * 1000
"""Nor of time, for whole segments alone are removed."""
_PAGE: Final = 256
_DAY_MS: Final = 24 * 3600 * 1000

Pack = Callable[[Sequence[AuditBatch]], Awaitable[SegmentFile]]
Merge = Callable[[Sequence[bytes]], Awaitable[SegmentFile]]


class Auditor(Steward):
    """`pack` and `merge` make segments; `content` reads one; `found` says what the zone's own store
    is to be made of. `keep_days`: how old a record may become, 0: as old as it likes. `owners` are
    the names under which `vault` writes, `renew` has it begin new chunks."""

    name = "auditor"

    def __init__(
        self,
        reader: Reader,
        committer: RecordingCommitter,
        vault: Vault,
        open_key: Callable[[bytes], bytes],
        clock: Clock,
        entropy: Entropy,
        zone: int,
        *,
        found: Callable[[], FoundAudit],
        pack: Pack,
        merge: Merge,
        content: Callable[[AuditSegment], Awaitable[bytes]],
        keep_days: int,
        owners: frozenset[str] = frozenset(),
        renew: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._vault = vault
        self._open_key = open_key
        self._clock = clock
        self._entropy = entropy
        self._zone = zone
        self._found = found
        self._pack = pack
        self._merge = merge
        self._content = content
        self._keep_ms = keep_days * _DAY_MS
        self._owners = owners
        self._renew = renew
        self._now = False
        self._left_closed = False

    def hasten(self) -> None:
        """Pack all that there is, whatever its age."""
        self._now = True

    async def round(self) -> Round:
        """Remove what is too old, pack what is due, or else merge."""
        if not self._left_closed:
            await close_left(self._reader, self._committer, (OWNER,), self._owners)
            self._left_closed = True
        now, self._now = self._now, False
        did, result = 0, ""
        if await self._remove_old():
            did, result = 1, "removed a segment that was too old"
        if batches := self._due(whatever_age=now):
            did = await self._pack_some(batches)
            result = f"packed {did} records"
            while now and (batches := self._due(whatever_age=True)):
                await self._pack_some(batches)
        if not did and (run := side_by_side(self._reader.audit_segments())):
            did = await self._merge_some(run)
            result = f"merged {len(run)} segments"
        # Another round at once: there may be more of the same.
        return Round(did, None if did else 0, "records", 0, result, 0.0 if did else ROUND_S)

    def _due(self, *, whatever_age: bool) -> list[AuditBatch]:
        """The batches that are packed together now, the oldest first."""
        batches: list[AuditBatch] = []
        size = 0
        for batch in self._waiting():
            batches.append(batch)
            size += len(batch.packed)
            if size >= PACK_BYTES:
                return batches
        old = bool(batches) and self._clock.now_ms() - batches[0].last_ms >= PACK_AFTER_MS
        return batches if old or whatever_age else []

    def _waiting(self) -> Iterator[AuditBatch]:
        after = 0
        while page := self._reader.audit_batches(after=after, limit=_PAGE):
            yield from page
            after = page[-1].sequence

    async def _pack_some(self, batches: Sequence[AuditBatch]) -> int:
        if self._reader.store(SYSTEM_STORE_ID) is None:
            await self._committer.commit(self._found())
        made = await self._pack(batches)
        first, last = batches[0], batches[-1]
        span = (first.sequence, last.sequence, first.previous, last.hash)
        await self._put(_segment(made, *span, level=0), made)
        return made.records

    async def _merge_some(self, run: Sequence[AuditSegment]) -> int:
        made = await self._merge([await self._content(one) for one in run])
        first, last = run[0], run[-1]
        span = (first.first_sequence, last.last_sequence, first.previous, last.hash)
        segment = _segment(made, *span, level=first.level + 1)
        await self._put(segment, made, tuple(one.first_sequence for one in run))
        return made.records

    async def _put(
        self, segment: AuditSegment, made: SegmentFile, merged: tuple[int, ...] = ()
    ) -> None:
        store = self._reader.store(SYSTEM_STORE_ID)
        assert store is not None, "it is made before the first segment"
        writer = self._vault.writer(
            store.key_id, self._open_key(store.key_id), size_hint=segment.size
        )
        manifest_id = new_id(self._entropy, self._zone, self._clock.now_ms())
        etag = hashlib.md5(made.content, usedforsecurity=False).hexdigest()

        async def write() -> Staged:
            await writer.write(made.content)
            return await writer.finish()

        await commit_written(
            self._committer,
            writer,
            write(),
            lambda blob: PackAudit(segment, manifest_id, blob, etag, merged),
            self._renew,
        )

    async def _remove_old(self) -> bool:
        """Remove the oldest segment if all of it is too old by the clock that releases locks."""
        if not self._keep_ms:
            return False
        oldest = next(iter(self._reader.audit_segments()), None)
        now_ms = released_ms(self._reader, self._clock)
        if oldest is None or oldest.last_ms >= now_ms - self._keep_ms:
            return False
        told = {
            "first_batch": oldest.first_sequence,
            "last_batch": oldest.last_sequence,
            "records": oldest.records,
            "first_ms": oldest.first_ms,
            "last_ms": oldest.last_ms,
        }
        record = AuditRecord(
            self._clock.now_ms(),
            source="steward",
            via=self.name,
            principal=f"steward:{self.name}",
            operation="audit.remove",
            detail=msgspec.json.encode(told).decode(),
        )
        removal = RemoveAudit(oldest.first_sequence)
        await self._committer.commit(removal, record=encode_record(record))
        return True


def side_by_side(segments: Sequence[AuditSegment]) -> list[AuditSegment]:
    """The first run of segments that are to be merged: of one level, neighbours, together no more
    than one may be; none when there is no run that is long enough."""
    run: list[AuditSegment] = []
    for one in segments:
        if run and one.level != run[0].level:
            run = []
        if is_full([one]):
            run = []
            continue
        run.append(one)
        if is_full(run):
            if len(run) > 2:
                return run[:-1]
            run = [one]
        elif len(run) == SIDE_BY_SIDE:
            return run
    return []


def is_full(segments: Sequence[AuditSegment]) -> bool:
    """Whether these together are as much as one segment may be, or more."""
    return (
        sum(one.records for one in segments) >= FULL_RECORDS
        or sum(one.size for one in segments) >= FULL_BYTES
        or sum(one.text_bytes for one in segments) >= FULL_TEXT
        or segments[-1].last_ms - segments[0].first_ms >= FULL_MS
    )


def _segment(
    made: SegmentFile, first: int, last: int, previous: bytes, end: bytes, *, level: int
) -> AuditSegment:
    return AuditSegment(
        first_sequence=first,
        last_sequence=last,
        first_ms=made.first_ms,
        last_ms=made.last_ms,
        records=made.records,
        previous=previous,
        hash=end,
        size=len(made.content),
        digest=hashlib.sha256(made.content).digest(),
        level=level,
        text_bytes=made.text_bytes,
        names=made.names,
    )
