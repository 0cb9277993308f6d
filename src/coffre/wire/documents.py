"""The XML documents of S3's operations: requests parsed to values, values rendered to answers.

Pages of buckets, objects, uploads and parts are in `listings`.

Element names, order and optionality: AWS API reference, and botocore's model of it. ETags come and
go without quotes here; the quotes are the wire's. Instants are milliseconds since the epoch. Keys,
prefixes, delimiters and markers are UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from coffre.wire.dates import iso_second, parse_http_date, parse_iso
from coffre.wire.errors import S3Error
from coffre.wire.escape import escape
from coffre.wire.tags import BUCKET_TAGS, tag_set
from coffre.wire.xml import (
    boolean,
    document,
    element,
    flag,
    integer,
    leaves,
    malformed,
    optional,
    parse,
    tag,
)

DELETE_LIMIT: Final = 2 << 20  # bytes: 1000 keys of 1 KiB, and as much again for markup
COMPLETE_LIMIT: Final = 4 << 20  # bytes: 10 000 parts of 400 bytes each
MAX_DELETES: Final = 1000
MAX_PARTS: Final = 10_000
CHECKSUMS: Final = (
    *("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"),
    *("SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"),
)
_OBJECT: Final = frozenset(("Key", "VersionId", "ETag", "LastModifiedTime", "Size"))
_PART: Final = frozenset(("PartNumber", "ETag", *(f"Checksum{name}" for name in CHECKSUMS)))
_CREATE: Final = frozenset(("LocationConstraint", "Location", "Bucket", "Tags"))


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """One object to delete, with what it must still be like to be deleted."""

    key: bytes
    version_id: str | None = None
    etag: str | None = None
    last_modified_ms: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """One part as the client names it; `checksums`: algorithm (as in `CHECKSUMS`) -> base64."""

    number: int
    etag: str
    checksums: Mapping[str, str] = field(default_factory=dict)


def parse_create_bucket(body: bytes) -> tuple[str | None, dict[str, str]]:
    """Location constraint and tags of CreateBucketConfiguration; None where it names no place."""
    if not body.strip():
        return None, {}
    root = parse(body, "CreateBucketConfiguration")
    by_name = {child.tag: child for child in root}
    if len(by_name) < len(root) or not by_name.keys() <= _CREATE:
        raise malformed()
    constraint = by_name.get("LocationConstraint")
    tags = by_name.get("Tags")
    return (
        None if constraint is None else (constraint.text or "").strip() or None,
        {} if tags is None else tag_set(tags, BUCKET_TAGS),
    )


def parse_delete(body: bytes) -> tuple[bool, list[DeleteEntry]]:
    """Quiet, and the 1 to 1000 objects of Delete; keys are not yet checked by `names`."""
    root = parse(body, "Delete", limit=DELETE_LIMIT)
    quiet, entries = False, []
    for child in root:
        if child.tag == "Object":
            entries.append(_delete_entry(leaves(child, _OBJECT)))
        elif child.tag == "Quiet":
            quiet = boolean(child.text or "")
        else:
            raise malformed()
    if not 1 <= len(entries) <= MAX_DELETES:
        raise malformed()
    return quiet, entries


def _delete_entry(texts: Mapping[str, str]) -> DeleteEntry:
    if not texts.get("Key"):
        raise malformed()
    modified, size = texts.get("LastModifiedTime"), texts.get("Size")
    modified_ms = None
    if modified is not None:
        modified_ms = parse_iso(modified)
        if modified_ms is None:
            modified_ms = parse_http_date(modified)
        if modified_ms is None:
            raise malformed()
    etag = texts.get("ETag")
    return DeleteEntry(
        texts["Key"].encode(),
        texts.get("VersionId") or None,
        None if etag is None else _unquoted(etag),
        modified_ms,
        None if size is None else integer(size),
    )


def parse_complete(body: bytes) -> list[CompletedPart]:
    """The 1 to 10 000 parts of CompleteMultipartUpload, in the client's order.

    Whether they ascend and exist is the upload's to judge: NoSuchUpload comes before either.
    """
    root = parse(body, "CompleteMultipartUpload", limit=COMPLETE_LIMIT)
    if not 1 <= len(root) <= MAX_PARTS or any(child.tag != "Part" for child in root):
        raise malformed()
    return [_completed_part(leaves(child, _PART)) for child in root]


def _completed_part(texts: dict[str, str]) -> CompletedPart:
    number, etag = integer(texts.pop("PartNumber", "")), texts.pop("ETag", None)
    if etag is None:
        raise malformed()
    if number < 1:
        raise S3Error(
            "InvalidArgument",
            "PartNumber must be >= 1",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    checksums = {name.removeprefix("Checksum"): text.strip() for name, text in texts.items()}
    return CompletedPart(number, _unquoted(etag), checksums)


def _unquoted(etag: str) -> str:
    return etag.strip().removeprefix('"').removesuffix('"')


@dataclass(frozen=True, slots=True)
class Owner:
    """A canonical user: id and the name shown beside it."""

    id: str
    name: str


def owner_element(owner: Owner | None, name: str = "Owner") -> str:
    """Owner or Initiator; nothing for None."""
    if owner is None:
        return ""
    return element(name, tag("ID", owner.id), tag("DisplayName", owner.name))


def etag_element(etag: str) -> str:
    """ETag in its quotes, escaped as AWS does."""
    return f"<ETag>&quot;{escape(etag)}&quot;</ETag>"


def checksum_elements(checksums: Mapping[str, str]) -> str:
    """One element per algorithm (as in `CHECKSUMS`) -> base64."""
    return "".join(tag(f"Checksum{name}", text) for name, text in checksums.items())


def plain(value: bytes) -> str:
    """A key as escaped text."""
    return escape(value.decode(errors="replace"))


def render_location(constraint: str | None) -> bytes:
    """LocationConstraint; empty for us-east-1 (AWS, GetBucketLocation)."""
    return document("LocationConstraint", escape(constraint or ""))


def render_versioning() -> bytes:
    """VersioningConfiguration of a bucket that never had versioning."""
    return document("VersioningConfiguration")


def render_post(location: str, bucket: str, key: bytes, etag: str) -> bytes:
    """PostResponse, which a form can ask for."""
    return document(
        "PostResponse",
        tag("Location", location),
        tag("Bucket", bucket),
        element("Key", plain(key)),
        etag_element(etag),
        xmlns=False,
    )


def render_copy(
    etag: str,
    last_modified_ms: int,
    checksums: Mapping[str, str] | None = None,
    checksum_type: str | None = None,
    *,
    part: bool = False,
) -> bytes:
    """CopyObjectResult, or CopyPartResult for a part (which has no ChecksumType)."""
    return document(
        "CopyPartResult" if part else "CopyObjectResult",
        tag("LastModified", iso_second(last_modified_ms)),
        etag_element(etag),
        checksum_elements(checksums or {}),
        optional("ChecksumType", None if part else checksum_type),
    )


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object that DeleteObjects deleted, or that was not there."""

    key: bytes
    version_id: str | None = None
    delete_marker: bool = False
    delete_marker_version_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteFailure:
    """An object that DeleteObjects could not delete, and why."""

    key: bytes
    code: str
    message: str
    version_id: str | None = None


