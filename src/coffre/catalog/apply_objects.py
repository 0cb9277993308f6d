"""Versions: what puts, copies and deletes do, in buckets of every versioning state.

In a bucket that never had versioning each key has at most one version, the null version. Enabled:
every write adds a version, a delete adds a marker. Suspended: writes and deletes make the null
version, replacing an earlier null version and hiding all others (S3 user guide, "Adding objects to
versioning-suspended buckets").
"""

from __future__ import annotations

import apsw
from msgspec import Struct
from msgspec.structs import replace

from coffre.catalog import annotation_rows, apply_search, archive_rows, judging, lock_guard
from coffre.catalog.annotation_mutations import AnnotatedVersion
from coffre.catalog.annotation_rows import Place
from coffre.catalog.apply_manifests import add_blob, add_pieces, release, share
from coffre.catalog.archive_rows import STANDARD
from coffre.catalog.ecs_mutations import Composition, SetRetention
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
from coffre.catalog.packing import pack, pack_optional, unpack_ecs
from coffre.catalog.quotas import BOUNDED, check_quota
from coffre.catalog.records import NULL_VERSION, EcsFacts, Encryption, KeyOrder, Trait
from coffre.catalog.stamp import Stamp, version_order
from coffre.catalog.tally import Tally

_ROW = (
    "SELECT ord, zone, version_id, latest, is_null, marker, size, etag, manifest_id, modified_ms,"
    " ecs, lock_mode, lock_until_ms, legal_hold, storage_class FROM versions"
)
_NEWEST = _ROW + " WHERE bucket_id = ? AND sort_key = ? ORDER BY ord DESC, zone DESC LIMIT 1"
_OLD_NULL = _ROW + (
    " INDEXED BY old_nulls WHERE bucket_id = ? AND sort_key = ? AND is_null = 1 AND latest = 0"
)
_EXACT = _ROW + (
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ? AND version_id = ?"
)
_UNCONDITIONAL = (None, None, None)
_DELETE = (
    "DELETE FROM versions WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
    " RETURNING storage_class, restore, restored_id"
)
_STANDS = "SELECT 1 FROM versions WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
_SET_LATEST = (
    "UPDATE versions SET latest = ?, noncurrent_ms = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_TAGS = (
    "UPDATE versions SET tags = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_ECS = (
    "UPDATE versions SET ecs = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_ENCRYPTION = (
    "SELECT encryption FROM versions WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_MANIFEST = (
    "UPDATE versions SET manifest_id = ?"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SEARCHED = Trait.INDEXED | Trait.UNINDEXING
_SET_ACL = (
    "UPDATE versions SET acl = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_INSERT = (
    "INSERT INTO versions (bucket_id, sort_key, ord, zone, version_id, latest, is_null, marker,"
    " modified_ms, size, etag, owner_id, storage_class, parts_count, manifest_id, checksum,"
    " metadata, tags, acl, encryption, ecs, lock_mode, lock_until_ms, legal_hold)"
    " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
    ecs: bytes | None = None
    lock_mode: str | None = None
    lock_until_ms: int | None = None
    legal_hold: int | None = None
    storage_class: str = STANDARD


class Rules(Struct, frozen=True):
    """How a bucket keeps its versions: the columns of its row that writes must heed."""

    key_order: KeyOrder
    versioning: str
    traits: int = 0
    retention_s: int = 0


class Slot:
    """One key of one bucket and the newest version there, as a write finds it."""

    __slots__ = ("_db", "_tally", "bucket_id", "newest", "rules", "sort_key", "versioning")

    def __init__(
        self, db: apsw.Connection, tally: Tally, bucket_id: bytes, rules: Rules, sort_key: bytes
    ) -> None:
        self._db = db
        self._tally = tally
        self.bucket_id = bucket_id
        self.rules = rules
        self.versioning = rules.versioning
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
                if self.rules.traits & Trait.ECS:
                    raise Refusal("PreconditionFailed", Condition="If-Match")
                raise Refusal("NoSuchKey")
            check_etag(condition.if_match, current)

    def write(
        self,
        stamp: Stamp,
        facts: ObjectFacts,
        manifest_id: bytes,
        size: int,
        parts_count: int,
        *,
        freed: int = 0,
    ) -> Written:
        """The object is the current version from now on. `freed`: bytes that are let go for it and
        still counted. Refused: as `guard`, InvalidRequest (locked where nothing can be),
        EmptyBucketInProgress, QuotaExceeded."""
        if self.rules.traits & Trait.EMPTYING:
            raise Refusal("EmptyBucketInProgress")
        if self.rules.traits & BOUNDED:
            self._check_quota(size, freed)
        lock = lock_guard.lock_of_new(
            self._db, self.bucket_id, self.rules, facts.lock, stamp.now_ms
        )
        kept = lock.retention
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
                pack_optional(facts.ecs),
                kept and kept.mode,
                kept and kept.until_ms,
                lock.held,
            ),
        )
        if self.rules.traits & Trait.INDEXED:
            order = self.rules.key_order
            apply_search.index_version(
                self._db, self.bucket_id, order, self.sort_key, stamp, facts, size
            )
        self._tally.add_to_bucket(self.bucket_id, 1, size)
        place = (self.bucket_id, self.sort_key, stamp.order, stamp.zone)
        archive_rows.note_written(
            self._db, self._tally, place, facts.storage_class, size, stamp.trusted_ms
        )
        self._judge()
        return Written(version_id, stamp.now_ms, facts.etag, size, facts.checksum)

    def mark(self, stamp: Stamp, owner_id: str) -> Deleted:
        """A delete marker is the current version from now on (versioning is or was on)."""
        version_id = self._make_room(stamp)
        nothing = (None,) * 10  # from manifest to legal hold
        self._insert(stamp, version_id, 1, (0, "", owner_id, STANDARD, 0, *nothing))
        self._tally.add_usage(self.bucket_id, STANDARD, versions=1)
        self._judge()
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

    def remove(self, row: Row, now_ms: int, *, bypass: bool = False) -> None:
        """The version is gone; the newest one left, if any, is current. Refused: as `guard`."""
        self.guard(row, now_ms, bypass=bypass)
        self._erase(row)
        if self.versioning == "never":
            return  # The key had no other.
        if row.latest:
            left = self._row(_NEWEST, (self.bucket_id, self.sort_key))
            if left is not None:
                self._set_latest(left, 1)
        self._judge()

    def _make_room(self, stamp: Stamp) -> bytes:
        """No version is the latest any more; the id that the new one has."""
        newest, enabled = self.newest, self.versioning == "enabled"
        if newest is not None:
            null = None if enabled else newest if newest.is_null else self._old_null()
            if null is not None:
                self.guard(null, stamp.trusted_ms)
                self._erase(null)
            if enabled or not newest.is_null:
                self._set_latest(newest, 0, stamp.now_ms)
        return stamp.version_id if enabled else NULL_VERSION

    def _check_quota(self, size: int, freed: int) -> None:
        """Refused: QuotaExceeded. What the new version replaces makes room for it."""
        gone = None
        if self.versioning != "enabled" and self.newest is not None:
            gone = self.newest if self.newest.is_null else self._old_null()
        kept = gone is not None and not gone.marker
        objects, added = (0, size - gone.size) if gone is not None and kept else (1, size)
        traits = self.rules.traits
        check_quota(self._db, self._tally, self.bucket_id, traits, objects, added - freed)

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

    def guard(self, row: Row, now_ms: int, *, bypass: bool = False) -> None:
        """Before a version's bytes go, at the release clock's time. Refused as `lock_guard.check`
        says."""
        lock_guard.check(self._db, self.bucket_id, self.rules, row, now_ms, bypass=bypass)

    def amend(self, stamp: Stamp, row: Row, manifest_id: bytes) -> Written:
        """The version's bytes lie in another manifest from now on; nothing else of it changes."""
        assert row.manifest_id is not None, "whoever amends a version has read its bytes"
        where = (self.bucket_id, self.sort_key, row.order, row.zone)
        self._db.execute(_SET_MANIFEST, (manifest_id, *where))
        release(self._db, self._tally, row.manifest_id)
        return Written(row.version_id, row.modified_ms, row.etag, row.size)

    def _erase(self, row: Row) -> None:
        place = (self.bucket_id, self.sort_key, row.order, row.zone)
        kept = self._db.execute(_DELETE, place).get
        if self.rules.traits & _SEARCHED:
            apply_search.drop_version(self._db, place)
        if self.rules.traits & Trait.ANNOTATED:
            annotation_rows.let_go(self._db, self._tally, place)
        shown = row.latest and not row.marker
        self._tally.add_usage(self.bucket_id, kept[0], -1 if shown else 0, -1, -row.size)
        if row.manifest_id is not None:
            self._tally.add_to_bucket(self.bucket_id, -1, -row.size)
            archive_rows.note_erased(self._db, self._tally, self.bucket_id, row.size, kept)
            release(self._db, self._tally, row.manifest_id)

    def _set_latest(self, row: Row, latest: int, noncurrent_ms: int | None = None) -> None:
        where = (self.bucket_id, self.sort_key, row.order, row.zone)
        self._db.execute(_SET_LATEST, (latest, noncurrent_ms, *where))
        if not row.marker:
            shown = 1 if latest else -1
            self._tally.add_usage(self.bucket_id, row.storage_class, shown)
        if self.rules.traits & _SEARCHED:
            apply_search.set_latest(self._db, latest, where)

    def _judge(self) -> None:
        """The key's versions changed: so may when they are due."""
        if self.rules.traits & Trait.LIFECYCLE:
            judging.judge_key(self._db, self.bucket_id, self.rules.key_order, self.sort_key)

    def _old_null(self) -> Row | None:
        return self._row(_OLD_NULL, (self.bucket_id, self.sort_key))

    def _row(self, statement: str, bindings: tuple[bytes | int, ...]) -> Row | None:
        row = self._db.execute(statement, bindings).get
        return None if row is None else Row(*row)


