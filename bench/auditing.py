"""What the audit costs: small requests to two nodes in turns, of which one records nothing."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench.measure import Measured, alternate
from bench.run import Bench
from bench.scenarios import KIB, Operation, Scale, Scenario
from bench.servers import Coffre, coffre

_ON, _OFF = "recorded", "not recorded"
_CLIENTS = (1, 16)
_OPERATIONS: tuple[Operation, ...] = ("PUT", "GET")


@dataclass(frozen=True)
class AuditCost:
    """Medians over all rounds. `rate`: requests a second with audit; `of_without`: as a share of
    the rate without, round by round; `cpu_us`, `cpu_without_us`: what all processes of the node
    took of the cores for a request, which other load on the machine changes least."""

    operation: str
    clients: int
    rate: float
    of_without: float
    cpu_us: float
    cpu_without_us: float


def audit_costs(folder: Path, logs: Path, scale: Scale) -> list[AuditCost]:
    """Measure. Raises what servers and the load generator raise."""
    nodes: dict[str, Coffre] = {}
    benches: dict[str, Bench] = {}
    with ExitStack() as running:
        for name, setting in ((_ON, "true"), (_OFF, "false")):
            place = folder / f"audit-{setting}"
            place.mkdir()
            settings = {"COFFRE_AUDIT": setting, "COFFRE_CONSOLE": "false"}
            log = logs / f"coffre-audit-{setting}.log"
            nodes[name] = running.enter_context(coffre(place / "data", log, settings=settings))
            benches[name] = Bench(nodes[name], "", place, scale)
        return [
            _cost(nodes, benches, Scenario(operation, 4 * KIB, clients, ()), scale)
            for operation in _OPERATIONS
            for clients in _CLIENTS
        ]


def _cost(
    nodes: dict[str, Coffre], benches: dict[str, Bench], scenario: Scenario, scale: Scale
) -> AuditCost:
    spent: dict[str, list[float]] = {_ON: [], _OFF: []}

    def side(name: str) -> Measured:
        bench = benches[name]
        bench.prepare(scenario)
        before = cpu_seconds(nodes[name].supervisor)
        measured = bench.round(scenario)
        done = measured.rate * max(1, round(scale.seconds))
        spent[name].append((cpu_seconds(nodes[name].supervisor) - before) / done * 1e6)
        return measured

    found = alternate({name: partial(side, name) for name in nodes}, scale.audited)
    ratios = [on.rate / off.rate for on, off in zip(found[_ON], found[_OFF], strict=True)]
    return AuditCost(
        scenario.operation,
        scenario.clients,
        median(one.rate for one in found[_ON]),
        median(ratios),
        median(spent[_ON]),
        median(spent[_OFF]),
    )


def cpu_seconds(root: int) -> float:
    """What a process and all below it have had of the cores."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = int(fields[1])
            ticks[int(entry)] = int(fields[11]) + int(fields[12])
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        total += ticks.get(process, 0)
        waiting += [child for child, parent in parents.items() if parent == process]
    return total / os.sysconf("SC_CLK_TCK")