def render_deletes(
    deleted: Iterable[Deleted], failures: Iterable[DeleteFailure], *, quiet: bool
) -> bytes:
    """DeleteResult; quiet leaves only the failures."""
    done = (
        element(
            "Deleted",
            f"<Key>{plain(one.key)}</Key>",
            optional("VersionId", one.version_id),
            flag("DeleteMarker", True) if one.delete_marker else "",
            optional("DeleteMarkerVersionId", one.delete_marker_version_id),
        )
        for one in deleted
    )
    failed = (
        element(
            "Error",
            f"<Key>{plain(one.key)}</Key>",
            optional("VersionId", one.version_id),
            tag("Code", one.code),
            tag("Message", one.message),
        )
        for one in failures
    )
    return document("DeleteResult", *(() if quiet else done), *failed)


def render_initiated(bucket: str, key: bytes, upload_id: str) -> bytes:
    """InitiateMultipartUploadResult."""
    return document(
        "InitiateMultipartUploadResult",
        tag("Bucket", bucket),
        f"<Key>{plain(key)}</Key>",
        tag("UploadId", upload_id),
    )


def render_completed(
    location: str,
    bucket: str,
    key: bytes,
    etag: str,
    checksums: Mapping[str, str] | None = None,
    checksum_type: str | None = None,
) -> bytes:
    """CompleteMultipartUploadResult; `location` is the object's URL."""
    return document(
        "CompleteMultipartUploadResult",
        tag("Location", location),
        tag("Bucket", bucket),
        f"<Key>{plain(key)}</Key>",
        etag_element(etag),
        checksum_elements(checksums or {}),
        optional("ChecksumType", checksum_type),
    )


@dataclass(frozen=True, slots=True)
class PartAttributes:
    """A part of a completed upload."""

    number: int
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartsAttributes:
    """A page of an object's parts; `total` counts all. `parts` is empty without checksums (AWS)."""

    total: int
    marker: int
    next_marker: int
    max_parts: int
    truncated: bool
    parts: Sequence[PartAttributes] = ()


@dataclass(frozen=True, slots=True)
class Attributes:
    """What GetObjectAttributes was asked for; None for the rest."""

    etag: str | None = None
    checksums: Mapping[str, str] | None = None
    checksum_type: str | None = None
    parts: PartsAttributes | None = None
    storage_class: str | None = None
    size: int | None = None


def render_attributes(asked: Attributes) -> bytes:
    """GetObjectAttributesResponse; the ETag stands without quotes here, as on AWS."""
    checksum = ""
    if asked.checksums:
        texts = checksum_elements(asked.checksums)
        checksum = element("Checksum", texts, optional("ChecksumType", asked.checksum_type))
    return document(
        "GetObjectAttributesResponse",
        optional("ETag", asked.etag),
        checksum,
        _parts_attributes(asked.parts),
        optional("StorageClass", asked.storage_class),
        optional("ObjectSize", asked.size),
    )


def _parts_attributes(page: PartsAttributes | None) -> str:
    if page is None:
        return ""
    parts = (
        element(
            "Part",
            tag("PartNumber", one.number),
            tag("Size", one.size),
            checksum_elements(one.checksums),
        )
        for one in page.parts
    )
    return element(
        "ObjectParts",
        tag("PartsCount", page.total),
        tag("PartNumberMarker", page.marker),
        tag("NextPartNumberMarker", page.next_marker),
        tag("MaxParts", page.max_parts),
        flag("IsTruncated", page.truncated),
        *parts,
    )
