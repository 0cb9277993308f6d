"""Pages of figures: what a process counts is what whoever looks adds up, and never falls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.s3.services import Event
from coffre.service.observing.counting import FAILED, OK, REFUSED, Counting, outcome_of
from coffre.service.observing.exposition import exposition
from coffre.service.observing.gathering import (
    Attribution,
    Family,
    Gatherer,
    Values,
    merged,
    plain,
)
from coffre.service.observing.page import Histogram, Labels, Page, PageReader
from coffre.service.observing.table import BY_NAME, METRICS, OTHER
from coffre.system.clock import ManualClock

SAMPLE = re.compile(
    r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\n"])*")(,[a-z_]+="([^"\\\n]|\\[\\n"])*")*\})? \S+'
)


def event(**told: object) -> Event:
    known: dict[str, object] = {
        "request_id": "R",
        "at_ms": 1,
        "seconds": 0.002,
        "operation": "GetObject",
        "status": 200,
        "error": "",
        "store": "acme",
        "bucket": "photos",
        "key": b"k",
        "bytes_in": 0,
        "bytes_out": 4096,
        **told,
    }
    return Event(**{field: known.get(field, "") for field in Event.__struct_fields__})  # type: ignore[arg-type]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path, "worker-0")
    yield made
    made.close()


def values(folder: Path, clock: ManualClock, name: str) -> dict[tuple[str, ...], float]:
    families = Gatherer(folder, clock.monotonic, 10).gather()
    found = [family.series for family in families if family.metric.name == name]
    return {labels: one[0] for series in found for labels, one in series.items()}


def test_what_is_counted_is_what_is_read(page: Page, tmp_path: Path) -> None:
    page.add("coffre_errors_total", 2, "SlowDown")
    Histogram(page, "coffre_group_mutations").observe(3)
    reading = PageReader(tmp_path / "worker-0.page").read()
    assert reading is not None
    assert reading.series["coffre_errors_total", ("SlowDown",)] == (2.0,)
    *buckets, total = reading.series["coffre_group_mutations", ()]
    assert (buckets[2], sum(buckets), total) == (1.0, 1.0, 3.0)


def test_a_reader_sees_what_is_made_after_it_looked_first(page: Page, tmp_path: Path) -> None:
    reader = PageReader(tmp_path / "worker-0.page")
    assert reader.read() is not None
    page.add("coffre_errors_total", 1, "NoSuchKey")
    again = reader.read()
    assert again is not None
    assert again.series["coffre_errors_total", ("NoSuchKey",)] == (1.0,)


def test_a_process_that_is_started_again_goes_on_in_its_page(page: Page, tmp_path: Path) -> None:
    page.add("coffre_errors_total", 5, "SlowDown")
    page.show({("coffre_open_requests", ("worker-0",)): 7})
    again = Page(tmp_path, "worker-0")
    again.add("coffre_errors_total", 1, "SlowDown")
    reading = PageReader(tmp_path / "worker-0.page").read()
    again.close()
    assert reading is not None
    assert reading.series["coffre_errors_total", ("SlowDown",)] == (6.0,)
    assert reading.starts == 2
    # What the one before had open is open no more.
    assert ("coffre_open_requests", ("worker-0",)) not in reading.series


def test_a_gauge_that_is_not_shown_any_more_is_absent(page: Page, tmp_path: Path) -> None:
    clock = ManualClock()
    page.beat(clock.monotonic())
    page.show({("coffre_drive_free_bytes", ("/a",)): 1, ("coffre_drive_free_bytes", ("/b",)): 2})
    page.show({("coffre_drive_free_bytes", ("/b",)): 3})
    assert values(tmp_path, clock, "coffre_drive_free_bytes") == {("/b",): 3}


def test_gauges_go_with_their_process_and_counters_stay(page: Page, tmp_path: Path) -> None:
    clock = ManualClock()
    page.beat(clock.monotonic())
    page.show({("coffre_queued_mutations", ()): 9})
    page.add("coffre_errors_total", 1, "SlowDown")
    assert values(tmp_path, clock, "coffre_process_up") == {("worker-0",): 1}
    clock.advance(60)
    assert values(tmp_path, clock, "coffre_queued_mutations") == {}
    assert values(tmp_path, clock, "coffre_errors_total") == {("SlowDown",): 1}
    assert values(tmp_path, clock, "coffre_process_up") == {("worker-0",): 0}


def test_a_page_that_is_full_counts_on_and_shows_nothing_wrong(page: Page, tmp_path: Path) -> None:
    counting = Counting(page)
    for number in range(9000):
        counting(event(bucket=f"bucket-{number:060d}"))
    assert page.is_full()
    clock = ManualClock()
    assert sum(values(tmp_path, clock, "coffre_requests_total").values()) == 9000
    assert sum(values(tmp_path, clock, "coffre_bucket_requests_total").values()) == 9000


def test_a_process_without_a_page_counts_on(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("in the way")
    lonely = Page(tmp_path / "metrics", "worker-0")
    Counting(lonely)(event())
    assert lonely.cells[lonely.place("coffre_sent_bytes_total")] == 4096
    lonely.close()


def test_a_wrong_number_of_labels_is_a_fault(page: Page) -> None:
    with pytest.raises(ValueError, match="has the labels"):
        page.place("coffre_errors_total")


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, "", OK),
        (304, "", OK),
        (404, "NoSuchKey", REFUSED),
        (503, "SlowDown", REFUSED),
        (503, "ServiceUnavailable", FAILED),
        (507, "InsufficientStorage", FAILED),
        (200, "ResponseInterrupted", FAILED),
        (200, "ClientDisconnected", OK),
    ],
)
def test_whose_fault_an_answer_is(status: int, error: str, outcome: int) -> None:
    assert outcome_of(status, error) == outcome


def test_nobody_makes_series_by_naming_what_is_not_there(page: Page, tmp_path: Path) -> None:
    counting = Counting(page)
    for number in range(100):
        counting(event(bucket=f"made-up-{number}", status=404, error="NoSuchBucket"))
    counting(event())
    counting(event(status=404, error="NoSuchKey"))
    found = values(tmp_path, ManualClock(), "coffre_bucket_requests_total")
    assert found == {
        ("acme", "photos", "ok"): 1,
        ("acme", "photos", "refused"): 1,
        ("acme", "photos", "failed"): 0,
    }
    assert values(tmp_path, ManualClock(), "coffre_store_requests_total")[("acme", "refused")] == (
        101
    )


PLACES = st.sampled_from([f"bucket-{number}" for number in range(6)])


@given(
    st.lists(st.lists(st.tuples(PLACES, st.integers(1, 50)), max_size=8), max_size=12),
    st.integers(1, 3),
)
def test_series_never_fall_and_nothing_is_counted_twice_or_lost(
    looks: list[list[tuple[str, int]]], named: int
) -> None:
    attribution = Attribution(named, 2)
    name = "coffre_bucket_requests_total"
    total: Counter[str] = Counter()
    shown_before: dict[tuple[str, ...], float] = {}
    highest: dict[tuple[str, ...], float] = {}
    for look in looks:
        for bucket, count in look:
            total[bucket] += count
        counted: dict[Labels, Values] = {
            ("s", bucket, "ok"): (float(count),) for bucket, count in total.items()
        }
        counters = {name: counted}
        shown = attribution.attribute(counters, 15.0)[name]
        assert len({labels[:2] for labels in shown} - {(OTHER, OTHER)}) <= named
        for labels, (value,) in shown.items():
            assert value >= shown_before.get(labels, 0.0)
            highest[labels] = shown_before[labels] = value
        # What is not shown now was: all of it together is all that happened.
        assert sum(highest.values()) == sum(total.values())


def test_the_busiest_are_named(tmp_path: Path) -> None:
    attribution = Attribution(1, 2)
    name = "coffre_bucket_requests_total"
    counted: dict[Labels, Values] = {("s", "quiet", "ok"): (5.0,), ("s", "busy", "ok"): (50.0,)}
    assert attribution.attribute({name: counted}, 0)[name] == {
        ("s", "busy", "ok"): (50.0,),
        (OTHER, OTHER, "ok"): (5.0,),
    }


LABEL = st.text(st.characters(codec="utf-8"), max_size=20)


@given(LABEL, LABEL, st.floats(0, 1e18))
def test_every_line_of_the_text_is_one_that_prometheus_reads(
    store: str, bucket: str, value: float
) -> None:
    total = merged([], 0.0)
    total["coffre_bucket_sent_bytes_total"] = {(store, bucket): (value,)}
    families = [Family(metric, total[metric.name]) for metric in METRICS if total[metric.name]]
    for openmetrics in (False, True):
        text = exposition(families, openmetrics=openmetrics).decode()
        lines = text.removesuffix("\n").split("\n")
        assert not openmetrics or lines.pop() == "# EOF"
        assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)


def test_a_histogram_as_text_and_as_json(page: Page, tmp_path: Path) -> None:
    histogram = Histogram(page, "coffre_request_seconds", "GetObject")
    for seconds in (0.0005, 0.002, 100.0):
        histogram.observe(seconds)
    families = Gatherer(tmp_path, ManualClock().monotonic, 10).gather()
    text = exposition(families, openmetrics=False).decode()
    assert 'coffre_request_seconds_bucket{operation="GetObject",le="0.001"} 1' in text
    assert 'coffre_request_seconds_bucket{operation="GetObject",le="60"} 2' in text
    assert 'coffre_request_seconds_bucket{operation="GetObject",le="+Inf"} 3' in text
    assert 'coffre_request_seconds_count{operation="GetObject"} 3' in text
    (told,) = (one for one in plain(families) if one["name"] == "coffre_request_seconds")
    assert told["series"][0]["count"] == 3
    assert len(told["series"][0]["buckets"]) == len(told["bounds"]) + 1


def test_the_table_names_metrics_as_prometheus_wants_them() -> None:
    assert len(BY_NAME) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"coffre_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert bool(metric.bounds) == (metric.kind == "histogram"), metric.name
        assert metric.help.endswith("."), metric.name
        assert "bucket" not in metric.labels or metric.per == "bucket", metric.name
