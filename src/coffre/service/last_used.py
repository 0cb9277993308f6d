"""When each access key was last used: remembered for the operator, outside of the log.

A worker notes it in memory and writes it to `local.db` every half a minute, from a thread of its
own: no request waits for it, and no group of the committer carries it. It may be lost without harm.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apsw

log = logging.getLogger("coffre.keys")

EVERY_S: Final = 30.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS used_keys (access_key TEXT NOT NULL PRIMARY KEY,"
    " at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID"
)
_NOTE: Final = (
    "INSERT INTO used_keys (access_key, at_ms) VALUES (?, ?)"
    " ON CONFLICT DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)"
)


class LastUsed:
    """The uses that one process saw. `run` writes them down until it is cancelled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh: dict[str, int] = {}

    def note(self, access_key: str, at_ms: int) -> None:
        self._fresh[access_key] = at_ms

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write down what was noted since. What cannot be written is let go."""
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        try:
            await asyncio.to_thread(_write, self._path, fresh)
        except (OSError, apsw.Error) as error:
            log.warning("when keys were last used is not written: %s", error)


def last_used(path: Path, access_keys: Sequence[str]) -> Mapping[str, int]:
    """When each was last used (ms since 1970), of those that were."""
    try:
        with closing(_opened(path)) as db:
            rows: list[Any] = [
                row
                for key in access_keys
                for row in db.execute(
                    "SELECT access_key, at_ms FROM used_keys WHERE access_key = ?", (key,)
                ).fetchall()
            ]
    except (OSError, apsw.Error) as error:
        log.warning("when keys were last used is not known: %s", error)
        return {}
    return dict(rows)


def _write(path: Path, used: Mapping[str, int]) -> None:
    with closing(_opened(path)) as db, db:
        db.executemany(_NOTE, list(used.items()))


def _opened(path: Path) -> apsw.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(2000)
        db.pragma("synchronous", "normal")
        db.execute(_TABLE).fetchall()
    except BaseException:
        db.close()
        raise
    return db
