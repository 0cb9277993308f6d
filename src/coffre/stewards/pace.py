"""How fast background work may go: a rate that is never passed, less of it while clients wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from coffre.system.clock import Clock

# With many requests under way this part of the rate is left, so that repair always comes to an end.
LEAST_SHARE = 0.1


def _idle() -> int:
    return 0


class Pace:
    """Lets `rate` bytes a second pass; 1 / (1 + `under_way`) of it while requests are under way.

    `under_way`: how many requests clients have open now, over all workers.
    """

    def __init__(self, clock: Clock, rate: float, under_way: Callable[[], int] = _idle) -> None:
        self.rate = rate
        self._clock = clock
        self._under_way = under_way
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        """Account for `size` bytes that were moved, and wait until the next may be."""
        share = max(LEAST_SHARE, 1 / (1 + self._under_way()))
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + size / (self.rate * share)
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
