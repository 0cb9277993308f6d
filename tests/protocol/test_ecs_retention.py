"""Retention as ECS has it, and buckets that the service empties."""

from __future__ import annotations

import itertools

import pytest

from coffre.catalog.ecs_mutations import SetStore
from coffre.testing.server import MemoryServer
from tests.protocol.ecs_client import ENABLED, MovedClock, let_work, new_bucket, texts
from tests.protocol.wire_client import Answer, WireClient

_numbers = itertools.count()


def test_what_is_retained_is_neither_replaced_nor_deleted(
    ecs: WireClient, clock: MovedClock
) -> None:
    target = f"/{new_bucket(ecs)}/k"
    ecs.send("PUT", target, b"kept", {"x-emc-retention-period": "100"})
    for answer in (
        ecs.send("PUT", target, b"other"),
        ecs.send("DELETE", target),
        ecs.send("PUT", target, b"X", {"Range": "bytes=0-0"}),
        ecs.send("PUT", target, b"X", {"Range": "bytes=-1-"}),
        ecs.send(
            "PUT", target, b"", {"x-amz-copy-source": target, "x-amz-metadata-directive": "REPLACE"}
        ),
    ):
        assert (answer.status, answer.code) == (409, "ObjectUnderRetention")
    assert ecs.send("GET", target).body == b"kept"
    assert ecs.send("HEAD", target).headers["x-emc-retention-period"] == "100"
    clock.ahead_ms = 101_000
    assert ecs.send("DELETE", target).status == 204


def test_a_retention_period_only_grows(ecs: WireClient, clock: MovedClock) -> None:
    target = f"/{new_bucket(ecs)}/k"
    ecs.send("PUT", target, b"kept", {"x-emc-retention-period": "100"})
    update = f"{target}?retentionUpdate"

    def set_to(seconds: str) -> Answer:
        return ecs.send("PUT", update, b"", {"x-emc-retention-period": seconds})

    assert set_to("99").code == "InvalidRetentionPeriod"
    assert set_to("100").status == 200
    assert set_to("200").status == 200
    clock.ahead_ms = 150_000
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    assert set_to("-1").status == 200
    assert set_to("500").code == "InvalidRetentionPeriod"
    clock.ahead_ms = 800_000
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    assert set_to("x").code == "InvalidArgument"
    assert ecs.send("PUT", update).code == "InvalidArgument"
    assert (
        ecs.send("PUT", f"{target}2?retentionUpdate", b"", {"x-emc-retention-period": "1"}).code
        == "NoSuchKey"
    )


def test_a_bucket_retains_all_that_is_in_it(ecs: WireClient, clock: MovedClock) -> None:
    bucket = new_bucket(ecs, x_emc_retention_period="100")
    ecs.send("PUT", f"/{bucket}/k", b"kept")
    assert ecs.send("HEAD", f"/{bucket}").headers["x-emc-retention-period"] == "100"
    assert ecs.send("DELETE", f"/{bucket}/k").code == "ObjectUnderRetention"
    clock.ahead_ms = 101_000
    assert ecs.send("DELETE", f"/{bucket}/k").status == 204


def test_a_policy_of_the_store_retains_and_may_change(
    ecs_server: MemoryServer, ecs: WireClient
) -> None:
    target = f"/{new_bucket(ecs)}/k"
    headers = {"x-emc-retention-policy": "gold"}
    assert ecs.send("PUT", target, b"kept", headers).code == "InvalidArgument"
    store = ecs_server.engine.catalog.store_named(ecs.user.store)
    assert store is not None
    ecs_server.commit(SetStore(store.id, retention_policies={"gold": 100}))
    assert ecs.send("PUT", target, b"kept", headers).status == 200
    assert ecs.send("HEAD", target).headers["x-emc-retention-policy"] == "gold"
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    ecs_server.commit(SetStore(store.id, retention_policies={"gold": 0}))
    assert ecs.send("DELETE", target).status == 204


