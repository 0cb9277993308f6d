"""DATA/console.db: what the console process remembers, outside of the log.

It may be lost without harm: people sign in again. A file that SQLite cannot read is made again.
Answers that hold secrets are sealed by a key that the root key gives (AES-256-GCM).
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any, Final

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coffre.console.kept import Kept, Kind
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.keys import KEY_ID_BYTES, RootKeys, UnknownRootKey, WrongKey

log = logging.getLogger("coffre.console")

_VERSION: Final = 1
_TABLE: Final = (
    "CREATE TABLE kept (kind TEXT NOT NULL, key BLOB NOT NULL, owner BLOB NOT NULL,"
    " expires_ms INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key))"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX kept_by_owner ON kept (kind, owner)",
    "CREATE INDEX kept_by_end ON kept (expires_ms)",
)
_NONCE_BYTES: Final = 12
# Expired rows go while others are written, a few at a time.
_FORGET: Final = (
    "DELETE FROM kept WHERE (kind, key) IN"
    " (SELECT kind, key FROM kept WHERE expires_ms <= ? ORDER BY expires_ms LIMIT 32)"
)


class ConsoleMemory:
    """`coffre.console.kept.Memory` in a file, or, for ":memory:", in this process."""

    def __init__(self, path: str, clock: Clock) -> None:
        """Open the file, made (mode 0600) if it is missing. Raises OSError, apsw.Error."""
        self._clock = clock
        if path != ":memory:":
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self._db = _opened(path)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            log.warning("%s is damaged (%s) and is made anew", path, error)
            for end in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{path}{end}").unlink()
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = _opened(path)

    def close(self) -> None:
        self._db.close()

    def put(self, kind: Kind, kept: Kept) -> None:
        """See `Memory`."""
        self._write("INSERT OR REPLACE", kind, kept)

    def add(self, kind: Kind, kept: Kept) -> bool:
        """See `Memory`."""
        return self._write("INSERT OR IGNORE", kind, kept)

    def get(self, kind: Kind, key: bytes) -> Kept | None:
        """See `Memory`."""
        row = self._db.execute(
            "SELECT key, owner, expires_ms, value FROM kept"
            " WHERE kind = ? AND key = ? AND expires_ms > ?",
            (kind, key, self._clock.now_ms()),
        ).fetchone()
        return None if row is None else Kept(*row)

    def owned(self, kind: Kind, owner: bytes) -> list[Kept]:
        """See `Memory`."""
        rows: list[Any] = self._db.execute(
            "SELECT key, owner, expires_ms, value FROM kept"
            " WHERE kind = ? AND owner = ? AND expires_ms > ? ORDER BY key",
            (kind, owner, self._clock.now_ms()),
        ).fetchall()
        return [Kept(*row) for row in rows]

    def drop(self, kind: Kind, key: bytes) -> None:
        """See `Memory`."""
        self._db.execute("DELETE FROM kept WHERE kind = ? AND key = ?", (kind, key)).fetchall()

    def drop_owned(self, kind: Kind, owner: bytes, *, but: bytes = b"") -> int:
        """See `Memory`."""
        self._db.execute(
            "DELETE FROM kept WHERE kind = ? AND owner = ? AND key <> ?", (kind, owner, but)
        ).fetchall()
        return self._db.changes()

    def _write(self, verb: str, kind: Kind, kept: Kept) -> bool:
        now_ms = self._clock.now_ms()
        with self._db:
            self._db.execute(_FORGET, (now_ms,)).fetchall()
            self._db.execute(
                "DELETE FROM kept WHERE kind = ? AND key = ? AND expires_ms <= ?",
                (kind, kept.key, now_ms),
            ).fetchall()
            self._db.execute(
                verb + " INTO kept (kind, key, owner, expires_ms, value) VALUES (?, ?, ?, ?, ?)",
                (kind, kept.key, kept.owner, kept.expires_ms, kept.value),
            ).fetchall()
        return self._db.changes() > 0


class RootSealer:
    """`coffre.console.kept.Sealer` by a zone's root keys."""

    def __init__(self, root_keys: RootKeys, entropy: Entropy) -> None:
        self._root_keys = root_keys
        self._entropy = entropy

    def seal(self, value: bytes) -> bytes:
        """See `Sealer`."""
        root = self._root_keys.current
        nonce = self._entropy.bytes(_NONCE_BYTES)
        cipher = AESGCM(root.derive("console memory"))
        return root.id + nonce + cipher.encrypt(nonce, value, None)

    def open(self, sealed: bytes) -> bytes | None:
        """See `Sealer`."""
        head = KEY_ID_BYTES + _NONCE_BYTES
        try:
            root = self._root_keys.by_id(sealed[:KEY_ID_BYTES])
            cipher = AESGCM(root.derive("console memory"))
            return cipher.decrypt(sealed[KEY_ID_BYTES:head], sealed[head:], None)
        except (UnknownRootKey, InvalidTag, ValueError):
            return None

    def unwrap(self, wrapped: bytes, root_key_id: bytes) -> bytes | None:
        """See `Sealer`."""
        try:
            return self._root_keys.by_id(root_key_id).unwrap(wrapped)
        except (UnknownRootKey, WrongKey):
            return None


def _opened(path: str) -> apsw.Connection:
    db = apsw.Connection(path)
    try:
        db.set_busy_timeout(2000)
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "normal")
        if db.pragma("user_version") != _VERSION:
            with db:
                for statement in _TABLE:
                    db.execute(statement).fetchall()
                db.pragma("user_version", _VERSION)
    except BaseException:
        db.close()
        raise
    return db
