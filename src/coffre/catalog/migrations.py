"""What each version of the schema adds to the one before it.

A migration is a list of SQL statements that give equal rows on equal rows, whatever the machine: no
clock, no randomness, nothing that depends on the order in which SQLite visits rows. It is a record
of the log (version before and after, SHA-256 of its statements), so a rebuild that meets the record
runs the same statements in the same place. What was released never changes: a later need is a later
migration. Columns are only appended, with a default; tables follow the rules of `schema`.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

FIRST_VERSION = 1


class Migration(Struct, frozen=True):
    """From `version` - 1 to `version`; `tables` are the logged tables that it makes."""

    version: int
    statements: tuple[str, ...]
    tables: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the statements, as the log's record names them."""
        return hashlib.sha256("\0".join(self.statements).encode()).digest()


MIGRATIONS: tuple[Migration, ...] = ()

SCHEMA_VERSION = FIRST_VERSION + len(MIGRATIONS)
