"""Sealing: a landing chunk re-laid as segments over k+m drives, and what sealing leaves behind.

The steps, each safe to be cut by a crash: find which mirror holds which groups whole; write
segments under temporary names, sync them; read everything back and check every group again; rename
them and sync their folders. Only then may the catalog say so, and only then the mirrors go. A seal
that starts again replaces what an earlier one left. All calls block; memory: a few rows.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from os.path import dirname
from typing import NamedTuple, cast

from msgspec import Struct, structs

from coffre.system.buffer import Buffer
from coffre.system.disk import Disk, File
from coffre.vault.blocks import BadBlock, payload_bytes, runs, split_row, unit_for
from coffre.vault.drives import Drive, DriveSet, mirror_path
from coffre.vault.erasure import encode
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader
from coffre.vault.interface import DataLost
from coffre.vault.landing import scan
from coffre.vault.records import (
    GEOMETRIES,
    STRIPE_UNIT,
    Chunk,
    ChunkKind,
    ChunkState,
    Extent,
    Geometry,
)
from coffre.vault.segments import SegmentFile, read_header


class Sealed(Struct, frozen=True):
    """A re-laid chunk, synced and in place: what `SealChunk` says to the catalog."""

    id: bytes
    k: int
    m: int
    members: tuple[bytes, ...]
    length: int


class SealMismatch(Exception):
    """What was written and read back is not what the mirrors hold, though every block is whole:
    nothing was sealed, the mirrors stay."""


class _DriveFailed(Exception):
    """A drive failed while segments were made: start again without it."""


class _Source(NamedTuple):
    """Bytes start..stop of the chunk are whole groups in this drive's mirror."""

    drive: Drive
    start: int
    stop: int


def seal(
    chunk: Chunk,
    drives: DriveSet,
    *,
    last_sequence: int | None = None,
    wanted: Geometry = GEOMETRIES[0],
) -> Sealed:
    """Re-lay a landing chunk that takes no more groups: all groups, up to that of `last_sequence`.

    With None, what follows the last group that is whole on any mirror is taken for nothing: only
    the log can tell a torn end from one that rotted on every mirror. Every group's checksums are
    verified on the mirror that it is taken from, and again on what was written. A drive that fails
    is marked failed; the rest go on, in a narrower geometry if need be. Raises DataLost when no
    present mirror has a group whole, StorageFull, SealMismatch.
    """
    while True:
        header, sources = _sources(chunk, drives, last_sequence)
        geometry, chosen = drives.choose_segments(wanted)
        header = structs.replace(
            header,
            role="segment",
            k=geometry.k,
            m=geometry.m,
            members=tuple(drive.id for drive in chosen),
            epoch=chunk.epoch,
            length=sources[-1].stop if sources else 0,
        )
        try:
            _re_lay(drives, header, chosen, sources)
        except _DriveFailed:
            continue
        return Sealed(chunk.id, geometry.k, geometry.m, header.members, header.length)


def _sources(
    chunk: Chunk, drives: DriveSet, last_sequence: int | None
) -> tuple[ChunkHeader, list[_Source]]:
    """Which mirror to take what from. A bad group on one is taken from the next."""
    header: ChunkHeader | None = None
    sources: list[_Source] = []
    at, sequence, more = 0, -1, True
    while more and sequence != last_sequence:
        more = False
        for drive in (drive for one in chunk.members if (drive := drives.member(one))):
            path = mirror_path(drive, chunk.id)
            start = at
            with suppress(OSError, BadHeader):
                own = read_header(drives.disk, path)
                header = header or own
                for group in scan(drives.disk, path, own, start=start):
                    at, sequence = group.end, group.header.sequence
                    if sequence == last_sequence:
                        break
            if at > start:
                sources.append(_Source(drive, start, at))
                more = True
            if sequence == last_sequence:
                break
    if header is None or (last_sequence is not None and sequence != last_sequence):
        raise DataLost(f"chunk {chunk.id.hex()}: no mirror has a whole group at byte {at}")
    return header, sources


