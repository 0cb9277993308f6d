"""The sealer: landing chunks that take no more groups are re-laid as segments, mirrors removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import SealChunk
from coffre.stewards.shape import Round, Steward
from coffre.vault.drives import DriveSet
from coffre.vault.interface import DataLost
from coffre.vault.records import Chunk, ChunkKind, ChunkState, Geometry
from coffre.vault.seal import remove_mirrors, seal
from coffre.vault.segments import find_sealed

log = logging.getLogger("coffre.sealer")

# How often it looks for chunks that were closed.
ROUND_S = 1.0


class SealingCommitter(Committer, Protocol):
    """The committer as the sealer needs it (`catalog.group`, `catalog.link`)."""

    async def close_all(self) -> tuple[Chunk, ...]: ...

    async def record_sealed(self, seals: Sequence[SealChunk]) -> None: ...


class Sealer(Steward):
    """Seals in one process at a time; its two ways never run side by side."""

    name = "sealer"

    def __init__(
        self, reader: Reader, committer: SealingCommitter, drives: DriveSet, wanted: Geometry
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._drives = drives
        self._wanted = wanted
        self._turn = asyncio.Lock()

    async def round(self) -> Round:
        """Seal one of the chunks that were closed. One that cannot be read or placed now keeps its
        mirrors and waits, the others go on."""
        async with self._turn:
            waiting = self._closed()
            stuck: DataLost | None = None
            for chunk in waiting:
                try:
                    sealing = await self._seal(chunk)
                except DataLost as error:
                    if not await self._is_sealed(chunk):
                        stuck = error
                    continue
                await self._committer.commit(sealing)
                await asyncio.to_thread(remove_mirrors, self._drives, chunk.id)
                left = len(waiting) - 1
                return Round(
                    did=1,
                    left=left,
                    moved_bytes=sealing.length,
                    result=f"sealed as {sealing.k}+{sealing.m}",
                    again=0.0 if left else ROUND_S,
                )
            if stuck is not None:
                raise stuck
            return Round(again=ROUND_S)

    async def seal_now(self) -> int:
        """Seal everything that is open, the log's last chunk too; how many chunks that were.

        Afterwards superblocks say that no chunk is open: any 4 drives and the catalog may go. What
        was closed before comes first: where that cannot be sealed, nothing more is closed, however
        often this is tried.
        """
        async with self._turn:
            seals: dict[bytes, SealChunk] = {}
            for chunk in self._closed():
                try:
                    seals[chunk.id] = await self._seal(chunk)
                except DataLost:
                    if not await self._is_sealed(chunk):
                        raise
            chunks = await self._committer.close_all()
            for chunk in chunks:
                if chunk.id not in seals:
                    seals[chunk.id] = await self._seal(chunk)
            await self._committer.record_sealed([seals[chunk.id] for chunk in chunks])
            for chunk in chunks:
                await asyncio.to_thread(remove_mirrors, self._drives, chunk.id)
            return len(chunks)

    def _closed(self) -> list[Chunk]:
        """Chunks that rows say wait to be sealed."""
        return [
            chunk
            for chunk in self._reader.unsealed_chunks()
            if chunk.kind is ChunkKind.LANDING and chunk.state is ChunkState.SEALING
        ]

    async def _is_sealed(self, chunk: Chunk) -> bool:
        """Was it sealed by `seal_now`, which the rows hear of with the next group?"""
        found = await asyncio.to_thread(find_sealed, self._drives, chunk.id)
        return found is not None and found.length >= chunk.length

    async def _seal(self, chunk: Chunk) -> SealChunk:
        sealed = await asyncio.to_thread(seal, chunk, self._drives, wanted=self._wanted)
        if sealed.length < chunk.length:
            raise DataLost(
                f"chunk {chunk.id.hex()}: mirrors hold {sealed.length} of {chunk.length} bytes"
            )
        log.info("chunk %s sealed as %d+%d", chunk.id.hex(), sealed.k, sealed.m)
        return SealChunk(sealed.id, sealed.k, sealed.m, sealed.members, sealed.length)
