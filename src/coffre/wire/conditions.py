"""Conditional requests: what a request demands of the object that it reads, copies or replaces.

Order and meaning: RFC 9110 §13.2.2; a copy answers every failed condition with 412 (AWS,
CopyObject). Last-Modified counts whole seconds: stored milliseconds are dropped before comparing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from coffre.wire.dates import http_date, parse_http_date, parse_iso
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

_TAG: Final = re.compile(r'(W/)?(?:"([^"]*)"|([^\s,"]+))')
_COPY: Final = "x-amz-copy-source-"
_MODIFIED: Final = b"x-amz-if-match-last-modified-time"
_SIZE: Final = b"x-amz-if-match-size"


@dataclass(frozen=True, slots=True)
class Conditions:
    """ETag lists as sent, instants in milliseconds; None where the header is absent or no date."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since_ms: int | None = None
    if_unmodified_since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class WriteCondition:
    """`if_match`: an ETag without quotes, or `*`; `if_none_match`: the key must not exist yet."""

    if_match: str | None = None
    if_none_match: bool = False


@dataclass(frozen=True, slots=True)
class DeleteCondition:
    """`if_match` as in `WriteCondition`; Last-Modified in whole seconds since 1970; size in
    bytes."""

    if_match: str | None = None
    modified_s: int | None = None
    size: int | None = None


_WRITE: Final = frozenset({b"if-match", b"if-none-match"})
_UNCONDITIONAL: Final = WriteCondition()


def _joined(head: RequestHead, name: str) -> str | None:
    """A list header whole: repeats are one list (RFC 9110 §5.3)."""
    values = head.by_name.get(name.encode())
    return b",".join(values).decode("latin-1").strip() if values else None


def _read(head: RequestHead, prefix: str) -> Conditions:
    modified = head.header(f"{prefix}if-modified-since".encode())
    unmodified = head.header(f"{prefix}if-unmodified-since".encode())
    return Conditions(
        _joined(head, f"{prefix}if-match"),
        _joined(head, f"{prefix}if-none-match"),
        parse_http_date(modified) if modified else None,
        parse_http_date(unmodified) if unmodified else None,
    )


def read_conditions(head: RequestHead) -> Conditions:
    """The conditions that a GET or HEAD sets."""
    return _read(head, "")


def copy_source_conditions(head: RequestHead) -> Conditions:
    """The conditions that a copy sets on its source (`x-amz-copy-source-if-*`)."""
    return _read(head, _COPY)


def _names(tags: str, etag: str, *, weak: bool) -> bool:
    """Whether a list names the ETag; a weak tag counts only in a weak comparison."""
    if tags == "*":
        return True
    return any(
        (quoted or bare) == etag and (weak or not mark) for mark, quoted, bare in _TAG.findall(tags)
    )


def _failed(asked: Conditions, etag: str, last_modified_ms: int) -> str | None:
    """The first condition that does not hold, in the order of RFC 9110."""
    second = last_modified_ms // 1000 * 1000
    if asked.if_match is not None:
        if not _names(asked.if_match, etag, weak=False):
            return "If-Match"
    elif asked.if_unmodified_since_ms is not None and second > asked.if_unmodified_since_ms:
        return "If-Unmodified-Since"
    if asked.if_none_match is not None:
        if _names(asked.if_none_match, etag, weak=True):
            return "If-None-Match"
    elif asked.if_modified_since_ms is not None and second <= asked.if_modified_since_ms:
        return "If-Modified-Since"
    return None


def check_read(asked: Conditions, etag: str, last_modified_ms: int) -> None:
    """PreconditionFailed, or NotModified with the headers that a 304 carries, or nothing.

    `etag` is the object's, without quotes.
    """
    failed = _failed(asked, etag, last_modified_ms)
    if failed in ("If-None-Match", "If-Modified-Since"):
        raise S3Error(
            "NotModified",
            headers=(
                (b"etag", f'"{etag}"'.encode()),
                (b"last-modified", http_date(last_modified_ms).encode()),
            ),
        )
    if failed is not None:
        raise S3Error("PreconditionFailed", Condition=failed)


def check_copy_source(asked: Conditions, etag: str, last_modified_ms: int) -> None:
    """PreconditionFailed unless the source is as the copy demands."""
    failed = _failed(asked, etag, last_modified_ms)
    if failed is not None:
        raise S3Error("PreconditionFailed", Condition=_COPY + failed)


def write_conditions(head: RequestHead) -> WriteCondition:
    """What a PUT, Complete or DELETE demands of the key's current version.

    AWS knows If-None-Match only as `*`, If-Match only with one tag, and not both: NotImplemented.
    A weak tag keeps its `W/` and so equals no stored ETag.
    """
    if _WRITE.isdisjoint(head.by_name):
        return _UNCONDITIONAL
    match, none_match = _joined(head, "if-match"), _joined(head, "if-none-match")
    if none_match is not None and none_match != "*":
        raise _not_implemented("If-None-Match")
    if match is None:
        return WriteCondition(None, none_match is not None)
    tags = _TAG.findall(match)
    if none_match is not None or len(tags) != 1:
        raise _not_implemented("If-Match")
    mark, quoted, bare = tags[0]
    return WriteCondition(mark + (quoted or bare), False)


def delete_conditions(head: RequestHead) -> DeleteCondition:
    """What a DELETE demands of the version that it deletes (AWS, DeleteObject).

    NotImplemented for If-None-Match, InvalidArgument for what is no date and no size.
    """
    asked = write_conditions(head)
    if asked.if_none_match:
        raise _not_implemented("If-None-Match")
    modified, size = head.header(_MODIFIED), head.header(_SIZE)
    modified_ms = None
    if modified is not None:
        modified_ms = parse_http_date(modified)
        if modified_ms is None:
            modified_ms = parse_iso(modified)
        if modified_ms is None:
            raise _invalid(_MODIFIED, modified)
    if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 18):
        raise _invalid(_SIZE, size)
    return DeleteCondition(
        asked.if_match,
        None if modified_ms is None else modified_ms // 1000,
        None if size is None else int(size),
    )


def _invalid(name: bytes, value: str) -> S3Error:
    return S3Error("InvalidArgument", ArgumentName=name.decode(), ArgumentValue=value)


def _not_implemented(header: str) -> S3Error:
    return S3Error("NotImplemented", Header=header)
