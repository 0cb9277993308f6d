"""The runner of stewards: pauses, wakes, rounds on request, and errors that back off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from coffre.service.local import LocalStore
from coffre.service.notices import MOST_A_TIME, Teller, receive_notices
from coffre.stewards.damage import Finding
from coffre.stewards.pace import LEAST_SHARE, Pace
from coffre.stewards.read_repair import Notice
from coffre.stewards.runner import Runner, StewardPaused, UnknownSteward
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import ManualClock, SystemClock


class Worker(Steward):
    """Does what it is told, and counts."""

    def __init__(self, name: str = "worker", again: float = 3600.0) -> None:
        self.name = name
        self.again = again
        self.rounds = 0
        self.hastened = 0
        self.fails: Exception | None = None
        self.began = asyncio.Event()

    def hasten(self) -> None:
        self.hastened += 1

    async def round(self) -> Round:
        self.rounds += 1
        self.began.set()
        if self.fails is not None:
            raise self.fails
        return Round(did=1, left=3, moved_bytes=10, result="did one", again=self.again)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path / "local.db")
    yield store
    store.close()


async def began(worker: Worker) -> None:
    async with asyncio.timeout(10):
        await worker.began.wait()


async def test_rounds_follow_each_other_and_are_told(local: LocalStore) -> None:
    worker = Worker(again=0.0)
    runner = Runner([worker], SystemClock(), local)
    runner.start()
    await runner.run_now("worker")
    await runner.run_now("worker")
    standing = runner.standing("worker")
    await runner.stop()
    assert worker.rounds >= 2
    assert worker.hastened == 2
    assert (standing.left, standing.last_result, standing.last_error) == (3, "did one", "")
    assert standing.last_round_ms is not None


async def test_a_steward_that_rests_is_woken_by_an_event(local: LocalStore) -> None:
    worker = Worker()
    runner = Runner([worker], SystemClock(), local)
    runner.start()
    await began(worker)
    worker.began.clear()
    runner.wake("worker")
    runner.wake("nobody")
    await began(worker)
    await runner.stop()
    assert worker.rounds == 2


async def test_a_pause_holds_across_restarts_until_it_is_resumed(local: LocalStore) -> None:
    worker = Worker()
    runner = Runner([worker], SystemClock(), local)
    await runner.pause("worker")
    runner.start()
    with pytest.raises(StewardPaused):
        await runner.run_now("worker")
    await runner.stop()
    runner = Runner([worker], SystemClock(), local)
    runner.start()
    assert runner.standing("worker").state == "paused"
    assert worker.rounds == 0
    await runner.resume("worker")
    await began(worker)
    await runner.stop()
    assert local.paused() == frozenset()


@pytest.mark.parametrize("error", [OSError("a drive is away"), ValueError("a fault of ours")])
async def test_one_that_fails_is_shown_as_failing_and_the_others_go_on(
    local: LocalStore, error: Exception
) -> None:
    bad, good = Worker("bad"), Worker("good")
    bad.fails = error
    runner = Runner([bad, good], SystemClock(), local)
    runner.start()
    await runner.run_now("bad")
    await runner.run_now("good")
    states = {one.name: (one.state, one.last_error) for one in runner.standings()}
    assert states["bad"] == ("failing", f"{type(error).__name__}: {error}")
    assert states["good"] == ("waiting", "")
    bad.fails = None
    await runner.run_now("bad")
    assert runner.standing("bad").state == "waiting"
    await runner.stop()


async def test_a_name_that_nobody_has_is_refused(local: LocalStore) -> None:
    runner = Runner([Worker()], SystemClock(), local)
    for call in (runner.pause, runner.resume, runner.run_now):
        with pytest.raises(UnknownSteward):
            await call("nobody")


def test_local_memory_outlives_a_restart_and_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    store = LocalStore(path)
    store.set_paused("scrubber", True)
    store.set_progress("scrub", b"here")
    store.add_damaged(b"chunk", 3, b"drive")
    store.add_finding(Finding(7, "scrubber", "ab", "x.3.segment", "block 1 is bad"))
    store.close()
    assert path.stat().st_mode & 0o777 == 0o600
    again = LocalStore(path)
    assert again.paused() == {"scrubber"}
    assert again.progress("scrub") == b"here"
    assert again.damaged() == [(b"chunk", 3, b"drive")]
    assert [one.what for one in again.findings(5)] == ["block 1 is bad"]
    again.remove_damaged(b"chunk", 3, b"drive")
    assert again.damaged() == []
    again.close()
    path.write_bytes(b"no database at all" * 300)
    fresh = LocalStore(path)
    assert fresh.paused() == frozenset()
    fresh.close()


async def test_notices_arrive_once_and_never_wait_for_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clock, taken = ManualClock(), asyncio.Queue[Notice]()
    teller = Teller("notices.sock", clock)
    chunk, drive = b"c" * 16, b"d" * 16
    teller(chunk, 1, drive, "nobody listens yet")
    transport = await receive_notices("notices.sock", taken.put_nowait)
    teller(chunk, 1, drive, "told a moment ago")
    teller(chunk, -1, drive, "a mirror")
    async with asyncio.timeout(10):
        assert await taken.get() == Notice(chunk, -1, drive)
    clock.advance(60)
    teller(chunk, 1, drive, "told long ago")
    async with asyncio.timeout(10):
        assert await taken.get() == Notice(chunk, 1, drive)
    for segment in range(MOST_A_TIME * 3):
        teller(chunk, segment, drive, "a flood")
    teller.close()
    transport.close()
    assert len(teller._told) == MOST_A_TIME


async def test_the_rate_holds_and_less_of_it_is_left_while_clients_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    monkeypatch.setattr("coffre.stewards.pace.asyncio.sleep", sleep)
    under_way = 0
    pace = Pace(clock, 1000.0, lambda: under_way)
    for expected, busy in ((1.0, 0), (2.0, 1), (1 / LEAST_SHARE, 10_000)):
        under_way = busy
        before = clock.monotonic()
        for _ in range(10):
            await pace.take(100)
        assert clock.monotonic() - before == pytest.approx(expected)
