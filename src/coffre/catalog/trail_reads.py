"""Reads of where the audit's records are (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any, Final

import apsw

from coffre.catalog.audit_records import AuditBatch
from coffre.catalog.trail_records import (
    SELECT_SEGMENT,
    AuditHorizon,
    AuditSegment,
    AuditTarget,
    BatchPlace,
    Trail,
)

_SEGMENTS: Final = SELECT_SEGMENT + " ORDER BY first_sequence"
_PLACES: Final = "SELECT sequence, first_ms, last_ms FROM audit_batches ORDER BY sequence"
_BATCH: Final = (
    "SELECT sequence, first_ms, last_ms, records, previous, hash, packed FROM audit_batches"
    " WHERE sequence = ?"
)
_HORIZON: Final = "SELECT sequence, hash, records, removed_ms FROM audit_horizon"
_TARGETS: Final = "SELECT name, sequence, place FROM audit_targets ORDER BY name"


class TrailReads:
    """Each method is one statement, or one read transaction."""

    _db: apsw.Connection

    def audit_trail(self) -> Trail:
        with self._db:
            places: list[Any] = self._db.execute(_PLACES).fetchall()
            segments = self.audit_segments()
        return Trail(tuple(BatchPlace(*row) for row in places), tuple(segments))

    def audit_segments(self) -> list[AuditSegment]:
        rows: list[Any] = self._db.execute(_SEGMENTS).fetchall()
        return [AuditSegment(*row) for row in rows]

    def audit_batch(self, sequence: int) -> AuditBatch | None:
        row: Any = self._db.execute(_BATCH, (sequence,)).fetchone()
        return None if row is None else AuditBatch(*row)

    def audit_horizon(self) -> AuditHorizon:
        row: Any = self._db.execute(_HORIZON).fetchone()
        return AuditHorizon() if row is None else AuditHorizon(*row)

    def audit_targets(self) -> list[AuditTarget]:
        rows: list[Any] = self._db.execute(_TARGETS).fetchall()
        return [AuditTarget(*row) for row in rows]
