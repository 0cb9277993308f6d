"""What a group adds to the counters of buckets and chunks, and its records of the audit: each row
is written once, at its end.

Counters change in the transaction that changes what they count, yet a bucket that takes 64 objects
in one group has its row written once. Whoever needs a counter inside a group adds what the tally
holds for it (`bucket`, `chunk`) to what the row says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from coffre.catalog.audit_chain import append_batch
from coffre.catalog.metering import Change, metered_ms, settle

_BUCKET = "UPDATE buckets SET objects = objects + ?, bytes = bytes + ? WHERE id = ?"
_CHUNK = "UPDATE chunks SET appended = appended + ?, dead = dead + ? WHERE id = ?"
_CLASS = (
    "INSERT INTO bucket_classes (bucket_id, storage_class, objects, bytes)"
    " SELECT id, ?2, ?3, ?4 FROM buckets WHERE id = ?1"
    " ON CONFLICT (bucket_id, storage_class) DO UPDATE"
    " SET objects = objects + excluded.objects, bytes = bytes + excluded.bytes"
)
_NO_CLASS = (
    "DELETE FROM bucket_classes WHERE bucket_id = ? AND storage_class = ?"
    " AND objects = 0 AND bytes = 0"
)
_HELD = (
    "objects, bytes + coalesce((SELECT sum(part_bytes) FROM usage_meters WHERE scope_id = b.id), 0)"
)
_OF_STORE = f"SELECT id, {_HELD} FROM buckets b WHERE store_id = ?"  # noqa: S608
_OF_BUCKET = f"SELECT {_HELD} FROM buckets b WHERE id = ?"  # noqa: S608
_NOTHING = (0, 0)
_UNCHANGED = (0, 0, 0, 0, 0, 0, 0)
_Counted = bytes | tuple[bytes, str]
_Sums = dict[Any, tuple[int, int]]
_Undone = tuple[dict[Any, Any], _Counted, Any]


class Tally:
    """Sums by bucket (objects, bytes), by its storage classes and by chunk (appended, dead), and
    encoded records of the audit, until `write`."""

    __slots__ = (
        *("_buckets", "_chunks", "_classes", "_parts", "_records"),
        *("_store_of", "_stores", "_undo", "_usage"),
    )

    def __init__(self) -> None:
        self._buckets: _Sums = {}
        self._chunks: _Sums = {}
        self._classes: _Sums = {}
        self._parts: dict[bytes, int] = {}
        self._usage: dict[tuple[bytes, str], Change] = {}
        self._stores: _Sums = {}
        self._store_of: dict[bytes, bytes] = {}
        self._records: list[bytes] = []
        self._undo: list[_Undone | int] = []

    def add_to_bucket(self, bucket_id: bytes, objects: int, size: int) -> None:
        self._add(self._buckets, bucket_id, objects, size)
        store_id = self._store_of.get(bucket_id)
        if store_id is not None:
            self._add(self._stores, store_id, objects, size)

    def add_to_chunk(self, chunk_id: bytes, appended: int, dead: int) -> None:
        self._add(self._chunks, chunk_id, appended, dead)

    def add_to_class(self, bucket_id: bytes, storage_class: str, objects: int, size: int) -> None:
        """What is STANDARD is the rest, and not counted."""
        self._add(self._classes, (bucket_id, storage_class), objects, size)

    def add_usage(
        self,
        bucket_id: bytes,
        storage_class: str,
        objects: int = 0,
        versions: int = 0,
        size: int = 0,
        parts: int = 0,
        part_size: int = 0,
        moved: bool = False,
    ) -> None:
        """What a meter's level changes by (`usage_records.Level`). Versions count as made or gone,
        but for those that are `moved` from class to class."""
        created, deleted = (0, 0) if moved else (max(0, versions), max(0, -versions))
        change = (objects, versions, size, parts, part_size, created, deleted)
        counted = (bucket_id, storage_class)
        before = self._usage.get(counted, _UNCHANGED)
        self._undo.append((self._usage, counted, before))
        self._usage[counted] = tuple(map(int.__add__, before, change))  # type: ignore[assignment]
        if part_size:
            self._add_parts(bucket_id, part_size)

    def record(self, record: bytes) -> None:
        """An encoded record (`audit_records`) for the group's batch."""
        self.record_all((record,))

    def record_all(self, records: Sequence[bytes]) -> None:
        """Several of them."""
        self._undo.append(len(self._records))
        self._records += records

    def bucket(self, bucket_id: bytes) -> tuple[int, int]:
        """(objects, bytes) that the bucket's row does not show yet."""
        return self._buckets.get(bucket_id, _NOTHING)

    def chunk(self, chunk_id: bytes) -> tuple[int, int]:
        """(appended, dead) that the chunk's row does not show yet."""
        return self._chunks.get(chunk_id, _NOTHING)

    def store(self, db: apsw.Connection, store_id: bytes, bucket_id: bytes) -> tuple[int, int]:
        """(objects, bytes) that the store of a bucket holds by now, open parts counted as bytes.
        Reads the rows of its buckets once a group."""
        if bucket_id not in self._store_of:
            objects = size = 0
            rows: list[Any] = db.execute(_OF_STORE, (store_id,)).fetchall()
            for one, kept_objects, kept_size in rows:
                self._store_of[one] = store_id
                added_objects, added_size = self.bucket(one)
                objects += kept_objects + added_objects
                size += kept_size + added_size + self._parts.get(one, 0)
            self._stores[store_id] = (objects, size)
        return self._stores[store_id]

    def held(self, db: apsw.Connection, bucket_id: bytes) -> tuple[int, int]:
        """(objects, bytes) that a bucket holds by now, open parts counted as bytes."""
        objects, size = db.execute(_OF_BUCKET, (bucket_id,)).fetchone() or _NOTHING
        added_objects, added_size = self.bucket(bucket_id)
        return objects + added_objects, size + added_size + self._parts.get(bucket_id, 0)

    def mark(self) -> int:
        """A place to roll back to: take it where a savepoint begins."""
        return len(self._undo)

    def roll_back(self, mark: int) -> None:
        """Forget what was added since `mark`."""
        if len(self._undo) > mark:
            self._forget_stores()
        while len(self._undo) > mark:
            undone = self._undo.pop()
            if isinstance(undone, int):
                del self._records[undone:]
            else:
                sums, counted, before = undone
                sums[counted] = before

    def write(self, db: apsw.Connection, trusted_ms: int = 0) -> None:
        """Add the sums to the rows, and the records' batch; the tally is empty then. A row that is
        gone counts nothing. `trusted_ms`: the group's, for meters."""
        for statement, sums in ((_BUCKET, self._buckets), (_CHUNK, self._chunks)):
            for counted, (first, second) in sums.items():
                if first or second:
                    db.execute(statement, (first, second, counted))
            sums.clear()
        for (bucket_id, storage_class), added in self._classes.items():
            if any(added):
                db.execute(_CLASS, (bucket_id, storage_class, *added))
                db.execute(_NO_CLASS, (bucket_id, storage_class))
        self._classes.clear()
        if self._usage:
            settle(db, self._usage, metered_ms(db, trusted_ms))
            self._usage.clear()
            self._parts.clear()
        if self._records:
            append_batch(db, self._records)
            self._records.clear()
        self._undo.clear()
        self._forget_stores()

    def _forget_stores(self) -> None:
        self._stores.clear()
        self._store_of.clear()

    def _add_parts(self, bucket_id: bytes, size: int) -> None:
        before = self._parts.get(bucket_id, 0)
        self._parts[bucket_id] = before + size
        self._undo.append((self._parts, bucket_id, before))
        store_id = self._store_of.get(bucket_id)
        if store_id is not None:
            self._add(self._stores, store_id, 0, size)

    def _add(self, sums: _Sums, counted: _Counted, first: int, second: int) -> None:
        before = sums.get(counted, _NOTHING)
        self._undo.append((sums, counted, before))
        sums[counted] = (before[0] + first, before[1] + second)
