"""A filter of what the records of a segment name, kept beside it: what it surely does not hold is
not read.

A Bloom filter of ten bits a name and seven probes: one name in a hundred that is not there seems to
be. No filter at all (b"") seems to hold everything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from xxhash import xxh3_128_intdigest

from coffre.catalog.audit_records import AuditRecord

_BITS: Final = 10
_PROBES: Final = 7
_MOST_BYTES: Final = 64 * 1024
_HALF: Final = (1 << 64) - 1

STORE: Final = "s"
TENANT: Final = "t"
BUCKET: Final = "b"
WHO: Final = "w"
OPERATION: Final = "o"


def names_of(record: AuditRecord) -> tuple[tuple[str, str], ...]:
    """What a record names, each with the letter of its kind."""
    return (
        (STORE, record.store),
        (TENANT, record.tenant),
        (BUCKET, record.bucket),
        (WHO, record.principal),
        (WHO, record.access_key),
        (OPERATION, record.operation),
    )


def make_filter(names: Collection[tuple[str, str]]) -> bytes:
    """The filter of these names."""
    bits = bytearray(min(_MOST_BYTES, max(8, -(-len(names) * _BITS // 8))))
    for kind, name in names:
        for at in _probes(kind, name, len(bits) * 8):
            bits[at >> 3] |= 1 << (at & 7)
    return bytes(bits)


def may_name(bits: bytes, kind: str, name: str) -> bool:
    """False only when the name is not among those that the filter was made of."""
    return not bits or all(
        bits[at >> 3] >> (at & 7) & 1 for at in _probes(kind, name, len(bits) * 8)
    )


def _probes(kind: str, name: str, size: int) -> list[int]:
    digest = xxh3_128_intdigest(f"{kind}\0{name}".encode())
    first, step = digest & _HALF, digest >> 64 | 1
    return [(first + turn * step) % size for turn in range(_PROBES)]
