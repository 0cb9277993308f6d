"""Growth and shrinkage: drives are added, emptied, replaced and removed while the zone serves.

Every change is a change of what superblocks say (`GroupCommitter.amend`): it counts when it is on
every drive that can be reached and on a quorum of the zone's, before and after. Where drives stand
that the configuration does not name is remembered in the data folder (`service.drives.Places`).

A new drive is nobody's to use before superblocks name it, its own among them. Each step may be cut:
first its place is kept, which means nothing by itself; then superblocks name it, or some do, and
the next start takes the newest at its word. Whichever it is, the command again finishes it.

Which data moves is not decided here: stewards empty a drive with the intent "drain", at their pace.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from coffre.catalog.group import GroupCommitter
from coffre.catalog.log_state import NOT_WRITTEN
from coffre.catalog.zone_writer import Change, unchanged
from coffre.config import DriveFolder, Settings
from coffre.service.administration import Invalid
from coffre.service.drive_view import DriveView
from coffre.service.drives import Places, named_folders, read_places, write_places
from coffre.service.follower_place import clear_drive
from coffre.service.layout import DataFolder
from coffre.service.monitor import PROBE, try_out
from coffre.service.zone import World
from coffre.system.entropy import new_id
from coffre.vault.ballast import BALLAST
from coffre.vault.drives import Drive, DriveSet, DriveState, broken_promise, temporary_path
from coffre.vault.superblock import (
    REPLACED,
    DriveLabel,
    Superblock,
    SuperblockStore,
    superblock_path,
)

log = logging.getLogger("coffre.drives")

Rows = list[dict[str, Any]]
# What stands in an empty folder: a new file system's own, and what looks and cuts leave.
_NOT_DATA = {"lost+found", PROBE, BALLAST, temporary_path("superblock")}
_UNBORN = "its superblock could not be written"
_IN_USE = (DriveState.PRESENT, DriveState.CHECKING)


class DriveChanges:
    """The operations on drives that an operator asks for. All raise Invalid."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        world: World,
        drives: DriveSet,
        committer: GroupCommitter,
        view: DriveView,
        superblocks: SuperblockStore,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._world = world
        self._drives = drives
        self._committer = committer
        self._view = view
        self._superblocks = superblocks

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "drive.add": self.add,
            "drive.drain": self.drain,
            "drive.cancel": self.cancel,
            "drive.remove": self.remove,
            "drive.replace": self.replace,
        }

    async def add(self, path: str, node: str | None = None, rack: str | None = None) -> Rows:
        """An empty folder becomes a drive of the zone. Node and rack may be left out where the
        configuration names the folder. One that is such a drive already stays one."""
        named = {one.path: (one.node, one.rack) for one in named_folders(self._settings)}
        node_named, rack_named = named.get(path, (None, None))
        place = DriveFolder(path, node or node_named or "", rack or rack_named or "")
        if not place.node or not place.rack:
            raise Invalid(
                "InvalidArgument", f"say in which --node and --rack {path} stands", "node"
            )
        if (known := self._unborn_or_in_use(place)) is not None:
            return await self._finish(known)
        self._check_folder(path)
        drive = self._new_drive(place)
        label = DriveLabel(drive.id, place.node, place.rack)
        await self._place(
            drive,
            read_places(self._folder).with_place(place),
            lambda zone: replace(zone, drives=(*zone.drives, label)),
        )
        return self._rows([drive])

    async def replace(self, drive: str, path: str | None = None) -> Rows:
        """An empty folder takes the place of a drive that is gone. It is a drive of its own, so
        that what an old disk holds is never taken for it; the old one is forgotten when all that it
        held is made again elsewhere."""
        old = self._one(drive)
        if old.state in _IN_USE:
            raise Invalid(
                "DriveInUse",
                f"{old.path} is {old.state}: take it out first, or empty it with "
                f"`coffre drive drain {old.path}`",
                "drive",
            )
        if not (path := path or old.path):
            raise Invalid("InvalidArgument", "say with --path where the new drive stands", "path")
        place = DriveFolder(path, old.node, old.rack)
        replaced = (old.id, REPLACED) in self._committer.zone.intents
        if replaced and (known := self._unborn_or_in_use(place)) is not None:
            return await self._finish(known)
        self._check_folder(path, instead_of=old)
        places = read_places(self._folder)
        if path != old.path:
            places = places.with_place(place)
            places = places.without_place(old.path) if old.path else places
        new = self._new_drive(place)
        label = DriveLabel(new.id, new.node, new.rack)

        def change(zone: Superblock) -> Superblock:
            intents = [one for one in zone.intents if one[0] != old.id]
            return replace(
                zone, drives=(*zone.drives, label), intents=(*intents, (old.id, REPLACED))
            )

        await self._place(new, places, change)
        old.path = ""
        self._drives.mark(old.id, DriveState.MISSING, "replaced by another drive")
        self._drives.intend(old.id, "drain")
        return self._rows([new, old])

    async def drain(
        self, drive: str | None = None, node: str | None = None, accept_less: bool = False
    ) -> Rows:
        """Take no new data on a drive, or on a node's drives; stewards move what is there."""
        going = self._named(drive, node)
        ids = {one.id for one in going}
        staying = [one for one in self._drives.all() if one.id not in ids and not one.intent]
        wanted = self._settings.coding
        reason = broken_promise([(one.node, one.rack) for one in staying], wanted)
        before = [(one.node, one.rack) for one in self._drives.all() if not one.intent]
        if reason and not accept_less and not broken_promise(before, wanted):
            raise Invalid(
                "TooFewDrives",
                f"without {_listed(going)} {reason}: add drives first, or say --accept-less",
                "drive",
            )

        def change(zone: Superblock) -> Superblock:
            known = {one for one, _ in zone.intents}
            fresh = tuple((one, "drain") for one in ids if one not in known)
            return replace(zone, intents=(*zone.intents, *fresh))

        await self._amend(change)
        for one in going:
            self._drives.intend(one.id, "drain")
        return self._rows(going)

    async def cancel(self, drive: str | None = None, node: str | None = None) -> Rows:
        """Stop emptying: the drives take new data again; what was moved stays where it is."""
        staying = self._named(drive, node)
        ids = {one.id for one in staying}
        if replaced := [one for one in staying if not one.path and one.intent]:
            raise Invalid("DriveReplaced", f"{_listed(replaced)} was replaced already", "drive")

        def change(zone: Superblock) -> Superblock:
            return replace(zone, intents=tuple(one for one in zone.intents if one[0] not in ids))

        await self._amend(change)
        for one in staying:
            self._drives.intend(one.id, "")
        return self._rows(staying)

    async def remove(self, drive: str | None = None, node: str | None = None) -> Rows:
        """Forget drives that nothing needs any more; how they were."""
        going = self._named(drive, node)
        rows = self._rows(going)
        needed = [row for row in rows if row["left_chunks"]]
        if needed:
            size = sum(row["left_bytes"] for row in needed)
            chunks = sum(row["left_chunks"] for row in needed)
            raise Invalid(
                "DriveInUse",
                f"{len(needed)} of {len(rows)} drives are still needed, for {size} bytes in "
                f"{chunks} chunks: empty them first with `coffre drive drain --wait`",
                "drive",
            )
        if any(one.state in _IN_USE and not one.intent for one in going):
            raise Invalid(
                "NotDrained",
                f"{_listed(going)} still takes new data: empty it first with `coffre drive drain`",
                "drive",
            )
        await self._forget(going)
        return rows

    async def forget_replaced(self) -> None:
        """Let the zone forget replaced drives that nothing needs any more. Raises Invalid."""
        gone = [one for one in self._drives.all() if one.intent and not one.path]
        replaced = {one for one, intent in self._committer.zone.intents if intent == REPLACED}
        gone = [one for one in gone if one.id in replaced]
        if gone:
            left = self._view.left()
            await self._forget([one for one in gone if not left.chunks[one.id]])

    async def _forget(self, going: Sequence[Drive]) -> None:
        if not going:
            return
        ids = {one.id for one in going}
        before = places = read_places(self._folder)
        for one in going:
            places = places.without_place(one.path) if one.path else places

        def change(zone: Superblock) -> Superblock:
            return replace(
                zone,
                drives=tuple(label for label in zone.drives if label.id not in ids),
                intents=tuple(one for one in zone.intents if one[0] not in ids),
            )

        # First the places: a start in between finds the drive missing, and nothing needs it.
        await self._amend(change, before=before, places=places)
        for one in going:
            reachable = one.state in _IN_USE
            self._drives.forget(one.id)
            if reachable:
                with suppress(OSError):
                    self._world.disk.unlink(superblock_path(one.path))
                    self._world.disk.unlink(f"{one.path}/{PROBE}")
                    self._world.disk.unlink(f"{one.path}/{BALLAST}")
                clear_drive(one.path)

    # Folders and superblocks

    def _check_folder(
        self, path: str, *, instead_of: Drive | None = None, own: Drive | None = None
    ) -> None:
        """Only an empty folder that can be written becomes a drive. `own`: whose superblock may
        stand there."""
        if not os.path.isabs(path) or os.path.normpath(path) != path:
            raise Invalid("InvalidArgument", f"{path} is no absolute path", "path")
        for one in self._drives.all():
            if one.path and one is not instead_of and _overlap(one.path, path):
                raise Invalid("DriveExists", f"{path} and the drive {one.path} overlap", "path")
        try:
            names = set(self._world.disk.listdir(path)) - _NOT_DATA
            if names == {"superblock"} and self._is_left(path, own):
                names = set()
        except OSError as error:
            raise Invalid(
                "NoSuchFolder", f"{path} is no folder that can be read ({error.strerror})", "path"
            ) from error
        if names:
            raise Invalid(
                "FolderNotEmpty", f"{path} is not empty ({min(names)}): name one that is", "path"
            )
        try:
            try_out(self._world.disk, path, self._world.entropy.bytes(16))
        except OSError as error:
            raise Invalid("FolderUnusable", f"{path}: {error}", "path") from error

    def _new_drive(self, place: DriveFolder) -> Drive:
        clock, zone = self._world.clock, self._committer.zone
        drive_id = new_id(self._world.entropy, zone.zone_number, clock.now_ms())
        return Drive(drive_id, place.path, place.node, place.rack, founded=True)

    def _is_left(self, path: str, own: Drive | None) -> bool:
        """Is the superblock there of this zone, and of no other drive of it: what a change left
        that did not come to hold?"""
        found, zone = self._superblocks.read(path).superblock, self._committer.zone
        if found is None or (found.region, found.zone) != (zone.region, zone.zone):
            return False
        known = self._drives.by_id(found.drive)
        return known is None or known is own

    async def _place(self, drive: Drive, places: Places, change: Change) -> None:
        """Make a new drive known, on itself too. It is empty: there is nothing to check. Until
        superblocks say so, nothing may be laid on it, and nobody is to look at it."""
        before = read_places(self._folder)
        failed = await self._amend(change, before=before, places=places, joining=[drive])
        if failed:
            drive.state, drive.reason = DriveState.FAILED, f"{_UNBORN}: {failed[drive.id]}"
        self._drives.add(drive)
        if failed:
            raise Invalid(
                "FolderUnusable",
                f"{drive.path} belongs to the zone, but its superblock cannot be written "
                f"({failed[drive.id]}): mend the disk and ask again, or `coffre drive remove` it",
                "path",
            )

    def _unborn_or_in_use(self, place: DriveFolder) -> Drive | None:
        """The drive that stands there already with these labels, if it is in use or may be: one
        that superblocks name, and that has none itself and holds nothing, for it was cut."""
        for one in self._drives.all():
            if (one.path, one.node, one.rack) == (place.path, place.node, place.rack):
                unborn = not one.intent and not self._view.left().chunks[one.id]
                return one if one.state in _IN_USE or unborn else None
        return None

    async def _finish(self, drive: Drive) -> Rows:
        """The change that made it a drive holds: see that it has its own superblock."""
        if drive.state not in _IN_USE:
            self._check_folder(drive.path, instead_of=drive, own=drive)
            if failed := await self._amend(unchanged, joining=[drive]):
                why = failed[drive.id]
                raise Invalid("FolderUnusable", f"{drive.path} cannot be written ({why})", "path")
            self._drives.mark(drive.id, DriveState.CHECKING, "being added")
        return self._rows([drive])

    async def _amend(
        self,
        change: Change,
        *,
        before: Places | None = None,
        places: Places | None = None,
        joining: Sequence[Drive] = (),
    ) -> dict[bytes, str]:
        """Change superblocks, with the places of drives before them; why drives that are joining
        do not have theirs."""
        if places is not None and places != before:
            try:
                write_places(self._folder, places, self._world.disk)
            except OSError as error:
                raise Invalid(
                    "NotWritten",
                    f"{self._folder.places} cannot be written ({error.strerror}): see what is free "
                    "beside the catalog, then ask again",
                ) from error
        try:
            return await self._committer.amend(change, joining)
        except NOT_WRITTEN as error:
            await self._take_back(before if places != before else None, joining)
            raise Invalid("NotWritten", f"{error}: bring missing drives back first") from error

    async def _take_back(self, before: Places | None, joining: Sequence[Drive]) -> None:
        """Have superblocks say what they said before a change that did not come to hold. Where they
        cannot, it may show after the next start, and so its place is left as it is."""
        try:
            await self._committer.amend(unchanged)
            if before is not None:
                write_places(self._folder, before, self._world.disk)
        except (*NOT_WRITTEN, OSError) as error:
            log.warning("a change that is refused may show after the next start: %s", error)
            return
        for drive in joining:
            if self._drives.by_id(drive.id) is None:
                with suppress(OSError):
                    self._world.disk.unlink(superblock_path(drive.path))

    # Naming drives

    def _named(self, drive: str | None, node: str | None) -> list[Drive]:
        if node is None:
            return [self._one(drive or "")]
        found = [one for one in self._drives.all() if one.node == node]
        if not found:
            raise Invalid(
                "NoSuchNode",
                f"no drive stands in a node {node!r}: `coffre node list` shows them",
                "node",
            )
        return found

    def _one(self, name: str) -> Drive:
        """By path, by id, or by the beginning of an id that no other drive's begins with."""
        found = [one for one in self._drives.all() if one.path and one.path == name]
        if not found and len(name) >= 4:
            found = [one for one in self._drives.all() if one.id.hex().startswith(name.lower())]
        if len(found) != 1:
            raise Invalid(
                "NoSuchDrive",
                f"{'no' if not found else 'more than one'} drive is named {name!r}: "
                "`coffre drive list` shows their paths and ids",
                "drive",
            )
        return found[0]

    def _rows(self, drives: Sequence[Drive]) -> Rows:
        wanted = {one.id.hex() for one in drives}
        return [row for row in self._view.rows() if row["id"] in wanted]


def _overlap(one: str, other: str) -> bool:
    return os.path.commonpath((one, other)) in (one, other)


def _listed(drives: Sequence[Drive]) -> str:
    names = [one.path or one.id.hex() for one in drives]
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
