"""Access control by a bucket's tags: who enables it lets policies ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient

ON, OFF = {"Status": "Enabled"}, {"Status": "Disabled"}


def tag(s3: Any, bucket: str, value: str) -> None:
    tags = {"TagSet": [{"Key": "Project", "Value": value}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags)


def allow(s3: Any, bucket: str, key: str, effect: str = "Allow", value: str = "blue") -> None:
    """Everybody may list the bucket and get and put its objects where it has the tag."""
    open_to_all = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    tagged = {**open_to_all, "Effect": effect, "Condition": {"StringEquals": {key: value}}}
    statements = [tagged] if effect == "Allow" else [open_to_all, tagged]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": statements}))


def test_it_is_off_until_it_is_enabled_and_may_be_disabled_again(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == OFF
    for status in (ON, OFF, ON):
        s3.put_bucket_abac(Bucket=bucket, AbacStatus=status)
        assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == status


def test_while_it_is_on_the_buckets_tags_stay_as_they_are(
    s3: Any, wire: WireClient, bucket: str
) -> None:
    tag(s3, bucket, "blue")
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=ON)
    answer = wire.send("DELETE", f"/{bucket}?tagging")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    tags: dict[str, Any] = {"TagSet": []}
    assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging=tags) == "MethodNotAllowed"
    kept = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert kept == [{"Key": "Project", "Value": "blue"}]
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=OFF)
    s3.delete_bucket_tagging(Bucket=bucket)


@pytest.mark.parametrize("key", ["aws:ResourceTag/Project", "s3:BucketTag/Project"])
def test_policies_see_the_buckets_tags_while_it_is_on(
    s3: Any, server: MemoryServer, stranger: Credentials, bucket: str, key: str
) -> None:
    other = boto(server, stranger)
    allow(s3, bucket, key)
    tag(s3, bucket, "blue")
    assert refused(other.list_objects_v2, Bucket=bucket) == "AccessDenied"
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=ON)
    other.list_objects_v2(Bucket=bucket)
    other.put_object(Bucket=bucket, Key="key", Body=b"x")
    deleted = other.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})
    assert "Errors" not in deleted
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=OFF)
    assert refused(other.put_object, Bucket=bucket, Key="key", Body=b"x") == "AccessDenied"
    tag(s3, bucket, "red")
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=ON)
    assert refused(other.list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_a_tag_may_deny(s3: Any, server: MemoryServer, stranger: Credentials, bucket: str) -> None:
    other = boto(server, stranger)
    allow(s3, bucket, "aws:ResourceTag/Project", "Deny", "red")
    tag(s3, bucket, "red")
    other.list_objects_v2(Bucket=bucket)
    s3.put_bucket_abac(Bucket=bucket, AbacStatus=ON)
    assert refused(other.list_objects_v2, Bucket=bucket) == "AccessDenied"
