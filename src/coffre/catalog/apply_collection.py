"""Collection: which blobs have rows in a striped chunk, blobs that move, chunks that go."""

from __future__ import annotations

import apsw
from msgspec.structs import replace

from coffre.catalog.apply_chunks import is_open
from coffre.catalog.mutations import (
    CondemnChunk,
    Done,
    ForgetChunk,
    MeasureChunk,
    MoveBlob,
    Refusal,
)
from coffre.catalog.packing import pack, unpack_blob
from coffre.catalog.records import BlobName
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.vault.records import Blob, ChunkKind, ChunkState

_LIST = "INSERT OR IGNORE INTO striped_blobs (chunk_id, manifest_id, number) VALUES (?, ?, ?)"
_UNLIST = "DELETE FROM striped_blobs WHERE chunk_id = ? AND manifest_id = ? AND number = ?"
_WHOLE = "SELECT blob FROM manifests WHERE id = ?1 AND ?2 = 0"
_PART = "SELECT blob FROM parts WHERE manifest_id = ? AND number = ?"
_MOVE_WHOLE = "UPDATE manifests SET blob = ?1 WHERE id = ?2 AND ?3 = 0"
_MOVE_PART = "UPDATE parts SET blob = ? WHERE manifest_id = ? AND number = ?"


def list_striped(db: apsw.Connection, name: BlobName, blob: Blob) -> None:
    """Say in which striped chunks the blob has rows. A blob that lies in a landing chunk, as small
    ones do, costs nothing."""
    for chunk in _striped(blob):
        db.execute(_LIST, (chunk, *name))


def unlist_striped(db: apsw.Connection, name: BlobName, blob: Blob) -> None:
    """The blob has no rows in its striped chunks any more."""
    for chunk in _striped(blob):
        db.execute(_UNLIST, (chunk, *name))


def _striped(blob: Blob) -> dict[bytes, None]:
    return {extent.chunk: None for extent in blob.extents if extent.unit}


def move_blob(db: apsw.Connection, mutation: MoveBlob, stamp: Stamp, tally: Tally) -> Done:
    name = BlobName(mutation.manifest_id, mutation.number)
    packed = db.execute(_PART if name.number else _WHOLE, name).get
    blob = None if packed is None else unpack_blob(packed)
    if blob is None or blob.extents != mutation.old:
        raise Refusal("OperationAborted", "the blob is not where it was read any more")
    moved = replace(blob, extents=mutation.new)
    if sum(extent.length for extent in moved.extents) != blob.stored_bytes:
        raise Refusal("InternalError", f"blob {blob.id.hex()}: extents do not hold its bytes")
    came = [extent for extent in mutation.new if extent not in mutation.old]
    for extent in came:
        if not is_open(db, extent.chunk):
            raise Refusal("OperationAborted", f"chunk {extent.chunk.hex()} is not open")
    for extent in came:
        tally.add_to_chunk(extent.chunk, extent.length, 0)
    for extent in mutation.old:
        if extent not in mutation.new:
            tally.add_to_chunk(extent.chunk, 0, extent.length)
    unlist_striped(db, name, blob)
    list_striped(db, name, moved)
    db.execute(_MOVE_PART if name.number else _MOVE_WHOLE, (pack(moved), *name))
    return Done()


def measure_chunk(db: apsw.Connection, mutation: MeasureChunk, stamp: Stamp, tally: Tally) -> Done:
    row = db.execute(
        "SELECT kind, state, appended, length FROM chunks WHERE id = ?", (mutation.id,)
    ).get
    if row is None or (row[0], row[1]) != (ChunkKind.STRIPED, ChunkState.SEALED):
        raise Refusal("InternalError", f"chunk {mutation.id.hex()} cannot be measured")
    if row[3]:
        return Done()
    referred = row[2] + tally.chunk(mutation.id)[0]
    length = max(mutation.length, referred)
    tally.add_to_chunk(mutation.id, length - referred, length - referred)
    db.execute("UPDATE chunks SET length = ? WHERE id = ?", (length, mutation.id))
    return Done()


def condemn_chunk(db: apsw.Connection, mutation: CondemnChunk, stamp: Stamp, tally: Tally) -> Done:
    """That counters and lists agree that nothing lives is asked here, where it cannot change any
    more; what the log needs is the committer's to say."""
    row = db.execute("SELECT state, appended, dead FROM chunks WHERE id = ?", (mutation.id,)).get
    if row is None:
        raise Refusal("InternalError", f"there is no chunk {mutation.id.hex()}")
    if row[0] == ChunkState.CONDEMNED:
        return Done()
    appended, dead = tally.chunk(mutation.id)
    lives = row[1] + appended != row[2] + dead
    listed = db.execute(
        "SELECT 1 FROM striped_blobs WHERE chunk_id = ? LIMIT 1", (mutation.id,)
    ).get
    if row[0] != ChunkState.SEALED or lives or listed:
        raise Refusal("OperationAborted", f"chunk {mutation.id.hex()} holds what lives")
    db.execute("UPDATE chunks SET state = 'condemned' WHERE id = ?", (mutation.id,))
    return Done()


def forget_chunk(db: apsw.Connection, mutation: ForgetChunk, stamp: Stamp) -> Done:
    state = db.execute("SELECT state FROM chunks WHERE id = ?", (mutation.id,)).get
    if state not in (None, ChunkState.CONDEMNED.value):
        raise Refusal("OperationAborted", f"chunk {mutation.id.hex()} is not condemned")
    db.execute("DELETE FROM chunks WHERE id = ?", (mutation.id,))
    return Done()
