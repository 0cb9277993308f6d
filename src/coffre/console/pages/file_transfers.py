"""Bytes of files through the console: up, down, and as a preview that can do no harm.

Nothing is held in memory but what is on its way. Stored content is never the console's own page: it
is a download, or in a sandbox without scripts, whatever type it claims.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from coffre.console.api.problem import Problem
from coffre.console.bucket_objects import Opened, S3Refused, of_version
from coffre.console.i18n import N_
from coffre.console.names import disposition
from coffre.console.pages.file_tab import Tab
from coffre.console.pages.files import IMAGES, PDF

MOST_PARTS: Final = 10_000
_PASSED: Final = ("content-length", "content-range", "etag", "last-modified", "accept-ranges")
# No script, no form, no other site, no way out of the frame.
_SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
# Browsers show PDFs by a program of their own, which a sandbox keeps out; the type and `nosniff`
# keep everything else out.
_PDF: Final = (
    "default-src 'none'; object-src 'self'; plugin-types application/pdf;"
    " style-src 'unsafe-inline'; frame-ancestors 'self'"
)


class Flow(StreamingResponse):
    """An object's bytes as they come; what they come from is let go however this ends."""

    def __init__(self, opened: Opened, kind: str, headers: dict[str, str]) -> None:
        super().__init__(opened.body, opened.status, headers, kind)
        self._held = opened.held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def download(tab: Tab) -> Response:
    """The object, or a range of it, as a file to keep."""
    opened = await _open(tab)
    headers = _passed(opened) | {
        "content-disposition": disposition(tab.asked.get("key", "")),
        "content-security-policy": _SANDBOX,
    }
    return Flow(opened, "application/octet-stream", headers)


async def preview(tab: Tab) -> Response:
    """The object for an `img` or a frame of the console, where it is of a type that is shown."""
    opened = await _open(tab)
    kind = opened.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in IMAGES and kind != PDF:
        await opened.held.aclose()
        raise Problem("NotFound", "files of this type have no preview")
    headers = _passed(opened) | {
        "content-disposition": "inline",
        "content-security-policy": _PDF if kind == PDF else _SANDBOX,
        "x-frame-options": "SAMEORIGIN",
    }
    return Flow(opened, kind, headers)


async def _open(tab: Tab) -> Opened:
    wanted = tab.request.headers
    headers = {name: wanted[name] for name in ("range", "if-range") if name in wanted}
    try:
        return await tab.objects.open(_key(tab), of_version(tab.asked.get("version", "")), headers)
    except S3Refused as refused:
        raise tab.problem(refused) from None


def _passed(opened: Opened) -> dict[str, str]:
    return {name: opened.headers[name] for name in _PASSED if name in opened.headers}


async def upload(tab: Tab) -> Response:
    """A file in one piece, as the body of the request."""
    key, size = _key(tab), _size(tab.request)
    _check_size(tab, size)
    kind = tab.request.headers.get("content-type") or "application/octet-stream"
    headers = {"content-type": kind, "content-length": str(size), **_condition(tab)}
    try:
        answer = await tab.objects.request("PUT", key, {}, headers, _body(tab.request))
    except S3Refused as refused:
        raise tab.problem(refused) from None
    return JSONResponse({"etag": answer.headers.get("etag", "")})


async def begin(tab: Tab) -> Response:
    """Begin a file in parts; only where no limit is set, for parts have none of their own."""
    if tab.upload_limit:
        raise _too_large(tab)
    key = _key(tab)
    headers = {"content-type": tab.asked.get("type") or "application/octet-stream"}
    try:
        if not tab.asked.get("replace"):
            await _check_free(tab, key)
        made = await tab.objects.begin_upload(key, headers)
    except S3Refused as refused:
        raise tab.problem(refused) from None
    return JSONResponse({"upload": made})


async def _check_free(tab: Tab, key: str) -> None:
    """Say before gigabytes are sent what `complete` would refuse."""
    try:
        await tab.objects.head(key)
    except S3Refused as refused:
        if refused.status != 404:
            raise
    else:
        raise Problem("PreconditionFailed", tab.said(N_("A file of this name is there.")))


async def part(tab: Tab) -> Response:
    """One part, as the body of the request."""
    if tab.upload_limit:
        raise _too_large(tab)
    query = {"uploadId": tab.asked.get("upload", ""), "partNumber": tab.asked.get("part", "")}
    headers = {"content-length": str(_size(tab.request))}
    try:
        answer = await tab.objects.request("PUT", _key(tab), query, headers, _body(tab.request))
    except S3Refused as refused:
        raise tab.problem(refused) from None
    return JSONResponse({"etag": answer.headers.get("etag", "")})


async def complete(tab: Tab) -> Response:
    """Put the parts together. The body: their ETags, in order."""
    try:
        etags = msgspec.json.decode(await _small(tab.request), type=list[str])
    except msgspec.DecodeError as error:
        raise Problem("InvalidRequest", str(error)) from None
    try:
        await tab.objects.complete(
            _key(tab), tab.asked.get("upload", ""), etags[:MOST_PARTS], _condition(tab)
        )
    except S3Refused as refused:
        raise tab.problem(refused) from None
    return JSONResponse({})


async def abort(tab: Tab) -> Response:
    """Let go of a file that was begun."""
    try:
        await tab.objects.request("DELETE", _key(tab), {"uploadId": tab.asked.get("upload", "")})
    except S3Refused as refused:
        raise tab.problem(refused) from None
    return Response(status_code=204)


def _condition(tab: Tab) -> dict[str, str]:
    """Unless it is meant to replace one, a file goes only where none is."""
    return {} if tab.asked.get("replace") else {"if-none-match": "*"}


def _key(tab: Tab) -> str:
    key = tab.asked.get("key", "")
    if not key:
        raise Problem("MissingField", "which name the file has", "key")
    return key


def _size(request: Request) -> int:
    size = request.headers.get("content-length", "")
    if not (size.isascii() and size.isdigit()):
        raise Problem("InvalidRequest", "a file's size is said before its bytes")
    return int(size)


def _check_size(tab: Tab, size: int) -> None:
    if tab.upload_limit and size > tab.upload_limit:
        raise _too_large(tab)


def _too_large(tab: Tab) -> Problem:
    limit = tab.said.size(tab.upload_limit)
    return Problem(
        "BodyTooLarge",
        tab.said(N_("This page takes %(limit)s a file: use an S3 program."), limit=limit),
    )


async def _small(request: Request, limit: int = 1 << 20) -> bytes:
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > limit:
            raise Problem("BodyTooLarge")
    return bytes(kept)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
