"""The API's rows that carry bytes of objects: nothing is held in memory but what is on its way, and
stored content is a download, whatever type it claims."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from coffre.console.api.asking import objects_of, problems
from coffre.console.api.problem import Problem
from coffre.console.api.route import Arguments
from coffre.console.bucket_objects import Objects, Opened, S3Refused, of_version
from coffre.console.console import console_of
from coffre.console.names import disposition, file_name
from coffre.console.signed import Signed

_TAKEN: Final = ("range", "if-range", "if-none-match", "if-match")
_PASSED: Final = ("content-length", "content-range", "etag", "last-modified", "accept-ranges")
_SANDBOX: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"


class Flow(StreamingResponse):
    """An object's bytes as they come; what they come from is let go however this ends."""

    def __init__(self, opened: Opened, headers: dict[str, str]) -> None:
        kind = "application/octet-stream"
        super().__init__(opened.body, opened.status, headers, kind)
        self._held = opened.held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def download(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    """The object, or a range of it."""
    objects, key = _objects(request, signed, arguments), arguments["key"]
    wanted = {name: request.headers[name] for name in _TAKEN if name in request.headers}
    version = of_version(arguments.get("version", ""))
    if request.method == "HEAD":
        with problems():
            answer = await objects.request("HEAD", key, version, wanted)
        return Response(status_code=answer.status, headers=_told(key, answer.headers))
    with problems():
        try:
            opened = await objects.open(key, version, wanted)
        except S3Refused as refused:
            if refused.status != 304:
                raise
            return Response(status_code=304)
    return Flow(opened, _told(key, opened.headers))


def _told(key: str, headers: dict[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _PASSED if name in headers} | {
        "content-disposition": disposition(key),
        "content-security-policy": _SANDBOX,
        "x-content-type-options": "nosniff",
    }


async def upload(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    """One object as the body."""
    key, size = arguments["key"], _size(request)
    limit = console_of(request).parts.limits.web_upload
    if limit and size > limit:
        raise _too_large(request, arguments, limit)
    headers = {
        "content-type": request.headers.get("content-type") or "application/octet-stream",
        "content-length": str(size),
    }
    if not arguments.get("replace"):
        headers["if-none-match"] = "*"
    objects = _objects(request, signed, arguments)
    with problems():
        answer = await objects.request("PUT", key, {}, headers, _body(request))
    stored = {
        "key": key,
        "etag": answer.headers.get("etag", ""),
        "version": answer.headers.get("x-amz-version-id", ""),
    }
    return _json(stored)


async def upload_part(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    """One part as the body."""
    check_parts(console_of(request).parts.limits.web_upload)
    query = {"uploadId": arguments["upload"], "partNumber": str(arguments["part"])}
    headers = {"content-length": str(_size(request))}
    objects = _objects(request, signed, arguments)
    with problems():
        answer = await objects.request("PUT", arguments["key"], query, headers, _body(request))
    return _json({"part": arguments["part"], "etag": answer.headers.get("etag", "")})


def check_parts(limit: int) -> None:
    """Refuse uploads in parts where files have a limit, for parts have none of their own."""
    if limit:
        raise Problem(
            "BodyTooLarge",
            f"files of more than {limit} bytes are uploaded by an S3 client; where web_upload_limit"
            " is 0, in parts here, too",
        )


def _objects(request: Request, signed: Signed | None, arguments: Arguments) -> Objects:
    assert signed is not None, "the rows are not open"
    data = console_of(request).data
    return objects_of(data, signed, arguments["store"], arguments["bucket"])


def _size(request: Request) -> int:
    size = request.headers.get("content-length", "")
    if not (size.isascii() and size.isdigit()):
        raise Problem("InvalidRequest", "say the size first, by Content-Length", "Content-Length")
    return int(size)


def _too_large(request: Request, arguments: Arguments, limit: int) -> Problem:
    facts: dict[str, Any] = console_of(request).parts.facts
    scheme, port = ("https", facts["https"]) if facts.get("https") else ("http", facts.get("http"))
    origin = f"{scheme}://{facts.get('base', 'localhost')}:{port}"
    place = shlex.quote(f"s3://{arguments['bucket']}/{arguments['key']}")
    name = shlex.quote(file_name(arguments["key"]))
    return Problem(
        "BodyTooLarge",
        f"at most {limit} bytes a file here: larger ones go by an S3 client, as by"
        f" `aws --endpoint-url {origin} s3 cp {name} {place}`",
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece


def _json(value: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(value), 201, None, "application/json")
