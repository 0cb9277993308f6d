"""Writes `docs/openapi.json`, the description of the management API:
`python -m tools.openapi > docs/openapi.json`."""

from __future__ import annotations

import json
from typing import Any

from coffre.console.api.openapi import document
from coffre.console.api.table import ROUTES


def page() -> str:
    """The document, a line for each call, schema and the like, so that changes can be read."""
    return _lines(document(ROUTES), 3) + "\n"


def _lines(value: Any, depth: int, indent: str = "") -> str:
    if not depth or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + " "
    entries = (
        f"{deeper}{json.dumps(key)}: {_lines(one, depth - 1, deeper)}" for key, one in value.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


if __name__ == "__main__":
    print(page(), end="")
