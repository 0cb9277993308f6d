"""Migrations are records of the log: made once, replayed by whoever meets them, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from coffre.catalog import migrating
from coffre.catalog.log import (
    EncodedRecord,
    Migrated,
    Record,
    RecordKind,
    RecordTooNew,
    encode,
    encode_migrated,
)
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.migrating import migrate
from coffre.catalog.migrations import FIRST_VERSION, MIGRATIONS, SCHEMA_VERSION, migration_to
from coffre.catalog.recovery import RecoveryRefused, Way
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
    create_schema,
    open_writer,
    read_position,
    schema_version,
    write_position,
)
from coffre.testing.catalog import dump
from coffre.testing.committing import RecordedZone, put, stored_body
from coffre.vault.landing import Landing


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


def of_the_first_schema(zone: RecordedZone) -> None:
    """What an installation of the first version left: rows of schema 1, nothing logged yet."""
    open_writer(zone.catalog, FIRST_VERSION).close()


async def log_rows(db: apsw.Connection, writer: LogWriter, name: str) -> None:
    """A group as the version of the rows in `db` would have logged it: one more tenant."""
    with immediate(db):
        session = taking_changeset(db)
        db.execute(
            "INSERT INTO tenants (id, name, bucket_limit) VALUES (?, ?, 9)",
            (name.encode().ljust(16), name),
        )
        changeset = session.changeset()
        session.close()
        writer.plan(0)
        version = schema_version(db)
        record = encode(
            Record(
                writer.epoch,
                writer.position.sequence + 1,
                writer.position.hash,
                version,
                RecordKind.CHANGESET,
                column_counts(db),
                count_changes(changeset),
                changeset,
            )
        )
        await writer.append((), record)
        write_position(db, LogPosition(record.epoch, *_place(record), 0))
    writer.appended_alone(record.position)


def _place(record: EncodedRecord) -> tuple[int, bytes]:
    return record.position.sequence, record.position.hash


async def test_old_rows_are_migrated_before_anything_is_served(zone: RecordedZone) -> None:
    of_the_first_schema(zone)
    node = await zone.founded()
    assert schema_version(node.recovered.db) == SCHEMA_VERSION
    await node.committer.commit(*put(b"a", b"hello"))
    assert await stored_body(node, b"a") == b"hello"


async def test_a_log_that_spans_every_migration_gives_the_same_rows(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_first_schema(zone)
    step = migrating._step

    async def with_rows(db: apsw.Connection, writer: LogWriter, migration: object) -> None:
        await log_rows(db, writer, f"of schema {schema_version(db)}")
        await step(db, writer, migration)  # type: ignore[arg-type]

    monkeypatch.setattr(migrating, "_step", with_rows)
    node = await zone.founded()
    monkeypatch.undo()
    for n in range(20):
        await node.committer.commit(*put(b"%d" % n, b"x" * 5000))
    before, columns = dump(node.recovered.db), column_counts(node.recovered.db)
    names = [str(row[1]) for row in before["tenants"]]
    assert {f"of schema {one.version - 1}" for one in MIGRATIONS} <= set(names)
    await node.kill()
    zone.lose_catalog()
    again = await zone.node()
    assert again.recovered.way is Way.REBUILT
    assert schema_version(again.recovered.db) == SCHEMA_VERSION
    assert dump(again.recovered.db) == before
    assert column_counts(again.recovered.db) == columns


async def test_killed_between_the_record_and_commit_the_next_start_rolls_the_migration_forward(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_first_schema(zone)
    append = Landing.append
    synced = asyncio.Event()

    async def append_and_hang(self: Landing, pieces: list[bytes]) -> None:
        await append(self, pieces)
        synced.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Landing, "append", append_and_hang)
    starting = asyncio.create_task(zone.node())
    await synced.wait()
    starting.cancel()
    await asyncio.wait((starting,))
    monkeypatch.undo()
    rows = open_writer(zone.catalog)
    assert schema_version(rows) == FIRST_VERSION
    rows.close()
    again = await zone.founded()
    assert (again.recovered.way, again.recovered.replayed) == (Way.REBUILT, 1)
    assert schema_version(again.recovered.db) == SCHEMA_VERSION


async def test_a_mirror_that_fails_meanwhile_is_given_up_and_the_migration_made_elsewhere(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_first_schema(zone)
    zone.disk.fail("/drives/r1n1d1/chunks", "sync", 5, times=1)
    node = await zone.founded()
    assert schema_version(node.recovered.db) == SCHEMA_VERSION
    await node.kill()
    zone.lose_catalog()
    again = await zone.node()
    assert schema_version(again.recovered.db) == SCHEMA_VERSION


async def test_statements_that_fail_leave_no_trace_and_no_record(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_first_schema(zone)
    broken = replace(MIGRATIONS[0], statements=(*MIGRATIONS[0].statements, "SELECT no_such()"))
    monkeypatch.setattr(migrating, "migration_to", lambda version: broken)
    with pytest.raises(apsw.SQLError):
        await zone.node()
    monkeypatch.undo()
    rows = open_writer(zone.catalog)
    assert schema_version(rows) == FIRST_VERSION
    assert read_position(rows).sequence == 0
    rows.close()
    node = await zone.founded()
    assert schema_version(node.recovered.db) == SCHEMA_VERSION


def migrate_record(migrated: Migrated) -> Record:
    body = encode_migrated(migrated)
    return Record(1, 1, bytes(32), migrated.before, RecordKind.MIGRATE, body=body)


def roll(db: apsw.Connection, record: Record) -> None:
    with immediate(db):
        replay(db, record, encode(record).position)


def test_every_version_can_be_made_at_once_or_step_by_step() -> None:
    stepped = open_writer(":memory:", FIRST_VERSION)
    for one in MIGRATIONS:
        record = migrate_record(Migrated(one.version - 1, one.version, one.digest.hex()))
        roll(
            stepped,
            replace(
                record,
                sequence=read_position(stepped).sequence + 1,
                previous=read_position(stepped).hash,
            ),
        )
        made = apsw.Connection(":memory:")
        create_schema(made, one.version)
        assert schema_of(made) == schema_of(stepped)
    assert schema_version(stepped) == SCHEMA_VERSION


def schema_of(db: apsw.Connection) -> list[tuple[object, ...]]:
    return db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


def test_a_migration_with_other_statements_is_refused_and_changes_nothing() -> None:
    db = open_writer(":memory:", FIRST_VERSION)
    with pytest.raises(ReplayStopped, match="not known"):
        roll(db, migrate_record(Migrated(1, 2, bytes(32).hex())))
    assert schema_version(db) == FIRST_VERSION
    assert read_position(db).sequence == 0


def test_a_migration_that_skips_a_version_is_refused() -> None:
    db = open_writer(":memory:", FIRST_VERSION)
    last = migration_to(SCHEMA_VERSION)
    assert last is not None
    with pytest.raises(ReplayStopped):
        roll(db, migrate_record(Migrated(0, SCHEMA_VERSION, last.digest.hex())))


def test_a_migration_of_a_newer_version_is_said_to_be_newer() -> None:
    db = open_writer(":memory:")
    with pytest.raises(RecordTooNew):
        roll(db, migrate_record(Migrated(SCHEMA_VERSION, SCHEMA_VERSION + 1, "00" * 32)))


async def test_a_log_with_a_newer_migration_is_refused_at_the_start(zone: RecordedZone) -> None:
    node = await zone.founded()
    newer = Migrated(SCHEMA_VERSION, SCHEMA_VERSION + 1, "00" * 32)
    writer = node.writer
    await node.stop()
    node = await zone.node()
    writer = node.writer
    writer.plan(0)
    record = replace(
        migrate_record(newer),
        epoch=writer.epoch,
        sequence=writer.position.sequence + 1,
        previous=writer.position.hash,
    )
    await writer.append((), encode(record))
    await node.kill()
    with pytest.raises(RecoveryRefused, match="newer"):
        await zone.node()


async def test_rows_that_are_up_to_date_cost_no_record(zone: RecordedZone) -> None:
    node = await zone.founded()
    sequence = node.writer.position.sequence
    assert await migrate(node.recovered.db, node.writer) == 0
    assert node.writer.position.sequence == sequence
