"""Lifecycles in buckets with Object Lock, against the plain model of `lifecycle_model`: what
is locked stays, and goes as soon as its lock lets it."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.lifecycle_mutations import ExpireDue
from coffre.catalog.lifecycle_rules import Rule
from coffre.catalog.lock_mutations import PutLegalHold, PutObjectLock, PutRetention
from coffre.catalog.mutations import ObjectFacts, PutVersion, SetVersioning, Written
from coffre.catalog.records import ObjectLock, Retention
from coffre.vault.records import Blob
from tests.unit.lifecycle_model import BUCKET, DAY_S, HORIZON, KEY, Model, World
from tests.unit.test_lifecycle_engine import KEYS, TAGS, rules

DAY_MS = DAY_S * 1000
LONG = bool(os.environ.get("COFFRE_LONG"))


class LockedWorld(World):
    """The engine and the model, in a bucket with Object Lock."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.do(SetVersioning(BUCKET, "enabled"))
        self.do(PutObjectLock(BUCKET, None))
        self.versioning = "enabled"

    def put(
        self,
        key: bytes,
        size: int,
        tags: dict[str, str],
        locked_days: float,
        kind: str = "STANDARD",
    ) -> None:
        now_ms, versions = self.clock.now_ms(), self.keys.setdefault(key, [])
        until_ms = now_ms + round(locked_days * DAY_MS)
        lock = ObjectLock(Retention("GOVERNANCE", until_ms)) if locked_days else None
        blob = Blob(self.entropy.bytes(16), size, KEY, b"k")
        facts = ObjectFacts("e", "u", tags=tags, storage_class=kind, lock=lock)
        body = b"x" * (size + 16)
        done = self.do(PutVersion(BUCKET, key, self.entropy.bytes(16), blob, facts), body)
        assert isinstance(done, Written)
        new = Model(done.version_id, False, False, size, tags, now_ms, 0, until_ms, kind)
        self._add(versions, new)

    def retain(self, key: bytes, at: int, days: float | None) -> None:
        """Another date, an earlier one too, or none any more."""
        chosen = self._chosen(key, at)
        if chosen is None:
            return
        until_ms = 0 if days is None else self.clock.now_ms() + round(days * DAY_MS)
        kept = Retention("GOVERNANCE", until_ms) if until_ms else None
        place = (BUCKET, key, chosen.version_id, self._order(key, chosen))
        self.do(PutRetention(*place, kept, bypass=True))
        chosen.locked_ms = until_ms

    def hold(self, key: bytes, at: int, held: bool) -> None:
        chosen = self._chosen(key, at)
        if chosen is not None:
            place = (BUCKET, key, chosen.version_id, self._order(key, chosen))
            self.do(PutLegalHold(*place, held))
            chosen.held = held

    def _chosen(self, key: bytes, at: int) -> Model | None:
        objects = [one for one in self.keys.get(key, []) if not one.marker]
        return objects[at % len(objects)] if objects else None

    def _order(self, key: bytes, chosen: Model) -> int:
        found = self.catalog.version(self.bucket, key, chosen.version_id)
        assert found is not None
        return found.order


DAYS = st.sampled_from([0, 0, 0.5, 1, 2, 2.3, 30])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, DAYS),
    st.tuples(st.just("delete"), KEYS, st.none() | st.integers(0, 3)),
    st.tuples(st.just("tag"), KEYS, st.integers(0, 3), TAGS),
    st.tuples(st.just("retain"), KEYS, st.integers(0, 3), st.sampled_from([None, 0.3, 1, 2.7, 30])),
    st.tuples(st.just("hold"), KEYS, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("rule"), st.lists(rules(), max_size=3).map(tuple)),
    st.tuples(st.just("wait"), st.sampled_from([60, 3600, DAY_S, DAY_S, 3 * DAY_S])),
)


@settings(deadline=None, max_examples=5000 if LONG else 150)
@given(st.lists(rules(), min_size=1, max_size=3).map(tuple), st.lists(STEPS, max_size=30))
def test_what_goes_is_what_rules_and_locks_say(
    first: tuple[Rule, ...], steps: list[tuple[Any, ...]]
) -> None:
    world = LockedWorld()
    world.rule(first)
    for name, *arguments in steps:
        world.clock.advance(1)
        if name == "wait":
            world.clock.advance(*arguments)
            world.check()
        else:
            getattr(world, name)(*arguments)
    world.check()


HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, DAYS),
        st.tuples(st.just("delete"), KEYS, st.none() | st.integers(0, 3)),
        st.tuples(st.just("hold"), KEYS, st.integers(0, 3), st.booleans()),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=2000 if LONG else 80)
@given(st.lists(rules(), min_size=1, max_size=3).map(tuple), HISTORY)
def test_what_is_foreseen_of_locks_is_what_happens(
    first: tuple[Rule, ...], steps: list[tuple[Any, ...]]
) -> None:
    world = LockedWorld()
    world.rule(first)
    for name, *arguments in steps:
        world.clock.advance(60)
        getattr(world, name)(*arguments)
    now_ms = world.clock.now_ms()
    foreseen, after = world.catalog.foreseen(world.bucket, now_ms, after=b"", limit=100)
    assert (
        after is None or not world.catalog.foreseen(world.bucket, now_ms, after=after, limit=1)[0]
    )
    happened: Counter[tuple[Any, ...]] = Counter()
    for _ in range(HORIZON):
        midnight = max(now_ms, world.clock.now_ms() // DAY_MS * DAY_MS)
        for one in world.expire_all():
            happened[one.key, one.act, one.rule_id, one.size, midnight] += 1
        world.clock.advance((DAY_MS - world.clock.now_ms() % DAY_MS) / 1000 + 1)
    end_ms = now_ms + (HORIZON - 1) * DAY_MS

    def run_ms(due_ms: int) -> int:
        """A lock may end in the middle of a day: the run at the next midnight finds it."""
        return now_ms if due_ms <= now_ms else -(-due_ms // DAY_MS) * DAY_MS

    expected = Counter(
        (one.key, one.act, one.rule_id, one.size, run_ms(one.due_ms))
        for one in foreseen
        if not one.held and one.due_ms <= end_ms
    )
    assert happened == expected


def test_what_is_locked_is_not_asked_for_again_and_again() -> None:
    world = LockedWorld()
    world.rule((Rule("r", enabled=True, noncurrent_days=1),))
    world.put(b"a", 1, {}, 30)
    world.put(b"a", 1, {}, 0)
    world.clock.advance(3 * DAY_S)
    looked = 0
    for _ in range(20):
        looked += world.do(ExpireDue(10)).rows
        world.clock.advance(DAY_S)
    assert looked == 1
    world.hold(b"a", 1, True)
    world.clock.advance(20 * DAY_S)
    for _ in range(20):
        looked += world.do(ExpireDue(10)).rows
        world.clock.advance(DAY_S)
    assert looked == 2
    world.hold(b"a", 1, False)
    assert [one.act for one in world.expire_all()] == ["remove"]
