"""Moving: a blob's ciphertext out of one chunk into others, unopened, and a chunk's files away."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from os.path import dirname

from msgspec import Struct

from coffre.system.buffer import Buffer
from coffre.vault.blocks import STORED_BLOCK_BYTES
from coffre.vault.drives import DriveSet, mirror_path, segment_path
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.interface import ChunkStore
from coffre.vault.records import BLOCK_BYTES, STRIPE_UNIT, Chunk, Extent

# What is read and written at a time: whole rows of every geometry.
_PIECE_BYTES = 24 * STRIPE_UNIT


class Move(Struct, frozen=True):
    """A blob's extents after a move. `written` are those whose rows are in place; with a `body`
    one extent of `extents` names no chunk yet: the body lands with the mutation."""

    extents: tuple[Extent, ...]
    written: tuple[Extent, ...] = ()
    body: tuple[Buffer, ...] = ()


async def stage_move(
    store: ChunkStore, extents: tuple[Extent, ...], chunk_id: bytes, *, inline_limit: int
) -> Move:
    """Copy what lies in `chunk_id` elsewhere, verified as it is read. What is small travels with
    the mutation, the rest goes to this process's striped chunk, synced when this returns; nothing
    outside the chunk is touched. Raises DataLost, StorageFull.
    """
    runs = [
        (here, tuple(run))
        for here, run in groupby(extents, key=lambda extent: extent.chunk == chunk_id)
    ]
    leaving = [run for here, run in runs if here]
    size = sum(extent.length for run in leaving for extent in run)
    moved: list[Extent] = []
    if len(leaving) == 1 and size <= inline_limit:
        body = tuple([await store.read(extent, 0, extent.length) for extent in leaving[0]])
        for here, run in runs:
            moved += (Extent(b"", 0, size),) if here else run
        return Move(tuple(moved), body=body)
    written: list[Extent] = []
    for here, run in runs:
        if here:
            copied = await _copy(store, run)
            written += copied
            moved += copied
        else:
            moved += run
    return Move(tuple(moved), tuple(written))


async def copy_extents(store: ChunkStore, extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """The same bytes in rows of this process's striped chunk, synced. Raises DataLost,
    StorageFull."""
    return tuple(await _copy(store, extents))


async def _copy(store: ChunkStore, run: Sequence[Extent]) -> list[Extent]:
    """Extents that hold the bytes of `run` in order."""
    copied: list[Extent] = []
    pieces: list[Buffer] = []
    held = 0
    for extent in run:
        at = 0
        while at < extent.length:
            length = min(extent.length - at, _PIECE_BYTES - held)
            pieces.append(await store.read(extent, at, length))
            at += length
            held += length
            if held == _PIECE_BYTES:
                copied += await store.append_rows(pieces)
                pieces, held = [], 0
    if pieces:
        copied += await store.append_rows(pieces)
    return copied


def measure(drives: DriveSet, chunk: Chunk) -> int | None:
    """Bytes of data that a closed striped chunk's files take, by the longest of its segments; None
    where no drive of its members can tell. Blocks."""
    longest: int | None = None
    for index, member in enumerate(chunk.members):
        drive = drives.member(member)
        if drive is None:
            continue
        path = segment_path(drive, chunk.id, index)
        try:
            file = drives.disk.open(path, "read")
        except FileNotFoundError:
            longest = longest or 0  # It was reserved and never made.
            continue
        except OSError:
            continue
        try:
            blocks = -(-max(0, file.size() - HEADER_BYTES) // STORED_BLOCK_BYTES)
        finally:
            file.close()
        longest = max(longest or 0, blocks * BLOCK_BYTES)
    return None if longest is None else longest * chunk.k


def remove_chunk(drives: DriveSet, chunk: Chunk) -> None:
    """Remove a condemned chunk's files from all present drives; what is gone is no error. A drive
    that is away keeps its file until the sweeper meets it. Blocks. Raises OSError."""
    paths = [mirror_path(drive, chunk.id) for drive in drives.present()]
    for index, member in enumerate(chunk.members):
        drive = drives.member(member)
        if drive is not None:
            paths.append(segment_path(drive, chunk.id, index))
    for path in paths:
        if drives.disk.exists(path):
            drives.disk.unlink(path)
            drives.disk.sync_dir(dirname(path))
