"""Manifests: immutable, shared by copies, freed after the last reference.

What one blob holds is freed in the step that drops the last reference. A multipart object may have
10 000 parts: more than a few are left to `ReapOrphans`, so that a delete stays one small step.
"""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.apply_chunks import claim, count_dead
from coffre.catalog.apply_collection import list_striped, unlist_striped
from coffre.catalog.mutations import Reaped, ReapOrphans, Refusal
from coffre.catalog.packing import pack, unpack_blob, unpack_pieces
from coffre.catalog.records import BlobName, PartIndex, Piece
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.vault.records import Blob

# More parts than this are freed by a steward, not by the step that drops them.
PARTS_AT_ONCE = 32
ROWS_A_GROUP = 200

_INSERT = (
    "INSERT INTO manifests (id, refs, size, parts_count, blob, parts) VALUES (?, 1, ?, ?, ?, ?)"
)
_INSERT_PIECES = (
    "INSERT INTO manifests (id, refs, size, parts_count, pieces) VALUES (?, 1, ?, 0, ?)"
)
_SHARE = "UPDATE manifests SET refs = refs + 1 WHERE id = ? AND refs > 0"
_RELEASE = "UPDATE manifests SET refs = refs - 1 WHERE id = ?"
_PIECES = "SELECT pieces FROM manifests WHERE id = ?"
_SOME_PARTS = "SELECT number, blob FROM parts WHERE manifest_id = ? ORDER BY number LIMIT ?"


def add_blob(db: apsw.Connection, tally: Tally, manifest_id: bytes, blob: Blob) -> None:
    """A new object's bytes, in one blob. Refused as `claim` refuses."""
    claim(db, tally, blob)
    list_striped(db, BlobName(manifest_id, 0), blob)
    db.execute(_INSERT, (manifest_id, blob.size, 0, pack(blob), None))


def add_parts(
    db: apsw.Connection, manifest_id: bytes, size: int, index: tuple[PartIndex, ...]
) -> None:
    """A new object's bytes, in parts whose rows stand under `manifest_id` already."""
    db.execute(_INSERT, (manifest_id, size, len(index), None, pack(index)))


def add_pieces(
    db: apsw.Connection, manifest_id: bytes, blob_manifest_id: bytes, pieces: tuple[Piece, ...]
) -> int:
    """A new object's bytes, in pieces of other manifests; the size of all. One of the others,
    `blob_manifest_id`, was made for it. Refused: OperationAborted, InternalError."""
    sources = dict.fromkeys(piece.manifest_id for piece in pieces)
    for source in sources:
        if source != blob_manifest_id:
            db.execute(_SHARE, (source,))
            if db.changes() != 1:
                raise Refusal("OperationAborted")
    if blob_manifest_id not in sources:
        raise Refusal("InternalError", "a composition holds its blob")
    size = sum(piece.size for piece in pieces)
    db.execute(_INSERT_PIECES, (manifest_id, size, pack(pieces)))
    return size


def share(db: apsw.Connection, manifest_id: bytes) -> None:
    """One more version holds the manifest. Refused: NoSuchKey if the last one let go."""
    db.execute(_SHARE, (manifest_id,))
    if db.changes() != 1:
        raise Refusal("NoSuchKey")


def release(db: apsw.Connection, tally: Tally, manifest_id: bytes) -> None:
    """A version lets go of its manifest; after the last one its bytes are dead."""
    # The parts column is not read: it can be 400 KB long.
    refs, blob, parts_count, pieces = db.execute(
        "SELECT refs, blob, parts_count, pieces FROM manifests WHERE id = ?", (manifest_id,)
    ).get
    if refs > 1:
        db.execute(_RELEASE, (manifest_id,))
    elif blob is not None:
        _let_go(db, tally, BlobName(manifest_id, 0), blob)
        _drop(db, manifest_id)
    elif pieces is not None:
        db.execute(_RELEASE, (manifest_id,))
        _free_pieces(db, tally, manifest_id, PARTS_AT_ONCE)
        if db.execute(_PIECES, (manifest_id,)).get is None:
            _drop(db, manifest_id)
        else:
            _orphan(db, manifest_id)
    elif parts_count <= PARTS_AT_ONCE:
        _free_parts(db, tally, manifest_id, PARTS_AT_ONCE)
        _drop(db, manifest_id)
    else:
        db.execute(_RELEASE, (manifest_id,))
        _orphan(db, manifest_id)


