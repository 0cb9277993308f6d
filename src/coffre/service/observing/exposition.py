"""Figures as text: Prometheus's format 0.0.4, and OpenMetrics 1.0 for who asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from coffre.service.observing.gathering import Family, Values
from coffre.service.observing.page import Labels

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_TOTAL: Final = "_total"


def exposition(families: Iterable[Family], *, openmetrics: bool) -> bytes:
    """The whole text."""
    lines = [line for family in families for line in _family(family, openmetrics)]
    if openmetrics:
        lines.append("# EOF")
    return "\n".join((*lines, "")).encode()


def _family(family: Family, openmetrics: bool) -> Iterator[str]:
    metric = family.metric
    # OpenMetrics names the family without its counters' suffix.
    name = metric.name.removesuffix(_TOTAL) if openmetrics else metric.name
    yield f"# HELP {name} {_escaped(metric.help, quotes=False)}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, values in sorted(family.series.items()):
        if metric.kind == "histogram":
            yield from _histogram(family, labels, values)
        else:
            yield f"{metric.name}{_labels(metric.labels, labels)} {_number(values[0])}"


def _histogram(family: Family, labels: Labels, values: Values) -> Iterator[str]:
    metric = family.metric
    *buckets, total = values
    bounds = [*map(_number, metric.bounds), "+Inf"]
    counts = list(accumulate(buckets))
    for bound, count in zip(bounds, counts, strict=True):
        names, told = (*metric.labels, "le"), (*labels, bound)
        yield f"{metric.name}_bucket{_labels(names, told)} {_number(count)}"
    yield f"{metric.name}_sum{_labels(metric.labels, labels)} {_number(total)}"
    yield f"{metric.name}_count{_labels(metric.labels, labels)} {_number(counts[-1])}"


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = (
        f'{name}="{_escaped(value, quotes=True)}"'
        for name, value in zip(names, values, strict=True)
    )
    text = ",".join(pairs)
    return f"{{{text}}}" if text else ""


def _escaped(text: str, *, quotes: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
