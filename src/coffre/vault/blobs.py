"""Blobs: plaintext in, encrypted frames in a chunk store, and back.

A writer holds at most two rows: one that it fills and one that the store is writing. A reader
holds at most two reads of 4 MiB: one that it opens and one that it fetches ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count

from msgspec.structs import replace

from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.vault.compression import decompressed
from coffre.vault.frames import SEALED_FRAME_BYTES, BadFrame, FrameCipher
from coffre.vault.interface import ChunkStore, CountDead, Staged
from coffre.vault.keys import KEY_BYTES, unwrap_key, wrap_key
from coffre.vault.records import (
    FRAME_BYTES,
    STRIPE_UNIT,
    TAG_BYTES,
    Blob,
    Extent,
    ciphertext_bytes,
)

INLINE_LIMIT = 1024 * 1024
# One full row of the widest geometry: what a writer hands over at a time.
ROW_BYTES = 12 * STRIPE_UNIT
# Frames that one read fetches: as many as 4 MiB hold.
_FRAMES_PER_READ = 4 * 1024 * 1024 // SEALED_FRAME_BYTES
# Frames that one yielded piece joins: 1 MiB.
_FRAMES_PER_PIECE = 16


class FramedVault:
    """The `Vault` of a zone: frames over a chunk store.

    `zone` is the zone's number in new ids; a blob of at most `inline_limit` bytes of plaintext
    travels with its mutation; `count_dead` is told of rows that nothing will refer to.
    """

    def __init__(
        self,
        store: ChunkStore,
        clock: Clock,
        entropy: Entropy,
        zone: int,
        *,
        count_dead: CountDead,
        inline_limit: int = INLINE_LIMIT,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._zone = zone
        self._count_dead = count_dead
        self._inline_limit = ciphertext_bytes(inline_limit)

    def writer(self, key_id: bytes, data_key: bytes, *, size_hint: int | None) -> FramedWriter:
        """A writer for one new blob. A wrong `size_hint` costs a copy, nothing else."""
        blob_key = self._entropy.bytes(KEY_BYTES)
        blob = Blob(
            id=new_id(self._entropy, self._zone, self._clock.now_ms()),
            size=0,
            key_id=key_id,
            wrapped_key=wrap_key(data_key, blob_key),
        )
        cipher = FrameCipher(blob.id, key_id, blob_key)
        hint = self._inline_limit if size_hint is None else ciphertext_bytes(size_hint)
        return FramedWriter(self._store, blob, cipher, hint, self._inline_limit, self._count_dead)

    async def read(
        self, blob: Blob, data_key: bytes, start: int, end: int
    ) -> AsyncIterator[Buffer]:
        """Plaintext bytes start..end of a blob, in pieces of at most 1 MiB.

        Raises DataLost (also after some pieces), WrongKey before the first.
        """
        if start >= end:
            return
        if blob.compressed:
            carried = replace(blob, size=blob.compressed, compressed=0)
            stream = self.read(carried, data_key, 0, carried.size)
            async for piece in decompressed(stream, blob, start, end):
                yield piece
            return
        reader = _Reader(self._store, blob, unwrap_key(data_key, blob.wrapped_key))
        first, stop = start // FRAME_BYTES, -(-end // FRAME_BYTES)
        ahead: asyncio.Task[Buffer] | None = None
        try:
            while first < stop:
                following = min(first + _FRAMES_PER_READ, stop)
                sealed = await (ahead or reader.fetch(first, following))
                ahead = None
                if following < stop:
                    beyond = min(following + _FRAMES_PER_READ, stop)
                    ahead = asyncio.create_task(reader.fetch(following, beyond))
                for number in range(first, following, _FRAMES_PER_PIECE):
                    view = memoryview(sealed)[(number - first) * SEALED_FRAME_BYTES :]
                    frames = range(number, min(number + _FRAMES_PER_PIECE, following))
                    yield await reader.open(frames, view, start, end)
                first = following
        finally:
            if ahead is not None:
                ahead.cancel()

    async def read_whole(self, blob: Blob, data_key: bytes, start: int, end: int) -> Buffer:
        """See `Vault.read_whole`. Raises as `read`."""
        if start >= end:
            return b""
        if blob.compressed:
            return b"".join([some async for some in self.read(blob, data_key, start, end)])
        reader = _Reader(self._store, blob, unwrap_key(data_key, blob.wrapped_key))
        frames = range(start // FRAME_BYTES, -(-end // FRAME_BYTES))
        sealed = await reader.fetch(frames.start, frames.stop)
        return await reader.open(frames, memoryview(sealed), start, end)


class _Reader:
    """Fetches and opens runs of one blob's frames."""

    def __init__(self, store: ChunkStore, blob: Blob, blob_key: bytes) -> None:
        self._store = store
        self._blob = blob
        self._cipher = FrameCipher(blob.id, blob.key_id, blob_key)
        self._last = -(-blob.size // FRAME_BYTES) - 1

    async def fetch(self, first: int, stop: int, attempt: int = 0) -> Buffer:
        """The ciphertext of frames first..stop."""
        low = first * SEALED_FRAME_BYTES
        high = min(stop * SEALED_FRAME_BYTES, self._blob.stored_bytes)
        parts = [
            await self._store.read(extent, start, length, attempt)
            for extent, start, length in _runs(self._blob.extents, low, high)
        ]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def open(self, frames: range, sealed: memoryview, start: int, end: int) -> bytearray:
        """The plaintext of `frames`, without what lies outside start..end of the blob."""
        begin = frames.start * FRAME_BYTES
        plain = bytearray(min(frames.stop * FRAME_BYTES, self._blob.size) - begin)
        view = memoryview(plain)
        for at, number in enumerate(frames):
            frame = sealed[at * SEALED_FRAME_BYTES : (at + 1) * SEALED_FRAME_BYTES]
            out = view[at * FRAME_BYTES : (at + 1) * FRAME_BYTES]
            try:
                self._cipher.open_into(number, frame, number == self._last, out)
            except BadFrame:
                await self._open_another(number, out)
        if len(plain) == end - start:
            return plain
        return plain[max(start - begin, 0) : end - begin]

    async def _open_another(self, number: int, out: memoryview) -> None:
        """A frame by way of other copies, until one opens. Raises DataLost after the last."""
        for attempt in count(1):
            sealed = await self.fetch(number, number + 1, attempt)
            try:
                self._cipher.open_into(number, sealed, number == self._last, out)
            except BadFrame:
                continue
            return


def _runs(extents: tuple[Extent, ...], low: int, high: int) -> Iterator[tuple[Extent, int, int]]:
    """The extents that hold bytes low..high of their joined data: (extent, start, length)."""
    at = 0
    for extent in extents:
        start, stop = max(low - at, 0), min(high - at, extent.length)
        if start < stop:
            yield extent, start, stop - start
        at += extent.length
        if at >= high:
            return


class FramedWriter:
    """The `BlobWriter`: seals frames into a row's buffer and hands full rows to the store.

    Keep it until the commit that refers to its blob: it is what holds the blob's chunks open.
    """

    def __init__(
        self,
        store: ChunkStore,
        blob: Blob,
        cipher: FrameCipher,
        hint: int,
        inline_limit: int,
        count_dead: CountDead,
    ) -> None:
        self._store = store
        self._blob = blob
        self._cipher = cipher
        self._inline_limit = inline_limit
        self._count_dead = count_dead
        self._number = 0
        self._size = 0
        # The frame that is not sealed yet: it may be the last.
        self._held = bytearray()
        self._row = bytearray()
        self._hint = hint
        self._filled = 0
        self._appending: tuple[asyncio.Task[tuple[Extent, ...]], bytearray] | None = None
        self._spare: bytearray | None = None
        self._extents: list[Extent] = []
        self.finished = False

    async def write(self, piece: Buffer) -> None:
        """Take plaintext. Raises StorageFull when an earlier row found no place."""
        self._size += len(piece)
        if len(self._held) + len(piece) <= FRAME_BYTES:
            self._held += piece
            return
        view = memoryview(piece)
        if self._held:
            room = FRAME_BYTES - len(self._held)
            self._held += view[:room]
            view = view[room:]
            await self._seal(self._held, last=False)
        at = 0
        while len(view) - at > FRAME_BYTES:
            await self._seal(view[at : at + FRAME_BYTES], last=False)
            at += FRAME_BYTES
        self._held = bytearray(view[at:])

    async def finish(self) -> Staged:
        """The finished blob. Raises as `write`."""
        staged = await self._finished()
        self.finished = True
        return staged

    async def _finished(self) -> Staged:
        blob = Blob(self._blob.id, self._size, self._blob.key_id, self._blob.wrapped_key)
        if self._held and not self._number:
            return Staged(blob, (self._cipher.seal(0, self._held, last=True),))
        if self._held:
            await self._seal(self._held, last=True)
            self._held = bytearray()
        sealed = memoryview(self._row)[: self._filled]
        if self._appending is None and self._filled <= self._inline_limit:
            return Staged(blob, (bytes(sealed),) if sealed else ())
        await self._settle()
        if sealed:
            self._extents += await self._store.append_rows([sealed], self)
        return Staged(Blob(blob.id, blob.size, blob.key_id, blob.wrapped_key, tuple(self._extents)))

    async def abandon(self) -> None:
        """Count the rows dead that were written. Never after a commit."""
        if self._appending is not None:
            task, _ = self._appending
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:
                self._extents += task.result()
            self._appending = None
        extents, self._extents = tuple(self._extents), []
        if extents:
            await self._count_dead(extents)

    async def _seal(self, plaintext: Buffer, *, last: bool) -> None:
        """Put the next frame at the end of the row, or across its end into the next."""
        number, self._number = self._number, self._number + 1
        length = len(plaintext) + TAG_BYTES
        if self._filled + length > len(self._row) and len(self._row) < ROW_BYTES:
            # Where the hint was too small, go on in a whole row.
            row = bytearray(ROW_BYTES if self._filled else max(length, min(self._hint, ROW_BYTES)))
            row[: self._filled] = memoryview(self._row)[: self._filled]
            self._row = row
        stop = self._filled + length
        if stop <= len(self._row):
            out = memoryview(self._row)[self._filled : stop]
            self._cipher.seal_into(number, plaintext, last, out)
            self._filled = stop
            return
        sealed = memoryview(self._cipher.seal(number, plaintext, last))
        head = len(self._row) - self._filled
        self._row[self._filled :] = sealed[:head]
        await self._hand_over()
        self._filled = length - head
        self._row[: self._filled] = sealed[head:]

    async def _hand_over(self) -> None:
        """Give the full row to the store, as soon as it is done with the one before."""
        await self._settle()
        append = self._store.append_rows([memoryview(self._row)], self)
        self._appending = (asyncio.create_task(append), self._row)
        self._row = self._spare or bytearray(ROW_BYTES)
        self._spare = None
        # Let the append start before the next row keeps the loop busy.
        await asyncio.sleep(0)

    async def _settle(self) -> None:
        """Wait for the row that is being written. Raises what its append raised."""
        if self._appending is None:
            return
        task, row = self._appending
        self._extents += await asyncio.shield(task)
        self._appending, self._spare = None, row
