"""Turns of requests in one process: nobody is starved, and no place is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from coffre.catalog.interface import CommitterBusy
from coffre.catalog.records import Store, StoreLimits, StoreSettings
from coffre.s3.fairness import ALONE_S, HELD_S, PLACES, REQUEST_BYTES, Fairness, Turn

MIB = 1 << 20


def store(name: str, rate: float = 1.0) -> Store:
    settings = StoreSettings(limits=StoreLimits(rate=rate))
    return Store(name.encode().ljust(16), name, b"", b"", 0, settings=settings)


A, B = store("a"), store("b")


async def serve(
    fairness: Fairness, who: Store, served: Counter[str], enough: asyncio.Event
) -> None:
    """A client that asks again at once, for what is done within one turn of the loop."""
    while not enough.is_set():
        await asyncio.sleep(0)
        turn = await fairness.enter(who)
        turn.leave()
        if not enough.is_set():
            served[who.name] += 1
        if served["b"] == 300:
            enough.set()


@pytest.mark.parametrize("flood", [64, 640])
async def test_a_flood_of_one_store_leaves_another_its_share(flood: int) -> None:
    fairness, served, enough = Fairness(64 * MIB), Counter[str](), asyncio.Event()
    clients = [(A, flood), (B, PLACES)]
    await asyncio.gather(
        *(serve(fairness, who, served, enough) for who, count in clients for _ in range(count))
    )
    # Without turns a would have had `flood / PLACES` times as much; what it had open when b came
    # goes on.
    assert served["a"] < 1.25 * served["b"] + flood


async def test_who_was_alone_for_a_while_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fairness, loop = Fairness(64 * MIB), asyncio.get_running_loop()
    (await fairness.enter(A)).leave()
    later = loop.time() + ALONE_S + 0.001
    monkeypatch.setattr(loop, "time", lambda: later)
    turns = [entered_at_once(fairness, A) for _ in range(10 * PLACES)]
    # Who comes then is not kept out by those, and now there is somebody to be fair to.
    other = entered_at_once(fairness, B)
    wanted = asyncio.ensure_future(fairness.enter(A))
    await asyncio.sleep(0)
    assert not wanted.done()
    for turn in (*turns, other):
        turn.leave()
    (await wanted).leave()
    await all_is_free(fairness)


def entered_at_once(fairness: Fairness, who: Store) -> Turn:
    entering = fairness.enter(who)
    with pytest.raises(StopIteration) as ended:
        entering.send(None)
    turn: Turn = ended.value.value
    return turn


async def test_long_work_of_one_store_does_not_keep_its_other_requests_out() -> None:
    fairness = Fairness(64 * MIB)
    other = await fairness.enter(B)
    async with asyncio.timeout(60):
        turns = [await fairness.enter(A) for _ in range(3 * PLACES)]
    for turn in (*turns, other):
        turn.leave()


async def contended(fairness: Fairness) -> list[Turn]:
    """Every place is taken, b's one among them."""
    turns = [await fairness.enter(B)]
    while True:
        waiting = asyncio.ensure_future(fairness.enter(A))
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return turns
        turns.append(waiting.result())


async def test_what_is_held_for_long_is_given_away() -> None:
    fairness = Fairness(64 * MIB)
    held = await contended(fairness)
    assert len(held) == PLACES
    loop = asyncio.get_running_loop()
    begun = loop.time()
    late = await fairness.enter(A)
    assert loop.time() - begun >= HELD_S / 2
    for turn in (*held, late):
        turn.leave()
    await all_is_free(fairness)


async def all_is_free(fairness: Fairness) -> None:
    """With a competitor there, all places but its one can be had at once."""
    other = await fairness.enter(B)
    turns = []
    for _ in range(PLACES - 1):
        wanted = asyncio.ensure_future(fairness.enter(A))
        await asyncio.sleep(0)
        assert wanted.done(), "a place was lost"
        turns.append(wanted.result())
    for turn in (other, *turns):
        turn.leave()


async def test_one_who_leaves_while_waiting_takes_no_place_with_him() -> None:
    fairness = Fairness(64 * MIB)
    held = await contended(fairness)
    waiting = [asyncio.ensure_future(fairness.enter(A)) for _ in range(5)]
    await asyncio.sleep(0)
    # The first is given its place and cancelled before it can know.
    held[0].leave()
    held[1].leave()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for turn in held:
        turn.leave()
    await all_is_free(fairness)


async def test_while_a_request_waits_for_its_client_others_have_its_place() -> None:
    fairness = Fairness(64 * MIB)
    held = await contended(fairness)
    came = asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        return await came

    reading = asyncio.ensure_future(held[1].receiving(receive)())
    await asyncio.sleep(0)
    async with asyncio.timeout(HELD_S * 100):
        other = await fairness.enter(A)
    came.set_result({"type": "http.request", "body": b"piece", "more_body": False})
    other.leave()
    assert (await reading)["body"] == b"piece"
    for turn in held:
        turn.leave()
    await all_is_free(fairness)


class SlowCommitter:
    """Commits when it is told to."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.waiting: list[asyncio.Future[None]] = []

    async def commit(self, mutation: Any, body: Any = ()) -> Any:
        self.order.append(mutation)
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]
        return mutation

    async def commit_all(self, mutations: Any) -> Any:
        return [await self.commit(one) for one in mutations]

    def one(self) -> None:
        self.waiting.pop(0).set_result(None)


async def test_one_stores_bodies_do_not_fill_what_waits_for_the_committer() -> None:
    fairness, slow = Fairness(16 * MIB), SlowCommitter()
    committer: Any = slow
    tasks = []
    for who, count in ((A, 20), (B, 3)):
        for number in range(count):
            turn = await fairness.enter(who)
            own: Any = fairness.committer(committer, turn)
            body = (bytes(MIB - REQUEST_BYTES),) if who is A else ()
            tasks.append(asyncio.ensure_future(own.commit(f"{who.name}{number}", body)))
            await asyncio.sleep(0)
    # As much as may be under way is; b's first goes at once, and then it is b's turn.
    under_way = len(slow.order) - 1
    assert under_way < 20
    assert slow.order == [*(f"a{number}" for number in range(under_way)), "b0"]
    slow.one()
    slow.one()
    for _ in range(3):
        await asyncio.sleep(0)
    assert {"b1", "b2"} <= set(slow.order), slow.order
    # Too much waits, and it is a's: b may go on.
    with pytest.raises(CommitterBusy):
        fairness.admit(A)
    fairness.admit(B)
    while not all(task.done() for task in tasks):
        if slow.waiting:
            slow.one()
        await asyncio.sleep(0)
    assert len(slow.order) == 23
    fairness.admit(A)
