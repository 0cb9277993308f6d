"""The meter: periods of usage that are over are closed, and rows that nobody needs any more go.

Which periods are over the committer decides, by the release clock. A crash anywhere leaves what was
closed closed; the next round goes on.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import Reaped
from coffre.catalog.usage_mutations import CloseUsage, PruneUsage
from coffre.catalog.usage_records import DAY_MS, HOUR, SAMPLE, month_of, month_start
from coffre.stewards.expirer import released_ms
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock

ROUND_S: Final = 5.0
# Few enough that clients' writes behind a step wait some milliseconds.
ROWS: Final = 100
# While it looks for old rows it leaves clients' writes their groups in between.
REST_S: Final = 0.03
SAMPLES_KEPT_MS: Final = 31 * DAY_MS
HOURS_KEPT_MONTHS: Final = 13
_FIRST: Final = (b"", "")


class Meter(Steward):
    """Closes hours and forgets old ones."""

    name = "meter"

    def __init__(self, reader: Reader, committer: Committer, clock: Clock) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock
        self._pruned_day = -1
        self._places = {SAMPLE: _FIRST, HOUR: _FIRST}

    async def round(self) -> Round:
        """Close what is over, then look through some meters for what is old."""
        now_ms = released_ms(self._reader, self._clock)
        if self._is_due(now_ms):
            done = await self._committer.commit(CloseUsage(ROWS))
            assert isinstance(done, Reaped), "the committer answers with its count"
            result = f"closed {done.rows} meters" if done.rows else ""
            again = 0.0 if done.more else ROUND_S
            return Round(did=done.rows, left=None, unit="meters", result=result, again=again)
        if now_ms // DAY_MS == self._pruned_day:
            return Round(unit="meters", again=ROUND_S)
        return await self._prune(now_ms)

    def _is_due(self, now_ms: int) -> bool:
        """Something waits, or a day is over in which nothing happened: a quiet node need not write
        each hour that it was quiet."""
        due_ms = self._reader.usage_due_ms()
        if due_ms is not None and due_ms <= now_ms:
            return True
        closed_ms = self._reader.usage_closed_ms()
        return now_ms - now_ms % DAY_MS > closed_ms and self._reader.has_meters()

    async def _prune(self, now_ms: int) -> Round:
        """Some of the meters that have samples or hours, in their order; a pass once a day."""
        found = [
            (place, kind)
            for kind, after in self._places.items()
            if (place := self._reader.metered_after(kind, after)) is not None
        ]
        if not found:
            self._pruned_day = now_ms // DAY_MS
            self._places = {SAMPLE: _FIRST, HOUR: _FIRST}
            return Round(unit="meters", again=ROUND_S)
        rows = 0
        for place, kind in found:
            step = PruneUsage(*place, samples_kept_from(now_ms), hours_kept_from(now_ms))
            done = await self._committer.commit(step)
            assert isinstance(done, Reaped), "the committer answers with its count"
            rows += done.rows
            if not done.more:
                self._places[kind] = place
        result = f"forgot {rows} samples and hours" if rows else ""
        return Round(did=rows, left=None, unit="meters", result=result, again=REST_S)


def samples_kept_from(now_ms: int) -> int:
    return SAMPLE.start(max(0, now_ms - SAMPLES_KEPT_MS))


def hours_kept_from(now_ms: int) -> int:
    """Hours of this month and of the 13 before it are kept."""
    year, month = month_of(now_ms)
    months = year * 12 + month - 1 - HOURS_KEPT_MONTHS
    return month_start(months // 12, months % 12 + 1)
