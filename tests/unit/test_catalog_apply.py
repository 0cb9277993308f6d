"""Single steps: what the contract's walks cannot see from outside."""

from __future__ import annotations

import pytest

from coffre.catalog import mutations as m
from coffre.catalog import queries
from coffre.catalog.apply import apply, needs_body, place
from coffre.catalog.apply_manifests import PARTS_AT_ONCE
from coffre.catalog.records import PartIndex
from coffre.catalog.schema import open_writer
from coffre.catalog.stamp import COUNTER_BITS, HybridClock, version_order
from coffre.catalog.tally import Tally
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.records import Blob, Extent, ciphertext_bytes

CHUNK = b"chunk 1234567890"
BUCKET = b"bucket 123456789"
FACTS = m.ObjectFacts("etag", "owner")


class Rig:
    """A database with one bucket and one open chunk."""

    def __init__(self) -> None:
        self.db = open_writer(":memory:")
        self.clock = ManualClock()
        self.hybrid = HybridClock(self.clock, SeededEntropy(3), 1)
        self.offset = 0
        self.apply(m.CreateTenant(b"tenant", "tenant"))
        self.apply(m.CreateStore(b"store", "store", b"tenant", b"key", b"root", b"wrapped"))
        self.apply(m.CreateBucket(BUCKET, b"store", "bucket", "owner", "us-east-1"))
        self.apply(m.ReserveChunk(CHUNK, "worker", 1, 12, 4, ()))

    def apply(self, mutation: m.Mutation) -> m.Result:
        tally = Tally()
        self.db.execute("SAVEPOINT step")
        try:
            result = apply(self.db, mutation, self.hybrid.stamp(self.clock.now_ms()), tally)
            tally.write(self.db)
        finally:
            self.db.execute("RELEASE step")
        return result

    def blob(self, name: bytes, size: int) -> Blob:
        extent = Extent(CHUNK, self.offset, ciphertext_bytes(size), 16384)
        self.offset += extent.length
        return Blob(name, size, b"key", b"wrapped", (extent,))

    def chunk(self) -> tuple[int, int]:
        """(appended, dead)"""
        row: tuple[int, int] = self.db.execute("SELECT appended, dead FROM chunks").get
        return row

    def upload(self, name: bytes, parts: int) -> m.CompleteUpload:
        self.apply(m.CreateUpload(name, BUCKET, b"long", b"manifest " + name, "owner"))
        chosen = []
        for number in range(1, parts + 1):
            blob = self.blob(b"%s%d" % (name, number), 10)
            self.apply(m.PutPart(name, number, "etag", blob))
            chosen.append(m.ChosenPart(number, blob.id))
        index = tuple(PartIndex(number, 10) for number in range(1, parts + 1))
        return m.CompleteUpload(name, tuple(chosen), index, FACTS)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def rows_changed(rig: Rig, mutation: m.Mutation) -> int:
    before = rig.db.total_changes()
    rig.apply(mutation)
    return rig.db.total_changes() - before


def test_a_chunk_that_nobody_reserved_takes_nothing(rig: Rig) -> None:
    stray = Blob(b"blob", 1, b"key", b"wrapped", (Extent(b"stray", 0, 17, 16384),))
    with pytest.raises(m.Refusal, match="not open"):
        rig.apply(m.PutVersion(BUCKET, b"key", b"manifest", stray, FACTS))


def test_finishing_an_upload_touches_as_many_rows_with_2_parts_as_with_200(rig: Rig) -> None:
    few, many = rig.upload(b"few", 2), rig.upload(b"many", 200)
    rig.db.execute("UPDATE uploads SET sort_key = id")
    assert rows_changed(rig, few) == rows_changed(rig, many) <= 6


def test_deleting_a_long_object_is_one_small_step(rig: Rig) -> None:
    rig.apply(rig.upload(b"many", 200))
    assert rows_changed(rig, m.DeleteVersion(BUCKET, b"long")) <= 5
    assert rig.chunk()[1] == 0
    while rig.apply(m.ReapOrphans(1000)) != m.Reaped(0, False):
        pass
    appended, dead = rig.chunk()
    assert appended == dead == rig.offset


