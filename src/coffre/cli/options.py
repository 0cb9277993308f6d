"""Options and values that several commands share."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class Duration(click.ParamType[int]):
    """`90s`, `15m`, `1h`, `7d`: whole seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if not found:
            self.fail(f"{value!r} is no duration: write 90s, 15m, 1h or 7d", param, ctx)
        return int(found.group(1)) * _SECONDS[found.group(2)]


class Size(click.ParamType[int]):
    """`1048576`, `500GiB`, `2TiB`: whole bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,15})(|KiB|MiB|GiB|TiB)", str(value))
        if not found:
            self.fail(f"{value!r} is no size: write bytes, or 500MiB, 20GiB, 1TiB", param, ctx)
        return int(found.group(1)) * _BYTES[found.group(2)]


GRACE: Final = click.option(
    "--grace",
    type=Duration(),
    default="0s",
    show_default=True,
    help="How long the old one still verifies: 90s, 15m, 1h, 7d; 30 days at most.",
)
IN_STORE: Final = click.option(
    "--store", metavar="NAME", help="The store it is in, where several have the name."
)
ADDRESSES: Final = click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="CIDR",
    help="An address or range that a custom rule lets in, as often as needed.",
)


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """The columns of a table: what the first row holds, in its order."""
    return list(rows[0]) if rows else []


def given(**arguments: Any) -> dict[str, Any]:
    """Those that were given: neither None nor an empty list of repeated options."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in arguments.items()
        if value is not None and value != ()
    }
