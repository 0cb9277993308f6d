"""Snapshots of the catalog on drives: one encrypted stream over k+m segment files.

Segment `<drive>/snapshots/<id>.<index>.segment`: a header of 4096 bytes, then blocks (16 KiB of
payload and its checksum, as in every segment: `coffre.vault.blocks`, seeded with snapshot id, index
and epoch). Row r is 1 MiB in every segment at payload position r MiB; the last row has the smallest
multiple of 16 KiB that holds the rest. The data units, one after the other, are the stream, padded
with zeros. The header, integers big-endian:

    offset  bytes  what
         0      8  magic "COFFRESN"
         8      2  version (1)
        10      1  index of this file among the members
        11      1  k (data segments)
        12      1  m (coding segments)
        13      1  number of members
        14      2  zeros
        16     16  snapshot id
        32      8  epoch of the writer
        40      8  root key id
        48      8  sequence of the last record that the rows hold
        56      8  length: bytes of the stream
        64     64  region, UTF-8, padded with NUL
       128     64  zone, UTF-8, padded with NUL
       192     32  hash of that record
       224      4  schema version of the rows
       256   16*n  drive ids of the members in index order
      4080     16  xxh3-128 of bytes 0..4080

The stream is frames of 1 MiB, the last one shorter: AES-256-GCM under `derive("snapshot", id)` of
the root key that the header names, nonce = frame number (12 bytes), associated data = id, frame
number (8 bytes), 1 for the last frame else 0. A snapshot id is never used twice. The frames'
plaintext is one zlib stream of a SQLite file (`coffre.catalog.snapshots`).

All calls block; memory: a few rows, whatever the length.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct, structs
from xxhash import xxh3_128_digest

from coffre.system.buffer import Buffer
from coffre.system.disk import IOV_MAX, Disk, File
from coffre.vault.blocks import (
    BadBlock,
    payload_bytes,
    physical,
    segment_seed,
    split_row,
    stored_pieces,
    unit_for,
)
from coffre.vault.drives import Drive, DriveSet, temporary_path
from coffre.vault.erasure import decode, encode
from coffre.vault.headers import HEADER_BYTES, BadHeader, Origin
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.keys import RootKey, RootKeys
from coffre.vault.records import BLOCK_BYTES, STRIPE_UNIT, Geometry
from coffre.vault.segments import read_payload
from coffre.vault.superblock import SnapshotRef

VERSION = 1
FRAME_BYTES = STRIPE_UNIT
_TAG_BYTES = 16
_MAGIC = b"COFFRESN"
_FIXED = struct.Struct(">8sH4B2x16sQ8sQQ64s64s32sI28x")
_CHECKED_BYTES = HEADER_BYTES - 16
_MEMBER_BYTES = 16
_MOST_MEMBERS = 64
_SUFFIX = ".segment"
# How much more of each segment is written before drives are asked again whether they have room.
_LOOK_EVERY_BYTES = 16 * STRIPE_UNIT
_LEVEL = 3


class ArchiveFailed(Exception):
    """A drive failed (and is marked so) while a snapshot was written: try again without it."""


class ArchiveHeader(Struct, frozen=True):
    """What one segment of a snapshot says of itself and of the whole."""

    region: str
    zone: str
    snapshot: SnapshotRef
    key_id: bytes
    index: int
    k: int
    m: int
    members: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The 4096 bytes. Raises ValueError when a field does not fit."""
        region, zone = self.region.encode(), self.zone.encode()
        if len(region) > 64 or len(zone) > 64 or len(self.members) > _MOST_MEMBERS:
            raise ValueError("region and zone take at most 64 bytes, members at most 64")
        of = self.snapshot
        fixed = _FIXED.pack(
            _MAGIC,
            VERSION,
            self.index,
            self.k,
            self.m,
            len(self.members),
            of.id,
            of.epoch,
            self.key_id,
            of.sequence,
            of.length,
            region,
            zone,
            of.hash,
            of.schema_version,
        )
        checked = (fixed + b"".join(self.members)).ljust(_CHECKED_BYTES, b"\0")
        return checked + xxh3_128_digest(checked)


