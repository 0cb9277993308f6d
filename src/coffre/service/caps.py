"""What stores have used of their caps, in memory that all workers of a node share.

A file of records, one a store that has a cap, found by the store's id, read and written under one
lock. Beside the two buckets (requests, bytes) each has a count of open requests for each worker, so
that those of a worker that was killed go with it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from coffre.catalog.records import StoreLimits

STORES: Final = 512
WORKERS: Final = 256
# The store's id, requests and bytes that may be taken, when that was true (seconds).
_HEAD: Final = struct.Struct("<16sddd")
_OPEN: Final = struct.Struct(f"<{WORKERS}H")
_RECORD: Final = 1024
_NOBODY: Final = bytes(16)
# A request that meets the cap of requests at once is told to come again in so many seconds.
_SOON: Final = 1.0


class SharedCaps:
    """One worker's view: an `Account` (`coffre.s3.caps`)."""

    def __init__(self, path: str, worker: int, now: Callable[[], float]) -> None:
        """`worker`: the number of this process; what one of the same number left open is over.
        `now`: seconds, which go on alike in all of them."""
        self._worker = worker
        self._now = now
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, STORES * _RECORD)
        self._memory = mmap.mmap(self._file, STORES * _RECORD)
        for at in range(0, STORES * _RECORD, _RECORD):
            self._set_open(at, 0)

    def close(self) -> None:
        self._memory.close()
        os.close(self._file)

    def begin(self, store_id: bytes, limits: StoreLimits, /) -> float:
        """See `Account`."""
        with self._record(store_id) as at:
            requests, size = self._filled(at, store_id, limits)
            early = _SOON if self._is_full(at, limits) else 0.0
            if limits.cap_requests and requests < 1:
                early = max(early, (1 - requests) / limits.cap_requests)
            if limits.cap_bandwidth and size <= 0:
                early = max(early, (1 - size) / limits.cap_bandwidth)
            if not early:
                requests -= 1
                self._set_open(at, self._open(at) + 1)
            self._write(at, store_id, requests, size)
        return early

    def end(self, store_id: bytes, limits: StoreLimits, size: int, /) -> None:
        """See `Account`."""
        with self._record(store_id) as at:
            requests, left = self._filled(at, store_id, limits)
            self._set_open(at, max(0, self._open(at) - 1))
            self._write(at, store_id, requests, left - size)

    def _filled(self, at: int, store_id: bytes, limits: StoreLimits) -> tuple[float, float]:
        """Requests and bytes that may be taken now: a second's worth at most."""
        kept, requests, size, then = _HEAD.unpack_from(self._memory, at)
        most_requests, most_bytes = max(1.0, limits.cap_requests), limits.cap_bandwidth
        if kept != store_id:
            return most_requests, most_bytes
        passed = max(0.0, self._now() - then)
        return (
            min(most_requests, requests + passed * limits.cap_requests),
            min(most_bytes, size + passed * limits.cap_bandwidth),
        )

    def _write(self, at: int, store_id: bytes, requests: float, size: float) -> None:
        _HEAD.pack_into(self._memory, at, store_id, requests, size, self._now())

    def _is_full(self, at: int, limits: StoreLimits) -> bool:
        if not limits.cap_connections:
            return False
        counts: tuple[int, ...] = _OPEN.unpack_from(self._memory, at + _HEAD.size)
        return sum(counts) >= limits.cap_connections

    def _open(self, at: int) -> int:
        count: int = struct.unpack_from("<H", self._memory, self._place(at))[0]
        return count

    def _set_open(self, at: int, count: int) -> None:
        struct.pack_into("<H", self._memory, self._place(at), min(count, 0xFFFF))

    def _place(self, at: int) -> int:
        return at + _HEAD.size + 2 * self._worker

    @contextmanager
    def _record(self, store_id: bytes) -> Iterator[int]:
        """Where the store's record is, locked against other workers. Where all are taken, it is
        another store's, and both are held to what they use together."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            first = int.from_bytes(store_id[-8:], "big") % STORES
            for step in range(STORES):
                at = (first + step) % STORES * _RECORD
                kept = self._memory[at : at + 16]
                if kept in (store_id, _NOBODY):
                    break
            else:
                at = first * _RECORD
            yield at
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
