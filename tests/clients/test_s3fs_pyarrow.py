"""s3fs and pyarrow: a parquet dataset written and read, by either's own S3 client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
import s3fs

from .material import fetch, some_bytes
from .server import Server

MIB = 1024 * 1024
ROWS = 100_000


@pytest.fixture
def files(server: Server) -> Iterator[Any]:
    s3fs.S3FileSystem.clear_instance_cache()
    yield s3fs.S3FileSystem(
        key=server.access_key,
        secret=server.secret_key,
        endpoint_url=server.endpoint,
        client_kwargs={"region_name": server.region},
    )
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def arrow(server: Server) -> Any:
    """Arrow's own client, which is the AWS SDK for C++."""
    return pyarrow.fs.S3FileSystem(
        access_key=server.access_key,
        secret_key=server.secret_key,
        endpoint_override=server.address,
        scheme="http",
        region=server.region,
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )


@pytest.fixture
def table() -> Any:
    return pa.table(
        {
            "id": pa.array(range(ROWS)),
            "year": pa.array([2020 + i % 4 for i in range(ROWS)], pa.int32()),
            "name": pa.array([f"name {i}" for i in range(ROWS)]),
        }
    )


@pytest.mark.parametrize("kind", ["files", "arrow"])
def test_a_parquet_dataset_is_written_and_read(
    request: pytest.FixtureRequest, bucket: str, table: Any, kind: str
) -> None:
    filesystem = request.getfixturevalue(kind)
    root = f"{bucket}/table"
    ds.write_dataset(
        table,
        root,
        format="parquet",
        filesystem=filesystem,
        partitioning=ds.partitioning(pa.schema([("year", pa.int32())]), flavor="hive"),
    )
    whole = ds.dataset(root, format="parquet", filesystem=filesystem, partitioning="hive")
    assert len(whole.files) == 4
    assert whole.to_table(columns=["id", "year", "name"]).sort_by("id") == table
    some = whole.to_table(filter=pc.field("year") == 2021, columns=["id"])
    assert some.num_rows == ROWS // 4
    with filesystem_file(filesystem, whole.files[0]) as file:
        assert pq.ParquetFile(file).read(columns=["name"]).num_rows == ROWS // 4


def filesystem_file(filesystem: Any, path: str) -> Any:
    """Open for reading anywhere, as either filesystem calls it."""
    if isinstance(filesystem, pyarrow.fs.FileSystem):
        return filesystem.open_input_file(path)
    return filesystem.open(path, "rb")


def test_s3fs_treats_a_bucket_as_a_folder(files: Any, name: str) -> None:
    files.mkdir(name)
    files.pipe(f"{name}/dir/a", b"0123456789")
    files.pipe(f"{name}/dir/é b", b"other")
    assert sorted(files.find(name)) == [f"{name}/dir/a", f"{name}/dir/é b"]
    assert files.ls(name) == [f"{name}/dir"]
    assert files.glob(f"{name}/*/a") == [f"{name}/dir/a"]
    assert files.cat_ranges([f"{name}/dir/a"] * 2, [0, 8], [2, 10]) == [b"01", b"89"]
    files.cp(f"{name}/dir", f"{name}/copy", recursive=True)
    files.mv(f"{name}/copy/a", f"{name}/moved")
    assert fetch(files.url(f"{name}/moved", expires=60)) == b"0123456789"
    with pytest.raises(FileNotFoundError):
        files.cat(f"{name}/none")
    files.rm(name, recursive=True)
    assert not files.exists(name)


def test_s3fs_writes_a_large_file_in_parts(files: Any, bucket: str) -> None:
    body = some_bytes(12 * MIB)
    with files.open(f"{bucket}/large", "wb", block_size=5 * MIB) as file:
        for at in range(0, len(body), MIB):
            file.write(body[at : at + MIB])
    assert files.info(f"{bucket}/large")["ETag"].endswith('-3"')
    with files.open(f"{bucket}/large", "rb", block_size=MIB) as file:
        file.seek(7 * MIB)
        assert file.read(100) == body[7 * MIB : 7 * MIB + 100]
    files.cp(f"{bucket}/large", f"{bucket}/copy")
    assert files.cat(f"{bucket}/copy") == body


def test_arrow_streams_copies_and_deletes(arrow: Any, name: str) -> None:
    body = some_bytes(11 * MIB)
    arrow.create_dir(name)
    with arrow.open_output_stream(f"{name}/dir/large") as stream:
        stream.write(body)
    arrow.copy_file(f"{name}/dir/large", f"{name}/copy")
    with arrow.open_input_stream(f"{name}/copy") as stream:
        assert stream.read() == body
    listed = arrow.get_file_info(pyarrow.fs.FileSelector(name, recursive=True))
    assert {info.path for info in listed} == {f"{name}/copy", f"{name}/dir", f"{name}/dir/large"}
    arrow.delete_dir(name)
    assert arrow.get_file_info(name).type == pyarrow.fs.FileType.NotFound
