"""Rolling the log forward into SQLite: one record, one transaction step, no guessing.

A changeset loses data silently unless everything it assumes is checked: that it follows what the
rows already hold, that the schema is the one it was taken from, that every table is known, that no
change conflicts and that none is missing. `replay` stops at the first of these that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from coffre.catalog.log import Position, Record, RecordKind
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.schema import (
    LOGGED_TABLES,
    LogPosition,
    column_counts,
    read_position,
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
    """Apply one record inside the caller's transaction. Raises ReplayStopped.

    `last_order`: the highest order known to be stamped by now.
    """
    here = read_position(db)
    if (record.sequence, record.previous) != (here.sequence + 1, here.hash):
        raise ReplayStopped(
            f"record {record.sequence} does not follow record {here.sequence} in the rows"
        )
    if record.kind == RecordKind.CHANGESET:
        _apply_changeset(db, record)
    elif record.kind not in _WITHOUT_ROWS:
        raise ReplayStopped(f"record {record.sequence} is of kind {record.kind!r}: not known here")
    last_order = max(last_order, here.last_order)
    write_position(db, LogPosition(record.epoch, position.sequence, position.hash, last_order))


def _apply_changeset(db: apsw.Connection, record: Record) -> None:
    number = record.sequence
    if record.schema_version != SCHEMA_VERSION:
        raise ReplayStopped(f"record {number} has schema version {record.schema_version}")
    if dict(record.columns) != column_counts(db):
        raise ReplayStopped(f"record {number} knows other tables or columns than the rows have")
    if count_changes(record.body) != record.changes:
        raise ReplayStopped(f"record {number} lacks some of its {record.changes} changes")
    apply_changeset(db, record.body, f"record {number}")


def apply_changeset(db: apsw.Connection, changeset: bytes, name: str) -> None:
    """All of a changeset or ReplayStopped: an unknown table or any conflict stops it."""
    unknown: list[str] = []

    def known(table: str) -> bool:
        if table in LOGGED_TABLES:
            return True
        unknown.append(table)
        return False

    try:
        apsw.Changeset.apply(changeset, db, filter=known)
    except apsw.AbortError as error:
        raise ReplayStopped(f"{name} conflicts with the rows") from error
    if unknown:
        raise ReplayStopped(f"{name} changes unknown tables: {', '.join(unknown)}")
