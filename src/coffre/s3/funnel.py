"""The one way out: common headers, errors as XML, streaming, one event for the ledger."""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from traceback import format_exception
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.mutations import Refusal
from coffre.s3.body import Receive
from coffre.s3.key_service import KeyServiceAway
from coffre.s3.response import WHOLE_BYTES, XML, Header, Response
from coffre.system.buffer import Buffer
from coffre.system.entropy import Entropy
from coffre.system.starved import Starved
from coffre.vault.interface import DataLost, StorageFull
from coffre.wire.errors import CATALOGUE, S3Error, error_xml
from coffre.wire.request import RequestHead

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("coffre.s3")

_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
# Odd, so that every number comes up; 2^64 divided by the golden ratio.
_STRIDE: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1
_SERVER: Final[Header] = (b"server", b"Coffre")


class Disconnected(Exception):
    """The client left before it had the whole answer; `sent` body bytes were on their way."""

    def __init__(self, sent: int) -> None:
        self.sent = sent
        super().__init__(sent)


class Interrupted(Exception):
    """An answer that broke off: raised to the HTTP server, which ends the connection short."""


def as_error(failure: Exception, request_id: str) -> S3Error:
    """What the client is told. Only what we did not foresee leaves a traceback, in our log."""
    about = {"request_id": request_id}
    match failure:
        case S3Error():
            return failure
        case Refusal() if failure.code in CATALOGUE:
            return S3Error(failure.code, failure.message, headers=(), **failure.fields)
        case CommitUnknown():
            return S3Error("ServiceUnavailable", "The write may or may not have taken effect.")
        case CommitterBusy():
            return S3Error("SlowDown", headers=((b"retry-after", b"1"),))
        case DataLost():
            log.error("request %s met lost data: %s", request_id, str(failure), extra=about)
            return S3Error(
                "ServiceUnavailable",
                "Too many drives that hold this object are away; it can be read once they return.",
            )
        case KeyServiceAway():
            log.error("request %s met no key service: %s", request_id, str(failure), extra=about)
            return S3Error("ServiceUnavailable", "The key service does not answer.")
        case Starved():
            log.error("request %s cannot be served: %s", request_id, str(failure), extra=about)
            return S3Error("ServiceUnavailable")
        case StorageFull():
            log.error("request %s met full storage: %s", request_id, str(failure), extra=about)
            return S3Error("InsufficientStorage")
    log_failure("failed", request_id, failure)
    return S3Error("InternalError")


def log_failure(what: str, request_id: str, failure: Exception) -> None:
    """Log a failure and its traceback as text: a record that kept the traceback itself would keep
    the connection's objects, and with them the connection, for as long as anybody keeps it."""
    trace = "".join(format_exception(failure))
    failure.__traceback__ = None
    log.error("request %s %s\n%s", request_id, what, trace, extra={"request_id": request_id})


class Funnel:
    """Sends answers. `host_id` names this process in every one of them; `patience_s` is how long
    a client may take none of the answer."""

    def __init__(self, entropy: Entropy, patience_s: float) -> None:
        self._patience_s = patience_s
        self._number = int.from_bytes(entropy.bytes(8), "big")
        self.host_id = b64encode(entropy.bytes(24)).decode()
        self._host: Header = (b"x-amz-id-2", self.host_id.encode())

    def request_id(self) -> str:
        """16 hexadecimal digits: all numbers of 64 bits in turn, from a random one, neighbours far
        apart."""
        self._number = (self._number + _STRIDE) & _MASK
        return f"{self._number:016X}"

    def error(self, error: S3Error, head: RequestHead, request_id: str) -> Response:
        """The answer that is an error; HEAD and 304 have no body."""
        response = Response(error.status, list(error.headers))
        if error.status != 304:
            response.headers.append(XML)
            if head.method != "HEAD":
                resource = _resource(head.raw_path)
                response.body = error_xml(error, resource, request_id, self.host_id)
        return response

    async def send(self, response: Response, request_id: str, send: Send) -> int:
        """Send an answer that is whole; the count of body bytes."""
        await send(self._start(response, request_id))
        await send({"type": "http.response.body", "body": response.body})
        return len(response.body)

    def _start(self, response: Response, request_id: str) -> MutableMapping[str, Any]:
        headers = response.headers
        headers += ((b"x-amz-request-id", request_id.encode()), self._host, _SERVER)
        return {"type": "http.response.start", "status": response.status, "headers": headers}

    async def stream(
        self, response: Response, request_id: str, receive: Receive, send: Send
    ) -> int:
        """Send an answer as its stream gives it; the count of body bytes. Raises Disconnected, and
        what the stream raises (after its first piece the connection then ends short, which every
        client notices)."""
        assert response.stream is not None, "the caller looked"
        length = response.length
        if length is not None:
            response.headers.append((b"content-length", b"%d" % length))
        start = self._start(response, request_id)
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(_disconnect(receive))
        sent = 0
        try:
            async with asyncio.timeout(self._patience_s) as limit:
                stream = response.stream if length is None else _joined(response.stream)
                async for piece in stream:
                    if not sent:
                        # Only now: what fails before the first byte can still be told.
                        await send(start)
                    sent += len(piece)
                    more = length is None or sent < length
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
                    if more and gone.done():
                        raise Disconnected(sent)
                    limit.reschedule(loop.time() + self._patience_s)
                if length is None:
                    await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
        return sent


def _resource(raw_path: bytes) -> str:
    """The path as its sender means it; as it was sent where XML could not carry that."""
    path = unquote_to_bytes(raw_path)
    return (raw_path if _CONTROL.search(path) else path).decode(errors="replace")


async def _joined(stream: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """The same bytes in pieces of at least `WHOLE_BYTES`, but for the last."""
    waiting: list[Buffer] = []
    size = 0
    async for piece in stream:
        waiting.append(piece)
        size += len(piece)
        if size >= WHOLE_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
