"""Making the rows again: a base, and the log after it.

Bases, in the order in which a start tries them: the follower's file, copied; the snapshots, the
newest first; nothing at all, and the whole log. A base counts when it is whole and its last record
is the log's record of that number; if it is not, or if the log after it is not all there, the next
one is tried. The rows are made beside the catalog, which is set aside at the very end: whatever is
cut or fails before, the next start finds everything as it was.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import partial
from itertools import islice

import apsw
from msgspec import Struct
from msgspec.structs import replace

from coffre.catalog.chain import FoundRecord, SealedSource, fetch
from coffre.catalog.checkpoint import WAL_BYTES
from coffre.catalog.log import Position, RecordDamaged
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.replay import ReplayStopped, immediate, replay
from coffre.catalog.schema import (
    SchemaMismatch,
    highest_order,
    open_any,
    open_writer,
    read_position,
    write_position,
)
from coffre.catalog.snapshots import copy_rows, discard_rows, restore
from coffre.system.clock import Clock
from coffre.vault.drives import DriveSet
from coffre.vault.interface import DataLost
from coffre.vault.keys import RootKeys, UnknownRootKey
from coffre.vault.records import Chunk, ChunkKind
from coffre.vault.segments import header_of, sealed_ways
from coffre.vault.store import DriveChunkStore
from coffre.vault.superblock import SnapshotRef

_journal = logging.getLogger(__name__)
_BATCH = 64
_UNUSABLE = (
    DataLost,
    RecordDamaged,
    ReplayStopped,
    SchemaMismatch,
    UnknownRootKey,
    apsw.Error,
    OSError,
)
# How many records are replayed, and how many there are.
Progress = Callable[[int, int], None]


class Source(StrEnum):
    """What the rows were made from, beside the log."""

    FOLLOWER = "follower"
    SNAPSHOT = "snapshot"
    LOG = "log"


EVERY_SOURCE = (Source.FOLLOWER, Source.SNAPSHOT, Source.LOG)


def _nobody_looks(done: int, total: int) -> None:
    """For a rebuild that nobody watches."""


class Rebuild(Struct, frozen=True):
    """Which sources may be used, in this order, and who is told how far it is."""

    sources: tuple[Source, ...] = EVERY_SOURCE
    progress: Progress = _nobody_looks


class Rebuilt(Struct, frozen=True):
    """The rows at the log's end, what they were made from, and the records replayed after that."""

    db: apsw.Connection
    source: Source
    records: int


class WholeLog:
    """The log backwards from its end `tail`, read from drives as far as it is asked for.

    `ends` are the records in chunks that are not sealed, whose ids are `unsealed`.
    """

    def __init__(
        self,
        tail: Position,
        ends: Iterable[FoundRecord],
        unsealed: frozenset[bytes],
        drives: DriveSet,
        roots: RootKeys,
        clock: Clock,
    ) -> None:
        self.tail = self._start = tail
        self._chain: deque[FoundRecord] = deque()
        self._found: dict[Position, FoundRecord] = {}
        self._unsealed = unsealed
        self._drives = drives
        self._roots = roots
        self._store = DriveChunkStore(drives, drives.disk, self, clock)
        self._known: dict[bytes, Chunk] = {}
        self._unread: list[bytes] | None = None
        self._unreadable: list[str] = []
        self._extend(ends)

    def close(self) -> None:
        """Let go of what was opened to read sealed chunks."""
        self._store.close()

    def chunk(self, chunk_id: bytes) -> Chunk | None:
        """Placement of what was found on drives, for our own store."""
        return self._known.get(chunk_id)

    async def after(self, position: Position) -> list[FoundRecord] | None:
        """The records behind `position` up to the end; None if it is no position of this log.

        Raises DataLost when one is missing.
        """
        if position.sequence > self.tail.sequence:
            return None
        while self._start.sequence > position.sequence and await self._read_more():
            pass
        if self._start.sequence > position.sequence:
            why = f" ({'; '.join(self._unreadable[:3])})" if self._unreadable else ""
            raise DataLost(f"record {self._start.sequence} is on no drive that is present{why}")
        skip = position.sequence - self._start.sequence
        here = self._chain[skip - 1].position if skip else self._start
        return list(islice(self._chain, skip, None)) if here == position else None

    def _extend(self, records: Iterable[FoundRecord]) -> None:
        self._found.update((record.position, record) for record in records)
        while (record := self._found.pop(self._start, None)) is not None:
            self._chain.appendleft(record)
            self._start = record.follows

    async def _read_more(self) -> bool:
        """Take in the newest sealed chunk that was not read yet; False when all were."""
        if self._unread is None:
            # Ids begin with their time: the newest are read first.
            self._unread = sorted(self._segment_ids() - self._unsealed)
        if not self._unread:
            return False
        for chunk in sealed_ways(self._drives, self._unread.pop()):
            if await self._read_way(chunk):
                break
        return True

    async def _read_way(self, chunk: Chunk) -> bool:
        """Take in the records of a sealed chunk; False where it cannot be read in this way."""
        header = header_of(self._drives, chunk)
        if header is None or header.kind is not ChunkKind.LANDING:
            return False
        self._known[chunk.id] = chunk
        try:
            root = self._roots.by_id(header.key_id)
            self._extend(await SealedSource(self._store, chunk, root).records())
        except (DataLost, RecordDamaged, UnknownRootKey) as error:
            self._unreadable.append(str(error))
            return False
        return True

    def _segment_ids(self) -> set[bytes]:
        """Ids of all chunks of which a segment is there."""
        disk, ids = self._drives.disk, set[bytes]()
        for drive in self._drives.present():
            root = f"{drive.path}/chunks"
            for folder in disk.listdir(root) if disk.exists(root) else ():
                for name in disk.listdir(f"{root}/{folder}"):
                    if name.endswith(".segment"):
                        with suppress(ValueError):
                            ids.add(bytes.fromhex(name.split(".", 1)[0]))
        return ids


