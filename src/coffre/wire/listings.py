"""Pages of buckets, objects, uploads and parts, rendered as S3's listings.

With `encoding_type` `url`, keys, prefixes, delimiters and markers are percent-encoded (AWS API
reference, ListObjects); without it, text that XML cannot carry goes out as references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coffre.wire.dates import iso, iso_second
from coffre.wire.documents import (
    Owner,
    checksum_elements,
    etag_element,
    owner_element,
    plain,
)
from coffre.wire.escape import percent
from coffre.wire.xml import document, element, flag, optional, tag


def _name_encoder(encoding_type: str | None) -> Callable[[bytes], str]:
    return percent if encoding_type == "url" else plain


def _prefixes(prefixes: Iterable[bytes], encode: Callable[[bytes], str]) -> Iterable[str]:
    return (f"<CommonPrefixes><Prefix>{encode(one)}</Prefix></CommonPrefixes>" for one in prefixes)


def _maybe(name: str, value: bytes | None, encode: Callable[[bytes], str]) -> str:
    return "" if value is None else f"<{name}>{encode(value)}</{name}>"


@dataclass(frozen=True, slots=True)
class ListedBucket:
    """A bucket of ListBuckets; `region` is shown when given."""

    name: str
    created_ms: int
    region: str | None = None


@dataclass(frozen=True, slots=True)
class BucketPage:
    """A page of ListBuckets. `continuation_token` is the next page's (AWS).

    The marker fields are the ECS paging; they are shown when `max_keys` is given.
    """

    owner: Owner
    buckets: Sequence[ListedBucket]
    prefix: str | None = None
    continuation_token: str | None = None
    marker: str = ""
    next_marker: str | None = None
    max_keys: int | None = None
    truncated: bool = False


def render_buckets(page: BucketPage) -> bytes:
    """ListAllMyBucketsResult."""
    rows = (
        element(
            "Bucket",
            tag("Name", one.name),
            tag("CreationDate", iso(one.created_ms)),
            optional("BucketRegion", one.region),
        )
        for one in page.buckets
    )
    paging: tuple[str, ...] = ()
    if page.max_keys is not None:
        paging = (
            tag("Marker", page.marker),
            optional("NextMarker", page.next_marker),
            tag("MaxKeys", page.max_keys),
            flag("IsTruncated", page.truncated),
        )
    return document(
        "ListAllMyBucketsResult",
        owner_element(page.owner),
        element("Buckets", *rows),
        optional("ContinuationToken", page.continuation_token),
        optional("Prefix", page.prefix),
        *paging,
    )


@dataclass(slots=True)
class ListedObject:
    """An object of a listing; not frozen, because a page makes a thousand of them.
    `restore_status` is an element, or empty."""

    key: bytes
    last_modified_ms: int
    etag: str
    size: int
    storage_class: str = "STANDARD"
    owner: Owner | None = None
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    restore_status: str = ""


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """What both versions of ListObjects answer alike; `encoding_type`: None or `url`."""

    bucket: str
    objects: Sequence[ListedObject]
    common_prefixes: Sequence[bytes]
    max_keys: int
    truncated: bool
    prefix: bytes = b""
    delimiter: bytes | None = None
    encoding_type: str | None = None


def render_list_v1(
    page: ObjectPage, marker: bytes = b"", next_marker: bytes | None = None
) -> bytes:
    """ListBucketResult of ListObjects; AWS gives NextMarker only where there is a delimiter."""
    encode = _name_encoder(page.encoding_type)
    paging = f"<Marker>{encode(marker)}</Marker>{_maybe('NextMarker', next_marker, encode)}"
    return _listing(page, encode, paging)


def render_list_v2(
    page: ObjectPage,
    *,
    start_after: bytes | None = None,
    continuation_token: str | None = None,
    next_continuation_token: str | None = None,
) -> bytes:
    """ListBucketResult of ListObjectsV2; KeyCount counts keys and common prefixes."""
    encode = _name_encoder(page.encoding_type)
    paging = (
        _maybe("StartAfter", start_after, encode)
        + optional("ContinuationToken", continuation_token)
        + optional("NextContinuationToken", next_continuation_token)
        + tag("KeyCount", len(page.objects) + len(page.common_prefixes))
    )
    return _listing(page, encode, paging)


def _listing(page: ObjectPage, encode: Callable[[bytes], str], paging: str) -> bytes:
    return document(
        "ListBucketResult",
        tag("Name", page.bucket),
        f"<Prefix>{encode(page.prefix)}</Prefix>",
        paging,
        tag("MaxKeys", page.max_keys),
        _maybe("Delimiter", page.delimiter, encode),
        optional("EncodingType", page.encoding_type),
        flag("IsTruncated", page.truncated),
        *_contents(page.objects, encode),
        *_prefixes(page.common_prefixes, encode),
    )


def _contents(objects: Iterable[ListedObject], encode: Callable[[bytes], str]) -> Iterable[str]:
    owners: dict[Owner | None, str] = {}
    for one in objects:
        owner = owners.get(one.owner)
        if owner is None:
            owner = owners[one.owner] = owner_element(one.owner)
        checksum = ""
        if one.checksum_algorithm is not None:
            checksum = f"<ChecksumAlgorithm>{one.checksum_algorithm}</ChecksumAlgorithm>"
        if one.checksum_type is not None:
            checksum += f"<ChecksumType>{one.checksum_type}</ChecksumType>"
        yield (
            f"<Contents><Key>{encode(one.key)}</Key>"
            f"<LastModified>{iso_second(one.last_modified_ms)}</LastModified>"
            f"<ETag>&quot;{one.etag}&quot;</ETag>{checksum}<Size>{one.size}</Size>{owner}"
            f"<StorageClass>{one.storage_class}</StorageClass>{one.restore_status}</Contents>"
        )


@dataclass(slots=True)
class ListedVersion:
    """A version of an object, or a delete marker, which has no ETag, size and checksum."""

    key: bytes
    version_id: str
    latest: bool
    marker: bool
    last_modified_ms: int
    etag: str
    size: int
    owner: Owner
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    restore_status: str = ""


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A page of ListObjectVersions; the next markers are shown when given."""

    bucket: str
    versions: Sequence[ListedVersion]
    common_prefixes: Sequence[bytes]
    max_keys: int
    truncated: bool
    key_marker: bytes = b""
    version_id_marker: str = ""
    next_key_marker: bytes | None = None
    next_version_id_marker: str | None = None
    prefix: bytes = b""
    delimiter: bytes | None = None
    encoding_type: str | None = None


