"""Time as an argument, so that tests and the simulator own it."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_OFFSETS = Path("/proc/self/timens_offsets")
_UPTIME = "/proc/uptime"


class Boot(NamedTuple):
    """A reading of the boot clock: ms since the machine started, suspended or not.

    Two readings of one `id` may be subtracted; those of two ids say nothing of the time between.
    """

    id: str
    elapsed_ms: int


class Clock(Protocol):
    """Wall time for what is stored and signed, monotonic time for deadlines, the boot clock for
    what must not follow the wall clock's steps."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def boot(self) -> Boot:
        """The boot clock, which every process of the machine reads alike."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def boot(self) -> Boot:
        # The kernel's own word for CLOCK_BOOTTIME (10 ms): a library loaded before ours that
        # answers for the C library's clocks does not answer for this file.
        seconds, _, _ = os.pread(_uptime(), 64, 0).partition(b" ")
        return Boot(_boot_id(), round(float(seconds) * 1000))


@cache
def _uptime() -> int:
    return os.open(_UPTIME, os.O_RDONLY | os.O_CLOEXEC)


@cache
def _boot_id() -> str:
    """The kernel's id of this boot, and by how much a time namespace moves its clocks: whoever
    moves them starts another count."""
    offsets = _OFFSETS.read_text().split() if _OFFSETS.exists() else []
    moved = [word for word in offsets if word.lstrip("-").isdigit() and int(word)]
    return "/".join((_BOOT_ID.read_text().strip(), *moved))


class ManualClock:
    """A clock that moves only when told to: for tests and the simulator."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 0.0
        self._passed_ms = 0
        self._boots = 1
        self._booted_ms = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings on by `seconds`."""
        self._now_ms += round(seconds * 1000)
        self._passed_ms += round(seconds * 1000)
        self._monotonic += seconds

    def boot(self) -> Boot:
        return Boot(f"boot-{self._boots}", self._passed_ms - self._booted_ms)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back, by `seconds`: no time passes."""
        self._now_ms += round(seconds * 1000)

    def reboot(self) -> None:
        """The machine starts again: the boot clock counts anew."""
        self._boots += 1
        self._booted_ms = self._passed_ms
