"""A bucket that goes with all that is in it: a steward empties it, this begins it and says how far
it is. All operations raise Invalid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coffre.catalog.ecs_mutations import SetTraits
from coffre.catalog.emptying import EMPTY_BUCKET, Emptying, unpack_emptying
from coffre.catalog.packing import pack
from coffre.catalog.records import Bucket, Trait
from coffre.s3.control import policy
from coffre.service.invalid import Invalid
from coffre.service.named import bucket_named
from coffre.service.node import Node
from coffre.stewards.expirer import released_ms

Answer = dict[str, Any]
_DELETES: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion")


class EmptyingAdministration:
    """Empty and delete a bucket; how far that is."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"bucket.empty": self.empty, "bucket.emptying": self.emptying}

    async def empty(self, name: str, confirm: str, store: str | None = None) -> Answer:
        """From now on nothing is written to the bucket; a steward deletes every version, marker and
        upload in it, then the bucket. `confirm` is its name again. Refused while something in it is
        locked, and where its policy denies anybody to delete."""
        bucket = bucket_named(self._node.reader, name, store)
        if confirm != bucket.name:
            raise Invalid("NotConfirmed", "type the bucket's name to delete all of it", "confirm")
        if not bucket.traits & Trait.EMPTYING:
            self._refuse_kept(bucket)
            now_ms = self._node.clock.now_ms()
            begun = Emptying(now_ms, now_ms, bucket.objects, bucket.bytes)
            await self._node.committer.commit(
                SetTraits(bucket.id, on=Trait.EMPTYING, documents={EMPTY_BUCKET: pack(begun)})
            )
        return await self.emptying(name, store)

    def _refuse_kept(self, bucket: Bucket) -> None:
        reader = self._node.reader
        locks = reader.last_release(bucket.id, released_ms(reader, self._node.clock))
        if locks is not None:
            raise Invalid("ObjectsLocked", f"objects in the bucket are {locks}", "name")
        rules = policy(reader, bucket)
        if rules is not None and any(
            not one.allows for action in _DELETES for one in rules[0].covering(action)
        ):
            raise Invalid(
                "PolicyDenies",
                "the bucket's policy denies to delete from it, and nobody is asked key by key:"
                " change it first",
                "name",
            )

    async def emptying(self, name: str, store: str | None = None) -> Answer:
        """How far the emptying of a bucket is; NotEmptying where nobody asked for it. A bucket that
        is gone is NoSuchBucket: that is how it ends."""
        bucket = bucket_named(self._node.reader, name, store)
        packed = self._node.reader.bucket_document(bucket.id, EMPTY_BUCKET)
        if packed is None:
            raise Invalid("NotEmptying", "nobody asked to empty the bucket", "name")
        found = unpack_emptying(packed)
        locks = None
        if found.state == "FAILED":
            now_ms = released_ms(self._node.reader, self._node.clock)
            locks = self._node.reader.last_release(bucket.id, now_ms)
        return {
            "name": bucket.name,
            "state": found.state.lower().replace("_", "-"),
            "deleted": found.deleted,
            "kept": found.retained,
            "objects_at_first": found.objects,
            "bytes_at_first": found.size,
            "left": bucket.objects,
            "why": "" if locks is None else f"what is left is {locks}",
            "created_ms": found.created_ms,
            "updated_ms": found.updated_ms,
        }
