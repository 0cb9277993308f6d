"""Archived versions: restored for some days, gathered, each in the transaction that decides it.

A restoration is noted with the id that its copy's manifest will have. The bytes come later, part by
part if there are many, from the archivist; until all are there the copy cannot be seen. A version
that lies as others do needs no bytes again: then the copy shares its manifest.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import apsw
from msgspec.structs import replace

from coffre.catalog import archive_rows
from coffre.catalog.apply_annotations import find
from coffre.catalog.apply_chunks import claim, count_dead
from coffre.catalog.apply_collection import list_striped, unlist_striped
from coffre.catalog.apply_events import insert_event
from coffre.catalog.apply_manifests import add_blob, add_parts, release, share
from coffre.catalog.archive_mutations import (
    TIERS,
    CompressBlob,
    DropRestored,
    FinishRestore,
    Place,
    RestoreBlob,
    RestoreVersion,
    Restoring,
    SettleArchived,
)
from coffre.catalog.event_mutations import BucketEvent
from coffre.catalog.key_order import decode_key
from coffre.catalog.lifecycle_records import LifecycleRecords
from coffre.catalog.lifecycle_rules import end_of
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack, unpack_blob, unpack_index, unpack_restoration
from coffre.catalog.records import ARCHIVED, BlobName, Restoration, Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.vault.records import Blob

_VERSION: Final = (
    "SELECT version_id, size, etag, manifest_id, storage_class, restore, restored_id,"
    " archive_due_ms, encryption FROM versions"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_RESTORE: Final = (
    "UPDATE versions SET restore = ?, restored_id = ?, archive_due_ms = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_MANIFEST: Final = "SELECT size, refs, parts_count, blob, parts FROM manifests WHERE id = ?"
_SET_INDEX: Final = "UPDATE manifests SET parts = ? WHERE id = ?"
_COUNT_PARTS: Final = "SELECT count(*) FROM parts WHERE manifest_id = ?"
_PART: Final = "SELECT blob FROM parts WHERE manifest_id = ? AND number = ?"
_COPY_PART: Final = (
    "INSERT INTO parts (manifest_id, number, blob_id, size, etag, modified_ms, checksum, blob)"
    " SELECT ?1, number, ?2, size, etag, modified_ms, checksum, ?3 FROM parts"
    " WHERE manifest_id = ?4 AND number = ?5"
)
_SET_WHOLE: Final = "UPDATE manifests SET blob = ?1 WHERE id = ?2 AND ?3 = 0"
_SET_PART: Final = "UPDATE parts SET blob = ?1, blob_id = ?4 WHERE manifest_id = ?2 AND number = ?3"
_BUCKET: Final = "SELECT traits, versioning, key_order FROM buckets WHERE id = ?"


class _Version(NamedTuple):
    """A version's columns, as `_VERSION` has them."""

    version_id: bytes
    size: int
    etag: str
    manifest_id: bytes
    storage_class: str
    restore: bytes | None
    restored_id: bytes | None
    due_ms: int | None
    encryption: bytes | None


def restore_version(
    db: apsw.Connection, mutation: RestoreVersion, stamp: Stamp, tally: Tally
) -> Restoring:
    _, _, place = find(db, tally, mutation)
    version = _read(db, place)
    assert version is not None, "it was found in this transaction"
    if version.storage_class not in ARCHIVED:
        raise Refusal("InvalidObjectState", StorageClass=version.storage_class)
    now_ms, days, tier = stamp.trusted_ms, mutation.days, mutation.tier
    ready_ms = now_ms + mutation.delay_ms
    if version.restore is None:
        wanted = Restoration(tier, days, ready_ms, mutation.manifest_id)
        _set(db, place, wanted, None, ready_ms)
        return Restoring(False)
    before = unpack_restoration(version.restore)
    if before.expires_ms:
        expires_ms = end_of(now_ms, days)
        longer = replace(before, tier=tier, days=days, expires_ms=expires_ms)
        _set(db, place, longer, version.restored_id, expires_ms)
        return Restoring(True)
    if TIERS.index(tier) >= TIERS.index(before.tier):
        raise Refusal("RestoreAlreadyInProgress")
    ready_ms = min(ready_ms, before.ready_ms)
    _set(db, place, replace(before, tier=tier, ready_ms=ready_ms), None, ready_ms)
    return Restoring(False)


def restore_blob(db: apsw.Connection, mutation: RestoreBlob, stamp: Stamp, tally: Tally) -> Done:
    place, number, blob = mutation.place, mutation.number, mutation.blob
    version, wanted = _awaited(db, place)
    if wanted.manifest_id != mutation.manifest_id:
        raise Refusal("OperationAborted")
    size, _, _, _, index = db.execute(_MANIFEST, (version.manifest_id,)).get
    if number:
        _restore_part(db, tally, version, wanted, number, blob)
        return Done()
    if blob.size != size:
        raise Refusal("InternalError", "a restored object has its size")
    add_blob(db, tally, wanted.manifest_id, blob)
    if index is not None:
        # It was uploaded in parts once, and lies in one blob: parts are still told of it.
        db.execute(_SET_INDEX, (index, wanted.manifest_id))
    _complete(db, tally, place, version, wanted, stamp)
    return Done()


