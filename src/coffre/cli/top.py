"""`coffre top`: what a node does now, in a terminal, from its own metrics."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from coffre.cli import client, show
from coffre.cli.complaint import Complaint
from coffre.cli.drives import show_size
from coffre.cli.invocation import Invocation, shared

_HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"
_ROWS: Final = 8
Snapshot = Mapping[str, Any]
_Values = dict[tuple[str, ...], float]


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Look twice, say what was between, and end.")
@shared
def top(invocation: Invocation, every: float, once: bool) -> None:
    """Show what a running node does: requests, groups, drives, stewards, the busiest buckets."""
    with client.running(invocation.settings()) as door:
        if door is None:
            raise Complaint("the node does not serve: `coffre serve`, then ask again")
        before = door.call("metrics.snapshot", {})
        while True:
            time.sleep(every)
            now = door.call("metrics.snapshot", {})
            figures = figures_between(before, now)
            if once or invocation.json:
                invocation.answer(figures, lambda: page(figures))  # noqa: B023
            else:
                _paint(page(figures))
            if once:
                return
            before = now


def _paint(text: str) -> None:
    """Over what was there before, as much as fits; one page after the other where none is."""
    if sys.stdout.isatty():
        rows = shutil.get_terminal_size().lines - 1
        text = _HOME_AND_CLEAR + "\n".join(text.splitlines()[:rows])
    click.echo(text)


def figures_between(before: Snapshot, now: Snapshot) -> dict[str, Any]:
    """What two snapshots of `metrics.snapshot` say of the time between them."""
    seconds = max(1e-9, now["monotonic"] - before["monotonic"])
    rates = _Rates(before, now, seconds)
    states = [labels[-1] for labels, on in rates.now("coffre_drive_state").items() if on]
    return {
        "at_ms": now["at_ms"],
        "seconds": round(seconds, 3),
        "requests": list(_operations(rates)),
        "requests_a_second": rates.total("coffre_requests_total"),
        "open_requests": int(sum(rates.now("coffre_open_requests").values())),
        "bytes_in_a_second": rates.total("coffre_received_bytes_total"),
        "bytes_out_a_second": rates.total("coffre_sent_bytes_total"),
        "errors": [
            {"code": code, "a_second": rate}
            for (code,), rate in _highest(rates.rates("coffre_errors_total"))
            if rate
        ],
        "groups": _groups(rates),
        "drives": {state: states.count(state) for state in sorted(set(states))},
        "below_target_chunks": rates.one("coffre_below_target_chunks"),
        "stewards": [
            {
                "name": name,
                "state": state,
                "left": next(
                    (
                        left
                        for (whose, _), left in rates.now("coffre_steward_left").items()
                        if whose == name
                    ),
                    None,
                ),
                "bytes_a_second": rates.now("coffre_steward_bytes_per_second").get((name,), 0.0),
            }
            for (name, state), on in rates.now("coffre_steward_state").items()
            if on and state != "waiting"
        ],
        "buckets": list(_buckets(rates)),
    }


def page(figures: Mapping[str, Any]) -> str:
    """The figures as a page of text."""
    at = show.text(figures["at_ms"], "at_ms")
    groups = figures["groups"]
    drives = ", ".join(f"{count} {state}" for state, count in figures["drives"].items())
    lines = [
        f"{at}   {figures['requests_a_second']:.1f} requests/s, {figures['open_requests']} open,"
        f" {show_size(figures['bytes_in_a_second'])}/s in,"
        f" {show_size(figures['bytes_out_a_second'])}/s out",
        f"groups: {groups['a_second']:.1f}/s of {groups['mutations']:.1f} mutations,"
        f" sync p99 {_ms(groups['log_p99_s'])}, {groups['queued']} queued",
        f"drives: {drives or 'not known'}; chunks below target:"
        f" {show.text(figures['below_target_chunks'])}",
        "",
        _table(figures["requests"], ("operation", "a_second", "p50_s", "p99_s"), "No requests."),
    ]
    for title, columns in (
        ("errors", ("code", "a_second")),
        ("buckets", ("store", "bucket", "a_second", "in_a_second", "out_a_second")),
        ("stewards", ("name", "state", "left", "bytes_a_second")),
    ):
        if figures[title]:
            lines += ["", _table(figures[title], columns, "")]
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str) -> str:
    shown = [{key: _cell(key, row[key]) for key in columns} for row in rows[:_ROWS]]
    return show.table(shown, columns, empty)


def _cell(key: str, value: Any) -> Any:
    if key.endswith("_s"):
        return _ms(value)
    if key in ("bytes_a_second", "in_a_second", "out_a_second"):
        return f"{show_size(value)}/s"
    return f"{value:.1f}" if isinstance(value, float) else value


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


class _Rates:
    """Two snapshots, metric by metric; series by their labels' values."""

    def __init__(self, before: Snapshot, now: Snapshot, seconds: float) -> None:
        self._before = {metric["name"]: metric for metric in before["metrics"]}
        self._now = {metric["name"]: metric for metric in now["metrics"]}
        self._seconds = seconds

    def now(self, name: str) -> _Values:
        return _values(self._now.get(name), "value")

    def one(self, name: str) -> float | None:
        return self.now(name).get(())

    def rates(self, name: str, part: str = "value") -> _Values:
        """How much a second each series rose."""
        before = _values(self._before.get(name), part)
        return {
            labels: max(0.0, value - before.get(labels, 0.0)) / self._seconds
            for labels, value in _values(self._now.get(name), part).items()
        }

    def total(self, name: str) -> float:
        return sum(self.rates(name).values())

    def quantile(self, name: str, labels: tuple[str, ...], share: float) -> float | None:
        """Below what so large a share of what was observed meanwhile is, about; None: nothing."""
        metric = self._now.get(name)
        after = _buckets_of(metric, labels)
        if metric is None or not after:
            return None
        before = _buckets_of(self._before.get(name), labels) or [0] * len(after)
        news = [max(0, one - other) for one, other in zip(after, before, strict=True)]
        return _quantile(metric["bounds"], news, share)


