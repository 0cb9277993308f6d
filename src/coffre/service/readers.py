"""What requests are open: each worker says in shared memory when its oldest one began.

File `readers` in the data folder: slots of 64 bytes, mapped by all processes; a slot belongs to the
process that holds the lock on its bytes, and to nobody once that process has ended, however it
did. A slot, native order:

    offset  bytes  what
         0      8  when the oldest open request began (monotonic seconds); 0: none is open
         8      8  a number that rises every second while the process's event loop turns
        16      8  process id
        24      8  how many requests are open

The order of things makes this safe: a request is published before it reads the catalog, so one
that the collector does not see yet reads rows that are newer than what the collector has done.

A process whose loop does not turn cannot end its requests, so what they could read would stay for
ever. After a minute in which the collector looked again and again it is killed: whoever it served
has long given up, and the supervisor starts another.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import mmap
import os
import signal
import struct
from collections.abc import Callable
from typing import Final

log = logging.getLogger("coffre.readers")

SLOT_BYTES: Final = 64
SLOTS: Final = 512
BEAT_S: Final = 1.0
# Looks, at least a second apart, in which a slot's number stood still.
STALLED_LOOKS: Final = 60
NO_REQUEST: Final = 0.0
_OLDEST: Final = struct.Struct("@d")
_BEAT: Final = struct.Struct("@QQ")
_COUNT: Final = struct.Struct("@Q")
_COUNT_AT: Final = _OLDEST.size + _BEAT.size


class NoSlot(Exception):
    """More processes serve requests than there are slots."""


class _Slots:
    """The mapped file, made (mode 0600) if it is missing."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # All of it: a page that finds no space when it is touched ends the process.
            os.posix_fallocate(self._descriptor, 0, SLOTS * SLOT_BYTES)
            self.map = mmap.mmap(self._descriptor, SLOTS * SLOT_BYTES)
        except BaseException:
            os.close(self._descriptor)
            raise

    def claim(self, slot: int) -> bool:
        """Take a slot's lock, unless another process holds it."""
        how = fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(self._descriptor, how, SLOT_BYTES, slot * SLOT_BYTES)
        except OSError:
            return False
        return True

    def release(self, slot: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, SLOT_BYTES, slot * SLOT_BYTES)

    def close(self) -> None:
        self.map.close()
        os.close(self._descriptor)


class OwnRequests:
    """This process's slot: it holds the lock until `close`. One a process: a second one's closing
    would let go of the first one's lock."""

    def __init__(self, path: str) -> None:
        """Raises OSError, NoSlot."""
        self._slots = _Slots(path)
        free = (slot for slot in range(SLOTS) if self._slots.claim(slot))
        slot = next(free, None)
        if slot is None:
            self._slots.close()
            raise NoSlot(f"{path}: all {SLOTS} slots are taken")
        self._at = slot * SLOT_BYTES
        self._open: dict[object, float] = {}
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None
        self._publish(NO_REQUEST)
        self._count()
        self.beat()

    def begin(self, request: object, started: float) -> None:
        """A request is open from now on; requests begin in order."""
        if not self._open:
            self._publish(started)
        self._open[request] = started
        self._count()

    def end(self, request: object) -> None:
        started = self._open.pop(request)
        oldest = next(iter(self._open.values()), NO_REQUEST)
        if oldest != started:
            self._publish(oldest)
        self._count()

    @property
    def count(self) -> int:
        """How many requests this process has open."""
        return len(self._open)

    def beat(self) -> None:
        """Show that this process's loop turns."""
        self._beats += 1
        _BEAT.pack_into(self._slots.map, self._at + _OLDEST.size, self._beats, os.getpid())

    def keep_beating(self) -> None:
        """Beat every second, on the running loop, until `close`."""
        self.beat()
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self.keep_beating)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._slots.close()

    def _count(self) -> None:
        _COUNT.pack_into(self._slots.map, self._at + _COUNT_AT, len(self._open))

    def _publish(self, oldest: float) -> None:
        # An aligned 8-byte store: nobody sees half of it.
        _OLDEST.pack_into(self._slots.map, self._at, oldest)


class AllRequests:
    """What all processes have open. Not for a process that has a slot of its own: its own locks
    never stand in its way."""

    def __init__(
        self, path: str, clock: Callable[[], float], kill: Callable[[int, int], None] = os.kill
    ) -> None:
        """`clock` in monotonic seconds. Raises OSError."""
        self._slots = _Slots(path)
        self._clock = clock
        self._kill = kill
        # By slot: its number, looks since that rose, when it was last looked at.
        self._beats: dict[int, tuple[int, int, float]] = {}

    def oldest(self) -> float | None:
        """When the oldest open request of any process began; None when none is open."""
        found: list[float] = []
        for slot in range(SLOTS):
            at = slot * SLOT_BYTES
            oldest: float = _OLDEST.unpack_from(self._slots.map, at)[0]
            if oldest == NO_REQUEST:
                self._beats.pop(slot, None)
            elif self._slots.claim(slot):
                # Its process has ended, and what it had open with it.
                _OLDEST.pack_into(self._slots.map, at, NO_REQUEST)
                self._slots.release(slot)
            else:
                self._watch(slot)
                found.append(oldest)
        return min(found, default=None)

    def count(self) -> int:
        """How many requests all processes have open, about: one that ended without a word counts
        until `oldest` has noticed it."""
        return sum(
            _COUNT.unpack_from(self._slots.map, at + _COUNT_AT)[0]
            for at in range(0, SLOTS * SLOT_BYTES, SLOT_BYTES)
            if _OLDEST.unpack_from(self._slots.map, at)[0] != NO_REQUEST
        )

    def close(self) -> None:
        self._slots.close()

    def _watch(self, slot: int) -> None:
        """Kill a process whose loop has stood still for as many looks as are patience enough."""
        beat, process = _BEAT.unpack_from(self._slots.map, slot * SLOT_BYTES + _OLDEST.size)
        now = self._clock()
        before, looks, last = self._beats.get(slot, (beat, 0, now))
        if beat != before:
            looks, last = 0, now
        elif now - last >= BEAT_S:
            looks, last = looks + 1, now
        self._beats[slot] = beat, looks, last
        if looks >= STALLED_LOOKS:
            log.error("process %d has not answered for %d s: it is killed", process, looks)
            del self._beats[slot]
            self._kill(process, signal.SIGKILL)
