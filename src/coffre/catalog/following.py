"""The follower: the log replayed into a second file, behind the catalog, and compared with it.

It reads the log where everybody would after a loss, in the chunks on the drives, and goes no
further than the catalog has committed. So its file shows all the time that the log suffices, and is
ready should the catalog be lost. Rows are compared piece by piece while both files are at the same
record; a difference means that one of the two is not what the log says.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

import apsw
from msgspec import Struct

from coffre.catalog.chain import FoundRecord, MirrorSource, SealedSource, fetch
from coffre.catalog.comparing import Comparison, Difference
from coffre.catalog.log import Position, RecordDamaged
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.reader import SqliteReader
from coffre.catalog.rebuilding import replay_found
from coffre.catalog.replay import ReplayStopped
from coffre.catalog.schema import SchemaMismatch, open_reader, open_writer, read_position
from coffre.catalog.snapshots import check_rows, discard_rows, restore
from coffre.system.clock import Clock
from coffre.vault.blocks import relaid
from coffre.vault.drives import DriveSet, mirror_path
from coffre.vault.headers import BadHeader
from coffre.vault.interface import DataLost
from coffre.vault.keys import RootKeys, UnknownRootKey
from coffre.vault.records import Chunk, ChunkKind
from coffre.vault.segments import find_sealed, header_of, read_header
from coffre.vault.store import DriveChunkStore
from coffre.vault.superblock import SnapshotRef

_journal = logging.getLogger(__name__)
# Records replayed in a step, and how far behind the catalog it may be to be compared with it.
STEP_RECORDS = 256
_NEAR = 64


class Progress(Struct, frozen=True):
    """What a step did: records replayed, how many are left, was a piece of the rows compared."""

    replayed: int
    behind: int
    compared: bool = False


class Follower:
    """Follows the catalog `live` (a path) into the file `path`.

    `snapshots`: those that superblocks name now. `pause`: seconds between two passes of comparing.
    """

    def __init__(
        self,
        path: str,
        live: str,
        drives: DriveSet,
        roots: RootKeys,
        clock: Clock,
        snapshots: Callable[[], Sequence[SnapshotRef]],
        *,
        pause: float = 300.0,
    ) -> None:
        self._path = path
        self._drives = drives
        self._roots = roots
        self._clock = clock
        self._snapshots = snapshots
        self._pause = pause
        self._live = open_reader(live)
        self._reader = SqliteReader(self._live)
        self._store = DriveChunkStore(drives, drives.disk, self._reader, clock)
        self._db: apsw.Connection | None = _opened(path)
        self._found: dict[Position, FoundRecord] = {}
        self._ends: dict[bytes, int] = {}
        self._comparison = Comparison()
        self._next_pass = clock.monotonic()
        self.difference: Difference | None = None
        self.compared_ms: int | None = None

    @property
    def position(self) -> Position:
        """The last record that its rows hold."""
        if self._db is None:
            return Position()
        here = read_position(self._db)
        return Position(here.sequence, here.hash)

    def close(self) -> None:
        """Let go of files."""
        self._store.close()
        if self._db is not None:
            self._db.close()
        self._live.close()

    async def step(self) -> Progress:
        """Replay some of what is committed; once near the catalog, compare a piece.

        Raises DataLost where the log cannot be read now.
        """
        end = _of(self._live)
        missing = await self._missing(end)
        await self._roll(missing[:STEP_RECORDS])
        behind = max(0, len(missing) - STEP_RECORDS)
        compared = False
        if behind <= _NEAR and self._clock.monotonic() >= self._next_pass:
            compared = await self._compare_piece()
        return Progress(min(len(missing), STEP_RECORDS), behind, compared)

    async def compare_all(self) -> Difference | None:
        """Catch up, then compare every row at one record; the first difference."""
        while (await self.step()).behind:
            pass
        self._live.execute("BEGIN")
        try:
            end = _of(self._live)
            await self._roll(await self._missing(end))
            if self._db is None or self.position != end:
                raise DataLost("the log could not be replayed up to the catalog's last record")
            pieces = Comparison()
            self.difference = None
            while not pieces.over and self.difference is None:
                _, self.difference = pieces.next(self._live, self._db)
        finally:
            self._live.execute("ROLLBACK")
        self._passed()
        return self.difference

    async def _compare_piece(self) -> bool:
        self._live.execute("BEGIN")
        try:
            end = _of(self._live)
            missing = await self._missing(end)
            if len(missing) > _NEAR:
                return False
            await self._roll(missing)
            # Rows that could not be brought there differ for that alone.
            if self._db is None or self.position != end:
                return False
            _, difference = self._comparison.next(self._live, self._db)
        finally:
            self._live.execute("ROLLBACK")
        if difference is not None:
            self.difference = difference
            _journal.critical("the follower differs from the catalog: %s", difference)
        if self._comparison.over:
            self._comparison = Comparison()
            self._passed()
        return True

    def _passed(self) -> None:
        self._next_pass = self._clock.monotonic() + self._pause
        self.compared_ms = self._clock.now_ms()

    async def _roll(self, missing: Sequence[FoundRecord]) -> None:
        if not missing:
            return
        if self._db is None:
            first, _ = await fetch(missing[0])
            self._db = open_writer(self._path, min(first.schema_version, SCHEMA_VERSION))
        try:
            await replay_found(self._db, self._path, missing)
        except (ReplayStopped, RecordDamaged, apsw.Error) as error:
            await self._begin_anew(str(error))
        except (OSError, DataLost):
            # Sealed meanwhile, and its mirrors gone: it is read again, elsewhere.
            self._found.clear()
            self._ends.clear()
        else:
            here = self.position.sequence
            self._found = {at: one for at, one in self._found.items() if at.sequence > here}

    async def _missing(self, end: Position) -> list[FoundRecord]:
        """What lies between our rows and `end`; our rows begin anew where they do not lead there.

        Raises DataLost.
        """
        for _ in range(2):
            found = await self._between(self.position, end)
            if found is not None:
                return found
            await self._begin_anew("its last record is not the log's, or what follows is gone")
        raise DataLost("neither snapshots nor the log lead to the catalog's last record")

    async def _between(self, here: Position, end: Position) -> list[FoundRecord] | None:
        """The records that lead from `here` to `end`; None where none do. Raises DataLost when they
        cannot be read now, and no snapshot is newer than `here`."""
        chain: deque[FoundRecord] = deque()
        start = end
        unread: list[Chunk] | None = None
        reasons: list[str] = []
        while start.sequence > here.sequence:
            record = self._found.get(start)
            if record is not None:
                chain.appendleft(record)
                start = record.follows
                continue
            if unread is None:
                chunks = self._reader.chunks()
                unread = [one for one in chunks if one.kind is ChunkKind.LANDING]
            if not unread:
                if reasons and not any(one.sequence > here.sequence for one in self._snapshots()):
                    raise DataLost(reasons[0])
                return None
            try:
                some = await self._read(unread.pop())
            except (DataLost, RecordDamaged, UnknownRootKey) as error:
                reasons.append(str(error))
                continue
            for found in some:
                if found.position.sequence > here.sequence:
                    self._found[found.position] = found
        return list(chain) if start == here else None

    async def _read(self, chunk: Chunk) -> list[FoundRecord]:
        """What a chunk holds behind what was read of it before. Raises DataLost, RecordDamaged,
        UnknownRootKey."""
        start = self._ends.get(chunk.id, 0)
        found = None if relaid(chunk) else self._read_mirror(chunk, start)
        if found is None:
            # Superblocks may know of a seal that the rows have yet to hear of.
            sealed = chunk if relaid(chunk) else find_sealed(self._drives, chunk.id)
            header = header_of(self._drives, sealed) if sealed else None
            if sealed is None or header is None:
                raise DataLost(f"chunk {chunk.id.hex()} is on no drive that is present")
            root = self._roots.by_id(header.key_id)
            found = []
            if start < sealed.length:
                found = await SealedSource(self._store, sealed, root).records(start)
        if found:
            self._ends[chunk.id] = found[-1].end
        return found

    def _read_mirror(self, chunk: Chunk, start: int) -> list[FoundRecord] | None:
        """None: no mirror of it can be read."""
        for member in chunk.members:
            drive = self._drives.member(member)
            if drive is not None:
                path = mirror_path(drive, chunk.id)
                try:
                    header = read_header(self._drives.disk, path)
                    source = MirrorSource(self._drives.disk, path, header, self._roots)
                    return source.records({}, start)
                except (OSError, BadHeader):
                    continue
        return None

    async def _begin_anew(self, reason: str) -> None:
        """From the newest snapshot that can be read, else from the log's beginning."""
        _journal.warning("the follower begins anew: %s", reason)
        if self._db is not None:
            self._db.close()
            self._db = None
        discard_rows(self._path)
        self._found.clear()
        self._ends.clear()
        self._comparison = Comparison()
        for ref in reversed(self._snapshots()):
            try:
                restore(self._drives, ref, self._roots, self._path)
                self._db = open_writer(self._path)
                return
            except (DataLost, UnknownRootKey, apsw.Error, OSError) as error:
                _journal.warning("not from the snapshot of record %d: %s", ref.sequence, error)
                discard_rows(self._path)


def _of(db: apsw.Connection) -> Position:
    here = read_position(db)
    return Position(here.sequence, here.hash)


def _opened(path: str) -> apsw.Connection | None:
    """Rows that an earlier follower left, if they are whole."""
    try:
        check_rows(path)
        return open_writer(path)
    except (apsw.Error, SchemaMismatch):
        discard_rows(path)
        return None
