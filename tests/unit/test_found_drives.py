"""Which drives a start trusts, by the superblocks that it finds on them."""

from __future__ import annotations

import pytest
from msgspec import structs

from coffre.config import DriveFolder
from coffre.service.drives import find_drives
from coffre.system.disk import LocalDisk
from coffre.vault.drives import DriveState
from coffre.vault.records import Geometry
from coffre.vault.superblock import DriveLabel, SlotRead, SlotStatus, Superblock

LABELS = tuple(DriveLabel(bytes([n]) * 16, f"n{n // 2}", f"r{n // 4}") for n in range(16))
FOLDERS = tuple(DriveFolder(f"/d{n}", label.node, label.rack) for n, label in enumerate(LABELS))
ZONE = Superblock("here", "zone", 1, 5, LABELS, Geometry(12, 4), 3)


def to_be_checked(generations: list[int]) -> list[int]:
    """Drives in doubt, when each holds a superblock of the generation at its place."""
    per_path = {
        folder.path: SlotRead(
            SlotStatus.VALID, structs.replace(ZONE, drive=label.id, generation=generation)
        )
        for folder, label, generation in zip(FOLDERS, LABELS, generations, strict=True)
    }
    best = structs.replace(ZONE, generation=max(generations))
    found = find_drives(FOLDERS, best, per_path, LocalDisk())
    return [n for n, one in enumerate(found) if one.state is DriveState.CHECKING]


def test_all_are_trusted_that_hold_the_last_superblock_or_the_one_before() -> None:
    assert to_be_checked([9] * 16) == []
    assert to_be_checked([9] * 13 + [8] * 3) == []


def test_a_drive_that_missed_what_the_others_have_was_away() -> None:
    assert to_be_checked([9] * 12 + [7] * 4) == [12, 13, 14, 15]
    assert to_be_checked([9] * 6 + [8] * 6 + [3] * 4) == [12, 13, 14, 15]


@pytest.mark.parametrize("reached", [1, 4, 8, 11])
def test_starts_that_were_cut_one_after_the_other_put_no_drive_in_doubt(reached: int) -> None:
    """Each wrote superblocks to some drives, never to as many as make a change count."""
    left = 16 - reached
    assert to_be_checked([9] * reached + [7] * left) == []
    assert to_be_checked([12] * 1 + [11] * 2 + [9] * 3 + [7] * 10) == []
