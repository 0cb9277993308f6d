"""What was used, worked out of what the catalog keeps: rows where something happened, and between
them the level that stood.

All of it is integers: bytes times ms, and counts. Nothing is rounded before a bill is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from coffre.catalog.usage_records import (
    DAY_MS,
    KINDS,
    NO_FLOW,
    NO_LEVEL,
    Flow,
    Kind,
    Level,
    Meter,
    Span,
    Usage,
)

Counted = tuple[bytes, str]
"""A scope (a bucket, or a store for what is asked beside buckets) and a storage class."""


class Piece(NamedTuple):
    """Some time of one meter: how it stood at its end, what was held (bytes times ms), and what
    happened. A period, or a run of periods in which nothing happened."""

    start_ms: int
    end_ms: int
    level: Level
    byte_ms: int
    flow: Flow = NO_FLOW


class Total(NamedTuple):
    """The sum of some pieces."""

    byte_ms: int = 0
    flow: Flow = NO_FLOW

    def plus(self, byte_ms: int, flow: Flow) -> Total:
        return Total(self.byte_ms + byte_ms, self.flow.plus(flow) if any(flow) else self.flow)


def pieces(
    usage: Usage, kind: Kind, since_ms: int, until_ms: int, now_ms: int
) -> Iterator[tuple[Counted, list[Piece]]]:
    """Of each meter what it measured in [since_ms, until_ms), up to `now_ms`. Both are beginnings
    of periods of the kind that `usage` was read for."""
    rows: defaultdict[Counted, list[Span]] = defaultdict(list)
    for row in usage.rows:
        rows[row.scope_id, row.storage_class].append(row.span)
    behind = {(row.scope_id, row.storage_class): row.span for row in usage.behind}
    meters = {(meter.scope_id, meter.storage_class): meter for meter in usage.meters}
    for counted in sorted({*rows, *behind, *meters}):
        next_span, meter = behind.get(counted), meters.get(counted)
        found = _of_one(rows.get(counted, []), next_span, meter, kind, since_ms, until_ms, now_ms)
        yield counted, list(found)


def totals(
    usage: Usage, kind: Kind, since_ms: int, until_ms: int, now_ms: int
) -> dict[Counted, Total]:
    """The sum of `pieces` of each meter that measured anything."""
    found: dict[Counted, Total] = {}
    for counted, some in pieces(usage, kind, since_ms, until_ms, now_ms):
        total = Total()
        for piece in some:
            total = total.plus(piece.byte_ms, piece.flow)
        if total != Total():
            found[counted] = total
    return found


def steps(found: Iterable[Piece], kind: Kind) -> Iterator[Piece]:
    """Pieces, one a period; runs of periods in which nothing happened are cut. What holds nothing
    and saw nothing is left out."""
    for piece in found:
        if piece.level == NO_LEVEL and not piece.byte_ms and piece.flow == NO_FLOW:
            continue
        start_ms = piece.start_ms
        while kind.end(start_ms) < piece.end_ms:
            end_ms = kind.end(start_ms)
            yield Piece(start_ms, end_ms, piece.level, piece.level.stored * (end_ms - start_ms))
            start_ms = end_ms
        if start_ms == piece.start_ms:
            yield piece
        else:
            left = piece.end_ms - start_ms
            yield Piece(start_ms, piece.end_ms, piece.level, piece.level.stored * left)


def days(found: Iterable[Piece]) -> Iterator[Piece]:
    """Hours as days."""
    day: Piece | None = None
    for piece in found:
        start_ms = piece.start_ms - piece.start_ms % DAY_MS
        if day is not None and day.start_ms == start_ms:
            day = Piece(
                start_ms,
                piece.end_ms,
                piece.level,
                day.byte_ms + piece.byte_ms,
                day.flow.plus(piece.flow),
            )
            continue
        if day is not None:
            yield day
        day = piece._replace(start_ms=start_ms)
    if day is not None:
        yield day


def _of_one(
    rows: list[Span],
    behind: Span | None,
    meter: Meter | None,
    kind: Kind,
    since_ms: int,
    until_ms: int,
    now_ms: int,
) -> Iterator[Piece]:
    open_span = None if behind is not None or meter is None else meter.spans[KINDS.index(kind)]
    last = behind or open_span
    ahead = [*rows[1:], *([last] if last is not None else [])]
    at_ms = since_ms
    for span, following in zip(rows, [*ahead, None], strict=False):
        if span.start_ms > at_ms:
            yield _still(at_ms, span.start_ms, span.level)
        at_ms = kind.end(span.start_ms)
        level = NO_LEVEL if following is None else following.level
        yield Piece(span.start_ms, at_ms, level, span.byte_ms, span.flow)
    if last is None:
        return
    if min(last.start_ms, until_ms) > at_ms:
        yield _still(at_ms, min(last.start_ms, until_ms), last.level)
    if open_span is None or meter is None or open_span.start_ms >= until_ms:
        return
    # A clock that is behind the meter has not taken anything back.
    limit_ms = min(until_ms, max(now_ms, meter.since_ms))
    end_ms = min(kind.end(open_span.start_ms), limit_ms)
    whole = open_span.held(meter.level.stored, end_ms - meter.since_ms)
    yield Piece(open_span.start_ms, end_ms, meter.level, whole.byte_ms, whole.flow)
    if limit_ms > end_ms:
        yield _still(end_ms, limit_ms, meter.level)


def _still(start_ms: int, end_ms: int, level: Level) -> Piece:
    return Piece(start_ms, end_ms, level, level.stored * (end_ms - start_ms))


def by_class(found: Mapping[Counted, Total]) -> dict[str, Total]:
    """All scopes together, by storage class."""
    sums: dict[str, Total] = {}
    for (_, storage_class), total in found.items():
        sums[storage_class] = sums.get(storage_class, Total()).plus(total.byte_ms, total.flow)
    return sums
