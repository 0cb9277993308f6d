"""Segment files: made under their final or a temporary name, written by units, read verified.

All calls block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress

from coffre.system.buffer import Buffer
from coffre.system.disk import IOV_MAX, Disk, File
from coffre.vault.blocks import (
    BadBlock,
    physical,
    relaid,
    segment_seed,
    stored_pieces,
    stored_range,
    verified,
)
from coffre.vault.drives import (
    Drive,
    DriveSet,
    chunk_dir,
    ensure_chunk_dir,
    mirror_path,
    segment_path,
    temporary_path,
)
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader, decode_header
from coffre.vault.records import BLOCK_BYTES, Chunk, ChunkKind, ChunkState


class SegmentFile:
    """One segment that is being written."""

    def __init__(self, disk: Disk, drive: Drive, header: ChunkHeader, *, temporary: bool) -> None:
        """Make the file with its header. Raises OSError (FileExistsError where one stands).

        `temporary`: the name is not the final one until `publish`.
        """
        self.drive = drive
        self.index = header.index
        self._disk = disk
        self._header = header
        self._path = segment_path(drive, header.chunk, header.index)
        self._name = temporary_path(self._path) if temporary else self._path
        self.seed = segment_seed(header.chunk, header.index, header.epoch)
        ensure_chunk_dir(disk, drive, header.chunk)
        if temporary and disk.exists(self._name):
            disk.unlink(self._name)  # What a crash left of an earlier try.
        self._file = disk.open(self._name, "create")
        self._file.pwritev([header.encode()], 0)
        if not temporary:
            disk.sync_dir(chunk_dir(drive, header.chunk))

    def write(self, units: Sequence[Buffer], position: int) -> None:
        """Write units (whole blocks each) one after the other from payload `position`."""
        pieces: list[Buffer] = []
        at = position
        for unit in units:
            pieces += stored_pieces(unit, self.seed, at // BLOCK_BYTES)
            at += len(unit)
        offset = physical(position)
        for first in range(0, len(pieces), IOV_MAX):
            offset += self._file.pwritev(pieces[first : first + IOV_MAX], offset)

    def read(self, position: int, length: int) -> bytes:
        """Payload as it stands on the drive, verified. Raises BadBlock."""
        return read_payload(self._file, self.seed, position, length)

    def sync(self) -> None:
        self._file.sync()

    def publish(self) -> None:
        """Give a temporary file its final name, durably. Call after `sync`."""
        self._disk.rename(self._name, self._path)
        self._disk.sync_dir(chunk_dir(self.drive, self._header.chunk))
        self._name = self._path

    def discard(self) -> None:
        """Close and remove a file that is not to be kept."""
        self.close()
        self._disk.unlink(self._name)

    def close(self) -> None:
        self._file.close()


def read_payload(file: File, seed: int, position: int, length: int) -> bytes:
    """Payload position..position+length of a segment. Raises BadBlock, OSError."""
    offset, stored = stored_range(position, length)
    data = file.pread(stored, offset)
    if len(data) < stored:
        raise BadBlock(f"the file ends before payload byte {position + length}")
    return verified(data, seed, position, length)


def read_header(disk: Disk, path: str) -> ChunkHeader:
    """The header of a mirror or segment file. Raises OSError, BadHeader."""
    file = disk.open(path, "read")
    try:
        return decode_header(file.pread(HEADER_BYTES, 0))
    finally:
        file.close()


def header_of(drives: DriveSet, chunk: Chunk) -> ChunkHeader | None:
    """What the first of a chunk's files that can be read says of it; None when none can."""
    mirror = chunk.kind is ChunkKind.LANDING and chunk.state is not ChunkState.SEALED
    for index, member in enumerate(chunk.members):
        drive = drives.member(member)
        if drive is not None:
            at = drive, chunk.id
            path = mirror_path(*at) if mirror else segment_path(*at, index)
            with suppress(OSError, BadHeader):
                return read_header(drives.disk, path)
    return None


def sealed_at_once(drives: DriveSet, chunk: Chunk) -> Chunk | None:
    """A chunk as its row will be once the rows hear that it was sealed, by its files: it lacks
    mirrors on drives that are there, and has segments instead. None where nothing of that is so.

    Rows hear of what was sealed at once (`coffre seal --now`) with the log's next group, whenever
    that comes; mirrors go before.
    """
    if relaid(chunk) or chunk.kind is not ChunkKind.LANDING:
        return None
    here = [drive for one in chunk.members if (drive := drives.member(one)) is not None]
    if here and all(drives.disk.exists(mirror_path(drive, chunk.id)) for drive in here):
        return None
    found = find_sealed(drives, chunk.id)
    return found if found is not None and found.length >= chunk.length else None


def find_sealed(drives: DriveSet, chunk_id: bytes) -> Chunk | None:
    """A re-laid chunk by looking for its segments on every present drive.

    For a chunk that was sealed although the catalog does not say so yet. None with fewer than k.
    """
    return next(iter(sealed_ways(drives, chunk_id)), None)


def sealed_ways(drives: DriveSet, chunk_id: bytes) -> list[Chunk]:
    """Every way in which enough segments of a re-laid chunk lie on present drives.

    A seal that was given up may have left segments of another geometry, with headers and without
    all that belongs behind them: the way that has most to spare comes first, and whoever cannot
    read it tries the next.
    """
    found: defaultdict[tuple[int, int, int, int], dict[int, bytes]] = defaultdict(dict)
    for drive in drives.present():
        for header in _segment_headers(drives, drive, chunk_id):
            found[header.k, header.m, header.epoch, header.length][header.index] = drive.id
    ways = [
        Chunk(
            chunk_id,
            ChunkKind.LANDING,
            ChunkState.SEALED,
            "",
            epoch,
            k,
            m,
            tuple(places.get(index, b"") for index in range(k + m)),
            length,
        )
        for (k, m, epoch, length), places in sorted(found.items(), reverse=True)
        if len(places) >= k
    ]
    return sorted(ways, key=lambda way: way.k - sum(map(bool, way.members)))


def _segment_headers(drives: DriveSet, drive: Drive, chunk_id: bytes) -> Iterator[ChunkHeader]:
    """Of the segments of a chunk on a drive, those that can be read."""
    prefix, folder = chunk_id.hex() + ".", chunk_dir(drive, chunk_id)
    with suppress(OSError):
        for name in drives.disk.listdir(folder):
            if name.startswith(prefix) and name.endswith(".segment"):
                with suppress(OSError, BadHeader):
                    yield read_header(drives.disk, f"{folder}/{name}")