def decode_archive_header(data: bytes) -> ArchiveHeader:
    """Read a header from a file's first 4096 bytes. Raises BadHeader."""
    if len(data) < HEADER_BYTES or data[:8] != _MAGIC:
        raise BadHeader("no snapshot header")
    if xxh3_128_digest(data[:_CHECKED_BYTES]) != data[_CHECKED_BYTES:HEADER_BYTES]:
        raise BadHeader("a snapshot header with a wrong checksum")
    _, version, index, k, m, count, *rest = _FIXED.unpack_from(data)
    if version > VERSION:
        raise BadHeader(f"a snapshot of version {version}: this Coffre reads up to {VERSION}")
    snapshot, epoch, key_id, sequence, length, region, zone, digest, schema = rest
    members = (data[_FIXED.size + 16 * i : _FIXED.size + 16 * i + 16] for i in range(count))
    return ArchiveHeader(
        region.rstrip(b"\0").decode(),
        zone.rstrip(b"\0").decode(),
        SnapshotRef(snapshot, epoch, sequence, digest, schema, length),
        key_id,
        index,
        k,
        m,
        tuple(members),
    )


def archive_dir(drive: Drive) -> str:
    return f"{drive.path}/snapshots"


def archive_path(drive: Drive, snapshot: bytes, index: int) -> str:
    return f"{archive_dir(drive)}/{snapshot.hex()}.{index}{_SUFFIX}"


class Archive(Struct, frozen=True):
    """A snapshot as it was found: the header of one of its segments, and the drive of each segment
    that is there, by index."""

    header: ArchiveHeader
    places: dict[int, Drive]

    @property
    def whole(self) -> bool:
        return len(self.places) == self.header.k + self.header.m


def find_archive(drives: DriveSet, snapshot: SnapshotRef) -> Archive | None:
    """The segments of a snapshot on the drives that are present. None with fewer than k."""
    shapes: dict[tuple[int, int], dict[int, Drive]] = {}
    headers: dict[tuple[int, int], ArchiveHeader] = {}
    for drive in drives.present():
        with suppress(OSError):
            for name in _names(drives.disk, drive):
                if not name.startswith(f"{snapshot.id.hex()}.") or not name.endswith(_SUFFIX):
                    continue
                with suppress(BadHeader):
                    header = _read_header(drives.disk, f"{archive_dir(drive)}/{name}")
                    if header.snapshot == snapshot:
                        shape = (header.k, header.m)
                        headers[shape] = header
                        shapes.setdefault(shape, {})[header.index] = drive
    for shape in sorted(shapes, reverse=True):
        if len(shapes[shape]) >= shape[0]:
            return Archive(headers[shape], shapes[shape])
    return None


def remove_archives(drives: DriveSet, keep: Iterable[bytes]) -> int:
    """Unlink every snapshot's file on present drives but those of the ids in `keep`; how many.
    What cannot be removed is only space."""
    kept = {one.hex() for one in keep}
    removed = 0
    for drive in drives.present():
        with suppress(OSError):
            gone = [name for name in _names(drives.disk, drive) if name.split(".")[0] not in kept]
            for name in gone:
                drives.disk.unlink(f"{archive_dir(drive)}/{name}")
            if gone:
                drives.disk.sync_dir(archive_dir(drive))
            removed += len(gone)
    return removed


def write_archive(
    drives: DriveSet,
    origin: Origin,
    snapshot: SnapshotRef,
    stream: Iterable[bytes],
    root: RootKey,
    wanted: Geometry,
) -> Archive:
    """Write `stream` (bytes as `compressed` gives them) as the snapshot's segments: synced, read
    back, under their final names. `snapshot.length` is filled in.

    Raises ArchiveFailed, StorageFull; what was written is gone then.
    """
    geometry, chosen = drives.choose_segments(wanted)
    header = ArchiveHeader(
        origin.region,
        origin.zone,
        snapshot,
        root.id,
        0,
        geometry.k,
        geometry.m,
        tuple(drive.id for drive in chosen),
    )
    with ExitStack() as undo:
        segments: list[_Segment] = []
        for index, drive in enumerate(chosen):
            with _blaming(drives, drive):
                segments.append(_Segment(drives.disk, drive, snapshot, index))
            undo.callback(segments[-1].discard)
        length = 0
        for position, row in _rows(_sealed(stream, snapshot.id, root), geometry.k):
            units = split_row(memoryview(row), geometry.k, unit_for(len(row), geometry.k))
            for segment, unit in zip(
                segments, [*units, *encode(geometry.k, geometry.m, units)], strict=True
            ):
                with _blaming(drives, segment.drive):
                    segment.write(unit, position)
            length += len(row)
            if position % _LOOK_EVERY_BYTES == 0 and not drives.have_room(header.members):
                raise StorageFull("a snapshot would use up what drives keep in reserve")
        header = structs.replace(header, snapshot=structs.replace(snapshot, length=length))
        for segment in segments:
            with _blaming(drives, segment.drive):
                segment.finish(structs.replace(header, index=segment.index))
        for segment in segments:
            with _blaming(drives, segment.drive):
                segment.publish()
        undo.pop_all()
    for segment in segments:
        segment.file.close()
    return Archive(header, dict(enumerate(chosen)))


