"""Keeping SQLite's write-ahead log short while groups go on.

SQLite calls back after each COMMIT with the length of its WAL. From `wal_bytes` on, checkpoints run
in a thread on a connection of their own. Each copies what was there when it began; meanwhile groups
write on, so that these alone would never reach the end, and the WAL would never begin again. When
little is left, the committer pauses between two groups for one last checkpoint, and the next group
is written at the WAL's beginning. Should the thread not keep up, so that the WAL grows by
`wal_bytes` again, the pause comes at once and groups wait for the thread: disk and thread may be
slow, the WAL stays short. A reader in the middle of its transaction holds that up: it is
waited for briefly, then the WAL is let grow by a quarter before the next try. A WAL of 256 MiB
means that some reader does not let go, and is said loudly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import apsw

from coffre.catalog.schema import checkpoint

_journal = logging.getLogger(__name__)
WAL_BYTES = 32 * 1024 * 1024
ALARM_BYTES = 256 * 1024 * 1024
# What may be left to copy while the committer pauses, and how often the thread tries to get there.
_LEFT_PAGES = 512
_MOST_PASSES = 4
Between = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Checkpointer:
    """Watches the WAL that `db`, the writer's connection, makes longer inside a running loop.

    `between_groups` awaits what it is given while nothing is written.
    """

    def __init__(
        self,
        db: apsw.Connection,
        between_groups: Between,
        *,
        wal_bytes: int = WAL_BYTES,
        alarm_bytes: int = ALARM_BYTES,
    ) -> None:
        self._path = db.filename
        self._between_groups = between_groups
        page = int(db.pragma("page_size"))
        self._most = max(1, wal_bytes // page)
        self._alarm = alarm_bytes // page
        self._due = self._most
        self._pages = 0
        self._alarmed = False
        self._shortening: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._late = 0
        self._almost_copied = asyncio.Event()
        db.set_wal_hook(self._grown)

    def stop(self) -> None:
        """Shorten no more; a checkpoint under way ends by itself."""
        for task in (self._shortening, self._waiting):
            if task is not None:
                task.cancel()

    def _grown(self, db: apsw.Connection, name: str, pages: int) -> int:
        if pages < self._pages:  # It was copied whole, and writing began again at its start.
            self._due, self._alarmed = self._most, False
        self._pages = pages
        if pages >= self._alarm and not self._alarmed:
            self._alarmed = True
            _journal.critical("the catalog's WAL has %d pages: some reader holds it", pages)
        loop = asyncio.get_running_loop()
        if self._shortening is None:
            if pages >= self._due:
                self._late = pages + self._most
                self._almost_copied.clear()
                self._shortening = loop.create_task(self._shorten())
        elif pages >= self._late and self._waiting is None:
            self._waiting = loop.create_task(self._hold_groups())
        return apsw.SQLITE_OK

    async def _shorten(self) -> None:
        try:
            for _ in range(_MOST_PASSES):
                _, copied = await asyncio.to_thread(checkpoint, self._path)
                if self._pages - copied <= _LEFT_PAGES:
                    break
            self._almost_copied.set()
            await self._between_groups(self._copy_the_rest)
        except apsw.Error as error:
            _journal.error("a checkpoint of the catalog failed: %s", error)
        finally:
            self._almost_copied.set()
            self._due = max(self._due, self._pages + self._most // 4)
            self._shortening = None

    async def _hold_groups(self) -> None:
        try:
            await self._between_groups(self._almost_copied.wait)
        finally:
            self._waiting = None

    async def _copy_the_rest(self) -> None:
        try:
            await asyncio.to_thread(checkpoint, self._path, restart=True)
        except apsw.BusyError:
            _journal.info("the catalog's WAL goes on: a reader holds its beginning")
        except apsw.Error as error:
            _journal.error("a checkpoint of the catalog failed: %s", error)
