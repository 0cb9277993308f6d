"""Fair shares in virtual time: what each store is served while all want more than there is."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.s3.shares import Shares

A, B, C = b"a", b"b", b"c"


class Machine:
    """`places` workers that serve requests of known cost, one unit of cost a tick each; every store
    has so many connections that ask again at once."""

    def __init__(self, shares: Shares[tuple[bytes, int]], chance: random.Random) -> None:
        self.shares = shares
        self.chance = chance
        self.served: Counter[bytes] = Counter()
        self.requests: Counter[bytes] = Counter()
        self._running: deque[tuple[bytes, int]] = deque()
        self._costs: Mapping[bytes, tuple[int, int]] = {}
        self._rates: Mapping[bytes, float] = {}

    def run(
        self,
        connections: Mapping[bytes, int],
        costs: Mapping[bytes, tuple[int, int]],
        rates: Mapping[bytes, float],
        ticks: int,
    ) -> None:
        self._costs, self._rates = costs, rates
        for store, count in connections.items():
            for _ in range(count):
                self._ask(store)
        # Whoever asked first was alone, and had what there is.
        self.served.clear()
        self.requests.clear()
        for _ in range(ticks):
            # Who shares the processor at a time: all that have begun.
            for _ in range(len(self._running)):
                store, left = self._running.popleft()
                if left > 1:
                    self._running.append((store, left - 1))
                    continue
                self._end(store)

    def _ask(self, store: bytes) -> None:
        cost = self.chance.randint(*self._costs[store])
        if self.shares.ask(store, self._rates[store]):
            self._begin(store, cost)
        else:
            self.shares.wait(store, (store, cost))

    def _begin(self, store: bytes, cost: int) -> None:
        self.shares.charge(store, cost)
        self.served[store] += cost
        self.requests[store] += 1
        self._running.append((store, cost))

    def _end(self, store: bytes) -> None:
        for begun in self.shares.end(store):
            self._begin(*begun)
        self._ask(store)


def ran(
    connections: Mapping[bytes, int],
    costs: Mapping[bytes, tuple[int, int]],
    rates: Mapping[bytes, float],
    ticks: int = 4000,
    places: int = 4,
) -> Machine:
    machine = Machine(Shares(places), random.Random(7))
    machine.run(connections, costs, rates, ticks)
    return machine


def test_one_who_floods_gets_no_more_than_one_who_has_enough_to_do() -> None:
    machine = ran({A: 200, B: 4}, {A: (1, 3), B: (1, 3)}, {A: 1, B: 1})
    assert machine.served[A] == pytest.approx(machine.served[B], rel=0.02)


def test_large_requests_count_for_what_they_are() -> None:
    machine = ran({A: 50, B: 50}, {A: (40, 60), B: (1, 3)}, {A: 1, B: 1})
    assert machine.served[A] == pytest.approx(machine.served[B], rel=0.35)
    assert machine.requests[B] > 15 * machine.requests[A]


def test_shares_are_by_rate() -> None:
    machine = ran({A: 50, B: 50}, {A: (1, 3), B: (1, 3)}, {A: 3, B: 1}, places=8)
    assert machine.served[A] == pytest.approx(3 * machine.served[B], rel=0.05)


def test_one_request_at_a_time_never_waits() -> None:
    shares: Shares[object] = Shares(2)
    for _ in range(100):
        if not shares.ask(A, 1):
            shares.wait(A, object())
        shares.charge(B, 0)
        assert shares.ask(B, 1)
        shares.charge(B, 1000)
        shares.end(B)


def test_who_was_idle_has_saved_nothing_up() -> None:
    shares: Shares[str] = Shares(1)
    assert shares.ask(A, 1)
    shares.charge(A, 1000)
    shares.end(A)
    assert shares.ask(A, 1)
    assert shares.ask(B, 1)
    for number in range(4):
        shares.wait(A, f"a{number}")
        shares.wait(B, f"b{number}")
    order = []
    for _ in range(3):
        for store in (A, B):
            for begun in shares.end(store):
                order.append(begun)
                shares.charge(A if begun.startswith("a") else B, 10)
    assert sorted(order[:2]) == ["a0", "b0"], "neither is owed for the time before"


def test_a_withdrawn_wish_takes_no_place() -> None:
    shares: Shares[str] = Shares(1)
    assert shares.ask(A, 1)
    assert shares.ask(B, 1)
    assert not shares.ask(A, 1)
    shares.wait(A, "a1")
    assert not shares.ask(A, 1)
    shares.wait(A, "a2")
    shares.withdraw(A, "a1")
    assert shares.end(A) == ["a2"]
    assert shares.end(A) == []
    assert shares.end(B) == []
    assert (shares.used, shares.waiting, shares.active()) == (0, 0, 0)


class Wish:
    def __init__(self, store: bytes) -> None:
        self.store = store


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCabcxyz"), st.integers(1, 5)), max_size=120))
def test_whatever_happens_places_are_neither_lost_nor_made(steps: list[tuple[str, int]]) -> None:
    """Upper case asks, lower case ends, x to z withdraw; at the end all that began is ended."""
    shares: Shares[Wish] = Shares(2)
    running: Counter[bytes] = Counter()
    waiting: dict[bytes, list[Wish]] = {A: [], B: [], C: []}

    def end(store: bytes) -> None:
        running[store] -= 1
        for wish in shares.end(store):
            waiting[wish.store].remove(wish)
            running[wish.store] += 1

    for what, cost in steps:
        store = {"x": b"a", "y": b"b", "z": b"c"}.get(what, what.lower().encode())
        if what.isupper():
            if shares.ask(store, cost):
                running[store] += 1
            else:
                waiting[store].append(Wish(store))
                shares.wait(store, waiting[store][-1])
        elif what in "xyz":
            if waiting[store]:
                shares.withdraw(store, waiting[store].pop())
        elif running[store]:
            end(store)
        shares.charge(store, cost)
        assert shares.used == running.total()
        assert shares.waiting == sum(map(len, waiting.values()))
        for one, wishes in waiting.items():
            assert not wishes or running[one], "nobody waits who has nothing running"
    for store in (A, B, C) * (len(steps) + 1):
        if running[store]:
            end(store)
    assert (shares.used, shares.waiting, shares.active()) == (0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 4),
)
def test_two_that_always_want_more_stay_within_a_few_requests_of_their_shares(
    many: int, few: int, large: int, small: int, rate: int
) -> None:
    """The bound of fair queueing: normalised service differs by no more than what may be under way
    at once, whatever the numbers of connections and the sizes of requests."""
    places = 8  # one of which is anybody's who has nothing running: less than the smallest share
    machine = ran({A: many, B: few}, {A: (1, large), B: (1, small)}, {A: rate, B: 1}, 500, places)
    behind = abs(machine.served[A] / rate - machine.served[B])
    assert behind <= (places + 1) * (large / rate + small) + places
