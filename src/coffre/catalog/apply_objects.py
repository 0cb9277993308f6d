"""Versions: what puts, copies and deletes do, in buckets of every versioning state.

In a bucket that never had versioning each key has at most one version, the null version. Enabled:
every write adds a version, a delete adds a marker. Suspended: writes and deletes make the null
version, replacing an earlier null version and hiding all others (S3 user guide, "Adding objects to
versioning-suspended buckets").
"""

from __future__ import annotations

import apsw
from msgspec import Struct

from coffre.catalog.apply_manifests import add_blob, release, share
from coffre.catalog.key_order import encode_key
from coffre.catalog.mutations import (
    CopyVersion,
    Deleted,
    DeleteVersion,
    Done,
    ObjectFacts,
    PutVersion,
    Refusal,
    SetAcl,
    SetTags,
    WriteCondition,
    Written,
)
from coffre.catalog.packing import pack_optional
from coffre.catalog.records import NULL_VERSION, KeyOrder
from coffre.catalog.stamp import Stamp, version_order
from coffre.catalog.tally import Tally

_ROW = (
    "SELECT ord, zone, version_id, latest, is_null, marker, size, etag, manifest_id, modified_ms"
    " FROM versions"
)
_NEWEST = _ROW + " WHERE bucket_id = ? AND sort_key = ? ORDER BY ord DESC, zone DESC LIMIT 1"
_OLD_NULL = _ROW + (
    " INDEXED BY old_nulls WHERE bucket_id = ? AND sort_key = ? AND is_null = 1 AND latest = 0"
)
_EXACT = _ROW + (
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND version_id = ?"
)
_UNCONDITIONAL = (None, None, None)
_DELETE = "DELETE FROM versions WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
_SET_LATEST = (
    "UPDATE versions SET latest = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_TAGS = (
    "UPDATE versions SET tags = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_ACL = (
    "UPDATE versions SET acl = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_INSERT = (
    "INSERT INTO versions (bucket_id, sort_key, ord, zone, version_id, latest, is_null, marker,"
    " modified_ms, size, etag, owner_id, storage_class, parts_count, manifest_id, checksum,"
    " metadata, tags, acl, encryption)"
    " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Row(Struct, frozen=True, gc=False):
    """What a write needs to know of a version that stands."""

    order: int
    zone: int
    version_id: bytes
    latest: int
    is_null: int
    marker: int
    size: int
    etag: str
    manifest_id: bytes | None
    modified_ms: int


class Slot:
    """One key of one bucket and the newest version there, as a write finds it."""

    __slots__ = ("_db", "_tally", "bucket_id", "newest", "sort_key", "versioning")

    def __init__(
        self, db: apsw.Connection, tally: Tally, bucket_id: bytes, versioning: str, sort_key: bytes
    ) -> None:
        self._db = db
        self._tally = tally
        self.bucket_id = bucket_id
        self.versioning = versioning
        self.sort_key = sort_key
        self.newest = self._row(_NEWEST, (bucket_id, sort_key))

    def check(self, condition: WriteCondition) -> None:
        """Refused: PreconditionFailed, NoSuchKey. A delete marker counts as no object."""
        if condition.if_match is None and not condition.if_none_match:
            return
        current = self.newest if self.newest is not None and not self.newest.marker else None
        if condition.if_none_match and current is not None:
            raise Refusal("PreconditionFailed", Condition="If-None-Match")
        if condition.if_match is not None:
            if current is None:
                raise Refusal("NoSuchKey")
            check_etag(condition.if_match, current)

    def write(
        self, stamp: Stamp, facts: ObjectFacts, manifest_id: bytes, size: int, parts_count: int
    ) -> Written:
        """The object is the current version from now on."""
        version_id = self._make_room(stamp)
        self._insert(
            stamp,
            version_id,
            0,
            (
                size,
                facts.etag,
                facts.owner_id,
                facts.storage_class,
                parts_count,
                manifest_id,
                pack_optional(facts.checksum),
                pack_optional(facts.metadata),
                pack_optional(facts.tags),
                facts.acl or None,
                pack_optional(facts.encryption),
            ),
        )
        self._tally.add_to_bucket(self.bucket_id, 1, size)
        return Written(version_id, stamp.now_ms, facts.etag, size, facts.checksum)

    def mark(self, stamp: Stamp, owner_id: str) -> Deleted:
        """A delete marker is the current version from now on (versioning is or was on)."""
        version_id = self._make_room(stamp)
        nothing = (None,) * 6  # from manifest to encryption
        self._insert(stamp, version_id, 1, (0, "", owner_id, "STANDARD", 0, *nothing))
        return Deleted(None, True, version_id)

    def version(self, version_id: bytes) -> Row | None:
        """One version of the key by its id."""
        newest = self.newest
        if newest is None or newest.version_id == version_id:
            return newest
        if version_id == NULL_VERSION:
            return self._old_null()
        order = version_order(version_id)
        return order and self._row(_EXACT, (self.bucket_id, self.sort_key, *order, version_id))

    def remove(self, row: Row) -> None:
        """The version is gone; the newest one left, if any, is current."""
        self._erase(row)
        if row.latest and self.versioning != "never":
            left = self._row(_NEWEST, (self.bucket_id, self.sort_key))
            if left is not None:
                self._set_latest(left, 1)

    def _make_room(self, stamp: Stamp) -> bytes:
        """No version is the latest any more; the id that the new one has."""
        newest, enabled = self.newest, self.versioning == "enabled"
        if newest is not None:
            null = None if enabled else newest if newest.is_null else self._old_null()
            if null is not None:
                self._erase(null)
            if enabled or not newest.is_null:
                self._set_latest(newest, 0)
        return stamp.version_id if enabled else NULL_VERSION

    def _insert(
        self, stamp: Stamp, version_id: bytes, marker: int, rest: tuple[object, ...]
    ) -> None:
        self._db.execute(
            _INSERT,
            (
                self.bucket_id,
                self.sort_key,
                stamp.order,
                stamp.zone,
                version_id,
                version_id == NULL_VERSION,
                marker,
                stamp.now_ms,
                *rest,
            ),
        )

    def _erase(self, row: Row) -> None:
        self._db.execute(_DELETE, (self.bucket_id, self.sort_key, row.order, row.zone))
        if row.manifest_id is not None:
            self._tally.add_to_bucket(self.bucket_id, -1, -row.size)
            release(self._db, self._tally, row.manifest_id)

    def _set_latest(self, row: Row, latest: int) -> None:
        where = (self.bucket_id, self.sort_key, row.order, row.zone)
        self._db.execute(_SET_LATEST, (latest, *where))

    def _old_null(self) -> Row | None:
        return self._row(_OLD_NULL, (self.bucket_id, self.sort_key))

    def _row(self, statement: str, bindings: tuple[bytes | int, ...]) -> Row | None:
        row = self._db.execute(statement, bindings).get
        return None if row is None else Row(*row)


def require_bucket(db: apsw.Connection, bucket_id: bytes) -> tuple[KeyOrder, str]:
    """The bucket's key order and versioning state. Refused: NoSuchBucket."""
    row: tuple[KeyOrder, str] | None = db.execute(
        "SELECT key_order, versioning FROM buckets WHERE id = ?", (bucket_id,)
    ).get
    if row is None:
        raise Refusal("NoSuchBucket")
    return row


def check_etag(if_match: str, row: Row) -> None:
    """Refused: PreconditionFailed."""
    if if_match not in ("*", row.etag):
        raise Refusal("PreconditionFailed", Condition="If-Match")


def put_version(db: apsw.Connection, mutation: PutVersion, stamp: Stamp, tally: Tally) -> Written:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    slot.check(mutation.condition)
    add_blob(db, tally, mutation.manifest_id, mutation.blob)
    return slot.write(stamp, mutation.facts, mutation.manifest_id, mutation.blob.size, 0)


def copy_version(db: apsw.Connection, mutation: CopyVersion, stamp: Stamp, tally: Tally) -> Written:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    slot.check(mutation.condition)
    # Before the old version lets go: a copy onto itself must not free what it shares.
    share(db, mutation.source_manifest_id)
    return slot.write(
        stamp, mutation.facts, mutation.source_manifest_id, mutation.size, mutation.parts_count
    )


def delete_version(
    db: apsw.Connection, mutation: DeleteVersion, stamp: Stamp, tally: Tally
) -> Deleted:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    named = mutation.version_id is not None
    found = slot.newest if mutation.version_id is None else slot.version(mutation.version_id)
    if (mutation.if_match, mutation.if_modified_s, mutation.if_size) != _UNCONDITIONAL:
        if found is None or found.marker:
            return Deleted(mutation.version_id)
        _check_deletion(mutation, found)
    if not named and slot.versioning != "never":
        return slot.mark(stamp, mutation.owner_id)
    if found is None:
        return Deleted(mutation.version_id)
    slot.remove(found)
    marker = bool(found.marker)
    return Deleted(mutation.version_id, marker, found.version_id if marker else None)


def _check_deletion(mutation: DeleteVersion, row: Row) -> None:
    """Refused: PreconditionFailed, where the version is not as whoever deletes it expects."""
    if mutation.if_match is not None:
        check_etag(mutation.if_match, row)
    # Clients know whole seconds: milliseconds are dropped before comparing.
    if mutation.if_modified_s not in (None, row.modified_ms // 1000):
        raise Refusal("PreconditionFailed", Condition="x-amz-if-match-last-modified-time")
    if mutation.if_size not in (None, row.size):
        raise Refusal("PreconditionFailed", Condition="x-amz-if-match-size")


def set_tags(db: apsw.Connection, mutation: SetTags, stamp: Stamp, tally: Tally) -> Done:
    _amend(db, tally, mutation, _SET_TAGS, pack_optional(mutation.tags))
    return Done()


def set_acl(db: apsw.Connection, mutation: SetAcl, stamp: Stamp, tally: Tally) -> Done:
    _amend(db, tally, mutation, _SET_ACL, mutation.acl or None)
    return Done()


def _amend(
    db: apsw.Connection,
    tally: Tally,
    mutation: SetTags | SetAcl,
    statement: str,
    value: bytes | None,
) -> None:
    """Change one column of one version. Refused: NoSuchBucket, NoSuchKey, OperationAborted."""
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    found = slot.version(mutation.version_id)
    if found is None or found.marker:
        raise Refusal("NoSuchKey")
    if found.order != mutation.order:
        raise Refusal("OperationAborted")
    db.execute(statement, (value, slot.bucket_id, slot.sort_key, found.order, found.zone))


def _slot(db: apsw.Connection, tally: Tally, bucket_id: bytes, key: bytes) -> Slot:
    order, versioning = require_bucket(db, bucket_id)
    return Slot(db, tally, bucket_id, versioning, encode_key(order, key))
