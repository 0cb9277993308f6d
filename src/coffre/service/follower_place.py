"""Where the follower keeps its file: on another disk than the catalog's, if there is one."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from coffre.vault.drives import DriveSet

FILE = "catalog.sqlite"
_FOLDER = "follower"


def follower_files(path: str, drives: DriveSet) -> list[str]:
    """Files that a follower left in `path` (empty: on any drive that is present), which a start may
    use; the one written last comes first."""
    files = [f"{folder}/{FILE}" for folder in _folders(path, drives)]
    good = [file for file in files if not differs_mark(os.path.dirname(file)).exists()]
    return sorted(filter(os.path.exists, good), key=_written, reverse=True)


def differs_mark(folder: str) -> Path:
    """Stands beside a file that differs from the catalog."""
    return Path(folder) / "differs"


def choose_folder(path: str, drives: DriveSet, data: str) -> str:
    """The folder for the follower's file: `path` if it is set, else where it is already, else on
    the emptiest drive that is on another disk than `data`, if any is. Not on one that is to be
    emptied. Other drives' are removed.

    Raises OSError without any drive.
    """
    if path:
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path
    staying = [f"{drive.path}/{_FOLDER}" for drive in drives.present() if not drive.intent]
    there = [one for one in staying if os.path.exists(f"{one}/{FILE}")]
    there.sort(key=lambda one: _written(f"{one}/{FILE}"))
    folder = there[-1] if there else f"{_best_drive(drives, data)}/{_FOLDER}"
    for other in _folders("", drives):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def may_stay(folder: str, drives: DriveSet) -> bool:
    """Is a chosen folder still on a drive that is not to leave the zone?"""
    return any(folder == f"{drive.path}/{_FOLDER}" and not drive.intent for drive in drives.all())


def clear_drive(path: str) -> None:
    """A drive leaves the zone: names in clear do not leave with it."""
    shutil.rmtree(f"{path}/{_FOLDER}", ignore_errors=True)


def _best_drive(drives: DriveSet, data: str) -> str:
    home = os.stat(data).st_dev
    candidates = []
    for drive in drives.present():
        if not drive.intent:
            with suppress(OSError):
                elsewhere = os.stat(drive.path).st_dev != home
                candidates.append((elsewhere, drives.disk.free_bytes(drive.path) >> 30, drive.path))
    if not candidates:
        raise OSError("no drive is there for the follower's file")
    # Among equals the first by name, so that it is the same one every time.
    best = max(candidates, key=lambda one: one[:2])
    return min(path for *rank, path in candidates if tuple(rank) == best[:2])


def _folders(path: str, drives: DriveSet) -> list[str]:
    return [path] if path else [f"{drive.path}/{_FOLDER}" for drive in drives.present()]


def _written(path: str) -> float:
    """When a file or its WAL was last written."""
    times = [0.0]
    for name in (path, f"{path}-wal"):
        with suppress(OSError):
            times.append(os.stat(name).st_mtime)
    return max(times)
