"""What the archive classes mean for the operations on objects: which class a new object gets, what
may be read, and what answers tell of restored copies."""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Bucket, Listed, ListedVersion, Trait, Version
from coffre.s3.context import Context
from coffre.s3.response import Header
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.restore import restore_header, restore_status
from coffre.wire.storage_classes import ARCHIVED, STANDARD, check_storage_class

BUCKET_TYPE: Final = b"x-coffre-bucket-type"
_TYPES: Final = {"performance": 0, "archiving": int(Trait.ARCHIVING)}


def class_of_new_object(context: Context) -> str:
    """The class that is named, or else the bucket's own: GLACIER in an archiving one. Raises
    InvalidStorageClass, also for an archive in a store whose profile restores nothing: there an
    archiving bucket has GLACIER_IR, which is read at once."""
    restores = context.store.profile != "spec"
    named = context.head.header(b"x-amz-storage-class")
    if named:
        if named in ARCHIVED and not restores:
            raise S3Error("InvalidStorageClass", StorageClassRequested=named)
        return check_storage_class(named)
    if context.bucket.traits & Trait.ARCHIVING:
        return "GLACIER" if restores else "GLACIER_IR"
    return STANDARD


def check_readable(version: Version) -> None:
    """Raises InvalidObjectState for an archived object without a copy that can be read."""
    if version.storage_class in ARCHIVED and not _is_restored(version):
        raise not_in_state(version)


def check_not_archived(version: Version) -> None:
    """Raises InvalidObjectState for an archived object, also while it can be read."""
    if version.storage_class in ARCHIVED:
        raise not_in_state(version)


def not_in_state(version: Version, message: str | None = None) -> S3Error:
    return S3Error("InvalidObjectState", message, StorageClass=version.storage_class)


def restore_of(version: Version) -> tuple[Header, ...]:
    """`x-amz-restore`, of a version of which a copy is there or on its way."""
    if version.restoration is None:
        return ()
    return ((b"x-amz-restore", restore_header(version.restoration.expires_ms or None)),)


def status_of(one: Listed | ListedVersion) -> str:
    """RestoreStatus of an entry of a listing; empty where there is nothing to tell."""
    if one.restoration is None:
        return ""
    return restore_status(one.restoration.expires_ms or None)


def type_of_new_bucket(head: RequestHead) -> int:
    """The traits that `x-coffre-bucket-type` asks for: performance (none) or archiving. Raises
    InvalidArgument."""
    named = head.header(BUCKET_TYPE)
    if named is None:
        return 0
    traits = _TYPES.get(named.lower())
    if traits is None:
        raise S3Error(
            "InvalidArgument",
            f"A bucket's type is one of {', '.join(_TYPES)}",
            ArgumentName=BUCKET_TYPE.decode(),
            ArgumentValue=named,
        )
    return traits


def type_of(bucket: Bucket) -> tuple[Header, ...]:
    """The header that tells a bucket's type, where it is not the usual one."""
    return ((BUCKET_TYPE, b"archiving"),) if bucket.traits & Trait.ARCHIVING else ()


def _is_restored(version: Version) -> bool:
    return version.restoration is not None and version.restoration.expires_ms > 0