def _values(metric: Mapping[str, Any] | None, part: str) -> _Values:
    if metric is None:
        return {}
    return {tuple(one["labels"].values()): one[part] for one in metric["series"]}


def _buckets_of(metric: Mapping[str, Any] | None, labels: tuple[str, ...]) -> list[int]:
    series = () if metric is None else metric["series"]
    found = (one["buckets"] for one in series if tuple(one["labels"].values()) == labels)
    return list(next(found, ()))


def _quantile(bounds: list[float], counts: list[int], share: float) -> float | None:
    wanted, seen = share * sum(counts), 0.0
    if not wanted:
        return None
    for at, count in enumerate(counts):
        if seen + count >= wanted and count:
            if at == len(bounds):
                return bounds[-1]
            low = bounds[at - 1] if at else 0.0
            return low + (bounds[at] - low) * (wanted - seen) / count
        seen += count
    return bounds[-1]


def _highest(values: _Values) -> list[tuple[tuple[str, ...], float]]:
    return sorted(values.items(), key=lambda one: -one[1])


def _operations(rates: _Rates) -> Iterator[dict[str, Any]]:
    for labels, rate in _highest(rates.rates("coffre_request_seconds", "count")):
        if rate:
            yield {
                "operation": labels[0] or "-",
                "a_second": rate,
                "p50_s": rates.quantile("coffre_request_seconds", labels, 0.5),
                "p99_s": rates.quantile("coffre_request_seconds", labels, 0.99),
            }


def _groups(rates: _Rates) -> dict[str, Any]:
    count = rates.rates("coffre_group_mutations", "count").get((), 0.0)
    mutations = rates.rates("coffre_group_mutations", "sum").get((), 0.0)
    return {
        "a_second": count,
        "mutations": mutations / count if count else 0.0,
        "log_p99_s": rates.quantile("coffre_group_seconds", ("log",), 0.99),
        "queued": int(rates.one("coffre_queued_mutations") or 0),
    }


def _buckets(rates: _Rates) -> Iterator[dict[str, Any]]:
    total: _Values = {}
    for (store, bucket, _), rate in rates.rates("coffre_bucket_requests_total").items():
        total[store, bucket] = total.get((store, bucket), 0.0) + rate
    received = rates.rates("coffre_bucket_received_bytes_total")
    sent = rates.rates("coffre_bucket_sent_bytes_total")
    for place, rate in _highest(total):
        if rate:
            yield {
                "store": place[0],
                "bucket": place[1],
                "a_second": rate,
                "in_a_second": received.get(place, 0.0),
                "out_a_second": sent.get(place, 0.0),
            }
