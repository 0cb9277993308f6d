"""A zone's drive folders: how they are laid out, labelled, and found again at a start."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from coffre.config import DriveFolder, Settings
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.zone import DriveFacts
from coffre.system.disk import Disk
from coffre.system.entropy import Entropy, new_id
from coffre.vault.drives import DriveState, Intent, broken_promise
from coffre.vault.identity import drive_of
from coffre.vault.records import Geometry
from coffre.vault.superblock import REPLACED, DriveLabel, SlotRead, SlotStatus, Superblock

RACKS, NODES, DRIVES = 4, 2, 2


class Places(Struct, frozen=True):
    """Where drives stand beyond what the configuration names, as operators changed it: kept in the
    data folder, so that the next start finds what was added and leaves alone what was removed."""

    added: tuple[DriveFolder, ...] = ()
    removed: tuple[str, ...] = ()

    def with_place(self, place: DriveFolder) -> Places:
        """A drive stands there from now on."""
        rest = self.without_place(place.path)
        removed = tuple(path for path in rest.removed if path != place.path)
        return Places((*rest.added, place), removed)

    def without_place(self, path: str) -> Places:
        """No drive stands there any more."""
        added = tuple(place for place in self.added if place.path != path)
        return Places(added, (*(gone for gone in self.removed if gone != path), path))


def read_places(folder: DataFolder) -> Places:
    """Raises StartRefused when they cannot be read."""
    try:
        return msgspec.json.decode(folder.places.read_bytes(), type=Places)
    except FileNotFoundError:
        return Places()
    except (OSError, msgspec.DecodeError) as error:
        raise StartRefused(
            f"{folder.places} cannot be read ({error}): name every drive in the configuration, "
            "then move that file away"
        ) from error


def write_places(folder: DataFolder, places: Places, disk: Disk) -> None:
    """Whole or not at all, and durably. Raises OSError."""
    fresh = f"{folder.places}.tmp"
    if disk.exists(fresh):
        disk.unlink(fresh)
    file = disk.open(fresh, "create")
    try:
        file.pwritev([msgspec.json.encode(places)], 0)
        file.sync()
    finally:
        file.close()
    disk.rename(fresh, str(folder.places))
    disk.sync_dir(str(folder.root))


def configured_folders(settings: Settings) -> tuple[DriveFolder, ...]:
    """Where drives stand: what the configuration names, with what was added since and without what
    was removed. Raises StartRefused."""
    places = read_places(DataFolder(Path(settings.data)))
    added = {place.path for place in places.added}
    named = (one for one in named_folders(settings) if one.path not in added)
    return (*(one for one in named if one.path not in places.removed), *places.added)


def named_folders(settings: Settings) -> tuple[DriveFolder, ...]:
    """The drives that the configuration names, else 16 folders inside the data folder: 4 racks of
    2 nodes of 2 drives, so that a drive is neither a node nor a rack."""
    if settings.drives:
        return settings.drives
    root = DataFolder(Path(settings.data)).drives
    return tuple(
        DriveFolder(str(root / f"r{rack}n{node}d{drive}"), f"r{rack}n{node}", f"r{rack}")
        for rack in range(1, RACKS + 1)
        for node in range(1, NODES + 1)
        for drive in range(1, DRIVES + 1)
    )


def new_labels(
    folders: tuple[DriveFolder, ...], entropy: Entropy, zone: int, now_ms: int
) -> list[DriveLabel]:
    """An id for each folder, with its labels."""
    return [DriveLabel(new_id(entropy, zone, now_ms), one.node, one.rack) for one in folders]


def refuse_less(places: Iterable[tuple[str, str]], geometry: Geometry) -> None:
    """Raises StartRefused where drives at these (node, rack) cannot keep a geometry's promise."""
    reason = broken_promise(places, geometry)
    if reason:
        raise StartRefused(
            f"{reason}: name more drives or racks, or a narrower geometry; "
            "to go on with less say --accept-less"
        )


def find_drives(
    folders: tuple[DriveFolder, ...],
    best: Superblock,
    per_path: dict[str, SlotRead],
    disk: Disk,
) -> tuple[DriveFacts, ...]:
    """Which folder is which drive of the zone, and how it is. Raises StartRefused for a folder
    whose drive is labelled for another place, or belongs to another zone: it must not be written
    to. A drive that was away, missed what superblocks say, or lost its own and is known by its
    files, is to be checked."""
    labels = {label.id: label for label in best.drives}
    replaced = {drive for drive, intent in best.intents if intent == REPLACED}
    counted = _newest_that_counted(best, per_path)
    found: dict[bytes, DriveFacts] = {}
    empty: list[tuple[DriveFolder, SlotRead]] = []
    for folder in folders:
        read = per_path[folder.path]
        if read.superblock is None:
            refuse_foreign(folder, read)
            empty.append((folder, read))
            continue
        label = labels.get(read.superblock.drive)
        if label is None:
            raise StartRefused(
                f"{folder.path} holds a drive that is not of this zone: "
                "take it out, or put back the drive that belongs there"
            )
        if (label.node, label.rack) != (folder.node, folder.rack):
            raise StartRefused(
                f"{folder.path} holds a drive labelled node {label.node} in rack {label.rack}, "
                f"but stands for node {folder.node} in rack {folder.rack}: put it back in its place"
            )
        if label.id not in replaced:
            stale = _missed_something(read.superblock, best, counted)
            state = DriveState.CHECKING if stale else DriveState.PRESENT
            why = "it was away" if stale else ""
            found[label.id] = DriveFacts(
                label.id, folder.path, label.node, label.rack, state, why, _intent(label.id, best)
            )
    empty = _known_by_files(found, best, empty, disk)
    _trust_the_log(found, best)
    return tuple(found.get(label.id) or _missing(label, best, empty) for label in best.drives)


