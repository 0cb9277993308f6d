"""What reads could not use: looked at again, and when it is bad indeed, put on the list of damage.

Workers tell of it as they go round it. What they tell is a hint: a notice may be late, or wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import NamedTuple, TypeVar

from coffre.catalog.interface import Reader
from coffre.stewards.damage import Damage
from coffre.stewards.pace import Pace
from coffre.stewards.shape import Round, Steward
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.inspection import Inspection, bad_mirrors, file_of, is_there
from coffre.vault.records import Chunk, ChunkState

REST_S = 3600.0
# More notices than this that wait are dropped: whatever they tell of will be read again.
MOST_WAITING = 4096
MIRROR = -1
T = TypeVar("T")
Report = Callable[[bytes, str], Awaitable[None]]


class Notice(NamedTuple):
    """A file that a read could not use: a chunk's segment (-1: a mirror) on a drive."""

    chunk: bytes
    segment: int
    drive: bytes


class ReadRepair(Steward):
    """One notice a round; `receive` takes them in, and whoever calls it wakes this steward."""

    name = "read-repair"

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        damage: Damage,
        pace: Pace,
        *,
        seal_now: Callable[[], Awaitable[int]],
        report: Report,
        pool: Executor | None = None,
    ) -> None:
        self._reader = reader
        self._drives = drives
        self._damage = damage
        self._pace = pace
        self._seal_now = seal_now
        self._report = report
        self._pool = pool
        self._waiting: dict[Notice, None] = {}
        self._confirmed = 0

    def receive(self, notice: Notice) -> None:
        """Take in a notice; the same one that waits already counts once."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting[notice] = None

    async def round(self) -> Round:
        """Look at what the oldest notice tells of."""
        if not self._waiting:
            return self._round(0, REST_S)
        notice = next(iter(self._waiting))
        del self._waiting[notice]
        return self._round(await self._look(notice), 0.0)

    def _round(self, read: int, again: float) -> Round:
        result = f"{self._confirmed} notices of reads confirmed" if self._confirmed else ""
        return Round(1 if read else 0, len(self._waiting), "files", read, result, again)

    async def _look(self, notice: Notice) -> int:
        """Is it bad? Bytes read."""
        chunk = self._reader.chunk(notice.chunk)
        drive = self._drives.member(notice.drive)
        if chunk is None or drive is None or chunk.state is ChunkState.CONDEMNED:
            return 0
        if not is_there(self._drives.disk, drive):
            return 0  # The whole drive is gone: that is noticed elsewhere.
        if notice.segment == MIRROR:
            return 0 if relaid(chunk) else await self._look_at_mirrors(chunk)
        if notice.segment >= len(chunk.members) or not relaid(chunk):
            return 0
        if chunk.members[notice.segment] != drive.id:
            return 0
        return await self._look_at_segment(chunk, notice.segment, drive)

    async def _look_at_segment(self, chunk: Chunk, index: int, drive: Drive) -> int:
        look = await self._in_thread(Inspection, self._drives, chunk, frozenset((index,)))
        read = 0
        while size := await self._in_thread(look.step):
            read += size
            await self._pace.take(size)
        for drive_id, why in look.failed.items():
            await self._report(drive_id, f"read: {why}")
        again = self._reader.chunk(chunk.id)
        if index in look.bad and again is not None and again.members == chunk.members:
            self._confirmed += 1
            self._damage.add(chunk, index, drive, "a read", look.bad[index])
        return read

    async def _look_at_mirrors(self, chunk: Chunk) -> int:
        wrong = await self._in_thread(bad_mirrors, self._drives, chunk)
        again = self._reader.chunk(chunk.id)
        if wrong and again is not None and not relaid(again):
            self._confirmed += 1
            for member, what in wrong.items():
                drive = self._drives.member(member)
                if drive is not None:
                    path = file_of(drive, chunk, chunk.members.index(member))
                    self._damage.tell(drive, path, "a read", what)
            await self._seal_now()
        return chunk.length

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))
