"""Reads of the keys of stores' key services (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.packing import unpack_kms_versions
from coffre.catalog.records import KmsKey

_KEY = (
    "SELECT store_id, id, alias, backend, enabled, created_ms, versions FROM kms_keys"
    " WHERE store_id = ?"
)
_BY_ID = _KEY + " AND id = ?"
_BY_ALIAS = _KEY + " AND alias = ?"
_IN_ORDER = _KEY + " ORDER BY alias"


class KmsReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def kms_key(self, store_id: bytes, key_id: str) -> KmsKey | None:
        row = self._db.execute(_BY_ID, (store_id, key_id)).get
        return row and _key(row)

    def kms_key_by_alias(self, store_id: bytes, alias: str) -> KmsKey | None:
        row = self._db.execute(_BY_ALIAS, (store_id, alias)).get
        return row and _key(row)

    def kms_keys(self, store_id: bytes) -> list[KmsKey]:
        return [_key(row) for row in self._db.execute(_IN_ORDER, (store_id,)).fetchall()]


def _key(row: tuple[Any, ...]) -> KmsKey:
    (store_id, key_id, alias, backend, enabled, created_ms, versions) = row
    kept = unpack_kms_versions(versions)
    return KmsKey(store_id, key_id, alias, backend, bool(enabled), created_ms, kept)
