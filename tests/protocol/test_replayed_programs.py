"""The requests of WinSCP, CloudBerry Explorer and S3 Browser, in their order and with what they
send: path style, a bucket by its name because the list of buckets does not have it, listings by
delimiter, ACLs, metadata, folders, renaming, headers of Object Lock."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.wire_client import Answer, WireClient

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
LISTING = "delimiter=%2F&max-keys=1000&prefix="
CB_TIME = {"x-amz-meta-cb-modifiedtime": "Tue, 03 Mar 2026 10:00:00 GMT"}


@pytest.fixture
def shared(s3: Any, stranger: Credentials, bucket: str) -> str:
    """A bucket of somebody else's, in which the stranger may do everything."""
    everything = {
        "Effect": "Allow",
        "Principal": [stranger.access_key],
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [everything]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for key in ("top.txt", "photos/cat.jpg", "photos/old/dog.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


class Program:
    """A client that signs as one program does, and says who it is."""

    def __init__(self, server: MemoryServer, user: Credentials, agent: str, version: int) -> None:
        self._wire = WireClient(server.port, user)
        self._agent = agent
        self._version = version

    def __call__(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"User-Agent": self._agent, **named}
        if self._version == 4:
            return self._wire.send(method, target, body, sent)
        if body or method in ("PUT", "POST"):
            sent["Content-Length"] = str(len(body))
        return self._wire.raw(method, target, body, self._wire.signed_v2(method, target, sent))


@pytest.fixture
def winscp(server: MemoryServer, stranger: Credentials) -> Program:
    return Program(server, stranger, "WinSCP/6.3.6 neon/0.33.0", 4)


@pytest.fixture
def cloudberry(server: MemoryServer, stranger: Credentials) -> Program:
    return Program(server, stranger, "CloudBerryLab.Base.HttpUtil.Client 6.3", 2)


@pytest.fixture
def s3_browser(server: MemoryServer, stranger: Credentials) -> Program:
    return Program(server, stranger, "S3 Browser/11.7.5 (https://s3browser.com)", 4)


def listed(answer: Answer) -> tuple[list[str], list[str]]:
    """Keys and folders of a listing."""
    assert answer.status == 200, answer
    root = ElementTree.fromstring(answer.body)
    keys = [str(one.text) for one in root.iter(f"{SPACE}Key")]
    folders = root.findall(f"{SPACE}CommonPrefixes/{SPACE}Prefix")
    return keys, [str(one.text) for one in folders]


def test_a_list_of_buckets_that_is_refused_and_a_bucket_by_name(
    server: MemoryServer, s3: Any, wire: WireClient, bucket: str
) -> None:
    """Nobody in particular may list no buckets, and read a bucket that is open to all."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"open")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    host = {"Host": "main.localhost", "User-Agent": "WinSCP/6.3.6 neon/0.33.0"}
    assert wire.raw("GET", "/", b"", host).code == "AccessDenied"
    assert listed(wire.raw("GET", f"/{bucket}?{LISTING}", b"", host)) == (["k"], [])


@pytest.mark.parametrize("program", ["winscp", "cloudberry", "s3_browser"])
def test_a_shared_bucket_is_opened_by_its_name(
    request: pytest.FixtureRequest, shared: str, program: str
) -> None:
    ask: Program = request.getfixturevalue(program)
    buckets = ask("GET", "/")
    assert (buckets.status, f"<Name>{shared}</Name>".encode() in buckets.body) == (200, False)
    assert ask("HEAD", f"/{shared}").status == 200
    location = ask("GET", f"/{shared}?location")
    assert (location.status, b"LocationConstraint" in location.body) == (200, True)
    assert listed(ask("GET", f"/{shared}/?{LISTING}")) == (["top.txt"], ["photos/"])
    assert listed(ask("GET", f"/{shared}/?{LISTING}photos%2F")) == (
        ["photos/cat.jpg"],
        ["photos/old/"],
    )
    grants = ask("GET", f"/{shared}?acl")
    assert (grants.status, b"<Permission>FULL_CONTROL" in grants.body) == (200, True)


def test_winscp_uploads_renames_and_makes_folders(winscp: Program, shared: str) -> None:
    stamped = {"x-amz-meta-mtime": "1772532000"}
    assert winscp("PUT", f"/{shared}/new/", content_type="application/x-directory").status == 200
    put = winscp("PUT", f"/{shared}/new/a%20b%2Bc.txt", b"text", **stamped)
    assert put.status == 200
    told = winscp("HEAD", f"/{shared}/new/a%20b%2Bc.txt")
    assert (told.headers["content-length"], told.headers["x-amz-meta-mtime"]) == (
        "4",
        "1772532000",
    )
    copied = winscp(
        "PUT",
        f"/{shared}/new/renamed.txt",
        x_amz_copy_source=f"/{shared}/new/a%20b%2Bc.txt",
        x_amz_metadata_directive="COPY",
    )
    assert copied.status == 200
    assert winscp("DELETE", f"/{shared}/new/a%20b%2Bc.txt").status == 204
    part = winscp("GET", f"/{shared}/new/renamed.txt", range="bytes=2-")
    assert (part.status, part.body) == (206, b"xt")
    acl = winscp("GET", f"/{shared}/new/renamed.txt?acl")
    assert winscp("PUT", f"/{shared}/new/renamed.txt?acl", acl.body).status == 200
    assert listed(winscp("GET", f"/{shared}/?{LISTING}new%2F"))[0] == ["new/", "new/renamed.txt"]


def test_cloudberry_looks_at_settings_and_keeps_times(cloudberry: Program, shared: str) -> None:
    for setting in ("versioning", "logging", "requestPayment", "accelerate", "notification"):
        assert cloudberry("GET", f"/{shared}?{setting}").status == 200, setting
    for setting in ("lifecycle", "cors", "website", "tagging"):
        assert cloudberry("GET", f"/{shared}?{setting}").status == 404, setting
    sent = cloudberry("PUT", f"/{shared}/backup/file.doc", b"document", **CB_TIME)
    assert sent.status == 200
    told = cloudberry("HEAD", f"/{shared}/backup/file.doc")
    assert told.headers["x-amz-meta-cb-modifiedtime"] == CB_TIME["x-amz-meta-cb-modifiedtime"]
    moved = cloudberry(
        "PUT",
        f"/{shared}/backup/other.doc",
        b"",
        x_amz_copy_source=f"/{shared}/backup/file.doc",
        x_amz_metadata_directive="REPLACE",
        x_amz_storage_class="STANDARD",
        **CB_TIME,
    )
    assert moved.status == 200
    begun = cloudberry("POST", f"/{shared}/large?uploads", b"", **CB_TIME)
    upload = ElementTree.fromstring(begun.body).findtext(f"{SPACE}UploadId")
    part = cloudberry("PUT", f"/{shared}/large?partNumber=1&uploadId={upload}", b"part")
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    )
    ended = cloudberry("POST", f"/{shared}/large?uploadId={upload}", document.encode())
    assert ended.status == 200
    assert cloudberry("GET", f"/{shared}/large").headers["x-amz-meta-cb-modifiedtime"]


def test_s3_browser_sees_versions_and_sends_what_it_keeps(
    server: MemoryServer, stranger: Credentials, s3_browser: Program, shared: str
) -> None:
    for setting in ("versioning", "acl", "location"):
        assert s3_browser("GET", f"/{shared}?{setting}").status == 200, setting
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert s3_browser("PUT", f"/{shared}?versioning", enabled).status == 200
    for body in (b"one", b"two"):
        sent = s3_browser(
            "PUT",
            f"/{shared}/note.txt",
            body,
            x_amz_storage_class="STANDARD",
            x_amz_server_side_encryption="AES256",
            x_amz_meta_by="me",
        )
        assert sent.status == 200
        assert sent.headers["x-amz-server-side-encryption"] == "AES256"
    versions = s3_browser("GET", f"/{shared}?versions&{LISTING}note")
    assert versions.body.count(b"<Version>") == 2
    pages = "list-type=2&encoding-type=url&fetch-owner=true&"
    assert listed(s3_browser("GET", f"/{shared}?{pages}{LISTING}"))[1] == ["photos/"]
    marker = s3_browser("DELETE", f"/{shared}/note.txt")
    assert marker.headers["x-amz-delete-marker"] == "true"
    gone = boto(server, stranger).delete_objects(
        Bucket=shared, Delete={"Objects": [{"Key": "top.txt"}], "Quiet": True}
    )
    assert "Deleted" not in gone
    assert listed(s3_browser("GET", f"/{shared}?{LISTING}"))[0] == []


def test_s3_browser_sends_headers_of_object_lock(s3_browser: Program, shared: str) -> None:
    """In a bucket without a lock they are refused, and nothing is written without its lock."""
    refused = s3_browser(
        "PUT",
        f"/{shared}/locked.txt",
        b"text",
        x_amz_object_lock_mode="GOVERNANCE",
        x_amz_object_lock_retain_until_date="2099-01-01T00:00:00Z",
        x_amz_object_lock_legal_hold="ON",
    )
    assert refused.code == "InvalidRequest"
    assert s3_browser("HEAD", f"/{shared}/locked.txt").status == 404
