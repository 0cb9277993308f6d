"""Segments of the audit: each takes the place of exactly what it holds, in one transaction.

What is compared are the chain's facts: sequences without a gap, the hash before the first batch,
the hash of the last, the number of records.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import apsw

from coffre.catalog.apply_manifests import add_blob
from coffre.catalog.apply_objects import Slot, bucket_rules
from coffre.catalog.mutations import Done, ObjectFacts, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.records import StoreSettings
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.catalog.trail_mutations import FoundAudit, MoveTarget, PackAudit, RemoveAudit
from coffre.catalog.trail_records import (
    AUDIT_BUCKET,
    AUDIT_BUCKET_ID,
    SELECT_SEGMENT,
    SYSTEM_OWNER,
    SYSTEM_STORE,
    SYSTEM_STORE_ID,
    SYSTEM_TENANT_ID,
    AuditSegment,
    AuditTarget,
)

_SEGMENT: Final = SELECT_SEGMENT + " WHERE first_sequence = ?"
_OLDEST: Final = SELECT_SEGMENT + " ORDER BY first_sequence LIMIT 1"
_INSERT: Final = (
    "INSERT INTO audit_segments (first_sequence, last_sequence, first_ms, last_ms, records,"
    " previous, hash, size, digest, level, text_bytes, names)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FORGET: Final = "DELETE FROM audit_segments WHERE first_sequence = ?"
_BATCHES: Final = (
    "SELECT sequence, sequence, records, previous, hash FROM audit_batches"
    " WHERE sequence BETWEEN ? AND ? ORDER BY sequence"
)
_PACKED: Final = "DELETE FROM audit_batches WHERE sequence BETWEEN ? AND ?"
_TARGET: Final = "SELECT name, sequence, place FROM audit_targets WHERE name = ?"
_SET_TARGET: Final = "INSERT OR REPLACE INTO audit_targets (name, sequence, place) VALUES (?, ?, ?)"
_HORIZON: Final = (
    "INSERT INTO audit_horizon (id, sequence, hash, records, removed_ms) VALUES (0, ?1, ?2, ?3, ?4)"
    " ON CONFLICT (id) DO UPDATE SET sequence = ?1, hash = ?2, records = records + ?3,"
    " removed_ms = ?4"
)


class _Link(NamedTuple):
    """What a piece of the chain says of itself."""

    first: int
    last: int
    records: int
    previous: bytes
    hash: bytes


def found_audit(db: apsw.Connection, mutation: FoundAudit, stamp: Stamp) -> Done:
    if db.execute("SELECT 1 FROM stores WHERE id = ?", (SYSTEM_STORE_ID,)).get is not None:
        return Done()
    db.execute(
        "INSERT INTO store_keys (id, root_key_id, wrapped) VALUES (?, ?, ?)",
        (mutation.key_id, mutation.root_key_id, mutation.wrapped_key),
    )
    db.execute(
        "INSERT INTO stores (id, name, tenant_id, key_id, created_ms, key_order, dialect, allow_v2,"
        " settings) VALUES (?, ?, ?, ?, ?, 'utf-8', 'aws', 0, ?)",
        (
            SYSTEM_STORE_ID,
            SYSTEM_STORE,
            SYSTEM_TENANT_ID,
            mutation.key_id,
            stamp.now_ms,
            pack(StoreSettings()),
        ),
    )
    db.execute(
        "INSERT INTO buckets (id, store_id, name, owner_id, created_ms, region, key_order,"
        " versioning) VALUES (?, ?, ?, ?, ?, ?, 'utf-8', 'never')",
        (
            AUDIT_BUCKET_ID,
            SYSTEM_STORE_ID,
            AUDIT_BUCKET,
            SYSTEM_OWNER,
            stamp.now_ms,
            mutation.region,
        ),
    )
    return Done()


def pack_audit(db: apsw.Connection, mutation: PackAudit, stamp: Stamp, tally: Tally) -> Done:
    segment = mutation.segment
    if mutation.merged:
        merged = [_segment(db, first) for first in mutation.merged]
        _check(segment, [_link(one) for one in merged])
        for one in merged:
            _erase(db, tally, one, stamp)
    else:
        span = (segment.first_sequence, segment.last_sequence)
        _check(segment, [_Link(*row) for row in db.execute(_BATCHES, span)])
        db.execute(_PACKED, span)
    add_blob(db, tally, mutation.manifest_id, mutation.blob)
    facts = ObjectFacts(mutation.etag, SYSTEM_OWNER)
    _slot(db, tally, segment).write(stamp, facts, mutation.manifest_id, mutation.blob.size, 0)
    db.execute(_INSERT, _columns(segment))
    return Done()


def remove_audit(db: apsw.Connection, mutation: RemoveAudit, stamp: Stamp, tally: Tally) -> Done:
    row: Any = db.execute(_OLDEST).fetchone()
    if row is None or row[0] != mutation.first_sequence:
        raise Refusal("OperationAborted")
    segment = AuditSegment(*row)
    _erase(db, tally, segment, stamp)
    db.execute(_HORIZON, (segment.last_sequence, segment.hash, segment.records, stamp.now_ms))
    return Done()


def move_target(db: apsw.Connection, mutation: MoveTarget, stamp: Stamp) -> Done:
    row: Any = db.execute(_TARGET, (mutation.name,)).fetchone()
    if mutation.seen != (row and AuditTarget(*row)):
        raise Refusal("OperationAborted")
    target = mutation.target
    if target is None:
        db.execute("DELETE FROM audit_targets WHERE name = ?", (mutation.name,))
    else:
        db.execute(_SET_TARGET, (mutation.name, target.sequence, target.place))
    return Done()


def _check(segment: AuditSegment, links: list[_Link]) -> None:
    """Refused: OperationAborted, where the links are not what the segment holds."""
    at, sequence = segment.previous, segment.first_sequence
    for link in links:
        if (link.first, link.previous) != (sequence, at):
            raise Refusal("OperationAborted")
        sequence, at = link.last + 1, link.hash
    whole = (sequence - 1, at, sum(link.records for link in links))
    if not links or whole != (segment.last_sequence, segment.hash, segment.records):
        raise Refusal("OperationAborted")


def _segment(db: apsw.Connection, first_sequence: int) -> AuditSegment:
    row: Any = db.execute(_SEGMENT, (first_sequence,)).fetchone()
    if row is None:
        raise Refusal("OperationAborted")
    return AuditSegment(*row)


def _link(one: AuditSegment) -> _Link:
    return _Link(one.first_sequence, one.last_sequence, one.records, one.previous, one.hash)


def _columns(one: AuditSegment) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in one.__struct_fields__)


def _slot(db: apsw.Connection, tally: Tally, segment: AuditSegment) -> Slot:
    return Slot(db, tally, AUDIT_BUCKET_ID, bucket_rules(db, AUDIT_BUCKET_ID), segment.key)


def _erase(db: apsw.Connection, tally: Tally, segment: AuditSegment, stamp: Stamp) -> None:
    """The segment's row and its object go."""
    slot = _slot(db, tally, segment)
    if slot.newest is not None:
        slot.remove(slot.newest, stamp.trusted_ms)
    db.execute(_FORGET, (segment.first_sequence,))
