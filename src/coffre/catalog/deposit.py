"""Objects that the service itself puts into a bucket: reports and logs that its owner asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import ObjectFacts, PutVersion, Written
from coffre.catalog.records import Bucket
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.vault.interface import Vault


class Deposit:
    """Puts whole objects, encrypted with the store's key. `open_key` gives the 32 bytes of a store
    key by its id; `zone` is the zone's number in new ids."""

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        vault: Vault,
        open_key: Callable[[bytes], bytes],
        clock: Clock,
        entropy: Entropy,
        zone: int,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._vault = vault
        self._open_key = open_key
        self._clock = clock
        self._entropy = entropy
        self._zone = zone

    async def put(
        self, bucket: Bucket, key: bytes, body: bytes, content_type: str, acl: bytes = b""
    ) -> Written:
        """A new object of the bucket's owner. Raises what committing does."""
        store = self._reader.store(bucket.store_id)
        assert store is not None, "a bucket's store is there"
        data_key = self._open_key(store.key_id)
        writer = self._vault.writer(store.key_id, data_key, size_hint=len(body))
        try:
            await writer.write(body)
            staged = await writer.finish()
        except BaseException:
            await writer.abandon()
            raise
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        mutation = PutVersion(
            bucket_id=bucket.id,
            key=key,
            manifest_id=new_id(self._entropy, self._zone, self._clock.now_ms()),
            blob=staged.blob,
            facts=ObjectFacts(
                etag=etag,
                owner_id=bucket.owner_id,
                metadata={"content-type": content_type},
                acl=acl,
            ),
        )
        done = await self._committer.commit(mutation, staged.body)
        assert isinstance(done, Written), "the committer answers a write with what it wrote"
        return done
