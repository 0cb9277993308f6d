"""Reads of annotations (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.key_order import encode_key
from coffre.catalog.packing import unpack_blob, unpack_checksum
from coffre.catalog.records import Annotation, Bucket, Version

_ANNOTATION = (
    "SELECT a.name, a.manifest_id, a.size, a.etag, a.modified_ms, a.checksum, m.blob, m.refs"
    " FROM annotations a JOIN manifests m ON m.id = a.manifest_id"
    " WHERE a.bucket_id = ? AND a.sort_key = ? AND a.ord = ? AND a.zone = ?"
)
_NAMED = _ANNOTATION + " AND a.name = ?"
_PAGE = _ANNOTATION + " AND a.name > ? AND a.name >= ? AND a.name < ? ORDER BY a.name LIMIT ?"
_SHARED = "SELECT refs > 1 FROM manifests WHERE id = ?"
_AFTER_ALL_NAMES = "\U0010ffff"


class AnnotationReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def annotation(self, bucket: Bucket, version: Version, name: str) -> Annotation | None:
        row = self._db.execute(_NAMED, (*_place(bucket, version), name)).get
        return row and _annotation(row)

    def annotations(
        self, bucket: Bucket, version: Version, *, prefix: str, after: str, limit: int
    ) -> list[Annotation]:
        bounds = (after, prefix, prefix + _AFTER_ALL_NAMES, max(limit, 0))
        rows = self._db.execute(_PAGE, (*_place(bucket, version), *bounds)).fetchall()
        return [_annotation(row) for row in rows]

    def is_shared(self, manifest_id: bytes) -> bool:
        return bool(self._db.execute(_SHARED, (manifest_id,)).get)


def _place(bucket: Bucket, version: Version) -> tuple[bytes, bytes, int, int]:
    return bucket.id, encode_key(bucket.key_order, version.key), version.order, version.zone


def _annotation(row: tuple[Any, ...]) -> Annotation:
    (name, manifest_id, size, etag, modified_ms, checksum, blob, refs) = row
    kept = unpack_checksum(checksum)
    assert kept is not None, "every annotation has a checksum"
    opened = unpack_blob(blob)
    return Annotation(name, manifest_id, size, etag, modified_ms, kept, opened, refs > 1)
