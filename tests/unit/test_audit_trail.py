"""The audit's trail: whatever is packed, merged or neither, a search finds what a naive look at all
records finds, in pages that join without a gap."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from coffre.catalog.audit_records import (
    GENESIS,
    AuditRecord,
    batch_hash,
    decode_records,
    encode_records,
)
from coffre.catalog.mutations import Refusal
from coffre.catalog.records import Bucket
from coffre.catalog.trail_mutations import PackAudit, RemoveAudit
from coffre.catalog.trail_records import AUDIT_BUCKET, AUDIT_BUCKET_ID, SYSTEM_STORE, WHOLE
from coffre.ledger.names import make_filter, may_name, names_of
from coffre.ledger.placed import Placed
from coffre.ledger.query import OUTCOMES, Query, outcome_of
from coffre.ledger.segments import pack_records, read_rows
from coffre.ledger.trail import Cursor, Position, position_of
from coffre.stewards import auditor as auditor_module
from coffre.stewards.auditor import side_by_side
from coffre.testing.audit import MemoryTrail

T = TypeVar("T")
TEXT = st.text(max_size=6)
ONE_OF = st.sampled_from
TIMES = st.integers(1_000, 1_020)
BYTES_OF_KEYS = ONE_OF([b"", b"a", b"a/b", b"a/c", b"b", b"\xff", "é/ü".encode()])

RECORDS = st.builds(
    AuditRecord,
    at_ms=TIMES,
    request_id=TEXT,
    source=ONE_OF(["s3", "iam", "management", "steward", "process", "zone"]),
    store=ONE_OF(["", "one", "two"]),
    tenant=ONE_OF(["", "t1", "t2"]),
    principal=ONE_OF(["", "person:alice", "arn:aws:iam::1:root"]),
    access_key=ONE_OF(["", "AK1", "AK2"]),
    operation=ONE_OF(["PutObject", "GetObject", "store.create"]),
    bucket=ONE_OF(["", "b1", "b2"]),
    key=BYTES_OF_KEYS,
    status=ONE_OF([0, 200, 204, 401, 403, 404, 500]),
    error=ONE_OF(["", "AccessDenied", "NoSuchKey"]),
    bytes_in=st.integers(0, 2**62),
    micros=st.integers(0, 10**9),
    tls=st.booleans(),
    user_agent=TEXT,
    detail=TEXT,
    version=ONE_OF(["", "0123"]),
)
PREFIXES = st.none() | ONE_OF([b"", b"a", b"a/", b"\xff", b"a\xff"])
QUERIES = st.builds(
    Query,
    store=st.none() | ONE_OF(["one", "two", "three"]),
    tenant=st.none() | ONE_OF(["t1"]),
    bucket=st.none() | ONE_OF(["b1", ""]),
    key=st.none() | ONE_OF([b"a/b", b"\xff"]),
    prefix=PREFIXES,
    principal=st.none() | ONE_OF(["person:alice", "AK1"]),
    operation=st.none() | ONE_OF(["PutObject"]),
    outcome=st.none() | ONE_OF(OUTCOMES),
    since_ms=st.none() | TIMES,
    until_ms=st.none() | TIMES,
)
# What happens after each batch: nothing, or all that waits is packed.
STEPS = st.lists(st.tuples(st.lists(RECORDS, min_size=1, max_size=4), st.booleans()), max_size=8)
Step = tuple[list[AuditRecord], bool]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def lay(trail: MemoryTrail, steps: list[Step]) -> list[Placed]:
    """Write and pack as the steps say; all records as they stand in the chain."""
    rows = []
    for batch, (records, packs) in enumerate(steps, 1):
        await trail.write(records)
        rows += [Placed(batch, place, record) for place, record in enumerate(records)]
        if packs:
            await trail.pack()
    return rows


async def search_all(
    trail: MemoryTrail, query: Query, limit: int, way: Literal["newest", "oldest"]
) -> list[Placed]:
    found: list[Placed] = []
    after: Position | None = None
    read = trail.trail.newest if way == "newest" else trail.trail.oldest
    while page := await read(query, after, limit):
        assert len(page) <= limit
        found += page
        after = position_of(page[-1])
    return found


@settings(max_examples=60, deadline=None)
@given(STEPS, QUERIES, st.integers(1, 5), st.sampled_from(["newest", "oldest"]))
def test_a_search_finds_what_a_naive_filter_finds_wherever_the_records_are(
    steps: list[Step], query: Query, limit: int, way: Literal["newest", "oldest"]
) -> None:
    async def check() -> None:
        trail = MemoryTrail()
        rows = await lay(trail, steps)
        wanted = sorted(
            (row for row in rows if query.matches(row.record)),
            key=position_of,
            reverse=way == "newest",
        )
        assert await search_all(trail, query, limit, way) == wanted
        trail.trail.close()

    run(check())


@settings(max_examples=20, deadline=None)
@given(STEPS, st.integers(1, 5))
def test_the_chain_is_read_in_its_order_from_any_place(steps: list[Step], limit: int) -> None:
    async def check() -> None:
        trail = MemoryTrail()
        rows = await lay(trail, steps)
        cursor, found = Cursor(0, WHOLE), []
        while True:
            page, cursor = await trail.trail.in_order(cursor, limit)
            if not page:
                break
            found += page
        assert found == rows
        assert await trail.trail.in_order(cursor, limit) == ([], cursor)
        trail.trail.close()

    run(check())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_segment_gives_back_the_batches_that_it_was_made_of_to_the_byte(
    batches: list[list[AuditRecord]],
) -> None:
    rows = [Placed(b, p, r) for b, batch in enumerate(batches) for p, r in enumerate(batch)]
    made = pack_records(rows)
    back = list(read_rows(made.content))
    assert back == rows
    assert encode_records(row.record for row in back) == encode_records(r.record for r in rows)
    times = [row.record.at_ms for row in rows]
    assert (made.records, made.first_ms, made.last_ms) == (len(rows), min(times), max(times))
    for row in rows:
        assert all(may_name(made.names, *name) for name in names_of(row.record))


def test_texts_of_any_kind_come_back_as_they_were() -> None:
    odd = ["\0", "\n\r\"',", "\ud7ff\U0001f600", "\\", "NULL", "\x7f\x1b[1m", "a" * 70_000]
    rows = [
        Placed(1, at, AuditRecord(1, user_agent=text, key=text.encode(), detail=text))
        for at, text in enumerate(odd)
    ]
    assert list(read_rows(pack_records(rows).content)) == rows


@given(st.sets(st.text(max_size=8), max_size=200), st.text(max_size=8))
def test_a_filter_never_denies_what_it_was_made_of(names: set[str], other: str) -> None:
    bits = make_filter([("s", name) for name in names])
    assert all(may_name(bits, "s", name) for name in names)
    assert may_name(b"", "s", other)


def test_a_filter_denies_nearly_all_that_it_was_not_made_of() -> None:
    bits = make_filter([("b", f"bucket-{at}") for at in range(5000)])
    assert sum(may_name(bits, "b", f"other-{at}") for at in range(5000)) < 250


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, "", "ok"),
        (304, "NotModified", "ok"),
        (0, "", "ok"),
        (403, "AccessDenied", "denied"),
        (401, "", "denied"),
        (404, "NoSuchKey", "error"),
        (500, "", "error"),
        (0, "Broken", "error"),
    ],
)
def test_outcomes(status: int, error: str, outcome: str) -> None:
    assert outcome_of(AuditRecord(1, status=status, error=error)) == outcome


# The auditor


def some(count: int, at_ms: int = 1000) -> list[AuditRecord]:
    return [
        AuditRecord(at_ms + at, bucket=f"b{at % 3}", key=b"k%d" % at, operation="PutObject")
        for at in range(count)
    ]


async def chain_of(trail: MemoryTrail) -> list[bytes]:
    """The hash of every batch, from the records alone, wherever they are."""
    batches: dict[int, list[AuditRecord]] = {}
    for segment in trail.catalog.audit_segments():
        content = await trail.trail.content(segment)
        assert hashlib.sha256(content).digest() == segment.digest
        for row in read_rows(content):
            batches.setdefault(row.batch, []).append(row.record)
    for batch in trail.catalog.audit_batches(after=0, limit=10**6):
        assert batch.sequence not in batches
        batches[batch.sequence] = decode_records(batch)
    at, hashes = GENESIS, []
    for sequence in sorted(batches):
        records = batches[sequence]
        times = [one.at_ms for one in records]
        packed = encode_records(records)
        at = batch_hash(at, sequence, min(times), max(times), len(records), packed)
        hashes.append(at)
    assert sorted(batches) == list(range(1, len(batches) + 1))
    return hashes


def test_what_is_packed_and_merged_keeps_the_chain() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        for at in range(40):
            await trail.write(some(3, 1000 + at))
            await trail.pack()
        head = trail.catalog.audit_head()
        for _ in range(5):
            await trail.auditor.round()
        segments = trail.catalog.audit_segments()
        assert [one.level for one in segments] == [1, 1, *[0] * 8]
        assert segments[0].previous == GENESIS
        assert segments[-1].hash == head.hash
        assert all(one.hash == two.previous for one, two in pairwise(segments))
        hashes = await chain_of(trail)
        assert (len(hashes), hashes[-1]) == (head.sequence, head.hash)
        trail.trail.close()

    run(check())


def test_records_wait_a_minute_unless_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(3, trail.clock.now_ms()))
        assert (await trail.auditor.round()).did == 0
        trail.clock.advance(60.1)
        assert (await trail.auditor.round()).did == 3
        monkeypatch.setattr(auditor_module, "PACK_BYTES", 100)
        await trail.write(some(30, trail.clock.now_ms()))
        assert (await trail.auditor.round()).did == 30
        trail.trail.close()

    run(check())


def test_what_is_too_old_is_removed_whole_and_that_is_recorded() -> None:
    async def check() -> None:
        trail = MemoryTrail(keep_days=10)
        await trail.write(some(5, trail.clock.now_ms()))
        await trail.pack()
        (old,) = trail.catalog.audit_segments()
        trail.clock.advance(5 * 86400)
        await trail.write(some(5, trail.clock.now_ms()))
        await trail.pack()
        trail.clock.advance(6 * 86400)
        assert (await trail.auditor.round()).result == "removed a segment that was too old"
        horizon = trail.catalog.audit_horizon()
        assert (horizon.sequence, horizon.hash, horizon.records) == (1, old.hash, 5)
        (kept,) = trail.catalog.audit_segments()
        assert kept.previous == horizon.hash
        (told,) = await trail.trail.newest(Query(operation="audit.remove"), None, 10)
        assert (told.record.source, told.record.principal) == ("steward", "steward:auditor")
        assert '"records":5' in told.record.detail
        bucket = trail.catalog.bucket_by_id(AUDIT_BUCKET_ID)
        assert bucket is not None
        assert (bucket.objects, bucket.bytes) == (1, kept.size)
        trail.trail.close()

    run(check())


def test_a_segment_that_is_not_exactly_what_it_replaces_is_refused() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        for at in range(3):
            await trail.write(some(2, 1000 + at))
        await trail.pack()
        (segment,) = trail.catalog.audit_segments()
        version = trail.catalog.current(bucket_of(trail), segment.key)
        assert version is not None
        assert version.manifest is not None
        assert version.manifest.blob is not None
        blob = replace(version.manifest.blob, id=b"x" * 16)
        for wrong in (
            replace(segment, first_sequence=4, last_sequence=5),
            replace(segment, level=1, hash=b"w" * 32),
            replace(segment, level=1, previous=b"w" * 32),
            replace(segment, level=1, records=7),
            replace(segment, level=1, last_sequence=4),
        ):
            merged = (1,) if wrong.level else ()
            with pytest.raises(Refusal):
                await trail.catalog.commit(PackAudit(wrong, b"m" * 16, blob, "etag", merged))
        with pytest.raises(Refusal):
            await trail.catalog.commit(RemoveAudit(2))
        assert trail.catalog.audit_segments() == [segment]
        trail.trail.close()

    run(check())


def bucket_of(trail: MemoryTrail) -> Bucket:
    bucket = trail.catalog.bucket_by_id(AUDIT_BUCKET_ID)
    assert bucket is not None
    return bucket


def test_the_zones_own_store_is_found_by_its_id_alone() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(2))
        await trail.pack()
        catalog = trail.catalog
        assert catalog.stores() == []
        assert [one.name for one in catalog.stores(hidden=True)] == [SYSTEM_STORE]
        assert catalog.store_named(SYSTEM_STORE) is None
        assert catalog.only_bucket_named(AUDIT_BUCKET) is None
        assert catalog.tenants() == []
        trail.trail.close()

    run(check())


def test_only_neighbours_of_one_level_are_merged_and_never_into_one_that_is_too_large() -> None:
    async def segments() -> list[Any]:
        trail = MemoryTrail()
        await trail.write(some(1))
        await trail.pack()
        trail.trail.close()
        return trail.catalog.audit_segments()

    (one,) = run(segments())
    side = auditor_module.SIDE_BY_SIDE
    assert side_by_side([one] * (side - 1)) == []
    assert side_by_side([one] * (side + 1)) == [one] * side
    higher = replace(one, level=1)
    assert side_by_side([*[one] * 8, higher, *[one] * 8]) == []
    half = replace(one, records=auditor_module.FULL_RECORDS // 3 + 1)
    assert side_by_side([half] * 5) == [half] * 2
    full = replace(one, records=auditor_module.FULL_RECORDS)
    assert side_by_side([full] * 40) == []
    late = replace(one, last_ms=one.first_ms + auditor_module.FULL_MS)
    assert side_by_side([late] * 40) == []
