"""Segments as they lie on a drive: checksummed blocks, and rows across the segments of a chunk.

A segment file is a 4096-byte header and then blocks: 16 KiB of payload followed by its 8-byte
xxh3-64 (big-endian). The checksum's seed is the segment's own seed plus the block number, modulo
2^64; the segment's seed is the xxh3-64 of chunk id, segment index (2 bytes) and epoch (8 bytes),
big-endian. So a block that was written to another place, or stays from an earlier time, shows.

A row is one unit of payload in every segment, at the same position: k data units whose bytes
follow each other, and m coding units. In a landing chunk that was re-laid, full rows have units of
1 MiB and the last row the smallest multiple of 16 KiB that holds the rest; in a striped chunk each
extent has its own unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from xxhash import xxh3_64_digest, xxh3_64_intdigest

from coffre.system.buffer import Buffer
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.records import BLOCK_BYTES, STRIPE_UNIT, Chunk, ChunkKind, ChunkState, Extent

TRAILER_BYTES = 8
STORED_BLOCK_BYTES = BLOCK_BYTES + TRAILER_BYTES
_MASK = (1 << 64) - 1
_SEALED = (ChunkState.SEALED, ChunkState.CONDEMNED)


class BadBlock(Exception):
    """A block's checksum is wrong, or the block is not there."""


def physical(position: int) -> int:
    """Where payload byte `position` of a segment lies in its file."""
    block, within = divmod(position, BLOCK_BYTES)
    return HEADER_BYTES + block * STORED_BLOCK_BYTES + within


def segment_seed(chunk_id: bytes, index: int, epoch: int) -> int:
    """What the checksums of one segment start from."""
    return xxh3_64_intdigest(chunk_id + index.to_bytes(2, "big") + epoch.to_bytes(8, "big"))


def stored_pieces(payload: Buffer, seed: int, first_block: int) -> list[Buffer]:
    """Whole blocks of payload with their checksums between, in the order of the file."""
    view = memoryview(payload)
    pieces: list[Buffer] = []
    for block, at in enumerate(range(0, len(view), BLOCK_BYTES), first_block):
        piece = view[at : at + BLOCK_BYTES]
        pieces += (piece, xxh3_64_digest(piece, seed + block & _MASK))
    return pieces


def stored_range(position: int, length: int) -> tuple[int, int]:
    """The file's bytes that hold the blocks of payload position..position+length: (at, length)."""
    first, stop = position // BLOCK_BYTES, -(-(position + length) // BLOCK_BYTES)
    return HEADER_BYTES + first * STORED_BLOCK_BYTES, (stop - first) * STORED_BLOCK_BYTES


def verified(stored: Buffer, seed: int, position: int, length: int) -> bytes:
    """Payload position..position+length from the bytes of its `stored_range`. Raises BadBlock."""
    return b"".join(verified_pieces(stored, seed, position, length))


def verified_pieces(stored: Buffer, seed: int, position: int, length: int) -> list[memoryview]:
    """`verified`, as the pieces of `stored` that it is made of."""
    view = memoryview(stored)
    first = position // BLOCK_BYTES
    skip = position - first * BLOCK_BYTES
    payload: list[memoryview] = []
    for block, at in enumerate(range(0, stored_range(position, length)[1], STORED_BLOCK_BYTES)):
        piece = view[at : at + BLOCK_BYTES]
        trailer = view[at + BLOCK_BYTES : at + STORED_BLOCK_BYTES]
        if xxh3_64_digest(piece, seed + first + block & _MASK) != trailer:
            raise BadBlock(f"block {first + block}")
        payload.append(piece)
    if skip or length % BLOCK_BYTES:
        end = skip + length - (len(payload) - 1) * BLOCK_BYTES
        payload[-1] = payload[-1][:end]
        payload[0] = payload[0][skip:]
    return payload


def unit_for(length: int, k: int) -> int:
    """The smallest unit (whole blocks) of which k hold `length` bytes; at most 1 MiB."""
    return min(-(-length // (k * BLOCK_BYTES)) * BLOCK_BYTES, STRIPE_UNIT)


def split_row(data: memoryview, k: int, unit: int) -> list[Buffer]:
    """A row's k data units: `data`, then zeros."""
    units: list[Buffer] = []
    for at in range(0, k * unit, unit):
        piece = data[at : at + unit]
        units.append(piece if len(piece) == unit else bytes(piece).ljust(unit, b"\0"))
    return units


def payload_bytes(length: int, k: int) -> int:
    """Payload of each segment of a re-laid landing chunk that holds `length` bytes."""
    full, rest = divmod(length, k * STRIPE_UNIT)
    return full * STRIPE_UNIT + unit_for(rest, k)


def relaid(chunk: Chunk) -> bool:
    """Is it in segments: striped, or a landing chunk that was sealed?"""
    return chunk.kind is ChunkKind.STRIPED or chunk.state in _SEALED


class Run(NamedTuple):
    """A run of bytes within one data unit: index of the segment, payload position, length."""

    segment: int
    position: int
    length: int


def runs(chunk: Chunk, extent: Extent, start: int, length: int) -> Iterator[list[Run]]:
    """The runs that hold `length` bytes from `start` of an extent, in order, row by row.

    `chunk` is striped, or a landing chunk that was re-laid.
    """
    k = chunk.k
    if chunk.kind is ChunkKind.STRIPED:
        at, base, unit = start, extent.offset, extent.unit
    else:
        at, base, unit = extent.offset + start, 0, STRIPE_UNIT
    stop = at + length
    while at < stop:
        row, within = divmod(at, k * unit)
        size = unit
        if chunk.kind is ChunkKind.LANDING:
            size = unit_for(min(chunk.length - row * k * unit, k * unit), k)
        high = min(stop - row * k * unit, k * size)
        yield list(_row_runs(base + row * unit, size, within, high))
        at = row * k * unit + high


def _row_runs(position: int, unit: int, low: int, high: int) -> Iterator[Run]:
    while low < high:
        segment, within = divmod(low, unit)
        length = min(unit - within, high - low)
        yield Run(segment, position + within, length)
        low += length
