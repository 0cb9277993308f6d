"""GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Checksum, PartIndex, Version
from coffre.s3 import archive, ecs_read, parameters, versions
from coffre.s3.content import DEFAULT_ALGORITHM, Replaced, begun, read_content, whole_content
from coffre.s3.context import Context
from coffre.s3.encryption import open_protected
from coffre.s3.response import WHOLE_BYTES, Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.conditions import check_read, read_conditions
from coffre.wire.dates import http_date
from coffre.wire.documents import (
    Attributes,
    PartAttributes,
    PartsAttributes,
    render_attributes,
)
from coffre.wire.errors import S3Error
from coffre.wire.kms import refuse_encryption
from coffre.wire.metadata import OVERRIDES, headers, overrides
from coffre.wire.ranges import resolve

_CONDITIONS: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)

# How often an object that is replaced all the time is looked for.
_LOOKS: Final = 8


async def get_object(context: Context) -> Response:
    """GetObject. An object that was replaced before its bytes were found is looked for again."""
    for _ in range(_LOOKS - 1):
        try:
            return await _get_object(context)
        except Replaced:
            continue
    return await _get_object(context)


async def _get_object(context: Context) -> Response:
    """Raises Replaced."""
    version, response, start, end, data_key = await _look(context)
    archive.check_readable(version)
    if start == end:
        response.headers.append((b"content-length", b"0"))
        return response
    ranges = ecs_read.several_ranges(context, version) if context.ecs else []
    if ranges:
        return ecs_read.multipart(context, version, response.headers, ranges, data_key)
    manifest = versions.manifest(version)
    if end - start <= WHOLE_BYTES:
        response.body = await whole_content(context, manifest, start, end, data_key)
    else:
        response.stream = read_content(context, manifest, start, end, data_key)
        if manifest.blob is None:
            response.stream = await begun(response.stream)
        response.length = end - start
    return response


async def head_object(context: Context) -> Response:
    """HeadObject: GetObject's headers without its body."""
    # A checksum says something of the content: telling it is reading.
    read = parameters.wants_checksum(context.head)
    _, response, start, end, _ = await _look(context, read=read)
    response.headers.append((b"content-length", b"%d" % (end - start)))
    return response


async def _look(
    context: Context, *, read: bool = True
) -> tuple[Version, Response, int, int, bytes | None]:
    """The version, the answer's status and headers, the bytes start..end that it is about, and
    the key for them if it is not the store's (and they are to be `read`)."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    refuse_encryption(head)
    check_expected_owner(head, bucket)
    version = versions.find(context, bucket, context.key, parameters.version_id(head))
    protection = await open_protected(context, version.encryption, read=read)
    if not _CONDITIONS.isdisjoint(head.by_name):
        check_read(read_conditions(head), version.etag, version.modified_ms)
    told = versions.describe(context, version, protection.headers)
    if head.raw_query:
        told = _overridden(context, told)
    number = parameters.part_number(head) if head.raw_query else None
    asked = parameters.byte_range(head)
    size, checksum = version.size, version.checksum
    if number is None:
        found = resolve(asked, size) if asked is not None else None
    else:
        if asked is not None:
            raise S3Error(
                "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"
            )
        found, checksum = _part(version, number)
        if version.parts_count:
            told.append((b"x-amz-mp-parts-count", b"%d" % version.parts_count))
    whole = found is None or number is not None
    if whole and checksum is not None and parameters.wants_checksum(head):
        told += versions.checksum_headers(checksum)
    if found is None:
        return version, Response(200, told), 0, size, protection.data_key
    start, end = found[0], found[1] + 1
    told.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
    return version, Response(206, told), start, end, protection.data_key


def _overridden(context: Context, told: list[Header]) -> list[Header]:
    """The headers as the query's `response-*` parameters have them; a signed request only."""
    if OVERRIDES.keys().isdisjoint(context.head.query):
        return told
    if context.principal.user_id is None:
        raise S3Error(
            "InvalidRequest",
            "Request specific response headers cannot be used for anonymous GET requests.",
        )
    changed = headers(overrides(context.head))
    names = {name for name, _ in changed}
    return [*(one for one in told if one[0] not in names), *changed]


def _part(version: Version, number: int) -> tuple[tuple[int, int] | None, Checksum | None]:
    """First and last byte of the `number`th part, and its checksum. Raises InvalidPartNumber.

    An object that was not uploaded in parts is its own first part.
    """
    if not version.parts_count and number == 1:
        return ((0, version.size - 1) if version.size else None), version.checksum
    at = 0
    for index, part in enumerate(versions.manifest(version).parts, 1):
        if index == number:
            return ((at, at + part.size - 1) if part.size else None), _of_part(version, part)
        at += part.size
    raise S3Error(
        "InvalidPartNumber",
        ActualPartCount=str(version.parts_count or 1),
        PartNumberRequested=str(number),
    )


def _of_part(version: Version, part: PartIndex) -> Checksum | None:
    whole = version.checksum
    if whole is None or not part.checksum:
        return None
    return Checksum(whole.algorithm, part.checksum, whole.type)


async def get_object_attributes(context: Context) -> Response:
    """GetObjectAttributes."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    asked = parameters.attributes(head)
    version = versions.find(context, bucket, context.key, parameters.version_id(head))
    await open_protected(context, version.encryption, read=False)
    if not _CONDITIONS.isdisjoint(head.by_name):
        check_read(read_conditions(head), version.etag, version.modified_ms)
    checksum = version.checksum if "Checksum" in asked else None
    found = Attributes(
        etag=version.etag if "ETag" in asked else None,
        checksums=versions.checksum_values(checksum),
        checksum_type=checksum.type if checksum is not None else None,
        parts=_parts_page(context, version) if "ObjectParts" in asked else None,
        storage_class=version.storage_class if "StorageClass" in asked else None,
        size=version.size if "ObjectSize" in asked else None,
    )
    return xml(
        render_attributes(found),
        (b"last-modified", http_date(version.modified_ms).encode()),
        *versions.version_header(bucket, version.version_id),
    )


def _parts_page(context: Context, version: Version) -> PartsAttributes | None:
    if not version.parts_count:
        return None
    most, marker = parameters.attributes_page(context.head, context.limits.page)
    rest = [part for part in versions.manifest(version).parts if part.number > marker]
    page = rest[:most]
    # The checksum that every upload has is none that was asked for: its parts are not listed.
    checksum = version.checksum
    algorithm = "" if checksum is None else checksum.algorithm
    return PartsAttributes(
        total=version.parts_count,
        marker=marker,
        next_marker=page[-1].number if page else marker,
        max_parts=most,
        truncated=len(rest) > len(page),
        parts=[
            PartAttributes(part.number, part.size, {algorithm: part.checksum})
            for part in page
            if part.checksum and algorithm != DEFAULT_ALGORITHM
        ],
    )
