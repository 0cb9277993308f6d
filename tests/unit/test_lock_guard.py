"""The guard of versions against a plain model of Object Lock, on random histories.

The model is what a person would write down of each version: its mode, its date, whether it is held.
Time is the release clock's: that of the boot clock, whatever the wall clock says.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.access_mutations import DeleteStore
from coffre.catalog.ecs_mutations import SetTraits
from coffre.catalog.lock_guard import end_of
from coffre.catalog.lock_mutations import PutLegalHold, PutObjectLock, PutRetention
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUser,
    DeleteBucket,
    DeleteVersion,
    ObjectFacts,
    PutVersion,
    Refusal,
    SetVersioning,
    Written,
)
from coffre.catalog.records import (
    DefaultRetention,
    LockMode,
    ObjectLock,
    Retention,
    Secret,
    Trait,
)
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

DAY_S = 24 * 3600
DAY_MS = DAY_S * 1000
START_MS = 1_700_000_000_000
TENANT, STORE, KEY, BUCKET = (bytes([n]) * 16 for n in range(1, 5))


@dataclass
class Model:
    """A version."""

    version_id: bytes
    marker: bool = False
    mode: LockMode | None = None
    until_ms: int = 0
    held: bool | None = None

    def locked(self, now_ms: int, bypass: bool) -> bool:
        if self.held:
            return True
        if self.mode is None or self.until_ms <= now_ms:
            return False
        return self.mode == "COMPLIANCE" or not bypass


class World:
    """A bucket with Object Lock, and the model of what is in it."""

    def __init__(self, traits: int = Trait.OBJECT_LOCK) -> None:
        self.clock = ManualClock(START_MS)
        self.entropy = SeededEntropy(7)
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, MemoryChunkStore().land)
        self.versions: list[Model] = []
        self.default: DefaultRetention | None = None
        self.trusted_ms, self.read = START_MS, self.clock.boot()
        for mutation in (
            CreateTenant(TENANT, "t"),
            CreateStore(STORE, "s", TENANT, KEY, b"root", b"wrapped"),
            CreateUser("u", STORE, "u", "object", "AK", Secret(b"w", b"root")),
            CreateBucket(BUCKET, STORE, "bucket", "u", "us-east-1", traits=traits),
        ):
            self.do(mutation)

    def do(self, mutation: Any, *body: bytes) -> Any:
        done = asyncio.run(self.catalog.commit(mutation, body))
        # What is refused leaves no reading of the clock behind.
        self.trusted_ms, self.read = self.now_ms, self.clock.boot()
        return done

    @property
    def now_ms(self) -> int:
        """What the clock that releases locks says."""
        boot = self.clock.boot()
        passed = boot.elapsed_ms - self.read.elapsed_ms if boot.id == self.read.id else 0
        return self.trusted_ms + passed

    def refused(self, mutation: Any) -> str:
        with pytest.raises(Refusal) as refusal:
            self.do(mutation)
        return refusal.value.code

    def order(self, one: Model) -> int:
        bucket = self.catalog.bucket(STORE, "bucket")
        assert bucket is not None
        found = self.catalog.version(bucket, b"k", one.version_id)
        assert found is not None
        return found.order

    # Steps

    def put(self, asked: tuple[LockMode, int] | None, held: bool | None) -> None:
        kept = asked and Retention(asked[0], self.now_ms + asked[1] * DAY_MS)
        lock = ObjectLock(kept, held) if kept or held is not None else None
        blob = Blob(self.entropy.bytes(16), 1, KEY, b"k")
        facts = ObjectFacts("e", "u", lock=lock)
        made_ms = max(self.clock.now_ms(), self.now_ms)
        done = self.do(PutVersion(BUCKET, b"k", self.entropy.bytes(16), blob, facts), b"x" * 17)
        assert isinstance(done, Written)
        new = Model(done.version_id, held=held)
        if kept is not None:
            new.mode, new.until_ms = kept.mode, kept.until_ms
        elif self.default is not None:
            new.mode, new.until_ms = self.default.mode, made_ms + self.default.days * DAY_MS
        self.versions.insert(0, new)

    def mark(self) -> None:
        done = self.do(DeleteVersion(BUCKET, b"k", owner_id="u"))
        self.versions.insert(0, Model(done.marker_version_id, marker=True))

    def set_default(self, default: DefaultRetention | None) -> None:
        self.do(PutObjectLock(BUCKET, default))
        self.default = default

    def delete(self, at: int, bypass: bool) -> None:
        if not self.versions:
            return
        chosen = self.versions[at % len(self.versions)]
        mutation = DeleteVersion(BUCKET, b"k", chosen.version_id, bypass=bypass)
        if chosen.locked(self.now_ms, bypass):
            assert self.refused(mutation) == "AccessDenied"
            return
        self.do(mutation)
        self.versions.remove(chosen)

    def retain(self, at: int, wanted: tuple[LockMode, int] | None, bypass: bool) -> None:
        objects = [one for one in self.versions if not one.marker]
        if not objects:
            return
        chosen = objects[at % len(objects)]
        kept = wanted and Retention(wanted[0], self.now_ms + wanted[1] * DAY_MS)
        args = (BUCKET, b"k", chosen.version_id, self.order(chosen), kept)
        mutation = PutRetention(*args, bypass=bypass)
        if kept is not None and kept.until_ms <= self.now_ms:
            assert self.refused(mutation) == "InvalidArgument"
            return
        stands = chosen.mode is not None and chosen.until_ms > self.now_ms
        less = kept is None or kept.mode != chosen.mode or kept.until_ms < chosen.until_ms
        if stands and less and not (bypass and chosen.mode == "GOVERNANCE"):
            assert self.refused(mutation) == "AccessDenied"
            return
        self.do(mutation)
        chosen.mode, chosen.until_ms = (kept.mode, kept.until_ms) if kept else (None, 0)

    def hold(self, at: int, held: bool) -> None:
        objects = [one for one in self.versions if not one.marker]
        if objects:
            chosen = objects[at % len(objects)]
            self.do(PutLegalHold(BUCKET, b"k", chosen.version_id, self.order(chosen), held))
            chosen.held = held

    def undo(self) -> None:
        """What would take the lock from the bucket, or the bucket from under its locks."""
        assert self.refused(SetVersioning(BUCKET, "suspended")) == "InvalidBucketState"
        self.do(SetTraits(BUCKET, off=Trait.OBJECT_LOCK))
        if self.versions:
            assert self.refused(DeleteBucket(BUCKET)) == "BucketNotEmpty"
        assert self.refused(DeleteStore(STORE)) == "StoreNotEmpty"

    def wait(self, hours: int) -> None:
        self.clock.advance(hours * 3600)

    def step(self, days: int) -> None:
        """The wall clock is set."""
        self.clock.step(days * DAY_S)

    def restart(self) -> None:
        self.clock.reboot()

    def check(self) -> None:
        bucket = self.catalog.bucket(STORE, "bucket")
        assert bucket is not None
        assert bucket.versioning == "enabled"
        for one in self.versions:
            found = self.catalog.version(bucket, b"k", one.version_id)
            assert found is not None
            assert found.marker == one.marker
            kept = one.mode and Retention(one.mode, one.until_ms)
            lock = None if kept is None and one.held is None else ObjectLock(kept, one.held)
            assert found.lock == lock
        assert bucket.objects == sum(not one.marker for one in self.versions)
        last = self.catalog.last_release(BUCKET, self.now_ms)
        dates = [one.until_ms for one in self.versions if one.mode and one.until_ms > self.now_ms]
        held = any(one.held for one in self.versions)
        assert (last.until_ms if last else None) == max(dates, default=None)
        assert (last.held if last else False) == held


MODES: Any = st.sampled_from(["GOVERNANCE", "COMPLIANCE"])
ASKED = st.none() | st.tuples(MODES, st.integers(1, 5))
STEPS = st.one_of(
    st.tuples(st.just("put"), ASKED, st.none() | st.booleans()),
    st.tuples(st.just("mark")),
    st.tuples(
        st.just("set_default"),
        st.none() | st.builds(DefaultRetention, MODES, st.integers(1, 3)),
    ),
    st.tuples(st.just("delete"), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("delete"), st.integers(0, 4), st.booleans()),
    st.tuples(
        st.just("retain"),
        st.integers(0, 4),
        st.none() | st.tuples(MODES, st.integers(-1, 5)),
        st.booleans(),
    ),
    st.tuples(st.just("hold"), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("undo")),
    st.tuples(st.just("wait"), st.sampled_from([1, 23, 24, 25, 72])),
    st.tuples(st.just("step"), st.sampled_from([-2, 1, 400])),
    st.tuples(st.just("restart")),
)


@settings(deadline=None, max_examples=5000 if os.environ.get("COFFRE_LONG") else 200)
@given(st.lists(STEPS, max_size=40))
def test_what_is_kept_is_what_the_rules_say(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    for name, *arguments in steps:
        getattr(world, name)(*arguments)
    world.check()


def test_a_store_says_when_its_last_lock_ends() -> None:
    world = World()
    world.put(("GOVERNANCE", 2), None)
    world.put(("COMPLIANCE", 1), True)
    with pytest.raises(Refusal) as refusal:
        world.do(DeleteStore(STORE))
    assert "locked until 2023-11-16T22:13:20.000+00:00 and under" in str(refusal.value.message)


def test_a_bucket_without_lock_locks_nothing() -> None:
    world = World(traits=0)
    blob = Blob(world.entropy.bytes(16), 1, KEY, b"k")
    for lock in (ObjectLock(Retention("GOVERNANCE", 1 << 50)), ObjectLock(None, True)):
        facts = ObjectFacts("e", "u", lock=lock)
        with pytest.raises(Refusal, match="InvalidRequest"):
            world.do(PutVersion(BUCKET, b"k", world.entropy.bytes(16), blob, facts), b"x" * 17)
    assert world.refused(PutObjectLock(BUCKET, None)) == "InvalidBucketState"
    world.do(SetTraits(BUCKET, on=Trait.OBJECT_LOCK))
    assert world.refused(PutObjectLock(BUCKET, None)) == "InvalidBucketState"
    world.do(SetVersioning(BUCKET, "enabled"))
    world.do(PutObjectLock(BUCKET, None))
    assert world.refused(SetVersioning(BUCKET, "suspended")) == "InvalidBucketState"


@pytest.mark.parametrize("traits", [Trait.STALE_ALLOWED, Trait.FILE_SYSTEM])
def test_a_lock_excludes_what_could_serve_round_it(traits: Trait) -> None:
    world = World()
    other = b"o" * 16
    both = CreateBucket(other, STORE, "other", "u", "us-east-1", traits=traits | Trait.OBJECT_LOCK)
    assert world.refused(both) == "InvalidBucketState"
    assert world.refused(SetTraits(BUCKET, on=traits)) == "InvalidBucketState"
    world.do(CreateBucket(other, STORE, "other", "u", "us-east-1", traits=traits))
    world.do(SetVersioning(other, "enabled"))
    assert world.refused(PutObjectLock(other, None)) == "InvalidBucketState"


@pytest.mark.parametrize(
    ("began", "default", "ends"),
    [
        ("2024-02-29T12:00:00.123", DefaultRetention("GOVERNANCE", years=1), "2025-03-01T12:00"),
        ("2024-02-29T12:00:00.123", DefaultRetention("GOVERNANCE", years=4), "2028-02-29T12:00"),
        ("2025-12-31T23:59:59.999", DefaultRetention("COMPLIANCE", days=1), "2026-01-01T23:59"),
        ("2025-06-01T00:00:00.000", DefaultRetention("COMPLIANCE", years=100), "2125-06-01T00:00"),
    ],
)
def test_a_default_ends_after_days_or_calendar_years(
    began: str, default: DefaultRetention, ends: str
) -> None:
    def ms(text: str) -> int:
        return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

    until_ms = end_of(default, ms(began))
    assert ms(ends) <= until_ms < ms(ends) + 60_000
    assert until_ms % 1000 == ms(began) % 1000
