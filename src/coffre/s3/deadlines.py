"""Deadlines of request bodies: one timer for all of them, since a timer for each costs more than
hashing a small body."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_SWEEP_S: Final = 0.5


class Deadline:
    """A task's wait, to be cancelled when the loop's time passes `at`."""

    __slots__ = ("_cancelling", "_task", "at", "expired")

    def __init__(self, task: asyncio.Task[Any], at: float) -> None:
        self._task = task
        self._cancelling = task.cancelling()
        self.at = at
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def caught(self) -> bool:
        """Of a CancelledError: was it ours, and nobody else's too? Then the task goes on."""
        return self.expired and self._task.uncancel() <= self._cancelling


class Deadlines:
    """Those that are running, of one event loop. They are looked at every half second, or four
    times in `least_s`, the shortest of them."""

    def __init__(self, least_s: float) -> None:
        self._every_s = min(_SWEEP_S, least_s / 4)
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, at: float) -> Deadline:
        """A deadline for the current task at the loop's time `at`; it runs until `end`."""
        task = asyncio.current_task()
        assert task is not None, "a request is answered by a task"
        deadline = Deadline(task, at)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._sweep)
        return deadline

    def end(self, deadline: Deadline) -> None:
        self._running.pop(deadline, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in [one for one in self._running if one.at <= now]:
            del self._running[deadline]
            deadline.expire()
        self._timer = loop.call_later(self._every_s, self._sweep) if self._running else None
