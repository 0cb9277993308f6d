"""Buckets: names, limits, places, pages."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.iam_client import Account
from tests.protocol.wire_client import WireClient


def test_a_bucket_is_made_found_and_removed(s3: Any) -> None:
    assert s3.create_bucket(Bucket="whole-life")["Location"] == "/whole-life"
    headers = s3.head_bucket(Bucket="whole-life")["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="whole-life")["LocationConstraint"] is None
    s3.delete_bucket(Bucket="whole-life")
    assert refused(s3.head_bucket, Bucket="whole-life") == "404"
    assert refused(s3.delete_bucket, Bucket="whole-life") == "NoSuchBucket"


def test_creating_ones_own_bucket_again_is_no_error_in_the_default_region(
    s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("name", ["ab", "Upper", "a..b", "192.168.0.1", "-a-", "a" * 64, "a_b"])
def test_a_bad_name_makes_no_bucket(wire: WireClient, name: str) -> None:
    answer = wire.send("PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")


def test_another_place_is_refused(wire: WireClient) -> None:
    body = (
        b"<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint>"
        b"</CreateBucketConfiguration>"
    )
    answer = wire.send("PUT", "/elsewhere", body)
    assert (answer.status, answer.code) == (400, "InvalidLocationConstraint")


def test_a_bucket_with_an_object_or_an_upload_is_not_deleted(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="up")["UploadId"]
    assert refused(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    s3.abort_multipart_upload(Bucket=bucket, Key="up", UploadId=upload)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert refused(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def test_one_bucket_more_than_the_limit_is_refused() -> None:
    with MemoryServer(bucket_limit=3) as server:
        client = boto(server, server.user)
        for name in ("one", "two", "three"):
            client.create_bucket(Bucket=name)
        assert refused(client.create_bucket, Bucket="four") == "TooManyBuckets"
        client.create_bucket(Bucket="three")
        client.delete_bucket(Bucket="one")
        client.create_bucket(Bucket="four")


@pytest.fixture(scope="module")
def lister(server: MemoryServer) -> Credentials:
    user = server.create_store("lister")
    client = boto(server, user)
    for name in ("apple", "apricot", "banana", "cherry", "citron"):
        client.create_bucket(Bucket=name)
    return user


def names(answer: dict[str, Any]) -> list[str]:
    return [one["Name"] for one in answer["Buckets"]]


def test_buckets_come_in_pages_by_token(server: MemoryServer, lister: Credentials) -> None:
    client = boto(server, lister)
    first = client.list_buckets(MaxBuckets=2)
    assert names(first) == ["apple", "apricot"]
    second = client.list_buckets(MaxBuckets=2, ContinuationToken=first["ContinuationToken"])
    assert names(second) == ["banana", "cherry"]
    third = client.list_buckets(MaxBuckets=2, ContinuationToken=second["ContinuationToken"])
    assert names(third) == ["citron"]
    assert "ContinuationToken" not in third
    assert third["Owner"] == {"ID": lister.id, "DisplayName": lister.label}


def test_buckets_are_filtered_by_prefix(server: MemoryServer, lister: Credentials) -> None:
    answer = boto(server, lister).list_buckets(Prefix="ap")
    assert (names(answer), answer["Prefix"]) == (["apple", "apricot"], "ap")


@pytest.mark.parametrize("query", ["max-buckets=0", "max-buckets=x", "continuation-token=!"])
def test_bad_pages_of_buckets_are_refused(wire: WireClient, query: str) -> None:
    answer = wire.send("GET", f"/?{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_the_acl_says_that_all_is_the_owners(s3: Any, server: MemoryServer, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert acl["Owner"]["ID"] == server.user.id
        (grant,) = acl["Grants"]
        assert (grant["Grantee"]["ID"], grant["Permission"]) == (server.user.id, "FULL_CONTROL")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-acl": "aws-exec-read"},
    ],
)
def test_a_bucket_is_not_made_with_less_than_was_asked_for(
    wire: WireClient, headers: dict[str, str]
) -> None:
    answer = wire.send("PUT", "/asks-too-much", b"", headers)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert wire.send("HEAD", "/asks-too-much").status == 404


def test_an_unexpected_owner_stops_the_request(s3: Any, bucket: str, server: MemoryServer) -> None:
    s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=server.user.id)
    account = Account(server)
    account.s3.head_bucket(Bucket=account.bucket(), ExpectedBucketOwner=account.number)
    code = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner="1" * 12)
    assert code == "AccessDenied"
