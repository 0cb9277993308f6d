"""Where the dialects and profiles of stores part: what a request may ask for, and what it may not.

`docs/dialects.md` has a row for each difference.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Bucket, Store, Trait
from coffre.s3.operation import On, Operation
from coffre.s3.unsigned import NAMESPACE
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

# What the published table of the service lists as unsupported (profile `spec`).
UNSUPPORTED: Final = frozenset(
    {
        *((method, On.BUCKET, "tagging") for method in ("DELETE", "GET", "PUT")),
        *((method, On.BUCKET, "website") for method in ("DELETE", "GET", "PUT")),
        ("GET", On.BUCKET, "location"),
        *((method, On.BUCKET, "logging") for method in ("GET", "PUT")),
        *((method, On.BUCKET, "notification") for method in ("GET", "PUT")),
        *((method, On.BUCKET, "requestPayment") for method in ("GET", "PUT")),
        ("GET", On.OBJECT, "torrent"),
        ("POST", On.BUCKET, ""),
        ("POST", On.OBJECT, "restore"),
    }
)
# What a bucket that is a file system too cannot have.
_NOT_IN_FILE_SYSTEMS: Final = frozenset(
    {
        ("PUT", "lifecycle"),
        ("PUT", "policy"),
        ("PUT", "object-lock"),
        ("PUT", "retention"),
        ("PUT", "legal-hold"),
        ("PUT", "enable-object-lock"),
    }
)
_KNOWN_HEADERS: Final = frozenset(
    {
        NAMESPACE,
        b"x-emc-compliance-enabled",
        b"x-emc-dataservice-vpool",
        b"x-emc-empty-bucket",
        b"x-emc-file-system-access-enabled",
        b"x-emc-is-stale-allowed",
        b"x-emc-metadata-search",
        b"x-emc-retention-period",
        b"x-emc-retention-policy",
        b"x-emc-server-side-encryption-enabled",
    }
)


def check_store(store: Store, operation: Operation, head: RequestHead) -> None:
    """Raises NotImplemented for an operation or a header that the store's dialect or profile does
    not have, AccessDenied for the namespace of another store.

    A store of the `aws` dialect ignores `x-emc-` headers, as AWS does.
    """
    if operation.dialect not in (None, store.dialect):
        raise S3Error("NotImplemented", "This operation is not implemented")
    asked = (operation.method, operation.target, operation.selector.sub_resource)
    if store.profile == "spec" and asked in UNSUPPORTED:
        raise S3Error("NotImplemented", "This operation is not supported by the service")
    if store.dialect == "ecs":
        for name in head.by_name:
            if name.startswith(b"x-emc-") and name not in _KNOWN_HEADERS:
                raise S3Error("NotImplemented", Header=name.decode("latin-1"))
        if NAMESPACE in head.by_name and head.header(NAMESPACE) != store.name:
            raise S3Error("AccessDenied")


def check_bucket(bucket: Bucket, operation: Operation) -> None:
    """InvalidBucketState for what a file-system bucket cannot have."""
    if not bucket.traits & Trait.FILE_SYSTEM:
        return
    if (operation.method, operation.selector.sub_resource) in _NOT_IN_FILE_SYSTEMS:
        raise S3Error(
            "InvalidBucketState",
            "A bucket with file-system access has no lifecycle, lock or policy",
        )


def check_listing(bucket: Bucket, prefix: bytes, delimiter: bytes, marker: bytes) -> None:
    """What ECS refuses of a listing: in file-system buckets any delimiter but `/`; with prefix and
    delimiter a marker that is not text or not under the prefix, as a failure of the server or, in a
    file-system bucket, of the client. AWS lists nothing then."""
    if not bucket.traits & Trait.ECS:
        return
    file_system = bool(bucket.traits & Trait.FILE_SYSTEM)
    if file_system and delimiter not in (b"", b"/"):
        raise S3Error(
            "InvalidArgument",
            "The delimiter of a bucket with file-system access is /",
            ArgumentName="delimiter",
            ArgumentValue=delimiter.decode(errors="replace"),
        )
    is_text = _is_text(marker)
    if prefix and delimiter and marker and not (is_text and marker.startswith(prefix)):
        if file_system:
            raise S3Error("BadRequest", "The marker is not valid")
        raise S3Error("InternalError", "Server Error: the marker is not valid")
    if not is_text:
        raise S3Error("InvalidArgument", "A marker is UTF-8", ArgumentName="marker")


def _is_text(marker: bytes) -> bool:
    try:
        marker.decode()
    except UnicodeDecodeError:
        return False
    return True
