"""Rolling forward: a record that does not fit the rows exactly stops the replay, rows untouched."""

from __future__ import annotations

import apsw
import pytest
from msgspec.structs import replace

from coffre.catalog.apply import apply
from coffre.catalog.log import EncodedRecord, Record, RecordKind, RecordTooNew, encode
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.mutations import CreateTenant
from coffre.catalog.replay import (
    ReplayStopped,
    count_changes,
    immediate,
    replay,
    taking_changeset,
)
from coffre.catalog.schema import (
    LogPosition,
    column_counts,
    open_writer,
    read_position,
)
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy

STAMPS = HybridClock(ManualClock(), SeededEntropy(1), 1)


def record_of(db: apsw.Connection, *names: str) -> Record:
    """The record of a group that makes tenants, which `db` then has (its position stays)."""
    with immediate(db):
        session = taking_changeset(db)
        for name in names:
            apply(db, CreateTenant(name.encode().ljust(16), name), STAMPS.stamp(0), Tally())
        changeset = session.changeset()
        session.close()
    here = read_position(db)
    return Record(
        1,
        here.sequence + 1,
        here.hash,
        SCHEMA_VERSION,
        RecordKind.CHANGESET,
        column_counts(db),
        count_changes(changeset),
        changeset,
    )


@pytest.fixture
def record() -> Record:
    return record_of(open_writer(":memory:"), "one", "two")


@pytest.fixture
def db() -> apsw.Connection:
    return open_writer(":memory:")


def roll(db: apsw.Connection, record: Record) -> EncodedRecord:
    encoded = encode(record)
    with immediate(db):
        replay(db, record, encoded.position)
    return encoded


def tenants(db: apsw.Connection) -> list[str]:
    return [str(name) for (name,) in db.execute("SELECT name FROM tenants ORDER BY name")]


def test_a_fitting_record_brings_rows_and_position(db: apsw.Connection, record: Record) -> None:
    position = roll(db, record).position
    assert tenants(db) == ["one", "two"]
    assert read_position(db) == LogPosition(1, 1, position.hash, 0)


def test_records_without_rows_only_move_the_position(db: apsw.Connection, record: Record) -> None:
    for kind in (RecordKind.MEMBERSHIP, RecordKind.AUDIT, RecordKind.VOID):
        here = read_position(db)
        roll(db, Record(1, here.sequence + 1, here.hash, SCHEMA_VERSION, kind))
    assert read_position(db).sequence == 3
    assert tenants(db) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 2},
        {"previous": b"x" * 32},
        {"schema_version": SCHEMA_VERSION - 1},
        {"kind": "of a later version"},
        {"columns": {"tenants": 4}},
        {"changes": 1},
        {"changes": 3},
    ],
)
def test_a_record_that_does_not_fit_stops_and_changes_nothing(
    db: apsw.Connection, record: Record, change: dict[str, object]
) -> None:
    with pytest.raises(ReplayStopped):
        roll(db, replace(record, **change))
    assert tenants(db) == []
    assert read_position(db) == LogPosition()


def test_a_record_of_a_later_schema_is_not_guessed_at(db: apsw.Connection, record: Record) -> None:
    with pytest.raises(RecordTooNew):
        roll(db, replace(record, schema_version=SCHEMA_VERSION + 1))
    assert tenants(db) == []


def test_a_table_with_another_number_of_columns_stops(db: apsw.Connection, record: Record) -> None:
    db.execute("ALTER TABLE tenants ADD COLUMN later INTEGER NOT NULL DEFAULT 0")
    with pytest.raises(ReplayStopped, match="columns"):
        roll(db, record)


def test_a_change_that_conflicts_with_the_rows_stops_all_of_it(
    db: apsw.Connection, record: Record
) -> None:
    record_of(db, "two")
    with pytest.raises(ReplayStopped, match="conflicts"):
        roll(db, record)
    assert tenants(db) == ["two"]


def test_an_unknown_table_stops_although_sqlite_would_pass_over_it(db: apsw.Connection) -> None:
    other = apsw.Connection(":memory:")
    other.execute("CREATE TABLE strange (id INTEGER NOT NULL PRIMARY KEY)")
    session = apsw.Session(other, "main")
    session.attach()
    other.execute("INSERT INTO strange VALUES (1)")
    body = session.changeset()
    record = Record(
        1, 1, bytes(32), SCHEMA_VERSION, RecordKind.CHANGESET, column_counts(db), 1, body
    )
    with pytest.raises(ReplayStopped, match="strange"):
        roll(db, record)
