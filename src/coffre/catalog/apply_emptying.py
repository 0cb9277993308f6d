"""Buckets that are emptied before they go: a few rows at a time, and what came of it.

The state of the work lies in the bucket's document `empty-bucket`, so that whoever empties it can
be cut anywhere.
"""

from __future__ import annotations

from typing import Any, Final

import apsw
from msgspec.structs import replace

from coffre.catalog.apply_objects import Row, Rules, Slot, bucket_rules
from coffre.catalog.apply_stores import delete_bucket
from coffre.catalog.apply_uploads import abort_upload
from coffre.catalog.ecs_mutations import EmptyBucket
from coffre.catalog.emptying import EMPTY_BUCKET, Emptying, unpack_emptying
from coffre.catalog.mutations import AbortUpload, DeleteBucket, Reaped, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

ROWS_A_GROUP: Final = 200

_ROW: Final = (
    "SELECT sort_key, ord, zone, version_id, latest, is_null, marker, size, etag, manifest_id,"
    " modified_ms, ecs, lock_mode, lock_until_ms, legal_hold, storage_class FROM versions"
    " WHERE bucket_id = ?"
)
_FROM_KEY: Final = _ROW + " AND sort_key > ? ORDER BY sort_key, ord DESC, zone DESC LIMIT ?"
_OLDER: Final = _ROW + (
    " AND sort_key = ? AND (ord, zone) < (?, ?) ORDER BY ord DESC, zone DESC LIMIT ?"
)
_UPLOADS: Final = "SELECT id FROM uploads WHERE bucket_id = ? ORDER BY sort_key, ord LIMIT ?"
_DOCUMENT: Final = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_PUT_DOCUMENT: Final = "UPDATE bucket_documents SET document = ? WHERE bucket_id = ? AND kind = ?"


def empty_bucket(db: apsw.Connection, mutation: EmptyBucket, stamp: Stamp, tally: Tally) -> Reaped:
    bucket_id = mutation.bucket_id
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    try:
        rules = bucket_rules(db, bucket_id)
    except Refusal:
        return Reaped(0, False)
    if not rules.traits & Trait.EMPTYING:
        return Reaped(0, False)
    work = unpack_emptying(db.execute(_DOCUMENT, (bucket_id, EMPTY_BUCKET)).get)
    uploads: list[Any] = db.execute(_UPLOADS, (bucket_id, limit)).fetchall()
    for (upload_id,) in uploads:
        abort_upload(db, AbortUpload(upload_id), stamp, tally)
    left = limit - len(uploads)
    versions = _some_versions(db, bucket_id, work, left)
    for sort_key, *columns in versions:
        work = _delete(db, tally, bucket_id, rules, sort_key, Row(*columns), stamp, work)
    done = len(uploads) + len(versions)
    if done < limit:
        return _finish(db, bucket_id, rules, work, stamp, done)
    work = replace(work, state="IN_PROGRESS", updated_ms=stamp.now_ms)
    db.execute(_PUT_DOCUMENT, (pack(work), bucket_id, EMPTY_BUCKET))
    return Reaped(done, True)


def _some_versions(db: apsw.Connection, bucket_id: bytes, work: Emptying, limit: int) -> list[Any]:
    """Versions behind the last one that had to stay: sort key, then as in `Row`."""
    if work.after is None:
        return db.execute(_FROM_KEY, (bucket_id, b"", limit)).fetchall()
    rows: list[Any] = db.execute(_OLDER, (bucket_id, *work.after, limit)).fetchall()
    if len(rows) < limit:
        rest = limit - len(rows)
        rows += db.execute(_FROM_KEY, (bucket_id, work.after[0], rest)).fetchall()
    return rows


def _delete(
    db: apsw.Connection,
    tally: Tally,
    bucket_id: bytes,
    rules: Rules,
    sort_key: bytes,
    row: Row,
    stamp: Stamp,
    work: Emptying,
) -> Emptying:
    slot = Slot(db, tally, bucket_id, rules, sort_key)
    try:
        slot.guard(row, stamp.trusted_ms)
    except Refusal:
        place = (sort_key, row.order, row.zone)
        return replace(work, retained=work.retained + 1, after=place)
    # The newest goes first: an older one became the latest meanwhile.
    found = slot.newest if slot.newest is not None and slot.newest.order == row.order else row
    slot.remove(found, stamp.trusted_ms)
    return replace(work, deleted=work.deleted + 1)


def _finish(
    db: apsw.Connection, bucket_id: bytes, rules: Rules, work: Emptying, stamp: Stamp, done: int
) -> Reaped:
    if work.retained:
        failed = replace(work, state="FAILED", updated_ms=stamp.now_ms)
        db.execute(_PUT_DOCUMENT, (pack(failed), bucket_id, EMPTY_BUCKET))
        left = rules.traits & ~Trait.EMPTYING
        db.execute("UPDATE buckets SET traits = ? WHERE id = ?", (int(left), bucket_id))
    else:
        delete_bucket(db, DeleteBucket(bucket_id), stamp)
    return Reaped(done, False)
