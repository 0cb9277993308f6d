"""minio-py."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from minio import Minio
from minio.commonconfig import REPLACE, ComposeSource, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from .material import fetch, send, some_bytes
from .server import Server

MIB = 1024 * 1024


@pytest.fixture
def minio(server: Server) -> Iterator[Minio]:
    """No region is given: the client asks for each bucket's location."""
    pool = urllib3.PoolManager(retries=urllib3.Retry(total=0))
    yield Minio(
        server.address,
        access_key=server.access_key,
        secret_key=server.secret_key,
        secure=False,
        http_client=pool,
    )
    pool.clear()


def body_of(minio: Minio, bucket: str, key: str, **options: Any) -> bytes:
    answer = minio.get_object(bucket, key, **options)
    try:
        body: bytes = answer.read()
        return body
    finally:
        answer.close()
        answer.release_conn()


def artist(minio: Minio, bucket: str, key: str) -> str | None:
    """The `artist` in an object's own metadata."""
    metadata = minio.stat_object(bucket, key).metadata
    assert metadata is not None
    return metadata["x-amz-meta-artist"]


def test_a_bucket_and_an_object_live_and_die(minio: Minio, name: str) -> None:
    minio.make_bucket(name)
    assert minio.bucket_exists(name)
    assert name in [bucket.name for bucket in minio.list_buckets()]
    minio.put_object(name, "dir/é", io.BytesIO(b"hello"), 5, metadata={"artist": "me"})
    assert minio.stat_object(name, "dir/é").size == 5
    assert artist(minio, name, "dir/é") == "me"
    minio.copy_object(name, "copy", CopySource(name, "dir/é"))
    minio.copy_object(
        name,
        "copy",
        CopySource(name, "copy"),
        metadata={"artist": "you"},
        metadata_directive=REPLACE,
    )
    assert artist(minio, name, "copy") == "you"
    assert body_of(minio, name, "copy", offset=1, length=3) == b"ell"
    assert [item.object_name for item in minio.list_objects(name)] == ["copy", "dir/"]
    found = [item.object_name for item in minio.list_objects(name, recursive=True)]
    assert found == ["copy", "dir/é"]
    minio.remove_object(name, "copy")
    assert not list(minio.remove_objects(name, [DeleteObject("dir/é"), DeleteObject("none")]))
    minio.remove_bucket(name)
    assert not minio.bucket_exists(name)


def test_a_stream_of_unknown_length_goes_up_in_parts(minio: Minio, bucket: str) -> None:
    body = some_bytes(12 * MIB)
    done = minio.put_object(bucket, "large", io.BytesIO(body), -1, part_size=5 * MIB)
    assert done.etag is not None
    assert done.etag.endswith("-3")
    assert body_of(minio, bucket, "large") == body


def test_objects_are_composed_into_one(minio: Minio, bucket: str) -> None:
    first, second = some_bytes(5 * MIB, 1), some_bytes(1000, 2)
    minio.put_object(bucket, "first", io.BytesIO(first), len(first))
    minio.put_object(bucket, "second", io.BytesIO(second), len(second))
    minio.compose_object(
        bucket, "whole", [ComposeSource(bucket, "first"), ComposeSource(bucket, "second")]
    )
    assert body_of(minio, bucket, "whole") == first + second


def test_presigned_urls_upload_and_download(minio: Minio, bucket: str) -> None:
    minute = timedelta(minutes=1)
    assert send(minio.presigned_put_object(bucket, "a b", expires=minute), b"shared") == 200
    assert fetch(minio.presigned_get_object(bucket, "a b", expires=minute)) == b"shared"


def test_what_is_missing_is_told_by_name(minio: Minio, bucket: str) -> None:
    with pytest.raises(S3Error) as refused:
        minio.get_object(bucket, "none")
    assert refused.value.code == "NoSuchKey"
