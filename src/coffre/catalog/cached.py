"""A worker's reader: who signs and which bucket are read once a generation, not once a request."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import apsw

from coffre.catalog.iam_records import IamEntity, IamPolicies
from coffre.catalog.reader import SqliteReader
from coffre.catalog.records import Bucket, Identity, Store, StoreKey

_KEPT = 4096
_T = TypeVar("_T")


class CachedReader(SqliteReader):
    """`SqliteReader` that remembers identities, stores, store keys, buckets, their documents
    and roles while `generation` stays as it is. A remembered bucket's counters are as old as the
    generation: whoever wants exact ones reads `buckets`."""

    def __init__(self, db: apsw.Connection, generation: Callable[[], int]) -> None:
        super().__init__(db)
        self._generation = generation
        self._seen = -1
        self._known: dict[Hashable, object] = {}

    def identity(self, access_key: str) -> Identity | None:
        return self._once(("identity", access_key), super().identity, access_key)

    def store_named(self, name: str) -> Store | None:
        return self._once(("store", name), super().store_named, name)

    def store_key(self, key_id: bytes) -> StoreKey | None:
        return self._once(("key", key_id), super().store_key, key_id)

    def bucket(self, store_id: bytes, name: str) -> Bucket | None:
        return self._once((store_id, name), super().bucket, store_id, name)

    def bucket_document(self, bucket_id: bytes, kind: str) -> bytes | None:
        # Nobody names a bucket's id: what it lacks may be remembered, and is asked for most.
        found = self._once(("document", bucket_id, kind), self._document, bucket_id, kind)
        return None if found is None else found[0]

    def _document(self, bucket_id: bytes, kind: str) -> tuple[bytes | None]:
        return (super().bucket_document(bucket_id, kind),)

    def bucket_roles(self, bucket_id: bytes) -> dict[str, str]:
        found = self._once(("roles", bucket_id), super().bucket_roles, bucket_id)
        return found or {}

    def iam_root(self, store_id: bytes) -> str | None:
        return self._once(("root", store_id), super().iam_root, store_id)

    def iam_entity_by_id(self, entity_id: str) -> IamEntity | None:
        return self._once(("entity", entity_id), super().iam_entity_by_id, entity_id)

    def iam_policies(self, entity_id: str) -> IamPolicies:
        found = self._once(("policies", entity_id), super().iam_policies, entity_id)
        assert found is not None, "whoever has no policies has an empty set of them"
        return found

    def _once(
        self, asked: Hashable, read: Callable[..., _T | None], *about: str | bytes
    ) -> _T | None:
        # The generation is read before the row: one that rises in between is noticed next time.
        now = self._generation()
        if now != self._seen:
            self._known.clear()
            self._seen = now
        known = self._known.get(asked)
        if known is None:
            known = read(*about)
            # What does not exist is not remembered: strangers must not fill the memory.
            if known is not None:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[asked] = known
        return known  # type: ignore[return-value]
