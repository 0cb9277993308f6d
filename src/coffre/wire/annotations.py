"""Annotations of objects on the wire: names, the texts that they may be, and answers.

Source: AWS API reference of PutObjectAnnotation, ListObjectAnnotations, and botocore's model.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coffre.wire.dates import iso_second
from coffre.wire.documents import plain
from coffre.wire.errors import S3Error
from coffre.wire.xml import document, element, optional, tag

PAYLOAD_LIMIT: Final = 1 << 20  # bytes
NAME_LIMIT: Final = 512  # bytes
PAGE: Final = 1000


def check_name(name: str) -> None:
    """Raises InvalidAnnotationName (none, `aws…` or `s3…` in any case, or a control character),
    AnnotationNameTooLong."""
    if len(name.encode()) > NAME_LIMIT:
        raise S3Error("AnnotationNameTooLong")
    reserved = name.lower().startswith(("aws", "s3"))
    if not name or reserved or any(one < " " or one == "\x7f" for one in name):
        raise S3Error("InvalidAnnotationName")


def check_prefix(prefix: str) -> None:
    """Raises InvalidPrefix for what no name begins with."""
    if len(prefix.encode()) > NAME_LIMIT or any(one < " " or one == "\x7f" for one in prefix):
        raise S3Error("InvalidPrefix")


class TextCheck:
    """Says of bytes, piece by piece, whether they are UTF-8. Raises UnsupportedMediaType."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, piece: bytes) -> None:
        self._decode(piece, final=False)

    def finish(self) -> None:
        self._decode(b"", final=True)

    def _decode(self, piece: bytes, *, final: bool) -> None:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise S3Error("UnsupportedMediaType") from error


@dataclass(frozen=True, slots=True)
class AnnotationEntry:
    """One annotation as a listing shows it."""

    name: str
    modified_ms: int
    etag: str
    algorithm: str
    size: int


@dataclass(frozen=True, slots=True)
class AnnotationPage:
    """A page of an object's annotations, with what was asked for."""

    bucket: str
    key: bytes
    entries: Sequence[AnnotationEntry]
    most: int
    prefix: str | None = None
    token: str | None = None
    next_token: str | None = None


def render_put(key: bytes, name: str) -> bytes:
    """PutObjectAnnotationOutput."""
    return document(
        "PutObjectAnnotationOutput", f"<Key>{plain(key)}</Key>", tag("AnnotationName", name)
    )


def render_page(page: AnnotationPage) -> bytes:
    """ListObjectAnnotationsResult."""
    entries = "".join(_entry(one) for one in page.entries)
    return document(
        "ListObjectAnnotationsResult",
        element("Annotations", entries) if entries else "",
        tag("Bucket", page.bucket),
        f"<Key>{plain(page.key)}</Key>",
        optional("AnnotationPrefix", page.prefix),
        tag("MaxAnnotationResults", page.most),
        tag("AnnotationCount", len(page.entries)),
        optional("ContinuationToken", page.token),
        optional("NextContinuationToken", page.next_token),
    )


def _entry(one: AnnotationEntry) -> str:
    return element(
        "AnnotationEntry",
        tag("AnnotationName", one.name),
        tag("LastModified", iso_second(one.modified_ms)),
        tag("ETag", f'"{one.etag}"'),
        tag("ChecksumAlgorithm", one.algorithm),
        tag("Size", one.size),
    )
