"""Steps of metering: requests counted, periods closed and forgotten, prices."""

from __future__ import annotations

from typing import Any, Final

import apsw

from coffre.catalog.metering import bring_to, count_requests, metered_ms
from coffre.catalog.mutations import Done, Reaped, Refusal
from coffre.catalog.stamp import Stamp
from coffre.catalog.usage_mutations import CloseUsage, CountRequests, PruneUsage, SetPrices
from coffre.catalog.usage_records import HOUR, MONTH, SAMPLE

ROWS_A_GROUP: Final = 500
_DUE: Final = (
    "SELECT scope_id, storage_class FROM usage_meters INDEXED BY usage_meters_due"
    " WHERE due_ms <= ? ORDER BY due_ms, scope_id, storage_class LIMIT ?"
)
_CLOSE: Final = (
    "INSERT INTO usage_clock (id, closed_ms) VALUES (0, ?)"
    " ON CONFLICT (id) DO UPDATE SET closed_ms = excluded.closed_ms"
)
_BUCKET: Final = "SELECT 1 FROM buckets WHERE id = ? AND store_id = ?"
_STORE: Final = "SELECT 1 FROM stores WHERE id = ?"
_FORGET: Final = (
    "DELETE FROM {table} WHERE scope_id = ?1 AND storage_class = ?2 AND at_ms < ?3 AND at_ms <="
    " (SELECT max(at_ms) FROM (SELECT at_ms FROM {table} WHERE scope_id = ?1"
    " AND storage_class = ?2 ORDER BY at_ms LIMIT ?4))"
)
_FORGET_SAMPLES: Final = _FORGET.format(table=SAMPLE.table)
_FORGET_HOURS: Final = _FORGET.format(table=HOUR.table)
_PUT_PRICE: Final = (
    "INSERT INTO usage_prices (zone, kind, month_ms, price) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (zone, kind, month_ms) DO UPDATE SET price = excluded.price"
)
_DROP_PRICE: Final = "DELETE FROM usage_prices WHERE zone = ? AND kind = ? AND month_ms = ?"
_IN_FORCE: Final = (
    "SELECT 1 FROM usage_prices WHERE zone = ? AND kind = ? AND month_ms <= ? LIMIT 1"
)
_NOTE_BUCKET: Final = (
    "INSERT INTO usage_scopes (id, store_id, tenant_id, store, bucket, gone_ms)"
    " SELECT b.id, s.id, s.tenant_id, s.name, b.name, ?2 FROM buckets b"
    " JOIN stores s ON s.id = b.store_id WHERE b.id = ?1"
)
_NOTE_STORE: Final = (
    "INSERT INTO usage_scopes (id, store_id, tenant_id, store, bucket, gone_ms)"
    " SELECT id, id, tenant_id, name, '', ?2 FROM stores WHERE id = ?1"
)


def note_gone_bucket(db: apsw.Connection, bucket_id: bytes, now_ms: int) -> None:
    """Before a bucket's row goes: whose usage it was stays known."""
    db.execute(_NOTE_BUCKET, (bucket_id, now_ms))


def note_gone_store(db: apsw.Connection, store_id: bytes, now_ms: int) -> None:
    """Before a store's row goes."""
    db.execute(_NOTE_STORE, (store_id, now_ms))


def count(db: apsw.Connection, mutation: CountRequests, stamp: Stamp) -> Done:
    at_ms = metered_ms(db, stamp.trusted_ms)
    for one in mutation.counted:
        scope_id = one.bucket_id
        if db.execute(_BUCKET, (scope_id, one.store_id)).get is None:
            scope_id = one.store_id
            if db.execute(_STORE, (scope_id,)).get is None:
                continue
        count_requests(db, scope_id, one.flow, at_ms)
    return Done()


def close_usage(db: apsw.Connection, mutation: CloseUsage, stamp: Stamp) -> Reaped:
    at_ms = metered_ms(db, stamp.trusted_ms)
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    due: list[Any] = db.execute(_DUE, (at_ms, limit)).fetchall()
    for counted in due:
        bring_to(db, counted, at_ms)
    if len(due) == limit:
        return Reaped(limit, True)
    db.execute(_CLOSE, (SAMPLE.start(at_ms),))
    return Reaped(len(due), False)


def prune_usage(db: apsw.Connection, mutation: PruneUsage, stamp: Stamp) -> Reaped:
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    counted, rows, more = (mutation.scope_id, mutation.storage_class), 0, False
    for statement, before_ms in (
        (_FORGET_SAMPLES, mutation.samples_ms),
        (_FORGET_HOURS, mutation.hours_ms),
    ):
        db.execute(statement, (*counted, before_ms, limit))
        rows += db.changes()
        more = more or db.changes() == limit
    return Reaped(rows, more)


def set_prices(db: apsw.Connection, mutation: SetPrices, stamp: Stamp) -> Done:
    """A month that is over keeps the prices that it has: its bills were made with them."""
    this_month_ms = MONTH.start(metered_ms(db, stamp.trusted_ms))
    for one in mutation.prices:
        key = (one.zone, one.kind, one.month_ms)
        if one.month_ms < this_month_ms and db.execute(_IN_FORCE, key).get is not None:
            raise Refusal("PriceInForce", f"{one.kind} has a price in a month that is over")
        if one.price:
            db.execute(_PUT_PRICE, (*key, one.price))
        else:
            db.execute(_DROP_PRICE, key)
    return Done()
