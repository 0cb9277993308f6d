"""Bringing the rows to this program's schema: each migration is a record of the log.

At a start, after recovery and before any group, rows of an earlier schema are migrated step by
step. A step is made as a group is: statements and position in one transaction, the record appended
and synced on every mirror, then COMMIT. Cut before the record is in the log, nothing happened; cut
behind it, the next start finds the record and replays it, which runs the same statements.
"""

from __future__ import annotations

import logging

import apsw

from coffre.catalog.log import (
    EncodedRecord,
    Migrated,
    Position,
    Record,
    RecordKind,
    encode,
    encode_migrated,
)
from coffre.catalog.log_state import ChunkGivenUp
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.migrations import SCHEMA_VERSION, Migration, migration_to
from coffre.catalog.replay import immediate
from coffre.catalog.schema import (
    LogPosition,
    SchemaMismatch,
    migrate_rows,
    read_position,
    schema_version,
    write_position,
)

_journal = logging.getLogger(__name__)


async def migrate(db: apsw.Connection, writer: LogWriter) -> int:
    """Bring the rows in `db`, which are at the log's end, to SCHEMA_VERSION; how many steps.

    Nothing else may be under way. Raises SchemaMismatch for rows that no migration leads on from,
    apsw.Error where a statement fails, and what `LogWriter.append` raises; each step that was made
    stays, the one that failed left no trace.
    """
    before = version = schema_version(db)
    while version < SCHEMA_VERSION:
        migration = migration_to(version + 1)
        if migration is None:
            raise SchemaMismatch(f"no migration leads on from schema {version}")
        writer.schema_version = version
        await _step(db, writer, migration)
        version = migration.version
        _journal.info("the catalog has schema %d now", version)
    writer.schema_version = version
    return version - before


async def _step(db: apsw.Connection, writer: LogWriter, migration: Migration) -> None:
    while True:
        writer.plan(0)
        record = _record(writer, migration)
        try:
            with immediate(db):
                migrate_rows(db, migration)
                _move(db, record.epoch, record.position)
                await writer.append((), record)
        except ChunkGivenUp as gone:
            if gone.superseding:
                position = await writer.supersede()
                with immediate(db):
                    _move(db, writer.epoch, position)
            continue
        writer.appended_alone(record.position)
        return


def _record(writer: LogWriter, migration: Migration) -> EncodedRecord:
    before = migration.version - 1
    body = Migrated(before, migration.version, migration.digest.hex())
    return encode(
        Record(
            writer.epoch,
            writer.position.sequence + 1,
            writer.position.hash,
            before,
            RecordKind.MIGRATE,
            body=encode_migrated(body),
        )
    )


def _move(db: apsw.Connection, epoch: int, position: Position) -> None:
    last_order = read_position(db).last_order
    write_position(db, LogPosition(epoch, position.sequence, position.hash, last_order))
