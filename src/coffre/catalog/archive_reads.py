"""Reads of archived versions, and of how much each storage class has (part of `reader`)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import apsw

from coffre.catalog.archive_mutations import Place
from coffre.catalog.packing import unpack_index, unpack_restoration
from coffre.catalog.records import BlobName, Restoration

_DUE: Final = (
    "SELECT v.bucket_id, v.sort_key, v.ord, v.zone, v.archive_due_ms, v.storage_class,"
    " v.size, v.manifest_id, v.restore, v.restored_id IS NOT NULL, v.encryption IS NOT NULL,"
    " s.key_id"
    " FROM versions v INDEXED BY versions_archive_due"
    " JOIN buckets b ON b.id = v.bucket_id JOIN stores s ON s.id = b.store_id"
    " WHERE v.archive_due_ms <= ? ORDER BY v.archive_due_ms LIMIT ?"
)
_NEXT: Final = (
    "SELECT archive_due_ms FROM versions INDEXED BY versions_archive_due"
    " WHERE archive_due_ms IS NOT NULL ORDER BY archive_due_ms LIMIT 1"
)
_MANIFEST: Final = "SELECT blob IS NOT NULL, parts FROM manifests WHERE id = ?"
_PARTS: Final = "SELECT number FROM parts WHERE manifest_id = ?"
_CLASSES: Final = (
    "SELECT storage_class, objects, bytes FROM bucket_classes WHERE bucket_id = ?"
    " ORDER BY storage_class"
)


class Archived(NamedTuple):
    """A version for which something is due. `manifest_id` is that of its archived bytes;
    `restored`: its copy can be read; `own_key`: not the store's key opens it. `key_id` names the
    store's key for new blobs."""

    place: Place
    due_ms: int
    storage_class: str
    size: int
    manifest_id: bytes
    restoration: Restoration | None
    restored: bool
    own_key: bool
    key_id: bytes


class ArchiveReads:
    """The reads of `catalog.interface.Reader` that are about archived versions."""

    _db: apsw.Connection

    def archive_due(self, now_ms: int, limit: int) -> list[Archived]:
        rows: list[Any] = self._db.execute(_DUE, (now_ms, limit)).fetchall()
        return [_archived(row) for row in rows]

    def next_archive_due_ms(self) -> int | None:
        found: int | None = self._db.execute(_NEXT).get
        return found

    def blobs_of(self, manifest_id: bytes) -> list[BlobName]:
        found: Any = self._db.execute(_MANIFEST, (manifest_id,)).get
        if found is None:
            return []
        whole, parts = found
        numbers = [0] if whole else [part.number for part in unpack_index(parts)]
        return [BlobName(manifest_id, number) for number in numbers]

    def part_numbers(self, manifest_id: bytes) -> set[int]:
        return {number for (number,) in self._db.execute(_PARTS, (manifest_id,))}

    def bucket_classes(self, bucket_id: bytes) -> dict[str, tuple[int, int]]:
        rows: list[Any] = self._db.execute(_CLASSES, (bucket_id,)).fetchall()
        return {storage_class: (objects, size) for storage_class, objects, size in rows}


def _archived(row: Any) -> Archived:
    (due_ms, storage_class, size, manifest_id, restore, restored, own_key, key_id) = row[4:]
    return Archived(
        row[:4],
        due_ms,
        storage_class,
        size,
        manifest_id,
        None if restore is None else unpack_restoration(restore),
        bool(restored),
        bool(own_key),
        key_id,
    )
