"""What writes, deletes and reads ask of Object Lock.

What may happen is decided by the catalog's guard (`catalog.lock_guard`), in the transaction that
does it. Here it is decided who may ask. In the `ecs` dialect users of the kind IAM may, others not.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Bucket, ObjectLock, Retention, Trait, Version
from coffre.s3.context import Context
from coffre.s3.response import Header
from coffre.wire import object_lock as documents
from coffre.wire.checksums import Declared
from coffre.wire.dates import iso
from coffre.wire.errors import S3Error
from coffre.wire.object_lock import HOLD, MODE, UNTIL

_KINDS: Final = frozenset({"iam", "role", "federated"})
_OF_NEW_BUCKET: Final = ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning")


def of_new_bucket(context: Context) -> Trait:
    """What CreateBucket's header asks for. Raises InvalidArgument, AccessDenied."""
    if not documents.wants_lock(context.head):
        return Trait(0)
    check_kind(context)
    # Who owns the bucket may do this in it; an IAM identity owns none.
    if context.principal.kind in _KINDS and not all(map(context.permits_in_new, _OF_NEW_BUCKET)):
        raise S3Error("AccessDenied")
    return Trait.OBJECT_LOCK


def of_new_object(context: Context, stated: Declared | None = None) -> ObjectLock | None:
    """What the headers of a write lock the new version with; None where they ask for nothing.
    `stated` is what a PUT declares of its body, of which it must declare something then.

    Raises InvalidArgument, InvalidRequest (the bucket has no Object Lock, or no digest is
    declared), AccessDenied.
    """
    head = context.head
    if not any(name in head.by_name for name in (MODE, UNTIL, HOLD)):
        return None
    asked = documents.asked_of(head, context.now_ms)
    if not context.bucket.traits & Trait.OBJECT_LOCK:
        if asked == documents.Asked(None, False):
            return None
        raise missing()
    check_kind(context)
    if stated is not None and stated.content_md5 is None and stated.algorithm is None:
        raise S3Error(
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with"
            " Object Lock parameters",
        )
    kept = asked.retention
    return ObjectLock(kept and Retention(kept.mode, kept.until_ms), asked.held)


def may_bypass(context: Context, key: bytes, version_id: bytes | None) -> bool:
    """Whether the request asks to get round GOVERNANCE, and its signer may: both are needed."""
    bucket = context.bucket
    if not bucket.traits & Trait.OBJECT_LOCK or not documents.wants_bypass(context.head):
        return False
    if context.ecs and context.principal.kind not in _KINDS:
        return False
    return context.permits("s3:BypassGovernanceRetention", bucket, key, version_id)


def headers_of(context: Context, bucket: Bucket, version: Version) -> list[Header]:
    """What GET and HEAD tell of a version's lock to those who may see it."""
    lock = version.lock
    if lock is None:
        return []
    told: list[Header] = []
    about = (bucket, version.key, version.version_id)
    kept = lock.retention
    if kept is not None and context.permits("s3:GetObjectRetention", *about):
        told += [(MODE, kept.mode.encode()), (UNTIL, iso(kept.until_ms).encode())]
    if lock.held is not None and context.permits("s3:GetObjectLegalHold", *about):
        told.append((HOLD, b"ON" if lock.held else b"OFF"))
    return told


def check_kind(context: Context) -> None:
    """AccessDenied in the `ecs` dialect but for users of the kind IAM."""
    if context.ecs and context.principal.kind not in _KINDS:
        raise S3Error("AccessDenied", "Object Lock takes a user of the kind IAM")


def missing() -> S3Error:
    """What is asked for needs a bucket with Object Lock."""
    return S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")
