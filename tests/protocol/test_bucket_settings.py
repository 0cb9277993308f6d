"""A bucket's configurations: kept, told, refused, absent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.s3.settings_table import BUCKET_SETTINGS
from coffre.testing.server import Credentials, MemoryServer
from coffre.wire import bucket_settings as documents
from coffre.wire.errors import S3Error
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient


def status(answer: Any) -> int:
    code: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return code


def encryption(s3: Any, bucket: str) -> dict[str, Any]:
    answer = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    (rule,) = answer["Rules"]
    found: dict[str, Any] = rule
    return found


def test_every_bucket_is_encrypted_and_may_say_so(s3: Any, bucket: str) -> None:
    default = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
    }
    assert encryption(s3, bucket) == default
    asked = {"Rules": [{**default, "BucketKeyEnabled": True}]}
    assert (
        status(s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=asked))
        == 200
    )
    assert encryption(s3, bucket)["BucketKeyEnabled"] is True
    assert status(s3.delete_bucket_encryption(Bucket=bucket)) == 204
    assert encryption(s3, bucket) == default


def test_a_bucket_may_take_no_keys_of_customers(s3: Any, bucket: str) -> None:
    theirs = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    named = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**named, Body=b"x", **theirs)
    default = {"SSEAlgorithm": "AES256"}
    for types, code in ((["SSE-C"], "AccessDenied"), (["NONE"], "")):
        told = {
            "ApplyServerSideEncryptionByDefault": default,
            "BlockedEncryptionTypes": {"EncryptionType": types},
        }
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [told]})
        if code:
            blocked = encryption(s3, bucket)["BlockedEncryptionTypes"]
            assert blocked == {"EncryptionType": types}
            assert refused(s3.put_object, **named, Body=b"", **theirs) == code
            assert refused(s3.create_multipart_upload, **named, **theirs) == code
            assert s3.get_object(**named, **theirs)["Body"].read() == b"x"
        else:
            s3.put_object(**named, Body=b"", **theirs)


def rule(inner: str) -> bytes:
    root = "ServerSideEncryptionConfiguration"
    return f"<{root}><Rule>{inner}</Rule></{root}>".encode()


def by_default(algorithm: str, more: str = "") -> str:
    inner = f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>{more}"
    return f"<ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>"


AES = by_default("AES256")
BAD = [
    ("encryption", rule(by_default("aws:kms:dsse")), 501, "NotImplemented"),
    ("encryption", rule(by_default("ROT13")), 400, "MalformedXML"),
    ("encryption", rule(""), 400, "MalformedXML"),
    ("encryption", rule(AES + AES), 400, "MalformedXML"),
    ("encryption", rule(AES + "<BucketKeyEnabled>x</BucketKeyEnabled>"), 400, "MalformedXML"),
    (
        "encryption",
        rule(by_default("AES256", "<KMSMasterKeyID>k</KMSMasterKeyID>")),
        400,
        "InvalidArgument",
    ),
    (
        "encryption",
        rule(
            AES + "<BlockedEncryptionTypes><EncryptionType>SSE-S3</EncryptionType>"
            "</BlockedEncryptionTypes>"
        ),
        400,
        "MalformedXML",
    ),
    ("encryption", rule(AES + "<BlockedEncryptionTypes/>"), 400, "MalformedXML"),
    ("encryption", b"<ServerSideEncryptionConfiguration/>", 400, "MalformedXML"),
    ("encryption", b"", 400, "MissingRequestBodyError"),
    ("ownershipControls", b"<OwnershipControls/>", 400, "MalformedXML"),
    (
        "ownershipControls",
        b"<OwnershipControls><Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>"
        b"</OwnershipControls>",
        400,
        "MalformedXML",
    ),
    (
        "publicAccessBlock",
        b"<PublicAccessBlockConfiguration><BlockAll>true</BlockAll>"
        b"</PublicAccessBlockConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "publicAccessBlock",
        b"<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls>"
        b"</PublicAccessBlockConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "requestPayment",
        b"<RequestPaymentConfiguration><Payer>Me</Payer></RequestPaymentConfiguration>",
        400,
        "MalformedXML",
    ),
    ("abac", b"<AbacStatus/>", 400, "MalformedXML"),
    ("abac", b"", 400, "MissingRequestBodyError"),
    ("abac", b"<AbacStatus><Status>On</Status></AbacStatus>", 400, "MalformedXML"),
    ("logging", b"<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>", 400, ""),
    ("logging", b"<BucketLoggingStatus><Other/></BucketLoggingStatus>", 400, "MalformedXML"),
    (
        "notification",
        b"<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>",
        501,
        "NotImplemented",
    ),
    ("notification", b"<NotificationConfiguration><X/></NotificationConfiguration>", 400, ""),
    ("notification", b"<!DOCTYPE a><NotificationConfiguration/>", 400, "MalformedXML"),
    ("notification", b"<N" + b" " * (256 << 10) + b"/>", 400, "MaxMessageLengthExceeded"),
]


@pytest.mark.parametrize(("sub", "body", "status", "code"), BAD)
def test_a_bad_configuration_is_refused_and_nothing_kept(
    wire: WireClient, bucket: str, sub: str, body: bytes, status: int, code: str
) -> None:
    before = wire.send("GET", f"/{bucket}?{sub}").body
    answer = wire.send("PUT", f"/{bucket}?{sub}", body)
    assert answer.status == status
    assert answer.code == code or not code
    after = wire.send("GET", f"/{bucket}?{sub}").body
    assert after.split(b"<RequestId>")[0] == before.split(b"<RequestId>")[0]


@pytest.mark.parametrize("owner", ["ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"])
def test_ownership_is_kept_and_removed(s3: Any, bucket: str, owner: str) -> None:
    missing = "OwnershipControlsNotFoundError"
    assert refused(s3.get_bucket_ownership_controls, Bucket=bucket) == missing
    controls = {"Rules": [{"ObjectOwnership": owner}]}
    done = s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    assert status(done) == 200
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == controls
    assert status(s3.delete_bucket_ownership_controls(Bucket=bucket)) == 204
    assert refused(s3.get_bucket_ownership_controls, Bucket=bucket) == missing


def test_a_public_access_block_is_kept_and_removed(s3: Any, bucket: str) -> None:
    missing = "NoSuchPublicAccessBlockConfiguration"
    assert refused(s3.get_public_access_block, Bucket=bucket) == missing
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "RestrictPublicBuckets": True},
    )
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": True,
    }
    assert status(s3.delete_public_access_block(Bucket=bucket)) == 204
    assert refused(s3.get_public_access_block, Bucket=bucket) == missing


def test_what_is_the_same_in_every_bucket_is_told_and_may_be_put(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket}
    s3.put_bucket_request_payment(**named, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    assert s3.get_bucket_request_payment(**named)["Payer"] == "BucketOwner"
    s3.put_bucket_logging(**named, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(**named)
    s3.put_bucket_notification_configuration(**named, NotificationConfiguration={})
    told = s3.get_bucket_notification_configuration(**named)
    assert told.keys() == {"ResponseMetadata"}
    assert "Status" not in s3.get_bucket_accelerate_configuration(**named)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("get_bucket_policy_status", "NoSuchBucketPolicy"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ],
)
def test_what_no_bucket_has_is_not_found(s3: Any, bucket: str, call: str, code: str) -> None:
    assert refused(getattr(s3, call), Bucket=bucket) == code


@pytest.mark.parametrize(
    "call",
    [
        *("delete_bucket_website", "delete_bucket_replication", "delete_bucket_lifecycle"),
        "delete_bucket_policy",
    ],
)
def test_what_no_bucket_has_is_deleted_without_error(s3: Any, bucket: str, call: str) -> None:
    assert status(getattr(s3, call)(Bucket=bucket)) == 204


@pytest.mark.parametrize("what", ["analytics", "inventory", "metrics", "intelligent_tiering"])
def test_a_new_bucket_has_none_of_the_configurations_that_have_ids(
    s3: Any, bucket: str, what: str
) -> None:
    listed = getattr(s3, f"list_bucket_{what}_configurations")(Bucket=bucket)
    assert listed["IsTruncated"] is False
    assert listed.keys() == {"ResponseMetadata", "IsTruncated"}
    for verb in ("get", "delete"):
        call = getattr(s3, f"{verb}_bucket_{what}_configuration")
        assert refused(call, Bucket=bucket, Id="one") == "NoSuchConfiguration"


@pytest.mark.parametrize("row", BUCKET_SETTINGS, ids=lambda row: row.name)
def test_a_configuration_is_its_owners(
    server: MemoryServer, stranger: Credentials, bucket: str, wire: WireClient, row: Any
) -> None:
    target = f"/{bucket}?{row.selector.sub_resource}"
    other = WireClient(server.port, stranger)
    answer = other.send(row.method, target, b"<x/>" if row.method == "PUT" else b"")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    headers = {"x-amz-expected-bucket-owner": "somebody"}
    answer = wire.send(row.method, target, b"<x/>" if row.method == "PUT" else b"", headers)
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_settings_go_with_their_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="comes-back")
    block = {"BlockPublicAcls": True}
    s3.put_public_access_block(Bucket="comes-back", PublicAccessBlockConfiguration=block)
    s3.delete_bucket(Bucket="comes-back")
    s3.create_bucket(Bucket="comes-back")
    code = refused(s3.get_public_access_block, Bucket="comes-back")
    assert code == "NoSuchPublicAccessBlockConfiguration"


def test_settings_of_a_missing_bucket_are_not_found(
    s3: Any, server: MemoryServer, stranger: Credentials
) -> None:
    assert refused(s3.get_bucket_encryption, Bucket="no-such-bucket") == "NoSuchBucket"
    assert refused(boto(server, stranger).get_bucket_logging, Bucket="no-such") == "NoSuchBucket"


PARSERS: list[Any] = [
    documents.parse_ownership,
    documents.parse_public_access_block,
    documents.parse_encryption,
    documents.parse_abac,
]
NAMES = [
    *("OwnershipControls", "Rule", "ObjectOwnership", "PublicAccessBlockConfiguration"),
    *("ServerSideEncryptionConfiguration", "BucketKeyEnabled", "BlockedEncryptionTypes"),
    *("BucketLoggingStatus", "NotificationConfiguration", "RequestPaymentConfiguration"),
]
XML = st.recursive(
    st.text("true <&x", max_size=4).map(lambda text: text.replace("<", "").replace("&", "")),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>",
        st.sampled_from(NAMES),
        st.lists(inner, max_size=2),
    ),
)


@given(st.sampled_from(PARSERS), XML)
def test_any_document_is_read_or_refused(parser: Any, text: str) -> None:
    with suppress(S3Error):
        parser(text.encode())


@given(st.builds(documents.PublicAccessBlock, *(st.booleans(),) * 4))
def test_a_block_reads_as_it_was_rendered(block: documents.PublicAccessBlock) -> None:
    rendered = documents.render_public_access_block(block)
    assert documents.parse_public_access_block(rendered) == block
