"""The head of an HTTP request as bytes off the wire: exact, parsed once, no I/O."""

from __future__ import annotations

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
        # Read when first asked for; few requests have a query.
        self._pairs: list[tuple[bytes, bytes]] | None = None if raw_query else []
        self._query: dict[str, str] | None = None if raw_query else {}

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

    @property
    def raw_pairs(self) -> list[tuple[bytes, bytes]]:
        """Query parameters split but not decoded; a bare name has an empty value."""
        if self._pairs is None:
            self._pairs = []
            for piece in self.raw_query.split(b"&"):
                if piece:
                    name, _, value = piece.partition(b"=")
                    self._pairs.append((name, value))
        return self._pairs

    @property
    def query(self) -> dict[str, str]:
        """Decoded query parameters; the first of a repeated name wins.

        '+' is a space only for HTML forms: S3 clients send %20, and a key may hold a '+', yet AWS
        reads '+' in a query as a space, so we do too.
        """
        if self._query is None:
            self._query = {}
            for name, value in self.raw_pairs:
                self._query.setdefault(_decoded(name), _decoded(value))
        return self._query


def _decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "surrogateescape")
