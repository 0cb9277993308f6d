"""What superblocks say of the zone, written to every drive that can be reached, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from coffre.catalog.log_state import KeptSnapshots, log_floor, remove_mirrors
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.superblock import LandingRef, LogState, Superblock, SuperblockStore

Change = Callable[[Superblock], Superblock]


def unchanged(zone: Superblock) -> Superblock:
    """The change that is none."""
    return zone


class ZoneWriter:
    """The zone as its superblocks describe it; where its log stands comes from the log's writer."""

    def __init__(self, zone: Superblock, drives: DriveSet, superblocks: SuperblockStore) -> None:
        self.zone = zone
        self._drives = drives
        self._superblocks = superblocks
        self._turn = asyncio.Lock()
        self._discarded: list[LandingRef] = []
        self._doubtful: list[Superblock] = []

    @property
    def log_floor(self) -> int:
        """The record up to which no start needs the log, whichever superblock it finds."""
        return min(log_floor(zone) for zone in (self.zone, *self._doubtful))

    @property
    def kept_snapshots(self) -> KeptSnapshots:
        """The snapshots that superblocks name, and may name after a write that failed."""
        ids = {one.id for zone in (self.zone, *self._doubtful) for one in zone.snapshots}
        return KeptSnapshots(self.zone.snapshots, tuple(sorted(ids)))

    @property
    def named_chunks(self) -> frozenset[bytes]:
        """The log's chunks that superblocks name as unsealed, and may name after a write that
        failed."""
        zones = (self.zone, *self._doubtful)
        return frozenset(ref.chunk for zone in zones for ref in zone.log.unsealed)

    def discard(self, ref: LandingRef) -> None:
        """Remove a chunk's mirrors as soon as no superblock names it."""
        self._discarded.append(ref)

    async def write(
        self,
        epoch: int,
        log: Callable[[], LogState],
        *,
        clean: bool = False,
        change: Change = unchanged,
        joining: Sequence[Drive] = (),
    ) -> dict[bytes, str]:
        """Say it, with `change`, which holds from then on. `log` is asked when it is our turn.
        `joining`: drives that are to have it beside those in use, and nothing else yet.

        Why those of them that do not have it failed, by id. Raises SuperblockNotWritten,
        SuperblockTooLarge, Starved: then the change does not hold in this run.
        """
        async with self._turn:
            zone = replace(
                change(self.zone),
                epoch=epoch,
                clean=clean,
                log=log(),
                unchecked=self._drives.untrusted(),
            )
            of_zone = {label.id for label in zone.drives}
            discarded = list(self._discarded)
            self._doubtful.append(zone)
            failed = await asyncio.to_thread(
                self._superblocks.write,
                zone,
                [*(one for one in self._drives.reachable() if one.id in of_zone), *joining],
                before=self.zone,
            )
            self.zone = zone
            self._doubtful.clear()
            del self._discarded[: len(discarded)]
            apart = {drive.id for drive in joining}
            for drive, why in failed.items():
                if drive not in apart:
                    self._drives.fail(drive, f"its superblock could not be written: {why}")
            remove_mirrors(self._drives, discarded)
            return {drive: why for drive, why in failed.items() if drive in apart}
