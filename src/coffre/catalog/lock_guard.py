"""The one guard before everything that would remove or change a version's bytes.

It knows Object Lock and retention as ECS has it, and stands inside the transaction that acts: what
it refuses happens on no path, whoever asks. It is asked at the release clock's time
(`Stamp.trusted_ms`).

- COMPLIANCE holds until its date against everybody; nothing shortens it or makes it less.
- GOVERNANCE holds likewise, but for those who may bypass it and ask for that.
- A legal hold holds until it is lifted.
- ECS's periods count from when the object was made; the longest of bucket, object and policy holds.

Source: AWS "Locking objects with Object Lock".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import apsw
from msgspec import Struct
from msgspec.msgpack import Decoder

from coffre.catalog.mutations import Refusal
from coffre.catalog.packing import unpack_ecs, unpack_seconds
from coffre.catalog.records import (
    DefaultRetention,
    EcsFacts,
    ObjectLock,
    Retention,
    Trait,
)

if TYPE_CHECKING:
    from coffre.catalog.apply_objects import Row, Rules

OBJECT_LOCK: Final = "object-lock"
"""The kind of the bucket's document that holds its default retention, packed."""
LOCKED: Final = "Access Denied because object protected by object lock."
NO_LOCK: Final = ObjectLock()
_DAY_MS: Final = 24 * 3600 * 1000
_MISSING: Final = "Bucket is missing Object Lock Configuration"
_POLICIES: Final = (
    "SELECT retention_policies FROM stores JOIN buckets ON stores.id = buckets.store_id"
    " WHERE buckets.id = ?"
)
_DEFAULT: Final = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_LAST: Final = (
    "SELECT max(lock_until_ms) FROM versions INDEXED BY versions_retained"
    " WHERE bucket_id = ? AND lock_until_ms > ?"
)
_HELD: Final = (
    "SELECT EXISTS (SELECT 1 FROM versions INDEXED BY versions_held"
    " WHERE bucket_id = ? AND legal_hold = 1)"
)
_BUCKETS: Final = "SELECT id FROM buckets WHERE store_id = ?"
_unpack_default: Final = Decoder(DefaultRetention).decode


class LastRelease(Struct, frozen=True):
    """When the last lock of a bucket ends (None: no date does), and whether versions are held."""

    until_ms: int | None
    held: bool

    def __str__(self) -> str:
        words = []
        if self.until_ms is not None:
            until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
            words.append(f"locked until {until.isoformat(timespec='milliseconds')}")
        if self.held:
            words.append("under legal hold")
        return " and ".join(words)


def check(
    db: apsw.Connection,
    bucket_id: bytes,
    rules: Rules,
    row: Row,
    now_ms: int,
    *,
    bypass: bool = False,
) -> None:
    """Let a version's bytes go, or not. `bypass`: who asks may get round GOVERNANCE, and says so.

    Refused: AccessDenied (Object Lock), ObjectUnderRetention (ECS's).
    """
    if row.marker:
        return
    if is_locked(row, now_ms, bypass=bypass):
        raise Refusal("AccessDenied", LOCKED)
    if row.ecs or rules.retention_s:
        _check_periods(db, bucket_id, rules, row, now_ms)


def is_locked(row: Row, now_ms: int, *, bypass: bool = False) -> bool:
    """Whether Object Lock keeps a version."""
    if row.legal_hold:
        return True
    if (row.lock_until_ms or 0) <= now_ms:
        return False
    return not (bypass and row.lock_mode == "GOVERNANCE")


