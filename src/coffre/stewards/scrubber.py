"""The scrubber: every block of every file is read and verified, again and again.

A pass goes over the chunks in the order of their ids and spreads itself over the time that is set;
how far it came outlives a restart. What it finds bad is on the list of damage at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct, structs

from coffre.catalog.interface import Reader
from coffre.catalog.records import BlobName
from coffre.stewards.damage import Damage
from coffre.stewards.pace import Pace
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock
from coffre.vault.blocks import relaid
from coffre.vault.drives import DriveSet
from coffre.vault.inspection import Inspection, bad_mirrors, file_of, is_there
from coffre.vault.records import BLOCK_BYTES, Chunk, ChunkKind, ChunkState, Extent
from coffre.vault.superblock import superblock_path

log = logging.getLogger("coffre.scrubber")

_PROGRESS = "scrub"
_BLOBS = 200
T = TypeVar("T")
Report = Callable[[bytes, str], Awaitable[None]]


class Progress(Protocol):
    """Where a steward's own progress outlives a restart."""

    def progress(self, name: str) -> bytes | None: ...

    def set_progress(self, name: str, value: bytes) -> None: ...


class Pass(Struct, frozen=True):
    """A pass: when it began, the last chunk that it is through with, what it has seen and found,
    and when it ended (0: it goes on). `hurried`: at the full rate that is allowed. `again` are
    chunks that could not be looked at and are come back to before it ends, `unread` counts those
    that could not then either."""

    began_ms: int = 0
    after: bytes = b""
    read_bytes: int = 0
    chunks: int = 0
    found: int = 0
    ended_ms: int = 0
    hurried: bool = False
    again: tuple[bytes, ...] = ()
    unread: int = 0


