"""A record, and where it stands in the chain."""

from __future__ import annotations

from typing import NamedTuple

from coffre.catalog.audit_records import AuditRecord


class Placed(NamedTuple):
    """A record, and where it stands: in which batch, at which place from 0 on."""

    batch: int
    place: int
    record: AuditRecord