def asked_again_ms(row: Row, now_ms: int) -> int | None:
    """When a lifecycle asks again for a version that is kept: at the end of its lock, when its hold
    is lifted (None), else the next midnight, since periods of ECS follow their policies."""
    if row.legal_hold:
        return None
    if is_locked(row, now_ms):
        return row.lock_until_ms
    return (now_ms // _DAY_MS + 1) * _DAY_MS


def _check_periods(
    db: apsw.Connection, bucket_id: bytes, rules: Rules, row: Row, now_ms: int
) -> None:
    facts = unpack_ecs(row.ecs) or EcsFacts()
    periods = [rules.retention_s, facts.retention_s]
    if facts.retention_policy:
        policies = unpack_seconds(db.execute(_POLICIES, (bucket_id,)).get)
        periods.append(policies.get(facts.retention_policy, 0))
    made_ms, longest = facts.created_ms or row.modified_ms, max(periods)
    if -1 in periods or (longest and made_ms + longest * 1000 > now_ms):
        raise Refusal("ObjectUnderRetention")


def check_change(row: Row, wanted: Retention | None, now_ms: int, *, bypass: bool) -> None:
    """Let a version's retention become another, or end. Refused: InvalidArgument (the date is
    past), AccessDenied."""
    if wanted is not None and wanted.until_ms <= now_ms:
        raise Refusal(
            "InvalidArgument",
            "The retain until date must be in the future!",
            ArgumentName="RetainUntilDate",
        )
    stands_ms = row.lock_until_ms or 0
    if stands_ms <= now_ms:
        return
    longer = wanted and wanted.mode == row.lock_mode and wanted.until_ms >= stands_ms
    if not longer and not (bypass and row.lock_mode == "GOVERNANCE"):
        raise Refusal("AccessDenied", LOCKED)


def require_lock(rules: Rules) -> None:
    """Refused: InvalidRequest, in a bucket without Object Lock."""
    if not rules.traits & Trait.OBJECT_LOCK:
        raise Refusal("InvalidRequest", _MISSING)


def check_traits(traits: int) -> None:
    """What a bucket with Object Lock cannot be. Refused: InvalidBucketState.

    Access during an outage (ADO) serves what may be old, and a lock that is not known is none. The
    bucket's own switch is all that there is of it in one zone.
    """
    if traits & Trait.OBJECT_LOCK and traits & Trait.FILE_SYSTEM:
        raise Refusal("InvalidBucketState", "A bucket with file-system access has no Object Lock")
    if traits & Trait.OBJECT_LOCK and traits & Trait.STALE_ALLOWED:
        raise Refusal(
            "InvalidBucketState",
            "Object Lock and access during an outage (ADO) exclude each other",
        )


def lock_of_new(
    db: apsw.Connection, bucket_id: bytes, rules: Rules, asked: ObjectLock | None, now_ms: int
) -> ObjectLock:
    """What a new version is locked with: what is asked for, else its bucket's default retention,
    counted from now. Refused: InvalidRequest."""
    if not rules.traits & Trait.OBJECT_LOCK:
        if asked is not None:
            require_lock(rules)
        return NO_LOCK
    lock = asked or NO_LOCK
    if lock.retention is not None:
        return lock
    default = default_of(db, bucket_id)
    if default is None:
        return lock
    return ObjectLock(Retention(default.mode, end_of(default, now_ms)), lock.held)


def default_of(db: apsw.Connection, bucket_id: bytes) -> DefaultRetention | None:
    """How long a bucket retains new versions of which nothing is said."""
    packed = db.execute(_DEFAULT, (bucket_id, OBJECT_LOCK)).get
    return None if packed is None else _unpack_default(packed)


def end_of(default: DefaultRetention, now_ms: int) -> int:
    """The date of a default retention that begins now. A year is a calendar year: what is made on
    29 February ends on 1 March."""
    if default.days:
        return now_ms + default.days * _DAY_MS
    day, rest_ms = divmod(now_ms, _DAY_MS)
    began = datetime.fromtimestamp(day * _DAY_MS / 1000, UTC)
    year = began.year + default.years
    try:
        ends = began.replace(year=year)
    except ValueError:
        ends = began.replace(year=year, month=3, day=1)
    return round(ends.timestamp()) * 1000 + rest_ms


def last_release(db: apsw.Connection, bucket_id: bytes, now_ms: int) -> LastRelease | None:
    """When the bucket's last lock ends; None where nothing in it is locked."""
    until_ms = db.execute(_LAST, (bucket_id, now_ms)).get
    held = bool(db.execute(_HELD, (bucket_id,)).get)
    return LastRelease(until_ms, held) if held or until_ms is not None else None


def last_release_in(db: apsw.Connection, store_id: bytes, now_ms: int) -> LastRelease | None:
    """The same, of all buckets of a store."""
    buckets = [row for (row,) in db.execute(_BUCKETS, (store_id,))]
    found = [one for row in buckets if (one := last_release(db, row, now_ms)) is not None]
    dates = [one.until_ms for one in found if one.until_ms is not None]
    held = any(one.held for one in found)
    return LastRelease(max(dates, default=None), held) if found else None
