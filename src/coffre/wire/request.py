"""The head of an HTTP request as bytes off the wire: exact, parsed once, no I/O."""

from __future__ import annotations

from functools import cached_property
from urllib.parse import unquote_to_bytes


class RequestHead:
    """Method, target and headers exactly as sent.

    `raw_path` and `raw_query` are undecoded bytes (signatures need them exact); header names are
    lower-case bytes, values undecoded bytes, in arrival order, repeats kept.
    """

    def __init__(
        self,
        method: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: tuple[tuple[bytes, bytes], ...],
        *,
        scheme: str = "http",
        client: str = "",
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.raw_query = raw_query
        self.headers = headers
        self.scheme = scheme
        self.client = client
        # Header values by lower-case name, in arrival order.
        self.by_name: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            self.by_name.setdefault(name, []).append(value)

    def header(self, name: bytes) -> str | None:
        """The first value of a header, stripped, as UTF-8 (undecodable bytes as latin-1)."""
        values = self.by_name.get(name)
        if not values:
            return None
        value = values[0].strip()
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.decode("latin-1")

    @cached_property
    def raw_pairs(self) -> list[tuple[bytes, bytes]]:
        """Query parameters split but not decoded; a bare name has an empty value."""
        if not self.raw_query:
            return []
        pairs = []
        for piece in self.raw_query.split(b"&"):
            if piece:
                name, _, value = piece.partition(b"=")
                pairs.append((name, value))
        return pairs

    @cached_property
    def query(self) -> dict[str, str]:
        """Decoded query parameters; the first of a repeated name wins.

        '+' is a space only for HTML forms: S3 clients send %20, and a key may hold a '+', yet AWS
        reads '+' in a query as a space, so we do too.
        """
        found: dict[str, str] = {}
        for name, value in self.raw_pairs:
            key = unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8", "surrogateescape")
            text = unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8", "surrogateescape")
            found.setdefault(key, text)
        return found
