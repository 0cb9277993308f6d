"""The schema keeps the rules that changesets rely on, and its file notices what bites it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from coffre.catalog import queries, schema
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.schema import LOGGED_TABLES, LogPosition, SchemaMismatch

# Columns as version 1 had them: later versions may only append.
COLUMNS_OF_VERSION_1 = {
    "tenants": "id name bucket_limit buckets",
    "people": "id name role password_hash created_ms",
    "stores": "id name tenant_id key_id created_ms key_order dialect allow_v2",
    "store_keys": "id root_key_id wrapped",
    "users": "id store_id label kind locked created_ms",
    "access_keys": "access_key user_id store_id created_ms secrets",
    "buckets": "id store_id name owner_id created_ms region key_order versioning objects bytes",
    "bucket_documents": "bucket_id kind document",
    "versions": "bucket_id sort_key ord zone version_id latest is_null marker modified_ms size etag"
    " owner_id storage_class parts_count manifest_id checksum metadata tags acl encryption",
    "manifests": "id refs size parts_count blob parts",
    "parts": "manifest_id number blob_id size etag modified_ms checksum blob",
    "orphans": "manifest_id",
    "uploads": "id bucket_id sort_key ord manifest_id initiated_ms owner_id storage_class"
    " checksum_algorithm checksum_type metadata tags acl encryption",
    "completions": "upload_id completed_ms chosen_digest result",
    "chunks": "id kind state owner epoch k m members appended dead length created_ms",
}


@pytest.fixture
def db() -> apsw.Connection:
    return schema.open_writer(":memory:")


def test_every_table_is_logged_or_the_log_position(db: apsw.Connection) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {*LOGGED_TABLES, "log_position"}


@pytest.mark.parametrize("table", LOGGED_TABLES)
def test_a_logged_table_has_an_explicit_key_without_nulls(db: apsw.Connection, table: str) -> None:
    key = db.execute(
        'SELECT name, "notnull" FROM pragma_table_info(?) WHERE pk > 0', (table,)
    ).fetchall()
    assert key
    assert all(not_null for _, not_null in key)
    strict = db.execute("SELECT strict FROM pragma_table_list WHERE name = ?", (table,)).get
    assert strict == 1
    assert not db.execute("SELECT 1 FROM pragma_foreign_key_list(?)", (table,)).fetchall()


def test_nothing_acts_behind_a_changesets_back(db: apsw.Connection) -> None:
    kinds = {kind for (kind,) in db.execute("SELECT DISTINCT type FROM sqlite_schema")}
    assert kinds == {"table", "index"}
    written = " ".join(
        sql for (sql,) in db.execute("SELECT upper(sql) FROM sqlite_schema WHERE sql NOT NULL")
    )
    for word in ("AUTOINCREMENT", "VIRTUAL", "CASCADE", "REFERENCES", "GENERATED"):
        assert word not in written
    assert db.pragma("foreign_keys") == 0


@pytest.mark.parametrize("table", LOGGED_TABLES)
def test_columns_are_only_appended(db: apsw.Connection, table: str) -> None:
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    then = COLUMNS_OF_VERSION_1.get(table, "").split()
    assert columns[: len(then)] == then
    assert schema.column_counts(db)[table] == len(columns)


def test_a_bucket_made_anew_under_its_name_replays_in_one_changeset(db: apsw.Connection) -> None:
    insert = (
        "INSERT INTO buckets (id, store_id, name, owner_id, created_ms, region, key_order,"
        " versioning) VALUES (?, x'01', 'name', '', 0, '', 'utf-8', 'never')"
    )
    twin = schema.open_writer(":memory:")
    for index in range(20):
        new, old = bytes([index]), bytes([index - 1]) if index else b""
        session = apsw.Session(db, "main")
        session.attach("buckets")
        with db:
            db.execute("DELETE FROM buckets WHERE id = ?", (old,))
            db.execute(insert, (new,))
        apsw.Changeset.apply(
            session.changeset(), twin, conflict=lambda *_: apsw.SQLITE_CHANGESET_ABORT
        )
        session.close()
        assert twin.execute("SELECT id FROM buckets").get == new


def test_the_log_position_is_one_row(db: apsw.Connection) -> None:
    assert schema.read_position(db) == LogPosition()
    for sequence in (1, 2):
        position = LogPosition(3, sequence, b"h" * 32, sequence << 40)
        schema.write_position(db, position)
        assert schema.read_position(db) == position
    assert schema.highest_order(db) == 0


def test_a_reader_sees_commits_and_can_write_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.sqlite")
    writer = schema.open_writer(path)
    reader = schema.open_reader(path)
    schema.write_position(writer, LogPosition(1, 2, b"h", 3))
    assert schema.read_position(reader) == LogPosition(1, 2, b"h", 3)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM log_position")


def test_the_wal_is_copied_only_by_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    writer = schema.open_writer(str(path))
    schema.write_position(writer, LogPosition(1, 2, b"h", 3))
    before = path.stat().st_size
    in_wal, copied = schema.checkpoint(str(path))
    assert in_wal == copied > 0
    assert path.stat().st_size > before
    assert path.read_bytes()[20] == schema.CHECKSUM_BYTES


def test_a_flipped_bit_in_a_page_is_an_io_error_of_the_data_kind(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    writer = schema.open_writer(str(path))
    schema.write_position(writer, LogPosition(1, 2, b"unmistakable hash", 3))
    writer.close()
    content = bytearray(path.read_bytes())
    content[content.index(b"unmistakable")] ^= 1
    path.write_bytes(content)
    reader = schema.open_reader(str(path))
    with pytest.raises(apsw.IOError) as caught:
        schema.read_position(reader)
    assert schema.is_damage(caught.value)


def test_a_foreign_or_newer_file_is_refused_untouched(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.sqlite"
    other = apsw.Connection(str(foreign))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    newer = tmp_path / "newer.sqlite"
    db = schema.open_writer(str(newer))
    db.pragma("user_version", SCHEMA_VERSION + 1)
    db.close()
    for path in (foreign, newer):
        content = path.read_bytes()
        with pytest.raises(SchemaMismatch):
            schema.open_writer(str(path))
        assert path.read_bytes() == content


def test_a_page_of_a_search_begins_where_the_last_one_ended(db: apsw.Connection) -> None:
    for statement in (queries.SEARCH_CURRENT, queries.SEARCH_OLD):
        ((*_, plan),) = db.execute("EXPLAIN QUERY PLAN " + statement, (0,) * 8)
        assert "(value,sort_key,ord,zone)>(?,?,?,?)" in str(plan), plan
