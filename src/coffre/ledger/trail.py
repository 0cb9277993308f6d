"""The audit's records wherever they are: searched, exported, read in the order of the chain.

Records that are not packed yet are rows of the catalog, the others are in segments. Each has a
position: its time, its batch, its place in the batch; a page goes on from the last one's. What
cannot hold anything that is wanted is not read: by time and by the names that stand beside a
segment first, then by DuckDB, by what the file says of its groups of rows.

Segments are merged and removed while others read: whoever meets one that is gone looks again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import duckdb

from coffre.catalog.audit_records import decode_records
from coffre.catalog.interface import Reader
from coffre.catalog.trail_records import AUDIT_BUCKET_ID, SYSTEM_STORE_ID, WHOLE, AuditSegment
from coffre.ledger.names import may_name
from coffre.ledger.placed import Placed
from coffre.ledger.query import Query
from coffre.ledger.sealed_files import PROTOCOL, Blocks, SealedFiles
from coffre.ledger.segments import COLUMNS, engine, placed
from coffre.vault.interface import DataLost, Vault
from coffre.vault.records import Blob

_BATCHES_A_TURN: Final = 64
_SEGMENTS_A_TURN: Final = 32
_TRIES: Final = 3
_AT_ONCE: Final = 2
_KNOWN: Final = 4096
_T = TypeVar("_T")
TIME_LIMIT_S: Final = 60.0


class Position(NamedTuple):
    """Where a record stands among all: those of one millisecond by batch and place."""

    at_ms: int
    batch: int
    place: int


class Cursor(NamedTuple):
    """How far a reader of the chain is: up to a batch's record `place` (-1: none, WHOLE: all)."""

    batch: int
    place: int = -1


class TooLong(Exception):
    """A search that took more time or memory than it may: narrow it."""


class _Gone(Exception):
    """Something that was to be read was packed, merged or removed meanwhile."""


class _Source(NamedTuple):
    """A batch (its sequence), or a segment, and the times of its records."""

    first_ms: int
    last_ms: int
    batch: int
    segment: AuditSegment | None


def position_of(row: Placed) -> Position:
    return Position(row.record.at_ms, row.batch, row.place)


