"""Values of indexed metadata, encoded so that their bytes sort as their type does.

What an object lacks, or has in a form that is not of the key's type, is `MISSING`: it sorts behind
every value and equals none, so that an index holds each version once under each of its keys.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from coffre.catalog.records import SearchKey

MISSING: Final = b"\xff"
FIRST: Final = b""
SEARCH_KEYS: Final = "search-keys"
MOST_KEYS: Final = 30

# System keys that may be indexed, and what they are (Dell ECS Data Access Guide).
SYSTEM_KEYS: Final = {
    "ObjectName": "string",
    "Owner": "string",
    "Size": "integer",
    "CreateTime": "datetime",
    "LastModified": "datetime",
}
_BIAS: Final = 1 << 63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def encode(kind: str, text: str) -> bytes | None:
    """A value as the index holds it; None where `text` is none of its kind."""
    if kind == "string":
        return b"\x01" + text.encode("utf-8", "replace")
    if kind == "integer":
        return _integer(text)
    if kind == "decimal":
        return _decimal(text)
    return _instant(text)


def number(value: int) -> bytes:
    """An integer of 64 bits, or an instant in milliseconds."""
    return b"\x01" + (value + _BIAS).to_bytes(8, "big")


def values_of(
    keys: Sequence[SearchKey],
    *,
    key: bytes,
    owner_id: str,
    size: int,
    created_ms: int,
    modified_ms: int,
    metadata: Mapping[str, str],
) -> list[bytes]:
    """What the index holds of one version, in the order of the bucket's search keys."""
    system = {
        "ObjectName": b"\x01" + key,
        "Owner": b"\x01" + owner_id.encode(),
        "Size": number(size),
        "CreateTime": number(created_ms),
        "LastModified": number(modified_ms),
    }
    found = []
    for one in keys:
        value = system.get(one.name)
        if value is None and one.name in metadata:
            value = encode(one.kind, metadata[one.name])
        found.append(MISSING if value is None else value)
    return found


def _integer(text: str) -> bytes | None:
    try:
        value = int(text) if len(text) <= 24 else _BIAS
    except ValueError:
        return None
    return number(value) if -_BIAS <= value < _BIAS else None


def _decimal(text: str) -> bytes | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    # IEEE 754: positive numbers sort as their bits do, negative ones the other way round.
    bits: int = struct.unpack(">q", struct.pack(">d", value + 0.0))[0]
    return b"\x01" + ((bits ^ (_BIAS - 1) if bits < 0 else bits) + _BIAS).to_bytes(8, "big")


def _instant(text: str) -> bytes | None:
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return number(round((at - _EPOCH).total_seconds() * 1000))
    except (ValueError, OverflowError):
        return None