def _restore_part(
    db: apsw.Connection,
    tally: Tally,
    version: _Version,
    wanted: Restoration,
    number: int,
    blob: Blob,
) -> None:
    found = db.execute(_PART, (version.manifest_id, number)).get
    stands = db.execute(_PART, (wanted.manifest_id, number)).get
    if found is None or stands is not None or unpack_blob(found).size != blob.size:
        raise Refusal("OperationAborted")
    claim(db, tally, blob)
    list_striped(db, BlobName(wanted.manifest_id, number), blob)
    part = (wanted.manifest_id, blob.id, pack(blob), version.manifest_id, number)
    db.execute(_COPY_PART, part)


def finish_restore(
    db: apsw.Connection, mutation: FinishRestore, stamp: Stamp, tally: Tally
) -> Done:
    version, wanted = _awaited(db, mutation.place)
    if mutation.shared:
        share(db, version.manifest_id)
        wanted = replace(wanted, manifest_id=version.manifest_id)
    else:
        size, _, parts_count, _, index = db.execute(_MANIFEST, (version.manifest_id,)).get
        there = db.execute(_COUNT_PARTS, (wanted.manifest_id,)).get
        if not parts_count or there != parts_count:
            raise Refusal("OperationAborted")
        add_parts(db, wanted.manifest_id, size, unpack_index(index))
    _complete(db, tally, mutation.place, version, wanted, stamp)
    return Done()


def _complete(
    db: apsw.Connection,
    tally: Tally,
    place: Place,
    version: _Version,
    wanted: Restoration,
    stamp: Stamp,
) -> None:
    expires_ms = end_of(stamp.trusted_ms, wanted.days)
    _set(db, place, replace(wanted, expires_ms=expires_ms), wanted.manifest_id, expires_ms)
    tally.add_to_class(place[0], archive_rows.RESTORED, 1, version.size)
    tally.add_usage(place[0], archive_rows.RESTORED, size=version.size)
    _tell(db, place, version, "ObjectRestore:Completed", expires_ms, stamp)


def drop_restored(db: apsw.Connection, mutation: DropRestored, stamp: Stamp, tally: Tally) -> Done:
    place = mutation.place
    version = _read(db, place)
    if version is None or version.restore is None or version.restored_id is None:
        return Done()
    if unpack_restoration(version.restore).expires_ms > stamp.trusted_ms:
        raise Refusal("OperationAborted")
    # Then it is looked at once more: what was held by two may be gathered now.
    _set(db, place, None, None, stamp.trusted_ms)
    tally.add_to_class(place[0], archive_rows.RESTORED, -1, -version.size)
    tally.add_usage(place[0], archive_rows.RESTORED, size=-version.size)
    release(db, tally, version.restored_id)
    _tell(db, place, version, "ObjectRestore:Delete", 0, stamp)
    key = decode_key(db.execute(_BUCKET, (place[0],)).get[2], place[1])
    told = (place[0], key, version.version_id.hex(), "S3.EXPIRE.RESTORED")
    LifecycleRecords(db, stamp, tally).happened(*told, {"class": version.storage_class})
    return Done()


def compress_blob(db: apsw.Connection, mutation: CompressBlob, stamp: Stamp, tally: Tally) -> Done:
    version, old, blob = _read(db, mutation.place), mutation.old, mutation.blob
    if version is None or version.storage_class not in ARCHIVED or version.encryption is not None:
        raise Refusal("OperationAborted")
    name = BlobName(version.manifest_id, mutation.number)
    refs, whole = db.execute(_MANIFEST, (name.manifest_id,)).get[1::2]
    stands = db.execute(_PART, name).get if name.number else whole
    if refs != 1 or stands is None or unpack_blob(stands) != old or blob.size != old.size:
        raise Refusal("OperationAborted")
    claim(db, tally, blob)
    count_dead(tally, old)
    unlist_striped(db, name, old)
    list_striped(db, name, blob)
    if name.number:
        db.execute(_SET_PART, (pack(blob), *name, blob.id))
    else:
        db.execute(_SET_WHOLE, (pack(blob), *name))
    return Done()


def settle_archived(
    db: apsw.Connection, mutation: SettleArchived, stamp: Stamp, tally: Tally
) -> Done:
    version = _read(db, mutation.place)
    if version is not None and version.due_ms == mutation.due_ms:
        archive_rows.set_archive_due(db, mutation.place, None)
    return Done()


def _tell(
    db: apsw.Connection, place: Place, version: _Version, name: str, expires_ms: int, stamp: Stamp
) -> None:
    """An event of the service's own, where the bucket notifies: one a mutation."""
    traits, versioning, key_order = db.execute(_BUCKET, (place[0],)).get
    if traits & Trait.NOTIFYING:
        event = BucketEvent(
            name,
            stamp.now_ms,
            decode_key(key_order, place[1]),
            None if versioning == "never" else version.version_id,
            version.size,
            version.etag,
            restored=(version.storage_class, expires_ms),
        )
        insert_event(db, place[0], stamp, event)


def _awaited(db: apsw.Connection, place: Place) -> tuple[_Version, Restoration]:
    """A version of which a copy is on its way. Refused: OperationAborted."""
    version = _read(db, place)
    if version is None or version.restore is None or version.restored_id is not None:
        raise Refusal("OperationAborted")
    return version, unpack_restoration(version.restore)


def _read(db: apsw.Connection, place: Place) -> _Version | None:
    row: Any = db.execute(_VERSION, place).get
    return None if row is None else _Version(*row)


def _set(
    db: apsw.Connection,
    place: Place,
    restoration: Restoration | None,
    restored_id: bytes | None,
    due_ms: int,
) -> None:
    packed = None if restoration is None else pack(restoration)
    db.execute(_SET_RESTORE, (packed, restored_id, due_ms, *place))
