"""A version that stands is encrypted otherwise: its blobs' keys are wrapped anew, its bytes stay.

What other versions hold too is wrapped for all of them alike, so it is never wrapped anew: first
the version is given bytes of its own (`OwnBytes`).
"""

from __future__ import annotations

from typing import Any, Final

import apsw
from msgspec.structs import replace

from coffre.catalog import lock_guard
from coffre.catalog.annotation_mutations import OwnBytes, SetEncryption, WrappedBlob
from coffre.catalog.annotation_rows import Place
from coffre.catalog.apply_annotations import find
from coffre.catalog.apply_manifests import add_blob, release
from coffre.catalog.apply_objects import Row, Slot, check_encryption
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack, unpack_blob
from coffre.catalog.records import BlobName
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

_LOCKED: Final = (
    "The encryption type for the specified object can't be updated because that object is protected"
    " by S3 Object Lock."
)
_SET_ENCRYPTION: Final = (
    "UPDATE versions SET encryption = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_MANIFEST: Final = (
    "UPDATE versions SET manifest_id = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND manifest_id = ?"
)
_SET_ANNOTATION: Final = (
    "UPDATE annotations SET manifest_id = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
    " AND manifest_id = ? AND name = ?"
)
_INDEX: Final = "SELECT parts FROM manifests WHERE id = ?"
_SET_INDEX: Final = "UPDATE manifests SET parts = ? WHERE id = ?"
_ANNOTATIONS: Final = (
    "SELECT manifest_id FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_HELD: Final = "SELECT refs, blob IS NOT NULL, pieces IS NOT NULL FROM manifests WHERE id = ?"
_PARTS: Final = "SELECT number FROM parts WHERE manifest_id = ?"
_WHOLE: Final = "SELECT blob FROM manifests WHERE id = ?"
_PART: Final = "SELECT blob FROM parts WHERE manifest_id = ? AND number = ?"
_SET_WHOLE: Final = "UPDATE manifests SET blob = ? WHERE id = ?"
_SET_PART: Final = "UPDATE parts SET blob = ? WHERE manifest_id = ? AND number = ?"


def own_bytes(db: apsw.Connection, mutation: OwnBytes, stamp: Stamp, tally: Tally) -> Done:
    slot, row, place = find(db, tally, mutation)
    _require_unlocked(slot, row, stamp)
    check_encryption(db, place, None)
    where = (mutation.manifest_id, *place, mutation.source_id)
    if mutation.name is None:
        db.execute(_SET_MANIFEST, where)
    else:
        db.execute(_SET_ANNOTATION, (*where, mutation.name))
    if db.changes() != 1:
        raise Refusal("OperationAborted")
    add_blob(db, tally, mutation.manifest_id, mutation.blob)
    # Where its parts began and ended is still told of an object that was uploaded in parts.
    index = db.execute(_INDEX, (mutation.source_id,)).get
    if index is not None:
        db.execute(_SET_INDEX, (index, mutation.manifest_id))
    release(db, tally, mutation.source_id)
    return Done()


def set_encryption(
    db: apsw.Connection, mutation: SetEncryption, stamp: Stamp, tally: Tally
) -> Done:
    slot, row, place = find(db, tally, mutation)
    _require_unlocked(slot, row, stamp)
    check_encryption(db, place, mutation.before)
    if mutation.before is None:
        assert row.manifest_id is not None, "only a delete marker has no manifest"
        if {one.name for one in mutation.blobs} != _blobs_of(db, row.manifest_id, place):
            raise Refusal("OperationAborted")
        for one in mutation.blobs:
            _wrap(db, one)
    db.execute(_SET_ENCRYPTION, (pack(mutation.after), *place))
    return Done()


def _require_unlocked(slot: Slot, row: Row, stamp: Stamp) -> None:
    """Refused: InvalidRequest, as AWS words it, and as `Slot.guard`."""
    if lock_guard.is_locked(row, stamp.trusted_ms):
        raise Refusal("InvalidRequest", _LOCKED)
    slot.guard(row, stamp.trusted_ms)


def _blobs_of(db: apsw.Connection, manifest_id: bytes, place: Place) -> set[BlobName]:
    """The blobs of a version and its annotations. Refused: OperationAborted where something else
    holds them too."""
    found: set[BlobName] = set()
    annotations = [one for (one,) in db.execute(_ANNOTATIONS, place)]
    for one in (manifest_id, *annotations):
        refs, whole, pieces = db.execute(_HELD, (one,)).get
        if refs != 1 or pieces:
            raise Refusal("OperationAborted")
        if whole:
            found.add(BlobName(one, 0))
        else:
            found.update(BlobName(one, number) for (number,) in db.execute(_PARTS, (one,)))
    return found


def _wrap(db: apsw.Connection, one: WrappedBlob) -> None:
    # The blob as it lies now: it may have been moved since it was read, but its key is the same.
    manifest_id, number = one.name
    at: tuple[Any, ...] = one.name if number else (manifest_id,)
    blob = unpack_blob(db.execute(_PART if number else _WHOLE, at).get)
    if blob.id != one.blob_id:
        raise Refusal("OperationAborted")
    wrapped = pack(replace(blob, wrapped_key=one.wrapped_key))
    db.execute(_SET_PART if number else _SET_WHOLE, (wrapped, *at))
