"""The clock that releases locks: never ahead of the time that passed, whatever others say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog import mutations as m
from coffre.catalog.clock_mutations import AcceptClock, AdjustClock, CancelClock, NoteClock
from coffre.catalog.lifecycle_mutations import Expired, ExpireDue, PutLifecycle
from coffre.catalog.lifecycle_rules import Lifecycle, Rule
from coffre.catalog.mutations import Refusal
from coffre.catalog.release_clock import ACCEPT_DELAY_MS, ReleaseClock
from coffre.service.administration import Invalid
from coffre.service.clock_keeper import NOTE_EVERY_MS, ClockKeeper, clock_facts
from coffre.service.time_sources import Reading, agreed_ms
from coffre.system.clock import Boot, ManualClock, SystemClock
from coffre.testing.committing import BUCKET, Node, RecordedZone, put
from coffre.vault.landing import Landing

HOUR_S, DAY_S, YEAR_S = 3600, 24 * 3600, 365 * 24 * 3600
WEEK = Lifecycle((Rule("week", enabled=True, days=7),), b"")


class Told:
    """A source that says what it is told to; None: it cannot say."""

    def __init__(self, name: str, now_ms: int | None = None) -> None:
        self.name = name
        self.now_ms = now_ms

    async def read(self) -> Reading:
        return Reading(self.name, self.now_ms)


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


async def with_a_rule(zone: RecordedZone) -> Node:
    """A node with an object that expires in a week."""
    node = await zone.founded()
    await node.committer.commit(PutLifecycle(BUCKET, WEEK))
    await node.committer.commit(*put(b"key", b"body"))
    return node


async def again(zone: RecordedZone, node: Node) -> Node:
    await node.stop()
    return await zone.node()


def keeper_of(zone: RecordedZone, node: Node, *sources: Told) -> ClockKeeper:
    return ClockKeeper(node.reader, node.committer, zone.clock, sources)


def released(zone: RecordedZone, node: Node) -> int:
    return int(clock_facts(node.reader, zone.clock)["trusted_ms"])


def kinds(node: Node) -> list[str]:
    return [change.kind for change in reversed(node.reader.clock_changes(100))]


async def expired(node: Node) -> int:
    done = await node.committer.commit(ExpireDue())
    assert isinstance(done, Expired)
    return len(done.done)


async def test_a_new_catalog_begins_with_the_walls_time(zone: RecordedZone) -> None:
    began_ms = zone.clock.now_ms()
    node = await zone.founded()
    assert released(zone, node) == began_ms
    assert kinds(node) == ["begun"]


async def test_a_process_that_starts_again_in_the_same_boot_knows_how_long_it_was_down(
    zone: RecordedZone,
) -> None:
    node = await with_a_rule(zone)
    began_ms = released(zone, node)
    await node.stop()
    zone.clock.step(-YEAR_S)
    zone.clock.advance(9 * DAY_S)
    node = await zone.node()
    assert released(zone, node) == began_ms + 9 * DAY_S * 1000
    assert await expired(node) == 1
    assert kinds(node) == ["begun"]


@pytest.mark.parametrize("jumps", [(YEAR_S,), (YEAR_S, YEAR_S), (-YEAR_S,), (YEAR_S, -YEAR_S)])
@pytest.mark.parametrize("reboot", [False, True])
async def test_jumps_while_it_is_stopped_release_and_expire_nothing(
    zone: RecordedZone, jumps: tuple[int, ...], reboot: bool
) -> None:
    node = await with_a_rule(zone)
    began_ms = released(zone, node)
    for jump in jumps:
        await node.stop()
        zone.clock.step(jump)
        if reboot:
            zone.clock.reboot()
        node = await zone.node()
        assert await expired(node) == 0
        assert released(zone, node) == began_ms


@pytest.mark.parametrize("jump", [YEAR_S, -YEAR_S])
async def test_a_wall_clock_that_is_set_meanwhile_changes_nothing(
    zone: RecordedZone, jump: int
) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(jump)
    assert await expired(node) == 0
    zone.clock.advance(9 * DAY_S)
    assert await expired(node) == 1


async def test_starting_over_and_over_gains_nothing(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    began_ms = released(zone, node)
    for _ in range(20):
        await node.stop()
        zone.clock.step(DAY_S)
        zone.clock.reboot()
        node = await zone.node()
        await node.committer.commit(NoteClock())
    assert released(zone, node) == began_ms
    assert await expired(node) == 0


async def test_what_is_written_while_the_wall_clock_is_behind_is_not_older_for_it(
    zone: RecordedZone,
) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(-YEAR_S)
    written = await node.committer.commit(*put(b"late", b"body"))
    assert isinstance(written, m.Written)
    assert written.modified_ms == released(zone, node)
    assert await expired(node) == 0


async def test_an_acceptance_takes_effect_after_a_day_and_not_before(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(YEAR_S)
    await node.committer.commit(AcceptClock("the machine was off"))
    # Nothing that is done to the wall clock now counts.
    zone.clock.step(YEAR_S)
    zone.clock.advance(DAY_S - 1)
    assert await expired(node) == 0
    zone.clock.advance(1)
    assert await expired(node) == 1
    assert clock_facts(node.reader, zone.clock)["behind_s"] == YEAR_S
    assert kinds(node) == ["begun", "asked", "accepted"]


@pytest.mark.parametrize("reboot", [False, True])
async def test_an_acceptance_outlives_restarts_and_counts_what_surely_passed(
    zone: RecordedZone, reboot: bool
) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(YEAR_S)
    await node.committer.commit(AcceptClock(""))
    zone.clock.advance(23 * HOUR_S)
    await node.committer.commit(NoteClock())
    await node.stop()
    zone.clock.advance(HOUR_S)
    if reboot:
        zone.clock.reboot()
    node = await zone.node()
    await keeper_of(zone, node).look()
    assert await expired(node) == (0 if reboot else 1)
    zone.clock.advance(HOUR_S)
    assert await expired(node) == (1 if reboot else 0)


async def test_an_acceptance_can_be_cancelled_once(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(YEAR_S)
    await node.committer.commit(AcceptClock("mine"))
    with pytest.raises(Refusal):
        await node.committer.commit(AcceptClock("mine too"))
    await node.committer.commit(CancelClock("not mine"))
    with pytest.raises(Refusal):
        await node.committer.commit(CancelClock("nor mine"))
    zone.clock.advance(2 * DAY_S)
    assert await expired(node) == 0
    assert [(change.kind, change.why) for change in node.reader.clock_changes(2)] == [
        ("cancelled", "not mine"),
        ("asked", "mine"),
    ]


async def test_a_clock_that_is_not_behind_has_nothing_to_accept(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(-1)
    with pytest.raises(Refusal):
        await node.committer.commit(AcceptClock(""))


async def test_what_sources_agree_on_voids_an_acceptance(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(DAY_S)
    await node.committer.commit(AcceptClock(""))
    await node.committer.commit(AdjustClock(zone.clock.now_ms(), "kernel, peer"))
    zone.clock.advance(DAY_S)
    assert clock_facts(node.reader, zone.clock)["behind_s"] == 0


async def test_two_sources_that_agree_put_it_right_and_one_alone_does_not(
    zone: RecordedZone,
) -> None:
    node = await with_a_rule(zone)
    await node.stop()
    zone.clock.advance(9 * DAY_S)
    zone.clock.reboot()
    node = await zone.node()
    kernel, server = Told("kernel", zone.clock.now_ms()), Told("server")
    keeper = keeper_of(zone, node, kernel, server)
    await keeper.look()
    await keeper.look()
    assert await expired(node) == 0
    server.now_ms = zone.clock.now_ms() - YEAR_S * 1000
    await keeper.look()
    assert await expired(node) == 0
    server.now_ms = zone.clock.now_ms() - 3000
    await keeper.look()
    assert clock_facts(node.reader, zone.clock)["behind_s"] == 3
    assert await expired(node) == 1
    assert node.reader.clock_changes(1)[0].why == "kernel, server"


async def test_a_catalog_that_was_begun_in_the_future_comes_back(zone: RecordedZone) -> None:
    zone.clock.step(YEAR_S)
    node = await zone.founded()
    zone.clock.step(-YEAR_S)
    now_ms = zone.clock.now_ms()
    await keeper_of(zone, node, Told("kernel", now_ms), Told("server", now_ms)).look()
    assert released(zone, node) == now_ms


async def test_what_a_source_denies_is_not_accepted(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    right_ms = zone.clock.now_ms()
    zone.clock.step(YEAR_S)
    keeper = keeper_of(zone, node, Told("kernel"), Told("server", right_ms))
    with pytest.raises(Invalid, match="server"):
        await keeper.accept()
    shown = await keeper.show()
    assert (shown["behind_s"], shown["pending"], shown["agreed_ms"]) == (YEAR_S, None, None)
    assert [one["now_ms"] for one in shown["sources"]] == [None, right_ms]


@pytest.mark.parametrize("behind_ms", [-1000, 0, 2])
async def test_an_operator_accepts_no_less_than_half_a_second(
    zone: RecordedZone, behind_ms: int
) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(behind_ms / 1000)
    keeper = keeper_of(zone, node)
    with pytest.raises(Invalid, match="nothing to accept"):
        await keeper.accept()
    assert str((await keeper.show())["behind_s"]) != "-0.0"


async def test_what_an_operator_accepts_is_shown_until_it_is_cancelled(
    zone: RecordedZone,
) -> None:
    node = await with_a_rule(zone)
    zone.clock.step(YEAR_S)
    keeper = keeper_of(zone, node)
    asked = await keeper.accept("off for a year")
    pending = {"at_ms": released(zone, node) + ACCEPT_DELAY_MS, "in_s": DAY_S, "ahead_s": YEAR_S}
    assert asked["pending"] == pending
    assert (await keeper.show())["pending"] == pending
    assert (await keeper.cancel())["pending"] is None


async def test_a_quiet_node_notes_its_clock_at_a_start_and_now_and_then(
    zone: RecordedZone,
) -> None:
    node = await with_a_rule(zone)
    zone.clock.reboot()
    node = await again(zone, node)
    keeper = keeper_of(zone, node)
    await keeper.look()
    noted = node.reader.release_clock()
    assert noted is not None
    assert noted.boot_id == zone.clock.boot().id
    zone.clock.advance(NOTE_EVERY_MS / 1000 - 1)
    await keeper.look()
    assert node.reader.release_clock() == noted
    zone.clock.advance(1)
    await keeper.look()
    assert node.reader.release_clock() == noted.at(zone.clock.boot())


async def test_a_kill_between_the_logs_sync_and_commit_loses_nothing_of_it(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await with_a_rule(zone)
    zone.clock.advance(DAY_S)
    noted_ms = released(zone, node)
    synced = asyncio.Event()
    append = Landing.append

    async def append_and_hang(self: Landing, pieces: list[bytes]) -> None:
        await append(self, pieces)
        synced.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Landing, "append", append_and_hang)
    node.committer.submit(NoteClock()).cancel()
    await synced.wait()
    await node.kill()
    monkeypatch.undo()
    zone.clock.step(YEAR_S)
    zone.clock.reboot()
    assert released(zone, await zone.node()) == noted_ms


async def test_a_lost_catalog_comes_back_with_its_clock(zone: RecordedZone) -> None:
    node = await with_a_rule(zone)
    zone.clock.advance(DAY_S)
    zone.clock.step(YEAR_S)
    await node.committer.commit(AcceptClock("kept in the log"))
    before = node.reader.release_clock(), node.reader.clock_changes(100)
    await node.kill()
    zone.lose_catalog()
    zone.clock.step(YEAR_S)
    node = await zone.node()
    assert (node.reader.release_clock(), node.reader.clock_changes(100)) == before


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.integers(0, 10**6)),
        st.tuples(st.just("is set by"), st.integers(-(10**9), 10**9)),
        st.tuples(st.just("reboots"), st.just(0)),
        st.tuples(st.just("group"), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_is_never_ahead_of_the_time_that_passed(steps: list[tuple[str, int]]) -> None:
    wall = ManualClock()
    noted = ReleaseClock(wall.now_ms(), *wall.boot())
    real_ms, at_least_ms = wall.now_ms(), wall.now_ms()
    for what, seconds in steps:
        if what == "passes":
            wall.advance(seconds)
            real_ms += seconds * 1000
        elif what == "is set by":
            wall.step(seconds)
        elif what == "reboots":
            wall.reboot()
        now = noted.at(wall.boot())
        assert at_least_ms <= now.trusted_ms <= real_ms
        if what == "group":
            noted, at_least_ms = now, now.trusted_ms


def test_a_boot_clock_that_went_back_gains_nothing() -> None:
    noted = ReleaseClock(1_000_000, "boot", 5000)
    assert noted.at(Boot("boot", 4000)).trusted_ms == 1_000_000
    assert noted.at(Boot("boot", 6000)).trusted_ms == 1_001_000
    assert noted.at(Boot("another", 6000)).trusted_ms == 1_000_000


def test_the_earlier_of_two_readings_that_agree_counts() -> None:
    def of(*told: int | None) -> int | None:
        return agreed_ms([Reading(str(at), now_ms) for at, now_ms in enumerate(told)])

    assert of() is None
    assert of(5, None) is None
    assert of(50_000, 45_000) == 45_000
    assert of(50_000, 30_000) is None
    assert of(10**9, 45_000, 50_000, None) == 45_000


def test_the_machines_boot_clock_is_the_kernels() -> None:
    clock = SystemClock()
    first, second = clock.boot(), clock.boot()
    assert first.id == second.id
    assert 0 < first.elapsed_ms <= second.elapsed_ms
