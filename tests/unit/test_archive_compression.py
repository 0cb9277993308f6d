"""What is compressed before it is encrypted comes back byte for byte, in bounded memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.blobs import FramedVault
from coffre.vault.compression import BLOCK_BYTES, is_compressible, write_compressed
from coffre.vault.interface import DataLost
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

KEY_ID, KEY = b"k" * 16, b"K" * 32


class Zone:
    """A vault over chunks in memory."""

    def __init__(self) -> None:
        self.chunks = MemoryChunkStore(1)
        self.vault = FramedVault(
            self.chunks, ManualClock(0), SeededEntropy(3), 1, count_dead=self._count, inline_limit=1
        )

    async def _count(self, extents: Any) -> None:
        """Nothing is abandoned here."""

    async def compress(self, pieces: list[bytes]) -> Blob:
        async def given_pieces() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        writer = self.vault.writer(KEY_ID, KEY, size_hint=None)
        staged = await write_compressed(given_pieces(), writer)
        if staged.body:
            return replace(staged.blob, extents=(self.chunks.land(staged.body),))
        return staged.blob

    async def read(self, blob: Blob, start: int, end: int) -> bytes:
        return b"".join([bytes(some) async for some in self.vault.read(blob, KEY, start, end)])


PIECES = st.lists(
    st.tuples(st.integers(0, 255), st.sampled_from([0, 1, 70_000, BLOCK_BYTES, BLOCK_BYTES + 1])),
    min_size=1,
    max_size=5,
).map(lambda made: [bytes([byte]) * length for byte, length in made])


@settings(deadline=None, max_examples=40)
@given(PIECES, st.integers(0, 5 << 20), st.integers(0, 5 << 20))
def test_any_range_of_it_is_what_went_in(pieces: list[bytes], one: int, other: int) -> None:
    zone, whole = Zone(), b"".join(pieces)
    blob = asyncio.run(zone.compress(pieces))
    assert blob.size == len(whole)
    assert asyncio.run(zone.read(blob, 0, blob.size)) == whole
    start, end = sorted((min(one, len(whole)), min(other, len(whole))))
    assert asyncio.run(zone.read(blob, start, end)) == whole[start:end]
    few = asyncio.run(zone.vault.read_whole(blob, KEY, start, min(end, start + 100)))
    assert bytes(few) == whole[start : min(end, start + 100)]


def test_what_is_nothing_but_zeros_takes_no_more_memory_than_a_block() -> None:
    zone = Zone()
    blob = asyncio.run(zone.compress([bytes(BLOCK_BYTES)] * 64))
    assert blob.compressed < 16_384

    async def read() -> int:
        return sum([len(some) async for some in zone.vault.read(blob, KEY, 0, blob.size)])

    tracemalloc.start()
    assert asyncio.run(read()) == 64 * BLOCK_BYTES
    assert tracemalloc.get_traced_memory()[1] < 8 * BLOCK_BYTES
    tracemalloc.stop()


def test_a_blob_that_says_more_than_it_holds_is_an_error() -> None:
    zone = Zone()
    blob = asyncio.run(zone.compress([b"x" * 100_000]))
    longer = replace(blob, size=3 << 20)
    with pytest.raises(DataLost):
        asyncio.run(zone.read(longer, 0, longer.size))


def test_random_bytes_are_not_worth_it_and_text_is() -> None:
    assert not is_compressible(SeededEntropy(1).bytes(100_000))
    assert not is_compressible(b"short")
    assert is_compressible(b"some text " * 1000)
