"""Runs the stewards of a zone: one task each, so that none waits for another's work.

A round that fails is tried again, ever later; one that goes well is followed by the next when it
asked for it, or at once when somebody wakes it. What is paused stays paused until it is resumed,
across restarts (`Pauses`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Literal, Protocol

from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.mutations import Refusal
from coffre.stewards.shape import Round, Standing, Steward
from coffre.system.clock import Clock
from coffre.system.starved import Starved
from coffre.vault.interface import DataLost, StorageFull

log = logging.getLogger("coffre.steward")

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
# The rounds that the rate is taken from.
_RATED = 16
# What comes and goes; anything else is a fault of ours, and its traceback is wanted.
_PASSING = (CommitUnknown, CommitterBusy, Refusal, DataLost, StorageFull, OSError, Starved)


class UnknownSteward(Exception):
    """No steward has this name."""


class StewardPaused(Exception):
    """A paused steward does no round; it is resumed first."""


class Pauses(Protocol):
    """Which stewards are paused, kept across restarts."""

    def paused(self) -> frozenset[str]: ...

    def set_paused(self, name: str, paused: bool) -> None: ...


class _Desk:
    """One steward at work, and how it stands."""

    def __init__(self, steward: Steward, clock: Clock, *, paused: bool) -> None:
        self.steward = steward
        self._clock = clock
        self.paused = paused
        self.wake = asyncio.Event()
        self._ended = asyncio.Condition()
        self._begun = 0
        self._working = False
        self._last = Round(left=None)
        self._error = ""
        self._backoff = 0.0
        self._last_round_ms: int | None = None
        self._rounds = 0
        self._moved: deque[tuple[float, int]] = deque(maxlen=_RATED)

    async def run(self) -> None:
        """Rounds without end."""
        while True:
            self.wake.clear()
            pause: float | None = None
            if not self.paused:
                pause = await self._round()
            try:
                async with asyncio.timeout(pause):
                    await self.wake.wait()
            except TimeoutError:
                pass

    async def next_round(self) -> None:
        """Wait for the end of a round that begins from now on. Raises StewardPaused."""
        wanted = self._begun + 1
        self.wake.set()
        async with self._ended:
            await self._ended.wait_for(lambda: self._rounds >= wanted or self.paused)
        if self._rounds < wanted:
            raise StewardPaused(self.steward.name)

    async def told(self) -> None:
        """Pausing changed: whoever waits for a round looks again."""
        self.wake.set()
        async with self._ended:
            self._ended.notify_all()

    def standing(self) -> Standing:
        now = self._clock.monotonic()
        since = self._moved[0][0] if self._moved else now
        moved = sum(size for _, size in self._moved)
        return Standing(
            name=self.steward.name,
            state=self._state(),
            left=self._last.left,
            unit=self._last.unit,
            rate=round(moved / (now - since), 1) if now > since and self._last.left else 0.0,
            last_result=self._last.result,
            last_error=self._error,
            last_round_ms=self._last_round_ms,
            rounds=self._rounds,
        )

    def _state(self) -> Literal["waiting", "working", "paused", "failing"]:
        if self._working:
            return "working"
        if self.paused:
            return "paused"
        return "failing" if self._error else "waiting"

    async def _round(self) -> float:
        """One round; seconds until the next."""
        name = self.steward.name
        self._begun += 1
        self._working = True
        began = self._clock.monotonic()
        try:
            self._last = await self.steward.round()
            self._moved.append((began, self._last.moved_bytes))
            self._error, self._backoff = "", 0.0
            return self._last.again
        except _PASSING as error:
            self._error = f"{type(error).__name__}: {error}"
            log.warning("%s waits: %s", name, self._error)
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"
            log.exception("%s failed", name)
        finally:
            self._working = False
            self._rounds += 1
            self._last_round_ms = self._clock.now_ms()
            async with self._ended:
                self._ended.notify_all()
        self._backoff = min(MAX_BACKOFF_S, max(FIRST_BACKOFF_S, self._backoff * 2))
        return self._backoff


class Runner:
    """The stewards of a zone in this process; the caller holds the zone's steward lock."""

    def __init__(self, stewards: Sequence[Steward], clock: Clock, pauses: Pauses) -> None:
        self._pauses = pauses
        paused = pauses.paused()
        self._desks = {
            steward.name: _Desk(steward, clock, paused=steward.name in paused)
            for steward in stewards
        }
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the rounds; call on the event loop."""
        self._tasks = [asyncio.create_task(desk.run()) for desk in self._desks.values()]

    async def stop(self) -> None:
        """Cut the rounds that run: each may be cut anywhere."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def standings(self) -> list[Standing]:
        return [desk.standing() for desk in self._desks.values()]

    def standing(self, name: str) -> Standing:
        """Raises UnknownSteward."""
        return self._desk(name).standing()

    async def pause(self, name: str) -> None:
        """No round begins any more; one that runs ends. Raises UnknownSteward."""
        await self._set_paused(name, True)

    async def resume(self, name: str) -> None:
        """Raises UnknownSteward."""
        await self._set_paused(name, False)

    async def run_now(self, name: str) -> None:
        """Have a round begin now, and wait for its end. Raises UnknownSteward, StewardPaused."""
        desk = self._desk(name)
        if desk.paused:
            raise StewardPaused(name)
        desk.steward.hasten()
        await desk.next_round()

    def wake(self, name: str) -> None:
        """What a steward waits for happened. Nothing when there is none of that name."""
        desk = self._desks.get(name)
        if desk is not None:
            desk.wake.set()

    async def _set_paused(self, name: str, paused: bool) -> None:
        desk = self._desk(name)
        self._pauses.set_paused(name, paused)
        desk.paused = paused
        await desk.told()

    def _desk(self, name: str) -> _Desk:
        desk = self._desks.get(name)
        if desk is None:
            raise UnknownSteward(name)
        return desk
