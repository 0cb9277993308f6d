"""Values of the management API: objects. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct

from coffre.client.types.bucket_documents import Tag


class ObjectRow(Struct, kw_only=True):
    """An object in a list, a version of one, or (`marker`) the mark that one was deleted. The
    answer's `folders` are the common prefixes."""

    key: str
    modified_ms: int
    size: int
    storage_class: str
    version: str
    latest: bool
    marker: bool


class Place(Struct, kw_only=True):
    """Behind which version a page begins."""

    key: str
    version: str = ""


class Failure(Struct, kw_only=True):
    """What was not deleted, and why."""

    key: str
    code: str
    message: str


class Failures(Struct, kw_only=True):
    """Those that were not deleted; none: all are."""

    failures: list[Failure]


class Named(Struct, kw_only=True):
    """An object, or one version of it."""

    key: str
    version: str = ""


class Object(Struct, kw_only=True):
    """An object with what is known of it. `lock_until_ms` 0: not retained; `restore`: S3's words
    on a copy of an archived object; `versions`: the newest of its own, at most 100."""

    key: str
    size: int
    modified_ms: int
    type: str
    etag: str
    version: str
    storage_class: str
    metadata: dict[str, str]
    kept: dict[str, str]
    checksums: dict[str, str]
    encryption: str
    lock_mode: str
    lock_until_ms: int
    held: bool
    restore: str
    parts: int
    tags: list[Tag]
    versions: list[ObjectRow]


class Stored(Struct, kw_only=True):
    """What was stored."""

    key: str
    etag: str
    version: str


class Link(Struct, kw_only=True):
    """A URL that does one thing for whoever has it, until it expires or the person who shares may
    not any more. `drawing` is a QR code of it, an SVG in a `data:` URL ("": too long for one)."""

    url: str
    method: str
    expires_ms: int
    warning: str
    drawing: str


class Upload(Struct, kw_only=True):
    """An upload in parts that was neither completed nor aborted."""

    key: str
    upload: str
    begun_ms: int
    storage_class: str


class Begun(Struct, kw_only=True):
    """An upload in parts that was begun."""

    key: str
    upload: str


class StoredPart(Struct, kw_only=True):
    """What a part is called when the upload is completed."""

    part: int
    etag: str
