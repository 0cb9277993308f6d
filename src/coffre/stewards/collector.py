"""The collector: space of deleted, overwritten and abandoned data comes back.

A closed chunk of which enough is dead, or that is laid otherwise than new chunks would be, has
what lives in it moved out, ciphertext as it is; a chunk in which nothing lives is condemned, its
files go once no request is open that began before that, and its row last. Each step may be cut:
the next start finds rows and files as they are and goes on. A landing chunk holds log too: it is
collected only when the oldest kept snapshot covers all of that. Rows of what is sealed are looked
at a page a round, so that a round costs the same in a zone of any size.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Protocol

from msgspec import Struct

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.landed import Landed, landed
from coffre.catalog.log import RecordCipher
from coffre.catalog.mutations import (
    CloseChunk,
    CondemnChunk,
    CountDead,
    ForgetChunk,
    MeasureChunk,
    MoveBlob,
    Refusal,
)
from coffre.catalog.records import BlobName
from coffre.stewards.archivist import is_cold
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock
from coffre.vault.drives import DriveSet
from coffre.vault.interface import ChunkStore, DataLost, StorageFull
from coffre.vault.moving import measure, remove_chunk, stage_move
from coffre.vault.records import STRIPE_UNIT, Chunk, ChunkKind, ChunkState, Geometry

log = logging.getLogger("coffre.collector")

OWNER = "collector-"
COLLECT_AT = 0.3
# Where a drive has little left, less is reason enough.
_COLLECT_AT_WHEN_FULL = 0.05
_NEARLY_FULL = 4  # times what is kept in reserve
# A process believes what it read of a chunk for one second (`vault.store`).
_GRACE_S = 2.0
_ROUND_S = 1.0
_RETRY_S = 300.0
_BLOBS_A_ROUND = 200
_BYTES_A_ROUND = 32 * STRIPE_UNIT
_BYTES_AT_ONCE = 8 * STRIPE_UNIT
_PAGE = 200
CHUNKS_A_ROUND = 500
# Bytes moved a second at most.
RATE = 64.0 * STRIPE_UNIT


class OpenRequests(Protocol):
    """What all processes that serve requests have open."""

    def oldest(self) -> float | None:
        """When the oldest open request began (`Clock.monotonic`); None when none is open."""
        ...


class Collecting(Struct, frozen=True):
    """How it is done. `at`: the share of a chunk's bytes that must be dead; `inline_limit`: what
    travels with its mutation; `wanted_cold`: how chunks of archived bytes are laid (None: as
    others)."""

    wanted: Geometry
    inline_limit: int
    at: float = COLLECT_AT
    wanted_cold: Geometry | None = None

    def wanted_of(self, chunk: Chunk) -> Geometry:
        """How a chunk would be laid if it were new."""
        return (self.wanted_cold if is_cold(chunk) else None) or self.wanted


class Collector(Steward):
    """`store` reads chunks and appends to a striped chunk of this process, owned by `owner` (a name
    that begins with `OWNER` and is never used again); `renew` has it begin another. `cipher` opens
    the log of a landing chunk, `log_floor` is the last record that every kept snapshot covers,
    `pace` is told of bytes that were moved and returns when more may be. What leaves a chunk of
    archived bytes goes to another: `cold` appends to one (None: there are none)."""

    name = "collector"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        drives: DriveSet,
        store: ChunkStore,
        requests: OpenRequests,
        pace: Callable[[int], Awaitable[object]],
        clock: Clock,
        settings: Collecting,
        *,
        owner: str,
        renew: Callable[[], None],
        cipher: Callable[[Chunk], RecordCipher],
        log_floor: Callable[[], Awaitable[int]],
        cold: ChunkStore | None = None,
    ) -> None:
        self._cold = cold or store
        self._reader = reader
        self._committer = committer
        self._drives = drives
        self._store = store
        self._requests = requests
        self._pace = pace
        self._clock = clock
        self._settings = settings
        self._owner = owner
        self._renew = renew
        self._cipher = cipher
        self._log_floor = log_floor
        self._floor = 0
        self._condemned: dict[bytes, float] = {}
        self._put_off: dict[bytes, float] = {}
        self._behind = b""
        self._current: tuple[bytes, AsyncGenerator[BlobName, None]] | None = None

    async def round(self) -> Round:
        """Let go of what may go, then move some of one chunk."""
        self._floor = await self._log_floor()
        unsealed = self._reader.unsealed_chunks()
        await self._close_left(unsealed)
        freed, held = await self._let_go(unsealed)
        chunks = self._reader.chunks_after(self._behind, limit=CHUNKS_A_ROUND)
        await self._measure(chunks)
        freed_or_condemned = freed + await self._condemn_dead(chunks)
        chunk, waiting = self._choose(chunks)
        moved = 0
        if chunk is not None:
            moved = await self._move_some(chunk)
        result = f"{freed} chunks freed" if freed else ""
        if held and not freed:
            result = f"{held} chunks wait for open requests to end"
        busy = chunk is not None or freed_or_condemned
        if not busy:
            # Nothing is left to do in these: the next ones then.
            self._behind = chunks[-1].id if len(chunks) == CHUNKS_A_ROUND else b""
        pause = 0.0 if busy else _ROUND_S
        left = waiting + sum(one.state is ChunkState.CONDEMNED for one in unsealed) - freed
        return Round(did=freed, left=left, moved_bytes=moved, result=result, again=pause)

    # Letting go

    async def _let_go(self, chunks: Iterable[Chunk]) -> tuple[int, int]:
        """Delete condemned chunks that no open request can read: (how many, how many wait)."""
        condemned = [chunk for chunk in chunks if chunk.state is ChunkState.CONDEMNED]
        now = self._clock.monotonic()
        # What was condemned before this process began counts from when it is first seen.
        self._condemned = {one.id: self._condemned.get(one.id, now) for one in condemned}
        freed = 0
        for chunk in condemned:
            since = self._condemned[chunk.id]
            if now < since + _GRACE_S:
                continue
            oldest = self._requests.oldest()
            if oldest is not None and oldest <= since:
                continue
            await asyncio.to_thread(remove_chunk, self._drives, chunk)
            await self._committer.commit(ForgetChunk(chunk.id))
            del self._condemned[chunk.id]
            freed += 1
        return freed, len(condemned) - freed

    async def _close_left(self, chunks: Iterable[Chunk]) -> None:
        """Close what collectors before this one left open."""
        for chunk in chunks:
            ours = chunk.owner.startswith(OWNER) and chunk.owner != self._owner
            if ours and chunk.state is ChunkState.OPEN:
                await self._committer.commit(CloseChunk(chunk.id))

    async def _measure(self, chunks: Iterable[Chunk]) -> None:
        """What was written to closed chunks and never referred to is dead."""
        for chunk in chunks:
            striped = chunk.kind is ChunkKind.STRIPED and chunk.state is ChunkState.SEALED
            if striped and not chunk.measured and _lives(chunk):
                length = await asyncio.to_thread(measure, self._drives, chunk)
                if length is not None:
                    await self._committer.commit(MeasureChunk(chunk.id, length))

    async def _condemn_dead(self, chunks: Iterable[Chunk]) -> int:
        count = 0
        for chunk in chunks:
            if chunk.state is not ChunkState.SEALED or _lives(chunk) or self._is_put_off(chunk):
                continue
            last = 0
            if chunk.kind is ChunkKind.LANDING:
                if not _is_covered(chunk, self._floor):
                    continue
                # Counters say that it is dead; so must the rows that its own log names.
                try:
                    found = await self._landed(chunk)
                except DataLost as error:
                    log.warning("chunk %s stays: %s", chunk.id.hex(), error)
                    self._put_off[chunk.id] = self._clock.monotonic() + _RETRY_S
                    continue
                last = found.last_sequence
                if any(self._is_in(name, chunk.id) for name in found.names):
                    log.error("chunk %s counts as dead, but is not", chunk.id.hex())
                    self._put_off[chunk.id] = self._clock.monotonic() + _RETRY_S
                    continue
            try:
                await self._committer.commit(CondemnChunk(chunk.id, last))
            except Refusal as refusal:
                log.info("chunk %s stays: %s", chunk.id.hex(), refusal.message)
                self._put_off[chunk.id] = self._clock.monotonic() + _RETRY_S
            else:
                count += 1
        return count

    # Choosing

    def _choose(self, chunks: Iterable[Chunk]) -> tuple[Chunk | None, int]:
        """The chunk to move out of, the deadest first; and how many there are."""
        at = _COLLECT_AT_WHEN_FULL if self._is_nearly_full() else self._settings.at
        chunks = list(chunks)
        odd = {
            wanted for one in chunks if one.geometry != (wanted := self._settings.wanted_of(one))
        }
        relaid = {wanted for wanted in odd if self._fits(wanted)}
        found = [
            chunk
            for chunk in chunks
            if chunk.state is ChunkState.SEALED and _lives(chunk) and not self._is_put_off(chunk)
            if (chunk.geometry != (wanted := self._settings.wanted_of(chunk)) and wanted in relaid)
            or (_dead_share(chunk) >= at and _is_covered(chunk, self._floor))
        ]
        if not found:
            return None, 0
        current = self._current[0] if self._current is not None else b""
        return max(found, key=lambda one: (one.id == current, _dead_share(one))), len(found)

    def _is_put_off(self, chunk: Chunk) -> bool:
        return self._put_off.get(chunk.id, 0.0) > self._clock.monotonic()

    def _fits(self, wanted: Geometry) -> bool:
        """Would a new chunk be laid as that is wanted?"""
        try:
            return self._drives.choose_segments(wanted)[0] == wanted
        except StorageFull:
            return False

    def _is_nearly_full(self) -> bool:
        low = _NEARLY_FULL * self._drives.reserve_bytes
        disk = self._drives.disk
        return any(disk.free_bytes(drive.path) < low for drive in self._drives.present())

    # Moving

    async def _move_some(self, chunk: Chunk) -> int:
        """Move what lives in a chunk out of it, a round's worth; bytes moved."""
        if self._current is None or self._current[0] != chunk.id:
            self._current = chunk.id, self._names(chunk)
            # What was opened while drives were away is no better than what is being emptied.
            self._renew()
        names = self._current[1]
        moved = count = 0
        batch: list[BlobName] = []
        batch_bytes = 0
        ended = True
        async for name in names:
            size = self._bytes_in(name, chunk.id)
            batch.append(name)
            batch_bytes += size
            moved += size
            count += 1
            if batch_bytes >= _BYTES_AT_ONCE:
                await self._move_all(batch, chunk)
                await self._pace(batch_bytes)
                batch, batch_bytes = [], 0
            if count >= _BLOBS_A_ROUND or moved >= _BYTES_A_ROUND:
                ended = False
                break
        await self._move_all(batch, chunk)
        await self._pace(batch_bytes)
        if ended:
            # Whatever still lives in it could not be moved now: others come first.
            self._current = None
            self._put_off = {
                one: until
                for one, until in self._put_off.items()
                if until > self._clock.monotonic()
            }
            after = self._reader.chunk(chunk.id)
            if after is not None and _lives(after):
                self._put_off[chunk.id] = self._clock.monotonic() + _RETRY_S
        return moved

    async def _move_all(self, names: Iterable[BlobName], chunk: Chunk) -> None:
        store = self._cold if is_cold(chunk) else self._store
        await asyncio.gather(*(self._move(name, chunk.id, store) for name in names))

    async def _move(self, name: BlobName, chunk_id: bytes, store: ChunkStore) -> None:
        blob = self._reader.blob(name)
        if blob is None or all(extent.chunk != chunk_id for extent in blob.extents):
            return
        try:
            move = await stage_move(
                store, blob.extents, chunk_id, inline_limit=self._settings.inline_limit
            )
        except DataLost as error:
            log.warning("blob %s stays: %s", blob.id.hex(), error)
            return
        try:
            await self._committer.commit(MoveBlob(*name, blob.extents, move.extents), move.body)
        except Refusal as refusal:
            if move.written:
                await self._committer.commit(CountDead(move.written))
            if refusal.code != "OperationAborted":
                raise
            # Deleted meanwhile; or a committer that started anew closed this process's chunk.
            self._renew()

    # What lives where

    async def _names(self, chunk: Chunk) -> AsyncGenerator[BlobName, None]:
        """Every blob that may have bytes in the chunk."""
        if chunk.kind is ChunkKind.LANDING:
            for name in (await self._landed(chunk)).names:
                yield name
            return
        after = BlobName(b"", 0)
        if chunk.listed:
            while names := self._reader.striped_blobs(chunk.id, after=after, limit=_PAGE):
                for name in names:
                    yield name
                after = names[-1]
            return
        # Written by a version that kept no list: look at every blob, once for this chunk.
        while page := self._reader.whole_blobs(after=after.manifest_id, limit=_PAGE):
            for name, blob in page:
                if any(extent.chunk == chunk.id for extent in blob.extents):
                    yield name
            after = page[-1][0]
            await asyncio.sleep(0)
        after = BlobName(b"", 0)
        while page := self._reader.part_blobs(after=after, limit=_PAGE):
            for name, blob in page:
                if any(extent.chunk == chunk.id for extent in blob.extents):
                    yield name
            after = page[-1][0]
            await asyncio.sleep(0)

    async def _landed(self, chunk: Chunk) -> Landed:
        return await landed(self._store.read, chunk, self._cipher(chunk))

    def _bytes_in(self, name: BlobName, chunk_id: bytes) -> int:
        blob = self._reader.blob(name)
        if blob is None:
            return 0
        return sum(extent.length for extent in blob.extents if extent.chunk == chunk_id)

    def _is_in(self, name: BlobName, chunk_id: bytes) -> bool:
        return self._bytes_in(name, chunk_id) > 0


def _lives(chunk: Chunk) -> bool:
    return chunk.appended > chunk.dead


def _dead_share(chunk: Chunk) -> float:
    """How much of what the chunk holds is of no use; log that is covered is of none."""
    return 1 - (chunk.appended - chunk.dead) / max(1, chunk.length)


def _is_covered(chunk: Chunk, floor: int) -> bool:
    """May the log in the chunk go, if there is any?"""
    return chunk.kind is ChunkKind.STRIPED or chunk.last_sequence <= floor != 0
