"""Reads of Object Lock (part of `reader`)."""

from __future__ import annotations

import apsw

from coffre.catalog import lock_guard
from coffre.catalog.lock_guard import LastRelease
from coffre.catalog.records import DefaultRetention, LockMode, ObjectLock, Retention


class LockReads:
    """The reads of `catalog.interface.Reader` that are about Object Lock."""

    _db: apsw.Connection

    def default_retention(self, bucket_id: bytes) -> DefaultRetention | None:
        return lock_guard.default_of(self._db, bucket_id)

    def last_release(self, bucket_id: bytes, now_ms: int) -> LastRelease | None:
        return lock_guard.last_release(self._db, bucket_id, now_ms)


def object_lock(mode: LockMode | None, until_ms: int | None, held: int | None) -> ObjectLock | None:
    """A version's lock from its columns."""
    if mode is None and held is None:
        return None
    kept = None if mode is None or until_ms is None else Retention(mode, until_ms)
    return ObjectLock(kept, None if held is None else bool(held))
