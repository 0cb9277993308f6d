"""The vault's seams: a chunk store keeps chunks, a vault makes and reads blobs in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from coffre.system.buffer import Buffer
from coffre.vault.records import Blob, Chunk, Extent


class DataLost(Exception):
    """More of a chunk is gone than its redundancy can make up for. An outage, said as such."""


class StorageFull(Exception):
    """No place for new bytes: writes are refused, reads and deletes go on."""


class Placement(Protocol):
    """Where chunks are: answered by the catalog."""

    def chunk(self, chunk_id: bytes) -> Chunk | None: ...


class ChunkStore(Protocol):
    """Keeps chunks. Knows extents and drives, not objects. Errors: DataLost, StorageFull."""

    async def read(self, extent: Extent, start: int, length: int, attempt: int = 0) -> Buffer:
        """`length` bytes from `start` within an extent, verified or decoded around.

        A caller whose frame tag shows the bytes to be wrong asks again with `attempt` 1, 2, …:
        each is another way to the same bytes (the next mirror, decoding without the segments
        first read). DataLost when there are no more ways.
        """
        ...

    async def append_rows(
        self, pieces: Sequence[Buffer], holder: object = None
    ) -> tuple[Extent, ...]:
        """Write ciphertext as whole rows into this process's open striped chunk.

        Returns when what is synced survives any 2 drives or one rack. The extents, in order, hold
        the pieces' bytes in order. The pieces are the caller's again when this returns.
        The chunk stays open (a commit may refer to it) as long as `holder` lives, and a while more.
        """
        ...


class Staged(Struct, frozen=True):
    """A finished blob: either its extents are filled in (rows are synced), or `body` is its whole
    ciphertext, to travel with the mutation."""

    blob: Blob
    body: tuple[bytes, ...] = ()


class BlobWriter(Protocol):
    """Takes plaintext, keeps a few stripes in memory at most. `finished`: did `finish` return, so
    that a commit may be under way?"""

    @property
    def finished(self) -> bool: ...

    async def write(self, piece: Buffer) -> None: ...

    async def finish(self) -> Staged: ...

    async def abandon(self) -> None:
        """Give up: rows already written are counted dead. Never after a commit."""
        ...


class Vault(Protocol):
    """Blobs in, blobs out. `data_key` is a store key's 32 bytes, `key_id` its name."""

    def writer(self, key_id: bytes, data_key: bytes, *, size_hint: int | None) -> BlobWriter: ...

    def read(self, blob: Blob, data_key: bytes, start: int, end: int) -> AsyncIterator[Buffer]:
        """Plaintext bytes start..end (end exclusive), in pieces; bounded memory."""
        ...

    async def read_whole(self, blob: Blob, data_key: bytes, start: int, end: int) -> Buffer:
        """`read`, of few bytes, at once."""
        ...


Reserve = Callable[[Chunk], Awaitable[None]]
CountDead = Callable[[tuple[Extent, ...]], Awaitable[None]]
