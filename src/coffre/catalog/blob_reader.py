"""Reads of blobs, wherever they lie (part of `reader`)."""

from __future__ import annotations

import apsw

from coffre.catalog import queries as q
from coffre.catalog.packing import unpack_blob
from coffre.catalog.paging import Row
from coffre.catalog.records import BlobName
from coffre.vault.records import Blob


class BlobReader:
    """The reads of `catalog.interface.Reader` that are about blobs by name and by chunk."""

    _db: apsw.Connection

    def blob(self, name: BlobName) -> Blob | None:
        manifest_id, number = name
        if number:
            packed = self._db.execute(q.BLOB_OF_PART, (manifest_id, number)).get
        else:
            packed = self._db.execute(q.BLOB_OF_MANIFEST, (manifest_id,)).get
        return None if packed is None else unpack_blob(packed)

    def striped_blobs(self, chunk_id: bytes, *, after: BlobName, limit: int) -> list[BlobName]:
        asked = (chunk_id, *after, limit)
        rows: list[Row] = self._db.execute(q.STRIPED_BLOBS, asked).fetchall()
        return [BlobName(*row) for row in rows]

    def whole_blobs(self, *, after: bytes, limit: int) -> list[tuple[BlobName, Blob]]:
        return _named(self._db.execute(q.WHOLE_BLOBS, (after, limit)).fetchall())

    def part_blobs(self, *, after: BlobName, limit: int) -> list[tuple[BlobName, Blob]]:
        return _named(self._db.execute(q.PART_BLOBS, (*after, limit)).fetchall())


def _named(rows: list[Row]) -> list[tuple[BlobName, Blob]]:
    return [(BlobName(manifest, number), unpack_blob(blob)) for manifest, number, blob in rows]
