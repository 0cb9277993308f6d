"""Parquet files of an inventory's rows, by DuckDB, without a file on a disk."""

from __future__ import annotations

import os
from typing import Final

import duckdb

_TYPES: Final = {
    "Size": "BIGINT",
    "LastModifiedDate": "TIMESTAMP",
    "ObjectLockRetainUntilDate": "TIMESTAMP",
    "IsLatest": "BOOLEAN",
    "IsDeleteMarker": "BOOLEAN",
    "IsMultipartUploaded": "BOOLEAN",
}


def to_parquet(columns: list[str], rows: bytes) -> bytes:
    """A Parquet file of CSV rows; empty cells are NULL."""
    source, target = os.memfd_create("rows"), os.memfd_create("parquet")
    try:
        with os.fdopen(os.dup(source), "wb") as file:
            file.write(rows)
        names = ", ".join(f"'{_snake(name)}': '{_TYPES.get(name, 'VARCHAR')}'" for name in columns)
        with duckdb.connect(config={"threads": 1}) as db:
            db.execute(
                f"COPY (SELECT * FROM read_csv('/proc/self/fd/{source}', header = false,"  # noqa: S608
                " delim = ',', quote = '\"', escape = '\"', nullstr = '',"
                " allow_quoted_nulls = true,"
                f" columns = {{{names}}})) TO '/proc/self/fd/{target}' "
                "(FORMAT parquet, USE_TMP_FILE false)"
            )
        with os.fdopen(os.dup(target), "rb") as file:
            file.seek(0)
            return file.read()
    finally:
        os.close(source)
        os.close(target)


def _snake(name: str) -> str:
    """`LastModifiedDate` -> `last_modified_date`, as AWS names columns in Parquet."""
    words = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
    return words.lstrip("_")
