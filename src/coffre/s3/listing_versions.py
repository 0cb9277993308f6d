"""ListObjectVersions: pages of versions and delete markers, by key, the newest first."""

from __future__ import annotations

from coffre.catalog.records import Bucket, ListedVersion, VersionListing
from coffre.s3 import archive, ecs_rules, parameters
from coffre.s3.context import Context
from coffre.s3.parameters import show_version_id, stored_version_id
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import listings
from coffre.wire.documents import Owner
from coffre.wire.listings import VersionPage, render_versions
from coffre.wire.restore import wants_restore_status

_NOTHING = VersionListing((), (), False)


async def list_object_versions(context: Context) -> Response:
    """ListObjectVersions."""
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    most = parameters.count(head, "max-keys", context.limits.page)
    prefix = parameters.raw(head, "prefix") or b""
    delimiter = parameters.raw(head, "delimiter") or b""
    encoding = parameters.encoding_type(head)
    key_marker = parameters.raw(head, "key-marker") or b""
    version_marker = head.query.get("version-id-marker")
    after = _after_version(key_marker, version_marker)
    with_status = wants_restore_status(head)
    ecs_rules.check_listing(bucket, prefix, delimiter, key_marker)
    found = _NOTHING
    if most:
        found = context.reader.list_versions(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            after_key=key_marker,
            after_version=after,
            limit=most,
        )
    resumes = found.next_version if found.truncated else None
    page = VersionPage(
        bucket=bucket.name,
        versions=[_listed(bucket, one, with_status=with_status) for one in found.versions],
        common_prefixes=found.common_prefixes,
        max_keys=most,
        truncated=found.truncated,
        key_marker=key_marker,
        version_id_marker=version_marker or "",
        next_key_marker=found.next_key if found.truncated else None,
        next_version_id_marker=None if resumes is None else show_version_id(resumes),
        prefix=prefix,
        delimiter=delimiter or None,
        encoding_type=encoding,
    )
    return xml(render_versions(page), (b"x-amz-bucket-region", bucket.region.encode()))


def _after_version(key_marker: bytes, version_marker: str | None) -> bytes | None:
    """`version-id-marker` as the catalog keeps it. Raises InvalidArgument."""
    if version_marker is None:
        return None
    if not version_marker:
        raise parameters.invalid("version-id-marker", "", "A version-id marker cannot be empty.")
    if not key_marker:
        raise parameters.invalid(
            "version-id-marker",
            version_marker,
            "A version-id marker cannot be specified without a key marker.",
        )
    return stored_version_id(version_marker, "version-id-marker")


def _listed(bucket: Bucket, one: ListedVersion, *, with_status: bool) -> listings.ListedVersion:
    checksum = one.checksum
    # A delete marker without an owner of its own is the bucket owner's.
    owner = Owner(one.owner_id, one.owner_label)
    if not one.owner_id:
        owner = Owner(bucket.owner_id, bucket.owner_label)
    return listings.ListedVersion(
        one.key,
        show_version_id(one.version_id),
        one.latest,
        one.marker,
        one.modified_ms,
        one.etag,
        one.size,
        owner,
        one.storage_class,
        None if checksum is None else checksum.algorithm,
        None if checksum is None else checksum.type,
        archive.status_of(one) if with_status else "",
    )
