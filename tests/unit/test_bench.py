"""The benchmarks' own arithmetic and words: what needs neither server nor disk."""

from __future__ import annotations

import json

import pytest

from bench import report, scenarios, wrk
from bench.measure import COFFRE, Measured, alternate, summarise
from bench.report import BEGIN, END, Outcome
from bench.signing import Signer

_SAID = """\
Running 4s test @ http://127.0.0.1:9000
bench {"requests":1000,"microseconds":2000000,"p50":1500,"p95":2000,"p99":4000,"max":9000,\
"refused":100,"connect":0,"read":3,"write":0,"timeout":0}
"""


def test_an_error_status_is_no_work_done() -> None:
    measured = wrk.parse_wrk(_SAID)
    assert measured.rate == 450
    assert (measured.p50_ms, measured.p99_ms) == (1.5, 4.0)
    assert measured.faults == {"refused": 100, "read": 3}


def test_a_load_generator_that_says_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="did not say"):
        wrk.parse_wrk("Running 4s test\n")


def test_every_side_is_measured_in_every_round_and_takes_its_turn_to_be_first() -> None:
    order: list[str] = []

    def side(name: str) -> Measured:
        order.append(name)
        return Measured(1)

    rounds = alternate({"a": lambda: side("a"), "b": lambda: side("b")}, 3)
    assert {name: len(each) for name, each in rounds.items()} == {"a": 3, "b": 3}
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_a_ratio_compares_rates_of_the_same_round() -> None:
    found = summarise(
        {
            COFFRE: [Measured(10, 1, 5), Measured(20, 3, 6), Measured(30, 2, 9)],
            "bare": [Measured(100), Measured(100), Measured(50)],
        }
    )
    assert (found.least, found.middle, found.most) == (10, 20, 30)
    assert (found.p50_ms, found.p99_ms) == (2, 6)
    (ratio,) = found.ratios
    assert (ratio.reference_rate, ratio.least, ratio.middle) == (100, 0.1, 0.2)


def test_faults_of_all_rounds_add_up() -> None:
    found = summarise(
        {COFFRE: [Measured(1, faults={"read": 1}), Measured(1, faults={"read": 2, "refused": 1})]}
    )
    assert found.faults == {"read": 3, "refused": 1}


def test_scenarios_have_distinct_names_and_are_chosen_by_pattern() -> None:
    names = [scenario.name for scenario in scenarios.SCENARIOS]
    assert len(set(names)) == len(names)
    assert [s.name for s in scenarios.chosen("put-4KiB-*")[0]] == [
        "put-4KiB-c1",
        "put-4KiB-c16",
        "put-4KiB-c64",
    ]
    assert scenarios.chosen("sync-cost") == ([], ["sync-cost"])
    assert [len(found) for found in scenarios.chosen("")] == [len(names), len(scenarios.EXTRAS)]


def test_the_load_generator_is_never_asked_to_keep_more_than_it_can() -> None:
    for scenario in scenarios.SCENARIOS:
        if not scenario.streams and scenario.operation == "PUT":
            assert 500 < scenario.keys <= 16_384
            assert scenario.keys * scenario.body_bytes <= 128 * scenarios.MIB


def test_a_signed_request_is_a_head_that_says_its_length_and_leaves_its_payload_unsigned() -> None:
    signer = Signer("http://127.0.0.1:9000", "AK", "secret", "eu-west-3")
    request = signer.sign("PUT", "/bucket/a%20b?x=1", length=4096, answer=7)
    head = request.head().decode()
    assert head.startswith("PUT /bucket/a%20b?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n")
    assert head.endswith("\r\n\r\n")
    assert request.headers["Content-Length"] == "4096"
    assert request.headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    assert "/eu-west-3/s3/aws4_request" in request.headers["Authorization"]
    assert "content-length" not in {k.lower() for k in signer.sign("GET", "/b/k").headers}


def test_tables_replace_what_stood_between_the_markers_and_nothing_else() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = report.put_between(document, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert report.put_between(once, "new") == once
    with pytest.raises(ValueError, match="no place"):
        report.put_between("nothing here", "new")


def test_a_run_is_told_as_tables_and_kept_as_json() -> None:
    put = next(s for s in scenarios.SCENARIOS if s.name == "put-4KiB-c64")
    outcome = Outcome({"date": "today"}, 2, 0.5)
    outcome.scenarios.append(
        (put, {COFFRE: [Measured(4000, 10, 20, {"read": 1})], "bare answer": [Measured(20_000)]})
    )
    text = report.tables(outcome)
    assert (
        "| PUT 4KiB | 64 | **4 000** | 4 000–4 000 | 10.00 / 20.00 | 1 read | 20%, 20% of 20 000 |"
        in text
    )
    assert "Large objects" not in text
    assert outcome.faults() == {"put-4KiB-c64": {"read": 1}}
    kept = json.loads(outcome.to_json())
    assert kept["scenarios"]["put-4KiB-c64"]["bare answer"][0]["rate"] == 20_000


def test_a_run_beside_other_work_says_so_before_anything_else() -> None:
    assert report.tables(Outcome({}, 2, 3.0)).startswith("**Other work ran")
    assert report.tables(Outcome({}, 2, 0.4)).startswith("|")
