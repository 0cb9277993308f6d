"""Snapshots: the rows as one record of the log left them, copied while groups go on.

A copy is made inside one read transaction, so it knows its own place in the log; it is compacted,
compressed and written over drives (`coffre.vault.archive`). It counts only when it was read back,
decrypted, expanded, opened and checked, and superblocks name it. All calls block.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import apsw
from msgspec import Struct
from msgspec.structs import replace

from coffre.catalog.schema import (
    LogPosition,
    SchemaMismatch,
    copy_schema_and_rows,
    open_any,
    read_position,
    schema_version,
)
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.vault.archive import (
    Archive,
    ArchiveFailed,
    compressed,
    expanded,
    find_archive,
    read_archive,
    write_archive,
)
from coffre.vault.drives import DriveSet
from coffre.vault.headers import Origin
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.keys import RootKeys
from coffre.vault.records import Geometry
from coffre.vault.superblock import SnapshotRef

_PIECE = 1024 * 1024
_MOST_TRIES = 8
_Stream = Callable[[], Iterable[bytes]]


class SnapshotWorld(Struct, frozen=True):
    """What snapshots are written with. `scratch`: a path for one copy of the rows, on a file system
    of which this many bytes stay free."""

    drives: DriveSet
    origin: Origin
    epoch: int
    roots: RootKeys
    wanted: Geometry
    clock: Clock
    entropy: Entropy
    scratch: str
    scratch_reserve: int = 0


def copy_rows(source: str, target: str) -> tuple[LogPosition, int]:
    """Copy a catalog, which may be in use, to the new file `target`, compacted; its position in the
    log and its schema version. Raises apsw.Error, SchemaMismatch."""
    discard_rows(target)
    copy_schema_and_rows(source, target)
    return check_rows(target)


def check_rows(path: str) -> tuple[LogPosition, int]:
    """A catalog's position and schema version, once all of it was found whole.

    Raises apsw.Error, SchemaMismatch.
    """
    db = open_any(path)
    try:
        if db.pragma("quick_check", 1) != "ok":
            raise apsw.CorruptError(f"quick_check finds damage in {path}")
        return read_position(db), schema_version(db)
    finally:
        db.close()


def discard_rows(path: str) -> None:
    """Remove a catalog's files, if there are any."""
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        with suppress(FileNotFoundError):
            os.unlink(name)


def take(world: SnapshotWorld, source: str) -> SnapshotRef:
    """A verified snapshot of the catalog at `source`; nothing names it yet.

    Raises ArchiveFailed, StorageFull, DataLost where it does not prove itself, apsw.Error.
    """
    # The copy, and what is read back of the snapshot.
    needed = 2 * _size(source) + world.scratch_reserve
    if world.drives.disk.free_bytes(os.path.dirname(world.scratch)) < needed:
        raise StorageFull(f"a snapshot needs {needed} free bytes beside the catalog")
    try:
        position, schema = copy_rows(source, world.scratch)
        ref = SnapshotRef(b"", world.epoch, position.sequence, position.hash, schema, 0)
        return _written(world, ref, lambda: compressed(_pieces(world.scratch)))
    finally:
        discard_rows(world.scratch)


def rewrite(world: SnapshotWorld, old: SnapshotRef) -> SnapshotRef:
    """The same snapshot under a new id on drives that are there; verified, nothing names it yet.

    Raises as `take` does; DataLost where the old one cannot be read.
    """
    archive = _found(world.drives, old)
    ref = replace(old, id=b"", epoch=world.epoch, length=0)
    try:
        return _written(world, ref, lambda: read_archive(world.drives, archive, world.roots))
    finally:
        discard_rows(world.scratch)


def restore(drives: DriveSet, ref: SnapshotRef, roots: RootKeys, path: str) -> None:
    """Write a snapshot's rows to the new file `path`, synced and checked.

    Raises DataLost (and leaves nothing) when it is not all there or not what `ref` says.
    """
    archive = _found(drives, ref)
    discard_rows(path)
    try:
        with open(path, "xb") as file:
            for piece in expanded(read_archive(drives, archive, roots)):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        position, schema = check_rows(path)
    except (apsw.Error, SchemaMismatch) as error:
        discard_rows(path)
        raise DataLost(f"snapshot {ref.id.hex()} is no whole catalog: {error}") from error
    except DataLost:
        discard_rows(path)
        raise
    found = (position.sequence, position.hash, schema)
    if found != (ref.sequence, ref.hash, ref.schema_version):
        discard_rows(path)
        raise DataLost(f"snapshot {ref.id.hex()} is of record {position.sequence}, not its own")


def _written(world: SnapshotWorld, ref: SnapshotRef, stream: _Stream) -> SnapshotRef:
    """Write, then restore as a rebuild would; under another id when a drive failed meanwhile."""
    for tries_left in reversed(range(_MOST_TRIES)):
        number, now_ms = world.origin.zone_number, world.clock.now_ms()
        fresh = replace(ref, id=new_id(world.entropy, number, now_ms))
        try:
            written = write_archive(
                world.drives, world.origin, fresh, stream(), world.roots.current, world.wanted
            )
        except ArchiveFailed:
            if not tries_left:
                raise
            continue
        restore(world.drives, written.header.snapshot, world.roots, f"{world.scratch}.check")
        discard_rows(f"{world.scratch}.check")
        return written.header.snapshot
    raise AssertionError("the last try returns or raises")


def _found(drives: DriveSet, ref: SnapshotRef) -> Archive:
    archive = find_archive(drives, ref)
    if archive is None:
        raise DataLost(f"snapshot {ref.id.hex()} (record {ref.sequence}) has too few segments left")
    return archive


def _size(path: str) -> int:
    """Bytes of a catalog with what is not in its file yet."""
    size = 0
    for name in (path, f"{path}-wal"):
        with suppress(FileNotFoundError):
            size += os.path.getsize(name)
    return size


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
