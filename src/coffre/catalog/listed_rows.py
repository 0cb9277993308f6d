"""Rows of listings as values: a thousand a page, so that no column is looked at twice."""

from __future__ import annotations

from collections.abc import Mapping

from coffre.catalog.packing import unpack_checksum, unpack_restore
from coffre.catalog.paging import Row
from coffre.catalog.records import Listed, ListedVersion


def listed(key: bytes, row: Row, labels: Mapping[str, str]) -> Listed:
    """A current object; `labels` are the owners' names."""
    return Listed(
        key,
        row[1],
        row[2],
        row[3],
        row[4],
        labels[row[4]],
        row[5],
        unpack_checksum(row[6]),
        unpack_restore(row[7]),
    )


def listed_version(key: bytes, row: Row, labels: Mapping[str, str]) -> ListedVersion:
    """A version or a delete marker; `labels` are the owners' names."""
    (version_id, latest, marker, modified_ms, size, etag, owner_id, storage_class) = row[1:9]
    return ListedVersion(
        key,
        version_id,
        bool(latest),
        bool(marker),
        modified_ms,
        size,
        etag,
        owner_id,
        labels[owner_id],
        storage_class,
        unpack_checksum(row[9]),
        unpack_restore(row[10]),
    )
