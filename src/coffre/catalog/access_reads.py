"""Reads of tenants, stores' contents and roles on buckets (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog import queries as q
from coffre.catalog.records import Bucket, Tenant

_AFTER_ALL_NAMES = "\U0010ffff"


class AccessReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def tenants(self) -> list[Tenant]:
        rows: list[Any] = self._db.execute(q.TENANTS).fetchall()
        return [Tenant(*row) for row in rows]

    def store_usage(self, store_id: bytes) -> tuple[int, int, int]:
        row: tuple[int, int, int] = self._db.execute(q.STORE_USAGE, (store_id,)).get
        return row

    def bucket_roles(self, bucket_id: bytes) -> dict[str, str]:
        rows: list[Any] = self._db.execute(q.BUCKET_ROLES, (bucket_id,)).fetchall()
        return dict(rows)

    def buckets_by_role(
        self, store_id: bytes, user_id: str, *, prefix: str, after: str, limit: int
    ) -> list[Bucket]:
        bounds = (max(prefix, after + "\0"), prefix + _AFTER_ALL_NAMES)
        rows: list[Any] = self._db.execute(
            q.BUCKETS_BY_ROLE, (user_id, store_id, *bounds, max(limit, 0))
        ).fetchall()
        return [Bucket(*row) for row in rows]

    def was_access_key(self, access_key: str) -> bool:
        return self._db.execute(q.RETIRED_KEY, (access_key,)).get is not None
