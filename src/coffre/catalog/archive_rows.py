"""What rows keep of archived versions: when something is to be done for them, the copy that can be
read, and how many bytes each storage class of a bucket has.

`archive_due_ms` says from when on the archivist has to look at a version: it is to be gathered, a
restoration has come due, or a restored copy is over.
"""

from __future__ import annotations

from typing import Final

import apsw

from coffre.catalog.apply_manifests import release, release_unfinished
from coffre.catalog.archive_mutations import Place
from coffre.catalog.packing import unpack_restoration
from coffre.catalog.records import ARCHIVED
from coffre.catalog.tally import Tally

RESTORED: Final = "RESTORED"
"""Counted as a class of its own: copies of archived versions that can be read for a while."""
STANDARD: Final = "STANDARD"
GATHERED_AFTER_MS: Final = 3600 * 1000
"""What is written at once into an archive class is left alone as long: a client may repeat the end
of an upload, or delete what it did not mean."""
_SET_DUE: Final = (
    "UPDATE versions SET archive_due_ms = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_CLASS: Final = (
    "UPDATE versions SET storage_class = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)


def note_written(
    db: apsw.Connection, tally: Tally, place: Place, storage_class: str, size: int, now_ms: int
) -> None:
    """A version of a class was written."""
    tally.add_usage(place[0], storage_class, 1, 1, size)
    if storage_class != STANDARD:
        tally.add_to_class(place[0], storage_class, 1, size)
    if storage_class in ARCHIVED:
        db.execute(_SET_DUE, (now_ms + GATHERED_AFTER_MS, *place))


def note_erased(
    db: apsw.Connection, tally: Tally, bucket_id: bytes, size: int, kept: tuple[object, ...]
) -> None:
    """A version is gone; `kept`: its class, restoration and restored id."""
    storage_class, restore, restored_id = kept
    assert isinstance(storage_class, str), "the column is a text"
    if storage_class != STANDARD:
        tally.add_to_class(bucket_id, storage_class, -1, -size)
    if isinstance(restored_id, bytes):
        tally.add_to_class(bucket_id, RESTORED, -1, -size)
        tally.add_usage(bucket_id, RESTORED, size=-size)
        release(db, tally, restored_id)
    elif isinstance(restore, bytes):
        release_unfinished(db, tally, unpack_restoration(restore).manifest_id)


def move_class(
    db: apsw.Connection,
    tally: Tally,
    place: Place,
    size: int,
    before: str,
    after: str,
    now_ms: int,
    *,
    current: bool,
) -> None:
    """A version that stands is of another class from now on; nothing else of it changes."""
    db.execute(_SET_CLASS, (after, *place))
    tally.add_usage(place[0], before, -current, -1, -size, moved=True)
    tally.add_usage(place[0], after, int(current), 1, size, moved=True)
    if before != STANDARD:
        tally.add_to_class(place[0], before, -1, -size)
    if after != STANDARD:
        tally.add_to_class(place[0], after, 1, size)
    if after in ARCHIVED and before not in ARCHIVED:
        db.execute(_SET_DUE, (now_ms, *place))


def set_archive_due(db: apsw.Connection, place: Place, due_ms: int | None) -> None:
    """When the archivist has to look at a version next; None: never."""
    db.execute(_SET_DUE, (due_ms, *place))
