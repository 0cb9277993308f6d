"""The audit's records and batches, for those who read them: see `coffre.catalog.audit_records`."""

from __future__ import annotations

from coffre.catalog.audit_records import (
    GENESIS,
    AuditBatch,
    AuditRecord,
    BadBatch,
    ChainHead,
    Source,
    batch_hash,
    decode_records,
    encode_record,
    encode_records,
    hash_of,
    make_batch,
    with_version,
)

__all__ = [
    "GENESIS",
    "AuditBatch",
    "AuditRecord",
    "BadBatch",
    "ChainHead",
    "Source",
    "batch_hash",
    "decode_records",
    "encode_record",
    "encode_records",
    "hash_of",
    "make_batch",
    "with_version",
]
