"""The machine's own disk: which errors are a disk's, and which this process's."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from coffre.system.disk import LocalDisk
from coffre.system.starved import Starved


def test_without_file_descriptors_no_disk_is_to_blame(tmp_path: Path) -> None:
    disk, path = LocalDisk(), str(tmp_path / "file")
    disk.open(path, "create").close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        for work in (
            lambda: disk.open(path, "read"),
            lambda: disk.sync_dir(str(tmp_path)),
            lambda: disk.listdir(str(tmp_path)),
        ):
            with pytest.raises(Starved, match="Too many open files"):
                work()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_a_disk_says_of_itself_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalDisk().open(str(tmp_path / "nothing"), "read")
