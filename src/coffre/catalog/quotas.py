"""Quotas of stores: what a write may add, decided in the transaction that writes.

Only buckets of a store with a hard quota are asked about (`Trait.LIMITED`): others pay nothing.
"""

from __future__ import annotations

import apsw

from coffre.catalog.mutations import Refusal
from coffre.catalog.packing import unpack_store_settings
from coffre.catalog.tally import Tally

_STORE = "SELECT s.id, s.settings FROM buckets b JOIN stores s ON s.id = b.store_id WHERE b.id = ?"


def check_quota(
    db: apsw.Connection, tally: Tally, bucket_id: bytes, objects: int, size: int
) -> None:
    """Refused: QuotaExceeded, where a store would hold more than its quota. What shrinks, or does
    not grow, is never refused: a store over its quota can be tidied."""
    row = db.execute(_STORE, (bucket_id,)).get
    if row is None:
        return
    quota = unpack_store_settings(row[1]).quota
    held_objects, held_bytes = tally.store(db, row[0], bucket_id)
    for what, limit, held, added in (
        ("bytes", quota.hard_bytes, held_bytes, size),
        ("objects", quota.hard_objects, held_objects, objects),
    ):
        if limit is not None and added > 0 and held + added > limit:
            raise Refusal("QuotaExceeded", f"The quota of the store is {limit} {what}")
