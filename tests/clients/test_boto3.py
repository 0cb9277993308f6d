"""boto3: addressing styles, signature versions, presigned URLs, checksums, conditions, parts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from .material import fetch, send, some_bytes
from .server import COFFRE, Server, needs_drives

MIB = 1024 * 1024
CHECKSUMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
IN_PARTS = TransferConfig(
    multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3
)


def refusal(of: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Status and code of a call that must be refused."""
    with pytest.raises(ClientError) as refused:
        of(**arguments)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def round_trip(s3: Any, bucket: str) -> None:
    """Put, get, copy, list and delete one object."""
    s3.put_object(Bucket=bucket, Key="dir/a b+c", Body=b"hello", Metadata={"who": "me"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "dir/a b+c"})
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert got["Body"].read() == b"hello"
    assert got["Metadata"] == {"who": "me"}
    listed = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)
    assert [item["Key"] for item in listed["Contents"]] == ["copy", "dir/a b+c"]
    wish = {"Objects": [{"Key": "copy"}, {"Key": "dir/a b+c"}], "Quiet": True}
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete=wish)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("version", ["s3v4", "s3"], ids=["V4", "V2"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_either_style_with_either_signature(
    boto: Callable[..., Any],
    server: Server,
    name: str,
    names_resolve: None,
    version: str,
    style: str,
) -> None:
    endpoint = f"http://localhost:{server.port}"
    s3 = boto(endpoint, signature_version=version, s3={"addressing_style": style})
    s3.create_bucket(Bucket=name)
    round_trip(s3, name)
    s3.delete_bucket(Bucket=name)


def test_a_store_has_a_host_of_its_own(
    boto: Callable[..., Any], server: Server, name: str, names_resolve: None
) -> None:
    needs_drives("has no administration")
    listed = subprocess.run(
        [COFFRE, "store", "list", "--json", "--data", server.data], capture_output=True, check=True
    )
    stores = [store["name"] for store in json.loads(listed.stdout)]
    endpoint = f"http://{stores[0]}.localhost:{server.port}"
    boto(endpoint, s3={"addressing_style": "path"}).create_bucket(Bucket=name)
    for style in ("path", "virtual"):
        round_trip(boto(endpoint, s3={"addressing_style": style}), name)


def test_owner_and_region_are_told(s3: Any, server: Server, bucket: str) -> None:
    listed = s3.list_buckets()
    assert listed["Owner"]["ID"] == server.owner_id
    assert bucket in [item["Name"] for item in listed["Buckets"]]
    head = s3.head_bucket(Bucket=bucket)
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == server.region


@pytest.mark.parametrize(
    ("options", "sign"),
    [
        ({}, "AWSAccessKeyId="),
        ({"signature_version": "s3v4"}, "X-Amz-Signature="),
        ({"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}, "X-Amz-Signature="),
        ({"s3": {"addressing_style": "virtual"}}, "AWSAccessKeyId="),
    ],
    ids=["V2", "V4", "V4 virtual", "V2 virtual"],
)
def test_presigned_urls_upload_and_download(
    boto: Callable[..., Any],
    server: Server,
    bucket: str,
    names_resolve: None,
    options: dict[str, Any],
    sign: str,
) -> None:
    s3 = boto(f"http://localhost:{server.port}", **options)
    what = {"Bucket": bucket, "Key": "dir/é & b"}
    put = s3.generate_presigned_url(
        "put_object", {**what, "ContentType": "text/plain"}, ExpiresIn=60
    )
    assert sign in put
    assert send(put, b"presigned", **{"Content-Type": "text/plain"}) == 200
    shown = {"ResponseContentDisposition": 'attachment; filename="b.txt"'}
    get = s3.generate_presigned_url("get_object", {**what, **shown}, ExpiresIn=60)
    assert fetch(get) == b"presigned"
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(get.replace("dir", "dor"))
    assert refused.value.code == 403


def test_default_checksums_are_kept_and_verified(s3: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == put["ChecksumCRC32"] == "NhCmhg=="
    assert head["ChecksumType"] == "FULL_OBJECT"
    status = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"jello", ChecksumCRC32="NhCmhg==")
    assert status == (400, "BadDigest")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_each_checksum_guards_an_object_and_its_parts(s3: Any, bucket: str, algorithm: str) -> None:
    field = f"Checksum{algorithm}"
    small = some_bytes(100_000)
    put = s3.put_object(Bucket=bucket, Key="small", Body=small, ChecksumAlgorithm=algorithm)
    # botocore compares the body with the checksum that comes with it.
    got = s3.get_object(Bucket=bucket, Key="small", ChecksumMode="ENABLED")
    assert got["Body"].read() == small
    assert got[field] == put[field]

    large = some_bytes(11 * MIB)
    extra = {"ChecksumAlgorithm": algorithm}
    s3.upload_fileobj(io.BytesIO(large), bucket, "large", ExtraArgs=extra, Config=IN_PARTS)
    told = s3.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")
    assert field in told
    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back, Config=IN_PARTS)
    assert back.getvalue() == large


class Stream(io.RawIOBase):
    """A body that comes as it comes: it cannot be rewound, nor says how long it is."""

    def __init__(self, body: bytes) -> None:
        self._rest = io.BytesIO(body)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


@pytest.mark.parametrize("size", [0, 1000, 12 * MIB])
def test_a_stream_of_unknown_length_goes_up(s3: Any, bucket: str, size: int) -> None:
    body = some_bytes(size)
    s3.upload_fileobj(Stream(body), bucket, "stream", Config=IN_PARTS)
    assert s3.get_object(Bucket=bucket, Key="stream")["Body"].read() == body


def test_writes_obey_their_conditions(s3: Any, bucket: str) -> None:
    what = {"Bucket": bucket, "Key": "once"}
    first = s3.put_object(**what, Body=b"1", IfNoneMatch="*")
    assert refusal(s3.put_object, **what, Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    second = s3.put_object(**what, Body=b"2", IfMatch=first["ETag"])
    stale = refusal(s3.put_object, **what, Body=b"3", IfMatch=first["ETag"])
    assert stale == (412, "PreconditionFailed")
    nothing = refusal(s3.put_object, Bucket=bucket, Key="none", Body=b"", IfMatch=first["ETag"])
    assert nothing == (404, "NoSuchKey")

    upload = s3.create_multipart_upload(**what)["UploadId"]
    part = s3.upload_part(**what, UploadId=upload, PartNumber=1, Body=b"4")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = {**what, "UploadId": upload, "MultipartUpload": parts}
    assert refusal(s3.complete_multipart_upload, **done, IfNoneMatch="*")[0] == 412
    assert s3.get_object(**what)["ETag"] == second["ETag"]
    s3.complete_multipart_upload(**done, IfMatch=second["ETag"])
    assert s3.get_object(**what)["Body"].read() == b"4"


def test_reads_obey_their_conditions(s3: Any, bucket: str) -> None:
    what = {"Bucket": bucket, "Key": "k"}
    put = s3.put_object(**what, Body=b"0123456789")
    head = s3.head_object(**what)
    assert refusal(s3.get_object, **what, IfNoneMatch=put["ETag"])[0] == 304
    assert refusal(s3.get_object, **what, IfMatch='"other"') == (412, "PreconditionFailed")
    assert refusal(s3.get_object, **what, IfModifiedSince=head["LastModified"])[0] == 304
    part = s3.get_object(**what, Range="bytes=-3")
    assert (part["Body"].read(), part["ContentRange"]) == (b"789", "bytes 7-9/10")
    assert refusal(s3.get_object, **what, Range="bytes=10-") == (416, "InvalidRange")
    assert refusal(s3.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refusal(s3.head_object, Bucket=bucket, Key="none") == (404, "404")


def test_a_large_copy_is_made_of_parts(s3: Any, bucket: str) -> None:
    body = some_bytes(12 * MIB)
    s3.upload_fileobj(io.BytesIO(body), bucket, "from", Config=IN_PARTS)
    s3.copy({"Bucket": bucket, "Key": "from"}, bucket, "to", Config=IN_PARTS)
    parts = [body[at : at + 5 * MIB] for at in range(0, len(body), 5 * MIB)]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    told = s3.head_object(Bucket=bucket, Key="to")
    assert told["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == body


def test_any_key_comes_back_from_a_listing(s3: Any, bucket: str) -> None:
    keys = ["/", "//a", "../b", "a\x01b", "a b", "a%20b", "a+b", "été", "\U0001f512", "z" * 1024]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for page_size in (1000, 3):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": page_size}
        )
        listed = [item["Key"] for page in pages for item in page["Contents"]]
        assert listed == sorted(keys, key=str.encode)
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


def test_uploads_and_parts_are_listed_page_by_page(s3: Any, bucket: str) -> None:
    what = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**what)["UploadId"]
    for number in (1, 2, 10_000):
        s3.upload_part(**what, UploadId=upload, PartNumber=number, Body=b"x")
    parts = s3.get_paginator("list_parts").paginate(
        **what, UploadId=upload, PaginationConfig={"PageSize": 1}
    )
    listed = [part["PartNumber"] for page in parts for part in page["Parts"]]
    assert listed == [1, 2, 10_000]
    other = s3.create_multipart_upload(Bucket=bucket, Key="dir/l")["UploadId"]
    uploads = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 1}
    )
    assert [u["UploadId"] for page in uploads for u in page["Uploads"]] == [other, upload]
    s3.abort_multipart_upload(**what, UploadId=upload)
    gone = refusal(s3.upload_part, **what, UploadId=upload, PartNumber=1, Body=b"x")
    assert gone == (404, "NoSuchUpload")


def test_what_is_not_supported_says_so(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    torrent = refusal(s3.get_object_torrent, Bucket=bucket, Key="k")
    assert torrent == (501, "NotImplemented")


def test_a_setting_counts_at_once_whoever_serves_the_next_request(
    s3: Any, boto: Callable[..., Any], bucket: str
) -> None:
    """Workers remember the documents of buckets; each new connection may reach another worker."""
    for number in range(8):
        tags = [{"Key": "n", "Value": str(number)}]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        for _ in range(3):
            assert boto().get_bucket_tagging(Bucket=bucket)["TagSet"] == tags


def test_this_suite_sees_no_settings_of_the_caller() -> None:
    assert not [name for name in os.environ if name.startswith("AWS_")]
