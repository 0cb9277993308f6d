"""Rows of annotations: texts beside a version, each with a manifest of its own.

They go with their version. It may have a thousand: more than a few are left to `ReapOrphans`, so
that a delete stays one small step.
"""

from __future__ import annotations

from typing import Any, Final

import apsw

from coffre.catalog import apply_manifests
from coffre.catalog.apply_manifests import ROWS_A_GROUP, release, share
from coffre.catalog.mutations import Reaped, ReapOrphans
from coffre.catalog.records import Trait
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally

# More annotations than this are freed by a steward, not by the step that drops them.
ANNOTATIONS_AT_ONCE: Final = 32

Place = tuple[bytes, bytes, int, int]
"""Of a version: its bucket's id, sort key, order and zone."""
Kept = tuple[str, bytes, int, str, bytes]
"""Of an annotation: its name, manifest id, size, ETag and packed checksum."""

_SOME: Final = (
    "SELECT name, manifest_id FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? ORDER BY name LIMIT ?"
)
_ALL: Final = (
    "SELECT name, manifest_id, size, etag, checksum FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_DROP_SOME: Final = (
    "DELETE FROM annotations"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND name <= ?"
)
_PUT: Final = (
    "INSERT INTO annotations (bucket_id, sort_key, ord, zone, name, manifest_id, size, etag,"
    " checksum, modified_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bucket_id, sort_key, ord, zone, name) DO UPDATE SET"
    " manifest_id = excluded.manifest_id, size = excluded.size, etag = excluded.etag,"
    " checksum = excluded.checksum, modified_ms = excluded.modified_ms"
)
_ORPHAN: Final = (
    "INSERT INTO orphan_annotations (bucket_id, sort_key, ord, zone) VALUES (?, ?, ?, ?)"
)
_ORPHANS: Final = (
    "SELECT bucket_id, sort_key, ord, zone FROM orphan_annotations"
    " ORDER BY bucket_id, sort_key, ord, zone LIMIT 1"
)
_FORGET: Final = (
    "DELETE FROM orphan_annotations WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_TRAIT: Final = "UPDATE buckets SET traits = traits | ? WHERE id = ? AND traits & ? = 0"


def put(db: apsw.Connection, place: Place, kept: Kept, modified_ms: int) -> None:
    """One annotation, in place of an earlier one of that name."""
    db.execute(_PUT, (*place, *kept, modified_ms))
    db.execute(_SET_TRAIT, (int(Trait.ANNOTATED), place[0], int(Trait.ANNOTATED)))


def hold(db: apsw.Connection, place: Place) -> list[Kept]:
    """All annotations of a version, held once more: for a copy. Refused: NoSuchKey."""
    rows: list[Any] = db.execute(_ALL, place).fetchall()
    for row in rows:
        share(db, row[1])
    return rows


def let_go(db: apsw.Connection, tally: Tally, place: Place) -> None:
    """A version is gone: so are its annotations."""
    if _free(db, tally, place, ANNOTATIONS_AT_ONCE) == ANNOTATIONS_AT_ONCE:
        db.execute(_ORPHAN, place)


def reap_orphans(db: apsw.Connection, mutation: ReapOrphans, stamp: Stamp, tally: Tally) -> Reaped:
    """Free what nothing refers to: manifests' parts, then annotations of versions that are gone."""
    done = apply_manifests.reap_orphans(db, mutation, stamp, tally)
    left = max(1, min(mutation.limit_rows, ROWS_A_GROUP)) - done.rows
    rows = done.rows
    while left:
        place: Place | None = db.execute(_ORPHANS).get
        if place is None:
            break
        freed = _free(db, tally, place, left)
        if freed < left:
            db.execute(_FORGET, place)
            freed += 1
        left -= freed
        rows += freed
    more = done.more or db.execute("SELECT 1 FROM orphan_annotations LIMIT 1").get is not None
    return Reaped(rows, more)


def _free(db: apsw.Connection, tally: Tally, place: Place, limit: int) -> int:
    """Free the first `limit` annotations; how many there were of them."""
    rows: list[Any] = db.execute(_SOME, (*place, limit)).fetchall()
    if rows:
        for _, manifest_id in rows:
            release(db, tally, manifest_id)
        db.execute(_DROP_SOME, (*place, rows[-1][0]))
    return len(rows)