def require_bucket(db: apsw.Connection, bucket_id: bytes) -> tuple[KeyOrder, str]:
    """The bucket's key order and versioning state. Refused: NoSuchBucket."""
    rules = bucket_rules(db, bucket_id)
    return rules.key_order, rules.versioning


def bucket_rules(db: apsw.Connection, bucket_id: bytes) -> Rules:
    """How a bucket keeps its versions. Refused: NoSuchBucket."""
    row = db.execute(
        "SELECT key_order, versioning, traits, retention_s FROM buckets WHERE id = ?", (bucket_id,)
    ).get
    if row is None:
        raise Refusal("NoSuchBucket")
    return Rules(*row)


def check_etag(if_match: str, row: Row) -> None:
    """Refused: PreconditionFailed."""
    if if_match not in ("*", row.etag):
        raise Refusal("PreconditionFailed", Condition="If-Match")


def check_encryption(db: apsw.Connection, place: Place, read: Encryption | None) -> None:
    """Refused: OperationAborted, where a version is encrypted otherwise than it was `read`."""
    if db.execute(_ENCRYPTION, place).get != pack_optional(read):
        raise Refusal("OperationAborted")


def put_version(db: apsw.Connection, mutation: PutVersion, stamp: Stamp, tally: Tally) -> Written:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    slot.check(mutation.condition)
    if mutation.composition is not None:
        return _compose(db, tally, slot, mutation, mutation.composition, stamp)
    add_blob(db, tally, mutation.manifest_id, mutation.blob)
    return slot.write(stamp, mutation.facts, mutation.manifest_id, mutation.blob.size, 0)


