"""Mutations of Object Lock.

They are part of `coffre.catalog.mutations`, which says what a mutation is. `order` says which
version is meant: a null version may have been replaced since it was read.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.records import DefaultRetention, Retention


class PutObjectLock(Struct, frozen=True, tag=True):
    """A bucket has Object Lock from now on, for ever, and new versions in it this retention where
    nothing else is asked for (None: none). What is in it already stays as it is. Refused:
    NoSuchBucket, InvalidBucketState."""

    bucket_id: bytes
    default: DefaultRetention | None


class PutRetention(Struct, frozen=True, tag=True):
    """Retain a version until a date (None: not any more). `bypass`: who asks may get round
    GOVERNANCE, and says so. Refused: NoSuchBucket, InvalidRequest (the bucket has no Object Lock),
    NoSuchKey (there is no such version, or it is a delete marker), OperationAborted (it is another
    by now), InvalidArgument (the date is past), AccessDenied (what stands does not let it)."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    retention: Retention | None
    bypass: bool = False


class PutLegalHold(Struct, frozen=True, tag=True):
    """Hold a version, or hold it no longer. Refused as `PutRetention`, but for dates and
    AccessDenied."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    held: bool


LockMutation = PutObjectLock | PutRetention | PutLegalHold
