"""What single headers and query parameters ask of an operation, as values.

Sources: the AWS API reference of each operation; its error messages for the words.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from coffre.catalog.records import NULL_VERSION
from coffre.system.entropy import ID_BYTES
from coffre.wire.bucket_settings import Ownership
from coffre.wire.customer_key import names_customer_key
from coffre.wire.errors import S3Error
from coffre.wire.names import check_key
from coffre.wire.request import RequestHead
from coffre.wire.tags import parse_form

MAX_PART_NUMBER: Final = 10_000
_DIRECTIVES: Final = frozenset({"COPY", "REPLACE"})
_ATTRIBUTES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


def invalid(name: str, value: str, message: str) -> S3Error:
    """InvalidArgument that names the parameter and repeats its value."""
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


def check_query(head: RequestHead) -> None:
    """InvalidArgument where a parameter is not UTF-8: from here on all of them are."""
    for name, text in head.query.items():
        if name == "marker":
            continue  # whose listing says what it makes of one that is no text
        if not (name.isascii() and text.isascii()):
            try:
                (name + text).encode()
            except UnicodeEncodeError:
                raise invalid(name, text, "Query parameters must be UTF-8") from None


def count(head: RequestHead, name: str, most: int) -> int:
    """A page size of the query: `most` when absent or larger."""
    text = head.query.get(name, "")
    if not text:
        return most
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 1 << 31):
        raise invalid(name, text, f"Provided {name} not an integer or within integer range")
    return min(int(text), most)


def raw(head: RequestHead, name: str) -> bytes | None:
    """A query parameter's decoded bytes; None when it is absent."""
    text = head.query.get(name)
    return None if text is None else text.encode("utf-8", "surrogateescape")


def encoding_type(head: RequestHead) -> str | None:
    text = head.query.get("encoding-type") or None
    if text not in (None, "url"):
        raise invalid("encoding-type", text or "", "Invalid Encoding Method specified in Request")
    return text


def part_number(head: RequestHead) -> int | None:
    """`partNumber`; None when it is absent. Raises InvalidArgument outside 1 to 10 000."""
    text = head.query.get("partNumber")
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 1 <= number <= MAX_PART_NUMBER:
        raise invalid(
            "partNumber", text, "Part number must be an integer between 1 and 10000, inclusive"
        )
    return number


def part_number_marker(head: RequestHead) -> int:
    """`part-number-marker` of ListParts: parts after it are listed; 0 when absent."""
    return _part_marker(head.query.get("part-number-marker"), "part-number-marker")


def attributes_page(head: RequestHead, most: int) -> tuple[int, int]:
    """Page size (at most `most`) and part marker of GetObjectAttributes, which are headers."""
    size = head.header(b"x-amz-max-parts")
    if size and not (size.isascii() and size.isdigit() and len(size) <= 10):
        raise invalid("x-amz-max-parts", size, "Provided x-amz-max-parts is not an integer")
    marker = head.header(b"x-amz-part-number-marker")
    return min(int(size or most), most), _part_marker(marker, "x-amz-part-number-marker")


