"""Comparing two catalogs that are at the same record, a piece at a time.

A pass goes through every logged table in the order of its key. Each piece is compared at whichever
record both are at by then; what changes behind it is seen by the next pass.
"""

from __future__ import annotations

from typing import Any

import apsw
from msgspec import Struct

from coffre.catalog.schema import logged_tables, schema_version

PIECE_ROWS = 2000
_KEY = (
    "SELECT x.name, x.desc FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x"
    " WHERE l.origin = 'pk' AND x.key ORDER BY x.seqno"
)
# A table that is kept by its one number has no index for its key.
_NUMBER = "SELECT name, 0 FROM pragma_table_info(?) WHERE pk > 0"
_Row = tuple[Any, ...]


class Difference(Struct, frozen=True):
    """Where two catalogs differ: a table, and the key of the first row that is not in both."""

    table: str
    key: str

    def __str__(self) -> str:
        return f"table {self.table}, key {self.key}"


class Comparison:
    """One pass over two catalogs. `over` once all was compared."""

    def __init__(self) -> None:
        self.over = False
        self._table = 0
        self._after: _Row | None = None

    def next(
        self, live: apsw.Connection, other: apsw.Connection, rows: int = PIECE_ROWS
    ) -> tuple[int, Difference | None]:
        """Compare the next piece (about `rows`) inside the caller's read transaction: how many rows
        were looked at, and a difference."""
        version = schema_version(live)
        if schema_version(other) != version:
            return 0, Difference("of all tables", f"schema {version}")
        tables = logged_tables(version)
        piece = _Piece(live, tables[self._table], self._after, rows)
        ours, theirs = piece.rows(live), piece.rows(other)
        difference = None if ours == theirs else piece.difference(live, other)
        self._after = piece.last
        if piece.last is None:
            self._table += 1
            self.over = self._table == len(tables)
        return len(ours), difference


class _Piece:
    """The rows behind `after` up to `last` (None: the table's end), by the first columns of the
    key: those before the first one that falls."""

    def __init__(self, db: apsw.Connection, table: str, after: _Row | None, rows: int) -> None:
        key = db.execute(_KEY, (table,)).fetchall() or db.execute(_NUMBER, (table,)).fetchall()
        falls = [bool(desc) for _, desc in key]
        width = falls.index(True) if True in falls else len(key)
        self._names = ", ".join(str(name) for name, _ in key[:width])
        self._order = ", ".join(f"{name} DESC" if desc else str(name) for name, desc in key)
        self._width = width
        self._table = table
        marks = ", ".join("?" * width)
        self._where = f"({self._names}) > ({marks})" if after else "1"
        self._bindings = after or ()
        self.last: _Row | None = db.execute(
            f"SELECT {self._names} FROM {table} WHERE {self._where}"  # noqa: S608
            f" ORDER BY {self._names} LIMIT 1 OFFSET {rows - 1}",
            self._bindings,
        ).fetchone()
        if self.last is not None:
            self._where += f" AND ({self._names}) <= ({marks})"
            self._bindings += self.last

    def rows(self, db: apsw.Connection, columns: str = "*") -> list[_Row]:
        select = f"SELECT {columns} FROM {self._table} WHERE {self._where} ORDER BY {self._order}"  # noqa: S608
        return db.execute(select, self._bindings).fetchall()

    def difference(self, live: apsw.Connection, other: apsw.Connection) -> Difference:
        columns = f"{self._names}, *"
        odd = set(self.rows(live, columns)) ^ set(self.rows(other, columns))
        key = min(row[: self._width] for row in odd)
        parts = (part.hex() if isinstance(part, bytes) else str(part) for part in key)
        return Difference(self._table, ", ".join(parts))
