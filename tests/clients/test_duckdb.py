"""DuckDB: queries over Parquet and CSV in a bucket, written and read by way of s3fs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import s3fs

from .server import Server


@pytest.fixture
def db(server: Server) -> Iterator[Any]:
    """A connection to which `s3://` means this server."""
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(
        key=server.access_key,
        secret=server.secret_key,
        endpoint_url=server.endpoint,
        client_kwargs={"region_name": server.region},
    )
    with duckdb.connect() as db:
        db.register_filesystem(files)
        yield db
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_table_is_written_and_queried(db: Any, bucket: str, kind: str) -> None:
    db.execute(
        f"copy (select i as id, 2020 + i % 4 as year, 'name ' || i as name from range(50000) t(i))"
        f" to 's3://{bucket}/table.{kind}' (format {kind})"
    )
    asked = f"select count(*), sum(id), max(name) from 's3://{bucket}/table.{kind}'"
    assert db.execute(f"{asked} where year = 2021").fetchall() == [
        (12500, sum(range(1, 50000, 4)), "name 9997")
    ]


def test_partitions_are_written_and_found_by_a_pattern(db: Any, bucket: str) -> None:
    db.execute(
        f"copy (select i as id, i % 3 as part from range(3000) t(i))"
        f" to 's3://{bucket}/parts' (format parquet, partition_by (part), overwrite_or_ignore)"
    )
    found = db.execute(
        f"select part, count(*) from read_parquet('s3://{bucket}/parts/*/*.parquet',"
        f" hive_partitioning = true) group by part order by part"
    )
    assert found.fetchall() == [(0, 1000), (1, 1000), (2, 1000)]
