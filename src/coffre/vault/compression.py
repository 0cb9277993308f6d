"""Compressed blobs: their frames carry blocks of zstd instead of the bytes themselves.

Bytes are compressed before they are encrypted, since nothing can be gained after. Each block is
1 MiB of a blob (the last the rest), compressed by itself, behind its length (4 bytes,
little-endian): so none takes more memory than that, whatever it holds. There is no index: whoever
wants the middle of a blob reads what lies before it. So only blobs that are read from end to end
are worth it: those of archived objects, which are restored before they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import zstandard
from msgspec.structs import replace

from coffre.system.buffer import Buffer
from coffre.vault.interface import BlobWriter, DataLost, Staged
from coffre.vault.records import Blob

LEVEL: Final = 3
SAMPLE_BYTES: Final = 1 << 20
LEAST_BYTES: Final = 4096
"""Below it nothing is gained."""
_LEAST_GAIN: Final = 0.1
BLOCK_BYTES: Final = 1 << 20
_LENGTH_BYTES: Final = 4


def is_compressible(sample: Buffer) -> bool:
    """Whether bytes like these are worth it. Blocks for some milliseconds."""
    if len(sample) < LEAST_BYTES:
        return False
    squeezed = zstandard.ZstdCompressor(level=LEVEL).compress(bytes(sample))
    return len(squeezed) <= len(sample) * (1 - _LEAST_GAIN)


async def write_compressed(pieces: AsyncIterator[Buffer], writer: BlobWriter) -> Staged:
    """The blob that carries `pieces` compressed; `writer` is a new one. Raises as both do."""
    held = bytearray()
    size = 0
    async for piece in pieces:
        held += piece
        size += len(piece)
        while len(held) >= BLOCK_BYTES:
            await writer.write(await asyncio.to_thread(_squeeze, bytes(held[:BLOCK_BYTES])))
            del held[:BLOCK_BYTES]
    if held:
        await writer.write(await asyncio.to_thread(_squeeze, bytes(held)))
    staged = await writer.finish()
    return Staged(replace(staged.blob, size=size, compressed=staged.blob.size), staged.body)


async def decompressed(
    carried: AsyncIterator[Buffer], blob: Blob, start: int, end: int
) -> AsyncGenerator[Buffer, None]:
    """Bytes start..end of a compressed blob, whose frames carry `carried`. Raises DataLost where
    they are not what `write_compressed` writes."""
    held = bytearray()
    at = 0
    async for piece in carried:
        held += piece
        while (block := _take(held)) is not None:
            low, high = max(start - at, 0), min(end - at, BLOCK_BYTES)
            at += BLOCK_BYTES
            if low < BLOCK_BYTES and low < high:
                yield memoryview(await asyncio.to_thread(_open, block, blob))[low:high]
            if at >= end:
                return
    raise DataLost(f"blob {blob.id.hex()} ends before byte {end}")


def _squeeze(block: bytes) -> bytes:
    squeezed = zstandard.ZstdCompressor(level=LEVEL).compress(block)
    return len(squeezed).to_bytes(_LENGTH_BYTES, "little") + squeezed


def _take(held: bytearray) -> bytes | None:
    """The next block, compressed, if all of it is there."""
    stop = _LENGTH_BYTES + int.from_bytes(held[:_LENGTH_BYTES], "little")
    if len(held) < max(stop, _LENGTH_BYTES + 1):
        return None
    block = bytes(held[_LENGTH_BYTES:stop])
    del held[:stop]
    return block


def _open(block: bytes, blob: Blob) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(block, max_output_size=BLOCK_BYTES)
    except zstandard.ZstdError as error:
        raise DataLost(f"blob {blob.id.hex()} holds a block that is none: {error}") from error
