"""Who used what, and what it costs: usage and bills of tenants, stores and buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from coffre.catalog.interface import Reader
from coffre.catalog.records import Bucket, Store, Tenant
from coffre.catalog.usage_records import (
    DAY_MS,
    HOUR,
    HOUR_MS,
    MONTH,
    NO_FLOW,
    NO_LEVEL,
    REQUESTS,
    SAMPLE,
    SAMPLE_MS,
    Flow,
    Kind,
    Level,
    month_of,
    month_start,
)
from coffre.ledger.bills import Line, PriceList, Statement, lines_of, state
from coffre.ledger.ecs_billing import BucketStanding
from coffre.ledger.usage import Counted, Piece, Total, by_class, days, pieces, steps, totals

STEPS: Final[dict[str, Kind]] = {"5min": SAMPLE, "hour": HOUR, "day": HOUR, "month": MONTH}
ROWS_AT_ONCE: Final = 100_000
_BUCKETS_A_PAGE: Final = 1000


class TooMuchUsage(Exception):
    """More rows than one answer holds: ask for less time, or fewer buckets."""


class UsageRow(Struct, frozen=True):
    """A period of one bucket's storage class. `storage_class` None: requests and traffic, of a
    bucket, or (`bucket` None) of a store beside any. `bytes`, `objects`, `versions` and `parts` are
    as the period ended; `byte_seconds` is `byte_ms` / 1000, whole; `closed`: it never changes."""

    at_ms: int
    zone: str
    store: str
    bucket: str | None
    storage_class: str | None
    bytes: int
    byte_seconds: int
    byte_ms: int
    objects: int
    versions: int
    parts: int
    part_bytes: int
    created: int
    deleted: int
    requests: dict[str, int]
    bytes_in: int
    bytes_out: int
    closed: bool


class Holder(Struct, frozen=True):
    """A store that is billed, also one that is gone."""

    id: bytes
    name: str
    tenant_id: bytes


class Accounts:
    """Over a reader, of one zone. Times are ms of the release clock."""

    def __init__(self, reader: Reader, zone: str) -> None:
        self._reader = reader
        self._zone = zone

    def holders(self, tenant: Tenant | None = None) -> list[Holder]:
        """The stores of a tenant, or of all, by name; with those that are gone."""
        stores = [holder_of(one) for one in self._reader.stores()]
        gone = [
            Holder(one.id, one.store, one.tenant_id)
            for one in self._reader.gone_scopes(None)
            if one.id == one.store_id
        ]
        found = [one for one in (*stores, *gone) if tenant is None or one.tenant_id == tenant.id]
        return sorted(found, key=lambda one: (one.name, one.id))

    def rows(
        self,
        holders: Sequence[Holder],
        bucket: Bucket | None,
        step: str,
        since_ms: int,
        until_ms: int,
        now_ms: int,
    ) -> list[UsageRow]:
        """Usage a step. Raises TooMuchUsage."""
        kind = STEPS[step]
        since_ms = _begin(step, since_ms)
        until_ms = max(since_ms, _finish(step, until_ms))
        found: list[UsageRow] = []
        for holder in holders:
            scope_id = None if bucket is None else bucket.id
            usage = self._reader.usage(kind, holder.id, scope_id, since_ms, until_ms)
            names = self._names(holder, bucket)
            for counted, some in pieces(usage, kind, since_ms, until_ms, now_ms):
                cut: Iterator[Piece] = steps(some, kind)
                for piece in days(cut) if step == "day" else cut:
                    closed = _finish(step, piece.start_ms + 1) <= usage.closed_ms
                    found.append(self._row(holder, names, counted, piece, closed))
                    if len(found) > ROWS_AT_ONCE:
                        raise TooMuchUsage
        return sorted(found, key=lambda row: row.at_ms)

    def month_totals(
        self, holder: Holder, bucket: Bucket | None, month_ms: int, now_ms: int
    ) -> dict[str, Total]:
        """What a store counted in a month by storage class, up to `now_ms`."""
        scope_id = None if bucket is None else bucket.id
        kept, rest = self._reader.month_usage(holder.id, scope_id, month_ms)
        found = by_class(totals(rest, MONTH, month_ms, MONTH.end(month_ms), now_ms))
        for storage_class, (byte_ms, flow) in kept.items():
            before = found.get(storage_class, Total())
            found[storage_class] = before.plus(byte_ms, flow)
        return found

    def statement(
        self,
        tenant: str,
        holders: Sequence[Holder],
        month_ms: int,
        now_ms: int,
        *,
        store: str | None = None,
        bucket: Bucket | None = None,
    ) -> Statement:
        """A month's bill of these stores, or of one bucket of one."""
        prices = PriceList(self._reader.prices(), month_ms)
        lines: list[Line] = []
        for holder in holders:
            used = self.month_totals(holder, bucket, month_ms, now_ms)
            lines += lines_of(holder.name, self._zone, used, prices)
        end_ms, closed_ms = MONTH.end(month_ms), self._reader.usage_closed_ms()
        return state(
            lines,
            prices,
            tenant=tenant,
            store=store,
            bucket=None if bucket is None else bucket.name,
            month=month_name(month_ms),
            hours=max(0, min(closed_ms, end_ms) - month_ms) // HOUR_MS,
            closed=closed_ms >= end_ms,
        )

    def months(self, now_ms: int) -> list[int]:
        """The months of which anything is known, the newest first."""
        found = []
        at_ms, first_ms = MONTH.start(now_ms), self._reader.first_usage_ms(now_ms)
        while at_ms >= MONTH.start(first_ms):
            found.append(at_ms)
            at_ms = MONTH.start(at_ms - 1)
        return found

    def _names(self, holder: Holder, bucket: Bucket | None) -> dict[bytes, str | None]:
        """What the scopes of a store are called; the store itself is None."""
        names: dict[bytes, str | None] = {holder.id: None}
        if bucket is not None:
            return {bucket.id: bucket.name}
        names |= {
            one.id: one.bucket
            for one in self._reader.gone_scopes(holder.id)
            if one.id != one.store_id
        }
        names |= {one.id: one.name for one in self.buckets(holder)}
        return names

    def buckets(self, holder: Holder) -> Iterator[Bucket]:
        """Those of a store that stand, by name."""
        after = ""
        while page := self._reader.buckets(
            holder.id, None, prefix="", after=after, limit=_BUCKETS_A_PAGE
        ):
            after = page[-1].name
            yield from page

    def _row(
        self,
        holder: Holder,
        names: dict[bytes, str | None],
        counted: Counted,
        piece: Piece,
        closed: bool,
    ) -> UsageRow:
        scope_id, storage_class = counted
        flow, level = piece.flow, piece.level
        return UsageRow(
            at_ms=piece.start_ms,
            zone=self._zone,
            store=holder.name,
            bucket=names.get(scope_id),
            storage_class=None if storage_class == REQUESTS else storage_class,
            bytes=level.stored,
            byte_seconds=piece.byte_ms // 1000,
            byte_ms=piece.byte_ms,
            objects=level.objects,
            versions=level.versions,
            parts=level.parts,
            part_bytes=level.part_bytes,
            created=flow.created,
            deleted=flow.deleted,
            requests=requests_of(flow),
            bytes_in=flow.bytes_in,
            bytes_out=flow.bytes_out,
            closed=closed,
        )

    def changes(
        self, holder: Holder, bucket: Bucket | None, times: tuple[int, int], now_ms: int
    ) -> list[BucketStanding]:
        """How the buckets of a store stood at the end of a time, and what changed in it: for the
        ECS shape. Both times are multiples of five minutes, of the last 31 days."""
        start_ms, end_ms = times
        since_ms = start_ms - SAMPLE_MS
        scope_id = None if bucket is None else bucket.id
        usage = self._reader.usage(SAMPLE, holder.id, scope_id, since_ms, end_ms)
        nothing = (NO_LEVEL, NO_LEVEL, NO_FLOW)
        found: dict[bytes, tuple[Level, Level, Flow]] = {}
        for (scope, _), some in pieces(usage, SAMPLE, since_ms, end_ms, now_ms):
            before = level = NO_LEVEL
            flow = NO_FLOW
            # A run in which nothing happened may reach over the beginning.
            for piece in some:
                level = piece.level
                if piece.start_ms < start_ms:
                    before = level
                else:
                    flow = flow.plus(piece.flow)
            sums = found.get(scope, nothing)
            found[scope] = (_both(sums[0], level), _both(sums[1], before), sums[2].plus(flow))
        names = self._names(holder, bucket)
        return [
            BucketStanding(name, *found.get(scope, nothing))
            for scope, name in sorted(names.items(), key=lambda one: one[1] or "")
            if name is not None
        ]

    def standing(self, bucket: Bucket) -> dict[str, Level]:
        """Levels of a bucket as they are now, by storage class."""
        found = self._reader.meters_of(bucket.id)
        return {one.storage_class: one.level for one in found if one.storage_class != REQUESTS}


