"""What a process shows of itself, every two seconds: that it lives, and its gauges."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from coffre.service.layout import DataFolder
from coffre.service.observing.measured import MeasuredDisk
from coffre.service.observing.page import Page, Series
from coffre.service.zone import World
from coffre.system.clock import Clock
from coffre.system.threads import call_apart
from coffre.vault.drives import DriveSet

log = logging.getLogger("coffre.observing")

EVERY_S: Final = 2.0
# What is looked at in a thread is shown for so many of its own turns.
_TURNS_SHOWN: Final = 3
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
Gauge = tuple[Series, float]
Collect = Callable[[], Iterable[Gauge]]


def gauge(value: float, name: str, *labels: str) -> Gauge:
    return (name, labels), float(value)


class Observed:
    """One process's page, and what is shown in it. `run` until cancelled."""

    def __init__(self, folder: DataFolder, process: str, clock: Clock) -> None:
        self.page = Page(folder.metrics, process)
        self.process = process
        self._clock = clock
        self._collectors: list[Collect] = [lambda: own_figures(process)]
        self._slow: list[_Apart] = []

    def collect(self, collect: Collect) -> None:
        """Ask for gauges every two seconds, on the loop: it must cost next to nothing."""
        self._collectors.append(collect)

    def collect_apart(self, collect: Collect, every_s: float) -> None:
        """Ask for gauges in a thread: what they stand on may be slow, or stuck."""
        self._slow.append(_Apart(collect, every_s))

    def measure(self, world: World) -> tuple[World, Callable[[DriveSet], None]]:
        """The world with a disk that is measured, and whom to tell of the drives."""
        disk = MeasuredDisk(world.disk, self.page)

        def follow(drives: DriveSet) -> None:
            self.collect(lambda: disk.follow(drive.path for drive in drives.all()))
            disk.follow(drive.path for drive in drives.all())

        return World(world.clock, world.entropy, disk), follow

    def look(self) -> None:
        """Show everything as it is now."""
        now = self._clock.monotonic()
        shown: dict[Series, float] = {}
        for collect in self._collectors:
            shown.update(_gauges(collect))
        for apart in self._slow:
            shown.update(apart.gauges(now))
        self.page.show(shown)
        self.page.beat(now)

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)


class _Apart:
    """A collector on a thread of its own, one look at a time."""

    def __init__(self, collect: Collect, every_s: float) -> None:
        self._collect = collect
        self._every_s = every_s
        self._due = float("-inf")
        self._looked = float("-inf")
        self._found: dict[Series, float] = {}
        self._looking = False

    def gauges(self, now: float) -> dict[Series, float]:
        if now >= self._due and not self._looking:
            self._due, self._looking = now + self._every_s, True
            call_apart("observing", lambda: self._look(now))
        fresh = now - self._looked < _TURNS_SHOWN * self._every_s
        return self._found if fresh else {}

    def _look(self, now: float) -> None:
        try:
            self._found, self._looked = _gauges(self._collect), now
        finally:
            self._looking = False


def _gauges(collect: Collect) -> dict[Series, float]:
    """What a collector says; nothing where it fails, which the log says."""
    try:
        return dict(collect())
    except Exception as error:
        log.warning("some figures are not known: %s: %s", type(error).__name__, error)
        return {}


@asynccontextmanager
async def observed(folder: DataFolder, process: str, clock: Clock) -> AsyncIterator[Observed]:
    """A process's page, shown for the time of a `with`. It begins as soon as the block waits."""
    one = Observed(folder, process, clock)
    running = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def own_figures(process: str) -> Iterator[Gauge]:
    """This process's processor time, memory, threads and descriptors, as the kernel counts."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield gauge(usage.ru_utime, "coffre_process_cpu_seconds_total", process, "user")
    yield gauge(usage.ru_stime, "coffre_process_cpu_seconds_total", process, "system")
    with open("/proc/self/statm", "rb") as memory:
        resident = int(memory.read().split()[1]) * _PAGE_BYTES
    yield gauge(resident, "coffre_process_resident_bytes", process)
    yield gauge(len(os.listdir("/proc/self/task")), "coffre_process_threads", process)
    yield gauge(len(os.listdir("/proc/self/fd")), "coffre_process_descriptors", process)
