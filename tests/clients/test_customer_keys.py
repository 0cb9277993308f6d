"""Keys that customers bring (SSE-C): with boto3 and aws-cli; in no file of the server's.

rclone and mc send no such key over plain HTTP, not even to this machine.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from .material import some_bytes
from .server import Program, Server, needs_drives

MIB = 1024 * 1024
KEY = b"thirty-two bytes from a customer"
IN_PARTS = TransferConfig(
    multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3
)
SSE = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
SOURCE = {f"CopySource{name}": value for name, value in SSE.items()}


def test_boto3_uploads_copies_and_reads_in_parts(s3: Any, bucket: str, tmp_path: Any) -> None:
    body = some_bytes(12 * MIB)
    (tmp_path / "large").write_bytes(body)
    put = {"Bucket": bucket, "Key": "large", "Config": IN_PARTS}
    s3.upload_file(str(tmp_path / "large"), ExtraArgs=SSE, **put)
    s3.copy(
        {"Bucket": bucket, "Key": "large"},
        bucket,
        "copy",
        ExtraArgs={**SSE, **SOURCE},
        SourceClient=s3,
        Config=IN_PARTS,
    )
    for key in ("large", "copy"):
        s3.download_file(bucket, key, str(tmp_path / "back"), ExtraArgs=SSE, Config=IN_PARTS)
        assert (tmp_path / "back").read_bytes() == body
        etag = s3.head_object(Bucket=bucket, Key=key, **SSE)["ETag"]
        assert etag.endswith('-3"')


def test_aws_cli_keeps_to_its_key(
    program: Callable[..., Program], server: Server, bucket: str
) -> None:
    aws = program("aws", "--endpoint-url", server.endpoint)
    (aws.folder / "key").write_bytes(KEY)
    (aws.folder / "other").write_bytes(KEY[::-1])
    (aws.folder / "large").write_bytes(some_bytes(9 * MIB))
    mine = ("--sse-c", "AES256", "--sse-c-key", "fileb://key")
    others = ("--sse-c", "AES256", "--sse-c-key", "fileb://other")
    aws("s3", "cp", *mine, "large", f"s3://{bucket}/large")
    source = ("--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", "fileb://key")
    aws("s3", "cp", *source, *others, f"s3://{bucket}/large", f"s3://{bucket}/others")
    for key, options in (("large", mine), ("others", others)):
        aws("s3", "cp", *options, f"s3://{bucket}/{key}", "back")
        assert (aws.folder / "back").read_bytes() == some_bytes(9 * MIB)
    assert "(403)" in aws.refused("s3", "cp", *others, f"s3://{bucket}/large", "back")
    assert "(400)" in aws.refused("s3", "cp", f"s3://{bucket}/large", "back")


def test_no_file_of_the_servers_holds_the_key(s3: Any, server: Server, bucket: str) -> None:
    needs_drives("has no files")
    content = some_bytes(100_000, 7)
    s3.put_object(Bucket=bucket, Key="k", Body=content, **SSE)
    digest = hashlib.md5(content).digest()
    secret = (KEY, b64encode(KEY), KEY.hex().encode(), content[:64], digest, digest.hex().encode())
    files = [path for path in server.data.parent.rglob("*") if path.is_file()]
    assert len(files) > 16
    for path in files:
        held = path.read_bytes()
        assert not any(text in held for text in secret), path


@pytest.mark.parametrize("key", [b"short", KEY + b"!"])
def test_a_key_of_another_length_is_refused(s3: Any, bucket: str, key: bytes) -> None:
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", **{**SSE, "SSECustomerKey": key})
    assert refused.value.response["Error"]["Code"] == "InvalidArgument"
