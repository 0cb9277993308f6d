"""The audit's rows: one batch a group, and the end of the chain that batches make."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from coffre.catalog.audit_records import AuditBatch, ChainHead, make_batch

_HEAD = "SELECT sequence, hash, records FROM audit_chain WHERE id = 0"
_FIRST_HEAD = "INSERT INTO audit_chain (id, sequence, hash, records) VALUES (0, ?, ?, ?)"
_NEW_HEAD = "UPDATE audit_chain SET sequence = ?, hash = ?, records = ? WHERE id = 0"
_BATCH = (
    "INSERT INTO audit_batches (sequence, first_ms, last_ms, records, previous, hash, packed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_BATCHES = (
    "SELECT sequence, first_ms, last_ms, records, previous, hash, packed FROM audit_batches"
    " WHERE sequence > ? ORDER BY sequence LIMIT ?"
)


def append_batch(db: apsw.Connection, records: Sequence[bytes]) -> None:
    """Write the group's batch, at the chain's end."""
    head = chain_head(db)
    batch, end = make_batch(head, records)
    db.execute(
        _BATCH,
        (
            batch.sequence,
            batch.first_ms,
            batch.last_ms,
            batch.count,
            batch.previous,
            batch.hash,
            batch.packed,
        ),
    )
    db.execute(_NEW_HEAD if head.sequence else _FIRST_HEAD, (end.sequence, end.hash, end.records))


def chain_head(db: apsw.Connection) -> ChainHead:
    """The chain's end; before the first batch, its beginning."""
    row = db.execute(_HEAD).fetchone()
    return ChainHead() if row is None else ChainHead(*row)


def batches_after(db: apsw.Connection, sequence: int, limit: int) -> list[AuditBatch]:
    """Batches that are not packed, by sequence, those behind one."""
    return [AuditBatch(*row) for row in db.execute(_BATCHES, (sequence, limit))]
