"""What a measurement says, and what several say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

COFFRE = "Coffre"


@dataclass(frozen=True)
class Measured:
    """One side of one round. `rate`: requests, writes or MiB a second; latencies where known;
    `faults`: what went wrong, counted by kind (empty: nothing)."""

    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    faults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio:
    """Coffre's rate over a reference's, round by round."""

    reference: str
    reference_rate: float
    least: float
    middle: float


@dataclass(frozen=True)
class Summary:
    """All rounds of a scenario: rates of Coffre, and its ratios."""

    least: float
    middle: float
    most: float
    p50_ms: float | None
    p99_ms: float | None
    ratios: tuple[Ratio, ...]
    faults: Mapping[str, int]


Rounds = dict[str, list[Measured]]


def alternate(sides: Mapping[str, Callable[[], Measured]], rounds: int) -> Rounds:
    """Measure every side once a round, so that a slow minute of the machine hits all of them.

    The order turns from round to round: nobody is always first after a pause.
    """
    names = list(sides)
    seen: Rounds = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seen[name].append(sides[name]())
    return seen


def summarise(rounds: Rounds) -> Summary:
    """Medians and extremes; a ratio compares rates of the same round."""
    ours = rounds[COFFRE]
    rates = [measured.rate for measured in ours]
    ratios = []
    for name, theirs in rounds.items():
        if name == COFFRE:
            continue
        each = [a.rate / b.rate for a, b in zip(ours, theirs, strict=True) if b.rate > 0]
        ratios.append(
            Ratio(name, median(b.rate for b in theirs), min(each, default=0.0), _median(each))
        )
    faults: dict[str, int] = {}
    for measured in ours:
        for kind, count in measured.faults.items():
            faults[kind] = faults.get(kind, 0) + count
    return Summary(
        least=min(rates),
        middle=median(rates),
        most=max(rates),
        p50_ms=_latency([measured.p50_ms for measured in ours]),
        p99_ms=_latency([measured.p99_ms for measured in ours]),
        ratios=tuple(ratios),
        faults=faults,
    )


def _median(values: list[float]) -> float:
    return median(values) if values else 0.0


def _latency(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