def _part_marker(text: str | None, name: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise invalid(name, text, f"Argument {name} must be an integer between 0 and 2147483647")
    return int(text)


def version_id(head: RequestHead) -> bytes | None:
    """`versionId` as the catalog keeps it (`null` is b""); None when it is absent."""
    text = head.query.get("versionId")
    return None if text is None else stored_version_id(text)


def stored_version_id(text: str, name: str = "versionId") -> bytes:
    """A version id as the catalog keeps it. Raises InvalidArgument for what cannot be one."""
    if text == "null":
        return NULL_VERSION
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != ID_BYTES or found.hex() != text:
        raise invalid(name, text, "Invalid version id specified")
    return found


def show_version_id(stored: bytes) -> str:
    """A version's id as clients see it."""
    return stored.hex() or "null"


def upload_id(head: RequestHead) -> bytes:
    """`uploadId` as the catalog keeps it. Raises NoSuchUpload for what cannot be one."""
    text = head.query["uploadId"]
    found = parse_upload_id(text)
    if found is None:
        raise S3Error("NoSuchUpload", UploadId=text)
    return found


def parse_upload_id(text: str) -> bytes | None:
    try:
        found = urlsafe_b64decode(text.encode("ascii") + b"==")
    except ValueError:
        return None
    return found if len(found) == ID_BYTES and show_upload_id(found) == text else None


def show_upload_id(upload: bytes) -> str:
    """An upload's id as clients see it."""
    return urlsafe_b64encode(upload).rstrip(b"=").decode()


def tags(head: RequestHead) -> dict[str, str]:
    """`x-amz-tagging`: `key=value&…`, form-encoded, as on AWS."""
    text = head.header(b"x-amz-tagging")
    return parse_form(text) if text else {}


@dataclass(frozen=True, slots=True)
class CopySource:
    """What `x-amz-copy-source` names; `version_id` as the catalog keeps it."""

    bucket: str
    key: bytes
    version_id: bytes | None


def copy_source(head: RequestHead) -> CopySource:
    """`[/]bucket/key[?versionId=id]`, URL-encoded. Raises InvalidArgument, KeyTooLongError.

    The `?` splits before anything is decoded, so that an encoded one can stand in a key. A client
    that encodes nothing and has a `?` in its key is read as AWS reads it.
    """
    text = head.header(b"x-amz-copy-source") or ""
    path, mark, version = text.partition("?versionId=")
    bucket, _, key = unquote_to_bytes(path.removeprefix("/")).partition(b"/")
    if not bucket and path.startswith(("%2F", "%2f")):
        bucket, _, key = key.partition(b"/")
    if not bucket or not key:
        raise invalid(
            "x-amz-copy-source",
            text,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    check_key(key)
    wanted = unquote_to_bytes(version).decode(errors="replace")
    return CopySource(
        bucket.decode(errors="replace"), key, stored_version_id(wanted) if mark else None
    )


def replaces_metadata(head: RequestHead) -> bool:
    """Whether a copy takes its metadata from the request, not from its source (the default)."""
    return _replaces(head, "metadata")


def replaces_tags(head: RequestHead) -> bool:
    """Whether a copy takes its tags from the request, not from its source (the default)."""
    return _replaces(head, "tagging")


def copies_annotations(head: RequestHead) -> bool:
    """Whether a copy takes over its source's annotations (the default)."""
    name = "x-amz-object-annotation-directive"
    text = head.header(name.encode()) or head.query.get(name) or "COPY"
    if text not in ("COPY", "EXCLUDE"):
        raise invalid(name, text, "Unknown annotation directive.")
    return text == "COPY"


def _replaces(head: RequestHead, what: str) -> bool:
    name = f"x-amz-{what}-directive"
    text = head.header(name.encode()) or "COPY"
    if text not in _DIRECTIVES:
        raise invalid(name, text, f"Unknown {what} directive.")
    return text == "REPLACE"


def attributes(head: RequestHead) -> frozenset[str]:
    """`x-amz-object-attributes`: at least one of the known five."""
    text = ",".join(
        value.decode("latin-1") for value in head.by_name.get(b"x-amz-object-attributes", ())
    )
    asked = frozenset(word for piece in text.split(",") if (word := piece.strip()))
    if not asked or not asked <= _ATTRIBUTES:
        raise invalid("x-amz-object-attributes", text, "Invalid attribute name specified.")
    return asked


def byte_range(head: RequestHead) -> str | None:
    """`Range`, for `wire.ranges.resolve`."""
    return head.header(b"range")


def copy_source_range(head: RequestHead) -> str | None:
    """`x-amz-copy-source-range`, for `wire.ranges.copy_range`."""
    return head.header(b"x-amz-copy-source-range")


def wants_checksum(head: RequestHead) -> bool:
    """`x-amz-checksum-mode: ENABLED`."""
    return (head.header(b"x-amz-checksum-mode") or "").upper() == "ENABLED"


def object_ownership(head: RequestHead) -> Ownership | None:
    """`x-amz-object-ownership`; None when it is absent. Raises InvalidArgument."""
    text = head.header(b"x-amz-object-ownership")
    if text is None:
        return None
    try:
        return Ownership(text)
    except ValueError:
        message = f"Invalid x-amz-object-ownership header: {text}"
        raise invalid("x-amz-object-ownership", text, message) from None


def names_attributes(head: RequestHead) -> bool:
    """Whether a copy names attributes that may differ from the source's (they need not)."""
    named = (
        *(b"x-amz-storage-class", b"x-amz-server-side-encryption"),
        b"x-amz-website-redirect-location",
    )
    return any(name in head.by_name for name in named) or names_customer_key(head)


def object_size(head: RequestHead) -> int | None:
    """`x-amz-mp-object-size`: what the client expects a completed object to measure."""
    text = head.header(b"x-amz-mp-object-size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid("x-amz-mp-object-size", text, "Value for x-amz-mp-object-size is invalid.")
    return int(text)
