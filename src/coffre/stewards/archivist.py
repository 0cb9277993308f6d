"""The archivist: archived objects are gathered, restored when that was asked for, and restored
copies go when their days are over.

To gather is to move bytes into chunks that hold archived ones alone, compressed first where that
helps and the store's key opens them. Each blob is one commit: what is cut anywhere goes on where it
was. What another object holds too, and what is small, stays where it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from coffre.catalog.archive_mutations import (
    CompressBlob,
    DropRestored,
    FinishRestore,
    RestoreBlob,
    SettleArchived,
)
from coffre.catalog.archive_reads import Archived
from coffre.catalog.archive_rows import GATHERED_AFTER_MS
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import CountDead, MoveBlob, Mutation, Refusal
from coffre.catalog.records import ARCHIVED, BlobName
from coffre.stewards.expirer import released_ms
from coffre.stewards.shape import Round, Steward
from coffre.stewards.staging import close_left, commit_written
from coffre.system.clock import Clock
from coffre.vault.compression import LEAST_BYTES, SAMPLE_BYTES, is_compressible, write_compressed
from coffre.vault.interface import BlobWriter, ChunkStore, DataLost, Staged, Vault
from coffre.vault.moving import copy_extents
from coffre.vault.records import STRIPE_UNIT, Blob, Chunk

log = logging.getLogger("coffre.archivist")

OWNER: Final = "archivist-"
"""What the names of those begin with who write chunks of archived bytes."""
WARM_OWNER: Final = "restorer-"
"""The same, of restored copies: they are no archive."""
RATE: Final = 64.0 * STRIPE_UNIT
_ROUND_S: Final = 1.0
_RETRY_S: Final = 300.0
_VERSIONS_A_ROUND: Final = 50
_BYTES_A_ROUND: Final = 256 * STRIPE_UNIT


def is_cold(chunk: Chunk) -> bool:
    """Whether a chunk holds archived bytes alone."""
    return chunk.owner.startswith(OWNER)


class Archivist(Steward):
    """`cold` and `cold_store` write into chunks of archived bytes, `warm` into others; `renew` has
    all of them begin new ones, `owners` are the names that they write under. `open_key` gives the
    bytes of a store key; what is at most `inline_limit` bytes long is not moved; `pace` is told of
    bytes that were read and returns when more may be."""

    name = "archivist"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        cold: Vault,
        cold_store: ChunkStore,
        warm: Vault,
        open_key: Callable[[bytes], bytes],
        pace: Callable[[int], Awaitable[object]],
        clock: Clock,
        *,
        owners: frozenset[str],
        renew: Callable[[], None],
        inline_limit: int,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._cold = cold
        self._cold_store = cold_store
        self._warm = warm
        self._open_key = open_key
        self._pace = pace
        self._clock = clock
        self._owners = owners
        self._renew = renew
        self._inline_limit = inline_limit
        self._put_off: dict[tuple[bytes, bytes, int, int], float] = {}
        self._moved = 0
        self._ahead_ms = 0
        self._left_closed = False

    def hasten(self) -> None:
        """What was written a moment ago is gathered too."""
        self._ahead_ms = GATHERED_AFTER_MS
        self._put_off = {}

    async def round(self) -> Round:
        """Do what is due, for some versions or bytes."""
        await self._close_left()
        now_ms, self._moved = released_ms(self._reader, self._clock), 0
        until_ms, self._ahead_ms = now_ms + self._ahead_ms, 0
        now = self._clock.monotonic()
        self._put_off = {one: until for one, until in self._put_off.items() if until > now}
        limit = _VERSIONS_A_ROUND + len(self._put_off)
        due = [
            one
            for one in self._reader.archive_due(until_ms, limit)
            if one.place not in self._put_off
        ]
        # Small ones at once, so that their commits share groups; of the others one after the other.
        small = [one for one in due if one.size <= self._inline_limit]
        did = sum(await asyncio.gather(*(self._try(one, now_ms) for one in small)))
        for one in due:
            if one.size > self._inline_limit and self._moved < _BYTES_A_ROUND:
                did += await self._try(one, now_ms)
        result = f"looked after {did} archived versions" if did else ""
        more = (did > 0 and len(due) >= _VERSIONS_A_ROUND) or self._moved >= _BYTES_A_ROUND
        again = 0.0 if more else _ROUND_S
        left = None if more else 0
        return Round(did, left, "versions", self._moved, result, again)

    async def _try(self, one: Archived, now_ms: int) -> bool:
        """Whether what is due for a version was done; what cannot be done is put off."""
        try:
            return await self._look_after(one, now_ms)
        except (Refusal, DataLost) as error:
            log.info("an archived version waits: %s", error)
            self._put_off[one.place] = self._clock.monotonic() + _RETRY_S
            return False

    async def _look_after(self, one: Archived, now_ms: int) -> bool:
        wanted = one.restoration
        if wanted is None:
            if one.storage_class in ARCHIVED:
                await self._gather(one)
            await self._committer.commit(SettleArchived(one.place, one.due_ms))
        elif one.due_ms > now_ms:
            return False
        elif one.restored:
            await self._committer.commit(DropRestored(one.place))
        else:
            await self._restore(one, wanted.manifest_id)
        return True

    # Restoring

    async def _restore(self, one: Archived, manifest_id: bytes) -> None:
        """Make the copy, without the parts that are there already."""
        names = self._reader.blobs_of(one.manifest_id)
        if not any(blob.compressed for blob in map(self._reader.blob, names) if blob is not None):
            await self._committer.commit(FinishRestore(one.place, shared=True))
            return
        there = self._reader.part_numbers(manifest_id)
        for name in names:
            blob = self._reader.blob(name)
            if blob is not None and name.number not in there:
                await self._restore_blob(one, manifest_id, name.number, blob)
        if names[0].number:
            await self._committer.commit(FinishRestore(one.place))

    async def _restore_blob(
        self, one: Archived, manifest_id: bytes, number: int, blob: Blob
    ) -> None:
        writer = self._warm.writer(one.key_id, self._open_key(one.key_id), size_hint=blob.size)

        async def write() -> Staged:
            key = self._open_key(blob.key_id)
            async for piece in self._warm.read(blob, key, 0, blob.size):
                await writer.write(piece)
            return await writer.finish()

        await self._write(
            writer, write(), lambda made: RestoreBlob(one.place, manifest_id, number, made)
        )
        await self._count(blob.size)

    # Gathering

    async def _gather(self, one: Archived) -> None:
        """Have a version's bytes lie with other archived ones."""
        if self._reader.is_shared(one.manifest_id):
            return
        for name in self._reader.blobs_of(one.manifest_id):
            blob = self._reader.blob(name)
            if blob is None or blob.compressed or not blob.size:
                continue
            if not one.own_key and await self._is_worth_it(blob):
                await self._compress(one, name, blob)
            elif blob.stored_bytes > self._inline_limit:
                await self._move(name, blob)

    async def _is_worth_it(self, blob: Blob) -> bool:
        if blob.size < LEAST_BYTES:
            return False
        most = min(blob.size, SAMPLE_BYTES)
        sample = await self._cold.read_whole(blob, self._open_key(blob.key_id), 0, most)
        return await asyncio.to_thread(is_compressible, sample)

    async def _compress(self, one: Archived, name: BlobName, blob: Blob) -> None:
        writer = self._cold.writer(one.key_id, self._open_key(one.key_id), size_hint=None)
        content = self._cold.read(blob, self._open_key(blob.key_id), 0, blob.size)
        await self._write(
            writer,
            write_compressed(content, writer),
            lambda made: CompressBlob(one.place, name.number, blob, made),
        )
        await self._count(blob.size)

    async def _move(self, name: BlobName, blob: Blob) -> None:
        """Its ciphertext as it is, in chunks of archived bytes."""
        chunks = {extent.chunk: self._reader.chunk(extent.chunk) for extent in blob.extents}
        if all(chunk is not None and is_cold(chunk) for chunk in chunks.values()):
            return
        written = await copy_extents(self._cold_store, blob.extents)
        try:
            await self._committer.commit(MoveBlob(*name, blob.extents, written))
        except Refusal:
            await self._committer.commit(CountDead(written))
            self._renew()
            raise
        await self._count(blob.stored_bytes)

    # Both

    async def _write(
        self,
        writer: BlobWriter,
        writing: Awaitable[Staged],
        committed: Callable[[Blob], Mutation],
    ) -> None:
        await commit_written(self._committer, writer, writing, committed, self._renew)

    async def _count(self, size: int) -> None:
        self._moved += size
        await self._pace(size)

    async def _close_left(self) -> None:
        """Close what those before this one left open, once."""
        if not self._left_closed:
            await close_left(self._reader, self._committer, (OWNER, WARM_OWNER), self._owners)
            self._left_closed = True
