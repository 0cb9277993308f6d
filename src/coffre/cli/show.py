"""Plain values as text for people: tables with aligned columns, records line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> str:
    """One line a row under a heading; `empty` when there is none."""
    if not rows:
        return empty
    lines = [[column.replace("_", " ").upper() for column in columns]]
    lines += [[text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def record(value: Mapping[str, Any], indent: str = "") -> str:
    """`name: value` lines; records and lists inside are indented."""
    lines: list[str] = []
    for key, item in value.items():
        name = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(item, Mapping):
            lines += [name, record(item, indent + "  ")]
        elif isinstance(item, list) and any(isinstance(part, Mapping) for part in item):
            lines.append(name)
            lines += [f"{indent}  - " + ", ".join(_pairs(part)) for part in item]
        else:
            lines.append(f"{name} {text(item)}")
    return "\n".join(lines)


def _pairs(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [text(value)]
    return [f"{key.replace('_', ' ')} {text(item)}" for key, item in value.items()]


def text(value: Any) -> str:
    """A cell: `-` for nothing, yes and no for truth, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value) or "-"
    return str(value)
