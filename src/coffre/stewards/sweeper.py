"""The sweeper: files that no row refers to go, once they have been that for some time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from coffre.catalog.interface import Reader
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock
from coffre.vault.drives import DriveSet
from coffre.vault.leftovers import Leftover, chunk_files, find_leftovers, remove_leftover

log = logging.getLogger("coffre.sweeper")

# How long a file must have been a leftover: no work in progress takes that long between the file
# and the row that names it.
PATIENCE_S = 600.0
LOOK_EVERY_S = 3600.0


class Sweeper(Steward):
    """`epoch` is the committer's at this process's start, `named` the log's chunks that superblocks
    name as unsealed, or may name (`vault.leftovers`)."""

    name = "sweeper"

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        clock: Clock,
        *,
        epoch: int,
        named: Callable[[], Awaitable[frozenset[bytes]]],
        patience: float = PATIENCE_S,
    ) -> None:
        self._reader = reader
        self._drives = drives
        self._clock = clock
        self._epoch = epoch
        self._named = named
        self._patience = patience
        self._seen: dict[Leftover, float] = {}

    async def round(self) -> Round:
        """Look at every present drive; remove what was a leftover `patience` ago already."""
        now = self._clock.monotonic()
        seen: dict[Leftover, float] = {}
        removed = freed = 0
        for drive in self._drives.present():
            for leftover in await self._look(drive.id):
                since = self._seen.get(leftover, now)
                if now < since + self._patience:
                    seen[leftover] = since
                elif await asyncio.to_thread(remove_leftover, self._drives.disk, leftover):
                    log.info("removed %s: no row refers to it", leftover.path)
                    removed += 1
                    freed += leftover.size
        self._seen = seen
        return Round(
            did=removed,
            left=len(seen),
            unit="files",
            moved_bytes=freed,
            result=f"{removed} files removed" if removed else "",
            again=self._patience if seen else LOOK_EVERY_S,
        )

    async def _look(self, drive_id: bytes) -> list[Leftover]:
        drive = self._drives.member(drive_id)
        if drive is None:
            return []
        disk = self._drives.disk
        files = await asyncio.to_thread(lambda: list(chunk_files(disk, drive)))
        rows = {chunk.id: chunk for chunk in self._reader.chunks()}
        named = await self._named()
        return await asyncio.to_thread(
            find_leftovers,
            disk,
            drive,
            files,
            rows,
            epoch=self._epoch,
            named=named,
        )
