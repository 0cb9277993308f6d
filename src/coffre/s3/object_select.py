"""SelectObjectContent: the part of an object that a query asks for."""

from __future__ import annotations

from msgspec.structs import replace

from coffre.catalog.records import Manifest
from coffre.s3 import archive, parameters, versions
from coffre.s3.content import read_content, whole_content
from coffre.s3.context import Context
from coffre.s3.encryption import open_protected
from coffre.s3.response import Response
from coffre.s3.select_job import Job
from coffre.s3.select_process import RunningQuery
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.errors import S3Error
from coffre.wire.select import REQUEST_LIMIT, SelectRequest, parse_select
from coffre.wire.select_sql import parse_sql

_HEADER_BYTES = 1 << 20


async def select_object_content(context: Context) -> Response:
    """SelectObjectContent."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    if head.query.get("select-type") != "2":
        raise parameters.invalid(
            "select-type", head.query.get("select-type", ""), "select-type must be 2"
        )
    request = parse_select(await context.body.document(REQUEST_LIMIT))
    parse_sql(request.expression)
    version = versions.find(context, bucket, context.key, None)
    archive.check_readable(version)
    data_key = (await open_protected(context, version.encryption)).data_key
    manifest, size = versions.manifest(version), version.size
    job, start = _range(request, size, context.now_ms)
    if job.partial and request.csv is not None and request.csv.header != "NONE":
        job = replace(job, header=await _header(context, request, manifest, size, data_key))
    content = read_content(context, manifest, start, size, data_key)
    query = await RunningQuery.start(job, content)
    response = Response(200, [(b"content-type", b"application/octet-stream")])
    response.stream, response.length = query.events(), None
    return response


def _range(request: SelectRequest, size: int, now_ms: int) -> tuple[Job, int]:
    """The job, and the first byte that it is to be given."""
    start, end = request.start, request.end
    if start is None and end is not None:
        start, end = max(size - end, 0), None  # the last `end` bytes
    if not start:
        return Job(request, now_ms, end=end), 0
    if start >= size:
        raise S3Error("InvalidScanRange")
    delimiter = "\n" if request.csv is None else request.csv.record
    # A record begins at `start` if a delimiter ends there: look at what lies before.
    before = max(start - len(delimiter.encode()), 0)
    return Job(request, now_ms, before, True, end), before


async def _header(
    context: Context, request: SelectRequest, manifest: Manifest, size: int, data_key: bytes | None
) -> str:
    """A CSV file's first record, for a range that begins behind it."""
    assert request.csv is not None, "the caller looked"
    most = min(size, _HEADER_BYTES)
    begun = bytes(await whole_content(context, manifest, 0, most, data_key))
    first, found, _ = begun.partition(request.csv.record.encode())
    if not found:
        raise S3Error("OverMaxRecordSize")
    try:
        return first.decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidTextEncoding") from None