def release_unfinished(db: apsw.Connection, tally: Tally, manifest_id: bytes) -> None:
    """The parts of an upload that will never be finished: it has no manifest row yet."""
    if _free_parts(db, tally, manifest_id, PARTS_AT_ONCE) == PARTS_AT_ONCE:
        _orphan(db, manifest_id)


def free_part(
    db: apsw.Connection, tally: Tally, manifest_id: bytes, number: int, packed_blob: bytes
) -> None:
    """One part that is not part of anything any more."""
    _let_go(db, tally, BlobName(manifest_id, number), packed_blob)
    db.execute("DELETE FROM parts WHERE manifest_id = ? AND number = ?", (manifest_id, number))


def reap_orphans(db: apsw.Connection, mutation: ReapOrphans, stamp: Stamp, tally: Tally) -> Reaped:
    """Free parts of orphans, oldest id first; an orphan without parts is removed itself."""
    left = limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    while left:
        manifest_id: bytes | None = db.execute(
            "SELECT manifest_id FROM orphans ORDER BY manifest_id LIMIT 1"
        ).get
        if manifest_id is None:
            break
        freed = _free_parts(db, tally, manifest_id, left)
        freed += _free_pieces(db, tally, manifest_id, left - freed)
        if freed < left:
            _drop(db, manifest_id)
            db.execute("DELETE FROM orphans WHERE manifest_id = ?", (manifest_id,))
            freed += 1
        left -= freed
    more = db.execute("SELECT 1 FROM orphans LIMIT 1").get is not None
    return Reaped(limit - left, more)


def _free_parts(db: apsw.Connection, tally: Tally, manifest_id: bytes, limit: int) -> int:
    """Free the first `limit` parts; how many there were of them."""
    rows: list[Any] = db.execute(_SOME_PARTS, (manifest_id, limit)).fetchall()
    if rows:
        for number, blob in rows:
            _let_go(db, tally, BlobName(manifest_id, number), blob)
        db.execute(
            "DELETE FROM parts WHERE manifest_id = ? AND number <= ?", (manifest_id, rows[-1][0])
        )
    return len(rows)


def _free_pieces(db: apsw.Connection, tally: Tally, manifest_id: bytes, limit: int) -> int:
    """Let go of up to `limit` manifests that this one has pieces of; how many they were."""
    pieces = unpack_pieces(db.execute(_PIECES, (manifest_id,)).get)
    freed = list(dict.fromkeys(piece.manifest_id for piece in pieces))[:limit]
    left = tuple(piece for piece in pieces if piece.manifest_id not in freed)
    if freed:
        packed = pack(left) if left else None
        db.execute("UPDATE manifests SET pieces = ? WHERE id = ?", (packed, manifest_id))
    for source in freed:
        release(db, tally, source)
    return len(freed)


def _let_go(db: apsw.Connection, tally: Tally, name: BlobName, packed_blob: bytes) -> None:
    blob = unpack_blob(packed_blob)
    count_dead(tally, blob)
    unlist_striped(db, name, blob)


def _drop(db: apsw.Connection, manifest_id: bytes) -> None:
    db.execute("DELETE FROM manifests WHERE id = ?", (manifest_id,))


def _orphan(db: apsw.Connection, manifest_id: bytes) -> None:
    db.execute("INSERT INTO orphans (manifest_id) VALUES (?)", (manifest_id,))
