"""All processes' figures together: what a scrape, `coffre top` and the record of availability see.

Counters and histograms of the same series are added up. A gauge counts only while its process
lives: what nobody looks after is absent, never stale.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from coffre import __version__
from coffre.service.observing.page import SUFFIX, Labels, PageReader, Reading, Series
from coffre.service.observing.table import BY_NAME, METRICS, OTHER, Metric

log = logging.getLogger("coffre.observing")

# A process shows every two seconds that it lives.
ALIVE_S: Final = 10.0
# How fast what was busy is forgotten, and how much busier who takes its place must be.
_HALF_LIFE_S: Final = 600.0
_BUSIER: Final = 2.0
Values = tuple[float, ...]


class Family(Struct, frozen=True):
    """A metric and its series now, by labels' values."""

    metric: Metric
    series: dict[Labels, Values]


class Readings:
    """All pages of a node's folder, read again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers: dict[str, PageReader] = {}

    def read(self) -> list[Reading]:
        """Every process's page; one that cannot be read now is left out."""
        found = {path.name: path for path in sorted(self._folder.glob(f"*{SUFFIX}"))}
        for name in self._readers.keys() - found.keys():
            self._readers.pop(name).close()
        readings = (self._one(name, path) for name, path in found.items())
        return [reading for reading in readings if reading is not None]

    def _one(self, name: str, path: Path) -> Reading | None:
        try:
            known = self._readers.get(name)
            if known is not None and known.inode != path.stat().st_ino:
                self._readers.pop(name).close()
                known = None
            if known is None:
                known = self._readers[name] = PageReader(path)
            return known.read()
        except (OSError, ValueError) as error:
            log.debug("%s is not read: %s", path, error)
            return None


def alive(reading: Reading, now: float) -> bool:
    return 0 <= now - reading.seen < ALIVE_S


class Gatherer:
    """The node's figures. `named` stores and as many buckets have series of their own: those that
    are busiest; the rest is `other`. One object a reader of them: it remembers what it showed."""

    def __init__(self, folder: Path, monotonic: Callable[[], float], named: int) -> None:
        self._readings = Readings(folder)
        self._monotonic = monotonic
        self._stores = Attribution(named, 1)
        self._buckets = Attribution(named, 2)
        self._then = monotonic()

    def gather(self) -> list[Family]:
        """Every metric that has series, in the table's order."""
        now = self._monotonic()
        passed, self._then = now - self._then, now
        total = merged(self._readings.read(), now)
        for per, attribution in (("store", self._stores), ("bucket", self._buckets)):
            counters = {
                name: series
                for name, series in total.items()
                if BY_NAME[name].per == per and BY_NAME[name].kind == "counter"
            }
            total |= attribution.attribute(counters, passed)
        for name, series in total.items():
            if BY_NAME[name].per == "store" and BY_NAME[name].kind == "gauge":
                total[name] = self._stores.fold(series)
        return [Family(metric, total[metric.name]) for metric in METRICS if total.get(metric.name)]


def merged(readings: Iterable[Reading], now: float) -> dict[str, dict[Labels, Values]]:
    """By metric the series of all pages."""
    total: dict[str, dict[Labels, Values]] = {name: {} for name in BY_NAME}
    total["coffre_build_info"][(__version__,)] = (1.0,)
    for reading in readings:
        lives = alive(reading, now)
        total["coffre_process_up"][(reading.process,)] = (float(lives),)
        total["coffre_process_starts_total"][(reading.process,)] = (float(reading.starts),)
        for (name, labels), values in reading.series.items():
            if BY_NAME[name].kind == "gauge" and not lives:
                continue
            series = total[name]
            before = series.get(labels)
            series[labels] = values if before is None else _sum(before, values)
    return total


def _sum(first: Values, second: Values) -> Values:
    return tuple(one + other for one, other in zip(first, second, strict=True))


class Attribution:
    """Which stores or buckets have series of their own, and what of the counts is theirs.

    A place is named by the first `width` labels. What happened since the last look goes to the
    place's own series if it is named by now, else to `other`: so every series only ever rises,
    though the busiest change.
    """

    def __init__(self, named: int, width: int) -> None:
        self._most = named
        self._width = width
        self._named: set[Labels] = set()
        self._busy: dict[Labels, float] = {}
        self._before: dict[Series, float] = {}
        self._shown: dict[str, dict[Labels, float]] = {}

    def attribute(
        self, counters: dict[str, dict[Labels, Values]], passed_s: float
    ) -> dict[str, dict[Labels, Values]]:
        """The counters as they are to be shown, of which `passed_s` ago the last were."""
        news = [
            (name, labels, self._news(name, labels, values[0]))
            for name, series in counters.items()
            for labels, values in series.items()
        ]
        fade = math.exp2(-passed_s / _HALF_LIFE_S)
        self._busy = {place: count * fade for place, count in self._busy.items()}
        for name, labels, news_of in news:
            if name.endswith("_requests_total"):
                place = labels[: self._width]
                self._busy[place] = self._busy.get(place, 0.0) + news_of
        self._choose()
        for name, labels, news_of in news:
            series = self._shown.setdefault(name, {})
            shown_as = self._as(labels)
            series[shown_as] = series.get(shown_as, 0.0) + news_of
        return {
            name: {
                labels: (value,)
                for labels, value in self._shown.get(name, {}).items()
                if self._is_shown(labels)
            }
            for name in counters
        }

    def fold(self, gauges: dict[Labels, Values]) -> dict[Labels, Values]:
        """Gauges of the places that are named, and the others' sum."""
        folded: dict[Labels, Values] = {}
        for labels, values in sorted(gauges.items()):
            place = labels[: self._width]
            if place not in self._named and len(self._named) < self._most:
                self._named.add(place)
            shown_as = self._as(labels)
            folded[shown_as] = _sum(folded.get(shown_as, (0.0,)), values)
        return folded

    def _news(self, name: str, labels: Labels, value: float) -> float:
        before = self._before.get((name, labels), 0.0)
        self._before[name, labels] = value
        return value - before if value >= before else value

    def _as(self, labels: Labels) -> Labels:
        place, rest = labels[: self._width], labels[self._width :]
        return labels if place in self._named else (OTHER,) * self._width + rest

    def _is_shown(self, labels: Labels) -> bool:
        place = labels[: self._width]
        return place in self._named or place == (OTHER,) * self._width

    def _choose(self) -> None:
        others = sorted(
            (place for place in self._busy if place not in self._named),
            key=lambda place: -self._busy[place],
        )
        for place in others:
            if len(self._named) >= self._most:
                least = min(self._named, key=lambda one: self._busy.get(one, 0.0))
                if self._busy[place] <= _BUSIER * self._busy.get(least, 0.0):
                    break
                self._named.remove(least)
            self._named.add(place)


def plain(families: Iterable[Family]) -> list[dict[str, Any]]:
    """The same as JSON has it: a histogram's series with its `buckets` (counts up to each bound,
    and beyond), `count` and `sum`."""
    return [
        {
            "name": family.metric.name,
            "kind": family.metric.kind,
            **({"bounds": list(family.metric.bounds)} if family.metric.bounds else {}),
            "series": [
                {
                    "labels": dict(zip(family.metric.labels, labels, strict=True)),
                    **_plain_values(family.metric, values),
                }
                for labels, values in family.series.items()
            ],
        }
        for family in families
    ]


def _plain_values(metric: Metric, values: Values) -> dict[str, Any]:
    if metric.kind != "histogram":
        return {"value": values[0]}
    buckets = [int(one) for one in values[:-1]]
    return {"buckets": buckets, "count": sum(buckets), "sum": values[-1]}
