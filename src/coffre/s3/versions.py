"""The version that a read or a copy means, and the headers that say what it is."""

from __future__ import annotations

from coffre.catalog.records import Bucket, Checksum, Manifest, Version
from coffre.s3 import archive, ecs_headers, lifecycle, locks
from coffre.s3.context import Context
from coffre.s3.parameters import show_version_id
from coffre.s3.response import Header
from coffre.wire.dates import http_date
from coffre.wire.errors import S3Error
from coffre.wire.metadata import headers
from coffre.wire.storage_classes import STANDARD


def find(context: Context, bucket: Bucket, key: bytes, wanted: bytes | None) -> Version:
    """The current version (`wanted` None) or a named one; never a delete marker.

    Raises NoSuchKey, NoSuchVersion, and MethodNotAllowed for a marker that is asked for by name.
    """
    text = key.decode()
    if wanted is None:
        found = context.look(bucket, key, None)
        if found is None or found.marker:
            told = () if found is None else _marker_headers(found)
            raise S3Error("NoSuchKey", headers=told, Key=text)
        return found
    found = context.look(bucket, key, wanted)
    if found is None:
        raise S3Error("NoSuchVersion", Key=text, VersionId=show_version_id(wanted))
    if found.marker:
        raise S3Error(
            "MethodNotAllowed",
            headers=(
                *_marker_headers(found),
                (b"allow", b"DELETE"),
                (b"last-modified", http_date(found.modified_ms).encode()),
            ),
            Method=context.head.method,
            ResourceType="DeleteMarker",
        )
    return found


def manifest(version: Version) -> Manifest:
    assert version.manifest is not None, "only a delete marker has no manifest"
    return version.manifest


def describe(context: Context, version: Version, encrypted: tuple[Header, ...]) -> list[Header]:
    """Headers of GET and HEAD that hold for the object whichever part of it is asked for;
    `encrypted` tell with what it is."""
    told: list[Header] = [
        (b"last-modified", http_date(version.modified_ms).encode()),
        (b"etag", b'"%s"' % version.etag.encode()),
        (b"accept-ranges", b"bytes"),
        *encrypted,
        *headers(version.metadata),
        *version_header(context.bucket, version.version_id),
    ]
    if version.storage_class != STANDARD:
        told.append((b"x-amz-storage-class", version.storage_class.encode()))
        told += archive.restore_of(version)
    told += lifecycle.expiration_of(context, version)
    told += locks.headers_of(context, context.bucket, version)
    if context.ecs:
        told += ecs_headers.of_version(version)
    if version.tags and may_see_tags(context, context.bucket, version):
        told.append((b"x-amz-tagging-count", b"%d" % len(version.tags)))
    return told


def may_see_tags(context: Context, bucket: Bucket, version: Version) -> bool:
    """Reading an object is one right, reading its tags another."""
    return context.permits("s3:GetObjectVersionTagging", bucket, version.key, version.version_id)


def version_header(bucket: Bucket, version_id: bytes) -> tuple[Header, ...]:
    """`x-amz-version-id`, which buckets that never had versioning do not show."""
    if bucket.versioning == "never":
        return ()
    return ((b"x-amz-version-id", show_version_id(version_id).encode()),)


def checksum_headers(checksum: Checksum | None) -> tuple[Header, ...]:
    """The checksum's value and type as headers."""
    if checksum is None:
        return ()
    name = f"x-amz-checksum-{checksum.algorithm.lower()}".encode()
    return (
        (name, checksum.value.encode()),
        (b"x-amz-checksum-type", checksum.type.encode()),
    )


def checksum_values(checksum: Checksum | None) -> dict[str, str]:
    """The checksum as XML answers list it: algorithm to value."""
    return {} if checksum is None else {checksum.algorithm: checksum.value}


def _marker_headers(version: Version) -> tuple[Header, ...]:
    return (
        (b"x-amz-delete-marker", b"true"),
        (b"x-amz-version-id", show_version_id(version.version_id).encode()),
    )
