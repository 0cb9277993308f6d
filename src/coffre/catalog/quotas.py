"""Quotas of stores and buckets: what a write may add, decided in the transaction that writes.

Only buckets that are bounded are asked about (`BOUNDED`): others pay nothing.
"""

from __future__ import annotations

from typing import Final

import apsw
from msgspec.msgpack import Decoder

from coffre.catalog.mutations import Refusal
from coffre.catalog.packing import unpack_store_settings
from coffre.catalog.records import Quota, Trait
from coffre.catalog.tally import Tally

BOUNDED: Final = Trait.LIMITED | Trait.CAPPED
QUOTA: Final = "quota"
"""The document of a bucket that has a quota of its own: a packed `Quota`."""
_STORE: Final = (
    "SELECT s.id, s.settings FROM buckets b JOIN stores s ON s.id = b.store_id WHERE b.id = ?"
)
_DOCUMENT: Final = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
unpack_quota = Decoder(Quota).decode


def check_quota(
    db: apsw.Connection, tally: Tally, bucket_id: bytes, traits: int, objects: int, size: int
) -> None:
    """Refused: QuotaExceeded, where a store or a bucket would hold more than its quota, parts of
    unfinished uploads counted. What shrinks, or does not grow, is never refused: what is over its
    quota can be tidied."""
    if traits & Trait.CAPPED:
        packed = db.execute(_DOCUMENT, (bucket_id, QUOTA)).get
        if packed is not None:
            _check("bucket", unpack_quota(packed), tally.held(db, bucket_id), (objects, size))
    if traits & Trait.LIMITED:
        row = db.execute(_STORE, (bucket_id,)).get
        if row is not None:
            quota = unpack_store_settings(row[1]).quota
            _check("store", quota, tally.store(db, row[0], bucket_id), (objects, size))


def _check(whose: str, quota: Quota, held: tuple[int, int], added: tuple[int, int]) -> None:
    limits = (quota.hard_objects, quota.hard_bytes)
    for what, limit, stands, more in zip(("objects", "bytes"), limits, held, added, strict=True):
        if limit is not None and more > 0 and stands + more > limit:
            raise Refusal("QuotaExceeded", f"The quota of the {whose} is {limit} {what}")