def bad_segments(drives: DriveSet, archive: Archive) -> set[int]:
    """Read every block of every segment: the indexes of those that are away or not whole."""
    header = archive.header
    length = payload_bytes(header.snapshot.length, header.k)
    bad = set(range(header.k + header.m)) - archive.places.keys()
    for index, drive in archive.places.items():
        try:
            with _opened(drives.disk, archive_path(drive, header.snapshot.id, index)) as file:
                _read_all(file, _seed(header.snapshot, index), length)
        except (OSError, BadBlock):
            bad.add(index)
    return bad


def read_archive(drives: DriveSet, archive: Archive, roots: RootKeys) -> Iterator[bytes]:
    """The stream again, as pieces that `expanded` takes, decoded around what is not there.

    Raises DataLost, and UnknownRootKey.
    """
    header = archive.header
    snapshot = header.snapshot
    aead = AESGCM(roots.by_id(header.key_id).derive("snapshot", snapshot.id))
    left = bytearray()
    number, at = 0, 0
    for row in _stored_rows(drives, archive):
        left += row
        while len(left) >= FRAME_BYTES or (left and at + len(left) == snapshot.length):
            frame = bytes(left[:FRAME_BYTES])
            del left[:FRAME_BYTES]
            at += len(frame)
            nonce, binding = _bind(snapshot.id, number, last=at == snapshot.length)
            try:
                yield aead.decrypt(nonce, frame, binding)
            except InvalidTag as error:
                raise DataLost(f"snapshot {snapshot.id.hex()}: a frame fails its tag") from error
            number += 1


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A zlib stream of `pieces`."""
    squeeze = zlib.compressobj(_LEVEL)
    for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()


def expanded(stream: Iterable[bytes]) -> Iterator[bytes]:
    """What `compressed` was given, in pieces of at most 1 MiB. Raises DataLost."""
    expand = zlib.decompressobj()
    try:
        for piece in stream:
            yield expand.decompress(piece, STRIPE_UNIT)
            while expand.unconsumed_tail:
                yield expand.decompress(expand.unconsumed_tail, STRIPE_UNIT)
    except zlib.error as error:
        raise DataLost(f"a snapshot does not expand: {error}") from error
    if not expand.eof:
        raise DataLost("a snapshot ends before its end")


class _Segment:
    """One segment file that is being written, under its temporary name until `publish`."""

    def __init__(self, disk: Disk, drive: Drive, snapshot: SnapshotRef, index: int) -> None:
        self.drive = drive
        self.index = index
        self._disk = disk
        self._path = archive_path(drive, snapshot.id, index)
        self._seed = _seed(snapshot, index)
        self._end = 0
        with suppress(FileExistsError):
            disk.mkdir(archive_dir(drive))
        disk.sync_dir(drive.path)
        self.file = disk.open(temporary_path(self._path), "create")

    def write(self, unit: Buffer, position: int) -> None:
        pieces = stored_pieces(unit, self._seed, position // BLOCK_BYTES)
        offset = physical(position)
        for first in range(0, len(pieces), IOV_MAX):
            offset += self.file.pwritev(pieces[first : first + IOV_MAX], offset)
        self._end = position + len(unit)

    def finish(self, header: ArchiveHeader) -> None:
        """Header, sync, and all of it read again. Raises BadBlock."""
        self.file.pwritev([header.encode()], 0)
        self.file.sync()
        _read_all(self.file, self._seed, self._end)

    def publish(self) -> None:
        self._disk.rename(temporary_path(self._path), self._path)
        self._disk.sync_dir(archive_dir(self.drive))

    def discard(self) -> None:
        """A drive that fails keeps its file: `remove_archives` comes by."""
        self.file.close()
        for path in (temporary_path(self._path), self._path):
            with suppress(OSError):
                self._disk.unlink(path)


@contextmanager
def _blaming(drives: DriveSet, drive: Drive) -> Iterator[None]:
    """What goes wrong inside is this drive's fault."""
    try:
        yield
    except (OSError, BadBlock) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            drives.fill(drive.id)
        else:
            drives.fail(drive.id, f"snapshot: {error}")
        raise ArchiveFailed(f"drive {drive.path}: {error}") from error


