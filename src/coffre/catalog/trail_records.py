"""Where the audit's packed records are: segments, the horizon behind which they were removed, and
how far each target of the forwarding is.

A segment is a Parquet object of a bucket that the zone has for itself: its store has no tenant, no
user and no name that a host or a client could say, so nothing lists, bills or serves it. To the
vault it is an object as any other.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from coffre.catalog.audit_records import GENESIS

SYSTEM_STORE_ID: Final = bytes(15) + b"\x01"
SYSTEM_TENANT_ID: Final = bytes(15) + b"\x02"
AUDIT_BUCKET_ID: Final = bytes(15) + b"\x03"
SYSTEM_STORE: Final = ".system"
AUDIT_BUCKET: Final = ".audit"
SYSTEM_OWNER: Final = "0" * 64


class AuditSegment(Struct, frozen=True):
    """Batches `first_sequence` to `last_sequence` of the audit, packed.

    `first_ms` and `last_ms` are the earliest and the latest time of its records, `previous` the
    hash of the batch before its first, `hash` that of its last. `size` and `digest` (SHA-256) are
    of the Parquet file. `level` rises by one with each merge. `text_bytes`: of texts in its
    records. `names` is a filter of whom and what they name (`coffre.ledger.names`).
    """

    first_sequence: int
    last_sequence: int
    first_ms: int
    last_ms: int
    records: int
    previous: bytes
    hash: bytes
    size: int
    digest: bytes
    level: int = 0
    text_bytes: int = 0
    names: bytes = b""

    @property
    def key(self) -> bytes:
        """Its object's key: no two segments ever have the same first and last batch and level."""
        return b"%016x-%016x-%d.parquet" % (self.first_sequence, self.last_sequence, self.level)


SELECT_SEGMENT: Final = (
    "SELECT first_sequence, last_sequence, first_ms, last_ms, records, previous, hash, size,"
    " digest, level, text_bytes, names FROM audit_segments"
)


class SegmentFile(Struct, frozen=True):
    """A new segment's Parquet file, and what its records are, taken together."""

    content: bytes
    records: int
    first_ms: int
    last_ms: int
    text_bytes: int
    names: bytes


class AuditHorizon(Struct, frozen=True):
    """What retention removed: the last batch that is gone, its hash, how many records in all, and
    when the last of them were removed (ms)."""

    sequence: int = 0
    hash: bytes = GENESIS
    records: int = 0
    removed_ms: int = 0


WHOLE: Final = (1 << 31) - 1
"""A place behind every record of a batch."""


class AuditTarget(Struct, frozen=True):
    """A target of the forwarding has all records up to number `place` (from 0; -1: none, WHOLE:
    all) of batch `sequence`."""

    name: str
    sequence: int
    place: int = -1


class BatchPlace(Struct, frozen=True):
    """A batch that is not packed, without its records."""

    sequence: int
    first_ms: int
    last_ms: int


class Trail(Struct, frozen=True):
    """Where every record is, as one read transaction sees it: the batches that are not packed and
    the segments, both by sequence."""

    batches: tuple[BatchPlace, ...]
    segments: tuple[AuditSegment, ...]
