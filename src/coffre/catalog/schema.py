"""The catalog's SQLite schema, and how its file is opened.

Rules that changesets rely on (asserted by a test): every table has an explicit PRIMARY KEY of NOT
NULL columns; no triggers, foreign keys, virtual tables or AUTOINCREMENT; columns are only ever
appended. Rows lie in the order of their key, without a rowid: a page of a listing reads neighbours,
however its objects were written, and what is read by its key takes one search. Ids begin with their
time, so that new rows lie together at their table's end. Only uploads, of which there are few, are
kept the other way: they are found by id and listed by key alike.

The file is in WAL mode and every page carries a checksum (SQLite's checksum VFS, 8 reserved bytes):
reading a page that changed behind SQLite's back raises an `apsw.IOError` that `is_damage` knows
(its extended result is SQLITE_IOERR_DATA). Nothing but the checksum VFS may open it.
"""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

import apsw
import apsw.sqlite_extra
from msgspec import Struct

from coffre.catalog.migrations import FIRST_VERSION, MIGRATIONS, SCHEMA_VERSION, Migration

APPLICATION_ID = 0x436F6666  # "Coff"
CHECKSUM_VFS = "cksmvfs"
CHECKSUM_BYTES = 8
_STATEMENTS = 512
_BUSY_MS = 2000
_RESTART_BUSY_MS = 50
_NEW_FILE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI

