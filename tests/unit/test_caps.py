"""Caps of stores, counted for all workers together, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coffre.catalog.records import Store, StoreLimits, StoreSettings
from coffre.s3.caps import begin_capped
from coffre.service.caps import STORES, SharedCaps
from coffre.wire.errors import S3Error

STORE = b"\x01" * 16
MIB = 1 << 20


class Time:
    """Seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def worker(tmp_path: Path, time: Time) -> Iterator[Callable[[int], SharedCaps]]:
    made: list[SharedCaps] = []

    def make(number: int) -> SharedCaps:
        made.append(SharedCaps(str(tmp_path / "caps"), number, time))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_requests_beyond_the_cap_are_too_early_whichever_worker_they_reach(
    worker: Callable[[int], SharedCaps], time: Time
) -> None:
    limits = StoreLimits(cap_requests=4)
    both = worker(0), worker(1)
    early = [both[number % 2].begin(STORE, limits) for number in range(6)]
    assert early == [0, 0, 0, 0, 0.25, 0.25]
    time.s += 0.25
    assert [one.begin(STORE, limits) for one in both] == [0, 0.25]
    time.s += 100
    assert [both[0].begin(STORE, limits) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_less_than_one_request_a_second_can_be_asked_for(
    worker: Callable[[int], SharedCaps], time: Time
) -> None:
    limits, one = StoreLimits(cap_requests=0.5), worker(0)
    assert [one.begin(STORE, limits) for _ in range(2)] == [0, 2]
    time.s += 2
    assert one.begin(STORE, limits) == 0


def test_a_body_may_overdraw_and_the_next_waits_for_it(
    worker: Callable[[int], SharedCaps], time: Time
) -> None:
    limits, one = StoreLimits(cap_bandwidth=MIB), worker(0)
    assert one.begin(STORE, limits) == 0
    one.end(STORE, limits, 11 * MIB)
    assert one.begin(STORE, limits) == pytest.approx(10, rel=0.01)
    time.s += 10.5
    assert one.begin(STORE, limits) == 0


def test_requests_at_once_are_counted_over_all_workers_and_end_with_theirs(
    worker: Callable[[int], SharedCaps],
) -> None:
    limits = StoreLimits(cap_connections=3)
    first, second = worker(0), worker(1)
    assert [first.begin(STORE, limits), second.begin(STORE, limits)] == [0, 0]
    assert second.begin(STORE, limits) == 0
    assert first.begin(STORE, limits) > 0
    second.end(STORE, limits, 0)
    assert first.begin(STORE, limits) == 0
    assert first.begin(STORE, limits) > 0
    # The second was killed; another takes its number, and what it had open is over.
    second = worker(1)
    assert second.begin(STORE, limits) == 0


def test_stores_do_not_count_for_each_other_until_there_are_too_many(
    worker: Callable[[int], SharedCaps],
) -> None:
    limits, one = StoreLimits(cap_requests=1), worker(0)
    stores = [number.to_bytes(16, "big") for number in range(1, STORES + 1)]
    assert all(one.begin(store, limits) == 0 for store in stores)
    assert all(one.begin(store, limits) > 0 for store in stores)


def test_what_is_beyond_a_cap_is_slow_down_with_the_time_to_wait(
    worker: Callable[[int], SharedCaps],
) -> None:
    settings = StoreSettings(limits=StoreLimits(cap_requests=0.3))
    store = Store(STORE, "main", b"", b"", 0, settings=settings)
    account = worker(0)
    begin_capped(account, store)
    with pytest.raises(S3Error) as caught:
        begin_capped(account, store)
    assert (caught.value.code, caught.value.status) == ("SlowDown", 503)
    assert (b"retry-after", b"4") in caught.value.headers
