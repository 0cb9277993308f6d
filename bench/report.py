"""Tables of a run: printed, kept as JSON, and put into the document between its markers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.auditing import AuditCost
from bench.deciding import DecisionCost
from bench.disk import SyncCost
from bench.listing import PageCost
from bench.measure import Rounds, Summary, summarise
from bench.overhead import Overhead
from bench.rebuild import RebuildTime
from bench.repair import RepairRun
from bench.restart import Restart
from bench.scenarios import Scenario, size_text

BEGIN = "<!-- measured by make bench: begin -->"
END = "<!-- measured by make bench: end -->"


@dataclass
class Outcome:
    """Everything that a run found."""

    machine: dict[str, str]
    cores: int
    load_before: float
    load_after: float = 0.0
    scenarios: list[tuple[Scenario, Rounds]] = field(default_factory=list)
    syncs: list[SyncCost] = field(default_factory=list)
    pages: list[PageCost] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    rebuilds: list[RebuildTime] = field(default_factory=list)
    repairs: list[RepairRun] = field(default_factory=list)
    overheads: list[Overhead] = field(default_factory=list)
    decisions: list[DecisionCost] = field(default_factory=list)
    audits: list[AuditCost] = field(default_factory=list)

    def faults(self) -> dict[str, Mapping[str, int]]:
        """Scenarios in which a request failed, and how."""
        summaries = {scenario.name: summarise(rounds) for scenario, rounds in self.scenarios}
        return {name: found.faults for name, found in summaries.items() if found.faults}

    def to_json(self) -> str:
        kept: dict[str, Any] = {
            "machine": self.machine,
            "load_average": [self.load_before, self.load_after],
            "scenarios": {
                scenario.name: {
                    side: [asdict(measured) for measured in each] for side, each in rounds.items()
                }
                for scenario, rounds in self.scenarios
            },
            "syncs": [asdict(cost) for cost in self.syncs],
            "pages": [asdict(cost) for cost in self.pages],
            "restarts": [asdict(restart) for restart in self.restarts],
            "rebuilds": [asdict(rebuild) for rebuild in self.rebuilds],
            "repairs": [asdict(run) for run in self.repairs],
            "overheads": [asdict(overhead) for overhead in self.overheads],
            "decisions": [asdict(cost) for cost in self.decisions],
            "audits": [asdict(cost) for cost in self.audits],
        }
        return json.dumps(kept, indent=1)


def tables(outcome: Outcome) -> str:
    """The whole run as Markdown."""
    parts = [_machine(outcome)]
    for title, unit, chosen in (
        ("Small objects", "requests/s", [s for s in outcome.scenarios if _is_small(s[0])]),
        ("Large objects", "MiB/s", [s for s in outcome.scenarios if s[0].streams]),
        ("Listing", "pages/s", [s for s in outcome.scenarios if s[0].operation == "LIST"]),
    ):
        if chosen:
            parts.append(f"### {title}\n\n{_scenarios(chosen, unit)}")
    if outcome.pages:
        parts.append(f"### What a page of 1000 keys costs the catalog\n\n{_pages(outcome.pages)}")
    if outcome.restarts:
        parts.append(f"### How long a restart takes\n\n{_restarts(outcome.restarts)}")
    if outcome.rebuilds:
        parts.append(f"### How long a rebuild takes\n\n{_rebuilds(outcome.rebuilds)}")
    if outcome.repairs:
        parts.append(f"### How fast repair is\n\n{_repairs(outcome.repairs)}")
        noticed = _noticed(outcome.repairs)
        parts.append(f"### What clients notice of repair\n\n{noticed}")
    if outcome.overheads:
        parts.append(f"### What is stored for a byte\n\n{_overheads(outcome.overheads)}")
    if outcome.decisions:
        title = "What it costs to know who asks and whether he may"
        parts.append(f"### {title}\n\n{_decisions(outcome.decisions)}")
    if outcome.audits:
        parts.append(f"### What the audit costs\n\n{_audits(outcome.audits)}")
    if outcome.syncs:
        parts.append(f"### What a sync costs\n\n{_syncs(outcome.syncs)}")
    return "\n\n".join(parts)


def put_between(document: str, text: str) -> str:
    """The document with what stands between its markers replaced. ValueError without them."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the document has no place for measurements")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def publish(path: Path, outcome: Outcome) -> None:
    """Replace the document's tables."""
    path.write_text(put_between(path.read_text(), tables(outcome)))


def _is_small(scenario: Scenario) -> bool:
    return scenario.operation != "LIST" and not scenario.streams


def _machine(outcome: Outcome) -> str:
    rows = list(outcome.machine.items())
    warning = ""
    if outcome.load_before > outcome.cores / 2:
        warning = (
            "**Other work ran on the machine when this run began: its figures say little,"
            " ratios included.**\n\n"
        )
    loads = f"{outcome.load_before:.1f} before, {outcome.load_after:.1f} after"
    return warning + table(("", ""), [*rows, ("load average (1 min)", loads)])