def _compose(
    db: apsw.Connection,
    tally: Tally,
    slot: Slot,
    mutation: PutVersion,
    made: Composition,
    stamp: Stamp,
) -> Written:
    """A blob becomes part of the current version's bytes, or stands in for some of them."""
    base = slot.newest
    if base is None or (base.order, base.manifest_id) != (made.base_order, made.base_manifest_id):
        raise Refusal("OperationAborted")
    slot.guard(base, stamp.trusted_ms)
    if not made.amends:
        # The keys of the old bytes were wrapped anew where this changed, and stay so.
        place = (slot.bucket_id, slot.sort_key, base.order, base.zone)
        check_encryption(db, place, mutation.facts.encryption)
    add_blob(db, tally, mutation.manifest_id, mutation.blob)
    # Before the version lets go of its manifest: what both share must not be freed.
    size = add_pieces(db, made.manifest_id, mutation.manifest_id, made.pieces)
    if not made.amends:
        return slot.write(stamp, mutation.facts, made.manifest_id, size, 0)
    if size != base.size:
        raise Refusal("InternalError", "an amended object keeps its size")
    return slot.amend(stamp, base, made.manifest_id)


def copy_version(db: apsw.Connection, mutation: CopyVersion, stamp: Stamp, tally: Tally) -> Written:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    slot.check(mutation.condition)
    # Before the old version lets go: a copy onto itself must not free what it shares.
    share(db, mutation.source_manifest_id)
    annotated = mutation.annotations_of
    held = [] if annotated is None else annotation_rows.hold(db, _place_of(db, annotated))
    done = slot.write(
        stamp, mutation.facts, mutation.source_manifest_id, mutation.size, mutation.parts_count
    )
    for kept in held:
        place = (slot.bucket_id, slot.sort_key, stamp.order, stamp.zone)
        annotation_rows.put(db, place, kept, stamp.now_ms)
    return done


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
        if slot.rules.traits & Trait.ECS and found is not None and found.marker:
            return Deleted()
        return slot.mark(stamp, mutation.owner_id)
    if found is None:
        return Deleted(mutation.version_id)
    slot.remove(found, stamp.trusted_ms, bypass=mutation.bypass)
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
    slot, row = _amend(db, tally, mutation, _SET_TAGS, pack_optional(mutation.tags))
    if slot.rules.traits & Trait.LIFECYCLE:
        place = (slot.sort_key, row.order, row.zone)
        judging.judge_version(db, slot.bucket_id, slot.rules.key_order, place)
    return Done()


