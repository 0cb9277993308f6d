"""Reads of what is metered (part of `reader`)."""

from __future__ import annotations

from typing import Any, Final

import apsw

from coffre.catalog import queries as q
from coffre.catalog.metering import METER_COLUMNS, read_meter
from coffre.catalog.records import Bucket
from coffre.catalog.usage_records import (
    HOUR_MS,
    MONTH,
    Flow,
    Kind,
    Level,
    Meter,
    Price,
    Row,
    Scope,
    Span,
    Usage,
)

# The scopes of a store: its buckets, those that are gone, the store itself; or one of them.
_SCOPES: Final = (
    "WITH scopes (id) AS (SELECT id FROM buckets WHERE store_id = ?1 AND (?2 IS NULL OR id = ?2)"
    " UNION SELECT id FROM usage_scopes WHERE store_id = ?1 AND (?2 IS NULL OR id = ?2)"
    " UNION SELECT ?1 WHERE ?2 IS NULL OR ?2 = ?1)"
)
_ROWS: Final = (
    f"{_SCOPES} SELECT r.* FROM scopes s CROSS JOIN {{table}} r ON r.scope_id = s.id"  # noqa: S608
    " WHERE r.at_ms >= ?3 AND r.at_ms < ?4 ORDER BY r.scope_id, r.storage_class, r.at_ms"
)
# SQLite takes the other columns from the row that has the least.
_BEHIND: Final = (
    f"{_SCOPES} SELECT r.*, min(r.at_ms) FROM scopes s CROSS JOIN {{table}} r ON r.scope_id = s.id"  # noqa: S608
    " WHERE r.at_ms >= ?3 GROUP BY r.scope_id, r.storage_class"
)
_METERS: Final = (
    f"{_SCOPES} SELECT {METER_COLUMNS} FROM scopes s CROSS JOIN usage_meters m"  # noqa: S608
    " ON m.scope_id = s.id"
)
# Byte-hours in two parts: those of a whole month of many buckets do not fit an integer of SQLite.
_MONTH: Final = (
    f"{_SCOPES} SELECT r.storage_class, sum(r.byte_hours >> 20), sum(r.byte_hours & 1048575),"  # noqa: S608
    " sum(r.rest), sum(r.created), sum(r.deleted), sum(r.reads), sum(r.writes), sum(r.lists),"
    " sum(r.deletes), sum(r.bytes_in), sum(r.bytes_out)"
    " FROM scopes s CROSS JOIN usage_months r ON r.scope_id = s.id"
    " WHERE r.at_ms = ?3 GROUP BY r.storage_class"
)
_BEHIND_MONTH: Final = _BEHIND.format(table=MONTH.table) + " HAVING min(r.at_ms) > ?3"
_METERS_OF_MONTH: Final = _METERS + (  # noqa: S608
    " WHERE NOT EXISTS (SELECT 1 FROM usage_months r WHERE r.scope_id = m.scope_id"
    " AND r.storage_class = m.storage_class AND r.at_ms >= ?3)"
)
_OF_SCOPE: Final = f"SELECT {METER_COLUMNS} FROM usage_meters WHERE scope_id = ?"  # noqa: S608
_OPEN: Final = (
    "SELECT coalesce(sum(m.part_bytes), 0) FROM buckets b"
    " CROSS JOIN usage_meters m ON m.scope_id = b.id WHERE b.store_id = ?"
)
_CLOSED: Final = "SELECT closed_ms FROM usage_clock WHERE id = 0"
_DUE: Final = (
    "SELECT due_ms FROM usage_meters INDEXED BY usage_meters_due WHERE due_ms IS NOT NULL"
    " ORDER BY due_ms LIMIT 1"
)
_ANY: Final = "SELECT 1 FROM usage_meters LIMIT 1"
_OLD: Final = (
    "SELECT scope_id, storage_class FROM {table} WHERE (scope_id, storage_class) > (?, ?)"
    " ORDER BY scope_id, storage_class LIMIT 1"
)
_FIRST: Final = (
    "SELECT min(coalesce((SELECT min(at_ms) FROM usage_months), ?1),"
    " coalesce((SELECT min(since_ms) FROM usage_meters), ?1))"
)
_GONE: Final = (
    "SELECT id, store_id, tenant_id, store, bucket, gone_ms FROM usage_scopes"
    " WHERE ?1 IS NULL OR store_id = ?1 ORDER BY id"
)
_PRICES: Final = (
    "SELECT zone, kind, month_ms, price FROM usage_prices ORDER BY zone, kind, month_ms"
)


