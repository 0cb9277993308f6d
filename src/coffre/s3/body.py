"""A request's body on its way in: bounded in time, decoded, and never more than was declared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from coffre.s3.deadlines import Deadlines
from coffre.s3.settings import Patience
from coffre.wire.auth import Verified
from coffre.wire.checksums import Declared, Running, check, declared
from coffre.wire.errors import S3Error
from coffre.wire.payload import BodyDecoder, body_decoder, content_length
from coffre.wire.request import RequestHead

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class RequestBody:
    """Reads the body of one request. `received` counts bytes off the wire."""

    def __init__(
        self,
        receive: Receive,
        head: RequestHead,
        verified: Verified | None,
        patience: Patience,
        deadlines: Deadlines,
    ) -> None:
        self._receive = receive
        self._head = head
        self._verified = verified
        self._patience = patience
        self._deadlines = deadlines
        self._declared: int | None = None
        self._ended = False
        self.received = 0

    @property
    def ended(self) -> bool:
        """Whether the last byte has come off the wire."""
        return self._ended

    def decoder(self, *, require_length: bool = True) -> BodyDecoder:
        """The decoder that the request's headers ask for; S3Error where they contradict."""
        self._declared = content_length(self._head)
        return body_decoder(self._head, self._verified, require_length=require_length)

    async def _next(self) -> bytes:
        """The next bytes as they came, empty at the end. IncompleteBody if the client went away."""
        while not self._ended:
            message = await self._receive()
            if message["type"] != "http.request":
                raise S3Error("IncompleteBody")
            data: bytes = message["body"]
            self.received += len(data)
            # The last bytes are known by the length: no second wait for an empty event.
            self._ended = not message["more_body"] or self.received == self._declared
            if data:
                return data
        return b""

    async def feed(self, decoder: BodyDecoder, take: Callable[[Any], Awaitable[None]]) -> None:
        """Hand every piece of payload to `take`. RequestTimeout when the client is too slow."""
        loop = asyncio.get_running_loop()
        patience = self._patience
        started = loop.time()
        deadline = self._deadlines.start(started + patience.idle_s)
        try:
            while data := await self._next():
                least = self.received / patience.least_bytes_per_s
                slowest = started + patience.grace_s + least
                deadline.at = min(loop.time() + patience.idle_s, slowest)
                for piece in decoder.feed(data):
                    await take(piece)
        except asyncio.CancelledError:
            if not deadline.caught():
                raise
            raise S3Error("RequestTimeout", headers=((b"connection", b"close"),)) from None
        finally:
            self._deadlines.end(deadline)

    async def document(
        self, limit: int, stated: Declared | None = None, *, must_declare: bool = False
    ) -> bytes:
        """The whole body of at most `limit` bytes, held against what the request declares of it
        (`stated`, where not all that the headers declare is about the body).

        Raises MaxMessageLengthExceeded; InvalidRequest when a digest must be declared and is not.
        """
        stated = stated or declared(self._head)
        if must_declare and stated.content_md5 is None and stated.algorithm is None:
            raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
        decoder = self.decoder(require_length=False)
        too_long = S3Error("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(limit))
        if decoder.expected is not None and decoder.expected > limit:
            raise too_long
        running = Running(stated.algorithm)
        whole = bytearray()

        async def take(piece: bytes | memoryview) -> None:
            whole.extend(piece)
            if len(whole) > limit:
                raise too_long

        await self.feed(decoder, take)
        running.update(whole)
        check(stated, running, decoder.finish())
        return bytes(whole)
