"""A zone's drive folders: how they are laid out, labelled, and found again at a start."""

from __future__ import annotations

from pathlib import Path

from coffre.config import DriveFolder, Settings
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.zone import DriveFacts
from coffre.system.entropy import Entropy, new_id
from coffre.vault.drives import DriveState
from coffre.vault.superblock import DriveLabel, SlotRead, SlotStatus, Superblock

RACKS, NODES, DRIVES = 4, 2, 2


def configured_folders(settings: Settings) -> tuple[DriveFolder, ...]:
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


def find_drives(
    folders: tuple[DriveFolder, ...], best: Superblock, per_path: dict[str, SlotRead]
) -> tuple[DriveFacts, ...]:
    """Which folder is which drive of the zone. Raises StartRefused for a folder whose drive is
    labelled for another place, or belongs to another zone: it must not be written to."""
    labels = {label.id: label for label in best.drives}
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
        found[label.id] = DriveFacts(
            label.id, folder.path, label.node, label.rack, DriveState.PRESENT
        )
    return tuple(found.get(label.id) or _missing(label, empty) for label in best.drives)


def _missing(label: DriveLabel, empty: list[tuple[DriveFolder, SlotRead]]) -> DriveFacts:
    for place, (folder, read) in enumerate(empty):
        if (folder.node, folder.rack) == (label.node, label.rack):
            del empty[place]
            reason = read.reason or str(read.status)
            return DriveFacts(
                label.id, folder.path, label.node, label.rack, DriveState.MISSING, reason
            )
    return DriveFacts(label.id, "", label.node, label.rack, DriveState.MISSING, "no folder")


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
