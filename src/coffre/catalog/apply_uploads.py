"""Multipart uploads. Parts stand under the id of the manifest that they will be, so that finishing
an upload moves no row of theirs."""

from __future__ import annotations

import hashlib

import apsw
import msgspec

from coffre.catalog import lock_guard
from coffre.catalog.apply_chunks import claim
from coffre.catalog.apply_collection import list_striped
from coffre.catalog.apply_manifests import (
    ROWS_A_GROUP,
    add_parts,
    free_part,
    release_unfinished,
)
from coffre.catalog.apply_objects import Slot, bucket_rules
from coffre.catalog.judging import judge_new_upload
from coffre.catalog.key_order import encode_key
from coffre.catalog.mutations import (
    AbortUpload,
    CompleteUpload,
    CreateUpload,
    Done,
    ForgetCompletions,
    PartWritten,
    PutPart,
    Reaped,
    Refusal,
    Written,
)
from coffre.catalog.packing import pack, pack_optional
from coffre.catalog.quotas import BOUNDED, check_quota
from coffre.catalog.records import BlobName, Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

_INSERT_UPLOAD = (
    "INSERT INTO uploads (id, bucket_id, sort_key, ord, manifest_id, initiated_ms, owner_id,"
    " storage_class, checksum_algorithm, checksum_type, metadata, tags, acl, encryption, ecs, lock)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_PART = (
    "INSERT INTO parts (manifest_id, number, blob_id, size, etag, modified_ms, checksum, blob)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_unpack_written = msgspec.msgpack.Decoder(Written).decode


def create_upload(db: apsw.Connection, mutation: CreateUpload, stamp: Stamp) -> Done:
    rules = bucket_rules(db, mutation.bucket_id)
    if rules.traits & Trait.EMPTYING:
        raise Refusal("EmptyBucketInProgress")
    if mutation.lock is not None:
        lock_guard.require_lock(rules)
    db.execute(
        _INSERT_UPLOAD,
        (
            mutation.id,
            mutation.bucket_id,
            encode_key(rules.key_order, mutation.key),
            stamp.order,
            mutation.manifest_id,
            stamp.now_ms,
            mutation.owner_id,
            mutation.storage_class,
            mutation.checksum_algorithm,
            mutation.checksum_type,
            pack_optional(mutation.metadata),
            pack_optional(mutation.tags),
            mutation.acl or None,
            pack_optional(mutation.encryption),
            pack_optional(mutation.ecs),
            pack_optional(mutation.lock),
        ),
    )
    if rules.traits & Trait.LIFECYCLE:
        judge_new_upload(db, mutation.id, mutation.bucket_id, mutation.key, stamp.now_ms)
    return Done()


def put_part(db: apsw.Connection, mutation: PutPart, stamp: Stamp, tally: Tally) -> PartWritten:
    bucket_id, _, manifest_id, storage_class = _require_upload(db, mutation.upload_id)
    size = mutation.blob.size
    replaced = db.execute(
        "SELECT blob, size FROM parts WHERE manifest_id = ? AND number = ?",
        (manifest_id, mutation.number),
    ).fetchone()
    before = 0 if replaced is None else replaced[1]
    traits = bucket_rules(db, bucket_id).traits
    if traits & BOUNDED:
        check_quota(db, tally, bucket_id, traits, 0, size - before)
    claim(db, tally, mutation.blob)
    if replaced is not None:
        free_part(db, tally, manifest_id, mutation.number, replaced[0])
    more = 1 if replaced is None else 0
    tally.add_usage(bucket_id, storage_class, parts=more, part_size=size - before)
    list_striped(db, BlobName(manifest_id, mutation.number), mutation.blob)
    db.execute(
        _INSERT_PART,
        (
            manifest_id,
            mutation.number,
            mutation.blob.id,
            size,
            mutation.etag,
            stamp.now_ms,
            pack_optional(mutation.checksum),
            pack(mutation.blob),
        ),
    )
    return PartWritten(stamp.now_ms)


def complete_upload(
    db: apsw.Connection, mutation: CompleteUpload, stamp: Stamp, tally: Tally
) -> Written:
    digest = hashlib.sha256(pack(mutation.chosen)).digest()
    try:
        bucket_id, sort_key, manifest_id, storage_class = _require_upload(db, mutation.upload_id)
    except Refusal:
        return _completed_before(db, mutation.upload_id, digest)
    slot = Slot(db, tally, bucket_id, bucket_rules(db, bucket_id), sort_key)
    slot.check(mutation.condition)
    parts, freed = _open_parts(db, manifest_id)
    for number in _choose(db, manifest_id, mutation):
        blob = db.execute(
            "SELECT blob FROM parts WHERE manifest_id = ? AND number = ?", (manifest_id, number)
        ).get
        free_part(db, tally, manifest_id, number, blob)
    size = sum(part.size for part in mutation.index)
    add_parts(db, manifest_id, size, mutation.index)
    written = slot.write(stamp, mutation.facts, manifest_id, size, len(mutation.index), freed=freed)
    tally.add_usage(bucket_id, storage_class, parts=-parts, part_size=-freed)
    db.execute("DELETE FROM uploads WHERE id = ?", (mutation.upload_id,))
    db.execute(
        "INSERT INTO completions (upload_id, completed_ms, chosen_digest, result)"
        " VALUES (?, ?, ?, ?)",
        (mutation.upload_id, stamp.now_ms, digest, pack(written)),
    )
    return written


def abort_upload(db: apsw.Connection, mutation: AbortUpload, stamp: Stamp, tally: Tally) -> Done:
    bucket_id, _, manifest_id, storage_class = _require_upload(db, mutation.upload_id)
    parts, freed = _open_parts(db, manifest_id)
    if parts:
        tally.add_usage(bucket_id, storage_class, parts=-parts, part_size=-freed)
    db.execute("DELETE FROM uploads WHERE id = ?", (mutation.upload_id,))
    release_unfinished(db, tally, manifest_id)
    return Done()


def forget_completions(db: apsw.Connection, mutation: ForgetCompletions, stamp: Stamp) -> Reaped:
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    ids = db.execute(
        "SELECT upload_id FROM completions WHERE completed_ms < ?"
        " ORDER BY completed_ms, upload_id LIMIT ?",
        (mutation.before_ms, limit + 1),
    ).fetchall()
    for row in ids[:limit]:
        db.execute("DELETE FROM completions WHERE upload_id = ?", row)
    return Reaped(min(len(ids), limit), len(ids) > limit)


def _choose(db: apsw.Connection, manifest_id: bytes, mutation: CompleteUpload) -> list[int]:
    """Check the chosen parts against those that stand; the numbers of all others.

    Refused: InvalidPart, where one was replaced or never uploaded, or the index tells other sizes.
    """
    stands: dict[int, tuple[bytes, int]] = {
        number: (blob_id, size)
        for number, blob_id, size in db.execute(
            "SELECT number, blob_id, size FROM parts WHERE manifest_id = ?", (manifest_id,)
        )
    }
    if not mutation.chosen or len(mutation.chosen) != len(mutation.index):
        raise Refusal("InvalidPart")
    last = 0
    for chosen, part in zip(mutation.chosen, mutation.index, strict=True):
        found = stands.pop(chosen.number, None)
        if found != (chosen.blob_id, part.size) or not last < chosen.number == part.number:
            raise Refusal("InvalidPart", PartNumber=str(chosen.number))
        last = chosen.number
    return sorted(stands)


def _completed_before(db: apsw.Connection, upload_id: bytes, digest: bytes) -> Written:
    row = db.execute(
        "SELECT chosen_digest, result FROM completions WHERE upload_id = ?", (upload_id,)
    ).get
    if row is None:
        raise Refusal("NoSuchUpload")
    if row[0] != digest:
        raise Refusal("InvalidPart")
    return _unpack_written(row[1])


def _open_parts(db: apsw.Connection, manifest_id: bytes) -> tuple[int, int]:
    """How many parts an upload has, and their bytes."""
    found: tuple[int, int] = db.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM parts WHERE manifest_id = ?", (manifest_id,)
    ).get
    return found


def _require_upload(db: apsw.Connection, upload_id: bytes) -> tuple[bytes, bytes, bytes, str]:
    """(bucket id, sort key, manifest id, storage class). Refused: NoSuchUpload."""
    row: tuple[bytes, bytes, bytes, str] | None = db.execute(
        "SELECT bucket_id, sort_key, manifest_id, storage_class FROM uploads WHERE id = ?",
        (upload_id,),
    ).get
    if row is None:
        raise Refusal("NoSuchUpload")
    return row
