"""Server access logging: its configuration, and what is delivered into the target bucket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.access_log import Entry, log_line, operation_name
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient

POLICY = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal":
    {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::BUCKET/*"}]}"""
GROUP = "http://acs.amazonaws.com/groups/s3/LogDelivery"


@pytest.fixture
def target(s3: Any, bucket: str) -> str:
    """A bucket that takes logs."""
    name = f"{bucket}-logs"
    s3.create_bucket(Bucket=name, ACL="log-delivery-write")
    return name


def enable(s3: Any, bucket: str, target: str, **more: Any) -> None:
    enabled = {"TargetBucket": target, "TargetPrefix": "log/", **more}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def delivered(server: MemoryServer, s3: Any, target: str) -> tuple[list[str], list[list[str]]]:
    """Keys in the target, and the fields of all lines."""
    server.call(server.engine.access_logs.flush())
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=target).get("Contents", ())]
    lines: list[str] = []
    for key in keys:
        lines += s3.get_object(Bucket=target, Key=key)["Body"].read().decode().splitlines()
    return keys, [re.findall(r'"(?:[^"\\]|\\.)*"|\[[^]]*\]|\S+', line) for line in lines]


@pytest.mark.parametrize(
    "form",
    [
        None,
        {"SimplePrefix": {}},
        {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
        {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
    ],
)
def test_a_configuration_is_told_as_it_was_put(
    s3: Any, bucket: str, target: str, form: dict[str, Any] | None
) -> None:
    grants = [{"Grantee": {"Type": "Group", "URI": GROUP}, "Permission": "READ"}]
    more = {"TargetGrants": grants, **({"TargetObjectKeyFormat": form} if form else {})}
    enable(s3, bucket, target, **more)
    told = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert (told["TargetBucket"], told["TargetPrefix"]) == (target, "log/")
    assert told["TargetGrants"] == grants
    assert told["TargetObjectKeyFormat"] == (form or {"SimplePrefix": {}})
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_a_target_must_exist_be_ones_own_and_take_logs(
    server: MemoryServer, s3: Any, stranger: Credentials, bucket: str
) -> None:
    theirs = boto(server, stranger)
    theirs.create_bucket(Bucket=f"{bucket}-theirs", ACL="log-delivery-write")
    for target in ("no-such-bucket", f"{bucket}-theirs", bucket):
        with pytest.raises(s3.exceptions.ClientError) as error:
            enable(s3, bucket, target)
        told = error.value.response
        assert told["Error"]["Code"] == "InvalidTargetBucketForLogging"
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_logs_are_not_delivered_to_where_each_would_be_locked(s3: Any, bucket: str) -> None:
    name = f"{bucket}-locked"
    s3.create_bucket(
        Bucket=name,
        ACL="log-delivery-write",
        ObjectOwnership="ObjectWriter",
        ObjectLockEnabledForBucket=True,
    )
    enable(s3, bucket, name)
    s3.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    with pytest.raises(s3.exceptions.ClientError) as error:
        enable(s3, bucket, name)
    assert error.value.response["Error"]["Code"] == "InvalidTargetBucketForLogging"


def test_a_policy_lets_logs_in_too(server: MemoryServer, s3: Any, bucket: str) -> None:
    name = f"{bucket}-logs"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(
        Bucket=name,
        Policy=POLICY.replace("BUCKET", name),
    )
    enable(s3, bucket, name)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    _, lines = delivered(server, s3, name)
    assert "REST.PUT.OBJECT" in {line[6] for line in lines}


def test_grants_need_a_target_whose_acls_count(s3: Any, bucket: str) -> None:
    name = f"{bucket}-enforced"
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced")
    s3.put_bucket_policy(Bucket=name, Policy=POLICY.replace("BUCKET", name))
    grants = [{"Grantee": {"Type": "Group", "URI": GROUP}, "Permission": "READ"}]
    enabled = {"TargetBucket": name, "TargetPrefix": "", "TargetGrants": grants}
    about = {"Bucket": bucket, "BucketLoggingStatus": {"LoggingEnabled": enabled}}
    assert refused(s3.put_bucket_logging, **about) == "AccessControlListNotSupported"


@pytest.mark.parametrize(
    "inner",
    [
        b"<x/>",
        b"<LoggingEnabled/>",
        b"<LoggingEnabled><TargetBucket>b</TargetBucket></LoggingEnabled>",
        b"<LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix/><X/></LoggingEnabled>",
        b"<LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix/><TargetObjectKeyFormat/>"
        b"</LoggingEnabled>",
        b"<LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix/><TargetObjectKeyFormat>"
        b"<PartitionedPrefix><PartitionDateSource>Now</PartitionDateSource></PartitionedPrefix>"
        b"</TargetObjectKeyFormat></LoggingEnabled>",
    ],
)
def test_what_is_not_as_the_schema_says_is_refused(
    wire: WireClient, bucket: str, inner: bytes
) -> None:
    body = b"<BucketLoggingStatus>" + inner + b"</BucketLoggingStatus>"
    answer = wire.send("PUT", f"/{bucket}?logging", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_each_request_becomes_a_line(
    server: MemoryServer, s3: Any, wire: WireClient, bucket: str, target: str
) -> None:
    enable(s3, bucket, target)
    s3.put_object(Bucket=bucket, Key="a b", Body=b"12345")
    s3.get_object(Bucket=bucket, Key="a b", Range="bytes=1-2")
    refused(s3.get_object, Bucket=bucket, Key="none")
    agent = {"User-Agent": 'a "quoted" one', "Referer": "http://ref/"}
    wire.raw("GET", f"/{bucket}/a%20b?versionId=null", b"", {"Host": "main.localhost", **agent})
    s3.list_objects_v2(Bucket=bucket)
    keys, lines = delivered(server, s3, target)
    assert len(keys) == 1
    assert re.fullmatch(r"log/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}", keys[0])
    found = [line for line in lines if line[6] != "REST.PUT.LOGGING_STATUS"]
    assert {len(line) for line in found} == {26}
    put, get, missing, anonymous, listed = found
    assert [line[6] for line in found] == [
        "REST.PUT.OBJECT",
        "REST.GET.OBJECT",
        "REST.GET.OBJECT",
        "REST.GET.OBJECT",
        "REST.GET.BUCKET",
    ]
    user = server.user.id
    assert put[:2] == [user, bucket]
    assert (put[3], put[4], put[7], put[9], put[12]) == ("127.0.0.1", user, "a%2520b", "200", "5")
    assert put[8] == f'"PUT /{bucket}/a%20b HTTP/1.1"'
    assert (get[9], get[11], get[12]) == ("206", "2", "5")
    assert (missing[9], missing[10], missing[12]) == ("404", "NoSuchKey", "-")
    assert (anonymous[4], anonymous[9], anonymous[10]) == ("-", "403", "AccessDenied")
    assert anonymous[15:18] == ['"http://ref/"', '"a \\"quoted\\" one"', "null"]
    assert (put[19], put[21], listed[7]) == ("SigV4", "AuthHeader", "-")


def test_logs_lie_in_folders_of_days(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    form = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    enable(s3, bucket, target, TargetObjectKeyFormat=form)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    keys, _ = delivered(server, s3, target)
    folder = rf"log/main/us-east-1/{bucket}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\d-00-00-00-\w{{16}}"
    assert re.fullmatch(folder, keys[0])


def test_a_log_belongs_to_the_targets_owner_and_shows_its_grants(
    server: MemoryServer, s3: Any, stranger: Credentials, bucket: str, target: str
) -> None:
    grantee = {"Type": "CanonicalUser", "ID": stranger.id}
    enable(s3, bucket, target, TargetGrants=[{"Grantee": grantee, "Permission": "READ"}])
    s3.head_bucket(Bucket=bucket)
    keys, _ = delivered(server, s3, target)
    told = s3.get_object_acl(Bucket=target, Key=keys[0])
    assert told["Owner"]["ID"] == server.user.id
    assert {one["Grantee"]["ID"] for one in told["Grants"]} == {server.user.id, stranger.id}
    assert boto(server, stranger).get_object(Bucket=target, Key=keys[0])["Body"].read()


def test_nothing_is_delivered_where_it_is_not_wanted_any_more(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    enable(s3, bucket, target)
    s3.head_bucket(Bucket=bucket)
    s3.put_bucket_acl(Bucket=target, ACL="private")
    assert delivered(server, s3, target) == ([], [])


@given(text=st.text(max_size=60))
def test_no_text_of_a_strangers_adds_a_line(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    numbers = {"at_ms": 0, "status": 200, "sent": 0, "size": None, "total_ms": 0, "turn_ms": 0}
    plain = dict.fromkeys(("owner", "bucket", "client", "requester", "request_id"), "x")
    more = dict.fromkeys(("operation", "error", "host_id", "signature", "authentication"), "x")
    told = dict.fromkeys(("line", "referrer", "agent", "version", "host"), text)
    line = log_line(Entry(**numbers, **plain, **more, **told, key=raw, secure=False))  # type: ignore[arg-type]
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


@pytest.mark.parametrize(
    ("method", "sub", "key", "copy", "name"),
    [
        ("GET", "", True, False, "REST.GET.OBJECT"),
        ("PUT", "", True, True, "REST.COPY.OBJECT"),
        ("PUT", "uploadId", True, False, "REST.PUT.PART"),
        ("POST", "uploadId", True, False, "REST.POST.UPLOAD"),
        ("POST", "uploads", True, False, "REST.POST.UPLOADS"),
        ("GET", "versioning", False, False, "REST.GET.VERSIONING"),
        ("GET", "tagging", True, False, "REST.GET.OBJECT_TAGGING"),
        ("POST", "delete", False, False, "REST.POST.MULTI_OBJECT_DELETE"),
        ("GET", "list-type", False, False, "REST.GET.BUCKET"),
    ],
)
def test_what_an_operation_is_called(
    method: str, sub: str, key: bool, copy: bool, name: str
) -> None:
    assert operation_name(method, sub, key=key, copy=copy, site=False) == name