@pytest.mark.parametrize("parts", [0, 1, PARTS_AT_ONCE, PARTS_AT_ONCE + 1, 250])
def test_an_aborted_uploads_bytes_are_counted_dead_once(rig: Rig, parts: int) -> None:
    rig.upload(b"upload", parts)
    rig.apply(m.AbortUpload(b"upload"))
    rows = 200
    while rows:
        reaped = rig.apply(m.ReapOrphans(1000))
        assert isinstance(reaped, m.Reaped)
        rows = reaped.rows
        assert rows <= 200
    assert rig.chunk() == (rig.offset, rig.offset)
    for table in ("parts", "orphans", "manifests", "uploads"):
        assert rig.db.execute(f"SELECT count(*) FROM {table}").get == 0


def test_the_writing_condition_that_failed_is_named(rig: Rig) -> None:
    rig.apply(m.PutVersion(BUCKET, b"key", b"manifest", rig.blob(b"blob", 1), FACTS))
    for condition, name in (
        (m.WriteCondition("other"), "If-Match"),
        (m.WriteCondition(None, True), "If-None-Match"),
    ):
        with pytest.raises(m.Refusal) as caught:
            rig.apply(m.PutVersion(BUCKET, b"key", b"m2", rig.blob(b"b", 1), FACTS, condition))
        assert caught.value.fields == {"Condition": name}


def test_a_body_travels_only_without_extents_and_is_placed() -> None:
    bare = m.PutPart(b"upload", 1, "etag", Blob(b"blob", 5, b"key", b"wrapped"))
    assert needs_body(bare)
    extents = (Extent(CHUNK, 7, 21),)
    placed = place(bare, extents)
    assert isinstance(placed, m.PutPart)
    assert placed.blob.extents == extents
    assert not needs_body(placed)
    assert not needs_body(m.PutPart(b"upload", 1, "etag", Blob(b"blob", 0, b"key", b"wrapped")))
    with pytest.raises(TypeError):
        place(m.AbortUpload(b"upload"), extents)


def test_orders_rise_when_the_clock_stands_goes_back_or_was_ahead() -> None:
    clock = ManualClock()
    hybrid = HybridClock(clock, SeededEntropy(4), 7)
    orders = [hybrid.stamp(0).order, hybrid.stamp(0).order]
    clock.advance(-60)
    orders.append(hybrid.stamp(0).order)
    hybrid.observe(orders[-1] + 5)
    orders.append(hybrid.stamp(0).order)
    clock.advance(120)
    last = hybrid.stamp(0)
    orders.append(last.order)
    assert orders == sorted(set(orders))
    assert last.order == last.now_ms << COUNTER_BITS
    assert version_order(last.version_id) == (last.order, 7)
    assert version_order(b"short") is version_order(b"\xff" * 16) is None


def test_listings_use_the_indexes_made_for_them() -> None:
    db = open_writer(":memory:")
    for query, index in (
        (queries.LIST_BETWEEN, "current_objects (bucket_id=? AND sort_key>? AND sort_key<?)"),
        (queries.UPLOADS_FROM, "uploads_in_order (bucket_id=? AND (sort_key,ord)>(?,?))"),
        (queries.BUCKETS_OF_OWNER, "buckets_of_owner (store_id=? AND owner_id=? AND name>"),
        (queries.BUCKETS, "buckets_by_name (store_id=? AND name>"),
        (queries.OLD_NULL_VERSION, "old_nulls (bucket_id=? AND sort_key=?)"),
        (queries.CURRENT_VERSION, "PRIMARY KEY (bucket_id=? AND sort_key=?)"),
        (queries.EXACT_VERSION, "(bucket_id=? AND sort_key=? AND ord=? AND zone=?)"),
    ):
        plan = [
            detail
            for *_, detail in db.execute("EXPLAIN QUERY PLAN " + query, (None,) * query.count("?"))
        ]
        assert index in plan[0]
        assert not any("TEMP B-TREE" in detail or "SCAN" in detail for detail in plan)
