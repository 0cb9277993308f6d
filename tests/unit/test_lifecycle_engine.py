"""The engine of lifecycles against a plain model of their rules, on random histories."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.lifecycle_rules import Move, Rule, end_of
from tests.unit.lifecycle_model import (
    COLDNESS,
    DAY_S,
    HORIZON,
    START_MS,
    World,
)


def test_a_period_ends_at_the_next_midnight() -> None:
    january_15 = 1_768_473_000_000  # 10:30 in 2026
    assert end_of(january_15, 3) == 1_768_780_800_000  # 19 January, 00:00
    assert end_of(1_768_435_200_000, 3) == 1_768_780_800_000  # from 15 January, 00:00


KEYS = st.sampled_from([b"a", b"a/1", b"b"])
TAGS = st.sampled_from([{}, {"k": "v"}, {"k": "v", "l": "w"}, {"k": "w"}])
DATES = st.integers(0, 12).map(lambda day: START_MS - START_MS % 86_400_000 + day * 86_400_000)


@st.composite
def transitions(draw: st.DrawFn, *, current: bool) -> tuple[Move, ...]:
    chosen = draw(st.lists(st.sampled_from(COLDNESS[1:]), max_size=2, unique=True))
    return tuple(
        Move(
            kind,
            days := draw(st.integers(0, 3) if not current else st.none() | st.integers(0, 3)),
            draw(DATES) if days is None else None,
            0 if current else draw(st.integers(0, 2)),
            draw(st.sampled_from([0, 0, 2])),
        )
        for kind in chosen
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    expiration = draw(st.sampled_from(["days", "date", "marker", "none"]))
    tags = {} if expiration == "marker" else draw(TAGS)
    noncurrent = draw(st.none() | st.integers(1, 3))
    return Rule(
        id=draw(st.sampled_from("xyz")),
        enabled=draw(st.sampled_from([True, True, True, False])),
        prefix=draw(st.sampled_from([b"", b"a", b"a/"])),
        tags=tags,
        larger=draw(st.none() | st.integers(0, 2)),
        smaller=draw(st.none() | st.integers(1, 3)),
        days=draw(st.integers(1, 4)) if expiration == "days" else None,
        date_ms=draw(DATES) if expiration == "date" else None,
        expired_marker=expiration == "marker",
        noncurrent_days=noncurrent,
        newer_noncurrent=draw(st.integers(0, 2)) if noncurrent else 0,
        abort_days=draw(st.none() | st.integers(1, 3)),
        moves=draw(transitions(current=True)),
        noncurrent_moves=draw(transitions(current=False)),
    )


STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, st.sampled_from([0, 0, 0, 2, 30])),
    st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, st.just(0)),
    st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, st.just(0), st.sampled_from(COLDNESS)),
    st.tuples(st.just("delete"), KEYS, st.none() | st.integers(0, 3)),
    st.tuples(st.just("tag"), KEYS, st.integers(0, 3), TAGS),
    st.tuples(st.just("upload"), KEYS),
    st.tuples(st.just("version"), st.sampled_from(["enabled", "enabled", "suspended"])),
    st.tuples(st.just("rule"), st.lists(rules(), max_size=3).map(tuple)),
    st.tuples(st.just("wait"), st.sampled_from([60, 3600, DAY_S, DAY_S, 3 * DAY_S, -3600])),
)


@settings(deadline=None, max_examples=5000 if os.environ.get("COFFRE_LONG") else 150)
@given(st.lists(rules(), min_size=1, max_size=3).map(tuple), st.lists(STEPS, max_size=30))
def test_what_goes_is_what_the_rules_say(
    first: tuple[Rule, ...], steps: list[tuple[Any, ...]]
) -> None:
    world = World()
    world.rule(first)
    world.play(steps)


@st.composite
def keepers(draw: st.DrawFn) -> Rule:
    """Rules that keep some of the newest noncurrent versions of a key."""
    newer = st.integers(1, 4)
    move = Move("GLACIER", draw(st.integers(0, 1)), newer=draw(newer))
    return Rule(
        draw(st.sampled_from("xyz")),
        enabled=True,
        larger=draw(st.sampled_from([None, None, 1])),
        noncurrent_days=draw(st.integers(1, 2)),
        newer_noncurrent=draw(newer),
        noncurrent_moves=draw(st.sampled_from([(), (move,)])),
    )


ON_ONE_KEY: st.SearchStrategy[tuple[Any, ...]] = st.one_of(
    st.tuples(st.just("put"), st.just(b"a"), st.integers(0, 3), st.just({}), st.just(0)),
    st.tuples(st.just("put"), st.just(b"a"), st.integers(0, 3), st.just({}), st.just(0)),
    st.tuples(st.just("delete"), st.just(b"a"), st.none() | st.integers(0, 8)),
    st.tuples(st.just("wait"), st.sampled_from([DAY_S, 3 * DAY_S])),
)


@settings(deadline=None, max_examples=2000 if os.environ.get("COFFRE_LONG") else 60)
@given(st.lists(keepers(), min_size=1, max_size=3).map(tuple), st.lists(ON_ONE_KEY, max_size=30))
def test_of_many_versions_of_a_key_those_stay_that_rules_keep(
    rules: tuple[Rule, ...], steps: list[tuple[Any, ...]]
) -> None:
    # Nothing is judged but by the writes: rules and versioning do not change.
    world = World()
    world.rule(rules)
    world.version("enabled")
    world.play(steps)


def history(lock_days: list[int]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """What happens in half a day."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("put"), KEYS, st.integers(0, 3), TAGS, st.sampled_from(lock_days)),
            st.tuples(st.just("delete"), KEYS, st.none() | st.integers(0, 3)),
            st.tuples(st.just("upload"), KEYS),
            st.tuples(st.just("version"), st.sampled_from(["enabled", "enabled", "suspended"])),
        ),
        max_size=20,
    )


@settings(deadline=None, max_examples=2000 if os.environ.get("COFFRE_LONG") else 80)
@given(st.lists(rules(), min_size=1, max_size=3).map(tuple), history([0, 0, 0, HORIZON + 5]))
def test_what_is_foreseen_is_what_happens(
    first: tuple[Rule, ...], steps: list[tuple[Any, ...]]
) -> None:
    world = World()
    world.rule(first)
    for name, *arguments in steps:
        world.clock.advance(60)
        getattr(world, name)(*arguments)
    bucket, now_ms = world.bucket, world.clock.now_ms()
    page, after = world.catalog.foreseen(bucket, now_ms, after=b"", limit=2)
    foreseen = world.catalog.foreseen_uploads(bucket) + page
    while after is not None:
        page, after = world.catalog.foreseen(bucket, now_ms, after=after, limit=2)
        foreseen += page
    happened: Counter[tuple[Any, ...]] = Counter()
    for _ in range(HORIZON):
        midnight = max(now_ms, world.clock.now_ms() // 86_400_000 * 86_400_000)
        for one in world.expire_all():
            about = (one.key, one.act, one.storage_class, one.rule_id, one.size)
            happened[*about, midnight] += 1
        to_midnight = 86_400_000 - world.clock.now_ms() % 86_400_000
        world.clock.advance(to_midnight / 1000 + 1)
    end_ms = now_ms + (HORIZON - 1) * 86_400_000
    expected = Counter(
        (one.key, one.act, one.storage_class, one.rule_id, one.size, max(now_ms, one.due_ms))
        for one in foreseen
        if not one.held and one.due_ms <= end_ms
    )
    assert happened == expected
