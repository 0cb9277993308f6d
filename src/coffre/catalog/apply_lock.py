"""Steps of Object Lock: a bucket gets it, a version is retained or held.

None of them makes a version or touches its Last-Modified.
"""

from __future__ import annotations

from typing import Final

import apsw

from coffre.catalog import judging, lock_guard
from coffre.catalog.apply_objects import Row, Slot, bucket_rules
from coffre.catalog.key_order import encode_key
from coffre.catalog.lock_guard import OBJECT_LOCK
from coffre.catalog.lock_mutations import PutLegalHold, PutObjectLock, PutRetention
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

_PUT_DEFAULT: Final = (
    "INSERT INTO bucket_documents (bucket_id, kind, document) VALUES (?, ?, ?)"
    " ON CONFLICT (bucket_id, kind) DO UPDATE SET document = excluded.document"
)
_DROP_DEFAULT: Final = "DELETE FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_SET_TRAITS: Final = "UPDATE buckets SET traits = ? WHERE id = ?"
_SET_RETENTION: Final = (
    "UPDATE versions SET lock_mode = ?, lock_until_ms = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_HOLD: Final = (
    "UPDATE versions SET legal_hold = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)


def put_object_lock(db: apsw.Connection, mutation: PutObjectLock, stamp: Stamp) -> Done:
    bucket_id = mutation.bucket_id
    rules = bucket_rules(db, bucket_id)
    if not rules.traits & Trait.OBJECT_LOCK:
        if rules.traits & Trait.ECS:
            raise Refusal(
                "InvalidBucketState",
                "Object Lock configuration cannot be enabled on existing buckets",
            )
        if rules.versioning != "enabled":
            raise Refusal(
                "InvalidBucketState",
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            )
        traits = rules.traits | Trait.OBJECT_LOCK
        lock_guard.check_traits(traits)
        db.execute(_SET_TRAITS, (int(traits), bucket_id))
    if mutation.default is None:
        db.execute(_DROP_DEFAULT, (bucket_id, OBJECT_LOCK))
    else:
        db.execute(_PUT_DEFAULT, (bucket_id, OBJECT_LOCK, pack(mutation.default)))
    return Done()


def put_retention(db: apsw.Connection, mutation: PutRetention, stamp: Stamp, tally: Tally) -> Done:
    slot, row = _find(db, tally, mutation)
    wanted = mutation.retention
    lock_guard.check_change(row, wanted, stamp.trusted_ms, bypass=mutation.bypass)
    values = (None, None) if wanted is None else (wanted.mode, wanted.until_ms)
    _set(db, slot, row, _SET_RETENTION, values)
    return Done()


def put_legal_hold(db: apsw.Connection, mutation: PutLegalHold, stamp: Stamp, tally: Tally) -> Done:
    slot, row = _find(db, tally, mutation)
    _set(db, slot, row, _SET_HOLD, (int(mutation.held),))
    return Done()


def _find(
    db: apsw.Connection, tally: Tally, mutation: PutRetention | PutLegalHold
) -> tuple[Slot, Row]:
    """Refused: NoSuchBucket, InvalidRequest, NoSuchKey, OperationAborted."""
    rules = bucket_rules(db, mutation.bucket_id)
    lock_guard.require_lock(rules)
    slot = Slot(db, tally, mutation.bucket_id, rules, encode_key(rules.key_order, mutation.key))
    row = slot.version(mutation.version_id)
    if row is None or row.marker:
        raise Refusal("NoSuchKey")
    if row.order != mutation.order:
        raise Refusal("OperationAborted")
    return slot, row


def _set(
    db: apsw.Connection, slot: Slot, row: Row, statement: str, values: tuple[object, ...]
) -> None:
    place = (slot.sort_key, row.order, row.zone)
    db.execute(statement, (*values, slot.bucket_id, *place))
    if slot.rules.traits & Trait.LIFECYCLE:
        # A lifecycle that had to wait for the lock does not ask again by itself.
        judging.judge_version(db, slot.bucket_id, slot.rules.key_order, place)
