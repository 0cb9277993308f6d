"""The administration socket: newline-delimited JSON over a 0600 Unix socket.

A request is `{"operation": …, "arguments": {…}}`, an answer `{"ok": true, "result": …}` or
`{"ok": false, "error": {"code", "message", "field"}}`; one at a time a connection, many
connections. Only the folder's owner (and root) can connect.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from coffre.service.administration import Invalid

log = logging.getLogger("coffre.door")

_LINE_LIMIT = 1 << 20
Call = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Request(msgspec.Struct):
    operation: str
    arguments: dict[str, Any] = {}


async def open_door(path: Path, call: Call) -> asyncio.Server:
    """Listen on `path`, replacing what a killed node left there."""
    path.unlink(missing_ok=True)
    # The mode must hold from the first moment: bind makes the file under the umask.
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(
            lambda reader, writer: _converse(reader, writer, call), path, limit=_LINE_LIMIT
        )
    finally:
        os.umask(before)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: Call) -> None:
    try:
        while line := await reader.readline():
            writer.write(msgspec.json.encode(await _answer(line, call)) + b"\n")
            await writer.drain()
    except (ConnectionError, ValueError):
        pass  # The caller went away, or sent a line over the limit: there is nobody to answer.
    finally:
        writer.close()


async def _answer(line: bytes, call: Call) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(line, type=Request)
    except msgspec.DecodeError as error:
        return _error("InvalidRequest", str(error), None)
    try:
        return {"ok": True, "result": await call(request.operation, request.arguments)}
    except Invalid as invalid:
        return _error(invalid.code, invalid.message, invalid.field)
    except Exception:
        log.exception("%s failed", request.operation)
        return _error("InternalError", f"{request.operation} failed: the node's log says why", None)


def _error(code: str, message: str, field: str | None) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "field": field}}
