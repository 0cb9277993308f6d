"""Pages of rows for people: searched, sorted, cut. Raises Invalid with the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coffre.service.invalid import Invalid
from coffre.service.named import check_choice, check_whole

MOST: Final = 1000


def page_of(
    rows: Sequence[dict[str, Any]],
    *,
    sorts: Sequence[str],
    searched: Sequence[str],
    search: str = "",
    sort: str = "",
    descending: bool = False,
    after: str = "",
    limit: int = 100,
) -> dict[str, Any]:
    """`items`, `total` of what was searched for, and `next`: what to give as `after` for more
    (None: this is the end). `search` is looked for in the fields `searched`, whatever its case;
    `sorts` are the fields to sort by, the first one where none is named."""
    check_whole("limit", limit, 1, MOST, "rows")
    sort = sort or sorts[0]
    check_choice("sort", sort, sorts)
    if after and not (after.isascii() and after.isdecimal() and len(after) < 16):
        raise Invalid("InvalidArgument", "after is the `next` of another page", "after")
    start, wanted = int(after or 0), search.casefold()
    found = [
        row for row in rows if any(wanted in str(row[name] or "").casefold() for name in searched)
    ]
    # Where the field says the same of two, the order of the others holds.
    found.sort(key=lambda row: (row[sort] is not None, row[sort]), reverse=descending)
    end = start + limit
    return {
        "items": found[start:end],
        "total": len(found),
        "next": str(end) if end < len(found) else None,
    }
