"""The follower's file, with names in clear, is on no drive that is to leave the zone."""

from __future__ import annotations

from pathlib import Path

from coffre.service.follower_place import FILE, choose_folder, clear_drive, may_stay
from coffre.system.disk import LocalDisk
from coffre.vault.drives import Drive, DriveSet


def zone(tmp_path: Path) -> DriveSet:
    drives = [Drive(name.encode() * 16, str(tmp_path / name), name, name) for name in "ab"]
    for drive in drives:
        Path(drive.path).mkdir()
    return DriveSet(LocalDisk(), drives)


def test_it_moves_off_a_drive_that_is_to_be_emptied_and_leaves_nothing_there(
    tmp_path: Path,
) -> None:
    drives = zone(tmp_path)
    first = Path(choose_folder("", drives, str(tmp_path)))
    (first / FILE).write_bytes(b"names in clear")
    assert choose_folder("", drives, str(tmp_path)) == str(first), "it stays where it is"
    assert may_stay(str(first), drives)
    (left,) = [drive for drive in drives.all() if drive.path == str(first.parent)]
    drives.intend(left.id, "drain")
    assert not may_stay(str(first), drives)
    second = choose_folder("", drives, str(tmp_path))
    assert second != str(first)
    assert not first.exists()


def test_a_drive_that_was_removed_keeps_no_copy(tmp_path: Path) -> None:
    drives = zone(tmp_path)
    folder = Path(choose_folder("", drives, str(tmp_path)))
    (folder / FILE).write_bytes(b"names in clear")
    clear_drive(str(folder.parent))
    assert list(folder.parent.iterdir()) == []
    for drive in list(drives.all()):
        drives.forget(drive.id)
    assert not may_stay(str(folder), drives)
