"""What is metered: how much a bucket holds in a storage class, how long, and what is asked of it.

Time is cut into periods of three kinds, in UTC: samples of five minutes, hours, months. A period is
kept as a row only if something happened in it. In any other the level stood where the next row's
begins, so that a bucket that nobody touches costs nothing, however long.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from msgspec import Struct

SAMPLE_MS: Final = 5 * 60 * 1000
HOUR_MS: Final = 3600 * 1000
DAY_MS: Final = 24 * HOUR_MS
REQUESTS: Final = ""
"""In place of a storage class: requests and traffic, of which no class is known."""


class Level(NamedTuple):
    """What stands at a moment. `versions` counts old ones and delete markers too, `objects` those
    that a listing shows; `parts` are of uploads that are not finished."""

    objects: int = 0
    versions: int = 0
    bytes: int = 0
    parts: int = 0
    part_bytes: int = 0

    @property
    def stored(self) -> int:
        """The bytes that are billed."""
        return self.bytes + self.part_bytes


class Flow(NamedTuple):
    """What happened in some time: versions made and gone, requests by class, bytes of bodies."""

    created: int = 0
    deleted: int = 0
    reads: int = 0
    writes: int = 0
    lists: int = 0
    deletes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def plus(self, other: Flow) -> Flow:
        return Flow(*map(int.__add__, self, other))


NO_LEVEL: Final = Level()
NO_FLOW: Final = Flow()


class Kind(NamedTuple):
    """A kind of period: where its rows are, when one begins and ends (ms since 1970)."""

    table: str
    start: Callable[[int], int]
    end: Callable[[int], int]


class Span(NamedTuple):
    """What was counted from a period's beginning on: the level there, what happened, and bytes
    times time as whole byte-hours and a rest in byte-ms, so that all of it fits a row's integers
    and adds up there."""

    start_ms: int
    level: Level = NO_LEVEL
    byte_hours: int = 0
    rest: int = 0
    flow: Flow = NO_FLOW

    @property
    def byte_ms(self) -> int:
        return self.byte_hours * HOUR_MS + self.rest

    def held(self, stored: int, length_ms: int) -> Span:
        """The span with bytes that stood that long."""
        hours, rest = divmod(self.rest + stored * length_ms, HOUR_MS)
        return self._replace(byte_hours=self.byte_hours + hours, rest=rest)

    def eventful(self, level: Level, until_ms: int) -> bool:
        """Whether it is anything else than `level` from its beginning to `until_ms`."""
        if self.level != level or self.flow != NO_FLOW:
            return True
        return self.byte_ms != level.stored * (until_ms - self.start_ms)


class Meter(NamedTuple):
    """One bucket's storage class as it stands: its level since `since_ms`, up to where the open
    spans (a sample, an hour, a month) are counted. `due_ms`: when the first of them is to be kept
    as a row; None: nothing happened in any."""

    scope_id: bytes
    storage_class: str
    level: Level
    since_ms: int
    spans: tuple[Span, ...]
    due_ms: int | None = None


class Row(NamedTuple):
    """A period that is over, as it is kept for good."""

    scope_id: bytes
    storage_class: str
    span: Span


class Scope(Struct, frozen=True):
    """Who is metered: a bucket, or what is asked of a store beside any (`bucket` is ""). `gone_ms`:
    since when it does not exist any more."""

    id: bytes
    store_id: bytes
    tenant_id: bytes
    store: str
    bucket: str
    gone_ms: int | None = None


class Price(Struct, frozen=True):
    """From a month on, until the next one: `price` is a decimal number, or the currency's name."""

    zone: str
    kind: str
    month_ms: int
    price: str


class Usage(Struct, frozen=True):
    """Rows of one kind of period that begin in some time, of each meter the first one behind it,
    and the meters as they stand. What ended by `closed_ms` never changes any more."""

    closed_ms: int
    rows: list[Row]
    behind: list[Row]
    meters: list[Meter]


def _regular(length_ms: int) -> tuple[Callable[[int], int], Callable[[int], int]]:
    def start(at_ms: int) -> int:
        return at_ms - at_ms % length_ms

    def end(start_ms: int) -> int:
        return start_ms + length_ms

    return start, end


def month_of(at_ms: int) -> tuple[int, int]:
    """(year, month) in UTC. Exact for any time: the proleptic Gregorian calendar in whole days, as
    the days of an era of 400 years that begin with March."""
    era, day = divmod(at_ms // DAY_MS + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    month = (5 * (day - (365 * year + year // 4 - year // 100)) + 2) // 153
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (month <= 2), month


@cache
def month_start(year: int, month: int) -> int:
    """When a month begins; `month` 13 is the next year's first."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    year -= month <= 2
    era, year = divmod(year, 400)
    day = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5
    return (era * 146_097 + year * 365 + year // 4 - year // 100 + day - 719_468) * DAY_MS


def _start_of_month(at_ms: int) -> int:
    return month_start(*month_of(at_ms))


@cache
def _end_of_month(start_ms: int) -> int:
    year, month = month_of(start_ms)
    return month_start(year, month + 1)


SAMPLE: Final = Kind("usage_samples", *_regular(SAMPLE_MS))
HOUR: Final = Kind("usage_hours", *_regular(HOUR_MS))
MONTH: Final = Kind("usage_months", _start_of_month, _end_of_month)
KINDS: Final = (SAMPLE, HOUR, MONTH)
