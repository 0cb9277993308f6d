"""Blobs over the memory store: what goes in comes out, and nothing altered ever does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.system.buffer import Buffer
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.blobs import INLINE_LIMIT, ROW_BYTES, FramedVault
from coffre.vault.frames import BadFrame, FrameCipher
from coffre.vault.interface import DataLost, Staged, StorageFull
from coffre.vault.keys import WrongKey
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import FRAME_BYTES, TAG_BYTES, Blob, Extent

DATA_KEY = b"k" * 32
KEY_ID = b"store-key-1"


class Bench:
    """A vault over memory, with what it counted dead."""

    def __init__(self, store: MemoryChunkStore | None = None) -> None:
        self.store = store or MemoryChunkStore()
        self.dead: list[Extent] = []
        self.vault = FramedVault(
            self.store, ManualClock(), SeededEntropy(1), 1, count_dead=self._count
        )

    async def _count(self, extents: tuple[Extent, ...]) -> None:
        self.dead += extents

    async def put(self, pieces: Sequence[Buffer], hint: int | None = None) -> Staged:
        writer = self.vault.writer(KEY_ID, DATA_KEY, size_hint=hint)
        for piece in pieces:
            await writer.write(piece)
        return await writer.finish()

    def land(self, staged: Staged) -> Blob:
        blob = staged.blob
        if not staged.body:
            return blob
        extents = (self.store.land(staged.body),)
        return Blob(blob.id, blob.size, blob.key_id, blob.wrapped_key, extents)

    async def get(self, blob: Blob, start: int, end: int, key: bytes = DATA_KEY) -> bytes:
        return b"".join([piece async for piece in self.vault.read(blob, key, start, end)])


def content(size: int) -> bytes:
    return SeededEntropy(size).bytes(size)


SIZES = st.one_of(
    st.integers(0, 70_000),
    st.sampled_from([n * FRAME_BYTES + d for n in (1, 2, 15, 16, 17, 63, 64) for d in (-1, 0, 1)]),
    st.just(2 * ROW_BYTES + 12345),
)


@settings(max_examples=60, deadline=None)
@given(
    size=SIZES,
    piece=st.integers(1000, 3_000_000),
    hint=st.sampled_from(["right", "unknown", "wrong"]),
    data=st.data(),
)
def test_a_blob_reads_back_whole_and_in_any_range(
    size: int, piece: int, hint: str, data: st.DataObject
) -> None:
    async def scenario() -> None:
        bench = Bench()
        body = content(size)
        pieces = [body[at : at + piece] for at in range(0, size, piece)]
        hints = {"right": size, "unknown": None, "wrong": size // 3}
        staged = await bench.put(pieces, hints[hint])
        assert staged.blob.size == size
        assert bool(staged.body) == (0 < size <= INLINE_LIMIT)
        blob = bench.land(staged)
        assert sum(extent.length for extent in blob.extents) == blob.stored_bytes
        assert await bench.get(blob, 0, size) == body
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        assert await bench.get(blob, start, end) == body[start:end]

    asyncio.run(scenario())


async def test_two_blobs_of_the_same_content_share_no_ciphertext() -> None:
    bench = Bench()
    one, two = await bench.put([content(5000)]), await bench.put([content(5000)])
    assert one.body != two.body
    assert one.blob.id != two.blob.id
    assert content(5000)[:64] not in one.body[0]


async def test_a_blob_does_not_open_with_another_stores_key() -> None:
    bench = Bench()
    blob = bench.land(await bench.put([b"secret"]))
    with pytest.raises(WrongKey):
        await bench.get(blob, 0, 6, b"x" * 32)


async def test_altered_ciphertext_is_data_lost_not_wrong_bytes() -> None:
    bench = Bench()
    staged = await bench.put([content(100_000)])
    altered = bytearray(staged.body[0])
    altered[70_000] ^= 1
    blob = bench.land(Staged(staged.blob, (bytes(altered),)))
    assert await bench.get(blob, 0, 60_000) == content(100_000)[:60_000]
    with pytest.raises(DataLost):
        await bench.get(blob, 60_000, 100_000)


async def test_a_reader_goes_to_the_next_copy_when_a_tag_is_wrong() -> None:
    class OneBadCopy(MemoryChunkStore):
        async def read(self, extent: Extent, start: int, length: int, attempt: int = 0) -> bytes:
            good = await super().read(extent, start, length)
            return good if attempt == 2 else b"\0" * length

    bench = Bench(OneBadCopy())
    blob = bench.land(await bench.put([content(200_000)]))
    assert await bench.get(blob, 1000, 150_000) == content(200_000)[1000:150_000]


def opened(cipher: FrameCipher, number: int, sealed: bytes, last: bool) -> bytes:
    plain = bytearray(len(sealed) - TAG_BYTES)
    cipher.open_into(number, sealed, last, memoryview(plain))
    return bytes(plain)


def test_a_frame_opens_only_in_its_own_place() -> None:
    cipher = FrameCipher(b"b" * 16, KEY_ID, b"k" * 32)
    sealed = cipher.seal(3, b"plain", False)
    assert len(sealed) == 5 + TAG_BYTES
    assert opened(cipher, 3, sealed, False) == b"plain"
    for number, last in ((4, False), (3, True)):
        with pytest.raises(BadFrame):
            opened(cipher, number, sealed, last)
    for other in (
        FrameCipher(b"c" * 16, KEY_ID, b"k" * 32),
        FrameCipher(b"b" * 16, b"store-key-2", b"k" * 32),
    ):
        with pytest.raises(BadFrame):
            opened(other, 3, sealed, False)


async def test_an_abandoned_writer_counts_every_row_it_wrote_dead() -> None:
    bench = Bench()
    writer = bench.vault.writer(KEY_ID, DATA_KEY, size_hint=None)
    await writer.write(content(2 * ROW_BYTES))
    await writer.abandon()
    assert sum(extent.length for extent in bench.dead) == ROW_BYTES
    staged = await bench.put([content(ROW_BYTES)])
    assert len(staged.blob.extents) == 2
    finished = bench.vault.writer(KEY_ID, DATA_KEY, size_hint=None)
    await finished.write(content(ROW_BYTES))
    refused = await finished.finish()
    bench.dead.clear()
    await finished.abandon()
    assert tuple(bench.dead) == refused.blob.extents


async def test_an_abandoned_small_blob_has_nothing_to_count() -> None:
    bench = Bench()
    writer = bench.vault.writer(KEY_ID, DATA_KEY, size_hint=10)
    await writer.write(b"0123456789")
    await writer.abandon()
    assert bench.dead == []


async def test_a_full_store_is_told_to_the_writer_and_nothing_is_counted() -> None:
    class Full(MemoryChunkStore):
        async def append_rows(
            self, pieces: Sequence[Buffer], holder: object = None
        ) -> tuple[Extent, ...]:
            raise StorageFull("no drive has room for a chunk")

    bench = Bench(Full())
    writer = bench.vault.writer(KEY_ID, DATA_KEY, size_hint=None)
    await writer.write(content(ROW_BYTES))
    with pytest.raises(StorageFull):
        await writer.finish()
    await writer.abandon()
    assert bench.dead == []


async def test_a_reader_that_stops_early_leaves_no_task_behind() -> None:
    bench = Bench()
    blob = bench.land(await bench.put([content(2 * ROW_BYTES)]))
    before = asyncio.all_tasks()
    pieces = bench.vault.read(blob, DATA_KEY, 0, blob.size)
    assert await anext(pieces) == content(2 * ROW_BYTES)[: 1 << 20]
    await pieces.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
