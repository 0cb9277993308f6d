"""A chunk store in memory: the twin of `drives` for tests, and the simulator's."""

from __future__ import annotations

from collections.abc import Sequence

from coffre.system.buffer import Buffer
from coffre.vault.interface import DataLost
from coffre.vault.records import CHUNK_BYTES, STRIPE_UNIT, Extent


class MemoryChunkStore:
    """Keeps chunks as bytes: landing extents have unit 0, striped ones the full stripe unit."""

    def __init__(self, zone: int = 1) -> None:
        self._zone = zone
        self._chunks: dict[bytes, bytearray] = {}
        self._open: dict[int, bytes] = {}

    def land(self, pieces: Sequence[Buffer]) -> Extent:
        """What the committer does with a body that travels with its mutation."""
        return self._append(pieces, unit=0)

    async def append_rows(
        self, pieces: Sequence[Buffer], holder: object = None
    ) -> tuple[Extent, ...]:
        return (self._append(pieces, unit=STRIPE_UNIT),)

    async def read(self, extent: Extent, start: int, length: int, attempt: int = 0) -> bytes:
        chunk = self._chunks.get(extent.chunk)
        if chunk is None or attempt:
            raise DataLost(f"chunk {extent.chunk.hex()}: no copy is left")
        at = extent.offset + start
        return bytes(memoryview(chunk)[at : at + length])

    def _append(self, pieces: Sequence[Buffer], unit: int) -> Extent:
        length = sum(len(piece) for piece in pieces)
        chunk_id = self._open.get(unit)
        if chunk_id is None or len(self._chunks[chunk_id]) + length > CHUNK_BYTES:
            chunk_id = self._zone.to_bytes(2, "big") + len(self._chunks).to_bytes(14, "big")
            self._chunks[chunk_id] = bytearray()
            self._open[unit] = chunk_id
        chunk = self._chunks[chunk_id]
        extent = Extent(chunk_id, len(chunk), length, unit)
        for piece in pieces:
            chunk += piece
        return extent
