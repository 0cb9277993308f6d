"""A store's quota in groups of mutations: exactly what fits is taken, after refusals too."""

from __future__ import annotations

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog import access_mutations as access
from coffre.catalog import mutations as m
from coffre.catalog.apply import apply
from coffre.catalog.records import Quota, StoreSettings
from coffre.catalog.schema import open_writer
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.records import Blob, Extent, ciphertext_bytes

STORE, OTHER = b"s" * 16, b"o" * 16
CHUNK = b"chunk 1234567890"
BUCKETS = (b"a" * 16, b"b" * 16, b"c" * 16)
FACTS = m.ObjectFacts("etag", "owner")
BYTES, OBJECTS = 100, 4

Step = tuple[Literal["put", "delete", "write"], bytes, bytes, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "write"]),
        st.sampled_from(BUCKETS),
        st.sampled_from([b"k", b"l", b"m"]),
        st.sampled_from([0, 1, 20, 50, 99, 100, 101]),
    ),
    max_size=25,
)


class Group:
    """Mutations that share a tally until it is written, each with its savepoint."""

    def __init__(self) -> None:
        self.db = open_writer(":memory:")
        self._stamps = HybridClock(ManualClock(), SeededEntropy(3), 1)
        self._number = 0
        self.tally = Tally()
        self.step(m.CreateTenant(b"tenant", "tenant"))
        for store in (STORE, OTHER):
            name = chr(store[0])
            self.step(m.CreateStore(store, name, b"tenant", store, b"root", b"wrapped"))
        for bucket, store in zip(BUCKETS, (STORE, STORE, OTHER), strict=True):
            self.step(m.CreateBucket(bucket, store, bucket.decode(), "owner", "us-east-1"))
        limits = StoreSettings(Quota(hard_bytes=BYTES, hard_objects=OBJECTS))
        self.step(access.ChangeStore(STORE, settings=limits))
        self.step(m.ReserveChunk(CHUNK, "worker", 1, 12, 4, ()))

    def step(self, mutation: m.Mutation) -> bool:
        """Whether it was taken."""
        mark = self.tally.mark()
        self.db.execute("SAVEPOINT step")
        try:
            apply(self.db, mutation, self._stamps.stamp(0), self.tally)
        except m.Refusal as refusal:
            if refusal.code != "QuotaExceeded":
                raise
            self.tally.roll_back(mark)
            self.db.execute("ROLLBACK TO step")
            return False
        finally:
            self.db.execute("RELEASE step")
        return True

    def put(self, bucket: bytes, key: bytes, size: int) -> bool:
        self._number += 1
        extent = Extent(CHUNK, self._number << 20, ciphertext_bytes(size), 16384)
        name = b"%016d" % self._number
        blob = Blob(name, size, STORE, b"wrapped", (extent,) if size else ())
        return self.step(m.PutVersion(bucket, key, name, blob, FACTS))


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_exactly_what_fits_is_taken(steps: list[Step]) -> None:
    group = Group()
    held: dict[tuple[bytes, bytes], int] = {}
    for what, bucket, key, size in steps:
        if what == "write":
            group.tally.write(group.db)
            continue
        if what == "delete":
            assert group.step(m.DeleteVersion(bucket, key))
            held.pop((bucket, key), None)
            continue
        limited = {at: one for at, one in held.items() if at[0] != BUCKETS[2]}
        before = limited.get((bucket, key))
        grows = size - (before or 0)
        fits = grows <= 0 or sum(limited.values()) + grows <= BYTES
        fits = fits and (before is not None or len(limited) < OBJECTS)
        expected = fits or bucket == BUCKETS[2]
        assert group.put(bucket, key, size) == expected
        if expected:
            held[bucket, key] = size
    group.tally.write(group.db)
    rows = group.db.execute("SELECT sum(objects), sum(bytes) FROM buckets").get
    assert rows == (len(held), sum(held.values()))


def test_a_bucket_that_is_made_under_a_quota_keeps_to_it() -> None:
    group = Group()
    group.step(m.CreateBucket(b"d" * 16, STORE, "late", "owner", "us-east-1"))
    assert not group.put(b"d" * 16, b"k", BYTES + 1)
    assert group.step(access.ChangeStore(STORE, settings=StoreSettings()))
    assert group.put(b"d" * 16, b"k", BYTES + 1)
