"""When versions and uploads are due by their bucket's lifecycle: kept in the rows' own `due_ms`.

What is kept is never later than what `lifecycle_rules.judge` says of the row as it stands, so that
whoever asks for what is due misses nothing; it may be earlier (rules went away, a newer version
did): then the row is judged again when that time comes, and given a later one. A write judges the
few versions of its key that it may have changed something for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw

from coffre.catalog.key_order import decode_key
from coffre.catalog.lifecycle_rules import (
    LIFECYCLE,
    Rule,
    Subject,
    judge,
    judge_upload,
    most_kept,
    rules_about,
    unpack_lifecycle,
)
from coffre.catalog.packing import unpack_strings
from coffre.catalog.records import KeyOrder, Trait

NEVER_KEPT: Final = 1 << 30
"""As many newer versions as no rule keeps: where they are not counted."""
PROGRESS: Final = "lifecycle-pass"
"""The kind of the document that says how far the judging of a bucket is: the last version."""
_DOCUMENT: Final = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
JUDGED: Final = (
    "ord, zone, latest, marker, modified_ms, size, tags, noncurrent_ms, storage_class, due_ms"
)
_OF_KEY: Final = (
    f"SELECT {JUDGED} FROM versions WHERE bucket_id = ? AND sort_key = ?"  # noqa: S608
    " ORDER BY ord DESC, zone DESC"
)
_AT: Final = (
    f"SELECT {JUDGED} FROM versions"  # noqa: S608
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_SET_DUE: Final = (
    "UPDATE versions SET due_ms = ? WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)
_NEWER: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM versions WHERE bucket_id = ? AND sort_key = ?"
    " AND (ord, zone) > (?, ?) AND latest = 0 AND marker = 0 LIMIT ?)"
)
_SOME: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM versions WHERE bucket_id = ? AND sort_key = ? LIMIT 2)"
)
_JUDGE_ALL: Final = "UPDATE buckets SET traits = traits | ? WHERE id = ?"
_FROM_START: Final = "DELETE FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
_UPLOAD_DUE: Final = "UPDATE uploads SET due_ms = ? WHERE id = ?"


Place = tuple[bytes, bytes, int, int]
"""Where a version's row lies: bucket, sort key, order, zone."""


def rules_of(db: apsw.Connection, bucket_id: bytes) -> tuple[Rule, ...]:
    """The rules of a bucket's lifecycle; none where it has none."""
    packed = db.execute(_DOCUMENT, (bucket_id, LIFECYCLE)).get
    return () if packed is None else unpack_lifecycle(packed).rules


def judge_key(db: apsw.Connection, bucket_id: bytes, order: KeyOrder, sort_key: bytes) -> None:
    """A version of the key was written or removed: judge those for which that changes anything.

    These are the current one and the one before it; and of those further back the ones that a rule
    kept until now, by that rule alone: however many rules there are, each is asked three times.
    """
    key = decode_key(order, sort_key)
    rules = rules_about(rules_of(db, bucket_id), key)
    until, most = _by_newer(rules), most_kept(rules)
    rows: list[tuple[Any, int]] = []
    newer = 0
    cursor = db.execute(_OF_KEY, (bucket_id, sort_key))
    for row in cursor:
        rows.append((row, newer))
        newer += not row[2] and not row[3]
        # Where no rule keeps any, nothing further back depends on what is newer; where a marker is
        # the newest of the noncurrent ones, no object came before them.
        if len(rows) > 1 and (newer > most or not most or (len(rows) == 2 and row[3])):
            break
    cursor.close()
    for at, (row, before) in enumerate(rows):
        asked = rules if at < 2 else until.get(before)
        if asked is None:
            continue
        found = judge(asked, subject_of(key, row, before, len(rows) == 1))
        wanted, due_ms = None if found is None else found.due_ms, row[-1]
        # Of those further back other rules may have said something earlier.
        sooner = wanted is not None and (due_ms is None or wanted < due_ms)
        if sooner or (at < 2 and wanted != due_ms):
            db.execute(_SET_DUE, (wanted, bucket_id, sort_key, *row[:2]))


def _by_newer(rules: Iterable[Rule]) -> dict[int, list[Rule]]:
    """Rules that keep versions, by how many newer ones the first has that they keep no more."""
    found: defaultdict[int, list[Rule]] = defaultdict(list)
    for rule in rules:
        for newer in {rule.newer_noncurrent, *(move.newer for move in rule.noncurrent_moves)}:
            if newer:
                found[newer].append(rule)
    return found


def judge_version(
    db: apsw.Connection, bucket_id: bytes, order: KeyOrder, place: tuple[bytes, int, int]
) -> None:
    """A version's tags changed: judge it. `place` is its sort key, order and zone."""
    row = db.execute(_AT, (bucket_id, *place)).get
    hasten(db, rules_of(db, bucket_id), bucket_id, order, place[0], row)


def hasten(
    db: apsw.Connection,
    rules: Sequence[Rule],
    bucket_id: bytes,
    order: KeyOrder,
    sort_key: bytes,
    row: Sequence[Any],
) -> None:
    """A version (columns as `JUDGED`) is due as early as it can be, whatever its key's others are:
    never later than it was."""
    found = judge(rules, subject_of(decode_key(order, sort_key), row, NEVER_KEPT, True))
    if found is not None and (row[-1] is None or found.due_ms < row[-1]):
        db.execute(_SET_DUE, (found.due_ms, bucket_id, sort_key, *row[:2]))


def subject_of(key: bytes, row: Sequence[Any], newer: int, alone: bool) -> Subject:
    """A version (columns as `JUDGED`) as rules see it."""
    _, _, latest, marker, modified_ms, size, tags, noncurrent_ms, storage_class, _ = row
    return Subject(
        key,
        unpack_strings(tags),
        size,
        bool(marker),
        modified_ms,
        bool(latest),
        noncurrent_ms,
        newer,
        alone,
        storage_class,
    )


def judge_all(db: apsw.Connection, bucket_id: bytes) -> None:
    """All versions of a bucket wait to be judged, from the first on."""
    db.execute(_FROM_START, (bucket_id, PROGRESS))
    db.execute(_JUDGE_ALL, (int(Trait.JUDGING), bucket_id))


def judge_new_upload(
    db: apsw.Connection, upload_id: bytes, bucket_id: bytes, key: bytes, initiated_ms: int
) -> None:
    """An upload was begun, or its bucket's rules are new."""
    found = judge_upload(rules_of(db, bucket_id), key, initiated_ms)
    if found is not None:
        set_upload_due(db, upload_id, found.due_ms)


def set_due(db: apsw.Connection, place: Place, due_ms: int | None) -> None:
    """From when on a rule may act on a version; None: never."""
    db.execute(_SET_DUE, (due_ms, *place))


def set_upload_due(db: apsw.Connection, upload_id: bytes, due_ms: int | None) -> None:
    db.execute(_UPLOAD_DUE, (due_ms, upload_id))


def newer_objects(db: apsw.Connection, place: Place, most: int) -> int:
    """How many noncurrent objects of the same key are newer than a version, up to `most`."""
    return int(db.execute(_NEWER, (*place, most)).get) if most else 0


def is_alone(db: apsw.Connection, bucket_id: bytes, sort_key: bytes) -> bool:
    """Whether a key has one version and no more."""
    return bool(db.execute(_SOME, (bucket_id, sort_key)).get == 1)
