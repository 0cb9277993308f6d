"""Records of the audit as steps make them: those that come by themselves, and those of changes."""

from __future__ import annotations

import apsw

from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import with_version
from coffre.catalog.mutations import Deleted, Done, Result, Written
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally


def record_audit(db: apsw.Connection, mutation: RecordAudit, stamp: Stamp, tally: Tally) -> Done:
    tally.record_all(mutation.records)
    return Done()


def finished(record: bytes, result: Result) -> bytes:
    """The record of a change, with the version that came of it."""
    if isinstance(result, Written):
        return with_version(record, result.version_id.hex())
    if isinstance(result, Deleted) and (result.marker_version_id or result.version_id):
        return with_version(record, (result.marker_version_id or result.version_id or b"").hex())
    return record
