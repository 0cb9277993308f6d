"""Segments: records of the audit as Parquet files, made and merged by DuckDB in memory alone.

Rows are sorted by store, bucket and time, in groups of a few thousand: each group's least and
greatest values say what need not be read. `batch` and `place` say where a record stands in the
chain, so that a segment can be laid out again as the batches that it was made of, to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import duckdb
import msgspec

from coffre.catalog.audit_records import AuditRecord
from coffre.catalog.trail_records import SegmentFile
from coffre.ledger.names import BUCKET, OPERATION, STORE, TENANT, WHO, make_filter
from coffre.ledger.placed import Placed

COLUMNS: Final = {
    "at_ms": "BIGINT",
    "batch": "BIGINT",
    "place": "INTEGER",
    "request_id": "VARCHAR",
    "source": "VARCHAR",
    "via": "VARCHAR",
    "store": "VARCHAR",
    "tenant": "VARCHAR",
    "principal": "VARCHAR",
    "access_key": "VARCHAR",
    "client": "VARCHAR",
    "operation": "VARCHAR",
    "bucket": "VARCHAR",
    "key": "BLOB",
    "status": "INTEGER",
    "error": "VARCHAR",
    "bytes_in": "BIGINT",
    "bytes_out": "BIGINT",
    "micros": "BIGINT",
    "tls": "BOOLEAN",
    "user_agent": "VARCHAR",
    "decision": "VARCHAR",
    "detail": "VARCHAR",
    "version": "VARCHAR",
}
_FIELDS: Final = AuditRecord.__struct_fields__
_SORTED: Final = "store, bucket, at_ms, batch, place"
ROW_GROUP: Final = 16_384
MEMORY: Final = "1GB"
_ROWS_A_TIME: Final = 10_000
_NAMED: Final = {
    STORE: ("store",),
    TENANT: ("tenant",),
    BUCKET: ("bucket",),
    WHO: ("principal", "access_key"),
    OPERATION: ("operation",),
}
_TEXT: Final = " + ".join(f"strlen({name})" for name, kind in COLUMNS.items() if kind == "VARCHAR")


def engine() -> duckdb.DuckDBPyConnection:
    """A DuckDB of one thread that keeps to its memory: it never writes to a disk."""
    return duckdb.connect(
        ":memory:",
        config={
            "threads": "1",
            "memory_limit": MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )


def pack_records(rows: Iterable[Placed]) -> SegmentFile:
    """A segment of these records (at least one)."""
    source = os.memfd_create("records")
    try:
        with os.fdopen(os.dup(source), "wb") as file:
            for row in rows:
                file.write(_line(row))
        kinds = ", ".join(
            f"{name}: '{'VARCHAR' if kind == 'BLOB' else kind}'" for name, kind in COLUMNS.items()
        )
        chosen = ", ".join(
            f"from_base64({name}) AS {name}" if kind == "BLOB" else name
            for name, kind in COLUMNS.items()
        )
        return segment_of(
            f"SELECT {chosen} FROM read_json('/proc/self/fd/{source}',"  # noqa: S608
            f" format = 'newline_delimited', columns = {{{kinds}}})"
        )
    finally:
        os.close(source)


def merge_files(sources: Sequence[int]) -> SegmentFile:
    """One segment of several, by their files' descriptors. Raises duckdb.OutOfMemoryException."""
    files = ", ".join(f"'/proc/self/fd/{source}'" for source in sources)
    return segment_of(f"SELECT * FROM read_parquet([{files}])")  # noqa: S608


def memory_file(content: bytes) -> int:
    """The descriptor of a file in memory."""
    file = os.memfd_create("segment")
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(content)
    return file


def read_rows(content: bytes) -> Iterator[Placed]:
    """Every record of a segment by batch and place. Raises duckdb.Error for what is none."""
    file = memory_file(content)
    try:
        with engine() as db:
            found = db.execute(
                f"SELECT {', '.join(COLUMNS)} FROM read_parquet('/proc/self/fd/{file}')"  # noqa: S608
                " ORDER BY batch, place"
            )
            while rows := found.fetchmany(_ROWS_A_TIME):
                yield from map(placed, rows)
    finally:
        os.close(file)


def placed(row: Sequence[object]) -> Placed:
    """A row of all `COLUMNS` as a record."""
    at_ms, batch, place, *rest = row
    values = dict(zip(list(COLUMNS)[3:], rest, strict=True))
    record = AuditRecord(at_ms, *(values[name] for name in _FIELDS[1:]))  # type: ignore[arg-type]
    return Placed(batch, place, record)  # type: ignore[arg-type]


def _line(row: Placed) -> bytes:
    values = {name: getattr(row.record, name) for name in _FIELDS}
    return msgspec.json.encode({**values, "batch": row.batch, "place": row.place}) + b"\n"


def segment_of(rows: str) -> SegmentFile:
    """The segment of what a query gives."""
    target = os.memfd_create("segment")
    try:
        with engine() as db:
            db.execute(
                f"COPY (SELECT {', '.join(COLUMNS)} FROM ({rows}) ORDER BY {_SORTED})"  # noqa: S608
                f" TO '/proc/self/fd/{target}' (FORMAT parquet, PARQUET_VERSION v2,"
                f" COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, USE_TMP_FILE false)"
            )
            with os.fdopen(os.dup(target), "rb") as file:
                file.seek(0)
                return _described(db, f"read_parquet('/proc/self/fd/{target}')", file.read())
    finally:
        os.close(target)


def _described(db: duckdb.DuckDBPyConnection, file: str, content: bytes) -> SegmentFile:
    facts = db.execute(
        f"SELECT count(*), min(at_ms), max(at_ms), sum({_TEXT} + octet_length(key)) FROM {file}"  # noqa: S608
    ).fetchone()
    assert facts is not None, "an aggregate has one row"
    names = [
        (kind, name)
        for kind, columns in _NAMED.items()
        for column in columns
        for (name,) in db.execute(f"SELECT DISTINCT {column} FROM {file}").fetchall()  # noqa: S608
    ]
    records, first_ms, last_ms, text_bytes = facts
    return SegmentFile(content, records, first_ms, last_ms, int(text_bytes), make_filter(names))
