"""Rolling the log forward into SQLite: one record, one transaction step, no guessing.

A changeset loses data silently unless everything it assumes is checked: that it follows what the
rows already hold, that the schema is the one it was taken from, that every table is known, that no
change conflicts and that none is missing. `replay` stops at the first of these that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from coffre.catalog.log import Position, Record, RecordKind, RecordTooNew, decode_migrated
from coffre.catalog.migrations import SCHEMA_VERSION, migration_to
from coffre.catalog.schema import (
    LOGGED_TABLES,
    LogPosition,
    column_counts,
    logged_tables,
    migrate_rows,
    read_position,
    schema_version,
    write_position,
)

_WITHOUT_ROWS = frozenset((RecordKind.MEMBERSHIP, RecordKind.AUDIT, RecordKind.VOID))


class ReplayStopped(Exception):
    """A record does not fit the rows: they are not what the log says they should be."""


@contextmanager
def immediate(db: apsw.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT; ROLLBACK when anything is raised."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise


def roll_back(db: apsw.Connection) -> None:
    """ROLLBACK, unless SQLite already did so by itself (as it does on some I/O errors)."""
    if db.in_transaction:
        db.execute("ROLLBACK")


def taking_changeset(db: apsw.Connection) -> apsw.Session:
    """A session over all logged tables; its changeset is net of savepoints rolled back."""
    session = apsw.Session(db, "main")
    for table in LOGGED_TABLES:
        session.attach(table)
    return session


def count_changes(changeset: bytes) -> int:
    return sum(1 for _ in apsw.Changeset.iter(changeset))


def replay(db: apsw.Connection, record: Record, position: Position, *, last_order: int = 0) -> None:
    """Apply one record inside the caller's transaction.

    Raises ReplayStopped; RecordTooNew for one that a newer Coffre wrote.

    `last_order`: the highest order known to be stamped by now.
    """
    here = read_position(db)
    if (record.sequence, record.previous) != (here.sequence + 1, here.hash):
        raise ReplayStopped(
            f"record {record.sequence} does not follow record {here.sequence} in the rows"
        )
    if record.kind == RecordKind.CHANGESET:
        _apply_changeset(db, record)
    elif record.kind == RecordKind.MIGRATE:
        _migrate(db, record)
    elif record.kind not in _WITHOUT_ROWS:
        raise ReplayStopped(f"record {record.sequence} is of kind {record.kind!r}: not known here")
    last_order = max(last_order, here.last_order)
    write_position(db, LogPosition(record.epoch, position.sequence, position.hash, last_order))


def _apply_changeset(db: apsw.Connection, record: Record) -> None:
    number = record.sequence
    _check_schema(db, record)
    if dict(record.columns) != column_counts(db):
        raise ReplayStopped(f"record {number} knows other tables or columns than the rows have")
    if count_changes(record.body) != record.changes:
        raise ReplayStopped(f"record {number} lacks some of its {record.changes} changes")
    apply_changeset(db, record.body, f"record {number}")


def _migrate(db: apsw.Connection, record: Record) -> None:
    """Run the statements that the record names, if they are the very ones that ran then."""
    _check_schema(db, record)
    migrated = decode_migrated(record.body)
    if migrated.after > SCHEMA_VERSION:
        raise RecordTooNew(f"record {record.sequence} migrates to schema {migrated.after}")
    migration = migration_to(migrated.after)
    known = (migration.version - 1, migration.digest.hex()) if migration else None
    if migration is None or known != (migrated.before, migrated.statements):
        raise ReplayStopped(
            f"record {record.sequence} migrates to schema {migrated.after} in a way not known here"
        )
    migrate_rows(db, migration)


def _check_schema(db: apsw.Connection, record: Record) -> None:
    version = schema_version(db)
    if record.schema_version > SCHEMA_VERSION:
        raise RecordTooNew(f"record {record.sequence} has schema {record.schema_version}")
    if record.schema_version != version:
        raise ReplayStopped(
            f"record {record.sequence} has schema {record.schema_version}, the rows have {version}"
        )


def apply_changeset(db: apsw.Connection, changeset: bytes, name: str) -> None:
    """All of a changeset or ReplayStopped: an unknown table or any conflict stops it."""
    tables = logged_tables(schema_version(db))
    unknown: list[str] = []

    def known(table: str) -> bool:
        if table in tables:
            return True
        unknown.append(table)
        return False

    try:
        apsw.Changeset.apply(changeset, db, filter=known)
    except apsw.AbortError as error:
        raise ReplayStopped(f"{name} conflicts with the rows") from error
    if unknown:
        raise ReplayStopped(f"{name} changes unknown tables: {', '.join(unknown)}")
