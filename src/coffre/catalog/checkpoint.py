"""Keeping SQLite's write-ahead log short while groups go on.

SQLite calls back after each COMMIT with the length of its WAL. From `wal_bytes` on, checkpoints run
in a thread on a connection of their own. Each copies what was there when it began; meanwhile groups
write on, so that these alone would never reach the end, and the WAL would never begin again. When
little is left, the committer pauses between two groups for one last checkpoint, and the next group
is written at the WAL's beginning. A reader in the middle of its transaction holds that up: it is
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
Between = Callable[[Callable[[], Awaitable[None]]], Awaitable[Any]]


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
        db.set_wal_hook(self._grown)

    def stop(self) -> None:
        """Shorten no more; a checkpoint under way ends by itself."""
        if self._shortening is not None:
            self._shortening.cancel()

    def _grown(self, db: apsw.Connection, name: str, pages: int) -> int:
        if pages < self._pages:  # It was copied whole, and writing began again at its start.
            self._due, self._alarmed = self._most, False
        self._pages = pages
        if pages >= self._alarm and not self._alarmed:
            self._alarmed = True
            _journal.critical("the catalog's WAL has %d pages: some reader holds it", pages)
        if pages >= self._due and self._shortening is None:
            self._shortening = asyncio.get_running_loop().create_task(self._shorten())
        return apsw.SQLITE_OK

    async def _shorten(self) -> None:
        try:
            for _ in range(_MOST_PASSES):
                _, copied = await asyncio.to_thread(checkpoint, self._path)
                if self._pages - copied <= _LEFT_PAGES:
                    break
            await self._between_groups(self._copy_the_rest)
        except apsw.Error as error:
            _journal.error("a checkpoint of the catalog failed: %s", error)
        finally:
            self._due = self._pages + self._most // 4
            self._shortening = None

    async def _copy_the_rest(self) -> None:
        try:
            await asyncio.to_thread(checkpoint, self._path, restart=True)
        except apsw.BusyError:
            _journal.info("the catalog's WAL goes on: a reader holds its beginning")
        except apsw.Error as error:
            _journal.error("a checkpoint of the catalog failed: %s", error)
