"""The API's rows about objects, their versions, uploads in parts, and share links."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from coffre.console.api.bucket_documents import Tag
from coffre.console.api.fields import InBucket, Key, VersionId
from coffre.console.api.object_bytes import download, upload, upload_part
from coffre.console.api.route import Access, Pages, Route

Prefix = Annotated[
    str, Meta(max_length=1024, description="What names begin with.", examples=["a/"])
]
Delimiter = Annotated[
    str, Meta(max_length=16, description="What ends a folder; empty: no folders.")
]
UploadId = Annotated[str, Meta(min_length=1, max_length=1024)]


class ObjectsAsked(InBucket, kw_only=True):
    prefix: Prefix = ""
    delimiter: Delimiter = "/"
    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Place(Struct):
    """Behind which version a page begins."""

    key: str
    version: str = ""


class VersionsAsked(InBucket, kw_only=True):
    prefix: Prefix = ""
    delimiter: Delimiter = "/"
    after: Place | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ObjectRow(Struct):
    """An object in a list, a version of one, or (`marker`) the mark that one was deleted. The
    answer's `folders` are the common prefixes."""

    key: str
    modified_ms: int
    size: int
    storage_class: str
    version: str
    latest: bool
    marker: bool


class OneObject(InBucket, kw_only=True):
    key: Key
    version: VersionId = ""


class Object(Struct):
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


class UploadAsked(InBucket, kw_only=True):
    """The body is the object; its type is the request's Content-Type."""

    key: Key
    replace: Annotated[bool, Meta(description="Also where an object has the name.")] = False


class Stored(Struct):
    """What was stored."""

    key: str
    etag: str
    version: str


class Named(Struct, forbid_unknown_fields=True):
    """An object, or one version of it."""

    key: Key
    version: VersionId = ""


class ManyObjects(InBucket, kw_only=True):
    objects: Annotated[list[Named], Meta(min_length=1, max_length=1000)]


class Failure(Struct):
    """What was not deleted, and why."""

    key: str
    code: str
    message: str


class Failures(Struct):
    """Those that were not deleted; none: all are."""

    failures: list[Failure]


class VersionAsked(InBucket, kw_only=True):
    key: Key
    version: Annotated[str, Meta(min_length=1, max_length=128)]


class ObjectTags(OneObject, kw_only=True):
    tags: Annotated[list[Tag], Meta(max_length=10)] = []


class Retention(OneObject, kw_only=True):
    mode: Literal["GOVERNANCE", "COMPLIANCE"] | None
    until_ms: Annotated[int | None, Meta(description="Milliseconds since 1970.")] = None
    bypass_governance: bool = False


class LegalHold(OneObject, kw_only=True):
    held: bool


class Thawing(OneObject, kw_only=True):
    days: Annotated[int, Meta(ge=1, le=365, description="How long the copy can be read.")]
    tier: Literal["Expedited", "Standard", "Bulk"] = "Standard"


class LinkAsked(OneObject, kw_only=True):
    purpose: Annotated[
        Literal["GET", "PUT"], Meta(description="To download, or to upload (and replace).")
    ] = "GET"
    expires_s: Annotated[int, Meta(ge=1, le=7 * 24 * 3600, examples=[86400])] = 86_400


class Link(Struct):
    """A URL that does one thing for whoever has it, until it expires or the person who shares may
    not any more. `drawing` is a QR code of it, an SVG in a `data:` URL ("": too long for one)."""

    url: str
    method: str
    expires_ms: int
    warning: str
    drawing: str


class UploadsAsked(InBucket, kw_only=True):
    prefix: Prefix = ""
    after: Place | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Upload(Struct):
    """An upload in parts that was neither completed nor aborted."""

    key: str
    upload: str
    begun_ms: int
    storage_class: str


class UploadBegin(InBucket, kw_only=True):
    key: Key
    content_type: Annotated[str, Meta(max_length=255)] = "application/octet-stream"
    replace: bool = False


class Begun(Struct):
    """An upload in parts that was begun."""

    key: str
    upload: str


class OneUpload(InBucket, kw_only=True):
    key: Key
    upload: UploadId


class PartAsked(OneUpload, kw_only=True):
    """The body is the part."""

    part: Annotated[int, Meta(ge=1, le=10_000)]


class StoredPart(Struct):
    """What a part is called when the upload is completed."""

    part: int
    etag: str


class UploadEnd(OneUpload, kw_only=True):
    etags: Annotated[
        list[str], Meta(min_length=1, max_length=10_000, description="Of parts 1, 2, …")
    ]
    replace: bool = False


_AT: Final = "/stores/{store}/buckets/{bucket}"
_ONE: Final = f"{_AT}/object"
_BYTES: Final = "application/octet-stream"

