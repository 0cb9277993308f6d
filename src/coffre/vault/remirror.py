"""Mirrors of a landing chunk made again from those that are left, every group proved on the way."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from os.path import dirname

from msgspec import structs

from coffre.system.disk import Disk, File
from coffre.vault.drives import Drive, DriveSet, ensure_chunk_dir, mirror_path, temporary_path
from coffre.vault.headers import HEADER_BYTES, ChunkHeader
from coffre.vault.landing import GROUP_HEADER_BYTES, decode_group_header, scan

_PIECE = 1024 * 1024


def copy_prefix(
    drives: DriveSet,
    header: ChunkHeader,
    sources: Sequence[Drive],
    targets: Sequence[Drive],
    length: int,
) -> dict[bytes, OSError]:
    """Give each of `targets` a mirror with the first `length` bytes of a chunk, under `header`
    (whose members name the targets). The first of `sources` holds all of them; a group that rotted
    there is taken from the next that has it whole, which may be a target that lacks the end. File
    and name are synced; a file left by an earlier attempt is replaced. Blocks.

    What went wrong with targets that have none, by drive id. Raises OSError when the first source
    fails, or another as it is read.
    """
    disk, path = drives.disk, partial(mirror_path, chunk_id=header.chunk)
    wrong: dict[bytes, OSError] = {}
    files: dict[bytes, File] = {}

    def begin(target: Drive) -> None:
        ensure_chunk_dir(disk, target, header.chunk)
        temporary = temporary_path(path(target))
        if disk.exists(temporary):
            disk.unlink(temporary)
        files[target.id] = disk.open(temporary, "create")
        own = structs.replace(header, index=header.members.index(target.id))
        files[target.id].pwritev([own.encode()], 0)

    def finish(target: Drive) -> None:
        files[target.id].sync()
        disk.rename(temporary_path(path(target)), path(target))
        disk.sync_dir(dirname(path(target)))

    def each(step: Callable[[Drive], object]) -> None:
        for target in targets:
            if target.id not in wrong:
                try:
                    step(target)
                except OSError as error:
                    wrong[target.id] = error

    originals = {sources[0].id: disk.open(path(sources[0]), "read")}
    for source in sources[1:]:
        with suppress(OSError):
            originals[source.id] = disk.open(path(source), "read")
    sources = [source for source in sources if source.id in originals]
    try:
        if originals[sources[0].id].size() < HEADER_BYTES + length:
            raise OSError(errno.EIO, "the mirror ends before its prefix does", path(sources[0]))
        each(begin)
        for source, start, stop in _whole_runs(disk, header, sources, length):
            for at in range(HEADER_BYTES + start, HEADER_BYTES + stop, _PIECE):
                piece = originals[source.id].pread(min(_PIECE, HEADER_BYTES + stop - at), at)
                each(lambda target, piece=piece, at=at: files[target.id].pwritev([piece], at))  # type: ignore[misc]
        each(finish)
    finally:
        for file in (*originals.values(), *files.values()):
            file.close()
    for target in targets:
        if target.id in wrong:
            with suppress(OSError):
                disk.unlink(temporary_path(path(target)))
    return wrong


def _whole_runs(
    disk: Disk, header: ChunkHeader, sources: Sequence[Drive], length: int
) -> Iterator[tuple[Drive, int, int]]:
    """Whose bytes from where to where are whole groups. One that is whole nowhere is the first
    source's, as it is: what follows it must not be lost with it."""
    at = 0
    while at < length:
        start = at
        for source in sources:
            with suppress(OSError):
                for group in scan(disk, mirror_path(source, header.chunk), header, start=start):
                    at = group.end
                    if at >= length:
                        break
            if at > start:
                yield source, start, at
                break
        else:
            file = disk.open(mirror_path(sources[0], header.chunk), "read")
            rotten = decode_group_header(
                file.pread(GROUP_HEADER_BYTES, HEADER_BYTES + start), header.chunk
            )
            file.close()
            at = length if rotten is None else min(length, start + rotten.group_bytes)
            yield sources[0], start, at