# Logged tables of version 1: what a group's changeset holds. Times are ms, sizes bytes, ids 16
# bytes. Packed columns are msgpack of the value in `records`; NULL packs "empty" or "none".
_TABLES: dict[str, str] = {
    "tenants": """
        CREATE TABLE tenants (
            id BLOB NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            bucket_limit INTEGER NOT NULL,
            buckets INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
    "people": """
        CREATE TABLE people (
            id BLOB NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            role TEXT NOT NULL,
            password_hash TEXT NOT NULL,
            created_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "stores": """
        CREATE TABLE stores (
            id BLOB NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            tenant_id BLOB NOT NULL,
            key_id BLOB NOT NULL,
            created_ms INTEGER NOT NULL,
            key_order TEXT NOT NULL,
            dialect TEXT NOT NULL,
            allow_v2 INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "store_keys": """
        CREATE TABLE store_keys (
            id BLOB NOT NULL PRIMARY KEY,
            root_key_id BLOB NOT NULL,
            wrapped BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "users": """
        CREATE TABLE users (
            id TEXT NOT NULL PRIMARY KEY,
            store_id BLOB NOT NULL,
            label TEXT NOT NULL,
            kind TEXT NOT NULL,
            locked INTEGER NOT NULL,
            created_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "access_keys": """
        CREATE TABLE access_keys (
            access_key TEXT NOT NULL PRIMARY KEY,
            user_id TEXT NOT NULL,
            store_id BLOB NOT NULL,
            created_ms INTEGER NOT NULL,
            secrets BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "buckets": """
        CREATE TABLE buckets (
            id BLOB NOT NULL PRIMARY KEY,
            store_id BLOB NOT NULL,
            name TEXT NOT NULL,
            owner_id TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            region TEXT NOT NULL,
            key_order TEXT NOT NULL,
            versioning TEXT NOT NULL,
            objects INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
    # What S3 calls a bucket's sub-resources: one document of each kind, in a form that the catalog
    # does not look into.
    "bucket_documents": """
        CREATE TABLE bucket_documents (
            bucket_id BLOB NOT NULL,
            kind TEXT NOT NULL,
            document BLOB NOT NULL,
            PRIMARY KEY (bucket_id, kind)
        ) STRICT, WITHOUT ROWID""",
    "versions": """
        CREATE TABLE versions (
            bucket_id BLOB NOT NULL,
            sort_key BLOB NOT NULL,
            ord INTEGER NOT NULL,
            zone INTEGER NOT NULL,
            version_id BLOB NOT NULL,
            latest INTEGER NOT NULL,
            is_null INTEGER NOT NULL,
            marker INTEGER NOT NULL,
            modified_ms INTEGER NOT NULL,
            size INTEGER NOT NULL,
            etag TEXT NOT NULL,
            owner_id TEXT NOT NULL,
            storage_class TEXT NOT NULL,
            parts_count INTEGER NOT NULL,
            manifest_id BLOB,
            checksum BLOB,
            metadata BLOB,
            tags BLOB,
            acl BLOB,
            encryption BLOB,
            PRIMARY KEY (bucket_id, sort_key, ord DESC, zone DESC)
        ) STRICT, WITHOUT ROWID""",
    "manifests": """
        CREATE TABLE manifests (
            id BLOB NOT NULL PRIMARY KEY,
            refs INTEGER NOT NULL,
            size INTEGER NOT NULL,
            parts_count INTEGER NOT NULL,
            blob BLOB,
            parts BLOB
        ) STRICT, WITHOUT ROWID""",
    "parts": """
        CREATE TABLE parts (
            manifest_id BLOB NOT NULL,
            number INTEGER NOT NULL,
            blob_id BLOB NOT NULL,
            size INTEGER NOT NULL,
            etag TEXT NOT NULL,
            modified_ms INTEGER NOT NULL,
            checksum BLOB,
            blob BLOB NOT NULL,
            PRIMARY KEY (manifest_id, number)
        ) STRICT, WITHOUT ROWID""",
    "orphans": """
        CREATE TABLE orphans (
            manifest_id BLOB NOT NULL PRIMARY KEY
        ) STRICT, WITHOUT ROWID""",
    "uploads": """
        CREATE TABLE uploads (
            id BLOB NOT NULL PRIMARY KEY,
            bucket_id BLOB NOT NULL,
            sort_key BLOB NOT NULL,
            ord INTEGER NOT NULL,
            manifest_id BLOB NOT NULL,
            initiated_ms INTEGER NOT NULL,
            owner_id TEXT NOT NULL,
            storage_class TEXT NOT NULL,
            checksum_algorithm TEXT,
            checksum_type TEXT,
            metadata BLOB,
            tags BLOB,
            acl BLOB,
            encryption BLOB
        ) STRICT""",
    "completions": """
        CREATE TABLE completions (
            upload_id BLOB NOT NULL PRIMARY KEY,
            completed_ms INTEGER NOT NULL,
            chosen_digest BLOB NOT NULL,
            result BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
    # `appended` counts stored bytes that were ever referenced in the chunk, `dead` those of them
    # that no longer are; `length` is the logical length that a sealed landing chunk was laid in.
    "chunks": """
        CREATE TABLE chunks (
            id BLOB NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL,
            state TEXT NOT NULL,
            owner TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            k INTEGER NOT NULL,
            m INTEGER NOT NULL,
            members BLOB NOT NULL,
            appended INTEGER NOT NULL DEFAULT 0,
            dead INTEGER NOT NULL DEFAULT 0,
            length INTEGER NOT NULL DEFAULT 0,
            created_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
}

LOGGED_TABLES: tuple[str, ...] = (*_TABLES, *(t for one in MIGRATIONS for t in one.tables))


def logged_tables(version: int) -> tuple[str, ...]:
    """The logged tables of a version of the schema."""
    return (*_TABLES, *(t for one in MIGRATIONS if one.version <= version for t in one.tables))


_INDEXES: tuple[str, ...] = (
    "CREATE INDEX stores_of_tenant ON stores (tenant_id)",
    "CREATE INDEX users_of_store ON users (store_id, id)",
    "CREATE INDEX keys_of_user ON access_keys (user_id)",
    "CREATE UNIQUE INDEX buckets_by_name ON buckets (store_id, name)",
    "CREATE INDEX buckets_of_owner ON buckets (store_id, owner_id, name)",
    # Neither old versions nor delete markers cost a listing anything.
    "CREATE INDEX current_objects ON versions (bucket_id, sort_key)"
    " WHERE latest = 1 AND marker = 0",
    # Empty in buckets that never had versioning: there the null version is the latest.
    "CREATE INDEX old_nulls ON versions (bucket_id, sort_key) WHERE is_null = 1 AND latest = 0",
    "CREATE INDEX uploads_in_order ON uploads (bucket_id, sort_key, ord)",
    "CREATE INDEX completions_by_age ON completions (completed_ms)",
)

# Where this file stands in the log: written in the group's own transaction, never in a changeset.
_LOG_POSITION = """
    CREATE TABLE log_position (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
        epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        hash BLOB NOT NULL,
        last_order INTEGER NOT NULL
    ) STRICT"""


class SchemaMismatch(Exception):
    """The file is not a catalog, or of a version that this program does not know."""


class LogPosition(Struct, frozen=True):
    """The last record that the rows contain: its epoch, sequence and hash (SHA-256), and the
    highest order stamped so far."""

    epoch: int = 0
    sequence: int = 0
    hash: bytes = bytes(32)
    last_order: int = 0


def open_writer(path: str, version: int = SCHEMA_VERSION) -> apsw.Connection:
    """The committer's connection; makes the schema of `version` in an empty file (or ":memory:").

    A file of an earlier version is opened as it is (`coffre.catalog.migrating`). Errors:
    SchemaMismatch, apsw.Error (IOError with SQLITE_IOERR_DATA: a page is damaged).
    """
    if path == ":memory:":
        db = apsw.Connection(path, statementcachesize=_STATEMENTS)
    else:
        _load_checksum_vfs()
        db = apsw.Connection(path, vfs=CHECKSUM_VFS, statementcachesize=_STATEMENTS)
    try:
        _configure(db)
        # A file that is somebody else's is left as it is: looked at first, prepared then.
        new = db.execute("SELECT count(*) FROM sqlite_schema").get == 0
        if not new and schema_version(db) > SCHEMA_VERSION:
            raise _other_schema(schema_version(db))
        if path != ":memory:":
            db.reserve_bytes("main", CHECKSUM_BYTES)
            db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "normal")
        if new:
            create_schema(db, version)
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: str) -> apsw.Connection:
    """A read-only connection to a catalog that `open_writer` made. Errors as there."""
    _load_checksum_vfs()
    db = apsw.Connection(
        path, apsw.SQLITE_OPEN_READONLY, vfs=CHECKSUM_VFS, statementcachesize=_STATEMENTS
    )
    try:
        _configure(db)
        if (found := schema_version(db)) != SCHEMA_VERSION:
            raise _other_schema(found)
    except BaseException:
        db.close()
        raise
    return db


def open_any(path: str) -> apsw.Connection:
    """A read-only connection to a catalog of any version that this program knows. Errors as
    `open_writer` has them."""
    _load_checksum_vfs()
    db = apsw.Connection(path, apsw.SQLITE_OPEN_READONLY, vfs=CHECKSUM_VFS)
    try:
        _configure(db)
        if (found := schema_version(db)) > SCHEMA_VERSION:
            raise _other_schema(found)
    except BaseException:
        db.close()
        raise
    return db


def copy_schema_and_rows(source: str, target: str) -> None:
    """Make the new file `target` with the rows of `source` as one read transaction sees them.

    Table by table, in the order of its key: the copy has no gaps, and its schema is the one that
    its version has. (VACUUM INTO would leave pages without their checksums.) It is not synced.
    Errors as `open_writer` has them.
    """
    _load_checksum_vfs()
    db = apsw.Connection(target, _NEW_FILE, vfs=CHECKSUM_VFS)
    try:
        _configure(db)
        db.reserve_bytes("main", CHECKSUM_BYTES)
        db.execute("ATTACH ? AS source", (f"file:{quote(source)}?mode=ro",))
        version = schema_version(db, "source")
        if version > SCHEMA_VERSION:
            raise _other_schema(version)
        create_schema(db, version)
        db.pragma("journal_mode", "off", schema="main")
        db.pragma("synchronous", "off", schema="main")
        with db:
            for table in (*logged_tables(version), "log_position"):
                db.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}").fetchall()  # noqa: S608
    finally:
        db.close()


def checkpoint(path: str, *, restart: bool = False) -> tuple[int, int]:
    """Copy what no reader holds back from the WAL into the file, from a connection of its own.

    Returns (pages in the WAL, pages copied so far). Never waits for readers or the writer. With
    `restart` the writer must pause: then all is copied, open reads of the WAL are waited for at
    most 50 ms (apsw.BusyError), and the next write begins the WAL anew.
    """
    _load_checksum_vfs()
    db = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, vfs=CHECKSUM_VFS)
    try:
        _configure(db)
        db.pragma("synchronous", "normal")
        db.pragma("user_version")  # The first read opens the WAL; before it there is none to copy.
        if not restart:
            return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        db.set_busy_timeout(_RESTART_BUSY_MS)
        return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    finally:
        db.close()


def is_damage(error: apsw.Error) -> bool:
    """Whether SQLite met a page that is not as it was written: rebuild the file from the log."""
    damaged = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    return damaged or isinstance(error, apsw.CorruptError | apsw.NotADBError)


def create_schema(db: apsw.Connection, version: int = SCHEMA_VERSION) -> None:
    """All tables and indexes of a version in an empty database, in one transaction."""
    with db:
        for statement in (*_TABLES.values(), *_INDEXES, _LOG_POSITION):
            db.execute(statement).fetchall()
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", FIRST_VERSION)
        for migration in MIGRATIONS[: version - FIRST_VERSION]:
            migrate_rows(db, migration)


def schema_version(db: apsw.Connection, database: str = "main") -> int:
    """The version of the schema that the rows have. Raises SchemaMismatch for no catalog."""
    if db.pragma("application_id", schema=database) != APPLICATION_ID:
        raise SchemaMismatch("this file is not a Coffre catalog")
    return int(db.pragma("user_version", schema=database))


def migrate_rows(db: apsw.Connection, migration: Migration) -> None:
    """Run a migration's statements, inside the caller's transaction."""
    for statement in migration.statements:
        db.execute(statement).fetchall()
    db.pragma("user_version", migration.version)


def read_position(db: apsw.Connection) -> LogPosition:
    """Where the rows stand in the log; the zero position before the first record."""
    row = db.execute("SELECT epoch, sequence, hash, last_order FROM log_position").get
    return LogPosition(*row) if row else LogPosition()


def write_position(db: apsw.Connection, position: LogPosition) -> None:
    """Say where the rows stand: inside the transaction that brings them there."""
    db.execute(
        "INSERT OR REPLACE INTO log_position (id, epoch, sequence, hash, last_order)"
        " VALUES (0, ?, ?, ?, ?)",
        (position.epoch, position.sequence, position.hash, position.last_order),
    )


def column_counts(db: apsw.Connection) -> dict[str, int]:
    """Columns of each logged table of the rows' version, as a log record states them."""
    count = "SELECT count(*) FROM pragma_table_info(?)"
    tables = logged_tables(schema_version(db))
    return {name: int(db.execute(count, (name,)).get) for name in tables}


def highest_order(db: apsw.Connection) -> int:
    """The highest order in any row: for a catalog rebuilt from its log. Reads every version."""
    return int(
        db.execute(
            "SELECT max(coalesce((SELECT max(ord) FROM versions), 0),"
            " coalesce((SELECT max(ord) FROM uploads), 0))"
        ).get
    )


def _configure(db: apsw.Connection) -> None:
    db.set_busy_timeout(_BUSY_MS)
    db.wal_autocheckpoint(0)
    db.pragma("foreign_keys", False)
    db.pragma("recursive_triggers", False)
    db.pragma("trusted_schema", False)


def _other_schema(found: int) -> SchemaMismatch:
    return SchemaMismatch(f"the catalog has schema {found}, this program knows {SCHEMA_VERSION}")


@cache
def _load_checksum_vfs() -> None:
    """Register the checksum VFS with SQLite, once a process (it stays when `db` is closed).

    It becomes SQLite's default VFS; files without the 8 reserved bytes pass through unchecked.
    """
    db = apsw.Connection(":memory:")
    apsw.sqlite_extra.load(db, "cksumvfs")
    db.close()
