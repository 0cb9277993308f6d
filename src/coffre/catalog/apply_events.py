"""Events of buckets that notify: written with the change, forgotten when they are delivered."""

from __future__ import annotations

import apsw

from coffre.catalog.archive_mutations import RestoreVersion
from coffre.catalog.event_mutations import BucketEvent, Cause, Caused, ForgetEvents
from coffre.catalog.mutations import (
    CompleteUpload,
    CopyVersion,
    Deleted,
    DeleteVersion,
    Done,
    PutVersion,
    Result,
    SetAcl,
    SetTags,
    Written,
)
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp

_INSERT = "INSERT INTO outbox (bucket_id, ord, zone, event) VALUES (?, ?, ?, ?)"
TEST_EVENT = "TestEvent"


def note_change(db: apsw.Connection, mutation: Caused, stamp: Stamp, result: Result) -> None:
    """Write the event of a change whose cause is known, if its bucket notifies by now."""
    cause = mutation.cause
    if cause is None:
        return
    row = db.execute("SELECT traits, versioning FROM buckets WHERE id = ?", (cause.bucket_id,)).get
    if row is None or not row[0] & Trait.NOTIFYING:
        return
    key, name, version_id = _told(mutation, cause, result)
    size, etag = (result.size, result.etag) if isinstance(result, Written) else (0, "")
    event = BucketEvent(
        name,
        stamp.now_ms,
        key,
        None if row[1] == "never" else version_id,
        size,
        etag,
        cause,
    )
    insert_event(db, cause.bucket_id, stamp, event)


def insert_event(db: apsw.Connection, bucket_id: bytes, stamp: Stamp, event: BucketEvent) -> None:
    """An event waits from now on. One a mutation: the stamp's order is its place."""
    db.execute(_INSERT, (bucket_id, stamp.order, stamp.zone, pack(event)))


def forget_events(db: apsw.Connection, mutation: ForgetEvents, stamp: Stamp) -> Done:
    for place in mutation.places:
        db.execute("DELETE FROM outbox WHERE bucket_id = ? AND ord = ? AND zone = ?", place)
    return Done()


def _told(mutation: Caused, cause: Cause, result: Result) -> tuple[bytes, str, bytes | None]:
    """The event's key and name, and the version that it is about."""
    match mutation, result:
        case CopyVersion(), Written():
            return mutation.key, "ObjectCreated:Copy", result.version_id
        case CompleteUpload(), Written():
            return cause.key, "ObjectCreated:CompleteMultipartUpload", result.version_id
        case PutVersion(), Written():
            how = "Post" if cause.method == "POST" else "Put"
            return mutation.key, f"ObjectCreated:{how}", result.version_id
        case DeleteVersion(version_id=None), Deleted(marker=True):
            return mutation.key, "ObjectRemoved:DeleteMarkerCreated", result.marker_version_id
        case DeleteVersion(), _:
            return mutation.key, "ObjectRemoved:Delete", mutation.version_id
        case SetTags(), _:
            how = "Delete" if cause.method == "DELETE" else "Put"
            return mutation.key, f"ObjectTagging:{how}", mutation.version_id
        case RestoreVersion(), _:
            return mutation.key, "ObjectRestore:Post", mutation.version_id
        case SetAcl(), _:
            return mutation.key, "ObjectAcl:Put", mutation.version_id
    raise TypeError(f"{type(mutation).__name__} makes no event")
