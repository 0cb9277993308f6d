"""RestoreObject where nothing is archived, and the operations that are refused by name."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from coffre.s3.operations import TABLE
from coffre.s3.refused_table import REFUSED
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient

ONE_DAY = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}


@pytest.fixture
def key(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    return "key"


def test_what_is_not_archived_cannot_be_restored(s3: Any, bucket: str, key: str) -> None:
    about = {"Bucket": bucket, "Key": key, "RestoreRequest": ONE_DAY}
    assert refused(s3.restore_object, **about) == "InvalidObjectState"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", StorageClass="INTELLIGENT_TIERING")
    assert refused(s3.restore_object, **about) == "ObjectAlreadyInActiveTierError"


def test_the_refusal_names_the_class(wire: WireClient, bucket: str, key: str) -> None:
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    answer = wire.send("POST", f"/{bucket}/{key}?restore", body)
    assert (answer.status, answer.code) == (403, "InvalidObjectState")
    assert answer.field("StorageClass") == "STANDARD"


def test_what_is_not_there_cannot_be_restored(s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "none", "RestoreRequest": ONE_DAY}
    assert refused(s3.restore_object, **about) == "NoSuchKey"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "MissingRequestBodyError"),
        (b"<RestoreRequest/>", 400, "MalformedXML"),
        (b"<RestoreRequest><Days>0</Days></RestoreRequest>", 400, "InvalidArgument"),
        (b"<RestoreRequest><Days>one</Days></RestoreRequest>", 400, "MalformedXML"),
        (b"<RestoreRequest><Days>1</Days><Tier>Fast</Tier></RestoreRequest>", 400, "MalformedXML"),
        (b"<RestoreRequest><Days>1</Days><X/></RestoreRequest>", 400, "MalformedXML"),
        (b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>", 501, "NotImplemented"),
        (b"<Other/>", 400, "MalformedXML"),
    ],
)
def test_a_bad_request_to_restore_is_refused(
    wire: WireClient, bucket: str, key: str, body: bytes, status: int, code: str
) -> None:
    answer = wire.send("POST", f"/{bucket}/{key}?restore", body)
    assert (answer.status, answer.code) == (status, code)


JOURNAL = {"RecordExpiration": {"Expiration": "DISABLED"}}
CALLS: list[tuple[str, dict[str, Any], str]] = [
    (
        "create_bucket_metadata_configuration",
        {"MetadataConfiguration": {"JournalTableConfiguration": JOURNAL}},
        "NotImplemented",
    ),
    ("get_bucket_metadata_configuration", {}, "MetadataConfigurationNotFound"),
    (
        "create_bucket_metadata_table_configuration",
        {
            "MetadataTableConfiguration": {
                "S3TablesDestination": {"TableBucketArn": "arn:x", "TableName": "t"}
            }
        },
        "NotImplemented",
    ),
    ("get_bucket_metadata_table_configuration", {}, "MetadataConfigurationNotFound"),
    (
        "update_bucket_metadata_journal_table_configuration",
        {"JournalTableConfiguration": JOURNAL},
        "MetadataConfigurationNotFound",
    ),
    (
        "update_bucket_metadata_inventory_table_configuration",
        {"InventoryTableConfiguration": {"ConfigurationState": "ENABLED"}},
        "MetadataConfigurationNotFound",
    ),
    (
        "update_bucket_metadata_annotation_table_configuration",
        {"AnnotationTableConfiguration": {"ConfigurationState": "ENABLED"}},
        "MetadataConfigurationNotFound",
    ),
    ("get_object_torrent", {"Key": "key"}, "NotImplemented"),
]


@pytest.mark.parametrize(("call", "arguments", "code"), CALLS)
def test_what_is_refused_by_name_says_so_and_changes_nothing(
    s3: Any, bucket: str, key: str, call: str, arguments: dict[str, Any], code: str
) -> None:
    assert refused(getattr(s3, call), Bucket=bucket, **arguments) == code
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


def test_what_nobody_has_is_deleted_without_error(s3: Any, bucket: str) -> None:
    s3.delete_bucket_metadata_configuration(Bucket=bucket)
    s3.delete_bucket_metadata_table_configuration(Bucket=bucket)


def test_sessions_are_of_directory_buckets(wire: WireClient, bucket: str) -> None:
    answer = wire.send("GET", f"/{bucket}?session")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert "directory buckets" in answer.field("Message")


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_a_refusal_is_its_owners_to_hear(
    server: MemoryServer, stranger: Credentials, bucket: str, row: Any
) -> None:
    other = WireClient(server.port, stranger)
    path = f"/{bucket}/key" if row.target == "object" else f"/{bucket}"
    answer = other.send(row.method, f"{path}?{row.selector.sub_resource}")
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_every_row_that_is_refused_is_in_the_table_and_in_the_model() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    assert {row.name for row in REFUSED} <= set(model.operation_names)
    assert set(REFUSED) <= set(TABLE)


def test_restoring_is_the_owners(
    server: MemoryServer, stranger: Credentials, bucket: str, key: str
) -> None:
    other = boto(server, stranger)
    about = {"Bucket": bucket, "Key": key, "RestoreRequest": ONE_DAY}
    assert refused(other.restore_object, **about) == "AccessDenied"
