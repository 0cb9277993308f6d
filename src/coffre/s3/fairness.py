"""Stores share a worker fairly: while several want more than there is, each has its share of the
places at work, and of what waits for the committer.

A request has one of few places while it is worked on; it gives it back while it waits for its
client or for the committer, and takes its turn again after each piece of a body. So one store's
many connections and large bodies count for what they are. A place that is held for long (a slow
drive, a long query) is given to another meanwhile: places bound work, not waiting. A store that is
alone is not bounded at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

from coffre.catalog.interface import Committer, CommitterBusy
from coffre.catalog.mutations import Mutation, Refused, Result
from coffre.catalog.records import Store
from coffre.s3.shares import Shares
from coffre.system.buffer import Buffer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# At work at once in a process: enough to keep drives busy, few enough that who comes is soon next.
PLACES: Final = 8
HELD_S: Final = 0.01
# Without another store for so long, one has it all.
ALONE_S: Final = 1.0
# 64 small mutations: with as many of other workers, a group's worth while one is synced.
WINDOW_BYTES: Final = 4 * 1024 * 1024
# What a request costs beside the bytes of its bodies, and a mutation beside its own, in bytes.
REQUEST_BYTES: Final = 64 * 1024
_ONE_OF_MANY_BYTES: Final = 8 * 1024
# Of those who say nothing of it.
QUEUED_BYTES: Final = 64 * 1024 * 1024


class Fairness:
    """The turns of one process. `queued_bytes` bound what waits for the committer."""

    def __init__(self, queued_bytes: int) -> None:
        self._places: Shares[_Waiter] = Shares(PLACES)
        # The rest waits here, where it can be overtaken, and not in the committer's queue.
        self._window: Shares[_Waiter] = Shares(WINDOW_BYTES)
        self._queued_limit = queued_bytes
        self._queued: dict[bytes, int] = {}
        self._total = 0
        self._held: dict[Turn, float] = {}
        self._given: list[bytes] = []
        # Who asked last, and when it last was another than before.
        self._last = b""
        self._shared = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, store: Store) -> Turn:
        """A request of a store begins, when it is its turn."""
        turn, places = Turn(self, store), self._places
        self._look_for_others(store.id)
        if places.ask(store.id, store.settings.limits.rate):
            self._hold(turn)
        else:
            await self.take(turn)
        places.charge(store.id, REQUEST_BYTES)
        return turn

    def _look_for_others(self, store_id: bytes) -> None:
        """Who has had the process to himself for a while is not bounded: there is nobody to be fair
        to, and turns cost a little."""
        now = asyncio.get_running_loop().time()
        if store_id != self._last:
            self._last, self._shared = store_id, now
        self._places.bounded = self._window.bounded = now < self._shared + ALONE_S

    def committer(self, committer: Committer, turn: Turn) -> Committer:
        """The committer as a request uses it: in its turn."""
        return _FairCommitter(self, committer, turn)

    def admit(self, store: Store) -> None:
        """Raises CommitterBusy if too much waits to be committed, and it is this store's."""
        own = self._queued.get(store.id, 0)
        if self._total >= self._queued_limit and own * len(self._queued) >= self._total:
            raise CommitterBusy("too much waits to be committed")

    # Places

    async def take(self, turn: Turn) -> None:
        """Wait for a place, unless there is one."""
        places, store = self._places, turn.store
        if turn in self._held:
            return
        if not places.ask(store.id, store.settings.limits.rate):
            await self._wait(places, store.id, 1)
        if turn in self._held:
            self._give_back(store.id)  # Two that work for one request came back at once.
        else:
            self._hold(turn)

    def _hold(self, turn: Turn) -> None:
        self._held[turn] = asyncio.get_running_loop().time()
        self._watch()

    def leave(self, turn: Turn) -> None:
        """Give a place back, unless it was given away already."""
        if self._held.pop(turn, None) is None:
            return
        if self._places.bounded:
            self._give_back(turn.store.id)
        else:
            _begin(self._places.end(turn.store.id))

    def _give_back(self, store_id: bytes) -> None:
        """Two turns of the loop later. Most work is done within one, so who competes for it comes
        in meanwhile: in the next turn they ask, and then it is decided whose turn it is."""
        if not self._given:
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._take_back)
        self._given.append(store_id)

    def _take_back(self) -> None:
        given, self._given = self._given, []
        for store_id in given:
            _begin(self._places.end(store_id))

    def charge(self, turn: Turn, size: int) -> None:
        self._places.charge(turn.store.id, size)

    async def _wait(self, shares: Shares[_Waiter], store_id: bytes, size: int) -> None:
        waiter = _Waiter()
        shares.wait(store_id, waiter, size)
        self._watch()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.begun:
                _begin(shares.end(store_id, size))
            else:
                shares.withdraw(store_id, waiter)
            raise

    def _watch(self) -> None:
        """While somebody waits, see to it that nobody holds a place for long."""
        if self._timer is None and self._held and self._places.waiting:
            due = next(iter(self._held.values())) + HELD_S
            self._timer = asyncio.get_running_loop().call_at(due, self._give_away)

    def _give_away(self) -> None:
        self._timer = None
        long_ago = asyncio.get_running_loop().time() - HELD_S
        for turn, since in list(self._held.items()):
            if since > long_ago:
                break
            self.leave(turn)
        self._watch()

    # The committer's queue

    async def commit_in_turn(
        self, turn: Turn, size: int, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Do `work`, which commits so many bytes, when it is the store's turn."""
        store_id, window = turn.store.id, self._window
        self._queued[store_id] = self._queued.get(store_id, 0) + size
        self._total += size
        # A large body is less of a group than its bytes are.
        room = (3 * REQUEST_BYTES + size) // 4
        turn.leave()
        try:
            if not window.ask(store_id, turn.store.settings.limits.rate, room):
                await self._wait(window, store_id, room)
            window.charge(store_id, size)
            try:
                return await work()
            finally:
                _begin(window.end(store_id, room))
        finally:
            self._total -= size
            self._queued[store_id] -= size
            if not self._queued[store_id]:
                del self._queued[store_id]


class Turn:
    """One request's place among those at work."""

    __slots__ = ("_fairness", "store")

    def __init__(self, fairness: Fairness, store: Store) -> None:
        self._fairness = fairness
        self.store = store

    async def back(self) -> None:
        """Go on, when it is our turn again."""
        await self._fairness.take(self)

    def leave(self) -> None:
        """Stop for others: from here on we wait for somebody."""
        self._fairness.leave(self)

    def charge(self, size: int) -> None:
        """So many bytes were moved for this request."""
        self._fairness.charge(self, size)

    def receiving(self, receive: Receive) -> Receive:
        """Receive without a place, and take the next turn with what came."""

        async def received() -> Message:
            self.leave()
            message = await receive()
            self.charge(len(message.get("body", b"")))
            await self.back()
            return message

        return received

    def sending(self, send: Send) -> Send:
        """Send without a place, and take the next turn for the next piece."""

        async def sent(message: Message) -> None:
            self.leave()
            await send(message)
            self.charge(len(message.get("body", b"")))
            if message.get("more_body"):
                await self.back()

        return sent


class _FairCommitter:
    """See `Committer`."""

    __slots__ = ("_committer", "_fairness", "_turn")

    def __init__(self, fairness: Fairness, committer: Committer, turn: Turn) -> None:
        self._fairness = fairness
        self._committer = committer
        self._turn = turn

    async def commit(self, mutation: Mutation, body: Sequence[Buffer] = ()) -> Result:
        """See `Committer`."""
        size = REQUEST_BYTES + sum(map(len, body))
        done: Result = await self._fairness.commit_in_turn(
            self._turn, size, lambda: self._committer.commit(mutation, body)
        )
        await self._turn.back()
        return done

    async def commit_all(self, mutations: Sequence[Mutation]) -> list[Result | Refused]:
        """See `Committer`."""
        done: list[Result | Refused] = await self._fairness.commit_in_turn(
            self._turn,
            REQUEST_BYTES + _ONE_OF_MANY_BYTES * len(mutations),
            lambda: self._committer.commit_all(mutations),
        )
        await self._turn.back()
        return done


class _Waiter:
    """`begun`: it has its place, also where it was cancelled before it could know."""

    __slots__ = ("begun", "turn")

    def __init__(self) -> None:
        self.turn = asyncio.get_running_loop().create_future()
        self.begun = False


def _begin(waiters: list[_Waiter]) -> None:
    for waiter in waiters:
        waiter.begun = True
        if not waiter.turn.done():
            waiter.turn.set_result(None)
