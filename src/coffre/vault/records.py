"""The values that the vault deals in, as the catalog stores them.

Addresses come in two kinds. In a *landing* chunk (mirrored while open, re-laid as segments when
sealed) an extent is a run of bytes in the chunk's own order and never changes: `unit` is 0 and
`offset` counts from the chunk's first byte after its header. In a *striped* chunk an extent is a
run of whole rows: `offset` is the position of the first row within every segment's payload, `unit`
the bytes that each segment holds of one row, `length` the bytes of data without padding.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

FRAME_BYTES = 64 * 1024
TAG_BYTES = 16
BLOCK_BYTES = 16 * 1024
STRIPE_UNIT = 1024 * 1024
CHUNK_BYTES = 128 * 1024 * 1024


class Geometry(Struct, frozen=True, array_like=True):
    """k data segments and m coding segments: any k of k+m are enough."""

    k: int
    m: int

    @property
    def width(self) -> int:
        return self.k + self.m

    def __str__(self) -> str:
        return f"{self.k}+{self.m}"


# From the widest promise to none: the geometries that headers may name.
# What can be asked for, the widest first.
GEOMETRIES = tuple(Geometry(k, m) for k, m in ((12, 4), (8, 4), (8, 3), (4, 2), (2, 1), (1, 0)))


class ChunkKind(StrEnum):
    LANDING = "landing"
    STRIPED = "striped"


class ChunkState(StrEnum):
    """open -> sealing -> sealed -> condemned -> gone (a row that is gone is deleted)."""

    OPEN = "open"
    SEALING = "sealing"
    SEALED = "sealed"
    CONDEMNED = "condemned"


class Chunk(Struct, frozen=True):
    """Where a chunk is. `members` are drive ids: mirrors while a landing chunk is not sealed,
    else segments in index order (an empty id marks a segment that was never written). `appended`
    counts stored bytes that were ever referred to, `dead` those that no longer are; `length` is
    what the chunk's files hold once that is known, else `appended`. `last_sequence` is the last
    record of the log in a landing chunk (0: not known); `listed`: the catalog lists the blobs of
    this striped chunk; `measured`: `length` is known."""

    id: bytes
    kind: ChunkKind
    state: ChunkState
    owner: str
    epoch: int
    k: int
    m: int
    members: tuple[bytes, ...]
    length: int = 0
    dead: int = 0
    created_ms: int = 0
    appended: int = 0
    last_sequence: int = 0
    listed: bool = False
    measured: bool = False

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.k, self.m)


class Extent(Struct, frozen=True, array_like=True):
    """A run of a blob's ciphertext in one chunk (see the module's own words)."""

    chunk: bytes
    offset: int
    length: int
    unit: int = 0


class Blob(Struct, frozen=True, array_like=True):
    """A run of encrypted frames. `size` counts plaintext bytes; `wrapped_key` opens with the store
    key `key_id`, or with what a customer's own key makes (the catalog's `Encryption`). The
    ciphertext is the extents' bytes in order: every frame carries 64 KiB of plaintext and a 16-byte
    tag, the last one the rest (a blob of 0 bytes has no frame). Where `compressed` is not 0 the
    frames carry that many bytes instead, which `size` bytes were made by `vault.compression`."""

    id: bytes
    size: int
    key_id: bytes
    wrapped_key: bytes
    extents: tuple[Extent, ...] = ()
    compressed: int = 0

    @property
    def framed_bytes(self) -> int:
        """Bytes that its frames carry."""
        return self.compressed or self.size

    @property
    def stored_bytes(self) -> int:
        return ciphertext_bytes(self.framed_bytes)


def ciphertext_bytes(size: int) -> int:
    """Bytes that `size` bytes of plaintext take once framed and sealed."""
    frames = -(-size // FRAME_BYTES)
    return size + frames * TAG_BYTES
