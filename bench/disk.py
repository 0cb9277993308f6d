"""What the disk and the processor can do without any server: syncs and MD5.

Bare system calls in a folder on the disk that the servers write to.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.measure import Measured
from bench.scenarios import MIB

_MIRRORS = 3
_FILE_BYTES = 128 * MIB

_Prepare = Callable[[int, int], None]


@dataclass(frozen=True)
class SyncCost:
    """One fdatasync after one write of `size` bytes, in microseconds."""

    kind: str
    size: int
    median_us: float
    p95_us: float


def _leave_empty(descriptor: int, total: int) -> None:
    """The write makes the file longer: its size and extents are journalled with the data."""


def _allocate(descriptor: int, total: int) -> None:
    """Blocks exist but are marked unwritten: the first write changes that in the journal."""
    os.posix_fallocate(descriptor, 0, total)


def _write_all(descriptor: int, total: int) -> None:
    """Blocks were written before, as in a file used again: only data goes out."""
    piece = os.urandom(MIB)
    for offset in range(0, total, MIB):
        os.pwrite(descriptor, piece[: total - offset], offset)


_KINDS: dict[str, _Prepare] = {
    "appended": _leave_empty,
    "preallocated": _allocate,
    "recycled": _write_all,
}


def sync_costs(folder: Path, sizes: tuple[int, ...], count: int) -> list[SyncCost]:
    """Time `count` synced writes of each size to each kind of file, in turns of a quarter."""
    costs = []
    for size in sizes:
        taken: dict[str, list[float]] = {kind: [] for kind in _KINDS}
        for _ in range(4):
            for kind, prepare in _KINDS.items():
                taken[kind] += _time_syncs(folder / "sync-trial", prepare, size, count // 4)
        for kind, seconds in taken.items():
            seconds.sort()
            costs.append(
                SyncCost(kind, size, median(seconds) * 1e6, seconds[int(len(seconds) * 0.95)] * 1e6)
            )
    return costs


def _time_syncs(path: Path, prepare: _Prepare, size: int, count: int) -> list[float]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        prepare(descriptor, size * count)
        os.fsync(descriptor)
        data, taken = os.urandom(size), []
        for number in range(count):
            os.pwrite(descriptor, data, number * size)
            started = time.perf_counter()
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - started)
        return taken
    finally:
        os.close(descriptor)
        path.unlink()


def sync_loop(folder: Path, size: int, group: int, seconds: float) -> Measured:
    """The bare work of a group commit: `group` bodies appended to 3 files, each in a thread of its
    own, with one fdatasync a file; then the next group. Writes (bodies) a second."""
    paths = [folder / f"mirror-{number}" for number in range(_MIRRORS)]
    descriptors = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC) for path in paths]
    data = os.urandom(size * group)

    def append(descriptor: int, offset: int) -> None:
        os.pwrite(descriptor, data, offset)
        os.fdatasync(descriptor)

    groups = offset = 0
    started = time.perf_counter()
    try:
        with ThreadPoolExecutor(_MIRRORS) as threads:
            while time.perf_counter() - started < seconds:
                if offset >= _FILE_BYTES:
                    offset = 0
                    for descriptor in descriptors:
                        os.ftruncate(descriptor, 0)
                list(threads.map(append, descriptors, [offset] * _MIRRORS))
                offset += len(data)
                groups += 1
        elapsed = time.perf_counter() - started
    finally:
        for descriptor, path in zip(descriptors, paths, strict=True):
            os.close(descriptor)
            path.unlink()
    return Measured(rate=groups * group / elapsed)


def md5_rate(streams: int, seconds: float) -> Measured:
    """MiB a second of MD5 over `streams` bodies at once, a piece of 1 MiB at a time."""
    piece = os.urandom(MIB)
    hashed = [0] * streams
    until = time.perf_counter() + seconds

    def digest(number: int) -> None:
        state = hashlib.md5(usedforsecurity=False)
        while time.perf_counter() < until:
            state.update(piece)
            hashed[number] += 1

    threads = [threading.Thread(target=digest, args=(number,)) for number in range(streams)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measured(rate=sum(hashed) / (time.perf_counter() - started))
