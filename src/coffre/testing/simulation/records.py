"""The audit in the simulator: puts travel with records; none that was acknowledged is ever missing,
and the chain of all of them is whole, whatever was lost in between."""

from __future__ import annotations

from coffre.catalog.audit_records import AuditRecord, decode_records, encode_record, hash_of
from coffre.catalog.interface import Reader

_ALL = 1_000_000


class Missing(AssertionError):
    """The audit is not as it must be."""


def record_of_put(now_ms: int, etag: str) -> bytes:
    """The record of one put; its body's ETag, which no other put has, names it."""
    return encode_record(AuditRecord(now_ms, request_id=etag, operation="PutObject", status=200))


class Records:
    """What was acknowledged with its record, by ETag, and the first batch that it can be in."""

    def __init__(self) -> None:
        self._acknowledged: dict[str, int] = {}

    def acknowledge(self, etag: str, before: int) -> None:
        """`before`: the chain's last batch when the put was sent."""
        self._acknowledged[etag] = before + 1

    def look(self, reader: Reader) -> None:
        """Follow the chain, and look for what is not packed. Raises Missing."""
        head, segments = reader.audit_head(), reader.audit_segments()
        previous, sequence, packed = bytes(32), 0, 0
        for segment in segments:
            if (segment.first_sequence, segment.previous) != (packed + 1, previous):
                raise Missing(f"segment {segment.first_sequence} does not follow batch {packed}")
            previous = segment.hash
            sequence = packed = segment.last_sequence
        found: set[str] = set()
        for one in reader.audit_batches(after=packed, limit=_ALL):
            if (one.sequence, one.previous, one.hash) != (sequence + 1, previous, hash_of(one)):
                raise Missing(f"batch {one.sequence} does not follow batch {sequence}")
            previous, sequence = one.hash, one.sequence
            found.update(record.request_id for record in decode_records(one))
        if (head.sequence, head.hash) != (sequence, previous):
            raise Missing(f"the audit ends with batch {sequence}, its head says {head.sequence}")
        wanted = {etag for etag, first in self._acknowledged.items() if first > packed}
        if missing := wanted - found:
            raise Missing(f"records of puts are missing: {sorted(missing)}")
