"""Reads of what is due by lifecycles, of what will be, and of the clock (part of `reader`)."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

import apsw

from coffre.catalog import lock_guard
from coffre.catalog.apply_objects import Slot, bucket_rules
from coffre.catalog.clock_mutations import ClockChange
from coffre.catalog.foresight import FOR_EVER, Foreseen, Kept, Standing, foresee
from coffre.catalog.judging import rules_of
from coffre.catalog.key_order import decode_key
from coffre.catalog.lifecycle_rules import judge_upload
from coffre.catalog.mutations import Refusal
from coffre.catalog.packing import unpack_strings
from coffre.catalog.records import Bucket
from coffre.catalog.release_clock import ReleaseClock, read_release_clock
from coffre.catalog.tally import Tally

_OLDEST: Final = (
    "SELECT min(due_ms) FROM (SELECT * FROM (SELECT due_ms FROM versions INDEXED BY versions_due"
    " WHERE due_ms IS NOT NULL ORDER BY due_ms LIMIT 1) UNION ALL"
    " SELECT * FROM (SELECT due_ms FROM uploads INDEXED BY uploads_due"
    " WHERE due_ms IS NOT NULL ORDER BY due_ms LIMIT 1))"
)
_JUDGED: Final = (
    "SELECT id FROM buckets INDEXED BY buckets_judged WHERE traits & 128 <> 0 ORDER BY id LIMIT ?"
)
_KEYS: Final = (
    "SELECT DISTINCT sort_key FROM versions WHERE bucket_id = ? AND sort_key > ?"
    " ORDER BY sort_key LIMIT ?"
)
_VERSIONS: Final = (
    "SELECT sort_key, version_id, is_null, marker, size, tags, modified_ms, noncurrent_ms,"
    " storage_class"
    " FROM versions WHERE bucket_id = ? AND sort_key BETWEEN ? AND ?"
    " ORDER BY sort_key, ord DESC, zone DESC"
)
_UPLOADS: Final = (
    "SELECT u.id, u.sort_key, u.initiated_ms, (SELECT coalesce(sum(p.size), 0) FROM parts p"
    " WHERE p.manifest_id = u.manifest_id) FROM uploads u WHERE u.bucket_id = ? ORDER BY u.id"
)
_CLOCK_CHANGES: Final = (
    "SELECT kind, before_ms, after_ms, wall_ms, why FROM clock_changes ORDER BY ord DESC LIMIT ?"
)


class LifecycleReads:
    """The reads of `catalog.interface.Reader` that are about lifecycles and their clock."""

    _db: apsw.Connection

    def release_clock(self) -> ReleaseClock | None:
        return read_release_clock(self._db)

    def clock_changes(self, limit: int) -> list[ClockChange]:
        return [ClockChange(*row) for row in self._db.execute(_CLOCK_CHANGES, (limit,))]

    def oldest_due_ms(self) -> int | None:
        found: int | None = self._db.execute(_OLDEST).get
        return found

    def buckets_to_judge(self, limit: int) -> list[bytes]:
        found: list[Any] = self._db.execute(_JUDGED, (limit,)).fetchall()
        return [bucket_id for (bucket_id,) in found]

    def foreseen(
        self, bucket: Bucket, now_ms: int, *, after: bytes, limit: int
    ) -> tuple[list[Foreseen], bytes | None]:
        found: list[Foreseen] = []
        with self._db:
            keys: list[Any] = self._db.execute(_KEYS, (bucket.id, after, limit)).fetchall()
            bounds = (keys[0][0], keys[-1][0]) if keys else (b"", b"")
            rows: list[Any] = self._db.execute(_VERSIONS, (bucket.id, *bounds)).fetchall()
            rules = rules_of(self._db, bucket.id)
            for sort_key, of_key in groupby(rows, lambda row: row[0]):
                versions = [
                    Standing(version_id, bool(null), bool(marker), size, unpack_strings(tags), *at)
                    for _, version_id, null, marker, size, tags, *at in of_key
                ]
                key = decode_key(bucket.key_order, sort_key)
                kept = self._keeping(bucket, sort_key)
                found += foresee(rules, bucket.versioning, key, versions, now_ms, kept)
        return found, keys[-1][0] if keys else None

    def foreseen_uploads(self, bucket: Bucket) -> list[Foreseen]:
        rules = rules_of(self._db, bucket.id)
        found = []
        rows: list[Any] = self._db.execute(_UPLOADS, (bucket.id,)).fetchall()
        for upload_id, sort_key, initiated_ms, size in rows:
            key = decode_key(bucket.key_order, sort_key)
            verdict = judge_upload(rules, key, initiated_ms)
            if verdict is not None:
                about = (verdict.rule.id, size, verdict.due_ms)
                found.append(Foreseen(key, upload_id, "abort", *about))
        return found

    def _keeping(self, bucket: Bucket, sort_key: bytes) -> Kept:
        """Asks the guard of every delete until when it keeps a version of the key. What retention
        of ECS keeps, it keeps for as long as its policies say so, which nobody knows."""
        slot = Slot(self._db, Tally(), bucket.id, bucket_rules(self._db, bucket.id), sort_key)

        def kept(version: Standing, at_ms: int) -> int:
            row = None if version.marker else slot.version(version.version_id)
            if row is None:
                return 0
            try:
                slot.guard(row, at_ms)
            except Refusal:
                locked = lock_guard.is_locked(row, at_ms)
                until_ms = lock_guard.asked_again_ms(row, at_ms) if locked else None
                return until_ms or FOR_EVER
            return 0

        return kept