class _Base(Struct, frozen=True):
    """Rows that are at `position`; `make` puts them into a new file."""

    source: Source
    name: str
    position: Position
    make: Callable[[str], object]


async def rebuild(
    path: str,
    log: WholeLog,
    wanted: Rebuild,
    *,
    followers: Sequence[str],
    snapshots: Sequence[SnapshotRef],
    drives: DriveSet,
    roots: RootKeys,
) -> Rebuilt:
    """Make the catalog `path` again, at the log's end; what stood there is set aside.

    Raises DataLost, which says of every base why it was not enough.
    """
    fresh = f"{path}.new"
    reasons: list[str] = []
    for base in _bases(wanted.sources, followers, snapshots, drives, roots):
        try:
            missing = await log.after(base.position)
            if missing is None:
                raise DataLost(f"record {base.position.sequence} in it is not the log's")
            discard_rows(fresh)
            schema = SCHEMA_VERSION
            if base.source is not Source.LOG:
                base.make(fresh)
            elif missing:
                schema = (await fetch(missing[0]))[0].schema_version
            db = open_writer(fresh, min(schema, SCHEMA_VERSION))
            try:
                await roll(db, fresh, missing, wanted.progress)
            finally:
                db.close()
            _take_its_place(fresh, path)
            return Rebuilt(open_writer(path), base.source, len(missing))
        except _UNUSABLE as error:
            _journal.error("the catalog cannot be made from %s: %s", base.name, error)
            reasons.append(f"{base.name}: {error}")
            discard_rows(fresh)
    raise DataLost("; ".join(reasons))


def _bases(
    sources: Sequence[Source],
    followers: Sequence[str],
    snapshots: Sequence[SnapshotRef],
    drives: DriveSet,
    roots: RootKeys,
) -> Iterator[_Base]:
    for source in sources:
        if source is Source.FOLLOWER:
            for name in followers:
                position = _position_of(name)
                if position is not None:
                    yield _Base(source, name, position, partial(copy_rows, name))
        elif source is Source.SNAPSHOT:
            for ref in reversed(snapshots):
                label = f"the snapshot of record {ref.sequence}"
                at = Position(ref.sequence, ref.hash)
                yield _Base(source, label, at, partial(restore, drives, ref, roots))
        else:
            yield _Base(source, "the whole log", Position(), discard_rows)


def _position_of(path: str) -> Position | None:
    try:
        db = open_any(path)
    except (apsw.Error, SchemaMismatch) as error:
        _journal.error("%s cannot be used: %s", path, error)
        return None
    try:
        here = read_position(db)
        return Position(here.sequence, here.hash) if here.sequence else None
    except apsw.Error as error:
        _journal.error("%s cannot be used: %s", path, error)
        return None
    finally:
        db.close()


async def roll(
    db: apsw.Connection,
    path: str,
    missing: Sequence[FoundRecord],
    progress: Progress = _nobody_looks,
) -> None:
    """Replay records into the rows at `path`, which then are a committer's. Raises ReplayStopped,
    RecordDamaged, DataLost."""
    await replay_found(db, path, missing, progress)
    with immediate(db):
        write_position(db, replace(read_position(db), last_order=highest_order(db)))


async def replay_found(
    db: apsw.Connection,
    path: str,
    missing: Sequence[FoundRecord],
    progress: Progress = _nobody_looks,
) -> None:
    """Replay records into rows that only follow. Raises as `roll` does."""
    for first in range(0, len(missing), _BATCH):
        records = [await fetch(one) for one in missing[first : first + _BATCH]]
        with immediate(db):
            for record, position in records:
                replay(db, record, position)
        _keep_wal_short(db, path)
        progress(min(first + _BATCH, len(missing)), len(missing))


def _keep_wal_short(db: apsw.Connection, path: str) -> None:
    wal = f"{path}-wal"
    if os.path.exists(wal) and os.path.getsize(wal) > WAL_BYTES:
        db.wal_checkpoint()


def _take_its_place(fresh: str, path: str) -> None:
    """Put closed rows, synced, in the catalog's place; what was there is kept, once, for whoever
    wants to look."""
    for name in (path, f"{path}-wal"):
        with suppress(FileNotFoundError):
            os.replace(name, f"{name}.set-aside")
    with suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    for flags, name in (
        (os.O_RDONLY, fresh),
        (os.O_RDONLY | os.O_DIRECTORY, os.path.dirname(path)),
    ):
        descriptor = os.open(name, flags)
        os.fsync(descriptor)
        os.close(descriptor)
        if name == fresh:
            os.replace(fresh, path)
