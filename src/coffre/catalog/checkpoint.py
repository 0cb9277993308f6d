"""Keeping SQLite's write-ahead log short without ever stopping the committer.

SQLite calls back after each COMMIT with the length of its WAL. Every 16 MiB of growth a passive
checkpoint runs in a thread, on a connection of its own; readers may hold it back, never the other
way round. A WAL of 256 MiB means that some reader does not let go, and is said loudly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread

import apsw

from coffre.catalog.schema import checkpoint

_journal = logging.getLogger(__name__)
EVERY_BYTES = 16 * 1024 * 1024
ALARM_BYTES = 256 * 1024 * 1024
Run = Callable[[Callable[[], None]], None]


def in_thread(work: Callable[[], None]) -> None:
    Thread(target=work, daemon=True, name="checkpoint").start()


class Checkpointer:
    """Watches the WAL that `db`, the writer's connection to `path`, makes longer.

    `run` starts the checkpoint without waiting for it.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: str,
        *,
        every_bytes: int = EVERY_BYTES,
        alarm_bytes: int = ALARM_BYTES,
        run: Run = in_thread,
    ) -> None:
        self._path = path
        page = int(db.pragma("page_size"))
        self._every = max(1, every_bytes // page)
        self._alarm = alarm_bytes // page
        self._run = run
        self._last = 0
        self._running = False
        self._alarmed = False
        db.set_wal_hook(self._grown)

    def _grown(self, db: apsw.Connection, name: str, pages: int) -> int:
        if pages < self._last:  # It was copied whole, and writing began again at its start.
            self._last, self._alarmed = 0, False
        if pages >= self._alarm and not self._alarmed:
            self._alarmed = True
            _journal.critical("the catalog's WAL has %d pages: some reader holds it", pages)
        if pages - self._last >= self._every and not self._running:
            self._last, self._running = pages, True
            self._run(self._checkpoint)
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        try:
            checkpoint(self._path)
        except apsw.Error as error:
            _journal.error("a checkpoint of the catalog failed: %s", error)
        finally:
            self._running = False
