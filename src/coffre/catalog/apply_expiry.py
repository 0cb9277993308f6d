"""Lifecycles: kept, judged by and acted on, each in the transaction that decides it.

What is due is found by the index on `due_ms`, whatever else exists. It is judged anew by the rules
as they are in that transaction, and deleted on the path of every other delete (`Slot`), so that
what guards a version there guards it here.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import apsw
from msgspec.msgpack import Decoder
from msgspec.structs import replace

from coffre.catalog import archive_rows, lock_guard
from coffre.catalog.apply_events import insert_event
from coffre.catalog.apply_objects import Rules, Slot, bucket_rules
from coffre.catalog.apply_uploads import abort_upload
from coffre.catalog.event_mutations import BucketEvent
from coffre.catalog.judging import (
    JUDGED,
    PROGRESS,
    Place,
    hasten,
    is_alone,
    judge_new_upload,
    newer_objects,
    rules_of,
    set_due,
    set_upload_due,
    subject_of,
)
from coffre.catalog.key_order import decode_key
from coffre.catalog.lifecycle_mutations import (
    Act,
    DeleteLifecycle,
    Expiration,
    Expired,
    ExpireDue,
    JudgeVersions,
    PutLifecycle,
)
from coffre.catalog.lifecycle_records import LifecycleRecords
from coffre.catalog.lifecycle_rules import (
    LIFECYCLE,
    Rule,
    Subject,
    choose,
    deletion,
    judge_upload,
    most_kept,
    transition,
)
from coffre.catalog.mutations import AbortUpload, Done, Reaped, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.catalog.stamp import NONCE_BYTES, Stamp
from coffre.catalog.tally import Tally

ROWS_A_GROUP: Final = 200
_DUE: Final = (
    "SELECT bucket_id, sort_key, ord, zone FROM versions INDEXED BY versions_due"
    " WHERE due_ms <= ? ORDER BY due_ms, bucket_id, sort_key, ord DESC, zone DESC LIMIT ?"
)
_UPLOADS_DUE: Final = (
    "SELECT id, bucket_id, sort_key, initiated_ms FROM uploads INDEXED BY uploads_due"
    " WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?"
)
_CANDIDATE: Final = (
    f"SELECT version_id, {JUDGED} FROM versions"  # noqa: S608
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_ROW: Final = f"SELECT sort_key, {JUDGED} FROM versions WHERE bucket_id = ?"  # noqa: S608
_FROM_KEY: Final = _ROW + " AND sort_key > ? ORDER BY sort_key, ord DESC, zone DESC LIMIT ?"
_OLDER: Final = _ROW + (
    " AND sort_key = ? AND (ord, zone) < (?, ?) ORDER BY ord DESC, zone DESC LIMIT ?"
)
_UPLOADS: Final = "SELECT id, sort_key, initiated_ms FROM uploads WHERE bucket_id = ? ORDER BY id"
_SET_TRAITS: Final = "UPDATE buckets SET traits = ? WHERE id = ?"
_GET: Final = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_PUT: Final = (
    "INSERT INTO bucket_documents (bucket_id, kind, document) VALUES (?, ?, ?)"
    " ON CONFLICT (bucket_id, kind) DO UPDATE SET document = excluded.document"
)
_DROP: Final = "DELETE FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_OLDER_DUE: Final = (
    "SELECT bucket_id, sort_key, ord, zone FROM versions WHERE bucket_id = ? AND sort_key = ?"
    " AND (ord, zone) < (?, ?) AND latest = 0 AND due_ms <= ? ORDER BY ord, zone LIMIT ?"
)
_SIZE: Final = (
    "SELECT coalesce(sum(p.size), 0) FROM parts p JOIN uploads u"
    " ON u.manifest_id = p.manifest_id WHERE u.id = ?"
)
_OWNER: Final = "SELECT owner_id FROM buckets WHERE id = ?"
_unpack_place: Final = Decoder(tuple[bytes, int, int]).decode


def put_lifecycle(db: apsw.Connection, mutation: PutLifecycle, stamp: Stamp) -> Done:
    bucket_id = mutation.bucket_id
    traits = bucket_rules(db, bucket_id).traits | Trait.LIFECYCLE | Trait.JUDGING
    _check_still(db, mutation)
    db.execute(_PUT, (bucket_id, LIFECYCLE, pack(mutation.lifecycle)))
    db.execute(_DROP, (bucket_id, PROGRESS))
    db.execute(_SET_TRAITS, (int(traits), bucket_id))
    return Done()


def delete_lifecycle(db: apsw.Connection, mutation: DeleteLifecycle, stamp: Stamp) -> Done:
    # What is due already is judged when its time comes, and is not due then.
    bucket_id = mutation.bucket_id
    traits = bucket_rules(db, bucket_id).traits
    _check_still(db, mutation)
    left = traits & ~(Trait.LIFECYCLE | Trait.JUDGING)
    if left != traits:
        db.execute(_DROP, (bucket_id, LIFECYCLE))
        db.execute(_DROP, (bucket_id, PROGRESS))
        db.execute(_SET_TRAITS, (int(left), bucket_id))
    return Done()


def _check_still(db: apsw.Connection, mutation: PutLifecycle | DeleteLifecycle) -> None:
    if mutation.if_still is None:
        return
    if mutation.if_still != (db.execute(_GET, (mutation.bucket_id, LIFECYCLE)).get or b""):
        raise Refusal("ConditionalRequestConflict", "The lifecycle was changed meanwhile")


def judge_versions(db: apsw.Connection, mutation: JudgeVersions, stamp: Stamp) -> Reaped:
    bucket_id = mutation.bucket_id
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    try:
        bucket = bucket_rules(db, bucket_id)
    except Refusal:
        return Reaped(0, False)
    if not bucket.traits & Trait.JUDGING:
        return Reaped(0, False)
    after = db.execute(_GET, (bucket_id, PROGRESS)).get
    if after is None:
        uploads: list[Any] = db.execute(_UPLOADS, (bucket_id,)).fetchall()
        for upload_id, sort_key, initiated_ms in uploads:
            key = decode_key(bucket.key_order, sort_key)
            judge_new_upload(db, upload_id, bucket_id, key, initiated_ms)
    rules = rules_of(db, bucket_id)
    rows = _some_versions(db, bucket_id, after, limit)
    for sort_key, *row in rows:
        hasten(db, rules, bucket_id, bucket.key_order, sort_key, row)
    if len(rows) < limit:
        db.execute(_DROP, (bucket_id, PROGRESS))
        db.execute(_SET_TRAITS, (int(bucket.traits & ~Trait.JUDGING), bucket_id))
        return Reaped(len(rows), False)
    db.execute(_PUT, (bucket_id, PROGRESS, pack(tuple(rows[-1][:3]))))
    return Reaped(len(rows), True)


def _some_versions(
    db: apsw.Connection, bucket_id: bytes, after: bytes | None, limit: int
) -> list[Any]:
    """Versions behind one (packed sort key, order and zone): sort key, then as `JUDGED`."""
    if after is None:
        return db.execute(_FROM_KEY, (bucket_id, b"", limit)).fetchall()
    place = _unpack_place(after)
    rows: list[Any] = db.execute(_OLDER, (bucket_id, *place, limit)).fetchall()
    if len(rows) < limit:
        rest = limit - len(rows)
        rows += db.execute(_FROM_KEY, (bucket_id, place[0], rest)).fetchall()
    return rows


def expire_due(db: apsw.Connection, mutation: ExpireDue, stamp: Stamp, tally: Tally) -> Expired:
    limit = max(1, min(mutation.limit_rows, ROWS_A_GROUP))
    work = _Work(db, stamp, tally)
    uploads: list[Any] = db.execute(_UPLOADS_DUE, (stamp.trusted_ms, limit)).fetchall()
    for row in uploads:
        work.upload(*row)
    rows = len(uploads) + work.versions(limit - len(uploads))
    return Expired(rows, rows == limit or work.told, tuple(work.done))


class _Work:
    """What one step does, bucket by bucket: each bucket's rules are read once."""

    def __init__(self, db: apsw.Connection, stamp: Stamp, tally: Tally) -> None:
        self._db = db
        self._stamp = stamp
        self._tally = tally
        self._buckets: dict[bytes, tuple[Rules, tuple[Rule, ...]]] = {}
        self._records = LifecycleRecords(db, stamp, tally)
        self.done: list[Expiration] = []
        self.told = False

    def upload(self, upload_id: bytes, bucket_id: bytes, sort_key: bytes, began_ms: int) -> None:
        """Abort an upload, or say when it is due."""
        bucket, rules = self._bucket(bucket_id)
        key = decode_key(bucket.key_order, sort_key)
        found = judge_upload(rules, key, began_ms)
        if found is None or found.due_ms > self._stamp.trusted_ms:
            set_upload_due(self._db, upload_id, found and found.due_ms)
            return
        size = self._db.execute(_SIZE, (upload_id,)).get
        abort_upload(self._db, AbortUpload(upload_id), self._stamp, self._tally)
        self.done.append(Expiration(bucket_id, key, upload_id, "abort", found.rule.id, size))
        self._records.acted(bucket_id, key, upload_id.hex(), "abort", found.rule.id)

    def versions(self, limit: int) -> int:
        """Let what is due expire; how many versions were looked at.

        Of one key the oldest goes first: how many newer ones stay beside a version is counted as if
        all that is due went at once.
        """
        now_ms, looked = self._stamp.trusted_ms, 0
        places: list[Any] = self._db.execute(_DUE, (now_ms, limit)).fetchall()
        for place in places:
            if looked >= limit or self.told:
                break
            if most_kept(self._bucket(place[0])[1]):
                older: list[Any] = self._db.execute(
                    _OLDER_DUE, (*place, now_ms, limit - looked)
                ).fetchall()
                for before in older:
                    self.version(before)
                    looked += 1
                    if self.told:
                        break
                if looked >= limit or self.told:
                    break
            self.version(place)
            looked += 1
        return looked

    def version(self, place: Place) -> None:
        """Let a version expire, or say when it is due."""
        db, now_ms = self._db, self._stamp.trusted_ms
        bucket_id, sort_key, *_ = place
        bucket, rules = self._bucket(bucket_id)
        candidate = db.execute(_CANDIDATE, place).get
        # A version before it in this step may have changed it.
        if candidate is None or candidate[-1] is None or candidate[-1] > now_ms:
            return
        version_id, *row = candidate
        key = decode_key(bucket.key_order, sort_key)
        newer = 0 if row[2] else newer_objects(db, place, most_kept(rules))
        alone = bool(row[3]) and is_alone(db, bucket_id, sort_key)
        subject = subject_of(key, row, newer, alone)
        found = choose(rules, subject, now_ms, keeps=bucket.versioning == "enabled")
        if found is None or found.storage_class:
            gone = deletion(rules, subject)
            self._go_on(place, version_id, rules, subject, gone and gone.due_ms)
            return
        act: Act = "expire" if subject.current and not subject.marker else "remove"
        held, again_ms = self._delete(bucket, place, version_id)
        about = (bucket_id, key, version_id, act, found.rule.id, subject.size, held)
        self.done.append(Expiration(*about))
        marks = act == "expire" and bucket.versioning != "never" and not held
        made = marks and bucket.versioning == "enabled"
        shown = self._stamp_for(place).version_id if made else b"" if marks else version_id
        told = (bucket_id, key, shown.hex(), act, found.rule.id)
        self._records.acted(*told, held=held, marks=marks)
        if held:
            # A lock keeps bytes, not their class.
            self._go_on(place, version_id, rules, subject, again_ms)
        else:
            how = "DeleteMarkerCreated" if marks else "Delete"
            self._tell(bucket, place, version_id, subject, f"LifecycleExpiration:{how}")

    def _go_on(
        self,
        place: Place,
        version_id: bytes,
        rules: tuple[Rule, ...],
        subject: Subject,
        gone_ms: int | None,
    ) -> None:
        """Move a version that stays, if that is due, and say when it is due next; to be deleted at
        `gone_ms`."""
        found = transition(rules, subject, self._stamp.trusted_ms)
        if found is not None:
            now, wanted = subject.storage_class, found.storage_class
            archive_rows.move_class(
                self._db,
                self._tally,
                place,
                subject.size,
                now,
                wanted,
                self._stamp.trusted_ms,
                current=subject.current,
            )
            about = (place[0], subject.key, version_id, found.rule.id, subject.size)
            self.done.append(Expiration(*about[:3], "move", *about[3:], storage_class=wanted))
            told = (*about[:2], version_id.hex())
            self._records.acted(*told, "move", found.rule.id, storage_class=wanted)
            subject = subject._replace(storage_class=wanted)
            self._tell(self._bucket(place[0])[0], place, version_id, subject, "LifecycleTransition")
        later = transition(rules, subject)
        dues = [due for due in (gone_ms, later and later.due_ms) if due is not None]
        set_due(self._db, place, min(dues, default=None))

    def _tell(
        self, bucket: Rules, place: Place, version_id: bytes, subject: Subject, name: str
    ) -> None:
        """Write the event, where the bucket notifies: the last thing that this step does, since a
        mutation has one place for an event."""
        if bucket.traits & Trait.NOTIFYING and not self.told:
            self.told = True
            shown = None if bucket.versioning == "never" else version_id
            at_ms = self._stamp.now_ms
            event = BucketEvent(name, at_ms, subject.key, shown, subject.size)
            insert_event(self._db, place[0], self._stamp, event)

    def _delete(self, bucket: Rules, place: Place, version_id: bytes) -> tuple[bool, int | None]:
        """Delete as a client without any right to bypass would. Whether it was held, and when that
        is worth asking again (None: when its lock changes)."""
        bucket_id, sort_key, *_ = place
        now_ms = self._stamp.trusted_ms
        slot = Slot(self._db, self._tally, bucket_id, bucket, sort_key)
        row = slot.version(version_id)
        assert row is not None, "the row was read in this transaction"
        try:
            if row.latest and not row.marker and slot.versioning != "never":
                slot.mark(self._stamp_for(place), self._db.execute(_OWNER, (bucket_id,)).get)
            else:
                slot.remove(row, now_ms)
        except Refusal:
            return True, lock_guard.asked_again_ms(row, now_ms)
        return False, None

    def _stamp_for(self, place: Place) -> Stamp:
        """The step's stamp with random bytes of the version's own, so that ids differ."""
        own = hashlib.sha256(self._stamp.nonce + place[0] + place[1]).digest()
        return replace(self._stamp, nonce=own[:NONCE_BYTES])

    def _bucket(self, bucket_id: bytes) -> tuple[Rules, tuple[Rule, ...]]:
        found = self._buckets.get(bucket_id)
        if found is None:
            found = bucket_rules(self._db, bucket_id), rules_of(self._db, bucket_id)
            self._buckets[bucket_id] = found
        return found
