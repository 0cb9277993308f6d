"""aws-cli: the `s3` commands and `s3api` calls that people type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .material import contents, fetch, some_bytes
from .server import Program, Server

MIB = 1024 * 1024


@pytest.fixture
def aws(program: Callable[..., Program], server: Server) -> Program:
    return program("aws", "--endpoint-url", server.endpoint)


@pytest.fixture
def api(aws: Program) -> Callable[..., Any]:
    """`aws s3api …`: its answer, read."""

    def call(*arguments: str | Path) -> Any:
        answer = aws("s3api", *arguments, "--output", "json")
        return json.loads(answer) if answer else {}

    return call


def test_a_bucket_and_an_object_live_and_die(aws: Program, name: str) -> None:
    (aws.folder / "cat.jpg").write_bytes(b"miaow")
    assert aws("s3", "mb", f"s3://{name}") == f"make_bucket: {name}\n"
    aws("s3", "cp", "cat.jpg", f"s3://{name}/pets/")
    aws("s3", "cp", f"s3://{name}/pets/cat.jpg", f"s3://{name}/copy.jpg")
    aws("s3", "mv", f"s3://{name}/copy.jpg", f"s3://{name}/moved.jpg")
    assert aws.raw("s3", "cp", f"s3://{name}/moved.jpg", "-") == b"miaow"
    assert name in aws("s3", "ls")
    listed = [line.split()[-1] for line in aws("s3", "ls", f"s3://{name}").splitlines()]
    assert listed == ["pets/", "moved.jpg"]
    assert "BucketNotEmpty" in aws.refused("s3", "rb", f"s3://{name}")
    aws("s3", "rm", f"s3://{name}", "--recursive")
    aws("s3", "rb", f"s3://{name}")
    assert "NoSuchBucket" in aws.refused("s3", "ls", f"s3://{name}")


def test_versions_tags_and_acls_are_told_as_they_were_put(
    api: Callable[..., Any], bucket: str
) -> None:
    where = ("--bucket", bucket, "--key", "k")
    api("put-bucket-versioning", *where[:2], "--versioning-configuration", "Status=Enabled")
    ids = [api("put-object", *where, "--tagging", f"n={n}")["VersionId"] for n in range(3)]
    marker = api("delete-object", *where)["VersionId"]
    listed = api("list-object-versions", *where[:2], "--page-size", "1")
    assert [one["VersionId"] for one in listed["Versions"]] == ids[::-1]
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == [marker]
    first = ("--version-id", ids[0])
    api("put-object-tagging", *where, *first, "--tagging", "TagSet=[{Key=a,Value=b}]")
    assert api("get-object-tagging", *where, *first)["TagSet"] == [{"Key": "a", "Value": "b"}]
    api("put-object-acl", *where, *first, "--acl", "public-read")
    assert len(api("get-object-acl", *where, *first)["Grants"]) == 2
    assert len(api("get-object-acl", *where, "--version-id", ids[1])["Grants"]) == 1


def test_settings_of_a_bucket_are_told_as_they_were_put(
    api: Callable[..., Any], aws: Program, bucket: str
) -> None:
    named = ("--bucket", bucket)
    api("put-bucket-tagging", *named, "--tagging", "TagSet=[{Key=team,Value=blue}]")
    assert api("get-bucket-tagging", *named)["TagSet"] == [{"Key": "team", "Value": "blue"}]
    block = "BlockPublicAcls=true,IgnorePublicAcls=true"
    api("put-public-access-block", *named, "--public-access-block-configuration", block)
    told = api("get-public-access-block", *named)["PublicAccessBlockConfiguration"]
    assert (told["BlockPublicAcls"], told["BlockPublicPolicy"]) == (True, False)
    assert "AccessDenied" in aws.refused("s3api", "put-bucket-acl", *named, "--acl", "public-read")
    api(
        "put-bucket-ownership-controls",
        *named,
        "--ownership-controls",
        "Rules=[{ObjectOwnership=BucketOwnerEnforced}]",
    )
    told = aws.refused("s3api", "put-bucket-acl", *named, "--acl", "public-read")
    assert "AccessControlListNotSupported" in told
    assert "NoSuchLifecycleConfiguration" in aws.refused(
        "s3api", "get-bucket-lifecycle-configuration", *named
    )


def test_sync_makes_two_folders_equal(aws: Program, bucket: str, tree: Path) -> None:
    aws("s3", "sync", "tree", f"s3://{bucket}/t")
    aws("s3", "sync", f"s3://{bucket}/t", "back")
    assert contents(aws.folder / "back") == contents(tree)
    assert aws("s3", "sync", "--no-progress", "tree", f"s3://{bucket}/t") == ""

    (tree / "a.txt").unlink()
    (tree / "empty").write_bytes(b"no more")
    told = aws("s3", "sync", "tree", f"s3://{bucket}/t", "--delete")
    assert f"delete: s3://{bucket}/t/a.txt" in told
    aws("s3", "sync", f"s3://{bucket}/t", "back", "--delete")
    assert contents(aws.folder / "back") == contents(tree)


def test_a_presigned_url_is_good_for_anybody(aws: Program, bucket: str) -> None:
    aws("s3", "cp", "-", f"s3://{bucket}/a b", stdin=b"shared")
    url = aws("s3", "presign", f"s3://{bucket}/a b", "--expires-in", "60").strip()
    assert fetch(url) == b"shared"


def test_a_large_file_goes_up_in_parts(aws: Program, api: Callable[..., Any], bucket: str) -> None:
    body = some_bytes(20 * MIB)
    (aws.folder / "large").write_bytes(body)
    aws("s3", "cp", "large", f"s3://{bucket}/large", "--checksum-algorithm", "SHA256")
    head = api("head-object", "--bucket", bucket, "--key", "large")
    assert head["ETag"].endswith('-3"')
    aws("s3", "cp", f"s3://{bucket}/large", f"s3://{bucket}/copy")
    aws("s3", "cp", f"s3://{bucket}/copy", "back")
    assert (aws.folder / "back").read_bytes() == body


def test_metadata_and_checksums_come_back(
    aws: Program, api: Callable[..., Any], bucket: str
) -> None:
    (aws.folder / "note").write_bytes(b"hello")
    what = ("--bucket", bucket, "--key", "note")
    put = api(
        "put-object",
        *what,
        *("--body", "note", "--content-type", "text/plain", "--cache-control", "max-age=60"),
        *("--metadata", "artist=me,year=2024", "--checksum-algorithm", "SHA256"),
    )
    head = api("head-object", *what, "--checksum-mode", "ENABLED")
    assert head["ETag"] == put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert head["Metadata"] == {"artist": "me", "year": "2024"}
    assert (head["ContentType"], head["CacheControl"]) == ("text/plain", "max-age=60")
    assert head["ServerSideEncryption"] == "AES256"
    assert head["ChecksumSHA256"] == put["ChecksumSHA256"]

    source = f"{bucket}/note"
    replaced = ("--metadata-directive", "REPLACE", "--metadata", "artist=you")
    api("copy-object", *what, "--copy-source", source, *replaced)
    assert api("head-object", *what)["Metadata"] == {"artist": "you"}

    wanted = ("ETag", "Checksum", "ObjectSize", "StorageClass")
    told = api("get-object-attributes", *what, "--object-attributes", *wanted)
    assert (told["ETag"], told["ObjectSize"]) == ("5d41402abc4b2a76b9719d911017c592", 5)
    assert told["Checksum"]["ChecksumSHA256"] == put["ChecksumSHA256"]
    assert api("get-bucket-location", "--bucket", bucket) == {"LocationConstraint": None}


def test_every_page_of_a_listing_is_asked_for(
    aws: Program, api: Callable[..., Any], bucket: str, s3: Any
) -> None:
    for key in ("a", "b/1", "b/2", "c", "d/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    where = ("list-objects-v2", "--bucket", bucket)
    listed = api(*where, "--page-size", "2")
    assert [item["Key"] for item in listed["Contents"]] == ["a", "b/1", "b/2", "c", "d/1"]
    grouped = api(*where, "--delimiter", "/", "--page-size", "1")
    assert [item["Key"] for item in grouped["Contents"]] == ["a", "c"]
    assert [item["Prefix"] for item in grouped["CommonPrefixes"]] == ["b/", "d/"]
    first = api("list-objects", "--bucket", bucket, "--max-items", "3")
    assert [item["Key"] for item in first["Contents"]] == ["a", "b/1", "b/2"]
    aws("s3", "ls", f"s3://{bucket}/b/", "--recursive", "--summarize")


def test_a_multipart_upload_by_hand(aws: Program, api: Callable[..., Any], bucket: str) -> None:
    first, second = some_bytes(5 * MIB, 1), some_bytes(1234, 2)
    (aws.folder / "first").write_bytes(first)
    aws("s3", "cp", "-", f"s3://{bucket}/second", stdin=second)
    what = ("--bucket", bucket, "--key", "whole")
    upload = api("create-multipart-upload", *what, "--content-type", "x/y")["UploadId"]
    this = (*what, "--upload-id", upload)
    one = api("upload-part", *this, "--part-number", "1", "--body", "first")
    two = api("upload-part-copy", *this, "--part-number", "2", "--copy-source", f"{bucket}/second")[
        "CopyPartResult"
    ]
    parts = api("list-parts", *this)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, 5 * MIB), (2, 1234)]
    assert [item["Key"] for item in api("list-multipart-uploads", "--bucket", bucket)["Uploads"]]
    chosen = [{"PartNumber": n, "ETag": part["ETag"]} for n, part in ((1, one), (2, two))]
    done = api(
        "complete-multipart-upload", *this, "--multipart-upload", json.dumps({"Parts": chosen})
    )
    digests = hashlib.md5(first).digest() + hashlib.md5(second).digest()
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = api("get-object", *what, "whole")
    assert got["ContentType"] == "x/y"
    assert (aws.folder / "whole").read_bytes() == first + second
    one_part = api("get-object", *what, "--part-number", "2", "part")
    assert (one_part["PartsCount"], one_part["ContentLength"]) == (2, 1234)


def test_an_aborted_upload_leaves_nothing(api: Callable[..., Any], bucket: str) -> None:
    what = ("--bucket", bucket, "--key", "never")
    upload = api("create-multipart-upload", *what)["UploadId"]
    api("abort-multipart-upload", *what, "--upload-id", upload)
    assert "Uploads" not in api("list-multipart-uploads", "--bucket", bucket)


def test_delete_objects_tells_what_it_deleted(
    api: Callable[..., Any], bucket: str, s3: Any
) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    wish = json.dumps({"Objects": [{"Key": "a"}, {"Key": "was never there"}]})
    told = api("delete-objects", "--bucket", bucket, "--delete", wish)
    assert sorted(item["Key"] for item in told["Deleted"]) == ["a", "was never there"]
    assert "Contents" not in api("list-objects-v2", "--bucket", bucket)


def test_a_wrong_secret_is_told_as_such(
    program: Callable[..., Program], server: Server, bucket: str
) -> None:
    stranger = program(
        "aws", "--endpoint-url", server.endpoint, AWS_SECRET_ACCESS_KEY="not the secret"
    )
    assert "SignatureDoesNotMatch" in stranger.refused("s3", "ls", f"s3://{bucket}")
