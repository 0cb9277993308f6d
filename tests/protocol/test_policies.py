"""Bucket policies over the wire: kept as they were put, refused by name, and obeyed at once."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import Answer, WireClient


def document(bucket: str, *statements: dict[str, Any]) -> str:
    full = [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            **one,
        }
        for one in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": full})


@pytest.fixture(scope="module")
def other(server: MemoryServer, stranger: Credentials) -> Any:
    return boto(server, stranger)


def nobody(wire: WireClient, target: str) -> Answer:
    """A request that nobody signed, as a browser sends it."""
    return wire.raw("GET", target, b"", {"Host": "main.localhost"})


def test_a_policy_is_told_as_it_was_put_until_it_is_deleted(s3: Any, bucket: str) -> None:
    put = document(bucket, {})
    s3.put_bucket_policy(Bucket=bucket, Policy=put)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == put
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    assert refused(s3.get_bucket_policy_status, Bucket=bucket) == "NoSuchBucketPolicy"


def test_a_public_prefix_is_read_by_everybody(s3: Any, wire: WireClient, bucket: str) -> None:
    for key in ("public/a", "private/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert nobody(wire, f"/{bucket}/public/a").code == "AccessDenied"
    resource = f"arn:aws:s3:::{bucket}/public/*"
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, {"Resource": resource}))
    assert nobody(wire, f"/{bucket}/public/a").body == b"x"
    assert nobody(wire, f"/{bucket}/private/a").code == "AccessDenied"
    assert nobody(wire, f"/{bucket}").code == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)
    assert nobody(wire, f"/{bucket}/public/a").code == "AccessDenied"


def test_an_access_key_is_let_in_by_name(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    rights = {"Principal": [stranger.access_key], "Action": ["s3:PutObject", "s3:GetObject"]}
    plain = document(bucket, {**rights, "Resource": f"{bucket}/*"})
    s3.put_bucket_policy(Bucket=bucket, Policy=plain)
    other.put_object(Bucket=bucket, Key="k", Body=b"theirs")
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"theirs"
    assert refused(other.delete_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert refused(other.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert refused(other.get_bucket_policy, Bucket=bucket) == "AccessDenied"


def test_an_acl_beside_a_write_needs_its_own_permission(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    mine = {"Principal": [stranger.access_key], "Action": "s3:PutObject"}
    acls = {**mine, "Action": "s3:PutObjectAcl"}
    put = {"Bucket": bucket, "Key": "k", "ACL": "bucket-owner-full-control"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, mine))
    assert refused(other.put_object, **put) == "AccessDenied"
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, mine, acls))
    other.put_object(**put)


def test_a_denial_binds_the_owner_but_leaves_it_the_policy(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    everything = {"Effect": "Deny", "Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, everything))
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": []}) == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_conditions_look_at_headers_queries_and_tags(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    me = {"Principal": [stranger.access_key]}
    s3.put_object(Bucket=bucket, Key="red", Body=b"r", Tagging="colour=red")
    s3.put_object(Bucket=bucket, Key="blue", Body=b"b", Tagging="colour=blue")
    tagged = {
        **me,
        "Condition": {"StringEquals": {"s3:ExistingObjectTag/colour": "red"}},
    }
    listing = {
        **me,
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {
            "StringLike": {"s3:prefix": "home/*"},
            "NumericLessThanEquals": {"s3:max-keys": "10"},
        },
    }
    tagging = {
        **me,
        "Action": ["s3:PutObject", "s3:PutObjectTagging"],
        "Condition": {"StringEquals": {"s3:RequestObjectTag/colour": "green"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, tagged, listing, tagging))
    assert other.get_object(Bucket=bucket, Key="red")["Body"].read() == b"r"
    assert refused(other.get_object, Bucket=bucket, Key="blue") == "AccessDenied"
    assert other.list_objects_v2(Bucket=bucket, Prefix="home/a", MaxKeys=10)["KeyCount"] == 0
    assert refused(other.list_objects_v2, Bucket=bucket, Prefix="home/a") == "AccessDenied"
    assert refused(other.list_objects_v2, Bucket=bucket, MaxKeys=5) == "AccessDenied"
    green = {"Tagging": "colour=green"}
    other.put_object(Bucket=bucket, Key="new", Body=b"g", **green)
    assert refused(other.put_object, Bucket=bucket, Key="new2", Body=b"g") == "AccessDenied"


@pytest.mark.parametrize(
    ("key", "fits", "other_value"),
    [
        ("aws:ViaAWSService", "false", "true"),
        ("aws:PrincipalIsAWSService", "false", "true"),
        ("aws:RequestedRegion", "us-east-1", "eu-west-3"),
        ("s3:ResourceAccount", "main", "000000000000"),
    ],
)
def test_a_denial_by_what_every_signed_request_has_denies(
    s3: Any, bucket: str, key: str, fits: str, other_value: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    # No address is elsewhere, as policies that keep to a network are told on AWS.
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    for value, code in ((fits, "AccessDenied"), (other_value, None)):
        condition = {**elsewhere, "StringEquals": {key: value}}
        barred = {"Effect": "Deny", "Principal": "*", "Condition": condition}
        s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, barred))
        if code is None:
            assert s3.get_object(Bucket=bucket, Key="k")
        else:
            assert refused(s3.get_object, Bucket=bucket, Key="k") == code


def test_only_writes_with_a_condition_make_objects_where_a_policy_says_so(
    s3: Any, bucket: str
) -> None:
    unless = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    barred = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Condition": unless}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, barred))
    asked = {"Bucket": bucket, "Key": "k"}
    assert refused(s3.put_object, **asked, Body=b"x") == "AccessDenied"
    source = {"CopySource": f"{bucket}/k"}
    s3.put_object(**asked, Body=b"x", IfNoneMatch="*")
    assert refused(s3.copy_object, **asked, **source) == "AccessDenied"
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    s3.upload_part_copy(**upload, **source, PartNumber=2)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert refused(s3.complete_multipart_upload, **upload, MultipartUpload=parts) == "AccessDenied"
    s3.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*")


def test_tags_that_an_object_is_given_later_are_those_that_a_denial_is_about(
    s3: Any, wire: WireClient, stranger: Credentials, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k")
    may = {"Principal": [stranger.access_key], "Action": "s3:PutObjectTagging"}
    denials = (
        {"StringEquals": {"s3:RequestObjectTag/colour": "red"}},
        {"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["secret"]}},
    )
    no = ({**may, "Effect": "Deny", "Condition": one} for one in denials)
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, may, *no))
    client = WireClient(wire.port, stranger)
    for key, value, status in (("colour", "red", 403), ("secret", "x", 403), ("colour", "b", 200)):
        tag = f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"
        body = f"<Tagging><TagSet>{tag}</TagSet></Tagging>".encode()
        digest = {"Content-MD5": b64encode(hashlib.md5(body).digest()).decode()}
        # A header that tags what is put says nothing of what is put in this body.
        for also in ({}, {"x-amz-tagging": "colour=blue"}):
            answer = client.send("PUT", f"/{bucket}/k?tagging", body, {**digest, **also})
            assert answer.status == status


def test_only_tags_that_a_policy_allows_are_given_later(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k")
    may = {
        "Principal": [stranger.access_key],
        "Action": "s3:PutObjectTagging",
        "Condition": {"StringEquals": {"s3:RequestObjectTag/colour": "green"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, may))

    def give(key: str, colour: str) -> None:
        tags = {"TagSet": [{"Key": "colour", "Value": colour}]}
        other.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags)

    give("k", "green")
    for key in ("k", "missing"):  # Neither the key nor the document is spoken of.
        assert refused(give, key, "red") == "AccessDenied"
        assert refused(give, key, "x" * 257) == "AccessDenied"


def test_a_version_takes_its_own_permission(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    me = {"Principal": [stranger.access_key]}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, me))
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    named = {"Bucket": bucket, "Key": "k", "VersionId": version}
    assert refused(other.get_object, **named) == "AccessDenied"
    one = {
        **me,
        "Action": "s3:GetObjectVersion",
        "Condition": {"StringEquals": {"s3:VersionId": version}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, me, one))
    assert other.get_object(**named)["Body"].read() == b"1"


def test_a_copy_reads_its_source_by_the_sources_policy(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    mine = f"{bucket}-mine"
    other.create_bucket(Bucket=mine)
    source = {"Bucket": bucket, "Key": "k"}
    assert refused(other.copy_object, Bucket=mine, Key="c", CopySource=source) == "AccessDenied"
    me = {"Principal": {"AWS": [stranger.access_key]}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, me))
    other.copy_object(Bucket=mine, Key="c", CopySource=source)


def test_deletes_of_many_are_decided_key_by_key(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    for key in ("tmp/a", "keep/a"):
        s3.put_object(Bucket=bucket, Key=key)
    mine = {
        "Principal": [stranger.access_key],
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{bucket}/tmp/*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, mine))
    told = other.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "tmp/a"}, {"Key": "keep/a"}]}
    )
    assert [one["Key"] for one in told["Deleted"]] == ["tmp/a"]
    assert [(one["Key"], one["Code"]) for one in told["Errors"]] == [("keep/a", "AccessDenied")]


def test_what_names_a_version_in_a_body_or_header_is_decided_on_that_version(
    s3: Any, other: Any, wire: WireClient, stranger: Credentials, bucket: str
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    shut, free = (s3.put_object(Bucket=bucket, Key="k")["VersionId"] for _ in range(2))
    mine = {
        "Principal": [stranger.access_key],
        "Action": ["s3:GetObjectVersion", "s3:DeleteObjectVersion"],
        "Condition": {"StringEquals": {"s3:VersionId": free}},
    }
    put = {"Principal": [stranger.access_key], "Action": "s3:PutObject"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, mine, put))
    client = WireClient(wire.port, stranger)
    for version, told in ((shut, "AccessDenied"), (free, "")):
        source = {"x-amz-copy-source": f"/{bucket}/k?versionId={version}"}
        # What the query says of a version is about nothing here.
        answer = client.send("PUT", f"/{bucket}/copy?versionId={free}", b"", source)
        assert answer.code == told
        objects = f"<Object><Key>k</Key><VersionId>{version}</VersionId></Object>"
        body = f"<Delete>{objects}</Delete>".encode()
        digest = b64encode(hashlib.md5(body).digest()).decode()
        target = f"/{bucket}?delete&versionId={free}"
        answer = client.send("POST", target, body, {"Content-MD5": digest})
        assert answer.status == 200
        assert (b"AccessDenied" in answer.body) == bool(told)
    left = s3.list_object_versions(Bucket=bucket, Prefix="k")["Versions"]
    assert [one["VersionId"] for one in left] == [shut]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Action": "s3:FlyObject"}, "invalid action"),
        ({"Resource": "arn:aws:s3:::elsewhere/*"}, "invalid resource"),
        ({"Principal": {"AWS": "arn:aws:iam::x"}}, "Invalid principal"),
        ({"Condition": {"StringSounds": {"aws:Referer": "x"}}}, "Invalid Condition type"),
        ({"Colour": 1}, "Unknown field"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_and_changes_nothing(
    s3: Any, bucket: str, statement: dict[str, Any], message: str
) -> None:
    kept = document(bucket, {})
    s3.put_bucket_policy(Bucket=bucket, Policy=kept)
    with pytest.raises(ClientError, match=message) as error:
        s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, statement))
    assert error.value.response["Error"]["Code"] == "MalformedPolicy"
    assert error.value.response["Error"]["Detail"].startswith("Statement[0]")
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == kept


def test_a_policy_longer_than_20_kb_is_refused(s3: Any, bucket: str) -> None:
    long = document(bucket, *({"Sid": f"s{n}"} for n in range(200)))
    assert len(long) > 20 * 1024
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=long) == "MalformedPolicy"


def test_public_access_can_be_blocked_and_restricted(
    s3: Any, wire: WireClient, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, {}))
    assert nobody(wire, f"/{bucket}/k").status == 200
    block = {"RestrictPublicBuckets": True, "BlockPublicPolicy": True}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert nobody(wire, f"/{bucket}/k").code == "AccessDenied"
    again = document(bucket, {"Sid": "again"})
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=again) == "AccessDenied"
    s3.delete_public_access_block(Bucket=bucket)
    assert nobody(wire, f"/{bucket}/k").status == 200


def test_another_user_may_not_touch_the_policy_unless_it_says_so(
    s3: Any, other: Any, stranger: Credentials, bucket: str
) -> None:
    assert refused(other.put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
    rights = {
        "Principal": [stranger.access_key],
        "Action": ["s3:GetBucketPolicy", "s3:GetBucketPolicyStatus"],
        "Resource": f"arn:aws:s3:::{bucket}",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, rights))
    assert other.get_bucket_policy(Bucket=bucket)["Policy"]
    assert other.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert refused(other.delete_bucket_policy, Bucket=bucket) == "AccessDenied"


def test_the_document_goes_out_as_json(s3: Any, wire: WireClient, bucket: str) -> None:
    s3.put_bucket_policy(Bucket=bucket, Policy=document(bucket, {}))
    answer = wire.send("GET", f"/{bucket}?policy")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


def test_a_denial_binds_whoever_would_deliver_logs_too(s3: Any, bucket: str) -> None:
    target = f"{bucket}-logs"
    s3.create_bucket(Bucket=target)
    s3.put_bucket_acl(
        Bucket=target,
        GrantWrite='uri="http://acs.amazonaws.com/groups/s3/LogDelivery"',
        GrantReadACP='uri="http://acs.amazonaws.com/groups/s3/LogDelivery"',
    )
    logging = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=logging)
    service = {
        "Effect": "Deny",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
    }
    s3.put_bucket_policy(Bucket=target, Policy=document(target, service))
    put = {"Bucket": bucket, "BucketLoggingStatus": logging}
    assert refused(s3.put_bucket_logging, **put) == "InvalidTargetBucketForLogging"
