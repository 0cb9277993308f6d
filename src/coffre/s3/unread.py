"""Bodies that nobody read to their end: what becomes of the connection that they arrive on.

Who is refused early may still be sending. The next request on the connection is found only behind
the whole body, so a body is read to its end where little is left of it. Else the answer says that
the connection closes, and what still comes is taken for a while: a connection that is closed with
bytes unread is reset, and that can cost the client the answer (RFC 9112 §9.6).
"""

from __future__ import annotations

import asyncio
from typing import Final

from coffre.s3.body import Receive
from coffre.s3.response import Header
from coffre.wire.request import RequestHead

CLOSE: Final[Header] = (b"connection", b"close")
# Read before the answer. More of a body that was refused is not worth the wait.
_WORTH_READING: Final = 256 * 1024
_WORTH_WAITING_S: Final = 5.0
# Taken after an answer that closes the connection.
_LINGER_BYTES: Final = 64 * 1024 * 1024
_LINGER_S: Final = 5.0


class Unread:
    """What is left of a body after `received` bytes; `ended` once all of it was read."""

    def __init__(self, receive: Receive, head: RequestHead, received: int) -> None:
        self._receive = receive
        self.ended = False
        length = b"".join(head.by_name.get(b"content-length", ())).strip()
        # None: only the end of the body tells where it is.
        self._left = int(length) - received if length.isdigit() else None
        # Who waits for "100 Continue" and is answered instead sends no body, or does: nobody can
        # tell what the next bytes on this connection belong to (RFC 9110 §10.1.1).
        self._expects = b"expect" in head.by_name

    async def finish(self) -> None:
        """Read the rest if it is short: then the connection may go on."""
        if self._left == 0:
            self.ended = True
        elif not self._expects and (self._left is None or self._left <= _WORTH_READING):
            await self._take(_WORTH_READING, _WORTH_WAITING_S)

    async def linger(self) -> None:
        """Let the client finish, or see the answer and stop."""
        if not self.ended and not self._expects:
            await self._take(_LINGER_BYTES, _LINGER_S)

    async def _take(self, most: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while most > 0:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return
                    most -= len(message["body"])
                    if not message["more_body"]:
                        self.ended = True
                        return
        except TimeoutError:
            pass


def has_body(head: RequestHead) -> bool:
    """Does a body follow this head? A length of 0 is none."""
    if b"transfer-encoding" in head.by_name:
        return True
    return any(value.strip(b" 0") for value in head.by_name.get(b"content-length", ()))
