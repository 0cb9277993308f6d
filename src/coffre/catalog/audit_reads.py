"""Reads of what happened (part of `catalog.interface.Reader`)."""

from __future__ import annotations

import apsw

from coffre.catalog.audit_chain import batches_after, chain_head
from coffre.catalog.audit_records import AuditBatch, ChainHead


class AuditReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def audit_batches(self, *, after: int, limit: int) -> list[AuditBatch]:
        return batches_after(self._db, after, limit)

    def audit_head(self) -> ChainHead:
        return chain_head(self._db)