def _scenarios(chosen: Iterable[tuple[Scenario, Rounds]], unit: str) -> str:
    head = ("load", "clients", unit, "lowest–highest", "p50 / p99 ms", "errors")
    summaries = [(scenario, summarise(rounds)) for scenario, rounds in chosen]
    names = list(dict.fromkeys(r.reference for _, found in summaries for r in found.ratios))
    columns = [f"of {name} (median, lowest)" for name in names]
    return table((*head, *columns), [_row(*each, names) for each in summaries])


def _row(scenario: Scenario, found: Summary, names: Sequence[str]) -> tuple[str, ...]:
    if scenario.operation == "LIST":
        load = f"LIST 1000 of {scenario.body_bytes}"
    else:
        load = f"{scenario.operation} {size_text(scenario.body_bytes)}"
    ratios = {
        ratio.reference: f"{ratio.middle:.0%}, {ratio.least:.0%} of {_number(ratio.reference_rate)}"
        for ratio in found.ratios
    }
    known = found.p50_ms is not None and found.p99_ms is not None
    return (
        load,
        str(scenario.clients),
        f"**{_number(found.middle)}**",
        f"{_number(found.least)}–{_number(found.most)}",
        f"{found.p50_ms:.2f} / {found.p99_ms:.2f}" if known else "",
        ", ".join(f"{count} {kind}" for kind, count in found.faults.items()) or "0",
        *(ratios.get(name, "") for name in names),
    )


def _pages(costs: Sequence[PageCost]) -> str:
    return table(
        ("objects in the bucket", "written", "SQLite steps", "pages read, cache empty", "warm ms"),
        [
            (
                f"{cost.objects:,}".replace(",", " "),
                cost.written,
                _range(cost.steps),
                _range(cost.reads),
                f"{cost.milliseconds:.2f}",
            )
            for cost in costs
        ],
    )


def _restarts(found: Sequence[Restart]) -> str:
    return table(
        ("objects", "after", "serves after s", "rows were", "records replayed", "recovery s"),
        [
            (
                f"{one.objects:,}".replace(",", " "),
                one.after,
                f"{one.seconds:.1f}",
                one.way,
                str(one.records),
                f"{one.recovery_seconds:.2f}",
            )
            for one in found
        ],
    )


def _rebuilds(found: Sequence[RebuildTime]) -> str:
    return table(
        ("objects", "from", "records replayed", "seconds", "objects/s"),
        [
            (
                f"{one.objects:,}".replace(",", " "),
                one.source,
                str(one.records),
                f"{one.seconds:.1f}",
                _number(one.objects / max(one.seconds, 0.001)),
            )
            for one in found
        ],
    )


def _repairs(found: Sequence[RepairRun]) -> str:
    return table(
        (
            "cap, MiB/s",
            "lost, MiB",
            "rebuilt MiB/s, nothing else runs",
            "rebuilt MiB/s, under load",
        ),
        [
            (
                _cap(one),
                _number(one.lost_mib),
                "" if one.alone is None else _number(one.alone),
                _number(one.beside),
            )
            for one in found
        ],
    )


def _noticed(found: Sequence[RepairRun]) -> str:
    return table(
        (
            "repair's cap, MiB/s",
            "load",
            "requests/s: no repair",
            "repair",
            "p50 / p99 ms: no repair",
            "repair",
        ),
        [
            (
                _cap(one),
                before.load,
                _number(before.rate),
                _number(after.rate),
                f"{before.p50_ms:.2f} / {before.p99_ms:.2f}",
                f"{after.p50_ms:.2f} / {after.p99_ms:.2f}",
            )
            for one in found
            for before, after in zip(one.quiet, one.disturbed, strict=True)
        ],
    )


def _cap(run: RepairRun) -> str:
    return "none" if run.cap is None else _number(run.cap / 2**20)


def _decisions(found: Sequence[DecisionCost]) -> str:
    return table(
        ("request", "statements of the policy", "signature and decision µs", "decision alone µs"),
        [
            (one.operation, str(one.statements), f"{one.whole_us:.1f}", f"{one.decision_us:.1f}")
            for one in found
        ],
    )


def _audits(found: Sequence[AuditCost]) -> str:
    return table(
        ("4 KiB", "clients", "requests/s", "of those without", "core µs", "core µs without"),
        [
            (
                one.operation,
                str(one.clients),
                _number(one.rate),
                f"{one.of_without:.2f}×",
                f"{one.cpu_us:.0f}",
                f"{one.cpu_without_us:.0f}",
            )
            for one in found
        ],
    )


def _overheads(found: Sequence[Overhead]) -> str:
    return table(
        ("objects", "of", "data", "log", "3 snapshots of all", "one snapshot, MiB"),
        [
            (
                f"{one.objects:,}".replace(",", " "),
                size_text(one.size),
                f"{one.data:.3f}×",
                f"{one.log:.3f}×",
                f"{one.snapshots:.3f}×",
                f"{one.snapshot_bytes / 2**20:.2f}",
            )
            for one in found
        ],
    )


def _syncs(costs: Sequence[SyncCost]) -> str:
    return table(
        ("file", "write", "median µs", "p95 µs"),
        [(c.kind, size_text(c.size), f"{c.median_us:.0f}", f"{c.p95_us:.0f}") for c in costs],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def _range(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}–{values[1]}"