LISTS: Final = (
    Route(
        operation="object.list",
        method="GET",
        path=f"{_AT}/objects",
        access=Access.SCOPED,
        scope="objects:read",
        arguments=ObjectsAsked,
        answer=ObjectRow,
        pages=Pages(),
        summary="Objects below a prefix, by name, and the folders (`folders`) beside them.",
    ),
    Route(
        operation="object.versions",
        method="GET",
        path=f"{_AT}/versions",
        access=Access.SCOPED,
        scope="objects:read",
        arguments=VersionsAsked,
        answer=ObjectRow,
        pages=Pages(),
        summary="Versions and delete markers below a prefix, the newest of a name first.",
    ),
    Route(
        operation="object.delete_many",
        method="POST",
        path=f"{_AT}/objects/delete",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=ManyObjects,
        answer=Failures,
        summary="Delete up to 1000 objects or versions.",
    ),
)
ONE: Final = (
    Route(
        operation="object.show",
        method="GET",
        path=_ONE,
        access=Access.SCOPED,
        scope="objects:read",
        arguments=OneObject,
        answer=Object,
        summary="Metadata, tags, checksums, lock and versions of an object.",
    ),
    Route(
        operation="object.delete",
        method="DELETE",
        path=_ONE,
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=OneObject,
        summary="Delete an object (where versions are kept: mark it), or one version for good.",
    ),
    Route(
        operation="object.download",
        method="GET",
        path=f"{_ONE}/content",
        access=Access.SCOPED,
        scope="objects:read",
        arguments=OneObject,
        answer=str,
        media=_BYTES,
        handler=download,
        summary="The object, or a range of it, as a file.",
    ),
    Route(
        operation="object.upload",
        method="PUT",
        path=f"{_ONE}/content",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=UploadAsked,
        answer=Stored,
        status=201,
        body=_BYTES,
        handler=upload,
        summary="Store an object in one piece, up to the node's `web_upload_limit`.",
    ),
    Route(
        operation="object.restore",
        method="POST",
        path=f"{_ONE}/restore",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=VersionAsked,
        answer=Stored,
        summary="Make an earlier version the current one, by a copy.",
    ),
    Route(
        operation="object.thaw",
        method="POST",
        path=f"{_ONE}/thaw",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=Thawing,
        status=202,
        summary="Have an archived object readable for some days.",
    ),
    Route(
        operation="object.tags.set",
        method="PUT",
        path=f"{_ONE}/tags",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=ObjectTags,
        summary="Put an object's tags in the place of those before.",
    ),
    Route(
        operation="object.retention.set",
        method="PUT",
        path=f"{_ONE}/retention",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=Retention,
        summary="Lock a version until a date; a null mode: not any more.",
    ),
    Route(
        operation="object.hold.set",
        method="PUT",
        path=f"{_ONE}/legal-hold",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=LegalHold,
        summary="Hold a version, without a date, or let it go.",
    ),
    Route(
        operation="object.share",
        method="POST",
        path=f"{_ONE}/links",
        access=Access.SCOPED,
        scope="objects:write",
        needs="reader",
        arguments=LinkAsked,
        answer=Link,
        status=201,
        summary="A link to download the object, or to upload it.",
    ),
)
UPLOADS: Final = (
    Route(
        operation="upload.list",
        method="GET",
        path=f"{_AT}/uploads",
        access=Access.SCOPED,
        scope="objects:read",
        arguments=UploadsAsked,
        answer=Upload,
        pages=Pages(),
        summary="Uploads in parts that are not complete.",
    ),
    Route(
        operation="upload.begin",
        method="POST",
        path=f"{_AT}/uploads",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=UploadBegin,
        answer=Begun,
        status=201,
        summary="Begin an upload in parts.",
    ),
    Route(
        operation="upload.abort",
        method="DELETE",
        path=f"{_AT}/uploads/{{upload}}",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=OneUpload,
        summary="Forget an upload and its parts.",
    ),
    Route(
        operation="upload.part",
        method="PUT",
        path=f"{_AT}/uploads/{{upload}}/parts/{{part}}",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=PartAsked,
        answer=StoredPart,
        status=201,
        body=_BYTES,
        handler=upload_part,
        summary="Store one part: of 5 MiB to 5 GiB, the last one of any size.",
    ),
    Route(
        operation="upload.complete",
        method="POST",
        path=f"{_AT}/uploads/{{upload}}/complete",
        access=Access.SCOPED,
        scope="objects:write",
        needs="writer",
        arguments=UploadEnd,
        answer=Stored,
        summary="Put the parts together.",
    ),
)
ROUTES: Final = (*LISTS, *ONE, *UPLOADS)
