"""How often somebody may ask: a bucket of requests for each person, token and address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from coffre.console.api.problem import Problem

_KEPT: Final = 10_000
# A page asks for its parts at once.
_BURST: Final = 4


class Rates:
    """Full buckets hold some seconds' worth; they fill at the rate."""

    def __init__(self, rate: int, now: Callable[[], float]) -> None:
        """`rate` requests a second; `now` in monotonic seconds."""
        self._rate = rate
        self._now = now
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, who: bytes) -> None:
        """Count one request. Raises Problem (TooManyRequests) with Retry-After."""
        now = self._now()
        most = float(self._rate * _BURST)
        left, then = self._buckets.pop(who, (most, now))
        left = min(most, left + (now - then) * self._rate)
        if left < 1:
            self._buckets[who] = left, now
            raise Problem("TooManyRequests", headers={"Retry-After": "1"})
        self._buckets[who] = left - 1, now
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
