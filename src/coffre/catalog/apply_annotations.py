"""Steps of annotations: they are put beside a version, and deleted, in the transaction that looked
whether that version stands and may be changed."""

from __future__ import annotations

from typing import Final

import apsw

from coffre.catalog import annotation_rows
from coffre.catalog.annotation_mutations import (
    MAX_ANNOTATIONS,
    DeleteAnnotation,
    OwnBytes,
    PutAnnotation,
    SetEncryption,
)
from coffre.catalog.annotation_rows import Place
from coffre.catalog.apply_manifests import add_blob, release
from coffre.catalog.apply_objects import Row, Slot, bucket_rules, check_encryption, check_etag
from coffre.catalog.archive_mutations import RestoreVersion
from coffre.catalog.key_order import encode_key
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

_MANIFEST: Final = (
    "SELECT manifest_id FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND name = ?"
)
_COUNT: Final = (
    "SELECT count(*) FROM annotations WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_DELETE: Final = (
    "DELETE FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND name = ?"
)


def put_annotation(
    db: apsw.Connection, mutation: PutAnnotation, stamp: Stamp, tally: Tally
) -> Done:
    slot, row, place = find(db, tally, mutation)
    if slot.rules.traits & Trait.EMPTYING:
        raise Refusal("EmptyBucketInProgress")
    if mutation.if_match is not None:
        check_etag(mutation.if_match, row)
    check_encryption(db, place, mutation.encryption)
    old = db.execute(_MANIFEST, (*place, mutation.name)).get
    if old is not None:
        # The earlier text is lost, as it is when it is deleted.
        slot.guard(row, stamp.trusted_ms)
    elif db.execute(_COUNT, place).get >= MAX_ANNOTATIONS:
        raise Refusal("AnnotationLimitExceeded")
    blob = mutation.blob
    add_blob(db, tally, mutation.manifest_id, blob)
    checksum = pack(mutation.checksum)
    kept = (mutation.name, mutation.manifest_id, blob.size, mutation.etag, checksum)
    annotation_rows.put(db, place, kept, stamp.now_ms)
    if old is not None:
        release(db, tally, old)
    return Done()


def delete_annotation(
    db: apsw.Connection, mutation: DeleteAnnotation, stamp: Stamp, tally: Tally
) -> Done:
    slot, row, place = find(db, tally, mutation)
    if mutation.if_match is not None:
        check_etag(mutation.if_match, row)
    old = db.execute(_MANIFEST, (*place, mutation.name)).get
    if old is not None:
        slot.guard(row, stamp.trusted_ms)
        db.execute(_DELETE, (*place, mutation.name))
        release(db, tally, old)
    return Done()


def find(
    db: apsw.Connection,
    tally: Tally,
    mutation: PutAnnotation | DeleteAnnotation | OwnBytes | SetEncryption | RestoreVersion,
) -> tuple[Slot, Row, Place]:
    """The version that is meant. Refused: NoSuchBucket, NoSuchKey, OperationAborted."""
    rules = bucket_rules(db, mutation.bucket_id)
    slot = Slot(db, tally, mutation.bucket_id, rules, encode_key(rules.key_order, mutation.key))
    row = slot.version(mutation.version_id)
    if row is None or row.marker:
        raise Refusal("NoSuchKey")
    if row.order != mutation.order:
        raise Refusal("OperationAborted")
    return slot, row, (slot.bucket_id, slot.sort_key, row.order, row.zone)
