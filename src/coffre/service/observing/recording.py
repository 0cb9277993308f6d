"""Writes the record of availability: a row a minute, from what the processes counted."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import apsw

from coffre.service.layout import DataFolder
from coffre.service.local import LocalStore
from coffre.service.observing.availability import (
    MINUTE_MS,
    Availability,
    Incident,
    Outcome,
    month_of,
)
from coffre.service.observing.gathering import Readings, alive
from coffre.service.observing.page import Page, Reading
from coffre.service.observing.publishing import Gauge, gauge
from coffre.stewards.damage import Finding
from coffre.stewards.repairer import Repairer
from coffre.system.clock import Clock

log = logging.getLogger("coffre.observing")

_REQUESTS: Final = "coffre_store_requests_total"
# Between two looks that follow each other no more than this passes; the wall clock may step.
_FOLLOWS_S: Final = 150.0
_MOST_STEPPED: Final = 24 * 60
_LOST: Final = ": lost"
_FINDINGS: Final = 1000
_PROBE_SHOWN_MS: Final = 15 * MINUTE_MS


class Recorder:
    """One object a node, in the process of `repairer` and of the findings in `local`."""

    def __init__(
        self,
        folder: DataFolder,
        page: Page,
        clock: Clock,
        repairer: Repairer,
        local: LocalStore,
    ) -> None:
        self._file = folder.availability
        self._readings = Readings(folder.metrics)
        self._page = page
        self._clock = clock
        self._repairer = repairer
        self._local = local
        self._before: Counter[tuple[str, str]] = Counter()
        self._minute: int | None = None
        self._then = clock.monotonic()
        self._was_unreadable = False
        self._found_ms = clock.now_ms()

    async def run(self) -> None:
        """Write the minute that ended, once a minute, until cancelled."""
        while True:
            try:
                # Here: its connection is this thread's.
                findings = self._local.findings(_FINDINGS)
                await asyncio.to_thread(self.record, findings)
            except (OSError, apsw.Error) as error:
                log.error("this minute's availability is not recorded: %s", error)
            await asyncio.sleep((MINUTE_MS - self._clock.now_ms() % MINUTE_MS) / 1000)

    def record(self, findings: Sequence[Finding]) -> None:
        """Write what happened since the last call. `findings`: what was found lately. Raises
        OSError, apsw.Error."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        readings = self._readings.read()
        serving = _serves(readings, now)
        news = self._news(readings)
        minute = now_ms // MINUTE_MS
        # The wall clock may have been set forward: nothing was down meanwhile.
        follows = self._minute is not None and now - self._then < _FOLLOWS_S
        first = minute
        if follows and self._minute is not None:
            first = max(min(minute, self._minute + 1), minute - _MOST_STEPPED)
        record = Availability(self._file)
        try:
            record.record(first, minute, serving, news)
            for incident in self._incidents(record, now_ms, findings):
                record.add_incident(incident)
        finally:
            record.close()
        self._minute, self._then = minute, now

    def figures(self) -> Iterator[Gauge]:
        """What the record says of this month, as gauges."""
        now_ms = self._clock.now_ms()
        record = Availability(self._file)
        try:
            month = record.month(month_of(now_ms), now_ms)
            probes = record.last_probes(now_ms - _PROBE_SHOWN_MS)
        finally:
            record.close()
        yield gauge(float(month["availability"]) / 100, "coffre_availability_ratio", "")
        for store in month["stores"]:
            share = float(store["availability"]) / 100
            yield gauge(share, "coffre_availability_ratio", store["store"])
        lost = sum(one["kind"] == "lost" for one in month["incidents"])
        yield gauge(lost, "coffre_durability_incidents")
        for probe in probes:
            yield gauge(probe.micros / 1e6, "coffre_probe_seconds", probe.origin)
            yield gauge(bool(probe.failed), "coffre_probe_failed", probe.origin)

    def _news(self, readings: list[Reading]) -> dict[str, Outcome]:
        total: Counter[tuple[str, str]] = Counter()
        for reading in readings:
            for (name, labels), values in reading.series.items():
                if name == _REQUESTS:
                    total[labels[0], labels[1]] += int(values[0])
        news = {key: count - self._before[key] for key, count in total.items()}
        if self._minute is None:
            news = {}  # What was before this process is written down, or unknown.
        self._before = total
        stores = {store for store, _ in news}
        return {
            store: Outcome(
                sum(news.get((store, outcome), 0) for outcome in ("ok", "refused", "failed")),
                news.get((store, "failed"), 0),
            )
            for store in stores
        }

    def _incidents(
        self, record: Availability, now_ms: int, findings: Sequence[Finding]
    ) -> Iterator[Incident]:
        look = self._repairer.look
        jobs = () if look is None else look.jobs
        unreadable = len({job.chunk.id for job in jobs if job.spare < 0})
        if unreadable and not self._was_unreadable:
            yield Incident(now_ms, "unreadable", f"{unreadable} chunks have too many members away")
        self._was_unreadable = bool(unreadable)
        newest = max(self._found_ms, record.last_incident_ms("lost"))
        for finding in findings:
            if finding.at_ms > self._found_ms:
                self._page.add("coffre_findings_total", 1, finding.found_by)
            if finding.at_ms > newest and _LOST in finding.what:
                yield Incident(finding.at_ms, "lost", f"{finding.file}: {finding.what}")
        self._found_ms = now_ms


def _serves(readings: list[Reading], now: float) -> bool:
    """A committer and a worker live."""
    lives = {reading.process for reading in readings if alive(reading, now)}
    return "committer" in lives and any(one.startswith("worker") for one in lives)
