"""Rows for a table: searched, sorted and paged here, by what the address says.

`?q=` searches, `?sort=name` or `?sort=-bytes` sorts, `?page=2` pages. What does not make sense is
read as if it were not there: an address that was mended by hand still shows a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

PAGE: Final = 100

Row = Mapping[str, Any]


class Listing:
    """One page of rows. `all`: rows there are; `total`: rows that the search found."""

    def __init__(
        self,
        rows: Iterable[Row],
        asked: Mapping[str, str],
        path: str,
        *,
        columns: tuple[str, ...],
        searched: tuple[str, ...],
        kept: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.query = asked.get("q", "").strip()
        self.kept = {name: value for name, value in (kept or {}).items() if value}
        self.sort = asked.get("sort", columns[0])
        self.falling = self.sort.startswith("-")
        self.by = self.sort.removeprefix("-")
        if self.by not in columns:
            self.sort, self.by, self.falling = columns[0], columns[0], False
        everything = list(rows)
        self.all = len(everything)
        found = [row for row in everything if self._matches(row, searched)]
        found.sort(key=_order(self.by), reverse=self.falling)
        self.total = len(found)
        self.pages = max(1, -(-self.total // PAGE))
        self.page = min(_whole(asked.get("page", "")), self.pages)
        start = (self.page - 1) * PAGE
        self.shown = found[start : start + PAGE]
        self.first = start + 1 if self.shown else 0
        self.last = start + len(self.shown)

    def _matches(self, row: Row, searched: tuple[str, ...]) -> bool:
        wanted = self.query.casefold()
        return not wanted or any(wanted in str(row.get(name) or "").casefold() for name in searched)

    def sorted_by(self, column: str) -> str:
        """The address of the table sorted by a column; a second time: the other way round."""
        turned = column == self.by and not self.falling
        return self._address(f"-{column}" if turned else column, 1)

    def at(self, page: int) -> str:
        """The address of another page."""
        return self._address(self.sort, page)

    def _address(self, sort: str, page: int) -> str:
        asked: dict[str, object] = {**self.kept, "q": self.query, "sort": sort, "page": page}
        left = {name: value for name, value in asked.items() if value not in ("", 1)}
        return f"{self.path}?{urlencode(left)}"


def _order(by: str) -> Callable[[Row], tuple[bool, Any, str]]:
    def key(row: Row) -> tuple[bool, Any, str]:
        value = row.get(by)
        value = value.casefold() if isinstance(value, str) else value
        return (value is not None, 0 if value is None else value, str(row.get("name", "")))

    return key


def _whole(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else 1
