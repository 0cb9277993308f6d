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


# Collection. Which blobs have rows in a striped chunk; what a landing chunk holds its own records
# say. `last_sequence` is the last record in a closed landing chunk (0: not known). `listed` says
# that `striped_blobs` names all of a striped chunk: of older ones it does not.
_COLLECTION = Migration(
    2,
    (
        """CREATE TABLE striped_blobs (
            chunk_id BLOB NOT NULL,
            manifest_id BLOB NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (chunk_id, manifest_id, number)
        ) STRICT, WITHOUT ROWID""",
        "ALTER TABLE chunks ADD COLUMN last_sequence INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE chunks ADD COLUMN listed INTEGER NOT NULL DEFAULT 0",
    ),
    ("striped_blobs",),
)

MIGRATIONS: tuple[Migration, ...] = (_COLLECTION,)

SCHEMA_VERSION = FIRST_VERSION + len(MIGRATIONS)


def migration_to(version: int) -> Migration | None:
    """The migration that leads to a version; None for one that is not known, or the first."""
    return next((one for one in MIGRATIONS if one.version == version), None)
