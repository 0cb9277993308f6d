"""Inventories of buckets: the configuration, and the reports that a steward makes of it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet
import pytest

from coffre.service.delivery_parquet import to_parquet
from coffre.stewards.inventory import Inventory
from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.inventory import FIELDS, read_inventory
from tests.protocol.boto_client import boto, refused


class Memory:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def progress(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def set_progress(self, name: str, value: bytes) -> None:
        self.kept[name] = value


def steward(server: MemoryServer, file_bytes: int = 1 << 19) -> Inventory:
    engine = server.engine
    about = (engine.catalog, engine.deposit, engine.clock, engine.entropy)
    return Inventory(*about, Memory(), read_inventory, to_parquet, file_bytes)


def configuration(target: str, **more: Any) -> dict[str, Any]:
    where = {"Bucket": f"arn:aws:s3:::{target}", "Format": "CSV", "Prefix": "reports"}
    return {
        "Id": "inv",
        "IsEnabled": True,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": {**where, **more.pop("where", {})}},
        **more,
    }


@pytest.fixture
def target(s3: Any, bucket: str) -> str:
    s3.create_bucket(Bucket=f"{bucket}-reports")
    return f"{bucket}-reports"


def put(s3: Any, bucket: str, told: dict[str, Any]) -> None:
    about = {"Bucket": bucket, "Id": told["Id"], "InventoryConfiguration": told}
    s3.put_bucket_inventory_configuration(**about)


def report(s3: Any, target: str) -> tuple[dict[str, Any], list[bytes]]:
    """The manifest of the one report, and its files; their checksums are right."""
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=target).get("Contents", ())]

    def read(key: str) -> bytes:
        body: bytes = s3.get_object(Bucket=target, Key=key)["Body"].read()
        return body

    (name,) = (key for key in keys if key.endswith("manifest.json"))
    manifest = read(name)
    told = hashlib.md5(manifest).hexdigest().encode()
    assert read(name.replace("manifest.json", "manifest.checksum")) == told
    found: dict[str, Any] = json.loads(manifest)
    files = [read(one["key"]) for one in found["files"]]
    for one, body in zip(found["files"], files, strict=True):
        assert one["size"] == len(body)
        assert one["MD5checksum"] == hashlib.md5(body).hexdigest()
    return found, files


def rows(files: list[bytes]) -> list[list[str]]:
    text = "".join(gzip.decompress(body).decode() for body in files)
    return list(csv.reader(io.StringIO(text)))


def test_a_configuration_is_told_as_it_was_put(s3: Any, bucket: str, target: str) -> None:
    told = configuration(target, OptionalFields=["Size", "ETag"], Filter={"Prefix": "a&b/"})
    put(s3, bucket, told)
    about = {"Bucket": bucket, "Id": "inv"}
    assert s3.get_bucket_inventory_configuration(**about)["InventoryConfiguration"] == told
    listed = s3.list_bucket_inventory_configurations(Bucket=bucket)
    assert listed["InventoryConfigurationList"] == [told]
    s3.delete_bucket_inventory_configuration(**about)
    assert refused(s3.get_bucket_inventory_configuration, **about) == "NoSuchConfiguration"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"where": {"Format": "ORC"}}, "NotImplemented"),
        ({"where": {"Format": "XML"}}, "MalformedXML"),
        ({"where": {"Bucket": "no-arn"}}, "InvalidArgument"),
        ({"where": {"Bucket": "arn:aws:s3:::no-such-bucket"}}, "InvalidS3DestinationBucket"),
        ({"where": {"Encryption": {"SSEKMS": {"KeyId": "k"}}}}, "NotImplemented"),
        ({"Schedule": {"Frequency": "Hourly"}}, "MalformedXML"),
        ({"IncludedObjectVersions": "Some"}, "MalformedXML"),
        ({"OptionalFields": ["Colour"]}, "MalformedXML"),
        ({"OptionalFields": ["ObjectAccessControlList"]}, "NotImplemented"),
    ],
)
def test_what_cannot_be_is_refused(
    s3: Any, bucket: str, target: str, more: dict[str, Any], code: str
) -> None:
    told = configuration(target, **more)
    about = {"Bucket": bucket, "Id": "inv", "InventoryConfiguration": told}
    assert refused(s3.put_bucket_inventory_configuration, **about) == code


def test_somebody_elses_bucket_takes_no_report(
    server: MemoryServer, s3: Any, stranger: Credentials, bucket: str
) -> None:
    boto(server, stranger).create_bucket(Bucket=f"{bucket}-theirs")
    told = configuration(f"{bucket}-theirs")
    about = {"Bucket": bucket, "Id": "inv", "InventoryConfiguration": told}
    assert refused(s3.put_bucket_inventory_configuration, **about) == "InvalidS3DestinationBucket"


def test_a_report_lists_what_is_current(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    s3.put_object(Bucket=bucket, Key="in/a b", Body=b"123")
    s3.put_object(Bucket=bucket, Key="in/ö", Body=b"")
    s3.put_object(Bucket=bucket, Key="out", Body=b"")
    fields = list(FIELDS)
    put(s3, bucket, configuration(target, OptionalFields=fields, Filter={"Prefix": "in/"}))
    server.call(steward(server).round())
    manifest, files = report(s3, target)
    assert manifest["sourceBucket"] == bucket
    assert manifest["destinationBucket"] == f"arn:aws:s3:::{target}"
    assert manifest["version"] == "2016-11-30"
    columns = manifest["fileSchema"].split(", ")
    assert columns == ["Bucket", "Key", *fields]
    found = [dict(zip(columns, row, strict=True)) for row in rows(files)]
    assert [one["Key"] for one in found] == ["in/a+b", "in/%C3%B6"]
    first = found[0]
    assert (first["Bucket"], first["Size"], first["ETag"]) == (
        bucket,
        "3",
        hashlib.md5(b"123").hexdigest(),
    )
    assert (first["EncryptionStatus"], first["IsMultipartUploaded"]) == ("SSE-S3", "false")
    assert (first["ObjectOwner"], first["ChecksumAlgorithm"]) == (server.user.id, "CRC32")


def test_a_report_tells_of_locks(server: MemoryServer, s3: Any, bucket: str, target: str) -> None:
    locked = f"{bucket}-locked"
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    until = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    kept = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    s3.put_object(Bucket=locked, Key="free", Body=b"")
    s3.put_object(Bucket=locked, Key="held", Body=b"", ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket=locked, Key="kept", Body=b"", **kept)
    s3.delete_object(Bucket=locked, Key="marked")
    fields = ["ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus"]
    told = configuration(target, IncludedObjectVersions="All", OptionalFields=fields)
    put(s3, locked, told)
    server.call(steward(server).round())
    manifest, files = report(s3, target)
    assert manifest["fileSchema"].split(", ")[-3:] == fields
    assert {row[1]: row[-3:] for row in rows(files)} == {
        "free": ["", "", "OFF"],
        "held": ["", "", "ON"],
        "kept": ["2099-01-02T03:04:05.000Z", "COMPLIANCE", "OFF"],
        "marked": ["", "", ""],
    }


def test_all_versions_over_several_files(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=b"x" * n)["VersionId"] for n in range(3)]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    put(s3, bucket, configuration(target, IncludedObjectVersions="All", OptionalFields=["Size"]))
    server.call(steward(server, file_bytes=100).round())
    manifest, files = report(s3, target)
    assert len(files) > 1
    assert manifest["fileSchema"] == "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"
    assert [row[2:] for row in rows(files)] == [
        [marker, "true", "true", ""],
        [ids[2], "false", "false", "2"],
        [ids[1], "false", "false", "1"],
        [ids[0], "false", "false", "0"],
    ]


def test_parquet_has_types(server: MemoryServer, s3: Any, bucket: str, target: str) -> None:
    s3.put_object(Bucket=bucket, Key='quoted "k", too', Body=b"12")
    told = configuration(
        target, where={"Format": "Parquet"}, OptionalFields=["Size", "LastModifiedDate"]
    )
    put(s3, bucket, told)
    server.call(steward(server).round())
    manifest, (body,) = report(s3, target)
    assert manifest["fileFormat"] == "Parquet"
    (row,) = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    assert (row["bucket"], row["key"], row["size"]) == (bucket, "quoted+%22k%22%2C+too", 2)
    assert row["last_modified_date"].year >= 2024


def test_a_report_is_made_once_a_day_and_when_asked_for(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    put(s3, bucket, configuration(target))
    makes = steward(server)

    def made() -> int:
        server.call(makes.round())
        listed = s3.list_objects_v2(Bucket=target, Prefix=f"reports/{bucket}/inv/").get("Contents")
        return sum(one["Key"].endswith("manifest.json") for one in listed or ())

    assert made() == 1
    assert made() == 1
    makes.hasten()
    assert server.call(makes.round()).did >= 1


def test_what_is_switched_off_is_not_made(
    server: MemoryServer, s3: Any, bucket: str, target: str
) -> None:
    put(s3, bucket, configuration(target, IsEnabled=False))
    server.call(steward(server).round())
    assert "Contents" not in s3.list_objects_v2(Bucket=target)


@pytest.mark.parametrize(
    ("enabled", "body", "code"),
    [
        (False, "<Role>r</Role><Rule/>", "InvalidRequest"),
        (True, "<Role>r</Role><Rule/>", "NotImplemented"),
        (True, "<Role>r</Role>", "MalformedXML"),
    ],
)
def test_replication_is_refused_in_the_right_words(
    s3: Any, wire: Any, bucket: str, enabled: bool, body: str, code: str
) -> None:
    if enabled:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    sent = f"<ReplicationConfiguration>{body}</ReplicationConfiguration>".encode()
    answer = wire.send("PUT", f"/{bucket}?replication", sent)
    assert answer.code == code
