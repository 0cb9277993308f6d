"""Meters: levels and byte-time of buckets, changed in the transaction that changes the bytes.

A meter is brought to now whenever its level changes, and once a period is over: what stood since
then, times the ms in between, goes to each open span, and a span that ended becomes a row. What
nobody touched in a period leaves none (`coffre.catalog.usage_records`).

Time here is the release clock's, and never goes back: where that clock is put back, meters stand
until it comes to where they were. So no ms is counted twice; what the clock is put forward by is
counted with the level that stood. Steps of the wall clock change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from coffre.catalog.packing import pack
from coffre.catalog.usage_records import (
    KINDS,
    NO_FLOW,
    NO_LEVEL,
    REQUESTS,
    Flow,
    Level,
    Meter,
    Span,
)

Counted = tuple[bytes, str]
"""A bucket's id (or a store's) and a storage class."""
Change = tuple[int, int, int, int, int, int, int]
"""Of a level, in its order, then versions made and gone."""

_FLOOR: Final = "SELECT max(closed_ms, floor_ms) FROM usage_clock WHERE id = 0"
_RAISE_FLOOR: Final = (
    "INSERT INTO usage_clock (id, floor_ms) VALUES (0, ?) ON CONFLICT (id) DO UPDATE"
    " SET floor_ms = max(floor_ms, excluded.floor_ms)"
)
METER_COLUMNS: Final = (
    "scope_id, storage_class, objects, versions, bytes, parts, part_bytes, since_ms, spans, due_ms"
)
_GET: Final = (
    f"SELECT {METER_COLUMNS} FROM usage_meters"  # noqa: S608
    " WHERE scope_id = ? AND storage_class = ?"
)
_INSERT: Final = (
    "INSERT INTO usage_meters (objects, versions, bytes, parts, part_bytes, since_ms, spans,"
    " due_ms, scope_id, storage_class) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE: Final = (
    "UPDATE usage_meters SET objects = ?, versions = ?, bytes = ?, parts = ?, part_bytes = ?,"
    " since_ms = ?, spans = ?, due_ms = ? WHERE scope_id = ? AND storage_class = ?"
)
_DELETE: Final = "DELETE FROM usage_meters WHERE scope_id = ? AND storage_class = ?"
_KEEP: Final = {
    kind.table: f"INSERT INTO {kind.table} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"  # noqa: S608
    " ?, ?, ?, ?, ?, ?, ?, ?)"
    for kind in KINDS
}
_unpack_spans = msgspec.msgpack.Decoder(tuple[Span, ...]).decode


def metered_ms(db: apsw.Connection, trusted_ms: int) -> int:
    """Meters' time at a group, of a release clock that says `trusted_ms`."""
    return max(trusted_ms, db.execute(_FLOOR).get or 0)


def note_put_back(db: apsw.Connection, from_ms: int) -> None:
    """The release clock is put back: meters stand until it comes to where it was."""
    db.execute(_RAISE_FLOOR, (from_ms,))


def settle(db: apsw.Connection, changes: Mapping[Counted, Change], at_ms: int) -> None:
    """Change levels at `metered_ms`, inside the open transaction."""
    for counted, change in changes.items():
        if any(change):
            *level, created, deleted = change
            _change(db, counted, Level(*level), Flow(created, deleted), at_ms)


def count_requests(db: apsw.Connection, scope_id: bytes, flow: Flow, at_ms: int) -> None:
    """Count what was asked of a bucket or a store."""
    _change(db, (scope_id, REQUESTS), NO_LEVEL, flow, at_ms)


def bring_to(db: apsw.Connection, counted: Counted, at_ms: int) -> None:
    """Count a meter up to a time, and keep the periods that are over by then."""
    _change(db, counted, NO_LEVEL, NO_FLOW, at_ms)


def read_meter(row: Sequence[Any]) -> Meter:
    """A meter of its row, see `METER_COLUMNS`."""
    scope_id, storage_class, *level, since_ms, packed, due_ms = row
    spans = () if packed is None else _unpack_spans(packed)
    return Meter(scope_id, storage_class, Level(*level), since_ms, spans, due_ms)


def _change(db: apsw.Connection, counted: Counted, added: Level, flow: Flow, at_ms: int) -> None:
    found = db.execute(_GET, counted).fetchone()
    meter = Meter(*counted, NO_LEVEL, at_ms, ()) if found is None else read_meter(found)
    if meter.spans:
        meter = _keep_over(db, meter, max(at_ms, meter.since_ms))
    else:
        # New, or from before there were meters: what stands begins now.
        begun = tuple(Span(kind.start(at_ms)) for kind in KINDS)
        meter = meter._replace(since_ms=at_ms, spans=begun)
    level = Level(*map(int.__add__, meter.level, added))
    spans = meter.spans
    if flow != NO_FLOW:
        spans = tuple(span._replace(flow=span.flow.plus(flow)) for span in spans)
    due_ms = _due(spans, level, meter.since_ms)
    if level == NO_LEVEL and due_ms is None:
        db.execute(_DELETE, counted)
        return
    statement = _INSERT if found is None else _UPDATE
    db.execute(statement, (*level, meter.since_ms, pack(spans), due_ms, *counted))


def _keep_over(db: apsw.Connection, meter: Meter, at_ms: int) -> Meter:
    """The meter at a later time; spans that ended by then are rows."""
    stored, since_ms = meter.level.stored, meter.since_ms
    spans: list[Span] = []
    for kind, span in zip(KINDS, meter.spans, strict=True):
        end_ms = kind.end(span.start_ms)
        if at_ms < end_ms:
            spans.append(span.held(stored, at_ms - since_ms))
            continue
        whole = span.held(stored, end_ms - since_ms)
        if whole.eventful(meter.level, end_ms):
            db.execute(_KEEP[kind.table], (meter.scope_id, meter.storage_class, *row_of(whole)))
        start_ms = kind.start(at_ms)
        spans.append(Span(start_ms, meter.level).held(stored, at_ms - start_ms))
    return meter._replace(since_ms=at_ms, spans=tuple(spans))


def row_of(span: Span) -> tuple[int, ...]:
    """A span as the columns of its row, behind the meter's name."""
    return (span.start_ms, *span.level, span.byte_hours, span.rest, *span.flow)


def _due(spans: Sequence[Span], level: Level, since_ms: int) -> int | None:
    ends = (
        kind.end(span.start_ms)
        for kind, span in zip(KINDS, spans, strict=True)
        if span.eventful(level, since_ms)
    )
    return min(ends, default=None)
