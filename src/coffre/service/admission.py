"""Who may send a body at all: asked before the first byte of it is read."""

from __future__ import annotations

from typing import Protocol

from coffre.catalog.interface import CommitterBusy
from coffre.system.clock import Clock
from coffre.system.disk import Disk
from coffre.vault.interface import StorageFull

# The catalog must always be able to commit what the log has: bodies end before it does.
CATALOG_RESERVE_BYTES = 128 << 20
_LOOK_EVERY_S = 1.0


class Queue(Protocol):
    """What mutations wait in (`catalog.link.CommitterClient`)."""

    @property
    def busy(self) -> bool: ...


class Admission:
    """The S3 service's `admit` gate.

    Raises CommitterBusy while too much waits to be committed, StorageFull while the file system of
    the catalog (`folder`) has less than its reserve; deletes and reads have no body and pass.
    """

    def __init__(self, queue: Queue, disk: Disk, clock: Clock, folder: str) -> None:
        self._queue = queue
        self._disk = disk
        self._clock = clock
        self._folder = folder
        self._looked = float("-inf")
        self._full = False

    def __call__(self, operation: str, client: str, bucket: str | None, /) -> None:
        if self._queue.busy:
            raise CommitterBusy("too much waits to be committed")
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._full = self._disk.free_bytes(self._folder) < CATALOG_RESERVE_BYTES
        if self._full:
            raise StorageFull("the catalog's file system is nearly full")
