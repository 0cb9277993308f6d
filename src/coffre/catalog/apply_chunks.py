"""Chunk rows: their states, and what of their bytes lives."""

from __future__ import annotations

import apsw

from coffre.catalog.mutations import (
    CloseChunk,
    CountDead,
    Done,
    OpenLanding,
    Refusal,
    ReplaceMember,
    ReserveChunk,
    SealChunk,
)
from coffre.catalog.packing import pack, unpack_members
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.vault.records import Blob, ChunkKind, ChunkState

LANDING_OWNER = "committer"

_INSERT = (
    "INSERT INTO chunks (id, kind, state, owner, epoch, k, m, members, created_ms, listed)"
    " VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?)"
)
_IS_MEASURED = "SELECT 1 FROM chunks WHERE id = ? AND kind = 'striped' AND length > 0"
_IS_OPEN = "SELECT 1 FROM chunks WHERE id = ? AND state = 'open'"


def claim(db: apsw.Connection, tally: Tally, blob: Blob) -> None:
    """Count a new blob's bytes in its chunks, which must be open: nothing may refer to bytes in a
    chunk that was closed before they were known to be there. Refused: InternalError."""
    stored = 0
    for extent in blob.extents:
        if not is_open(db, extent.chunk):
            raise Refusal("InternalError", f"chunk {extent.chunk.hex()} is not open")
        tally.add_to_chunk(extent.chunk, extent.length, 0)
        stored += extent.length
    if stored != blob.stored_bytes:
        raise Refusal("InternalError", f"blob {blob.id.hex()}: extents do not hold its bytes")


def is_open(db: apsw.Connection, chunk_id: bytes) -> bool:
    """May a commit refer to new bytes in the chunk?"""
    return db.execute(_IS_OPEN, (chunk_id,)).get is not None


def count_dead(tally: Tally, blob: Blob) -> None:
    """Count the bytes of a blob that nothing refers to any more."""
    for extent in blob.extents:
        tally.add_to_chunk(extent.chunk, 0, extent.length)


def count_never_lived(db: apsw.Connection, mutation: CountDead, stamp: Stamp, tally: Tally) -> Done:
    """Bytes written but never referenced: appended and dead in one step. A striped chunk that was
    measured has counted them already."""
    for extent in mutation.extents:
        if db.execute(_IS_MEASURED, (extent.chunk,)).get is None:
            tally.add_to_chunk(extent.chunk, extent.length, extent.length)
    return Done()


def reserve_chunk(db: apsw.Connection, mutation: ReserveChunk, stamp: Stamp) -> Done:
    db.execute(
        _INSERT,
        (
            mutation.id,
            ChunkKind.STRIPED.value,
            mutation.owner,
            mutation.epoch,
            mutation.k,
            mutation.m,
            pack(mutation.members),
            stamp.now_ms,
            True,
        ),
    )
    return Done()


def open_landing(db: apsw.Connection, mutation: OpenLanding, stamp: Stamp) -> Done:
    """Mirrors are a geometry too: any 1 of them is enough."""
    db.execute(
        _INSERT,
        (
            mutation.id,
            ChunkKind.LANDING.value,
            LANDING_OWNER,
            mutation.epoch,
            1,
            max(0, len(mutation.members) - 1),
            pack(mutation.members),
            stamp.now_ms,
            False,
        ),
    )
    return Done()


def close_chunk(db: apsw.Connection, mutation: CloseChunk, stamp: Stamp) -> Done:
    """Closing what is closed already changes nothing."""
    kind, state, _ = _require(db, mutation.id)
    if state == ChunkState.OPEN:
        landing = kind == ChunkKind.LANDING
        closed = ChunkState.SEALING if landing else ChunkState.SEALED
        db.execute("UPDATE chunks SET state = ? WHERE id = ?", (closed.value, mutation.id))
    return Done()


def replace_member(db: apsw.Connection, mutation: ReplaceMember, stamp: Stamp) -> Done:
    _, _, packed = _require(db, mutation.id)
    members = list(unpack_members(packed))
    if not 0 <= mutation.index < len(members):
        raise Refusal("InternalError", f"chunk {mutation.id.hex()} has no such member")
    if members[mutation.index] != mutation.old:
        raise Refusal("OperationAborted", f"chunk {mutation.id.hex()} was moved meanwhile")
    members[mutation.index] = mutation.new
    db.execute("UPDATE chunks SET members = ? WHERE id = ?", (pack(members), mutation.id))
    return Done()


def seal_chunk(db: apsw.Connection, mutation: SealChunk, stamp: Stamp) -> Done:
    kind, state, _ = _require(db, mutation.id)
    if kind != ChunkKind.LANDING or state != ChunkState.SEALING:
        raise Refusal("InternalError", f"chunk {mutation.id.hex()} does not wait to be sealed")
    db.execute(
        "UPDATE chunks SET state = 'sealed', k = ?, m = ?, members = ?, length = ? WHERE id = ?",
        (mutation.k, mutation.m, pack(mutation.members), mutation.length, mutation.id),
    )
    return Done()


def _require(db: apsw.Connection, chunk_id: bytes) -> tuple[str, str, bytes]:
    row: tuple[str, str, bytes] | None = db.execute(
        "SELECT kind, state, members FROM chunks WHERE id = ?", (chunk_id,)
    ).get
    if row is None:
        raise Refusal("InternalError", f"there is no chunk {chunk_id.hex()}")
    return row