def set_acl(db: apsw.Connection, mutation: SetAcl, stamp: Stamp, tally: Tally) -> Done:
    _amend(db, tally, mutation, _SET_ACL, mutation.acl or None)
    return Done()


def set_retention(db: apsw.Connection, mutation: SetRetention, stamp: Stamp, tally: Tally) -> Done:
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    found = slot.version(mutation.version_id)
    if found is None or found.marker:
        raise Refusal("NoSuchKey")
    facts = unpack_ecs(found.ecs) or EcsFacts()
    wanted, before = mutation.retention_s, facts.retention_s
    if wanted != -1 and (before == -1 or wanted < before):
        raise Refusal("InvalidRetentionPeriod")
    longer = pack(replace(facts, retention_s=wanted))
    _amend(db, tally, mutation, _SET_ECS, longer)
    return Done()


def _amend(
    db: apsw.Connection,
    tally: Tally,
    mutation: SetTags | SetAcl | SetRetention,
    statement: str,
    value: bytes | None,
) -> tuple[Slot, Row]:
    """Change one column of one version. Refused: NoSuchBucket, NoSuchKey, OperationAborted."""
    slot = _slot(db, tally, mutation.bucket_id, mutation.key)
    found = slot.version(mutation.version_id)
    if found is None or found.marker:
        raise Refusal("NoSuchKey")
    if found.order != mutation.order:
        raise Refusal("OperationAborted")
    db.execute(statement, (value, slot.bucket_id, slot.sort_key, found.order, found.zone))
    return slot, found


def _place_of(db: apsw.Connection, source: AnnotatedVersion) -> annotation_rows.Place:
    """Where a version is that stands. Refused: NoSuchBucket, NoSuchKey."""
    sort_key = encode_key(bucket_rules(db, source.bucket_id).key_order, source.key)
    place = (source.bucket_id, sort_key, source.order, source.zone)
    if db.execute(_STANDS, place).get is None:
        raise Refusal("NoSuchKey")
    return place


def _slot(db: apsw.Connection, tally: Tally, bucket_id: bytes, key: bytes) -> Slot:
    rules = bucket_rules(db, bucket_id)
    return Slot(db, tally, bucket_id, rules, encode_key(rules.key_order, key))