def _sealed(stream: Iterable[bytes], snapshot: bytes, root: RootKey) -> Iterator[bytes]:
    """The frames, encrypted: all but the last of FRAME_BYTES."""
    aead = AESGCM(root.derive("snapshot", snapshot))
    size = FRAME_BYTES - _TAG_BYTES
    left = bytearray()
    number = 0
    for piece in stream:
        left += piece
        while len(left) > size:
            nonce, binding = _bind(snapshot, number, last=False)
            yield aead.encrypt(nonce, bytes(left[:size]), binding)
            del left[:size]
            number += 1
    nonce, binding = _bind(snapshot, number, last=True)
    yield aead.encrypt(nonce, bytes(left), binding)


def _bind(snapshot: bytes, number: int, *, last: bool) -> tuple[bytes, bytes]:
    """(nonce, associated data) of a frame."""
    return number.to_bytes(12, "big"), snapshot + number.to_bytes(8, "big") + bytes([last])


def _rows(frames: Iterable[bytes], k: int) -> Iterator[tuple[int, bytes]]:
    """(payload position, data) of every row."""
    row: list[bytes] = []
    position = 0
    for frame in frames:
        row.append(frame)
        if len(row) == k:
            yield position, b"".join(row)
            row = []
            position += STRIPE_UNIT
    if row:
        yield position, b"".join(row)


def _stored_rows(drives: DriveSet, archive: Archive) -> Iterator[bytes]:
    """The stream's bytes, row by row, without padding. Raises DataLost."""
    header = archive.header
    k, m, snapshot = header.k, header.m, header.snapshot
    with ExitStack() as stack:
        files: dict[int, File] = {}
        for index, drive in archive.places.items():
            with suppress(OSError):
                path = archive_path(drive, snapshot.id, index)
                files[index] = stack.enter_context(_opened(drives.disk, path))
        for row, at in enumerate(range(0, snapshot.length, k * STRIPE_UNIT)):
            size = min(snapshot.length - at, k * STRIPE_UNIT)
            unit = unit_for(size, k)
            units: dict[int, Buffer] = {}
            for index in sorted(files):
                if len(units) == k:
                    break
                with suppress(OSError, BadBlock):
                    seed = _seed(snapshot, index)
                    units[index] = read_payload(files[index], seed, row * STRIPE_UNIT, unit)
            if len(units) < k:
                raise DataLost(
                    f"snapshot {snapshot.id.hex()}: {len(units)} segments of {k}+{m} can be read"
                )
            missing = [index for index in range(k) if index not in units]
            if missing:
                made = decode(k, m, units, missing)
                units.update(zip(missing, made, strict=True))
            yield b"".join(units[index] for index in range(k))[:size]


def _seed(snapshot: SnapshotRef, index: int) -> int:
    return segment_seed(snapshot.id, index, snapshot.epoch)


def _read_all(file: File, seed: int, length: int) -> None:
    """Raises BadBlock, OSError."""
    for at in range(0, length, STRIPE_UNIT):
        read_payload(file, seed, at, min(STRIPE_UNIT, length - at))


@contextmanager
def _opened(disk: Disk, path: str) -> Iterator[File]:
    file = disk.open(path, "read")
    try:
        yield file
    finally:
        file.close()


def _names(disk: Disk, drive: Drive) -> list[str]:
    folder = archive_dir(drive)
    return disk.listdir(folder) if disk.exists(folder) else []


def _read_header(disk: Disk, path: str) -> ArchiveHeader:
    with _opened(disk, path) as file:
        return decode_archive_header(file.pread(HEADER_BYTES, 0))
