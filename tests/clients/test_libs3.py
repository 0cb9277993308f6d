"""`s3`, the command of libs3: Signature Version 2, path style and virtual hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .material import fetch, some_bytes
from .server import Program, Server


@pytest.fixture
def libs3(program: Callable[..., Program], server: Server) -> Program:
    return program(
        "s3",
        "--unencrypted",
        "--retries=0",
        S3_ACCESS_KEY_ID=server.access_key,
        S3_SECRET_ACCESS_KEY=server.secret_key,
        S3_HOSTNAME=server.address,
    )


def test_a_bucket_and_an_object_live_and_die(libs3: Program, s3: Any, name: str) -> None:
    libs3("create", name, "cannedAcl=private")
    assert name in libs3("list")
    assert name in libs3("test", name)
    body = some_bytes(300_000)
    (libs3.folder / "body").write_bytes(body)
    libs3("put", f"{name}/dir/a+b", "filename=body", "contentType=image/x-raw", "x-amz-meta-by=me")
    told = libs3("head", f"{name}/dir/a+b")
    assert "x-amz-meta-by: me" in told
    # It knows no header names in lower case, such as ours are; its answers lack them.
    assert s3.head_object(Bucket=name, Key="dir/a+b")["ContentType"] == "image/x-raw"
    libs3("get", f"{name}/dir/a+b", "filename=back", "startByte=1000", "byteCount=2000")
    assert (libs3.folder / "back").read_bytes() == body[1000:3000]
    libs3("copy", f"{name}/dir/a+b", f"{name}/copy")
    libs3("get", f"{name}/copy", "filename=whole")
    assert (libs3.folder / "whole").read_bytes() == body
    libs3("delete", f"{name}/dir/a+b")
    libs3("delete", f"{name}/copy")
    libs3("delete", name)
    assert "Does Not Exist" in libs3("test", name)


def test_a_listing_with_a_delimiter(libs3: Program, s3: Any, bucket: str) -> None:
    for key in ("a/1", "a/2", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    told = libs3("list", bucket, "delimiter=/")
    assert "Common Prefix: a/" in told
    assert "b" in told.split()
    assert "a/1" in libs3("list", bucket, "prefix=a/", "maxkeys=1", "allDetails=1")


def test_a_canned_acl_is_set_and_told(libs3: Program, bucket: str) -> None:
    (libs3.folder / "body").write_bytes(b"x")
    libs3("put", f"{bucket}/k", "filename=body", "cannedAcl=public-read")
    told = [line.split() for line in libs3("getacl", f"{bucket}/k").splitlines()]
    assert ["Group", "All", "Users", "READ"] in told
    assert [line[-1] for line in told if line[0] == "UserID"] == ["FULL_CONTROL"]


def test_a_link_is_good_for_anybody(libs3: Program, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"shared")
    assert fetch(libs3("gqs", f"{bucket}/k", "expires=2037-01-01T00:00:00Z").strip()) == b"shared"
