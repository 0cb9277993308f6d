"""Leftovers: files on a drive that no row refers to, as cut seals, moves and deletes leave them.

What is a leftover at one look may be work in progress: a file is made before the row that names it.
Only one that is still a leftover some time later is to be removed.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from os.path import dirname

from msgspec import Struct

from coffre.system.disk import Disk
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive
from coffre.vault.headers import BadHeader
from coffre.vault.records import Chunk
from coffre.vault.segments import read_header

_NAME = re.compile(r"(?P<chunk>[0-9a-f]{32})\.(?:mirror|(?P<index>[0-9]+)\.segment)(?P<tmp>\.tmp)?")


class FileName(Struct, frozen=True):
    """What a file's name in a drive's `chunks` says: a mirror has no `index`."""

    chunk: bytes
    index: int | None
    temporary: bool


class Leftover(Struct, frozen=True):
    """A file to be removed, and its size as it was seen: one that grows is being written."""

    path: str
    size: int


def parse_name(name: str) -> FileName | None:
    """None for a name that is none of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    index = None if match["index"] is None else int(match["index"])
    return FileName(bytes.fromhex(match["chunk"]), index, match["tmp"] is not None)


def chunk_files(disk: Disk, drive: Drive) -> Iterator[tuple[str, str]]:
    """(path, name) of every file in a drive's `chunks`, whoever's it is. Raises OSError."""
    root = f"{drive.path}/chunks"
    if not disk.exists(root):
        return
    for folder in sorted(disk.listdir(root)):
        for name in sorted(disk.listdir(f"{root}/{folder}")):
            yield f"{root}/{folder}/{name}", name


def find_leftovers(
    disk: Disk,
    drive: Drive,
    files: Iterable[tuple[str, str]],
    rows: Mapping[bytes, Chunk],
    *,
    epoch: int,
    named: Container[bytes],
) -> list[Leftover]:
    """Those of a drive's `chunk_files` that no row refers to.

    `rows` are read after the files, so that what has no row there had none then, or has none any
    more. Without a row, only a file counts whose header names an epoch before `epoch`, a start of
    the committer that is over: what that start left was recovered or outlawed since, while a mirror
    of this one's may hold the log's next record. Mirrors of the chunks that superblocks name as
    unsealed (`named`, read after the rows) stay whatever the rows say: a start looks for them.
    Names that are not ours are never touched. Raises OSError.
    """
    found: list[Leftover] = []
    for path, name in files:
        parsed = parse_name(name)
        if parsed is None:
            continue
        with suppress(FileNotFoundError):  # Gone since the folder was read.
            is_named = parsed.index is None and parsed.chunk in named and not parsed.temporary
            if is_named:
                continue
            if _is_leftover(disk, path, drive, parsed, rows.get(parsed.chunk), epoch):
                found.append(Leftover(path, _size(disk, path)))
    return found


def remove_leftover(disk: Disk, leftover: Leftover) -> bool:
    """Remove it, unless it is gone or has another size than when it was seen. Raises OSError."""
    if not disk.exists(leftover.path) or _size(disk, leftover.path) != leftover.size:
        return False
    disk.unlink(leftover.path)
    disk.sync_dir(dirname(leftover.path))
    return True


def _is_leftover(
    disk: Disk, path: str, drive: Drive, name: FileName, chunk: Chunk | None, epoch: int
) -> bool:
    if name.temporary:
        return True
    if chunk is None:
        return _is_of_the_past(disk, path, name, epoch)
    if not relaid(chunk):
        return False  # Its mirrors are in use; segments may be about to be.
    if name.index is None:
        return True
    return name.index >= len(chunk.members) or chunk.members[name.index] != drive.id


def _is_of_the_past(disk: Disk, path: str, name: FileName, epoch: int) -> bool:
    try:
        return read_header(disk, path).epoch < epoch
    except BadHeader:
        # A segment was torn before anything could refer to it. Of a mirror nothing can be told.
        return name.index is not None


def _size(disk: Disk, path: str) -> int:
    file = disk.open(path, "read")
    try:
        return file.size()
    finally:
        file.close()
