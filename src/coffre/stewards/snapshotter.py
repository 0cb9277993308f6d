"""The snapshotter: keeps some verified snapshots of the catalog on the drives, and only those.

A snapshot is taken when the newest is older than `every` and the log went on since, after a
migration, and when asked for. The log up to the oldest kept one is not needed any more, so it does
not count before it proved itself, and before an older one goes the others are read whole. One whose
segments are fewer than they could be (a drive was lost, is to go, or rotted) is written anew under
another id in its place. Files go once no superblock can name them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from coffre.catalog.interface import Reader
from coffre.catalog.log_state import KeptSnapshots
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.schema import LogPosition
from coffre.catalog.snapshots import SnapshotWorld, rewrite, take
from coffre.stewards.shape import Round, Steward
from coffre.vault.archive import Archive, bad_segments, find_archive, remove_archives
from coffre.vault.interface import StorageFull
from coffre.vault.records import ChunkKind
from coffre.vault.superblock import SnapshotRef

log = logging.getLogger("coffre.snapshotter")

LOOK_EVERY_S = 60.0
# Records that a copy may be behind the catalog when nobody waits for it.
_MAY_LAG = 1000


class Namer(Protocol):
    """Who has superblocks name snapshots: the committer."""

    async def kept(self) -> KeptSnapshots: ...

    async def name(self, snapshots: Sequence[SnapshotRef]) -> None:
        """Have superblocks name these and no others, the oldest first. Raises OSError and more."""
        ...


class Snapshotter(Steward):
    """`source` names the catalog file to copy, which is at a record or behind it; `position` says
    where the catalog stands. `every`: seconds; `keep`: how many."""

    name = "snapshotter"

    def __init__(
        self,
        world: SnapshotWorld,
        reader: Reader,
        namer: Namer,
        source: Callable[[int], Awaitable[str]],
        position: Callable[[], LogPosition],
        *,
        every: float,
        keep: int,
    ) -> None:
        self._world = world
        self._reader = reader
        self._namer = namer
        self._source = source
        self._position = position
        self._every_ms = int(every * 1000)
        self._keep = keep
        self._turn = asyncio.Lock()
        self._rotten: dict[bytes, set[int]] = {}

    async def round(self) -> Round:
        """Clear away, write one anew or take one, if it is time."""
        async with self._turn:
            kept = await self._namer.kept()
            await asyncio.to_thread(remove_archives, self._world.drives, kept.ids)
            for old in kept.snapshots:
                if await asyncio.to_thread(self._could_be_better, old):
                    new = await asyncio.to_thread(rewrite, self._world, old)
                    await self._namer.name([new if one == old else one for one in kept.snapshots])
                    return _done(new, "written anew")
            here = self._position()
            if not self._is_due(kept, here):
                return Round(unit="snapshots", result=_says(kept), again=LOOK_EVERY_S)
            newest = kept.snapshots[-1].sequence if kept.snapshots else 0
            # Never an older one than there is: a follower may have begun anew.
            at_least = max(here.sequence - _MAY_LAG, min(newest + 1, here.sequence))
            return _done(await self._take(kept, at_least), "taken")

    async def take_now(self) -> SnapshotRef:
        """A snapshot of the catalog as it is now, also when nothing changed since the newest: an
        older one goes for it, and with that what is kept of the log."""
        async with self._turn:
            return await self._take(await self._namer.kept(), self._position().sequence)

    async def _take(self, kept: KeptSnapshots, at_least: int) -> SnapshotRef:
        source = await self._source(at_least)
        new = await asyncio.to_thread(take, self._world, source)
        good = await asyncio.to_thread(self._read_whole, kept.snapshots)
        named = [*good, new][-self._keep :]
        if len(named) < self._keep:
            # One that cannot be read now may come back with its drives.
            unread = [one for one in kept.snapshots if one not in good]
            named = sorted([*unread, *named], key=lambda one: one.sequence)
        await self._namer.name(named)
        log.info("a snapshot of record %d, %d bytes", new.sequence, new.length)
        return new

    def _is_due(self, kept: KeptSnapshots, here: LogPosition) -> bool:
        if not here.sequence:
            return False
        now_ms = self._world.clock.now_ms()
        if not kept.snapshots:
            chunks = self._reader.chunks()
            began = (_made_ms(one.id) for one in chunks if one.kind is ChunkKind.LANDING)
            return now_ms - min(began, default=now_ms) >= self._every_ms
        newest = kept.snapshots[-1]
        if newest.schema_version < SCHEMA_VERSION:
            return True
        moved = here.sequence > newest.sequence
        return moved and now_ms - _made_ms(newest.id) >= self._every_ms

    def _could_be_better(self, ref: SnapshotRef) -> bool:
        """Could its segments survive the loss of more drives if they were written now? One that
        cannot be read at all is left: its drives may come back."""
        archive = find_archive(self._world.drives, ref)
        if archive is None:
            return False
        bad = self._rotten.get(ref.id, set())
        staying = [
            index
            for index, drive in archive.places.items()
            if not drive.intent and index not in bad
        ]
        try:
            offered, _ = self._world.drives.choose_segments(self._world.wanted)
        except StorageFull:
            return False
        return len(staying) - archive.header.k < offered.m

    def _read_whole(self, snapshots: Sequence[SnapshotRef]) -> list[SnapshotRef]:
        """Read every block of these; those that can be restored from what is whole."""
        good: list[SnapshotRef] = []
        self._rotten = {}
        for ref in snapshots:
            archive: Archive | None = find_archive(self._world.drives, ref)
            bad = bad_segments(self._world.drives, archive) if archive else set[int]()
            if archive is None or len(bad) > archive.header.m:
                log.error("the snapshot of record %d cannot be read", ref.sequence)
                continue
            self._rotten[ref.id] = bad
            good.append(ref)
        return good


def _made_ms(name: bytes) -> int:
    """When an id was made: see `coffre.system.entropy.new_id`."""
    return int.from_bytes(name[2:8], "big")


def _says(kept: KeptSnapshots) -> str:
    if not kept.snapshots:
        return "no snapshot yet"
    newest = kept.snapshots[-1]
    return f"{len(kept.snapshots)} kept, the newest of record {newest.sequence}"


def _done(ref: SnapshotRef, what: str) -> Round:
    return Round(
        did=1,
        unit="snapshots",
        moved_bytes=ref.length,
        result=f"record {ref.sequence} {what}, {ref.length} bytes",
        again=0,
    )
