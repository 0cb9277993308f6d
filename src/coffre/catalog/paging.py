"""A page of a listing, in steps that cost what the page holds.

Rows come lazily from an index in the bucket's order. Keys that share a common prefix are one entry:
the first row of them is read, the rest is passed by seeking behind the prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from msgspec import Struct

from coffre.catalog.key_order import decode_key, encode_key, next_key, past_prefix
from coffre.catalog.records import KeyOrder

Row = tuple[Any, ...]


class Rows(Protocol):
    """A cursor: rows whose first column is the sort key, read one at a time."""

    def __iter__(self) -> Iterator[Row]: ...

    def close(self) -> None: ...


class Seek(Protocol):
    def __call__(self, lower: bytes, upper: bytes | None) -> Rows:
        """Rows with lower <= sort key (< upper), in order."""
        ...


class Range(Struct, frozen=True):
    """What a page may hold, in sort keys; `lower` None: nothing."""

    lower: bytes | None
    upper: bytes | None
    """Everything from here on lacks the prefix; None: nothing does."""


class Page(Struct):
    """`rows` with their keys, and where the page ended (a key or a common prefix)."""

    rows: list[tuple[bytes, Row]]
    prefixes: list[bytes]
    truncated: bool = False
    last: bytes = b""
    ends_in_prefix: bool = False


def common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """`key` up to and with the first delimiter behind `prefix`; None without one."""
    if not delimiter or not key.startswith(prefix):
        return None
    found = key.find(delimiter, len(prefix))
    return None if found < 0 else key[: found + len(delimiter)]


def range_after(order: KeyOrder, prefix: bytes, delimiter: bytes, after: bytes) -> Range:
    """Keys with `prefix` and > `after`, without the common prefix that `after` lies in."""
    least = encode_key(order, prefix)
    upper = past_prefix(least)
    if not after:
        return Range(least, upper)
    inside = common_prefix(after, prefix, delimiter)
    if inside is None:
        return Range(max(least, next_key(encode_key(order, after))), upper)
    return Range(past_prefix(encode_key(order, inside)), upper)


def fill_page(
    rows: Rows,
    seek: Seek,
    upper: bytes | None,
    *,
    order: KeyOrder,
    prefix: bytes,
    delimiter: bytes,
    limit: int,
) -> Page:
    """Up to `limit` entries from `rows`, and from `seek` behind each common prefix."""
    page = Page([], [])
    while True:
        passed = _fill(page, rows, order, prefix, delimiter, limit)
        rows.close()
        lower = None if passed is None else past_prefix(encode_key(order, passed))
        if lower is None:
            return page
        rows = seek(lower, upper)


def _fill(
    page: Page, rows: Rows, order: KeyOrder, prefix: bytes, delimiter: bytes, limit: int
) -> bytes | None:
    """Take rows until one has a common prefix (returned), the page is full or there are no more."""
    for row in rows:
        if len(page.rows) + len(page.prefixes) == limit:
            page.truncated = True
            return None
        key = decode_key(order, row[0])
        shared = common_prefix(key, prefix, delimiter)
        page.ends_in_prefix = shared is not None
        if shared is not None:
            page.prefixes.append(shared)
            page.last = shared
            return shared
        page.rows.append((key, row))
        page.last = key
    return None
