"""DATA/local.db: what this node remembers for itself, outside of the log.

Pauses of stewards, how far their passes came, what a scrub or a read found. All of it may be lost
without harm: work begins anew. A file that SQLite cannot read is thrown away and made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import apsw

from coffre.stewards.damage import Finding

log = logging.getLogger("coffre.local")

_VERSION = 1
_KEPT_FINDINGS = 10_000
_TABLES = (
    "CREATE TABLE paused (steward TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
    "CREATE TABLE progress (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE findings (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, found_by TEXT NOT NULL,"
    " drive TEXT NOT NULL, file TEXT NOT NULL, what TEXT NOT NULL) STRICT",
    "CREATE TABLE damaged (chunk BLOB NOT NULL, member INTEGER NOT NULL, drive BLOB NOT NULL,"
    " PRIMARY KEY (chunk, member, drive)) STRICT, WITHOUT ROWID",
)


class LocalStore:
    """The tables of one `local.db`; every call is one short transaction of its own."""

    def __init__(self, path: Path) -> None:
        """Open the file, made (mode 0600) if it is missing. Raises OSError, apsw.Error."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self._db = _opened(path)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            log.warning("%s is damaged (%s) and is made anew", path, error)
            for name in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))):
                with contextlib.suppress(FileNotFoundError):
                    name.unlink()
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = _opened(path)

    def close(self) -> None:
        self._db.close()

    def paused(self) -> frozenset[str]:
        """Names of the stewards that are paused."""
        return frozenset(row[0] for row in self._db.execute("SELECT steward FROM paused"))

    def set_paused(self, name: str, paused: bool) -> None:
        statement = (
            "INSERT OR IGNORE INTO paused (steward) VALUES (?)"
            if paused
            else "DELETE FROM paused WHERE steward = ?"
        )
        self._db.execute(statement, (name,)).fetchall()

    def progress(self, name: str) -> bytes | None:
        """What was last kept under a name."""
        value: bytes | None = self._db.execute(
            "SELECT value FROM progress WHERE name = ?", (name,)
        ).get
        return value

    def set_progress(self, name: str, value: bytes) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO progress (name, value) VALUES (?, ?)", (name, value)
        ).fetchall()

    def damaged(self) -> list[tuple[bytes, int, bytes]]:
        """Members of chunks that are known to be bad: chunk, index, drive."""
        rows: list[Any] = self._db.execute("SELECT chunk, member, drive FROM damaged").fetchall()
        return [(chunk, member, drive) for chunk, member, drive in rows]

    def add_damaged(self, chunk: bytes, index: int, drive: bytes) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO damaged (chunk, member, drive) VALUES (?, ?, ?)",
            (chunk, index, drive),
        ).fetchall()

    def remove_damaged(self, chunk: bytes, index: int, drive: bytes) -> None:
        self._db.execute(
            "DELETE FROM damaged WHERE chunk = ? AND member = ? AND drive = ?",
            (chunk, index, drive),
        ).fetchall()

    def add_finding(self, finding: Finding) -> None:
        """Keep a finding; the oldest go when there are too many."""
        with self._db:
            self._db.execute(
                "INSERT INTO findings (at_ms, found_by, drive, file, what) VALUES (?, ?, ?, ?, ?)",
                (finding.at_ms, finding.found_by, finding.drive, finding.file, finding.what),
            ).fetchall()
            self._db.execute(
                "DELETE FROM findings WHERE id <= (SELECT max(id) FROM findings) - ?",
                (_KEPT_FINDINGS,),
            ).fetchall()

    def findings(self, limit: int) -> list[Finding]:
        """The last findings, the newest first."""
        rows = self._db.execute(
            "SELECT at_ms, found_by, drive, file, what FROM findings ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [Finding(*row) for row in rows]


def _opened(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(2000)
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "normal")
        if db.pragma("user_version") != _VERSION:
            with db:
                for table in _TABLES:
                    db.execute(table).fetchall()
                db.pragma("user_version", _VERSION)
    except BaseException:
        db.close()
        raise
    return db
