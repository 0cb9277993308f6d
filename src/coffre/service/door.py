"""The administration socket: newline-delimited JSON over a 0600 Unix socket.

A request is `{"operation": …, "arguments": {…}, "caller": {…}}`, an answer `{"ok": true, "result":
…}` or `{"ok": false, "error": {"code", "message", "field"}}`; one at a time a connection, many
connections. `caller` (`caller.Caller`) says for whom; a process of ours asks without. Only the
folder's owner (and root) can connect. As long as an answer is in the making, an empty line every
few seconds says that somebody makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from coffre.service.administration import Invalid
from coffre.service.caller import Caller

log = logging.getLogger("coffre.door")

_LINE_LIMIT = 1 << 20
# An answer may be a list: of a thousand buckets it is half a mebibyte.
_ANSWER_LIMIT = 64 << 20
ALIVE_EVERY_S = 5.0
# How long no line may come, and how long an answer may take that only has to be looked up.
SILENCE_S = 60.0
AT_ONCE_S = 30.0
_AT_ONCE = frozenset(
    (
        "drive.admit",
        "drive.report",
        "follower.status",
        "log.floor",
        "log.unsealed",
        "repair.start",
        "repair.status",
        "snapshot.kept",
        "steward.list",
    )
)
Call = Callable[[str, dict[str, Any], Caller | None], Awaitable[Any]]


class NoAnswer(OSError):
    """Whoever listens at a door gives no sign of life, or not the answer that it has at hand."""


class Request(msgspec.Struct):
    operation: str
    arguments: dict[str, Any] = {}
    caller: Caller | None = None


async def open_door(path: str, call: Call) -> asyncio.Server:
    """Listen on `path` (at most 107 bytes: relative to the data folder), replacing what a killed
    node left there: whoever calls holds the folder's lock."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before the bind, so that the socket never stands there with a wider mode.
    os.fchmod(listening.fileno(), 0o600)
    listening.bind(path)
    return await asyncio.start_unix_server(
        lambda reader, writer: _converse(reader, writer, call), sock=listening, limit=_LINE_LIMIT
    )


async def ask(
    path: str, operation: str, arguments: dict[str, Any], caller: Caller | None = None
) -> Any:
    """Call an operation at another process's door. Raises Invalid as it does, OSError; NoAnswer
    where that process is stuck."""
    try:
        async with asyncio.timeout(AT_ONCE_S if operation in _AT_ONCE else None):
            line = await _ask(path, Request(operation, arguments, caller))
    except TimeoutError:
        raise NoAnswer(f"{path} does not answer {operation}: its process is stuck") from None
    if not line:
        raise ConnectionResetError(f"{path} closed before it answered {operation}")
    answer = msgspec.json.decode(line)
    if answer["ok"]:
        return answer["result"]
    error = answer["error"]
    raise Invalid(error["code"], error["message"], error["field"])


async def _ask(path: str, request: Request) -> bytes:
    """The line that answers; empty if the other side went away. Raises TimeoutError when no sign
    of life comes, OSError."""
    async with asyncio.timeout(SILENCE_S):
        reader, writer = await asyncio.open_unix_connection(path, limit=_ANSWER_LIMIT)
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        line = b"\n"
        while line == b"\n":
            async with asyncio.timeout(SILENCE_S):
                line = await reader.readline()
        return line
    finally:
        writer.close()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: Call) -> None:
    try:
        while line := await reader.readline():
            answering = asyncio.ensure_future(_answer(line, call))
            try:
                while not (await asyncio.wait((answering,), timeout=ALIVE_EVERY_S))[0]:
                    writer.write(b"\n")
                    await writer.drain()
            finally:
                # Whoever asked may be gone: what was begun is ended all the same.
                answer = await answering
            writer.write(msgspec.json.encode(answer) + b"\n")
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
        return {
            "ok": True,
            "result": await call(request.operation, request.arguments, request.caller),
        }
    except Invalid as invalid:
        return _error(invalid.code, invalid.message, invalid.field)
    except Exception:
        log.exception("%s failed", request.operation)
        return _error("InternalError", f"{request.operation} failed: the node's log says why", None)


def _error(code: str, message: str, field: str | None) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "field": field}}
