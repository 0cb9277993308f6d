"""The monitor: drives are looked at all the time, so that trouble shows although nobody writes.

Every second the superblock of each drive is read: is the drive there, and is it the one that stood
there? Every few seconds a small file is written, synced and read back: does it still write, and is
it as fast as the others? What is found is decided on by `drive_keeper`, for all processes.

A drive that is gone, fails or drags is set aside. One that is back, with its own superblock, that
writes, and keeps pace for a while, is handed to the checker (state CHECKING); the wait doubles with
every time that it failed within the last hour. An empty folder is never taken for a drive by
itself: a disk that is not mounted looks the same. The operator is told what to type. What this
process cannot do for want of memory, threads or file descriptors tells of no drive.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EDQUOT, ENOSPC
from functools import partial
from statistics import median
from typing import Protocol

from msgspec import Struct

from coffre.system.clock import Clock
from coffre.system.disk import Disk
from coffre.system.entropy import Entropy
from coffre.system.starved import Starved
from coffre.system.threads import call_apart
from coffre.vault.ballast import BALLAST, ballast_bytes, take_on
from coffre.vault.drives import LATE, Drive, DriveSet, DriveState
from coffre.vault.identity import drive_of
from coffre.vault.superblock import SlotStatus, Superblock, SuperblockStore

log = logging.getLogger("coffre.monitor")

PROBE = "probe"
PROBE_BYTES = 4096
LOOK_EVERY_S = 1.0
# Of the looks at a drive in use, every so many-th writes.
_WRITE_EVERY = 4
# Probes that a drive's pace is judged by, and how far behind the others it must be.
_WINDOW = 12
_ENOUGH = 6
_TIMES_SLOWER = 8
_SLOW_S = 0.25
# Good probes in a row before a drive that was away is checked, and how long one that failed waits.
_GOOD = 2
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_FORGIVEN_S = 3600.0
_IN_USE = (DriveState.PRESENT, DriveState.CHECKING)


class Gone(Exception):
    """The superblock that should be there is not: a drive that is away, or another one."""

    def __init__(self, state: DriveState, reason: str) -> None:
        self.state = state
        super().__init__(reason)


class Zone(Protocol):
    """What superblocks say (`catalog.group.GroupCommitter`)."""

    @property
    def zone(self) -> Superblock: ...


class SetsAside(Protocol):
    """Who decides (`drive_keeper.DriveKeeper`)."""

    def set_aside(self, drive: Drive, reason: str) -> None: ...


class Found(Struct, frozen=True):
    """What one look at a drive found: `error` None is good; `seconds` that a write took, if any."""

    error: Exception | None = None
    seconds: float | None = None


@dataclass(eq=False)
class _Watched:
    """What is remembered of a drive between looks."""

    paces: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    failures: list[float] = field(default_factory=list)
    looks: int = 0
    good: int = 0
    waits_until: float = 0.0
    was: DriveState = DriveState.PRESENT
    running: Future[Found] | None = None

    @property
    def pace(self) -> float | None:
        return median(self.paces) if len(self.paces) >= _ENOUGH else None


def try_out(disk: Disk, path: str, content: bytes) -> None:
    """Write, sync and read back a small file in a drive's folder. Raises OSError."""
    name = f"{path}/{PROBE}"
    written = content.ljust(PROBE_BYTES, b"\0")
    file = disk.open(name, "edit" if disk.exists(name) else "create")
    try:
        file.pwritev([written], 0)
        file.sync()
        if file.pread(PROBE_BYTES, 0) != written:
            raise OSError(f"{name} does not read as it was written")
    finally:
        file.close()


