"""Reads of the search index and of manifests that others have pieces of (part of `reader`)."""

from __future__ import annotations

import apsw

from coffre.catalog import queries as q
from coffre.catalog.packing import unpack_blob, unpack_index, unpack_pieces
from coffre.catalog.paging import Row
from coffre.catalog.records import Bucket, Manifest, Searched


class SearchReader:
    """The reads of `catalog.interface.Reader` that are about metadata search and compositions."""

    _db: apsw.Connection

    def manifest(self, manifest_id: bytes) -> Manifest | None:
        row = self._db.execute(q.MANIFEST, (manifest_id,)).get
        if row is None:
            return None
        (size, blob, parts, pieces) = row
        opened = None if blob is None else unpack_blob(blob)
        return Manifest(manifest_id, size, opened, unpack_index(parts), unpack_pieces(pieces))

    def buckets_at_work(self, limit: int) -> list[Bucket]:
        return [Bucket(*row) for row in self._db.execute(q.BUCKETS_AT_WORK, (limit,))]

    def search(
        self,
        bucket: Bucket,
        number: int,
        lower: bytes,
        upper: bytes,
        *,
        after: tuple[bytes, bytes, int, int],
        older: bool,
        limit: int,
    ) -> list[Searched]:
        # One lower bound: with two, SQLite would walk to the second from the first.
        start = max(after, (lower, b"", -1, -1))
        asked = (bucket.id, number, *start, upper, limit)
        with self._db:
            rows: list[Row] = self._db.execute(q.SEARCH_CURRENT, asked).fetchall()
            if older:
                rows = sorted(rows + self._db.execute(q.SEARCH_OLD, asked).fetchall())[:limit]
            values = [
                dict(self._db.execute(q.SEARCH_VALUES, (bucket.id, *row[1:]))) for row in rows
            ]
        return [
            Searched(value, sort_key, order, zone, found)
            for (value, sort_key, order, zone), found in zip(rows, values, strict=True)
        ]
