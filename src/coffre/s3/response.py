"""An answer before it leaves: what handlers return and the exit funnel sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from coffre.system.buffer import Buffer

Header = tuple[bytes, bytes]

# An answer of at most this many bytes is made whole before any of it is sent.
WHOLE_BYTES: Final = 256 * 1024

ENCRYPTED: Final[Header] = (b"x-amz-server-side-encryption", b"AES256")
XML: Final[Header] = (b"content-type", b"application/xml")


class Response:
    """`stream`, when given, yields exactly `length` bytes (None: nobody knows how many, and they
    are sent as they come); else `body` is the whole."""

    __slots__ = ("body", "headers", "length", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        headers: list[Header] | None = None,
        body: Buffer = b"",
        *,
        stream: AsyncIterator[Buffer] | None = None,
        length: int | None = 0,
    ) -> None:
        self.status = status
        self.headers: list[Header] = [] if headers is None else headers
        self.body = body
        self.stream = stream
        self.length = length


def xml(body: bytes, *headers: Header) -> Response:
    """200 with a document."""
    return Response(200, [XML, *headers], body)
