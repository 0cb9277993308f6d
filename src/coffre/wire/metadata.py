"""What a client asks to be kept and given back with an object: user and system metadata.

Stored form: lower-case header name -> text, user metadata with its `x-amz-meta-` prefix. Limits and
the encoding of answers: AWS "Working with object metadata".
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

USER_PREFIX: Final = "x-amz-meta-"
_USER_PREFIX: Final = USER_PREFIX.encode()
USER_LIMIT: Final = 2048  # bytes of names (without prefix) and values
SYSTEM_LIMIT: Final = 8192  # bytes of system values
DEFAULT_CONTENT_TYPE: Final = "binary/octet-stream"
REDIRECT: Final = "x-amz-website-redirect-location"

# query parameter -> header that it overrides in the answer of a signed GET or HEAD
OVERRIDES: Final[dict[str, str]] = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}

_SYSTEM: Final = {
    name.encode(): name
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        REDIRECT,
    )
}
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def read(head: RequestHead) -> dict[str, str]:
    """All metadata of an upload in stored form; Content-Type always present.

    InvalidArgument (line breaks, control characters), MetadataTooLarge, InvalidRedirectLocation.
    """
    return {**system_metadata(head), **user_metadata(head)}


def user_metadata(head: RequestHead) -> dict[str, str]:
    """`x-amz-meta-*` in stored form; repeats joined with a comma.

    Values are UTF-8, or latin-1 where they are not. MetadataTooLarge over 2 KB.
    """
    prefix, found, size = _USER_PREFIX, {}, 0
    for name, values in head.by_name.items():
        if not name.startswith(prefix):
            continue
        text = ",".join(_text(value) for value in values)
        bare = name[len(prefix) :]
        if not _NAME.fullmatch(bare):
            raise S3Error("InvalidArgument", ArgumentName=name.decode("latin-1"))
        found[name.decode()] = _checked(name.decode(), text)
        size += len(bare) + len(text.encode())
    if size > USER_LIMIT:
        raise S3Error("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(USER_LIMIT))
    return found


def system_metadata(head: RequestHead) -> dict[str, str]:
    """The system metadata that AWS keeps, in stored form; `aws-chunked` is a transfer matter."""
    if _SYSTEM.keys().isdisjoint(head.by_name):
        return {"content-type": DEFAULT_CONTENT_TYPE}
    found = {}
    for raw_name, name in _SYSTEM.items():
        values = head.by_name.get(raw_name)
        if values:
            found[name] = _checked(name, ",".join(_text(value) for value in values))
    encodings = found.get("content-encoding", "").split(",")
    kept = [one.strip() for one in encodings if one.strip().lower() != "aws-chunked"]
    found["content-encoding"] = ",".join(kept)
    found["content-type"] = found.get("content-type") or DEFAULT_CONTENT_TYPE
    found = {name: value for name, value in found.items() if value}
    if not found.get(REDIRECT, "/").startswith(("/", "http://", "https://")):
        raise S3Error("InvalidRedirectLocation")
    if sum(len(value.encode()) for value in found.values()) > SYSTEM_LIMIT:
        raise S3Error("RequestHeaderSectionTooLarge", MaxSizeAllowed=str(SYSTEM_LIMIT))
    return found


def overrides(head: RequestHead) -> dict[str, str]:
    """`response-*` parameters as header name -> value; InvalidArgument where one could split lines.

    The caller refuses them on anonymous requests.
    """
    asked = {name: head.query[name] for name in OVERRIDES if name in head.query}
    return {OVERRIDES[name]: _checked(name, value) for name, value in asked.items()}


def headers(stored: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Response headers of stored metadata or overrides.

    User values that are not ASCII go out as one RFC 2047 word, as on AWS; system values as UTF-8.
    """
    return [(name.encode(), _encoded(name, value)) for name, value in stored.items()]


def _encoded(name: str, value: str) -> bytes:
    if value.isascii() or not name.startswith(USER_PREFIX):
        return value.encode("utf-8", "surrogateescape")
    return b"=?UTF-8?B?%s?=" % b64encode(value.encode())


def _text(value: bytes) -> str:
    value = value.strip(b" \t")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _checked(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise S3Error(
            "InvalidArgument",
            "Header values must not contain control characters",
            ArgumentName=name,
        )
    return value
