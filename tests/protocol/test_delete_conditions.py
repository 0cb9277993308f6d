"""Deletes that demand something of what they delete: ETag, Last-Modified, size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.fixture
def put(s3: Any, bucket: str) -> Any:
    """An object of five bytes, as HEAD tells of it."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"12345")
    return s3.head_object(Bucket=bucket, Key="key")


def stands(s3: Any, bucket: str) -> bool:
    return bool(s3.list_objects_v2(Bucket=bucket)["KeyCount"])


def test_what_holds_lets_the_object_go(s3: Any, bucket: str, put: Any) -> None:
    s3.delete_object(
        Bucket=bucket,
        Key="key",
        IfMatch=put["ETag"],
        IfMatchLastModifiedTime=put["LastModified"],
        IfMatchSize=5,
    )
    assert not stands(s3, bucket)


@pytest.mark.parametrize(
    "condition",
    [
        {"IfMatch": '"0"'},
        {"IfMatchSize": 4},
        {"IfMatchLastModifiedTime": LONG_AGO},
        {"IfMatch": "*", "IfMatchSize": 6},
    ],
)
def test_what_does_not_hold_keeps_the_object(
    s3: Any, bucket: str, put: Any, condition: dict[str, Any]
) -> None:
    assert refused(s3.delete_object, Bucket=bucket, Key="key", **condition) == "PreconditionFailed"
    assert stands(s3, bucket)


def test_a_missing_key_meets_every_demand(s3: Any, bucket: str) -> None:
    answer = s3.delete_object(Bucket=bucket, Key="none", IfMatchSize=1)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_each_of_many_has_demands_of_its_own(s3: Any, bucket: str) -> None:
    keys = "abcdef"
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    modified = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    wanted = [
        {"Key": "a", "LastModifiedTime": modified},
        {"Key": "b", "LastModifiedTime": modified + timedelta(hours=1)},
        {"Key": "c", "Size": 5},
        {"Key": "d", "Size": 6},
        {"Key": "e", "ETag": '"0"'},
        {"Key": "none", "Size": 6},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [one["Key"] for one in answer["Deleted"]] == ["a", "c", "none"]
    failed = {one["Key"]: one["Code"] for one in answer["Errors"]}
    assert failed == dict.fromkeys("bde", "PreconditionFailed")


def test_a_version_is_deleted_on_its_own_terms(s3: Any, bucket: str) -> None:
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    old = s3.put_object(Bucket=bucket, Key="key", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"12")
    about = {"Bucket": bucket, "Key": "key", "VersionId": old}
    assert refused(s3.delete_object, **about, IfMatchSize=2) == "PreconditionFailed"
    s3.delete_object(**about, IfMatchSize=1)
    assert refused(s3.head_object, **about) == "404"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-if-match-size", "-1"),
        ("x-amz-if-match-size", "five"),
        ("x-amz-if-match-size", "9" * 19),
        ("x-amz-if-match-last-modified-time", "soon"),
    ],
)
def test_a_demand_that_cannot_be_read_is_refused(
    wire: WireClient, s3: Any, bucket: str, put: Any, name: str, value: str
) -> None:
    answer = wire.send("DELETE", f"/{bucket}/key", headers={name: value})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.field("ArgumentName") == name
    assert stands(s3, bucket)