class Scrubber(Steward):
    """One chunk a round. `every_s`: how long a pass takes when nothing hurries it.

    `superblock_is_whole` looks at a drive folder's superblock; `seal_now` re-lays what is mirrored,
    whole groups from whichever mirror has them, and writes superblocks anew.
    """

    name = "scrubber"

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        damage: Damage,
        pace: Pace,
        clock: Clock,
        progress: Progress,
        *,
        every_s: float,
        snapshot: Callable[[], Awaitable[list[Chunk]]],
        superblock_is_whole: Callable[[str], bool],
        seal_now: Callable[[], Awaitable[int]],
        report: Report,
        pool: Executor | None = None,
    ) -> None:
        self._reader = reader
        self._drives = drives
        self._damage = damage
        self._pace = pace
        self._clock = clock
        self._progress = progress
        self._every_s = every_s
        self._snapshot = snapshot
        self._superblock_is_whole = superblock_is_whole
        self._seal_now = seal_now
        self._report = report
        self._pool = pool
        self._ahead: deque[bytes] | None = None
        self._hasten = False
        kept = progress.progress(_PROGRESS)
        self.current = Pass() if kept is None else msgspec.json.decode(kept, type=Pass)

    def hasten(self) -> None:
        """Begin a pass with the next round, at the full rate that is allowed."""
        self._hasten = True

    async def round(self) -> Round:
        """Verify the next chunk, or begin or end a pass."""
        now_ms = self._clock.now_ms()
        ended = bool(self.current.ended_ms)
        over = now_ms - self.current.began_ms >= self._every_s * 1000
        if self._hasten or not self.current.began_ms or (ended and over):
            self._keep(Pass(began_ms=now_ms, hurried=self._hasten))
            self._hasten = False
            self._ahead = None
            await self._check_superblocks()
        elif ended:
            return self._round(0, max(1.0, self._every_s - (now_ms - self.current.began_ms) / 1000))
        if self._ahead is None:
            chunks = await self._snapshot()
            self._ahead = deque(chunk.id for chunk in chunks if chunk.id > self.current.after)
        if not self._ahead:
            self._ahead.extend(self.current.again)
        if not self._ahead:
            self._keep(structs.replace(self.current, ended_ms=max(1, now_ms), hurried=False))
            return self._round(0, 0.0)
        chunk_id = self._ahead.popleft()
        try:
            read = await self._scrub(chunk_id)
        except Exception as error:
            self._missed(chunk_id, error)
            raise
        self._keep(
            structs.replace(
                self.current,
                after=max(self.current.after, chunk_id),
                chunks=self.current.chunks + 1,
                read_bytes=self.current.read_bytes + read,
                again=tuple(one for one in self.current.again if one != chunk_id),
            )
        )
        return self._round(read, self._rest())

    def _missed(self, chunk_id: bytes, error: Exception) -> None:
        """A chunk could not be looked at: come back to it once before the pass ends."""
        now = self.current
        if chunk_id in now.again:
            log.error("chunk %s could not be verified in this pass: %s", chunk_id.hex(), error)
            again = tuple(one for one in now.again if one != chunk_id)
            self._keep(structs.replace(now, again=again, unread=now.unread + 1))
        else:
            log.warning("chunk %s is verified later: %s", chunk_id.hex(), error)
            after = max(now.after, chunk_id)
            self._keep(structs.replace(now, after=after, again=(*now.again, chunk_id)))

    def _keep(self, now: Pass) -> None:
        self.current = now
        self._progress.set_progress(_PROGRESS, msgspec.json.encode(now))

    def _rest(self) -> float:
        """Seconds until the next chunk, so that the pass ends in its time."""
        assert self._ahead is not None, "a pass is under way"
        if self.current.hurried or not self._ahead:
            return 0.0
        spent = (self._clock.now_ms() - self.current.began_ms) / 1000
        return max(0.0, self._every_s - spent) / (len(self._ahead) + 1)

    def _round(self, read: int, again: float) -> Round:
        now = self.current
        ended = "verified" if now.ended_ms else "verified so far"
        result = f"{ended} {now.chunks} chunks, {now.read_bytes} bytes; {now.found} bad"
        if now.unread or now.again:
            result += f", {now.unread + len(now.again)} could not be read"
        left = len(self._ahead or ()) or len(now.again)
        return Round(1 if read else 0, left, "chunks", read, result, again)

    async def _scrub(self, chunk_id: bytes) -> int:
        """Verify one chunk; bytes read."""
        chunk = self._reader.chunk(chunk_id)
        if chunk is None or chunk.state is ChunkState.CONDEMNED:
            return 0
        if not relaid(chunk):
            return await self._scrub_mirrors(chunk)
        if chunk.state is ChunkState.OPEN:
            return 0  # Its owner writes to it; the next pass comes by.
        inspection = await self._in_thread(Inspection, self._drives, chunk)
        read = 0
        while size := await self._in_thread(inspection.step):
            read += size
            await self._pace.take(size)
        again = self._reader.chunk(chunk_id)
        if again is None or (again.state, again.members) != (chunk.state, chunk.members):
            return read  # It was moved or collected while we read: the next pass comes by.
        for drive_id, why in inspection.failed.items():
            await self._report(drive_id, f"scrub: {why}")
        self._found(await self._note_bad(chunk, inspection))
        return read

    async def _note_bad(self, chunk: Chunk, inspection: Inspection) -> int:
        found = 0
        for index, what in inspection.bad.items():
            drive = self._drives.member(chunk.members[index])
            if drive is not None and is_there(self._drives.disk, drive):
                self._damage.add(chunk, index, drive, self.name, what)
                found += 1
        if inspection.lost and self._are_needed(chunk, inspection.lost):
            drive = next(d for one in chunk.members if (d := self._drives.member(one)) is not None)
            what = f"blocks {inspection.lost[:8]} are whole in fewer than {chunk.k} segments: lost"
            self._damage.tell(drive, file_of(drive, chunk, 0), self.name, what)
            found += 1
        return found

    def _are_needed(self, chunk: Chunk, blocks: list[int]) -> bool:
        """Does anything refer to these blocks? A striped chunk may hold rows that were never
        acknowledged, and are whole nowhere; of older ones nobody lists what lives."""
        if chunk.kind is ChunkKind.LANDING or not chunk.listed:
            return chunk.kind is ChunkKind.LANDING
        lost = set(blocks)
        after = BlobName(b"", 0)
        while names := self._reader.striped_blobs(chunk.id, after=after, limit=_BLOBS):
            after = names[-1]
            for name in names:
                blob = self._reader.blob(name)
                extents = () if blob is None else blob.extents
                if any(lost & _blocks_of(one, chunk.k) for one in extents if one.chunk == chunk.id):
                    return True
        return False

    async def _scrub_mirrors(self, chunk: Chunk) -> int:
        wrong = await self._in_thread(bad_mirrors, self._drives, chunk)
        read = chunk.length * len(chunk.members)
        await self._pace.take(read)
        again = self._reader.chunk(chunk.id)
        if not wrong or again is None or relaid(again):
            return read
        for member, what in wrong.items():
            drive = self._drives.member(member)
            if drive is not None and is_there(self._drives.disk, drive):
                index = chunk.members.index(member)
                self._damage.tell(drive, file_of(drive, chunk, index), self.name, what)
                self._found(1)
        await self._seal_now()
        return read

    async def _check_superblocks(self) -> None:
        wrong = 0
        for drive in self._drives.present():
            there = is_there(self._drives.disk, drive)
            if there and not await self._in_thread(self._superblock_is_whole, drive.path):
                path = superblock_path(drive.path)
                self._damage.tell(drive, path, self.name, "no slot of the superblock is whole")
                wrong += 1
        if wrong:
            self._found(wrong)
            await self._seal_now()

    def _found(self, count: int) -> None:
        if count:
            self._keep(structs.replace(self.current, found=self.current.found + count))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))


def _blocks_of(extent: Extent, k: int) -> set[int]:
    """The blocks of every segment that the rows of a striped extent take."""
    rows = -(-extent.length // (k * extent.unit))
    first = extent.offset // BLOCK_BYTES
    return set(range(first, first + rows * extent.unit // BLOCK_BYTES))
