"""The search index of buckets that have one, kept in the transaction that writes a version."""

from __future__ import annotations

import apsw

from coffre.catalog.ecs_mutations import RemoveSearch
from coffre.catalog.key_order import decode_key
from coffre.catalog.mutations import ObjectFacts, Reaped
from coffre.catalog.packing import unpack_search_keys
from coffre.catalog.records import KeyOrder, SearchKey, Trait
from coffre.catalog.search_values import SEARCH_KEYS, values_of
from coffre.catalog.stamp import Stamp

ROWS_A_GROUP = 500

_KEYS = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_INSERT = (
    "INSERT INTO search_values (bucket_id, sort_key, ord, zone, number, latest, value)"
    " VALUES (?, ?, ?, ?, ?, 1, ?)"
)
_DELETE = "DELETE FROM search_values WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
_SET_LATEST = (
    "UPDATE search_values SET latest = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SOME = (
    "SELECT sort_key, ord, zone, number FROM search_values WHERE bucket_id = ?"
    " ORDER BY sort_key, ord, zone, number LIMIT ?"
)
_DELETE_ONE = _DELETE + " AND number = ?"


def search_keys(db: apsw.Connection, bucket_id: bytes) -> tuple[SearchKey, ...]:
    """What the bucket indexes."""
    packed = db.execute(_KEYS, (bucket_id, SEARCH_KEYS)).get
    return () if packed is None else unpack_search_keys(packed)


def index_version(
    db: apsw.Connection,
    bucket_id: bytes,
    order: KeyOrder,
    sort_key: bytes,
    stamp: Stamp,
    facts: ObjectFacts,
    size: int,
) -> None:
    """The new current version can be found by its metadata."""
    created_ms = 0 if facts.ecs is None else facts.ecs.created_ms
    values = values_of(
        search_keys(db, bucket_id),
        key=decode_key(order, sort_key),
        owner_id=facts.owner_id,
        size=size,
        created_ms=created_ms or stamp.now_ms,
        modified_ms=stamp.now_ms,
        metadata=facts.metadata,
    )
    place = (bucket_id, sort_key, stamp.order, stamp.zone)
    for number, value in enumerate(values):
        db.execute(_INSERT, (*place, number, value))


def drop_version(db: apsw.Connection, place: tuple[bytes, bytes, int, int]) -> None:
    """A version that is gone (bucket, sort key, order, zone) is found no more."""
    db.execute(_DELETE, place)


def set_latest(db: apsw.Connection, latest: int, place: tuple[bytes, bytes, int, int]) -> None:
    """A version became, or is no more, the current one."""
    db.execute(_SET_LATEST, (latest, *place))


def remove_search(db: apsw.Connection, mutation: RemoveSearch, stamp: Stamp) -> Reaped:
    """Some values of a bucket that is not searched any more; its trait goes with the last."""
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    bucket_id = mutation.bucket_id
    traits = db.execute("SELECT traits FROM buckets WHERE id = ?", (bucket_id,)).get or 0
    if not traits & Trait.UNINDEXING:
        return Reaped(0, False)
    rows = db.execute(_SOME, (bucket_id, limit)).fetchall()
    for row in rows:
        db.execute(_DELETE_ONE, (bucket_id, *row))
    if len(rows) < limit:
        left = traits & ~Trait.UNINDEXING
        db.execute("UPDATE buckets SET traits = ? WHERE id = ?", (int(left), bucket_id))
    return Reaped(len(rows), len(rows) == limit)