def _re_lay(
    drives: DriveSet, header: ChunkHeader, chosen: Sequence[Drive], sources: Sequence[_Source]
) -> None:
    """Write, sync, verify and publish one set of segments, or leave none. Raises _DriveFailed."""
    with ExitStack() as undo:
        files: list[SegmentFile] = []
        for index, drive in enumerate(chosen):
            own = structs.replace(header, index=index)
            with _blaming(drives, drive):
                files.append(SegmentFile(drives.disk, drive, own, temporary=True))
            undo.callback(_discard, files[-1])
        for position, units in _rows(drives, header, sources):
            for file, unit in zip(files, units, strict=True):
                with _blaming(drives, file.drive):
                    file.write([unit], position)
        for file in files:
            with _blaming(drives, file.drive):
                file.sync()
                _read_back(file, header)
        _check_groups(header, files)
        for file in files:
            with _blaming(drives, file.drive):
                file.publish()
        undo.pop_all()
    for file in files:
        file.close()


@contextmanager
def _blaming(drives: DriveSet, drive: Drive) -> Iterator[None]:
    """What goes wrong inside is this drive's fault."""
    try:
        yield
    except (OSError, BadBlock) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            drives.fill(drive.id)
        else:
            drives.fail(drive.id, f"seal: {error}")
        raise _DriveFailed from error


def _discard(file: SegmentFile) -> None:
    with suppress(OSError):  # A drive that fails keeps its file: the sweeper comes by.
        file.discard()


def _rows(
    drives: DriveSet, header: ChunkHeader, sources: Sequence[_Source]
) -> Iterator[tuple[int, list[Buffer]]]:
    """Every row of the chunk: payload position, k data and m coding units."""
    with ExitStack() as stack:
        opened: list[tuple[_Source, File]] = []
        for source in sources:
            with _blaming(drives, source.drive):
                file = drives.disk.open(mirror_path(source.drive, header.chunk), "read")
            stack.callback(file.close)
            opened.append((source, file))
        size = header.k * STRIPE_UNIT
        for row, at in enumerate(range(0, header.length, size)):
            stop = min(at + size, header.length)
            pieces: list[bytes] = []
            for source, file in opened:
                low, high = max(at, source.start), min(stop, source.stop)
                if low < high:
                    with _blaming(drives, source.drive):
                        pieces.append(file.pread(high - low, HEADER_BYTES + low))
            data = memoryview(b"".join(pieces))
            units = split_row(data, header.k, unit_for(stop - at, header.k))
            yield row * STRIPE_UNIT, [*units, *encode(header.k, header.m, units)]


def _read_back(file: SegmentFile, header: ChunkHeader) -> None:
    """Raises BadBlock where the file does not hold what its checksums say."""
    end = payload_bytes(header.length, header.k)
    for at in range(0, end, STRIPE_UNIT):
        file.read(at, min(STRIPE_UNIT, end - at))


class _ReLaid:
    """New segments, read as though they were a mirror, so that `scan` can check their groups."""

    def __init__(self, header: ChunkHeader, files: Sequence[SegmentFile]) -> None:
        self._files = files
        self._extent = Extent(header.chunk, 0, header.length)
        self._chunk = Chunk(
            id=header.chunk,
            kind=ChunkKind.LANDING,
            state=ChunkState.SEALED,
            owner="",
            epoch=header.epoch,
            k=header.k,
            m=header.m,
            members=header.members,
            length=header.length,
        )

    def open(self, path: str, mode: str) -> _ReLaid:
        return self

    def size(self) -> int:
        return HEADER_BYTES + self._extent.length

    def pread(self, length: int, offset: int) -> bytes:
        start = offset - HEADER_BYTES
        length = min(length, self._extent.length - start)
        rows = runs(self._chunk, self._extent, start, length)
        return b"".join(
            self._files[run.segment].read(run.position, run.length) for row in rows for run in row
        )

    def close(self) -> None:
        """The segments stay open."""


def _check_groups(header: ChunkHeader, files: Sequence[SegmentFile]) -> None:
    """Raises SealMismatch unless every group is whole in the segments, up to the length."""
    end = 0
    for group in scan(cast(Disk, _ReLaid(header, files)), "", header):
        end = group.end
    if end != header.length:
        raise SealMismatch(f"chunk {header.chunk.hex()}: the group at byte {end} is not whole")


def remove_mirrors(drives: DriveSet, chunk_id: bytes) -> None:
    """Remove a sealed chunk's mirrors from all present drives. Call once the catalog knows the
    segments. Raises OSError; what is gone already is no error."""
    for drive in drives.present():
        path = mirror_path(drive, chunk_id)
        if drives.disk.exists(path):
            _remove(drives, path)


def _remove(drives: DriveSet, path: str) -> None:
    drives.disk.unlink(path)
    drives.disk.sync_dir(dirname(path))
