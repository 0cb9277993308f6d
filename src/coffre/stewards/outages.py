"""Destinations that take nothing for now: each is asked again later, ever later, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from coffre.system.clock import Clock

FIRST_BACKOFF_S: Final = 1.0
MOST_BACKOFF_S: Final = 60.0


class Undelivered(Exception):
    """A destination did not take what it was given."""


class _Outage(NamedTuple):
    """It is not asked before `until` (monotonic)."""

    until: float
    backoff: float
    reason: str


class Outages:
    """Those of several destinations, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._down: dict[str, _Outage] = {}

    @property
    def names(self) -> Sequence[str]:
        """Who is down, by name."""
        return sorted(self._down)

    def reason(self, name: str) -> str:
        """Why a destination took nothing last time; empty when it did."""
        down = self._down.get(name)
        return "" if down is None else down.reason

    def is_over(self, name: str) -> bool:
        """Whether it may be asked."""
        down = self._down.get(name)
        return down is None or self._clock.monotonic() >= down.until

    def failed(self, name: str, reason: str) -> float:
        """It took nothing; in how many seconds it is asked again."""
        down = self._down.get(name)
        backoff = min(MOST_BACKOFF_S, down.backoff * 2 if down else FIRST_BACKOFF_S)
        self._down[name] = _Outage(self._clock.monotonic() + backoff, backoff, reason)
        return backoff

    def took(self, name: str) -> None:
        """It took something: it is not down any more."""
        self._down.pop(name, None)

    def end_waits(self) -> None:
        """All may be asked at once."""
        self._down = {name: down._replace(until=0.0) for name, down in self._down.items()}
