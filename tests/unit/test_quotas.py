"""Quotas in groups of mutations: exactly what fits is taken, after refusals too."""

from __future__ import annotations

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog import access_mutations as access
from coffre.catalog import mutations as m
from coffre.catalog.apply import apply
from coffre.catalog.audit import audit
from coffre.catalog.packing import pack
from coffre.catalog.quotas import QUOTA
from coffre.catalog.records import PartIndex, Quota, StoreSettings
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
        self._parts: dict[bytes, bytes] = {}
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

    def blob(self, size: int) -> Blob:
        self._number += 1
        extent = Extent(CHUNK, self._number << 20, ciphertext_bytes(size), 16384)
        name = b"%016d" % self._number
        return Blob(name, size, STORE, b"wrapped", (extent,) if size else ())

    def put(self, bucket: bytes, key: bytes, size: int) -> bool:
        blob = self.blob(size)
        return self.step(m.PutVersion(bucket, key, blob.id, blob, FACTS))

    def part(self, upload: bytes, size: int) -> bool:
        """The upload's one part, in place of an earlier one."""
        blob = self.blob(size)
        taken = self.step(m.PutPart(upload, 1, "etag", blob))
        if taken:
            self._parts[upload] = blob.id
        return taken

    def finish(self, upload: bytes, size: int) -> bool:
        chosen = (m.ChosenPart(1, self._parts[upload]),)
        return self.step(m.CompleteUpload(upload, chosen, (PartIndex(1, size),), FACTS))


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


CAPS = st.tuples(st.sampled_from([None, 60]), st.sampled_from([None, 2]))
Moves = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "part", "finish", "abort", "delete", "write"]),
        st.sampled_from(BUCKETS[:2]),
        st.sampled_from([b"k", b"l", b"m"]),
        st.sampled_from([0, 1, 20, 59, 60, 61]),
    ),
    max_size=25,
)


class Held:
    """What a bucket holds, as a model of dicts: objects by key, open uploads by key."""

    def __init__(self, hard_bytes: int | None, hard_objects: int | None) -> None:
        self.hard_bytes, self.hard_objects = hard_bytes, hard_objects
        self.objects: dict[bytes, int] = {}
        self.uploads: dict[bytes, int] = {}

    def takes(self, objects: int, size: int) -> bool:
        held = sum(self.objects.values()) + sum(self.uploads.values())
        fits = self.hard_bytes is None or size <= 0 or held + size <= self.hard_bytes
        few = self.hard_objects is None or len(self.objects) + objects <= self.hard_objects
        return fits and (objects <= 0 or few)


@settings(max_examples=60, deadline=None)
@given(CAPS, Moves)
def test_a_buckets_own_quota_takes_exactly_what_fits_with_open_parts(
    cap: tuple[int | None, int | None], moves: list[tuple[str, bytes, bytes, int]]
) -> None:
    group = Group()
    group.step(access.ChangeStore(STORE, settings=StoreSettings()))
    models = {BUCKETS[0]: Held(*cap), BUCKETS[1]: Held(None, None)}
    if cap != (None, None):
        document = pack(Quota(*cap))
        assert group.step(m.PutBucketDocument(BUCKETS[0], QUOTA, document))
    for what, bucket, key, size in moves:
        model, upload = models[bucket], bucket + key
        if what == "write":
            group.tally.write(group.db)
        elif what == "put":
            before = model.objects.get(key)
            expected = model.takes(0 if before is not None else 1, size - (before or 0))
            assert group.put(bucket, key, size) == expected
            if expected:
                model.objects[key] = size
        elif what == "delete":
            assert group.step(m.DeleteVersion(bucket, key))
            model.objects.pop(key, None)
        elif what == "part":
            if key not in model.uploads:
                assert group.step(m.CreateUpload(upload, bucket, key, b"m" + upload, "owner"))
                model.uploads[key] = 0
            expected = model.takes(0, size - model.uploads[key])
            assert group.part(upload, size) == expected
            if expected:
                model.uploads[key] = size
        elif what == "abort" and key in model.uploads:
            assert group.step(m.AbortUpload(upload))
            del model.uploads[key]
        elif what == "finish" and model.uploads.get(key):
            size, before = model.uploads[key], model.objects.get(key)
            grows = -(before or 0)
            expected = model.takes(0 if before is not None else 1, grows)
            assert group.finish(upload, size) == expected
            if expected:
                model.objects[key] = model.uploads.pop(key)
    group.tally.write(group.db)
    for bucket, model in models.items():
        row = group.db.execute("SELECT objects, bytes FROM buckets WHERE id = ?", (bucket,)).get
        assert row == (len(model.objects), sum(model.objects.values()))
    assert [one for one in audit(group.db).findings if one.kind == "meters"] == []