def test_versions_are_retained_one_by_one(ecs: WireClient) -> None:
    bucket = new_bucket(ecs)
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    kept = ecs.send("PUT", f"/{bucket}/k", b"kept", {"x-emc-retention-period": "100"})
    version = kept.headers["x-amz-version-id"]
    assert ecs.send("PUT", f"/{bucket}/k", b"new").status == 200
    assert ecs.send("DELETE", f"/{bucket}/k").headers["x-amz-delete-marker"] == "true"
    assert ecs.send("DELETE", f"/{bucket}/k?versionId={version}").code == "ObjectUnderRetention"
    assert ecs.send("GET", f"/{bucket}/k?versionId={version}").body == b"kept"


def test_an_upload_in_parts_is_retained_as_it_was_begun(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/k"
    begun = ecs.send("POST", f"{target}?uploads", b"", {"x-emc-retention-period": "100"})
    upload = texts(begun, "UploadId")[0]
    etag = ecs.send("PUT", f"{target}?partNumber=1&uploadId={upload}", b"part").headers["etag"]
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    assert ecs.send("POST", f"{target}?uploadId={upload}", body).status == 200
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"


@pytest.mark.parametrize("period", ["-2", "1.5", "soon", "99999999999"])
def test_a_period_that_is_none(ecs: WireClient, period: str) -> None:
    target = f"/{new_bucket(ecs)}/k"
    headers = {"x-emc-retention-period": period}
    assert ecs.send("PUT", target, b"x", headers).code == "InvalidArgument"
    assert ecs.send("HEAD", target).status == 404


def test_a_bucket_is_emptied_and_deleted(ecs_server: MemoryServer, ecs: WireClient) -> None:
    bucket = new_bucket(ecs, x_emc_metadata_search="Size")
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    for number in range(60):
        for _ in range(3):
            ecs.send("PUT", f"/{bucket}/{number}", b"x")
    ecs.send("DELETE", f"/{bucket}/1")
    upload = texts(ecs.send("POST", f"/{bucket}/large?uploads"), "UploadId")[0]
    assert ecs.send("GET", f"/{bucket}?empty-bucket-status").code == "NoSuchResource"
    assert ecs.send("DELETE", f"/{bucket}").code == "BucketNotEmpty"
    assert ecs.send("DELETE", f"/{bucket}", headers={"x-emc-empty-bucket": "true"}).status == 202
    status = ecs.send("GET", f"/{bucket}?empty-bucket-status")
    assert texts(status, "Status") == ["PENDING"]
    assert texts(status, "ApproxObjectCount") == ["180"]
    for write in (
        ecs.send("PUT", f"/{bucket}/new", b"x"),
        ecs.send("POST", f"/{bucket}/new?uploads"),
        ecs.send("PUT", f"/{bucket}/new", b"", {"x-amz-copy-source": f"/{bucket}/2"}),
    ):
        assert (write.status, write.code) == (403, "EmptyBucketInProgress")
    let_work(ecs_server)
    assert ecs.send("HEAD", f"/{bucket}").status == 404
    assert ecs.send("GET", f"/{bucket}?empty-bucket-status").code == "NoSuchBucket"
    assert ecs.send("PUT", f"/{bucket}/large?partNumber=1&uploadId={upload}", b"x").status == 404


def test_what_is_retained_keeps_its_bucket(
    ecs_server: MemoryServer, ecs: WireClient, clock: MovedClock
) -> None:
    bucket = new_bucket(ecs)
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    for number in range(5):
        ecs.send(
            "PUT", f"/{bucket}/k", b"x", {"x-emc-retention-period": "100"} if number % 2 else {}
        )
    emptying = {"x-emc-empty-bucket": "true"}
    ecs.send("DELETE", f"/{bucket}", headers=emptying)
    let_work(ecs_server)
    status = ecs.send("GET", f"/{bucket}?empty-bucket-status")
    assert texts(status, "Status") == ["FAILED"]
    assert texts(status, "EntriesDeleted") == ["3"]
    assert texts(status, "FailedToDeleteDueToRetention") == ["2"]
    assert ecs.send("PUT", f"/{bucket}/new", b"x").status == 200
    clock.ahead_ms = 101_000
    ecs.send("DELETE", f"/{bucket}", headers=emptying)
    let_work(ecs_server)
    assert ecs.send("HEAD", f"/{bucket}").status == 404