class UsageReads:
    """The reads of `catalog.interface.Reader` that are about usage."""

    _db: apsw.Connection

    def usage(
        self, kind: Kind, store_id: bytes, scope_id: bytes | None, since_ms: int, until_ms: int
    ) -> Usage:
        about = (store_id, scope_id)
        with self._db:
            rows = self._db.execute(_ROWS.format(table=kind.table), (*about, since_ms, until_ms))
            kept = [_row(row) for row in rows]
            rows = self._db.execute(_BEHIND.format(table=kind.table), (*about, until_ms))
            behind = [_row(row[:-1]) for row in rows]
            meters = [read_meter(row) for row in self._db.execute(_METERS, about) if row[8]]
            closed_ms = self.usage_closed_ms()
        return Usage(closed_ms, kept, behind, meters)

    def month_usage(
        self, store_id: bytes, scope_id: bytes | None, month_ms: int
    ) -> tuple[dict[str, tuple[int, Flow]], Usage]:
        about = (store_id, scope_id, month_ms)
        with self._db:
            kept = {
                row[0]: (((row[1] << 20) + row[2]) * HOUR_MS + row[3], Flow(*row[4:]))
                for row in self._db.execute(_MONTH, about)
            }
            behind = [_row(row[:-1]) for row in self._db.execute(_BEHIND_MONTH, about)]
            rows = self._db.execute(_METERS_OF_MONTH, about)
            meters = [read_meter(row) for row in rows if row[8]]
            closed_ms = self.usage_closed_ms()
        return kept, Usage(closed_ms, [], behind, meters)

    def meters_of(self, scope_id: bytes) -> list[Meter]:
        return [read_meter(row) for row in self._db.execute(_OF_SCOPE, (scope_id,))]

    def open_bytes(self, store_id: bytes) -> int:
        found: int = self._db.execute(_OPEN, (store_id,)).get
        return found

    def usage_closed_ms(self) -> int:
        found: int | None = self._db.execute(_CLOSED).get
        return found or 0

    def usage_due_ms(self) -> int | None:
        found: int | None = self._db.execute(_DUE).get
        return found

    def has_meters(self) -> bool:
        return self._db.execute(_ANY).get is not None

    def first_usage_ms(self, now_ms: int) -> int:
        found: int = self._db.execute(_FIRST, (now_ms,)).get
        return found

    def metered_after(self, kind: Kind, after: tuple[bytes, str]) -> tuple[bytes, str] | None:
        found: tuple[bytes, str] | None = self._db.execute(
            _OLD.format(table=kind.table), after
        ).fetchone()
        return found

    def gone_scopes(self, store_id: bytes | None) -> list[Scope]:
        return [Scope(*row) for row in self._db.execute(_GONE, (store_id,))]

    def capped_buckets(self) -> list[Bucket]:
        return [Bucket(*row) for row in self._db.execute(q.BUCKETS_CAPPED)]

    def prices(self) -> list[Price]:
        return [Price(*row) for row in self._db.execute(_PRICES)]


def _row(row: Any) -> Row:
    span = Span(row[2], Level(*row[3:8]), row[8], row[9], Flow(*row[10:18]))
    return Row(row[0], row[1], span)