def render_versions(page: VersionPage) -> bytes:
    """ListVersionsResult; versions and markers in one order, as they are listed."""
    encode = _name_encoder(page.encoding_type)
    return document(
        "ListVersionsResult",
        tag("Name", page.bucket),
        f"<Prefix>{encode(page.prefix)}</Prefix>",
        f"<KeyMarker>{encode(page.key_marker)}</KeyMarker>",
        tag("VersionIdMarker", page.version_id_marker),
        _maybe("NextKeyMarker", page.next_key_marker, encode),
        optional("NextVersionIdMarker", page.next_version_id_marker),
        tag("MaxKeys", page.max_keys),
        _maybe("Delimiter", page.delimiter, encode),
        optional("EncodingType", page.encoding_type),
        flag("IsTruncated", page.truncated),
        *(_version(one, encode) for one in page.versions),
        *_prefixes(page.common_prefixes, encode),
    )


def _version(one: ListedVersion, encode: Callable[[bytes], str]) -> str:
    named = (
        f"<Key>{encode(one.key)}</Key><VersionId>{one.version_id}</VersionId>"
        f"{flag('IsLatest', one.latest)}"
        f"<LastModified>{iso_second(one.last_modified_ms)}</LastModified>"
    )
    if one.marker:
        return element("DeleteMarker", named, owner_element(one.owner))
    return element(
        "Version",
        named,
        etag_element(one.etag),
        optional("ChecksumAlgorithm", one.checksum_algorithm),
        optional("ChecksumType", one.checksum_type),
        tag("Size", one.size),
        owner_element(one.owner),
        tag("StorageClass", one.storage_class),
        one.restore_status,
    )


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: bytes
    upload_id: str
    initiated_ms: int
    owner: Owner
    initiator: Owner
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True)
class UploadPage:
    """A page of ListMultipartUploads; the next markers are shown when given."""

    bucket: str
    uploads: Sequence[ListedUpload]
    common_prefixes: Sequence[bytes]
    max_uploads: int
    truncated: bool
    key_marker: bytes = b""
    upload_id_marker: str = ""
    next_key_marker: bytes | None = None
    next_upload_id_marker: str | None = None
    prefix: bytes = b""
    delimiter: bytes | None = None
    encoding_type: str | None = None


