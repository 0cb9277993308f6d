"""The checker: a drive that is back, or new in its place, is looked at before it is trusted.

Every file that rows name on it is verified; what is bad or missing goes to the list of damage, what
no row names is removed; then the committer is told to trust it. A check that is cut begins anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import TypeVar

from msgspec import Struct

from coffre.catalog.interface import Reader
from coffre.stewards.damage import Damage
from coffre.stewards.pace import Pace
from coffre.stewards.shape import Round, Steward
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.inspection import Inspection, bad_mirrors, is_there
from coffre.vault.leftovers import chunk_files, find_leftovers, remove_leftover
from coffre.vault.records import Chunk, ChunkState

ROUND_S = 0.5
T = TypeVar("T")
Tell = Callable[[bytes], Awaitable[None]]
Report = Callable[[bytes, str], Awaitable[None]]


class _Check(Struct):
    """One drive's check: the chunks that are still to be looked at."""

    drive: bytes
    ahead: deque[bytes]
    looked_at: int = 0
    bad: int = 0


class Checker(Steward):
    """Checks one drive after the other; a chunk a round. `admit` says that a drive is trusted;
    `epoch` is the committer's, `named` are the log's chunks that superblocks name
    (`vault.leftovers`)."""

    name = "checker"

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        damage: Damage,
        pace: Pace,
        *,
        epoch: int,
        named: Callable[[], Awaitable[frozenset[bytes]]],
        snapshot: Callable[[], Awaitable[list[Chunk]]],
        admit: Tell,
        report: Report,
        pool: Executor | None = None,
    ) -> None:
        self._reader = reader
        self._drives = drives
        self._damage = damage
        self._pace = pace
        self._epoch = epoch
        self._named = named
        self._snapshot = snapshot
        self._admit = admit
        self._report = report
        self._pool = pool
        self._check: _Check | None = None

    async def round(self) -> Round:
        """Look at the drive's part of one chunk, or end the check."""
        check = self._check
        drive = None if check is None else self._drives.by_id(check.drive)
        if check is None or drive is None or drive.state is not DriveState.CHECKING:
            check = self._check = await self._next()
            if check is None:
                return Round(again=ROUND_S)
            drive = self._drives.by_id(check.drive)
        assert drive is not None, "a check is of a drive that is known"
        if not is_there(self._drives.disk, drive):
            self._check = None
            return Round(result=f"{drive.path} went away again", again=ROUND_S)
        if check.ahead:
            read = await self._look(check, drive, check.ahead.popleft())
            result = f"{drive.path}: {check.looked_at} files looked at, {check.bad} bad"
            return Round(1, len(check.ahead), "chunks", read, result, 0.0)
        return await self._end(check, drive)

    async def _next(self) -> _Check | None:
        waiting = [d for d in self._drives.all() if d.state is DriveState.CHECKING]
        if not waiting:
            return None
        drive = waiting[0].id
        chunks = await self._snapshot()
        named = (chunk.id for chunk in chunks if drive in chunk.members)
        return _Check(drive, deque(named))

    async def _look(self, check: _Check, drive: Drive, chunk_id: bytes) -> int:
        """Verify what one chunk has on the drive; bytes read. Raises nothing of the drive's."""
        chunk = self._reader.chunk(chunk_id)
        gone = chunk is None or chunk.state is ChunkState.CONDEMNED
        if chunk is None or gone or drive.id not in chunk.members:
            return 0
        index = chunk.members.index(drive.id)
        check.looked_at += 1
        trusting = self._trusting(drive)
        if not relaid(chunk):
            wrong = await self._in_thread(bad_mirrors, trusting, chunk)
            what, read = wrong.get(drive.id, ""), chunk.length
        else:
            look = await self._in_thread(Inspection, trusting, chunk, frozenset((index,)))
            read = 0
            while size := await self._in_thread(look.step):
                read += size
                await self._pace.take(size)
            what = look.bad.get(index, "")
            if drive.id in look.failed:
                self._check = None
                await self._report(drive.id, f"check: {look.failed[drive.id]}")
                return read
        again = self._reader.chunk(chunk_id)
        if what and again is not None and again.members == chunk.members:
            check.bad += 1
            self._damage.add(chunk, index, drive, self.name, what)
        return read

    async def _end(self, check: _Check, drive: Drive) -> Round:
        """Clear the drive of what no row names, and have it trusted."""
        self._check = None
        files = await self._in_thread(lambda: list(chunk_files(self._drives.disk, drive)))
        rows = {chunk.id: chunk for chunk in await self._snapshot()}
        named = await self._named()
        removed = await self._in_thread(self._clear, drive, files, rows, named)
        await self._admit(drive.id)
        result = (
            f"{drive.path} is trusted: {check.looked_at} files looked at, {check.bad} bad,"
            f" {removed} that had moved removed"
        )
        return Round(1, 0, "chunks", 0, result, ROUND_S)

    def _clear(
        self,
        drive: Drive,
        files: list[tuple[str, str]],
        rows: Mapping[bytes, Chunk],
        named: frozenset[bytes],
    ) -> int:
        disk = self._drives.disk
        found = find_leftovers(disk, drive, files, rows, epoch=self._epoch, named=named)
        return sum(remove_leftover(disk, leftover) for leftover in found)

    def _trusting(self, checked: Drive) -> DriveSet:
        """The drives as though this one were trusted, so that it is read."""
        copy = Drive(checked.id, checked.path, checked.node, checked.rack)
        return DriveSet(self._drives.disk, (*self._drives.present(), copy))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))