def _known_by_files(
    found: dict[bytes, DriveFacts],
    best: Superblock,
    empty: list[tuple[DriveFolder, SlotRead]],
    disk: Disk,
) -> list[tuple[DriveFolder, SlotRead]]:
    """Find drives without superblocks by the headers of their files; the folders that are left."""
    left: list[tuple[DriveFolder, SlotRead]] = []
    away = {label.id: label for label in best.drives if label.id not in found}
    for folder, read in empty:
        owner: bytes | None = None
        if read.status in (SlotStatus.ABSENT, SlotStatus.DAMAGED):
            with suppress(OSError):
                owner = drive_of(disk, folder.path)
        label = away.get(owner or b"")
        if label is None or label_place(label) != (folder.node, folder.rack):
            left.append((folder, read))
            continue
        del away[label.id]
        found[label.id] = DriveFacts(
            label.id,
            folder.path,
            label.node,
            label.rack,
            DriveState.CHECKING,
            f"its superblock is {read.status}",
            _intent(label.id, best),
        )
    return left


def _missed_something(own: Superblock, best: Superblock, counted: int) -> bool:
    """Was it left out of a write that counted, which are all up to generation `counted`? (The last
    write can have been cut although it reached so many; starts that were cut one after the other
    leave several writes that none relied on.)"""
    least = min(best.generation - 1, counted)
    return own.drive in best.unchecked or own.generation < least


def _newest_that_counted(best: Superblock, per_path: dict[str, SlotRead]) -> int:
    """No later generation reached a quorum, so none was relied on."""
    found = sorted(
        (
            read.superblock.generation
            for read in per_path.values()
            if read.superblock is not None and read.superblock.drive in best.counted
        ),
        reverse=True,
    )
    return found[best.quorum - 1] if len(found) >= best.quorum else 0


def _trust_the_log(found: dict[bytes, DriveFacts], best: Superblock) -> None:
    """The end of the log proves itself, and there may be no other: where a chunk's mirrors are all
    on drives to be checked, these are used as they are."""
    for ref in best.log.unsealed:
        members = [found[member] for member in ref.members if member in found]
        if all(member.state is DriveState.CHECKING for member in members):
            for member in members:
                found[member.id] = structs.replace(member, state=DriveState.PRESENT, reason="")


def _intent(drive: bytes, best: Superblock) -> Intent:
    return "drain" if any(one == drive for one, _ in best.intents) else ""


def _missing(
    label: DriveLabel, best: Superblock, empty: list[tuple[DriveFolder, SlotRead]]
) -> DriveFacts:
    path, reason = "", "no folder"
    if (label.id, REPLACED) in best.intents:
        reason = "replaced by another drive"
    else:
        places = [place for place in empty if (place[0].node, place[0].rack) == label_place(label)]
        if places:
            empty.remove(places[0])
            (folder, read), *_ = places
            path, reason = folder.path, read.reason or str(read.status)
    return DriveFacts(
        label.id,
        path,
        label.node,
        label.rack,
        DriveState.MISSING,
        reason,
        _intent(label.id, best),
    )


def label_place(label: DriveLabel) -> tuple[str, str]:
    """The node and rack that a drive is labelled for."""
    return label.node, label.rack


def refuse_foreign(folder: DriveFolder, read: SlotRead) -> None:
    """Raises StartRefused for a folder that holds what must not be written over."""
    if read.status is SlotStatus.FOREIGN:
        raise StartRefused(
            f"{folder.path}/superblock is not Coffre's: take that drive out, or name another folder"
        )
    if read.status is SlotStatus.NEWER:
        raise StartRefused(
            f"{folder.path} has a newer format than this Coffre reads: "
            "start it with the version that wrote it, or a newer one"
        )
    if read.status is SlotStatus.WRONG_KEY:
        raise StartRefused(
            f"{folder.path} was written with {read.reason}, which root.key does not hold: "
            "put back the root.key that you keep, or `coffre key restore` a backup of it"
        )
