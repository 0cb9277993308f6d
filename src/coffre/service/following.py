"""The follower's process: a second catalog file behind the first, on another disk if there is one.

It runs at the lowest priority: under load it falls behind and catches up later, and never holds up
the committer, which does not know of it. Its file on a difference is not to be relied on: a mark
stands beside it until the next follower has made it again from snapshot and log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec

from coffre.catalog.following import Follower
from coffre.catalog.snapshots import discard_rows
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.board import following
from coffre.service.caller import Caller
from coffre.service.child import Boot
from coffre.service.door import open_door
from coffre.service.follower_place import FILE, choose_folder, differs_mark, may_stay
from coffre.service.layout import DataFolder, FolderLock
from coffre.service.observing.publishing import Gauge, Observed, gauge, observed
from coffre.service.zone import World, ZoneFacts, drive_set, open_root_keys, real_world
from coffre.system.starved import Starved
from coffre.vault.drives import DriveSet
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.superblock import SnapshotRef, SuperblockStore, TooFewSuperblocks

log = logging.getLogger("coffre.follower")

LOCK_PATIENCE_S = 5.0
# Between two pieces compared; when there was nothing to do; after what went wrong.
COMPARE_EVERY_S = 0.1
LOOK_EVERY_S = 0.5
RETRY_S = 5.0


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Follow until `stop`; answer at the follower's own socket."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    folder = DataFolder(Path(settings.data))
    lock = FolderLock(folder, "follower", patience_s=LOCK_PATIENCE_S)
    os.chdir(folder.root)
    world = real_world()
    drives = drive_set(facts, world)
    async with following(drives, folder), observed(folder, "follower", world.clock) as shown:
        await _follow(settings, folder, world, drives, ready, stop, shown)
    lock.release()


async def _follow(
    settings: Settings,
    folder: DataFolder,
    world: World,
    drives: DriveSet,
    ready: Callable[[dict[str, object]], None],
    stop: asyncio.Event,
    shown: Observed,
) -> None:
    root_keys = open_root_keys(folder)
    superblocks = SuperblockStore(world.disk, root_keys, world.entropy)
    place = choose_folder(settings.follower_path, drives, str(folder.root))
    path = f"{place}/{FILE}"
    mark = differs_mark(place)
    if mark.exists():
        discard_rows(path)
        mark.unlink()
    follower = Follower(
        path,
        str(folder.catalog),
        drives,
        root_keys,
        world.clock,
        lambda: _snapshots(superblocks, drives),
    )

    def has_room() -> bool:
        # A folder that was set for it is the operator's to watch.
        free = world.disk.free_bytes(place)
        return bool(settings.follower_path) or free > drives.reserve_bytes

    def stays() -> bool:
        return bool(settings.follower_path) or may_stay(place, drives)

    office = _Office(follower, path, mark, has_room, stays)
    shown.collect(office.figures)
    door = await open_door(folder.follower_socket.name, office.call)
    ready({})
    await office.follow(stop)
    if not stop.is_set():
        log.info("%s is to leave the zone: the next follower chooses another drive", place)
    door.close()
    follower.close()


def _snapshots(superblocks: SuperblockStore, drives: DriveSet) -> tuple[SnapshotRef, ...]:
    try:
        return superblocks.load([drive.path for drive in drives.present()]).best.snapshots
    except TooFewSuperblocks:
        return ()


class _Office:
    """A follower at work, and what it answers."""

    def __init__(
        self,
        follower: Follower,
        path: str,
        mark: Path,
        has_room: Callable[[], bool],
        stays: Callable[[], bool],
    ) -> None:
        self._follower = follower
        self._path = path
        self._mark = mark
        self._has_room = has_room
        self._stays = stays
        self._turn = asyncio.Lock()
        self._behind: int | None = None
        self._error = ""

    async def follow(self, stop: asyncio.Event) -> None:
        """Step after step until `stop`, or until its drive is to leave the zone: the next follower
        chooses another. A pause when there is nothing to do."""
        while not stop.is_set() and self._stays():
            pause = await self._step()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()

    async def _step(self) -> float:
        try:
            if not self._has_room():
                raise StorageFull("its drive is down to the reserve")
            async with self._turn:
                done = await self._follower.step()
        except (DataLost, StorageFull, OSError, Starved, apsw.Error) as error:
            if str(error) != self._error:
                log.warning("the follower waits: %s", error)
            self._error = str(error)
            return RETRY_S
        self._error = ""
        self._behind = done.behind
        self._note_difference()
        if done.behind:
            return 0
        return COMPARE_EVERY_S if done.compared else LOOK_EVERY_S

    def _note_difference(self) -> None:
        if self._follower.difference is not None and not self._mark.exists():
            self._mark.write_text(f"{self._follower.difference}\n")

    def figures(self) -> Iterator[Gauge]:
        """How far it is behind, where that is known, and whether the two differ."""
        if self._behind is not None:
            yield gauge(self._behind, "coffre_follower_behind_records")
        yield gauge(self._follower.difference is not None, "coffre_follower_differs")

    async def call(
        self, operation: str, arguments: dict[str, Any], caller: Caller | None = None
    ) -> dict[str, Any]:
        """`follower.status`, and `follower.compare`: every row now, at one record."""
        if operation == "follower.compare":
            try:
                async with self._turn:
                    await self._follower.compare_all()
            except (DataLost, OSError, Starved, apsw.Error) as error:
                raise Invalid("Unavailable", f"the two cannot be compared now: {error}") from error
            self._note_difference()
        elif operation != "follower.status":
            raise Invalid("UnknownOperation", f"a follower has no operation {operation!r}")
        difference = self._follower.difference
        return {
            "path": self._path,
            "record": self._follower.position.sequence,
            "behind": self._behind,
            "compared_ms": self._follower.compared_ms,
            "differs": str(difference) if difference else None,
            "error": self._error,
        }
