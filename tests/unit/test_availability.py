"""The record of availability: minutes that were down, to the share, against a naive count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.service.layout import DataFolder
from coffre.service.local import LocalStore
from coffre.service.observing.availability import (
    MINUTE_MS,
    Availability,
    Incident,
    Outcome,
    Probe,
)
from coffre.service.observing.counting import Counting
from coffre.service.observing.page import Page
from coffre.service.observing.recording import Recorder
from coffre.stewards.damage import Finding
from coffre.system.clock import ManualClock

START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) // 60


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Availability]:
    opened = Availability(tmp_path / "availability.db")
    yield opened
    opened.close()


def month(record: Availability, minutes: int) -> dict[str, object]:
    return record.month("2026-11", (START + minutes) * MINUTE_MS)


def test_a_minute_that_nobody_wrote_down_was_down(record: Availability) -> None:
    record.record(START, START + 9, True, {})
    record.record(START + 13, START + 19, True, {})
    found = month(record, 20)
    assert (found["minutes"], found["minutes_down"]) == (20, 3)
    assert (found["availability"], found["met"]) == ("85.0000", False)


def test_a_minute_in_which_nothing_served_was_down(record: Availability) -> None:
    record.record(START, START + 98, True, {})
    record.record(START + 99, START + 99, False, {})
    assert month(record, 100)["availability"] == "99.0000"


def test_the_share_of_requests_that_failed_is_down(record: Availability) -> None:
    record.record(START, START + 8, True, {})
    outcomes = {"acme": Outcome(100, 25), "other": Outcome(300, 0)}
    record.record(START + 9, START + 9, True, outcomes)
    found = month(record, 10)
    assert found["minutes_down"] == 0.062
    stores = {one["store"]: one for one in found["stores"]}  # type: ignore[attr-defined]
    assert stores["acme"]["minutes_down"] == 0.25
    assert stores["other"]["availability"] == "100.0000"


def test_probes_that_failed_count_for_their_store_and_never_twice(record: Availability) -> None:
    record.record(START, START + 8, True, {})
    record.record(START + 9, START + 9, True, {"acme": Outcome(10, 5)})
    at_ms = (START + 9) * MINUTE_MS + 5
    for origin, failed in (("paris", "PUT: 503"), ("lyon", "")):
        record.add_probe(Probe(at_ms, origin, "acme", 1000, failed))
        record.add_probe(Probe(at_ms, origin, "acme", 1000, failed))
    stores = month(record, 10)["stores"]
    assert stores[0]["minutes_down"] == 0.5  # type: ignore[index]
    # A minute that was down was down, whatever probes say of it.
    record.add_probe(Probe((START + 10) * MINUTE_MS, "paris", "acme", 1000, "PUT: refused"))
    assert month(record, 11)["minutes_down"] == 1.5


def test_a_target_that_was_missed_by_a_hair_was_missed(record: Availability) -> None:
    record.record(START, START + 9_999, True, {})
    assert month(record, 10_000)["met"] is True
    # One of ten thousand is the target itself; one and a bit is not.
    record.record(START + 9_999, START + 9_999, False, {})
    assert (month(record, 10_000)["availability"], month(record, 10_000)["met"]) == (
        "99.9900",
        True,
    )
    record.record(START + 9_998, START + 9_998, True, {"acme": Outcome(1000, 1)})
    assert month(record, 10_000)["met"] is False


def test_december_ends_with_the_year(record: Availability) -> None:
    first = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) // 60
    after = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) // 60
    record.record(first, first, True, {})
    assert record.month("2026-12", (after + 5) * MINUTE_MS)["minutes"] == 31 * 24 * 60
    with pytest.raises(ValueError, match="remains"):
        record.month("2026-13", 0)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["up", "down", "away", "half"]), min_size=1, max_size=60))
def test_it_says_what_a_naive_count_says(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[str]
) -> None:
    record = Availability(tmp_path_factory.mktemp("record") / "availability.db")
    record.record(START, START, True, {})
    for at, how in enumerate(minutes, 1):
        if how != "away":
            outcomes = {"acme": Outcome(2, 1)} if how == "half" else {}
            record.record(START + at, START + at, how != "down", outcomes)
    down = sum({"up": 0.0, "down": 1.0, "away": 1.0, "half": 0.5}[how] for how in minutes)
    found = month(record, len(minutes) + 1)
    record.close()
    assert found["minutes_down"] == round(down, 3)


class NoLook:
    look = None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Recorder, ManualClock, Counting, Page]]:
    folder, clock = DataFolder(tmp_path), ManualClock(START * MINUTE_MS)
    page, other = Page(folder.metrics, "worker-0"), Page(folder.metrics, "committer")
    local = LocalStore(folder.local)

    class Beating(ManualClock):
        def monotonic(self) -> float:
            page.beat(clock.monotonic())
            other.beat(clock.monotonic())
            return clock.monotonic()

        def now_ms(self) -> int:
            return clock.now_ms()

    recorder = Recorder(folder, other, Beating(), NoLook(), local)  # type: ignore[arg-type]
    yield recorder, clock, Counting(page), page
    local.close()
    page.close()
    other.close()


def shown(recorder: Recorder, clock: ManualClock) -> dict[str, object]:
    record = Availability(recorder._file)
    found = record.month("2026-11", clock.now_ms())
    record.close()
    return found


def test_what_processes_counted_is_written_down_each_minute(
    world: tuple[Recorder, ManualClock, Counting, Page],
) -> None:
    from .test_observing_pages import event

    recorder, clock, counting, _ = world
    recorder.record([])
    for _ in range(3):
        counting(event())
    counting(event(status=500, error="InternalError"))
    clock.advance(60)
    recorder.record([])
    clock.advance(60)
    recorder.record([])
    found = shown(recorder, clock)
    assert found["minutes_down"] == 0.25
    assert found["stores"][0]["requests"] == 4  # type: ignore[index]


def test_a_clock_that_is_set_forward_makes_no_downtime_and_a_pause_does(
    world: tuple[Recorder, ManualClock, Counting, Page],
) -> None:
    recorder, clock, _, _ = world
    recorder.record([])
    clock.advance(60)
    clock.step(3600)
    recorder.record([])
    clock.advance(60)
    assert shown(recorder, clock)["minutes_down"] == 0
    clock.advance(600)
    recorder.record([])
    clock.advance(60)
    assert shown(recorder, clock)["minutes_down"] == 10


def test_blocks_that_are_lost_are_an_incident_once(
    world: tuple[Recorder, ManualClock, Counting, Page],
) -> None:
    recorder, clock, _, _ = world
    clock.advance(60)
    finding = Finding(clock.now_ms(), "scrubber", "ab", "c.0.segment", "blocks [1] are …: lost")
    harmless = Finding(clock.now_ms(), "scrubber", "ab", "c.1.segment", "block 2 does not verify")
    recorder.record([finding, harmless])
    clock.advance(60)
    recorder.record([finding, harmless])
    clock.advance(60)
    incidents = shown(recorder, clock)["incidents"]
    assert [one["kind"] for one in incidents] == ["lost"]  # type: ignore[attr-defined]


def test_incidents_of_other_months_are_not_this_month_s(record: Availability) -> None:
    record.record(START, START, True, {})
    record.add_incident(Incident((START - 5) * MINUTE_MS, "lost", "before"))
    record.add_incident(Incident(START * MINUTE_MS, "lost", "in it"))
    assert [one["what"] for one in month(record, 1)["incidents"]] == ["in it"]  # type: ignore[attr-defined]
