"""Whose turn it is: places that stores compete for, shared by what each has had already.

Start-time fair queueing: each store has a virtual time, which what it is served (in bytes, over the
store's rate) moves on. Whoever is furthest behind is next; a store that was idle begins at the
virtual time of the last one served, so that nobody saves up. Pure: who starts is returned, and
nothing here waits, knows time or does I/O. Source: Goyal, Vin and Cheng, "Start-time Fair
Queueing".

While a store asks for one thing at a time it never waits for another store's.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

Waiter = TypeVar("Waiter")
# Stores at rest that are remembered for what they were served beyond their share.
_REMEMBERED: Final = 1024


class _Store(Generic[Waiter]):
    __slots__ = ("id", "rate", "running", "virtual", "waiting")

    def __init__(self, store_id: bytes) -> None:
        self.id = store_id
        self.rate = 1.0
        self.virtual = 0.0
        self.running = 0
        self.waiting: deque[tuple[Waiter, int]] = deque()


class Shares(Generic[Waiter]):
    """`capacity` in the unit of the sizes that are asked for; endless while not `bounded`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.bounded = True
        self._stores: dict[bytes, _Store[Waiter]] = {}
        # Stores that wait, by a virtual time that may be out of date: it only ever grows.
        self._heap: list[tuple[float, bytes]] = []
        self._active = 0
        self._virtual = 0.0
        self.used = 0
        self.waiting = 0

    def ask(self, store_id: bytes, rate: float, size: int = 1) -> bool:
        """Begin something now? What is told no may `wait`. `rate`: bytes a second that are this
        store's when all compete, against those of the others."""
        store = self._stores.get(store_id)
        if store is None:
            store = self._remember(store_id)
        store.rate = rate
        if not (store.running or store.waiting):
            self._active += 1
            store.virtual = max(store.virtual, self._virtual)
        if store.running and (store.waiting or not self._has_room()):
            return False
        self._begin(store, size)
        return True

    def wait(self, store_id: bytes, waiter: Waiter, size: int = 1) -> None:
        """Queue what `ask` told no."""
        store = self._stores[store_id]
        store.waiting.append((waiter, size))
        self.waiting += 1
        if len(store.waiting) == 1:
            heappush(self._heap, (store.virtual, store_id))

    def withdraw(self, store_id: bytes, waiter: Waiter) -> None:
        """One that waits no longer wants to."""
        store = self._stores[store_id]
        kept = [one for one in store.waiting if one[0] is not waiter]
        self.waiting -= len(store.waiting) - len(kept)
        store.waiting = deque(kept)
        self._rest(store)

    def charge(self, store_id: bytes, cost: float) -> None:
        """So many bytes were served."""
        store = self._stores.get(store_id)
        if store is not None:
            store.virtual += cost / store.rate

    def end(self, store_id: bytes, size: int = 1) -> list[Waiter]:
        """What was begun has ended: who begins instead."""
        store = self._stores[store_id]
        store.running -= 1
        self.used -= size
        begun = []
        if not store.running and store.waiting:
            begun.append(self._begin_first(store))
        self._rest(store)
        while self.waiting and self._has_room():
            begun.append(self._begin_first(self._furthest_behind()))
        return begun

    def active(self) -> int:
        """Stores that are served or wait."""
        return self._active

    def _has_room(self) -> bool:
        return self.used < self._capacity or not self.bounded

    def _begin(self, store: _Store[Waiter], size: int) -> None:
        store.running += 1
        self.used += size
        self._virtual = max(self._virtual, store.virtual)

    def _begin_first(self, store: _Store[Waiter]) -> Waiter:
        waiter, size = store.waiting.popleft()
        self.waiting -= 1
        self._begin(store, size)
        return waiter

    def _furthest_behind(self) -> _Store[Waiter]:
        while True:
            virtual, store_id = self._heap[0]
            store = self._stores.get(store_id)
            if store is None or not store.waiting:
                heappop(self._heap)
            elif store.virtual > virtual:
                heappop(self._heap)
                heappush(self._heap, (store.virtual, store_id))
            else:
                return store

    def _remember(self, store_id: bytes) -> _Store[Waiter]:
        if len(self._stores) >= _REMEMBERED:
            self._stores = {
                one.id: one
                for one in self._stores.values()
                if one.running or one.waiting or one.virtual > self._virtual
            }
        store = self._stores[store_id] = _Store(store_id)
        return store

    def _rest(self, store: _Store[Waiter]) -> None:
        if not (store.running or store.waiting):
            self._active -= 1
