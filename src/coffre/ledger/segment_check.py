"""Segments held against the chain: each is laid out again as the batches that it was made of, and
their hashes must lead from the one before its first to its last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby

import duckdb

from coffre.catalog.audit_records import batch_hash, encode_records
from coffre.catalog.trail_records import AuditSegment
from coffre.ledger.segments import read_rows


def check_segment(segment: AuditSegment, content: bytes) -> Iterator[str]:
    """What is wrong with a segment's Parquet file, in words. Slow: run it in a thread."""
    if len(content) != segment.size or hashlib.sha256(content).digest() != segment.digest:
        yield "its bytes are not those that were written"
    at, sequence, count = segment.previous, segment.first_sequence, 0
    try:
        for batch, rows in groupby(read_rows(content), key=lambda row: row.batch):
            if batch != sequence:
                yield f"batch {sequence} is missing: {batch} follows"
                return
            records = []
            for place, row in enumerate(rows):
                if row.place != place:
                    yield f"record {place} of batch {batch} is missing: {row.place} follows"
                    return
                records.append(row.record)
            times = [one.at_ms for one in records]
            packed = encode_records(records)
            at = batch_hash(at, batch, min(times), max(times), len(records), packed)
            sequence, count = batch + 1, count + len(records)
    except duckdb.Error as error:
        yield f"it cannot be read: {error}"
        return
    if sequence != segment.last_sequence + 1:
        yield f"it ends with batch {sequence - 1}, not with {segment.last_sequence}"
    elif count != segment.records:
        yield f"it holds {count} records, not {segment.records}"
    elif at != segment.hash:
        yield "its records are not those that the chain was made of"
