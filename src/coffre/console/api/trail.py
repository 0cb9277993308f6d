"""The API's rows about the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final, Literal

import anyio.to_thread
import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from coffre.console.api.asking import ask_node
from coffre.console.api.fields import StoreName, TenantName
from coffre.console.api.route import Access, Arguments, Pages, Route
from coffre.console.console import console_of
from coffre.console.signed import Signed
from coffre.ledger.exporting import Export, Format, exporting

# One type, as it is described, whatever the file's format.
_FILE: Final = "application/octet-stream"
Text = Annotated[str, Meta(max_length=1024)]
Moment = Annotated[int, Meta(ge=0, description="Milliseconds since 1970.")]


class RecordsNamed(Struct, kw_only=True):
    """Which records; all of what is said holds."""

    tenant: TenantName | None = None
    store: StoreName | None = None
    bucket: Text | None = None
    key: Text | None = None
    prefix: Text | None = None
    principal: Annotated[Text, Meta(examples=["person:ann"])] | None = None
    operation: Annotated[Text, Meta(examples=["DeleteObject"])] | None = None
    outcome: Literal["ok", "denied", "error"] | None = None
    since_ms: Moment | None = None
    until_ms: Moment | None = None


class RecordsAsked(RecordsNamed, kw_only=True):
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class AuditExportAsked(RecordsNamed, kw_only=True):
    format: Format = "jsonl"


class Record(Struct):
    """One thing that was asked for, and what came of it. `decision`: which statement allowed or
    denied it."""

    at_ms: int
    request_id: str
    source: str
    via: str
    store: str
    tenant: str
    principal: str
    access_key: str
    client: str
    operation: str
    bucket: str
    key: str
    version: str
    status: int
    error: str
    bytes_in: int
    bytes_out: int
    duration_ms: float
    tls: bool
    user_agent: str
    decision: str
    detail: str
    id: str = ""


class VerifyAuditAsked(Struct, kw_only=True):
    anchor: Annotated[
        str | None, Meta(description="A `head` of an earlier answer, noted elsewhere.")
    ] = None


class AuditVerdict(Struct):
    """Whether the chain is as it was written. `head`: to be noted elsewhere."""

    verdict: Literal["whole", "broken"]
    batches: int
    records: int
    segments: int
    head: str
    problems: list[dict[str, str]]
    at_ms: int


class AuditStatus(Struct):
    """How much there is, where it lies, and how far each target of the forwarding is."""

    recording: bool
    records: int
    batches: int
    first_ms: int | None
    waiting: dict[str, int]
    segments: int
    segment_bytes: int
    keep_days: float
    removed: dict[str, Any]
    targets: list[dict[str, Any]]


class ForwardAsked(Struct, kw_only=True):
    target: Annotated[str, Meta(min_length=1, max_length=64)]
    since_ms: Moment


class Forwarding(Struct):
    """From which batch on a target gets everything."""

    name: str
    from_batch: int


async def _export(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    """The records, the oldest first, page by page."""
    assert signed is not None, "the row is not open"
    parts = console_of(request).parts
    asked = {name: one for name, one in arguments.items() if name != "format"}
    form = msgspec.convert(arguments.get("format", "jsonl"), Format)
    ask = partial(ask_node, parts, signed, "audit.export_page")
    # Before the answer begins: a refusal is an answer of its own.
    first = await ask(asked)

    async def pages() -> AsyncIterator[bytes]:
        export, page = exporting(form), first
        while True:
            if piece := await anyio.to_thread.run_sync(export.page, page["records"]):
                yield piece
            if page["next"] is None:
                break
            page = await ask({**asked, "after": page["next"]})
        for piece in await anyio.to_thread.run_sync(_end, export):
            yield piece

    headers = {"content-disposition": f'attachment; filename="audit.{form}"'}
    return StreamingResponse(pages(), 200, headers, _FILE)


def _end(export: Export) -> list[bytes]:
    return list(export.end())


ROUTES: Final = (
    Route(
        operation="audit.search",
        method="GET",
        path="/audit",
        access=Access.TENANT_READER,
        scope="audit:read",
        arguments=RecordsAsked,
        answer=Record,
        pages=Pages(items="records"),
        summary="Records, the newest first.",
    ),
    Route(
        operation="audit.export",
        method="GET",
        path="/audit/export",
        access=Access.TENANT_READER,
        scope="audit:read",
        arguments=AuditExportAsked,
        answer=str,
        media=_FILE,
        handler=_export,
        summary="Records as a file, the oldest first: lines of JSON, CSV, or Parquet.",
    ),
    Route(
        operation="audit.status",
        method="GET",
        path="/audit/status",
        access=Access.OPERATOR,
        scope="audit:read",
        answer=AuditStatus,
        summary="How much there is, and where it lies.",
    ),
    Route(
        operation="audit.verify",
        method="POST",
        path="/audit/verify",
        access=Access.OPERATOR,
        scope="system:write",
        arguments=VerifyAuditAsked,
        answer=AuditVerdict,
        long=True,
        summary="Compute the whole chain again.",
    ),
    Route(
        operation="audit.forward",
        method="POST",
        path="/audit/forward",
        access=Access.OPERATOR,
        scope="system:write",
        arguments=ForwardAsked,
        answer=Forwarding,
        summary="Have a target get everything since a moment, again if it had it.",
    ),
)
