"""Objects: what goes in comes out, with everything that was said of it."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import MIB, pattern, refused
from tests.protocol.wire_client import WireClient


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, MIB - 1, MIB + 1, 13 * MIB + 5])
def test_bytes_come_back_as_they_went_in(s3: Any, bucket: str, size: int) -> None:
    body = pattern(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert (put["ETag"], put["ServerSideEncryption"]) == (etag, "AES256")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k")
    for answer in (got, head):
        assert (answer["ETag"], answer["ContentLength"]) == (etag, size)
        assert answer["ServerSideEncryption"] == "AES256"
        assert answer["AcceptRanges"] == "bytes"
        assert "VersionId" not in answer


@pytest.mark.parametrize(
    "key",
    [
        *("a", "/leading", "a//b", "../up", "a/../b", ".", "..", "trailing/", " spaces ", "+plus"),
        *(
            "percent%41",
            "q?x=1&y",
            "#hash",
            "é",
            "\U0001f512",
            "line\nbreak",
            "\x01\x7f",
            "a" * 1024,
        ),
        "é" * 512,
    ],
)
def test_any_key_is_just_a_key(s3: Any, wire: WireClient, bucket: str, key: str) -> None:
    path = f"/{bucket}/{quote(key, safe='/')}"
    assert wire.send("PUT", path, key.encode()).status == 200
    assert wire.send("GET", path).body == key.encode()
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [one["Key"] for one in listed] == [key]
    wire.send("DELETE", path)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@settings(max_examples=60, deadline=None)
@given(key=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60))
def test_keys_are_exact(wire: WireClient, key: str) -> None:
    wire.send("PUT", "/exact-keys")
    path = f"/exact-keys/{quote(key, safe='')}"
    assert wire.send("PUT", path, b"x").status == 200
    assert wire.send("GET", path).status == 200
    assert wire.send("DELETE", path).status == 204
    assert wire.send("GET", path).status == 404


def test_metadata_comes_back(s3: Any, bucket: str) -> None:
    said = {
        "ContentType": "text/plain",
        "CacheControl": "max-age=1",
        "ContentDisposition": 'attachment; filename="e.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "fr",
        "Metadata": {"colour": "blue", "empty": ""},
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **said)
    head = s3.head_object(Bucket=bucket, Key="k")
    assert {name: head[name] for name in said} == said


def test_the_content_type_has_a_default(wire: WireClient, bucket: str) -> None:
    wire.send("PUT", f"/{bucket}/k", b"x")
    headers = wire.send("HEAD", f"/{bucket}/k").headers
    assert headers["content-type"] == "binary/octet-stream"


def test_metadata_outside_ascii_is_encoded_as_aws_does(wire: WireClient, bucket: str) -> None:
    target = wire.presigned("PUT", f"/{bucket}/k?x-amz-meta-name=caf%C3%A9")
    assert wire.raw("PUT", target, b"", {"Host": wire.host, "Content-Length": "0"}).status == 200
    found = wire.send("HEAD", f"/{bucket}/k").headers["x-amz-meta-name"]
    assert found == "=?UTF-8?B?Y2Fmw6k=?="


def test_too_much_metadata_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2047})
    code = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2048})
    assert code == "MetadataTooLarge"


def test_tags_are_kept_and_counted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=two%20words")
    headers = s3.get_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-tagging-count"] == "2"


@pytest.mark.parametrize(
    ("tagging", "code"),
    [
        ("&".join(f"t{n}=v" for n in range(11)), "BadRequest"),
        ("a=1&a=2", "InvalidTag"),
        ("=v", "InvalidTag"),
        ("k" * 129 + "=v", "InvalidTag"),
        ("k=" + "v" * 257, "InvalidTag"),
        ("aws:k=v", "InvalidTag"),
        ("k=%ff", "InvalidArgument"),
    ],
)
def test_bad_tags_are_refused(s3: Any, bucket: str, tagging: str, code: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", Tagging=tagging) == code


def test_response_headers_can_be_overridden(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="a/b")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/html",
        ResponseCacheControl="no-store",
        ResponseContentDisposition="inline",
        ResponseContentLanguage="de",
        ResponseContentEncoding="identity",
    )
    assert got["ContentType"] == "text/html"
    assert (got["CacheControl"], got["ContentDisposition"]) == ("no-store", "inline")
    assert (got["ContentLanguage"], got["ContentEncoding"]) == ("de", "identity")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x-amz-server-side-encryption": "AES256"}, 200, ""),
        ({"x-amz-server-side-encryption": "aws:kms"}, 200, ""),
        ({"x-amz-server-side-encryption": "rot13"}, 400, "InvalidArgument"),
        ({"x-amz-server-side-encryption-aws-kms-key-id": "k"}, 400, "InvalidArgument"),
        ({"x-amz-object-lock-mode": "COMPLIANCE"}, 400, "InvalidArgument"),
        ({"x-amz-object-lock-legal-hold": "ON"}, 400, "InvalidRequest"),
        ({"x-amz-object-lock-legal-hold": "OFF"}, 200, ""),
        ({"x-amz-acl": "private"}, 200, ""),
        ({"x-amz-acl": "bucket-owner-full-control"}, 200, ""),
        ({"x-amz-acl": "aws-exec-read"}, 501, "NotImplemented"),
        ({"x-amz-acl": "nonsense"}, 400, "InvalidArgument"),
        ({"x-amz-grant-full-control": 'id="1"'}, 400, "InvalidArgument"),
        ({"x-amz-website-redirect-location": "/x"}, 200, ""),
        ({"x-amz-write-offset-bytes": "1"}, 501, "NotImplemented"),
        ({"Range": "bytes=0-1"}, 501, "NotImplemented"),
        ({"Content-Range": "bytes 0-1/2"}, 501, "NotImplemented"),
        ({"x-amz-storage-class": "STANDARD"}, 200, ""),
        ({"x-amz-storage-class": "OUTPOSTS"}, 400, "InvalidStorageClass"),
    ],
)
def test_what_cannot_be_kept_is_not_promised(
    wire: WireClient, bucket: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = wire.send("PUT", f"/{bucket}/k", b"x", headers)
    assert (answer.status, answer.code) == (status, code)
    assert wire.send("HEAD", f"/{bucket}/k").status == (200 if status == 200 else 404)


def test_deleting_what_is_not_there_is_no_error(s3: Any, bucket: str) -> None:
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_missing_key_is_named(wire: WireClient, bucket: str) -> None:
    answer = wire.send("GET", f"/{bucket}/no%20such")
    assert (answer.status, answer.code) == (404, "NoSuchKey")
    assert answer.field("Key") == "no such"
    assert answer.field("Resource") == f"/{bucket}/no such"
    assert answer.field("RequestId") == answer.headers["x-amz-request-id"]
    assert answer.headers["content-type"] == "application/xml"


def test_an_error_of_head_has_no_body(wire: WireClient, bucket: str) -> None:
    answer = wire.send("HEAD", f"/{bucket}/none")
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["x-amz-request-id"]


def test_many_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    etag = s3.head_object(Bucket=bucket, Key="b")["ETag"]
    wanted = [
        {"Key": "a"},
        {"Key": "none"},
        {"Key": "b", "ETag": '"wrong"'},
        {"Key": "c", "Size": 7},
        {"Key": "x" * 1025},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [one["Key"] for one in answer["Deleted"]] == ["a", "none"]
    codes = {one["Key"][:1]: one["Code"] for one in answer["Errors"]}
    assert codes == {"b": "PreconditionFailed", "c": "PreconditionFailed", "x": "KeyTooLongError"}
    last = {"Objects": [{"Key": "b", "ETag": etag}, {"Key": "c"}], "Quiet": True}
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete=last)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_deleting_many_needs_a_digest_of_the_list(wire: WireClient, bucket: str) -> None:
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    answer = wire.send("POST", f"/{bucket}?delete", body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    wrong = wire.send("POST", f"/{bucket}?delete", body, {"Content-MD5": "A" * 22 + "=="})
    assert (wrong.status, wrong.code) == (400, "BadDigest")


def test_more_than_a_thousand_deletes_are_refused(s3: Any, bucket: str) -> None:
    many = {"Objects": [{"Key": str(n)} for n in range(1001)]}
    assert refused(s3.delete_objects, Bucket=bucket, Delete=many) == "MalformedXML"


def test_every_request_is_told_to_the_ledger(server: MemoryServer, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    refused(s3.get_object, Bucket=bucket, Key="none")
    put, got, missed = server.events[-3:]
    assert (put.operation, put.bytes_in, put.status, put.metering) == ("PutObject", 5, 200, "write")
    assert (got.operation, got.bytes_out, got.key) == ("GetObject", 5, b"k")
    assert (missed.error, missed.status) == ("NoSuchKey", 404)
    assert (put.user_id, put.bucket, put.store) == (server.user.id, bucket, "main")
