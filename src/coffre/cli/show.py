"""Plain values as text for people: tables with aligned columns, records line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

_TIME: Final = "_ms"


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> str:
    """One line a row under a heading; `empty` when there is none."""
    if not rows:
        return empty
    lines = [[_name(column).upper() for column in columns]]
    lines += [[text(row.get(column), column) for column in columns] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def record(value: Mapping[str, Any], indent: str = "") -> str:
    """`name: value` lines; records and lists inside are indented."""
    lines: list[str] = []
    for key, item in value.items():
        name = f"{indent}{_name(key)}:"
        if isinstance(item, Mapping) and item:
            lines += [name, record(item, indent + "  ")]
        elif isinstance(item, list) and any(isinstance(part, Mapping) for part in item):
            lines.append(name)
            lines += [f"{indent}  - " + ", ".join(_pairs(part)) for part in item]
        else:
            lines.append(f"{name} {text(item, key)}")
    return "\n".join(lines)


def _pairs(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [text(value)]
    return [f"{_name(key)} {text(item, key)}" for key, item in value.items()]


def _name(key: str) -> str:
    return key.removesuffix(_TIME).replace("_", " ")


def text(value: Any, key: str = "") -> str:
    """A cell: `-` for nothing, yes and no for truth, lists with commas. A `key` that ends in `_ms`
    is a time: ISO 8601 in UTC, to the second."""
    if value is None or value == {}:
        return "-"
    if key.endswith(_TIME) and isinstance(value, int):
        return datetime.fromtimestamp(value // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value) or "-"
    return str(value)
