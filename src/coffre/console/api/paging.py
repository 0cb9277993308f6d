"""Lists in pages: `limit` and `cursor` in, `items` and `next` out.

A cursor holds the key of the last row that was shown, so that rows which come and go meanwhile
neither repeat others nor hide them.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from coffre.console.api.problem import Problem

LIMIT: Final = 100
MOST: Final = 1000


def read_limit(text: str | None) -> int:
    """Raises Problem."""
    if text is None:
        return LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise Problem("InvalidArgument", f"a limit is 1 to {MOST}", "limit")
    return int(text)


def page_of(
    rows: Sequence[Mapping[str, Any]], key: tuple[str, ...], limit: int, cursor: str | None
) -> tuple[list[Mapping[str, Any]], str | None]:
    """The rows behind the cursor, in the order of their key, and where the next page begins."""
    keyed = sorted(([_plain(row[name]) for name in key], at) for at, row in enumerate(rows))
    if cursor is not None:
        after = _read(cursor, len(key))
        keyed = [one for one in keyed if one[0] > after]
    shown = keyed[:limit]
    following = write_cursor(shown[-1][0]) if len(keyed) > limit else None
    return [rows[at] for _, at in shown], following


def write_cursor(place: Any) -> str:
    """Any JSON value, as an opaque word."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str) -> Any:
    """Undo `write_cursor`. Raises Problem."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded))
    except (ValueError, msgspec.DecodeError):
        raise Problem("InvalidArgument", "no answer gave this cursor", "cursor") from None


def link(path: str, query: Mapping[str, str], cursor: str) -> str:
    """The Link header that leads to the next page."""
    return f'<{path}?{urlencode({**query, "cursor": cursor})}>; rel="next"'


def _read(cursor: str, parts: int) -> list[str]:
    found = read_cursor(cursor)
    if not isinstance(found, list) or len(found) != parts:
        raise Problem("InvalidArgument", "no answer gave this cursor", "cursor")
    return [_plain(one) for one in found]


def _plain(value: Any) -> str:
    """Numbers in their order, too."""
    return f"{value:020}" if isinstance(value, int) else str(value)