class AuditTrail:
    """Reads what `reader` knows of; on one event loop. `open_key` gives the bytes of a store key.
    `threads`: of DuckDB, for all searches together."""

    def __init__(
        self,
        reader: Reader,
        vault: Vault,
        open_key: Callable[[bytes], bytes],
        *,
        threads: int = 2,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._reader = reader
        self._vault = vault
        self._open_key = open_key
        self._threads = threads
        self._time_limit_s = time_limit_s
        self._blobs: dict[str, Blob] = {}
        self._db: duckdb.DuckDBPyConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    async def newest(self, query: Query, after: Position | None, limit: int) -> list[Placed]:
        """The newest records that are wanted and older than `after`, the newest first. Raises
        TooLong, DataLost."""
        return await self._try(lambda: self._collect(query, after, limit, newest=True))

    async def oldest(self, query: Query, after: Position | None, limit: int) -> list[Placed]:
        """The oldest that are newer than `after`, the oldest first. Raises as `newest`."""
        return await self._try(lambda: self._collect(query, after, limit, newest=False))

    async def in_order(self, cursor: Cursor, limit: int) -> tuple[list[Placed], Cursor]:
        """Records behind the cursor in the order of the chain, and where they end: at most `limit`,
        or a batch more. Raises as `newest`."""
        return await self._try(lambda: self._in_order(cursor, limit))

    async def content(self, segment: AuditSegment) -> bytes:
        """A segment's Parquet file. Raises DataLost, LookupError when it is gone."""
        blob = self._blob(segment)
        if blob is None:
            raise LookupError(segment.key.decode())
        key = self._open_key(blob.key_id)
        return b"".join([bytes(one) async for one in self._vault.read(blob, key, 0, blob.size)])

    async def _try(self, read: Callable[[], Awaitable[_T]]) -> _T:
        cause: BaseException | None = None
        for _ in range(_TRIES):
            try:
                async with self._turns:
                    return await read()
            except _Gone as gone:
                cause = gone.__cause__
        raise DataLost(f"a segment of the audit cannot be read: {cause}") from cause

    async def _collect(
        self, query: Query, after: Position | None, limit: int, *, newest: bool
    ) -> list[Placed]:
        best = heapq.nlargest if newest else heapq.nsmallest
        sources = self._sources(query, after, newest=newest)
        found: list[Placed] = []
        at, turn = 0, 1
        while at < len(sources):
            bound = found[-1].record.at_ms if len(found) == limit else None
            if bound is not None and (
                sources[at].last_ms < bound if newest else sources[at].first_ms > bound
            ):
                break
            group = _group(sources[at:], turn)
            if group[0].segment is None:
                rows = self._of_batches(query, group)
            else:
                rows = await self._of_segments(query, group, after, bound, limit, newest=newest)
                turn = min(turn * 2, _SEGMENTS_A_TURN)
            if after is not None:
                rows = [
                    row
                    for row in rows
                    if (position_of(row) < after if newest else position_of(row) > after)
                ]
            found = best(limit, [*found, *rows], key=position_of)
            at += len(group)
        return found

    def _sources(self, query: Query, after: Position | None, *, newest: bool) -> list[_Source]:
        """Whatever may hold something that is wanted, in the order in which it is looked at."""
        trail = self._reader.audit_trail()
        sources = [_Source(one.first_ms, one.last_ms, one.sequence, None) for one in trail.batches]
        sources += [
            _Source(one.first_ms, one.last_ms, one.first_sequence, one)
            for one in trail.segments
            if all(may_name(one.names, *name) for name in query.names)
        ]
        wanted = [
            one
            for one in sources
            if query.meets(one.first_ms, one.last_ms)
            and (
                after is None
                or (one.first_ms <= after.at_ms if newest else one.last_ms >= after.at_ms)
            )
        ]
        if newest:
            wanted.sort(key=lambda one: (one.last_ms, one.batch), reverse=True)
        else:
            wanted.sort(key=lambda one: (one.first_ms, one.batch))
        return wanted

    def _of_batches(self, query: Query, group: Sequence[_Source]) -> list[Placed]:
        return [row for one in group for row in self._batch(one.batch) if query.matches(row.record)]

    def _batch(self, sequence: int) -> list[Placed]:
        batch = self._reader.audit_batch(sequence)
        if batch is None:
            raise _Gone
        records = decode_records(batch)
        return [Placed(sequence, place, record) for place, record in enumerate(records)]

    async def _of_segments(
        self,
        query: Query,
        group: Sequence[_Source],
        after: Position | None,
        bound: int | None,
        limit: int,
        *,
        newest: bool,
    ) -> list[Placed]:
        clauses, values = query.sql()
        # The exact place is compared beside: the time alone says what need not be read.
        if bound is not None:
            clauses.append("at_ms >= ?" if newest else "at_ms <= ?")
            values.append(bound)
        if after is not None:
            clauses.append("at_ms <= ?" if newest else "at_ms >= ?")
            values.append(after.at_ms)
            clauses.append(f"(at_ms, batch, place) {'<' if newest else '>'} (?, ?, ?)")
            values += after
        way = "DESC" if newest else "ASC"
        order = f"at_ms {way}, batch {way}, place {way}"
        segments = [one.segment for one in group if one.segment is not None]
        return await self._select(segments, clauses, values, order, limit)

    async def _in_order(self, cursor: Cursor, limit: int) -> tuple[list[Placed], Cursor]:
        trail = self._reader.audit_trail()
        for segment in trail.segments:
            end = Cursor(segment.last_sequence, WHOLE)
            if end > cursor:
                behind = ["(batch, place) > (?, ?)", "batch >= ?"]
                values = [*cursor, cursor.batch]
                rows = await self._select([segment], behind, values, "batch, place", limit)
                cursor = end if len(rows) < limit else Cursor(rows[-1].batch, rows[-1].place)
                if rows:
                    return rows, cursor
        found: list[Placed] = []
        for one in trail.batches:
            if one.sequence >= cursor.batch and len(found) < limit:
                rows = self._batch(one.sequence)
                found += [row for row in rows if (row.batch, row.place) > cursor]
                cursor = Cursor(one.sequence, WHOLE)
        return found, cursor

    async def _select(
        self,
        segments: Sequence[AuditSegment],
        clauses: Sequence[str],
        values: Sequence[Any],
        order: str,
        limit: int,
    ) -> list[Placed]:
        self._note(segments)
        files = ", ".join(f"'{PROTOCOL}://{one.key.decode()}'" for one in segments)
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        statement = (
            f"SELECT {', '.join(COLUMNS)} FROM read_parquet([{files}]){where}"  # noqa: S608
            f" ORDER BY {order} LIMIT {limit}"
        )
        try:
            return [placed(row) for row in await self._run(statement, values)]
        except duckdb.OutOfMemoryException as error:
            raise TooLong from error
        except duckdb.Error as error:
            # Its bytes lie elsewhere by now, or it was merged.
            raise _Gone from error

    def _note(self, segments: Sequence[AuditSegment]) -> None:
        """Where the bytes of these are, from now on. Raises _Gone."""
        if len(self._blobs) > _KNOWN:
            self._blobs = {}
        for segment in segments:
            blob = self._blob(segment)
            if blob is None:
                raise _Gone
            self._blobs[segment.key.decode()] = blob

    async def _run(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Rows of a statement, in a thread of its own. Raises TooLong, duckdb.Error."""
        db = self._opened().cursor()
        work = asyncio.ensure_future(
            asyncio.to_thread(lambda: db.execute(statement, list(values)).fetchall())
        )
        try:
            done, _ = await asyncio.wait((work,), timeout=self._time_limit_s)
            if not done:
                raise TooLong
            return work.result()
        finally:
            if not work.done():
                db.interrupt()
                await asyncio.wait((work,))
                work.cancelled() or work.exception()
            db.close()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._db is None:
            self._loop = asyncio.get_running_loop()
            self._db = engine()
            blocks = Blocks(self._fetch)
            self._db.register_filesystem(SealedFiles(blocks, lambda name: self._blobs[name].size))
            for setting in (
                f"threads = {self._threads}",
                "parquet_metadata_cache = true",
                "enable_external_file_cache = false",
                "TimeZone = 'UTC'",
                f"allowed_directories = ['{PROTOCOL}://']",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                self._db.execute(f"SET {setting}")
        return self._db

    def _fetch(self, name: str, start: int, end: int) -> bytes:
        """For DuckDB's threads: opened bytes of a segment."""
        assert self._loop is not None, "it is known before DuckDB is"
        blob = self._blobs[name]
        key = self._open_key(blob.key_id)
        reading = self._vault.read_whole(blob, key, start, end)
        return bytes(asyncio.run_coroutine_threadsafe(reading, self._loop).result())

    def _blob(self, segment: AuditSegment) -> Blob | None:
        """Where a segment's bytes are; None when it is gone."""
        bucket = self._reader.bucket_by_id(AUDIT_BUCKET_ID)
        assert bucket is None or bucket.store_id == SYSTEM_STORE_ID, "the bucket is the zone's own"
        version = bucket and self._reader.current(bucket, segment.key)
        if not version or version.manifest is None:
            return None
        return version.manifest.blob


def _group(sources: Sequence[_Source], segments: int) -> Sequence[_Source]:
    """As many sources of one kind, from the first on, as are looked at together."""
    packed = sources[0].segment is not None
    most = segments if packed else _BATCHES_A_TURN
    count = 0
    while count < min(most, len(sources)) and (sources[count].segment is not None) is packed:
        count += 1
    return sources[:count]