def render_uploads(page: UploadPage) -> bytes:
    """ListMultipartUploadsResult."""
    encode = _name_encoder(page.encoding_type)
    uploads = (
        element(
            "Upload",
            f"<Key>{encode(one.key)}</Key>",
            tag("UploadId", one.upload_id),
            owner_element(one.initiator, "Initiator"),
            owner_element(one.owner),
            tag("StorageClass", one.storage_class),
            tag("Initiated", iso(one.initiated_ms)),
            optional("ChecksumAlgorithm", one.checksum_algorithm),
            optional("ChecksumType", one.checksum_type),
        )
        for one in page.uploads
    )
    return document(
        "ListMultipartUploadsResult",
        tag("Bucket", page.bucket),
        f"<KeyMarker>{encode(page.key_marker)}</KeyMarker>",
        tag("UploadIdMarker", page.upload_id_marker),
        _maybe("NextKeyMarker", page.next_key_marker, encode),
        optional("NextUploadIdMarker", page.next_upload_id_marker),
        f"<Prefix>{encode(page.prefix)}</Prefix>",
        _maybe("Delimiter", page.delimiter, encode),
        optional("EncodingType", page.encoding_type),
        tag("MaxUploads", page.max_uploads),
        flag("IsTruncated", page.truncated),
        *uploads,
        *_prefixes(page.common_prefixes, encode),
    )


@dataclass(frozen=True, slots=True)
class ListedPart:
    """An uploaded part; `checksums`: algorithm -> base64."""

    number: int
    last_modified_ms: int
    etag: str
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartPage:
    """A page of ListParts."""

    bucket: str
    key: bytes
    upload_id: str
    owner: Owner
    initiator: Owner
    parts: Sequence[ListedPart]
    max_parts: int
    truncated: bool
    marker: int = 0
    next_marker: int | None = None
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


def render_parts(page: PartPage) -> bytes:
    """ListPartsResult."""
    parts = (
        element(
            "Part",
            tag("PartNumber", one.number),
            tag("LastModified", iso_second(one.last_modified_ms)),
            etag_element(one.etag),
            tag("Size", one.size),
            checksum_elements(one.checksums),
        )
        for one in page.parts
    )
    return document(
        "ListPartsResult",
        tag("Bucket", page.bucket),
        f"<Key>{plain(page.key)}</Key>",
        tag("UploadId", page.upload_id),
        owner_element(page.initiator, "Initiator"),
        owner_element(page.owner),
        tag("StorageClass", page.storage_class),
        tag("PartNumberMarker", page.marker),
        optional("NextPartNumberMarker", page.next_marker),
        tag("MaxParts", page.max_parts),
        flag("IsTruncated", page.truncated),
        optional("ChecksumAlgorithm", page.checksum_algorithm),
        optional("ChecksumType", page.checksum_type),
        *parts,
    )
