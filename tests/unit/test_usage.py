"""Usage: periods in UTC, rows only where something happened, exact figures everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.metering import bring_to, settle
from coffre.catalog.migrations import MIGRATIONS
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import migrate_rows, open_writer
from coffre.catalog.usage_mutations import CountRequests, PruneUsage, Requests
from coffre.catalog.usage_records import (
    DAY_MS,
    HOUR,
    HOUR_MS,
    KINDS,
    MONTH,
    SAMPLE,
    Flow,
    Level,
    month_of,
    month_start,
)
from coffre.ledger.accounts import Accounts, holder_of
from coffre.ledger.counting import RequestCounter
from coffre.stewards.meter import Meter, hours_kept_from
from tests.unit.test_bills import BUCKET, NOVEMBER, STORE, TENANT, Office

# Until the year 9999, and before 1970 too.
_TIMES = st.integers(-60_000_000_000_000, 250_000_000_000_000)


@pytest.fixture
async def office() -> Office:
    office = Office()
    await office.catalog.commit(m.CreateTenant(TENANT, "acme"))
    await office.catalog.commit(m.CreateStore(STORE, "shop", TENANT, b"key", b"root", b"wrapped"))
    await office.catalog.commit(m.CreateBucket(BUCKET, STORE, "box", "owner", "us-east-1"))
    return office


def meter_of(office: Office) -> Meter:
    return Meter(office.catalog, office.catalog, office.clock)


async def rows(office: Office, **about: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await office.call("usage.show", store="shop", **about))["rows"]
    return found


def kept(office: Office, table: str) -> int:
    found: int = office.catalog._db.execute(f"SELECT count(*) FROM {table}").get
    return found


@given(_TIMES)
def test_a_month_is_the_calendars(at_ms: int) -> None:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    assert month_of(at_ms) == (moment.year, moment.month)
    begin = int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1000
    assert MONTH.start(at_ms) == begin == month_start(moment.year, moment.month)
    assert MONTH.start(MONTH.end(begin) - 1) == begin
    assert MONTH.start(MONTH.end(begin)) == MONTH.end(begin) > at_ms


@given(_TIMES, st.sampled_from(KINDS))
def test_every_moment_is_in_one_period(at_ms: int, kind: Any) -> None:
    start_ms = kind.start(at_ms)
    assert start_ms <= at_ms < kind.end(start_ms)
    assert kind.start(start_ms) == start_ms
    assert kind.start(kind.end(start_ms)) == kind.end(start_ms)


async def test_a_bucket_that_nobody_touches_has_every_hour_and_costs_no_row(
    office: Office,
) -> None:
    office.clock.advance(1800)
    await office.put(b"k", 1000)
    office.clock.advance(5 * DAY_MS / 1000)
    await office.close()
    assert [kept(office, kind.table) for kind in KINDS] == [1, 1, 0]
    hours = await rows(office, step="hour", since_ms=NOVEMBER)
    assert len(hours) == 121
    assert [row["byte_ms"] for row in hours[:3]] == [1000 * HOUR_MS // 2] + [1000 * HOUR_MS] * 2
    assert {row["bytes"] for row in hours} == {1000}
    assert [row["closed"] for row in hours] == [True] * 120 + [False]
    days = await rows(office, step="day", since_ms=NOVEMBER)
    assert [row["byte_seconds"] for row in days[:2]] == [84_600_000, 86_400_000]
    samples = await rows(office, step="5min", since_ms=NOVEMBER, until_ms=NOVEMBER + HOUR_MS)
    assert len(samples) == 6


async def test_what_came_and_went_within_an_hour_is_in_it_to_the_ms(office: Office) -> None:
    await office.put(b"k", 10)
    office.clock.advance(0.001)
    await office.put(b"j", 100)
    office.clock.advance(0.002)
    await office.delete(b"k")
    await office.delete(b"j")
    (row,) = await rows(office)
    assert (row["byte_ms"], row["created"], row["deleted"]) == (10 * 3 + 100 * 2, 2, 2)
    assert (row["bytes"], row["objects"]) == (0, 0)


async def test_requests_count_in_the_bucket_or_beside_any(office: Office) -> None:
    flow = Flow(reads=2, writes=1, bytes_in=7, bytes_out=9)
    gone = b"gone".ljust(16)
    for bucket in (BUCKET, b"", gone):
        await office.catalog.commit(CountRequests((Requests(STORE, bucket, flow),)))
    found = {row["bucket"]: row for row in await rows(office)}
    assert found["box"]["requests"] == {"read": 2, "write": 1, "list": 0, "delete": 0}
    assert found[None]["requests"]["read"] == 4
    assert (found["box"]["bytes_in"], found["box"]["storage_class"]) == (7, None)


async def test_the_steward_closes_and_a_quiet_node_writes_once_a_day(office: Office) -> None:
    meter = meter_of(office)
    assert (await meter.round()).did == 0
    assert kept(office, "usage_clock") == 0
    await office.put(b"k", 1)
    office.clock.advance(3601)
    assert (await meter.round()).did == 1
    assert office.catalog.usage_closed_ms() == NOVEMBER + HOUR_MS
    for _ in range(5):
        before = office.catalog._db.total_changes()
        await meter.round()
    assert office.catalog._db.total_changes() == before
    office.clock.advance(5 * 3600)
    await meter.round()
    assert office.catalog.usage_closed_ms() == NOVEMBER + HOUR_MS
    office.clock.advance(DAY_MS / 1000)
    await meter.round()
    assert office.catalog.usage_closed_ms() == NOVEMBER + DAY_MS + 6 * HOUR_MS


async def test_old_samples_and_hours_go_and_months_stay(office: Office) -> None:
    meter = meter_of(office)
    for month in range(16):
        await office.put(b"%d" % month, 10)
        office.clock.advance(31 * DAY_MS / 1000)
        for _ in range(10):
            await meter.round()
    now_ms = office.clock.now_ms()
    oldest = office.catalog._db.execute("SELECT min(at_ms) FROM usage_hours").get
    assert oldest >= hours_kept_from(now_ms) > NOVEMBER
    assert kept(office, "usage_samples") <= 1
    assert kept(office, "usage_months") == 16
    assert len(await rows(office, step="month", since_ms=0)) == 17
    # An hour that is forgotten is not told of as if it had been quiet.
    first = min(row["at_ms"] for row in await rows(office, step="day", since_ms=0))
    assert first == hours_kept_from(now_ms)


async def test_pruning_takes_few_rows_at_a_time(office: Office) -> None:
    for _ in range(7):
        await office.put(b"k", 10)
        office.clock.advance(3600)
    await office.close()
    late = office.clock.now_ms()
    step = PruneUsage(BUCKET, "STANDARD", late, late, limit_rows=3)
    answers = [await office.catalog.commit(step) for _ in range(3)]
    assert answers == [m.Reaped(6, True), m.Reaped(6, True), m.Reaped(2, False)]


async def test_too_many_rows_are_refused(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coffre.ledger.accounts.ROWS_AT_ONCE", 10)
    await office.put(b"k", 1)
    office.clock.advance(20 * 3600)
    assert await office.refused("usage.show", since_ms=NOVEMBER) == "TooMuchUsage"
    assert await office.refused("usage.show", step="week") == "InvalidArgument"
    assert await office.refused("usage.show", since_ms=-1) == "InvalidArgument"


def test_what_stood_before_there_were_meters_is_metered_from_the_first_look_on() -> None:
    db = open_writer(":memory:", 6)
    for key, size, storage_class, marker in (
        (b"a", 5, "STANDARD", 0),
        (b"b", 7, "GLACIER", 0),
        (b"c", 0, "STANDARD", 1),
    ):
        db.execute(
            "INSERT INTO versions (bucket_id, sort_key, ord, zone, version_id, latest, is_null,"
            " marker, modified_ms, size, etag, owner_id, storage_class, parts_count)"
            " VALUES (?, ?, 1, 1, x'', 1, 1, ?, 0, ?, '', '', ?, 0)",
            (BUCKET, key, marker, size, storage_class),
        )
    db.execute(
        "INSERT INTO uploads (id, bucket_id, sort_key, ord, manifest_id, initiated_ms, owner_id,"
        " storage_class) VALUES (x'01', ?, x'', 1, x'02', 0, '', 'STANDARD')",
        (BUCKET,),
    )
    db.execute(
        "INSERT INTO parts (manifest_id, number, blob_id, size, etag, modified_ms, blob)"
        " VALUES (x'02', 1, x'', 11, '', 0, x'')"
    )
    with db:
        migrate_rows(db, next(one for one in MIGRATIONS if one.version == 7))
    reader = SqliteReader(db)
    levels = {one.storage_class: one.level for one in reader.meters_of(BUCKET)}
    assert levels == {"STANDARD": Level(1, 2, 5, 1, 11), "GLACIER": Level(1, 1, 7, 0, 0)}
    assert reader.usage_due_ms() == 0
    bring_to(db, (BUCKET, "STANDARD"), NOVEMBER)
    settle(db, {(BUCKET, "STANDARD"): (-1, -1, -5, 0, 0, 0, 1)}, NOVEMBER + 1000)
    assert held(db) == 16 * 1000


def held(db: apsw.Connection) -> int:
    (meter,) = [one for one in SqliteReader(db).meters_of(BUCKET) if one.spans]
    return meter.spans[KINDS.index(MONTH)].byte_ms


async def test_a_pieces_level_is_that_of_its_end_through_gaps(office: Office) -> None:
    await office.put(b"k", 3)
    office.clock.advance(3 * 3600)
    await office.delete(b"k")
    office.clock.advance(3 * 3600)
    store = office.catalog.store_named("shop")
    assert store is not None
    accounts = Accounts(office.catalog, "z1")
    now_ms = office.clock.now_ms()
    found = accounts.rows([holder_of(store)], None, "hour", NOVEMBER, now_ms, now_ms)
    assert [(row.at_ms, row.bytes, row.byte_ms) for row in found] == [
        (NOVEMBER, 3, 3 * HOUR_MS),
        (NOVEMBER + HOUR_MS, 3, 3 * HOUR_MS),
        (NOVEMBER + 2 * HOUR_MS, 3, 3 * HOUR_MS),
        (NOVEMBER + 3 * HOUR_MS, 0, 0),
    ]


async def test_the_ecs_shape_tells_how_buckets_stood_and_what_changed(office: Office) -> None:
    await office.put(b"k", 3)
    office.clock.advance(600)
    await office.put(b"j", 4)
    await office.delete(b"k")
    flow = Flow(reads=1, bytes_out=9)
    await office.catalog.commit(CountRequests((Requests(STORE, BUCKET, flow),)))
    office.clock.advance(3600)
    store = office.catalog.store_named("shop")
    assert store is not None
    accounts, now_ms = Accounts(office.catalog, "z1"), office.clock.now_ms()
    start_ms = NOVEMBER + 300_000
    (box,) = accounts.changes(holder_of(store), None, (start_ms, now_ms - 600_000), now_ms)
    assert (box.name, box.before.bytes, box.level.bytes) == ("box", 3, 4)
    assert (box.flow.created, box.flow.deleted, box.flow.bytes_out) == (1, 1, 9)
    await office.delete(b"j")
    office.clock.advance(3600)
    end_ms = SAMPLE.start(office.clock.now_ms())
    (box,) = accounts.changes(holder_of(store), None, (start_ms, end_ms), end_ms)
    assert (box.before.bytes, box.level.bytes, box.flow.deleted) == (3, 0, 2)


class Deaf:
    """A committer that fails as it is told to."""

    def __init__(self, office: Office) -> None:
        self.fails: Exception | None = None
        self._office = office

    async def commit(self, mutation: m.Mutation, body: Any = ()) -> m.Result:
        if self.fails is not None:
            raise self.fails
        return await self._office.catalog.commit(mutation, body)

    async def commit_all(self, mutations: Any) -> Any:
        raise AssertionError("requests are one mutation a time")


async def test_counts_wait_for_room_and_are_never_sent_twice(office: Office) -> None:
    committer = Deaf(office)
    counter = RequestCounter(office.catalog, committer)
    counter.note("shop", "box", "read", 200, 0, 10)
    committer.fails = CommitterBusy()
    await counter.send()
    counter.note("shop", "box", "read", 404, 0, 5)
    committer.fails = None
    await counter.send()
    await counter.send()
    counter.note("shop", "box", "read", 200, 0, 1)
    committer.fails = CommitUnknown("gone")
    await counter.send()
    committer.fails = None
    await counter.send()
    (row,) = await rows(office)
    assert (row["requests"]["read"], row["bytes_out"]) == (2, 15)


async def test_what_is_refused_or_fails_by_our_fault_is_not_counted(office: Office) -> None:
    counter = RequestCounter(office.catalog, office.catalog)
    for status in (403, 500, 503):
        counter.note("shop", "box", "read", status, 3, 3)
    counter.note("", "", "read", 200, 1, 1)
    counter.note("shop", "box", "", 400, 1, 1)
    counter.note("shop", "no such bucket", "list", 404, 0, 2)
    counter.note("no such store", "box", "list", 404, 0, 2)
    await counter.send()
    (row,) = await rows(office)
    assert (row["bucket"], row["requests"]["list"]) == (None, 1)


async def test_samples_are_cut_at_five_minutes(office: Office) -> None:
    await office.put(b"k", 2)
    office.clock.advance(301)
    await office.put(b"j", 2)
    found = await rows(office, step="5min", since_ms=NOVEMBER)
    assert [(row["at_ms"], row["byte_ms"]) for row in found] == [
        (NOVEMBER, 2 * 300_000),
        (SAMPLE.end(NOVEMBER), 2 * 1000),
    ]
    assert HOUR.start(found[1]["at_ms"]) == NOVEMBER
