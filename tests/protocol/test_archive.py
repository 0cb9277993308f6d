"""Archived objects: refused until they are restored, readable for some days, then not any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.archive_world import Archive
from tests.protocol.boto_client import MIB, boto, pattern, refused
from tests.protocol.ecs_client import MovedClock, new_bucket, texts
from tests.protocol.wire_client import WireClient

ARCHIVED = ["GLACIER", "DEEP_ARCHIVE"]
TEXT = b"all of this is the same all over again, " * 50_000


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MemoryServer, MovedClock]]:
    # The catalog's time is moved, not that of the gateway, which clients sign by.
    clock = MovedClock()
    with MemoryServer(
        clock=clock, change=lambda services: replace(services, clock=SystemClock())
    ) as server:
        yield server, clock


@pytest.fixture
def archive(served: tuple[MemoryServer, MovedClock]) -> Iterator[Archive]:
    served[1].put_right(served[0])
    made = Archive(*served)
    yield made
    assert made.unsound() == []


def now(archive: Archive) -> datetime:
    return datetime.fromtimestamp(archive.clock.now_ms() / 1000, UTC)


def midnight_after(archive: Archive, days: int) -> datetime:
    later = now(archive) + timedelta(days=days + 1)
    return later.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("kind", ARCHIVED)
def test_what_is_archived_is_not_read(archive: Archive, kind: str) -> None:
    archive.put(kind=kind)
    assert refused(archive.get) == "InvalidObjectState"
    answer = archive.wire.send("GET", f"/{archive.bucket}/key")
    assert (answer.status, answer.field("StorageClass")) == (403, kind)
    part = archive.wire.send("GET", f"/{archive.bucket}/key", headers={"Range": "bytes=0-1"})
    assert part.code == "InvalidObjectState"


@pytest.mark.parametrize("kind", ARCHIVED)
def test_what_is_archived_is_told_of(archive: Archive, kind: str) -> None:
    archive.put(kind=kind, Metadata={"a": "b"})
    found = archive.head()
    assert (found["StorageClass"], found["ContentLength"]) == (kind, 4)
    assert found["Metadata"] == {"a": "b"}
    assert "Restore" not in found
    asked = {"ObjectAttributes": ["StorageClass", "ObjectSize"]}
    told = archive.s3.get_object_attributes(Bucket=archive.bucket, Key="key", **asked)
    assert (told["StorageClass"], told["ObjectSize"]) == (kind, 4)


def test_what_may_be_read_at_once_is(archive: Archive) -> None:
    archive.put(kind="GLACIER_IR", body=TEXT)
    archive.work(hasten=True)
    assert archive.get() == TEXT
    assert refused(archive.restore) == "InvalidObjectState"


def test_a_condition_that_fails_is_told_first(archive: Archive) -> None:
    archive.put()
    assert refused(archive.get, IfMatch='"other"') == "PreconditionFailed"
    assert refused(archive.get, IfNoneMatch=archive.head()["ETag"]) == "304"


@pytest.mark.parametrize("kind", ARCHIVED)
def test_what_is_archived_is_no_source(archive: Archive, kind: str) -> None:
    s3, bucket = archive.s3, archive.bucket
    archive.put(kind=kind)
    source = {"CopySource": f"{bucket}/key"}
    assert refused(s3.copy_object, Bucket=bucket, Key="k", **source) == "InvalidObjectState"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1}
    assert refused(s3.upload_part_copy, **part, **source) == "InvalidObjectState"
    itself = {"Bucket": bucket, "Key": "key", "StorageClass": "STANDARD", **source}
    assert refused(s3.copy_object, **itself) == "InvalidObjectState"


def test_what_is_archived_answers_no_query(archive: Archive) -> None:
    archive.put(body=b"a,b\n1,2\n")
    query = (
        b"<SelectObjectContentRequest><Expression>SELECT * FROM s3object</Expression>"
        b"<ExpressionType>SQL</ExpressionType><InputSerialization><CSV/></InputSerialization>"
        b"<OutputSerialization><CSV/></OutputSerialization></SelectObjectContentRequest>"
    )
    answer = archive.wire.send("POST", f"/{archive.bucket}/key?select&select-type=2", query)
    assert answer.code == "InvalidObjectState"


def test_what_is_archived_can_be_tagged_and_deleted(archive: Archive) -> None:
    s3, about = archive.s3, {"Bucket": archive.bucket, "Key": "key"}
    archive.put()
    s3.put_object_tagging(**about, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_object_tagging(**about)["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.delete_object(**about)
    assert archive.classes() == {}


@pytest.mark.parametrize("body", [b"", b"cold", TEXT, pattern(3 * MIB)])
def test_it_is_restored_for_some_days(archive: Archive, body: bytes) -> None:
    archive.put(body=body)
    archive.work(hasten=True)
    before = archive.head()
    assert archive.restore(days=2) == 202
    assert archive.head()["Restore"] == 'ongoing-request="true"'
    assert refused(archive.get) == "InvalidObjectState"
    archive.pass_s(290)
    assert refused(archive.get) == "InvalidObjectState"
    archive.pass_s(11)
    until = midnight_after(archive, 2)
    told = until.strftime("%a, %d %b %Y %H:%M:%S GMT")
    found = archive.head()
    assert found["Restore"] == f'ongoing-request="false", expiry-date="{told}"'
    for name in ("StorageClass", "ETag", "LastModified", "ContentLength", "ChecksumCRC64NVME"):
        assert found.get(name) == before.get(name)
    assert archive.get() == body
    if len(body) > 9:
        assert archive.get(Range="bytes=5-8") == body[5:9]
    archive.pass_s((until - now(archive)).total_seconds() - 2)
    assert archive.get() == body
    archive.pass_s(4)
    assert refused(archive.get) == "InvalidObjectState"
    assert "Restore" not in archive.head()


def test_a_restored_copy_is_counted_while_it_stands(archive: Archive) -> None:
    archive.put(body=TEXT)
    archive.put("deep", kind="DEEP_ARCHIVE")
    archive.put("standard", kind="STANDARD")
    sizes = {"GLACIER": (1, len(TEXT)), "DEEP_ARCHIVE": (1, 4)}
    assert archive.classes() == sizes
    archive.work(hasten=True)
    archive.restore(tier="Expedited", days=1)
    assert archive.classes() == sizes
    archive.pass_s(1)
    assert archive.classes() == {**sizes, "RESTORED": (1, len(TEXT))}
    archive.pass_days(2)
    assert archive.classes() == sizes
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    archive.s3.delete_object(Bucket=archive.bucket, Key="key")
    assert archive.classes() == {"DEEP_ARCHIVE": (1, 4)}


@pytest.mark.parametrize(
    ("tier", "after_s"), [("Expedited", 0), ("Standard", 300), ("", 300), ("Bulk", 3600)]
)
def test_each_tier_has_its_delay(archive: Archive, tier: str, after_s: int) -> None:
    archive.put()
    archive.restore(tier=tier)
    if after_s:
        archive.pass_s(after_s - 10)
        assert refused(archive.get) == "InvalidObjectState"
    archive.pass_s(11)
    assert archive.get() == b"cold"


def test_a_tier_beside_the_job_s_counts_too(archive: Archive) -> None:
    archive.put()
    body = b"<RestoreRequest><Days>1</Days><Tier>Expedited</Tier></RestoreRequest>"
    assert archive.wire.send("POST", f"/{archive.bucket}/key?restore", body).status == 202
    archive.pass_s(1)
    assert archive.get() == b"cold"


def test_what_is_deepest_is_not_expedited(archive: Archive) -> None:
    archive.put(kind="DEEP_ARCHIVE")
    assert refused(archive.restore, tier="Expedited") == "InvalidArgument"
    assert archive.restore(tier="Bulk") == 202


def test_who_asks_again_is_told_that_it_is_on_its_way(archive: Archive) -> None:
    archive.put()
    archive.restore(tier="Standard")
    assert refused(archive.restore, tier="Standard") == "RestoreAlreadyInProgress"
    assert refused(archive.restore, tier="Bulk") == "RestoreAlreadyInProgress"
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    assert archive.wire.send("POST", f"/{archive.bucket}/key?restore", body).status == 409


def test_a_faster_tier_hastens_what_is_on_its_way(archive: Archive) -> None:
    archive.put()
    archive.restore(tier="Bulk", days=3)
    archive.pass_s(10)
    assert archive.restore(tier="Expedited", days=3) == 202
    archive.pass_s(1)
    assert archive.get() == b"cold"


def test_days_count_anew_for_what_is_restored(archive: Archive) -> None:
    archive.put()
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    assert archive.restore(days=9) == 200
    until = midnight_after(archive, 9)
    archive.pass_days(5)
    assert archive.get() == b"cold"
    archive.pass_s((until - now(archive)).total_seconds() + 2)
    assert refused(archive.get) == "InvalidObjectState"


def test_it_is_restored_again_after_its_days(archive: Archive) -> None:
    archive.put(body=TEXT)
    archive.work(hasten=True)
    for _ in range(2):
        assert archive.restore(tier="Expedited", days=1) == 202
        archive.pass_s(1)
        assert archive.get() == TEXT
        archive.pass_days(2)
        assert refused(archive.get) == "InvalidObjectState"


def test_one_version_is_restored_and_no_other(archive: Archive) -> None:
    archive.s3.put_bucket_versioning(
        Bucket=archive.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    first = archive.put(body=b"first")["VersionId"]
    second = archive.put(body=b"second")["VersionId"]
    archive.restore(tier="Expedited", VersionId=first)
    archive.pass_s(1)
    assert archive.get(VersionId=first) == b"first"
    assert refused(archive.get, VersionId=second) == "InvalidObjectState"
    assert refused(archive.get) == "InvalidObjectState"
    marker = archive.s3.delete_object(Bucket=archive.bucket, Key="key")["VersionId"]
    assert refused(archive.restore, VersionId=marker) == "MethodNotAllowed"
    assert refused(archive.restore) == "NoSuchKey"


def upload(archive: Archive, parts: list[bytes], **more: Any) -> None:
    s3, about = archive.s3, {"Bucket": archive.bucket, "Key": "key"}
    begun = s3.create_multipart_upload(**about, StorageClass="DEEP_ARCHIVE", **more)["UploadId"]
    listed = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**about, UploadId=begun, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate(parts, 1)
    ]
    s3.complete_multipart_upload(**about, UploadId=begun, MultipartUpload={"Parts": listed})


def test_an_object_in_parts_comes_back_in_parts(archive: Archive) -> None:
    parts = [b"a" * 5 * MIB, pattern(6 * MIB), b"end"]
    upload(archive, parts)
    archive.work(hasten=True)
    assert archive.restore(tier="Standard", days=1) == 202
    archive.pass_s(301)
    assert archive.get() == b"".join(parts)
    second = archive.s3.get_object(Bucket=archive.bucket, Key="key", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (parts[1], 3)
    assert archive.get(Range="bytes=-4") == parts[1][-1:] + b"end"
    archive.pass_days(2)
    assert refused(archive.get) == "InvalidObjectState"


def test_what_is_deleted_while_it_is_restored_leaves_nothing(archive: Archive) -> None:
    upload(archive, [b"a" * 5 * MIB, b"b" * 5 * MIB])
    archive.work(hasten=True)
    archive.restore(tier="Standard", days=1)
    archive.s3.delete_object(Bucket=archive.bucket, Key="key")
    archive.pass_s(301)
    assert archive.classes() == {}


def test_a_restored_object_is_copied_to_any_class(archive: Archive) -> None:
    s3, bucket = archive.s3, archive.bucket
    archive.put(body=TEXT)
    archive.work(hasten=True)
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    source = {"CopySource": f"{bucket}/key"}
    s3.copy_object(Bucket=bucket, Key="copy", **source)
    assert archive.get("copy") == TEXT
    archive.pass_days(2)
    assert archive.get("copy") == TEXT
    assert refused(archive.get) == "InvalidObjectState"


def test_a_restored_object_copied_onto_itself_changes_its_class(archive: Archive) -> None:
    archive.put(body=TEXT)
    archive.work(hasten=True)
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    about = {"Bucket": archive.bucket, "Key": "key", "CopySource": f"{archive.bucket}/key"}
    archive.s3.copy_object(**about, StorageClass="STANDARD")
    found = archive.head()
    assert {"Restore", "StorageClass"}.isdisjoint(found)
    archive.pass_days(3)
    assert archive.get() == TEXT
    assert archive.classes() == {}


def test_an_archived_copy_takes_nothing_from_its_source(archive: Archive) -> None:
    s3, bucket = archive.s3, archive.bucket
    archive.put("warm", TEXT, "STANDARD")
    s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/warm", StorageClass="GLACIER")
    archive.work(hasten=True)
    assert archive.get("warm", Range="bytes=40-47") == TEXT[40:48]
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    assert archive.get() == TEXT
    s3.delete_object(Bucket=bucket, Key="warm")
    assert archive.get() == TEXT


def test_what_a_customer_s_key_opens_is_restored_as_it_is(archive: Archive) -> None:
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    archive.put(body=TEXT, **key)
    archive.work(hasten=True)
    archive.restore(tier="Expedited", days=1)
    archive.pass_s(1)
    assert archive.get(**key) == TEXT
    archive.pass_days(2)
    assert refused(archive.get, **key) == "InvalidObjectState"


def test_listings_tell_of_restored_copies(archive: Archive) -> None:
    s3, about = archive.s3, {"Bucket": archive.bucket}
    for key in ("coming", "never", "there"):
        archive.put(key)
    archive.restore("there", tier="Expedited", days=1)
    archive.pass_s(1)
    archive.restore("coming", tier="Bulk", days=1)
    asked = {"OptionalObjectAttributes": ["RestoreStatus"]}
    until = midnight_after(archive, 1)
    wanted = {
        "coming": {"IsRestoreInProgress": True},
        "never": None,
        "there": {"IsRestoreInProgress": False, "RestoreExpiryDate": until},
    }
    for call, name in (
        (s3.list_objects, "Contents"),
        (s3.list_objects_v2, "Contents"),
        (s3.list_object_versions, "Versions"),
    ):
        found = call(**about, **asked)[name]
        assert {one["Key"]: one.get("RestoreStatus") for one in found} == wanted
        assert all("RestoreStatus" not in one for one in call(**about)[name])
    path, name = f"/{archive.bucket}?list-type=2", "x-amz-optional-object-attributes"
    assert archive.wire.send("GET", path, headers={name: "Colour"}).code == "InvalidArgument"


def test_who_may_not_restore_is_refused(archive: Archive) -> None:
    archive.put()
    other = boto(archive.server, archive.server.create_user("main", "other"))
    about = {"Bucket": archive.bucket, "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refused(other.restore_object, **about) == "AccessDenied"


def test_another_key_of_the_key_service_is_for_what_can_be_read(archive: Archive) -> None:
    archive.put()
    wanted = {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:us-east-1:main:key/a"}}
    about = {"Bucket": archive.bucket, "Key": "key", "ObjectEncryption": wanted}
    assert refused(archive.s3.update_object_encryption, **about) == "InvalidObjectState"


def test_an_archiving_bucket_archives_what_names_no_class(archive: Archive) -> None:
    wire, name = archive.wire, f"{archive.bucket}-archiving"
    header = {"x-coffre-bucket-type": "archiving"}
    assert wire.send("PUT", f"/{name}", b"", header).status == 200
    assert wire.send("HEAD", f"/{name}").headers["x-coffre-bucket-type"] == "archiving"
    archive.put("warm", kind="STANDARD")
    s3 = archive.s3
    s3.put_object(Bucket=name, Key="put", Body=b"x")
    s3.put_object(Bucket=name, Key="named", Body=b"x", StorageClass="STANDARD")
    s3.copy_object(Bucket=name, Key="copied", CopySource=f"{archive.bucket}/warm")
    begun = s3.create_multipart_upload(Bucket=name, Key="parts")
    uploads = s3.list_multipart_uploads(Bucket=name)["Uploads"]
    assert [(one["UploadId"], one["StorageClass"]) for one in uploads] == [
        (begun["UploadId"], "GLACIER")
    ]
    listed = s3.list_objects_v2(Bucket=name)["Contents"]
    assert {one["Key"]: one["StorageClass"] for one in listed} == {
        "copied": "GLACIER",
        "named": "STANDARD",
        "put": "GLACIER",
    }


def test_a_bucket_has_one_of_two_types(archive: Archive) -> None:
    wire = archive.wire
    for kind, status in (("Performance", 200), ("frozen", 400)):
        header = {"x-coffre-bucket-type": kind}
        made = wire.send("PUT", f"/{archive.bucket}-{kind.lower()}", b"", header)
        assert made.status == status
    assert made.code == "InvalidArgument"
    told = wire.send("HEAD", f"/{archive.bucket}-performance")
    assert "x-coffre-bucket-type" not in told.headers


def test_an_archived_object_is_not_written_into(
    served: tuple[MemoryServer, MovedClock],
) -> None:
    server, _ = served
    client = WireClient(server.port, server.create_store("archive-of-ecs", "ecs"))
    bucket = new_bucket(client)
    client.send("PUT", f"/{bucket}/key", b"cold", {"x-amz-storage-class": "GLACIER"})
    answer = client.send("PUT", f"/{bucket}/key", b"er", {"Range": "bytes=-1-"})
    assert (answer.code, texts(answer, "StorageClass")) == ("InvalidObjectState", ["GLACIER"])
