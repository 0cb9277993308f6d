"""Headers, blocks and rows: where every byte lies, and what shows that it is not the right one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.system.entropy import SeededEntropy
from coffre.vault.blocks import (
    STORED_BLOCK_BYTES,
    BadBlock,
    payload_bytes,
    physical,
    runs,
    segment_seed,
    split_row,
    stored_pieces,
    stored_range,
    unit_for,
    verified,
)
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader, decode_header
from coffre.vault.records import (
    BLOCK_BYTES,
    GEOMETRIES,
    STRIPE_UNIT,
    Chunk,
    ChunkKind,
    ChunkState,
    Extent,
    Geometry,
)

ID = bytes(range(16))
HEADER = ChunkHeader(
    region="europe",
    zone="EB4",
    chunk=ID,
    kind=ChunkKind.LANDING,
    role="segment",
    index=3,
    k=2,
    m=1,
    members=(b"a" * 16, b"", b"c" * 16),
    epoch=1 << 40,
    key_id=b"rootkey1",
    first_sequence=7,
    length=1 << 33,
)


def test_a_header_reads_back() -> None:
    assert len(HEADER.encode()) == HEADER_BYTES
    assert decode_header(HEADER.encode()) == HEADER


@given(st.integers(0, HEADER_BYTES * 8 - 1))
def test_a_header_with_any_bit_flipped_is_refused(bit: int) -> None:
    data = bytearray(HEADER.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadHeader):
        decode_header(data)


def test_what_is_no_header_is_refused() -> None:
    for data in (b"", HEADER.encode()[:-1], bytes(HEADER_BYTES)):
        with pytest.raises(BadHeader):
            decode_header(data)


def test_a_region_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        ChunkHeader("r" * 65, "z", ID, ChunkKind.STRIPED, "mirror", 0, 1, 0, (), 1, b"").encode()


@settings(max_examples=50, deadline=None)
@given(first=st.integers(0, 100), blocks=st.integers(1, 6), data=st.data())
def test_any_range_of_a_segment_reads_back(first: int, blocks: int, data: st.DataObject) -> None:
    payload = SeededEntropy(blocks).bytes(blocks * BLOCK_BYTES)
    seed = segment_seed(ID, 3, 9)
    file = bytes(physical(first * BLOCK_BYTES)) + b"".join(stored_pieces(payload, seed, first))
    start = data.draw(st.integers(0, len(payload) - 1))
    length = data.draw(st.integers(1, len(payload) - start))
    position = first * BLOCK_BYTES + start
    offset, stored = stored_range(position, length)
    assert stored < length + 2 * STORED_BLOCK_BYTES + length // 2000
    got = verified(file[offset : offset + stored], seed, position, length)
    assert got == payload[start : start + length]
    at = physical(position)
    assert file[at : at + 1] == payload[start : start + 1]


def test_a_block_is_whole_only_in_its_own_chunk_segment_place_and_epoch() -> None:
    payload = SeededEntropy(1).bytes(BLOCK_BYTES)
    stored = b"".join(stored_pieces(payload, segment_seed(ID, 3, 9), 5))
    position = 5 * BLOCK_BYTES
    assert verified(stored, segment_seed(ID, 3, 9), position, 100) == payload[:100]
    for seed in (
        segment_seed(ID, 4, 9),
        segment_seed(ID, 3, 10),
        segment_seed(b"x" * 16, 3, 9),
    ):
        with pytest.raises(BadBlock):
            verified(stored, seed, position, 100)
    with pytest.raises(BadBlock):
        verified(stored, segment_seed(ID, 3, 9), position + BLOCK_BYTES, 100)
    with pytest.raises(BadBlock):
        verified(stored[:-1], segment_seed(ID, 3, 9), position, 100)


def lay(chunk: Chunk, data: bytes) -> list[bytearray]:
    """The data segments of a re-laid landing chunk, made the simplest way."""
    segments = [bytearray() for _ in range(chunk.k)]
    for at in range(0, len(data), chunk.k * STRIPE_UNIT):
        row = data[at : at + chunk.k * STRIPE_UNIT]
        units = split_row(memoryview(row), chunk.k, unit_for(len(row), chunk.k))
        for segment, unit in zip(segments, units, strict=True):
            segment += unit
    return segments


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_byte_of_a_re_laid_chunk_is_where_runs_say(data: st.DataObject) -> None:
    geometry = data.draw(st.sampled_from(GEOMETRIES))
    length = data.draw(
        st.one_of(
            st.integers(1, 3 * geometry.k * BLOCK_BYTES),
            st.integers(-2, 2).map(lambda d: geometry.k * STRIPE_UNIT + d),
            st.integers(1, 2 * geometry.k * STRIPE_UNIT),
        )
    )
    chunk = Chunk(
        ID, ChunkKind.LANDING, ChunkState.SEALED, "", 1, geometry.k, geometry.m, (), length
    )
    # Cheap bytes that still differ everywhere: 4-byte counters.
    content = b"".join(n.to_bytes(4, "big") for n in range(length // 4 + 1))[:length]
    segments = lay(chunk, content)
    assert {len(segment) for segment in segments} == {payload_bytes(length, geometry.k)}
    extent_start = data.draw(st.integers(0, length - 1))
    extent = Extent(ID, extent_start, data.draw(st.integers(1, length - extent_start)))
    start = data.draw(st.integers(0, extent.length - 1))
    size = data.draw(st.integers(1, extent.length - start))
    got = b"".join(
        segments[run.segment][run.position : run.position + run.length]
        for row in runs(chunk, extent, start, size)
        for run in row
    )
    assert got == content[extent_start + start :][:size]


def test_units_are_whole_blocks_of_which_k_hold_the_bytes() -> None:
    assert unit_for(0, 12) == 0
    assert unit_for(1, 12) == BLOCK_BYTES
    assert unit_for(12 * BLOCK_BYTES, 12) == BLOCK_BYTES
    assert unit_for(12 * BLOCK_BYTES + 1, 12) == 2 * BLOCK_BYTES
    assert unit_for(12 * STRIPE_UNIT, 12) == STRIPE_UNIT
    assert Geometry(12, 4).width == 16
