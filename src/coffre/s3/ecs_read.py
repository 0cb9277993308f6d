"""GetObject of several ranges at once, as the `ecs` dialect has it (RFC 9110 §14.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from coffre.catalog.records import Version
from coffre.s3 import parameters, versions
from coffre.s3.content import read_content
from coffre.s3.context import Context
from coffre.s3.response import Header, Response
from coffre.system.buffer import Buffer
from coffre.wire import ecs_ranges


def several_ranges(context: Context, version: Version) -> list[tuple[int, int]]:
    """First and last byte of each range that is asked for; empty unless they are several."""
    return ecs_ranges.several(parameters.byte_range(context.head), version.size)


def multipart(
    context: Context,
    version: Version,
    told: list[Header],
    ranges: list[tuple[int, int]],
    data_key: bytes | None,
) -> Response:
    """206 with a part for each range. `told` are the headers of the whole object."""
    boundary = context.services.entropy.bytes(16).hex().encode()
    kept = [one for one in told if one[0] not in (b"content-type", b"content-length")]
    content_type = dict(told).get(b"content-type", b"application/octet-stream")
    heads = [
        b"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
        % (boundary, content_type, first, last, version.size)
        for first, last in ranges
    ]
    end = b"\r\n--%s--\r\n" % boundary
    length = sum(last + 1 - first for first, last in ranges) + sum(map(len, heads)) + len(end)
    kept.append((b"content-type", b"multipart/byteranges; boundary=" + boundary))

    async def parts() -> AsyncIterator[Buffer]:
        manifest = versions.manifest(version)
        for head, (first, last) in zip(heads, ranges, strict=True):
            yield head
            async for piece in read_content(context, manifest, first, last + 1, data_key):
                yield piece
        yield end

    return Response(206, kept, stream=parts(), length=length)
