"""Quotas of buckets, as an operator sees to them. All operations raise Invalid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec.structs import asdict, replace

from coffre.catalog.interface import Reader
from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument
from coffre.catalog.packing import pack
from coffre.catalog.quotas import QUOTA, unpack_quota
from coffre.catalog.records import Bucket, Quota
from coffre.service.named import bucket_named, check_whole
from coffre.service.node import Node

Answer = dict[str, Any]
_MOST: Final = (1 << 63) - 1


class QuotaAdministration:
    """What a bucket may hold, beside what its store may."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"bucket.set": self.set}

    async def set(
        self,
        name: str,
        store: str | None = None,
        hard_bytes: int | None = None,
        hard_objects: int | None = None,
        warn_bytes: int | None = None,
        warn_objects: int | None = None,
    ) -> Answer:
        """Change a bucket's quota; 0: no such limit. Beyond the hard limits writes are refused,
        beyond the others `status` warns. Versions and parts of unfinished uploads are counted."""
        reader, committer = self._node.reader, self._node.committer
        bucket = bucket_named(reader, name, store)
        given = {
            "hard_bytes": hard_bytes,
            "hard_objects": hard_objects,
            "warn_bytes": warn_bytes,
            "warn_objects": warn_objects,
        }
        changes = {field: limit for field, limit in given.items() if limit is not None}
        for field, limit in changes.items():
            check_whole(field, limit, 0, _MOST, "(0: none)")
        kept = quota_of(reader, bucket)
        wanted = replace(kept, **{field: limit or None for field, limit in changes.items()})
        if wanted == Quota():
            await committer.commit(DeleteBucketDocument(bucket.id, QUOTA))
        else:
            await committer.commit(PutBucketDocument(bucket.id, QUOTA, pack(wanted)))
        return {"name": name, "quota": shown_quota(wanted)}

    def warnings(self) -> list[Answer]:
        """What buckets hold beyond what they should."""
        reader = self._node.reader
        found: list[Answer] = []
        for bucket in reader.capped_buckets():
            quota, store = quota_of(reader, bucket), reader.store(bucket.store_id)
            about = {"store": "" if store is None else store.name, "bucket": bucket.name}
            found += exceeded(about, quota, *held_by(reader, bucket))
        return found


def quota_of(reader: Reader, bucket: Bucket) -> Quota:
    """A bucket's own quota; an empty one where it has none."""
    packed = reader.bucket_document(bucket.id, QUOTA)
    return Quota() if packed is None else unpack_quota(packed)


def shown_quota(quota: Quota) -> Answer:
    """The limits that are set, by name."""
    return {name: limit for name, limit in asdict(quota).items() if limit is not None}


def held_by(reader: Reader, bucket: Bucket) -> tuple[int, int]:
    """(objects, bytes) as quotas count them: all versions, and parts of unfinished uploads."""
    parts = sum(one.level.part_bytes for one in reader.meters_of(bucket.id))
    return bucket.objects, bucket.bytes + parts


def exceeded(about: Answer, quota: Quota, objects: int, size: int) -> list[Answer]:
    """A row for each limit that is reached: the hard one, or else the one that warns."""
    found: list[Answer] = []
    for what, held, warn, hard in (
        ("bytes", size, quota.warn_bytes, quota.hard_bytes),
        ("objects", objects, quota.warn_objects, quota.hard_objects),
    ):
        limit = hard if hard is not None and held >= hard else warn
        if limit is not None and held >= limit:
            kind = "quota" if limit == hard else "warning"
            found.append({**about, "what": what, "held": held, "limit": limit, "kind": kind})
    return found