def _both(one: Level, other: Level) -> Level:
    return Level(*map(int.__add__, one, other))


def requests_of(flow: Flow) -> dict[str, int]:
    return {
        "read": flow.reads,
        "write": flow.writes,
        "list": flow.lists,
        "delete": flow.deletes,
    }


def month_name(month_ms: int) -> str:
    """`2026-11`."""
    return "{:04d}-{:02d}".format(*month_of(month_ms))


def month_named(name: str) -> int:
    """When the month `2026-11` begins. Raises ValueError."""
    year, dash, month = name.partition("-")
    digits = year.isascii() and year.isdigit() and month.isascii() and month.isdigit()
    if not digits or not dash or (len(year), len(month)) != (4, 2) or not 1 <= int(month) <= 12:
        raise ValueError(name)
    return month_start(int(year), int(month))


def holder_of(store: Store) -> Holder:
    return Holder(store.id, store.name, store.tenant_id)


def _begin(step: str, at_ms: int) -> int:
    return at_ms - at_ms % DAY_MS if step == "day" else STEPS[step].start(at_ms)


def _finish(step: str, at_ms: int) -> int:
    """The end of the step that `at_ms` is in; `at_ms` itself where one begins."""
    begin_ms = _begin(step, at_ms)
    if begin_ms == at_ms:
        return at_ms
    return begin_ms + DAY_MS if step == "day" else STEPS[step].end(begin_ms)
