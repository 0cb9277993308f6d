"""What a bucket's lifecycle did, as the audit records it: made in the step that does it.

Operations are named as S3's server access logs name a lifecycle's.
"""

from __future__ import annotations

from typing import Final

import apsw
from msgspec import json

from coffre.catalog.audit_records import AuditRecord, encode_record
from coffre.catalog.lifecycle_mutations import Act
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

_OF_BUCKET: Final = (
    "SELECT b.name, s.name, s.tenant_id FROM buckets b JOIN stores s ON s.id = b.store_id"
    " WHERE b.id = ?"
)
_MOVES: Final = {
    "STANDARD_IA": "S3.TRANSITION_SIA.OBJECT",
    "ONEZONE_IA": "S3.TRANSITION_ZIA.OBJECT",
    "INTELLIGENT_TIERING": "S3.TRANSITION_INT.OBJECT",
    "GLACIER_IR": "S3.TRANSITION_GIR.OBJECT",
    "GLACIER": "S3.TRANSITION.OBJECT",
    "DEEP_ARCHIVE": "S3.TRANSITION_GDA.OBJECT",
}
MARKED: Final = "S3.CREATE.DELETEMARKER"
# A lock or a retention period kept what a rule would have deleted: that is recorded as refused.
_HELD: Final = (403, "ObjectUnderRetention")
_DONE: Final = (204, "")


class LifecycleRecords:
    """Records of one step of the lifecycle of any buckets; each bucket's names are read once."""

    def __init__(self, db: apsw.Connection, stamp: Stamp, tally: Tally) -> None:
        self._db = db
        self._at_ms = stamp.now_ms
        self._tally = tally
        self._names: dict[bytes, tuple[str, str, bytes]] = {}

    def acted(
        self,
        bucket_id: bytes,
        key: bytes,
        version: str,
        act: Act,
        rule_id: str,
        *,
        held: bool = False,
        marks: bool = False,
        storage_class: str = "",
    ) -> None:
        """A rule acted; `marks`: by a delete marker, whose version is `version`."""
        if act == "move":
            operation = _MOVES.get(storage_class, f"S3.TRANSITION_{storage_class}.OBJECT")
        elif act == "abort":
            operation = "S3.DELETE.UPLOAD"
        else:
            operation = MARKED if marks else "S3.EXPIRE.OBJECT"
        detail = {"rule": rule_id, "class": storage_class} if storage_class else {"rule": rule_id}
        self.happened(bucket_id, key, version, operation, detail, held=held)

    def happened(
        self,
        bucket_id: bytes,
        key: bytes,
        version: str,
        operation: str,
        detail: dict[str, str],
        *,
        held: bool = False,
    ) -> None:
        """Something happened by time to a version, or an upload (its id is `version` then)."""
        bucket, store, tenant_id = self._of(bucket_id)
        status, error = _HELD if held else _DONE
        self._tally.record(
            encode_record(
                AuditRecord(
                    self._at_ms,
                    source="steward",
                    via="lifecycle",
                    store=store,
                    tenant=tenant_id.hex(),
                    principal="steward:lifecycle",
                    operation=operation,
                    bucket=bucket,
                    key=key,
                    status=status,
                    error=error,
                    decision="lifecycle",
                    detail=json.encode(detail).decode(),
                    version=version,
                )
            )
        )

    def _of(self, bucket_id: bytes) -> tuple[str, str, bytes]:
        if bucket_id not in self._names:
            self._names[bucket_id] = self._db.execute(_OF_BUCKET, (bucket_id,)).get
        return self._names[bucket_id]
