"""Input that made other services read files, call strangers, fall over or forget to encrypt."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient

ENTITY = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>"""
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>"""


def md5(body: bytes) -> dict[str, str]:
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"Content-MD5": b64encode(digest).decode()}


@pytest.mark.parametrize("prologue", [ENTITY, LAUGHS], ids=["a file", "laughs"])
@pytest.mark.parametrize(
    ("query", "document"),
    [
        (
            "tagging",
            b"<Tagging><TagSet><Tag><Key>a</Key><Value>&%s;</Value></Tag></TagSet></Tagging>",
        ),
        (
            "cors",
            b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod>"
            b"<AllowedOrigin>&%s;</AllowedOrigin></CORSRule></CORSConfiguration>",
        ),
        ("versioning", b"<VersioningConfiguration><Status>&%s;</Status></VersioningConfiguration>"),
        ("delete", b"<Delete><Object><Key>&%s;</Key></Object></Delete>"),
        (
            "lifecycle",
            b"<LifecycleConfiguration><Rule><ID>&%s;</ID></Rule></LifecycleConfiguration>",
        ),
    ],
)
def test_documents_have_no_entities(
    wire: WireClient, s3: Any, bucket: str, query: str, document: bytes, prologue: bytes
) -> None:
    body = prologue + document % (b"e" if prologue is ENTITY else b"d")
    method = "POST" if query == "delete" else "PUT"
    answer = wire.send(method, f"/{bucket}?{query}", body, md5(body))
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "key",
    [
        *("../other/k", "../../etc/passwd", "a/../../k", "./k", "a//b", "/k", "..", "."),
        *("k\\..\\x", "%2e%2e/k", "C:/k", "k\r\nx-injected: 1", "k\x01"),
    ],
)
def test_a_key_is_a_name_and_no_path(wire: WireClient, s3: Any, bucket: str, key: str) -> None:
    """It is found under its own name alone, and reaches no other bucket and no file."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"here")
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert listed["Key"] == key
    answer = s3.get_object(Bucket=bucket, Key=key)
    assert answer["Body"].read() == b"here"
    assert "x-injected" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_an_archive_that_is_put_stays_one(s3: Any, bucket: str) -> None:
    """No header unpacks what is sent into keys that nobody checked."""
    for name in ("snowball-auto-extract", "minio-snowball-prefix"):
        s3.put_object(Bucket=bucket, Key="a.tar", Body=b"../x", Metadata={name: "true"})
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a.tar"]


def test_nobody_makes_the_server_call_an_address(s3: Any, bucket: str) -> None:
    """Events go to destinations that the operator named, never to a URL from a request."""
    for arn in (
        *("http://169.254.169.254/latest", "arn:aws:sqs:us-east-1:1:http://127.0.0.1:1/"),
        *("arn:coffre:webhook::http://127.0.0.1/", "arn:aws:lambda:us-east-1:1:function:x"),
    ):
        queue = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
        configuration = {"QueueConfigurations": [queue]}
        assert (
            refused(
                s3.put_bucket_notification_configuration,
                Bucket=bucket,
                NotificationConfiguration=configuration,
            )
            == "InvalidArgument"
        )
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    "name",
    [
        *("x-amz-meta-x-coffre-encryption", "x-coffre-internal", "x-minio-internal-encrypted"),
        *("x-amz-meta-x-amz-server-side-encryption", "x-emc-internal", "x-amz-restore"),
        *("x-amz-replication-status", "x-amz-version-id", "x-amz-delete-marker"),
    ],
)
def test_no_header_forges_what_the_service_knows_of_an_object(
    wire: WireClient, s3: Any, bucket: str, name: str
) -> None:
    """Names that services keep for themselves once let a client say that its data was sealed."""
    answer = wire.send("PUT", f"/{bucket}/k", b"text", {name: "true"})
    if answer.status != 200:
        assert answer.status == 400
        return
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"
    told = s3.head_object(Bucket=bucket, Key="k")
    assert told["ServerSideEncryption"] == "AES256"
    headers = told["ResponseMetadata"]["HTTPHeaders"]
    meta = name.startswith("x-amz-meta-")
    assert (name in headers) == meta
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"text"


@pytest.mark.parametrize("algorithm", ["none", "NONE", "aes256", "AES128", "AES256, none"])
def test_no_request_asks_for_less_encryption(s3: Any, bucket: str, algorithm: str) -> None:
    """What lies on the drives is looked at in `tests/fault/test_at_rest.py`."""
    for call in (s3.put_object, s3.create_multipart_upload):
        code = refused(call, Bucket=bucket, Key="k", ServerSideEncryption=algorithm)
        assert code in ("InvalidArgument", "InvalidEncryptionAlgorithmError")


def test_an_object_is_shown_as_what_it_is_and_runs_nothing(
    s3: Any, wire: WireClient, bucket: str
) -> None:
    """Neither names nor types break out of the headers and documents that they are told in."""
    page = b"<script>alert(1)</script>"
    s3.put_object(Bucket=bucket, Key="<script>", Body=page, ContentType="text/html")
    listed = wire.send("GET", f"/{bucket}?list-type=2&prefix=%3Cscript%3E")
    assert b"<script>" not in listed.body
    missing = wire.send("GET", f"/{bucket}/%3Cscript%3Ealert(1)%3C/script%3E")
    assert missing.status == 404
    assert b"<script>" not in missing.body
    assert missing.headers["content-type"] == "application/xml"
    injected = "inline%0d%0aset-cookie:%20a=b"
    answer = wire.send("GET", f"/{bucket}/%3Cscript%3E?response-content-disposition={injected}")
    assert answer.status == 400
    assert "set-cookie" not in answer.headers


def test_no_origin_is_told_back_without_a_rule(wire: WireClient, s3: Any, bucket: str) -> None:
    asked = {"Origin": "https://evil.example.org"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = wire.send("GET", f"/{bucket}/k", b"", asked)
    assert not {name for name in answer.headers if name.startswith("access-control-")}
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    answer = wire.send("GET", f"/{bucket}/k", b"", asked)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(3000))},
        {"Range": "bytes=99999999999999999999999-"},
        {"If-Modified-Since": "x" * 5000},
        {"x-amz-expected-bucket-owner": "\xff"},
        {"Content-Type": "a" * 7000},
        {"x-amz-copy-source": "/" * 2000},
    ],
    ids=lambda one: next(iter(one)),
)
def test_strange_headers_are_answered(
    wire: WireClient, bucket: str, headers: dict[str, str]
) -> None:
    for method in ("GET", "PUT"):
        answer = wire.send(method, f"/{bucket}/k", b"", headers)
        assert answer.status < 500 or answer.code == "NotImplemented", (method, answer)


def test_a_policy_with_more_than_it_can_mean_is_refused(s3: Any, bucket: str) -> None:
    """A condition or an action that is not known was once ignored, and the rest taken."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    changes: tuple[dict[str, Any], ...] = (
        {"Condition": {"IpAddress": {"aws:SourceIpp": "10.0.0.0/8"}}},
        {"Condition": {"IpAdress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}}},
        {"Conditions": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Action": ["s3:GetObject", "s3:GetObjekt"]},
        {"Principal": {"AWS": []}},
        {"Effect": "allow"},
    )
    for more in changes:
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more}]})
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=document) == "MalformedPolicy"
    assert refused(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
