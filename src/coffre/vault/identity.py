"""Which drive a folder is whose superblock is gone: every file on it says so in its header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from coffre.system.disk import Disk
from coffre.vault.headers import BadHeader
from coffre.vault.segments import read_header

# Enough to tell a drive from one that a file or two strayed to.
_FILES = 32


def drive_of(disk: Disk, path: str) -> bytes | None:
    """The id of the drive that most of the first files in folder `path` were written for; None
    where no file tells. Raises OSError."""
    owners: Counter[bytes] = Counter()
    for file in islice(_files(disk, path), _FILES):
        with suppress(BadHeader, OSError):
            header = read_header(disk, file)
            if header.index < len(header.members):
                owners[header.members[header.index]] += 1
    return max(owners, key=lambda one: owners[one]) if owners else None


def is_drive(disk: Disk, path: str) -> bool:
    """Do files in folder `path` say that it is a drive, whatever stands in its superblock? A drive
    that lied about its syncs can lose both slots at once, with every mark of ours."""
    with suppress(OSError):
        return drive_of(disk, path) is not None
    return False


def _files(disk: Disk, path: str) -> Iterator[str]:
    root = f"{path}/chunks"
    for folder in disk.listdir(root) if disk.exists(root) else ():
        for name in disk.listdir(f"{root}/{folder}"):
            if name.endswith((".mirror", ".segment")):
                yield f"{root}/{folder}/{name}"