class Monitor:
    """Looks at the drives of a zone, in the process that commits."""

    def __init__(
        self,
        drives: DriveSet,
        superblocks: SuperblockStore,
        keeper: SetsAside,
        committer: Zone,
        clock: Clock,
        entropy: Entropy,
        *,
        deadline: float,
    ) -> None:
        self._drives = drives
        self._superblocks = superblocks
        self._keeper = keeper
        self._committer = committer
        self._clock = clock
        self._entropy = entropy
        self._deadline = deadline
        self._watched: dict[bytes, _Watched] = {}

    def pace(self, drive_id: bytes) -> float | None:
        """The median seconds of a drive's last probes; None while there are too few."""
        watched = self._watched.get(drive_id)
        return None if watched is None else watched.pace

    async def watch(self) -> None:
        """Look at all drives every second, until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, LOOK_EVERY_S - (self._clock.monotonic() - began)))

    async def look(self) -> None:
        """One look at every drive that has a place."""
        drives = [drive for drive in self._drives.all() if drive.path]
        for drive in drives:
            watched = self._watched.setdefault(drive.id, _Watched())
            if watched.running is None or watched.running.done():
                # One in use is often looked at and sometimes written to; one that is not must show
                # each time that it can be.
                writes = drive.state not in _IN_USE or watched.looks % _WRITE_EVERY == 0
                watched.looks += 1
                watched.running = call_apart(
                    "monitor", partial(self._examine, drive, writes=writes)
                )
        futures = {
            asyncio.wrap_future(running): drive
            for drive in drives
            if (running := self._watched[drive.id].running) is not None
        }
        _, late = await asyncio.wait(futures, timeout=self._deadline) if futures else ((), ())
        stalled = len(late) > max(1, self._committer.zone.geometry.m)
        for future, drive in futures.items():
            if future not in late:
                self.judge(drive, _found(future))
            elif not stalled:  # Else it is the machine that stalls, not its drives.
                reason = f"{LATE}: no answer within {self._deadline:g} s"
                self.judge(drive, Found(TimeoutError(reason)))

    def judge(self, drive: Drive, found: Found) -> None:
        """Decide what a look means for a drive."""
        watched = self._watched.setdefault(drive.id, _Watched())
        if isinstance(found.error, Starved):
            log.error("drive %s cannot be looked at: %s", drive.path, found.error)
            return
        now = self._clock.monotonic()
        if drive.state is DriveState.FAILED and watched.was is not DriveState.FAILED:
            watched.failures = [one for one in watched.failures if one > now - _FORGIVEN_S] + [now]
            wait = _FIRST_WAIT_S * 2 ** (len(watched.failures) - 1)
            watched.waits_until = now + min(_LONGEST_WAIT_S, wait)
            watched.paces.clear()
            watched.good = 0
        watched.was = drive.state
        if found.seconds is not None:
            watched.paces.append(found.seconds)
        if drive.state in _IN_USE:
            self._judge_used(drive, watched, found)
        else:
            self._judge_unused(drive, watched, found)

    def _judge_used(self, drive: Drive, watched: _Watched, found: Found) -> None:
        watched.good = 0
        error = found.error
        if isinstance(error, Gone):
            self._drives.mark(drive.id, error.state, str(error))
        elif isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            self._drives.fill(drive.id)
        elif error is not None:
            self._keeper.set_aside(drive, str(error))
        elif self._drags(drive, watched):
            watched.paces.clear()
            self._keeper.set_aside(drive, f"{LATE}: far slower than the other drives")

    def _judge_unused(self, drive: Drive, watched: _Watched, found: Found) -> None:
        if found.error is not None:
            watched.good = 0
            if isinstance(found.error, Gone):
                self._drives.mark(drive.id, found.error.state, str(found.error))
            return
        watched.good += 1
        rested = self._clock.monotonic() >= watched.waits_until
        if watched.good >= _GOOD and rested and not self._drags(drive, watched):
            self._drives.mark(drive.id, DriveState.CHECKING, "it is back")

    def _drags(self, drive: Drive, watched: _Watched) -> bool:
        """Is it far slower than the others, over the whole window?"""
        pace = watched.pace
        others = [
            one.pace
            for drive_id, one in self._watched.items()
            if drive_id != drive.id and one.pace is not None
        ]
        if pace is None or len(others) < 2:
            return False
        return pace > max(_SLOW_S, _TIMES_SLOWER * median(others))

    def _examine(self, drive: Drive, *, writes: bool) -> Found:
        """Look at a drive, on a thread of its own."""
        try:
            self._recognize(drive)
            if not writes:
                return Found()
            began = self._clock.monotonic()
            try_out(self._drives.disk, drive.path, self._entropy.bytes(16))
            seconds = self._clock.monotonic() - began
            if drive.state is DriveState.PRESENT:
                reserve = self._drives.reserve_bytes
                take_on(self._drives.disk, drive.path, ballast_bytes(reserve), reserve)
            return Found(seconds=seconds)
        except (Gone, OSError) as error:
            return Found(error)

    def _recognize(self, drive: Drive) -> None:
        """Raises Gone unless the drive's own superblock stands in its place, OSError."""
        read = self._superblocks.read(drive.path)
        if read.superblock is not None and read.superblock.drive == drive.id:
            return
        if read.superblock is not None or read.status is SlotStatus.FOREIGN:
            raise Gone(DriveState.FOREIGN, "another drive stands in its place")
        if read.status is SlotStatus.UNREADABLE:
            raise OSError(f"its superblock cannot be read: {read.reason}")
        lost = read.status in (SlotStatus.ABSENT, SlotStatus.DAMAGED)
        if not lost:
            raise OSError(f"its superblock is {read.status}: {read.reason}")
        if drive.state not in _IN_USE and drive_of(self._drives.disk, drive.path) == drive.id:
            return  # Its files say who it is: superblocks are written to it while it is checked.
        names: Sequence[str] | None = None
        with suppress(OSError):
            listed = self._drives.disk.listdir(drive.path)
            names = [one for one in listed if one not in ("lost+found", PROBE, BALLAST)]
        if names is None:
            raise Gone(DriveState.MISSING, "its folder is gone")
        if names:
            raise Gone(DriveState.MISSING, "its superblock is gone")
        raise Gone(
            DriveState.MISSING,
            "an empty folder stands in its place: mount the drive; or, to take the folder for a "
            f"new one, `coffre drive replace {drive.path}`",
        )


def _found(look: asyncio.Future[Found]) -> Found:
    """What a look found, if it could be made."""
    try:
        return look.result()
    except Starved as starved:
        return Found(starved)
    except MemoryError:
        return Found(Starved("this process has no memory left"))
