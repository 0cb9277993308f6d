"""Byte ranges of the `ecs` dialect: several in one GET, and one in a PUT.

Sources: RFC 9110 §14; Dell ECS Data Access Guide, "byte range extensions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.ranges import resolve

MOST_RANGES: Final = 64
_PUT: Final = re.compile(r"bytes=(?:(-1)-|([0-9]{1,18})-([0-9]{0,18}))")


def several(header: str | None, size: int) -> list[tuple[int, int]]:
    """First and last byte of each range that holds a byte, when a `Range` header names more than
    one; empty otherwise: for one range, for none that is well-formed, for more than 64.

    InvalidRange when all are well-formed and none holds a byte.
    """
    if header is None or "," not in header:
        return []
    unit, _, listed = header.strip().partition("=")
    pieces = [piece.strip() for piece in listed.split(",") if piece.strip()]
    if unit.lower() != "bytes" or len(pieces) > MOST_RANGES:
        return []
    found: list[tuple[int, int]] = []
    refusal: S3Error | None = None
    for piece in pieces:
        try:
            one = resolve(f"bytes={piece}", size)
        except S3Error as error:
            refusal = error
            continue
        if one is None:
            return []
        found.append(one)
    if not found and refusal is not None:
        raise refusal
    return found


@dataclass(frozen=True, slots=True)
class PutRange:
    """Where a PUT writes: at `start` (None: behind the end), `length` bytes (None: as many as it
    brings)."""

    start: int | None
    length: int | None


def put_range(header: str) -> PutRange:
    """`bytes=10-14`, `bytes=10-` or `bytes=-1-`. Raises InvalidArgument."""
    found = _PUT.fullmatch(header.strip())
    if found is not None and found[1]:
        return PutRange(None, None)
    if found is not None:
        start, last = int(found[2]), found[3]
        if not last:
            return PutRange(start, None)
        if int(last) >= start:
            return PutRange(start, int(last) - start + 1)
    raise S3Error(
        "InvalidArgument",
        "The range of a PUT is bytes=first-last, bytes=first- or bytes=-1-",
        ArgumentName="Range",
        ArgumentValue=header,
    )
