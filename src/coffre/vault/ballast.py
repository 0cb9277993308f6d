"""Ballast: on each drive a file that holds nothing, given up when there is no other space.

The reserve keeps our own writers from filling a drive; it does not keep others from it. On a drive
without a free byte not even a delete could be logged, and nothing would ever come back. Then the
ballast goes: what it took up is enough for the log of thousands of deletes and for what collection
has to write. It is taken on again once there is room for it above the reserve.

File `<drive>/ballast`; on a file system that can allocate without writing nothing is written.
"""

from __future__ import annotations

from contextlib import suppress

from coffre.system.disk import Disk
from coffre.system.starved import Starved
from coffre.vault.drives import DriveSet, temporary_path

BALLAST = "ballast"
_MOST_BYTES = 4 * 1024 * 1024
# The share of the reserve that it takes up.
_SHARE = 256
_PAGE = 4096


def ballast_bytes(reserve_bytes: int) -> int:
    """How long the file is on a drive with this reserve: whole pages, 0 for none."""
    return min(_MOST_BYTES, reserve_bytes // _SHARE) // _PAGE * _PAGE


def take_on(disk: Disk, folder: str, size: int, reserve_bytes: int) -> None:
    """Make a folder's ballast of `size` bytes, unless it is there or there is no room for it above
    the reserve. Blocks. Raises OSError."""
    path = f"{folder}/{BALLAST}"
    if not size or disk.exists(path) or disk.free_bytes(folder) <= reserve_bytes + size:
        return
    unfinished = temporary_path(path)
    if disk.exists(unfinished):
        disk.unlink(unfinished)
    file = disk.open(unfinished, "create")
    try:
        # Not every file system can, and not every `File`.
        allocate = getattr(file, "allocate", None)
        if allocate is None or not allocate(size):
            file.pwritev([bytes(size)], 0)
        file.sync()
    finally:
        file.close()
    disk.rename(unfinished, path)
    disk.sync_dir(folder)


def throw_off(drives: DriveSet) -> bool:
    """Give up the ballast of every drive that is present; was there any? Blocks."""
    thrown = [throw_off_from(drives.disk, drive.path) for drive in drives.present()]
    return any(thrown)


def throw_off_from(disk: Disk, folder: str) -> bool:
    """Give up the ballast of one folder; was there any? Blocks."""
    with suppress(OSError, Starved):
        disk.unlink(f"{folder}/{BALLAST}")
        # Until then a file system with a journal may keep the space to itself.
        disk.sync_dir(folder)
        return True
    return False
