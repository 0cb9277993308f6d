"""What a lifecycle does to objects, versions and uploads, and what answers say of it beforehand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from coffre.catalog.lifecycle_mutations import DeleteLifecycle, Expiration, PutLifecycle
from coffre.catalog.lifecycle_rules import Lifecycle
from coffre.catalog.mutations import Refusal
from coffre.service.lifecycle_administration import DAYS_RULE, LifecycleAdministration
from coffre.stewards.expirer import Expirer, lag_s
from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.ecs_client import MovedClock
from tests.protocol.test_lifecycle import put, told
from tests.protocol.wire_client import WireClient

DAY_MS = 24 * 3600 * 1000
_names = itertools.count()


class Service:
    """A server whose time a test moves, with a bucket of the test's own."""

    def __init__(self, server: MemoryServer, clock: MovedClock) -> None:
        self.server = server
        self.clock = clock
        self.s3 = boto(server, server.user)
        self.wire = WireClient(server.port, server.user)
        self.bucket = f"expiring-{next(_names)}"
        self.s3.create_bucket(Bucket=self.bucket)
        catalog = server.engine.catalog
        store = catalog.store_named("main")
        assert store is not None
        self.bucket_id = catalog.buckets(store.id, None, prefix=self.bucket, after="", limit=1)[
            0
        ].id
        self.done: list[Expiration] = []
        self.expirer = Expirer(catalog, catalog, clock, self.hear)
        self.administration = LifecycleAdministration(catalog, catalog, clock)

    def hear(self, done: Expiration) -> None:
        if done.bucket_id == self.bucket_id:
            self.done.append(done)

    def put(self, key: str, **more: Any) -> Any:
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x" * 10, **more)

    def rules(self, *rules: dict[str, Any]) -> None:
        put(self.s3, self.bucket, *({"Filter": {}, "Status": "Enabled", **one} for one in rules))

    def keys(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket)
        return [one["Key"] for one in listed.get("Contents", [])]

    def versions(self) -> list[str]:
        """Versions as `key`, markers as `key!`, the current ones in capitals."""
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        found = [(one, "") for one in listed.get("Versions", [])]
        found += [(one, "!") for one in listed.get("DeleteMarkers", [])]
        return sorted(
            (one["Key"].upper() if one["IsLatest"] else one["Key"]) + mark for one, mark in found
        )

    def versioning(self, status: str) -> None:
        self.s3.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": status}
        )

    def pass_days(self, days: float) -> None:
        """Time passes, and everything that is due goes."""
        self.clock.ahead_ms += round(days * DAY_MS)
        self.work()

    def work(self) -> None:
        while self.server.call(self.expirer.round()).again < 5:
            pass

    def preview(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.server.call(self.administration.preview(self.bucket))[
            "rows"
        ]
        return rows


@pytest.fixture(scope="module")
def moved() -> Iterator[tuple[MemoryServer, MovedClock]]:
    # The catalog's time is moved, not that of the gateway, which clients sign by.
    clock = MovedClock()
    with MemoryServer(
        clock=clock, change=lambda services: replace(services, clock=SystemClock())
    ) as server:
        yield server, clock


@pytest.fixture
def service(moved: tuple[MemoryServer, MovedClock]) -> Service:
    server, clock = moved
    clock.put_right(server)
    return Service(server, clock)


def next_midnight(days: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days + 1)


def test_every_answer_about_an_object_says_when_it_expires(service: Service) -> None:
    service.rules({"ID": "a rule/ü", "Expiration": {"Days": 3}})
    s3, named = service.s3, {"Bucket": service.bucket, "Key": "k"}
    copied = {**named, "CopySource": f"{service.bucket}/k", "MetadataDirective": "REPLACE"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    answers = [
        service.put("k"),
        s3.head_object(**named),
        s3.get_object(**named),
        s3.copy_object(**copied),
        s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts),
    ]
    for answer in answers:
        date, rule = answer["Expiration"].removeprefix('expiry-date="').split('", rule-id="')
        assert rule == 'a%20rule%2F%C3%BC"'
        assert parsedate_to_datetime(date) == next_midnight(3)


def test_answers_say_nothing_of_what_no_rule_is_about(service: Service) -> None:
    assert "Expiration" not in service.put("k")
    service.rules(
        {"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}},
        {"Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Days": 1}},
        {"Filter": {"ObjectSizeGreaterThan": 10}, "Expiration": {"Days": 1}},
        {"Status": "Disabled", "Expiration": {"Days": 1}},
    )
    assert "Expiration" not in service.put("k")
    assert "Expiration" in service.put("logs/k")
    assert "Expiration" in service.put("k", Tagging="k=v")
    assert "Expiration" in service.s3.head_object(Bucket=service.bucket, Key="k")


def test_objects_go_at_midnight_and_not_before(service: Service) -> None:
    service.put("old")
    service.rules({"ID": "r", "Expiration": {"Days": 1}})
    service.work()
    assert service.keys() == ["old"]
    service.pass_days(1)
    assert service.keys() == ["old"]
    service.pass_days(1)
    assert service.keys() == []
    assert [(one.key, one.act, one.rule_id, one.size) for one in service.done] == [
        (b"old", "expire", "r", 10)
    ]
    assert service.versions() == []


def test_a_past_date_acts_at_once_and_goes_on(service: Service) -> None:
    service.put("before")
    service.rules({"Expiration": {"Date": "2020-01-01T00:00:00Z"}})
    service.work()
    assert service.keys() == []
    service.put("after")
    service.work()
    assert service.keys() == []


def test_rules_are_those_of_the_moment(service: Service) -> None:
    service.rules({"Expiration": {"Days": 1}})
    service.put("k")
    service.rules({"Expiration": {"Days": 9}})
    service.pass_days(3)
    assert service.keys() == ["k"]
    service.s3.delete_bucket_lifecycle(Bucket=service.bucket)
    service.pass_days(30)
    assert service.keys() == ["k"]
    assert lag_s(service.server.engine.catalog, service.clock) == 0


def test_tags_that_change_later_count(service: Service) -> None:
    tag = {"Filter": {"Tag": {"Key": "tmp", "Value": "1"}}}
    service.rules({**tag, "Expiration": {"Days": 1}})
    service.put("tagged later")
    service.put("tagged before", Tagging="tmp=1")
    named = {"Bucket": service.bucket}
    tags = {"TagSet": [{"Key": "tmp", "Value": "1"}]}
    service.pass_days(1)
    service.s3.put_object_tagging(**named, Key="tagged later", Tagging=tags)
    service.s3.delete_object_tagging(**named, Key="tagged before")
    service.pass_days(1)
    assert service.keys() == ["tagged before"]


def test_versions_are_hidden_and_then_go(service: Service) -> None:
    service.versioning("Enabled")
    service.put("k")
    service.rules(
        {
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
    )
    service.pass_days(2)
    assert service.versions() == ["K!", "k"]
    service.pass_days(1)
    assert service.versions() == ["K!", "k"]
    service.pass_days(1)
    assert service.versions() == []
    assert [one.act for one in service.done] == ["expire", "remove", "remove"]


def test_markers_stay_unless_a_rule_is_about_them(service: Service) -> None:
    service.versioning("Enabled")
    service.put("k")
    service.s3.delete_object(Bucket=service.bucket, Key="k")
    service.rules({"Expiration": {"ExpiredObjectDeleteMarker": True}})
    service.pass_days(9)
    assert service.versions() == ["K!", "k"]
    (version,) = service.s3.list_object_versions(Bucket=service.bucket)["Versions"]
    service.s3.delete_object(Bucket=service.bucket, Key="k", VersionId=version["VersionId"])
    service.work()
    assert service.versions() == []


def test_the_newest_noncurrent_versions_stay(service: Service) -> None:
    service.versioning("Enabled")
    kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}
    service.rules({"NoncurrentVersionExpiration": kept})
    for _ in range(5):
        service.put("k")
    service.pass_days(5)
    assert service.versions() == ["K", "k", "k"]
    service.put("k")
    service.pass_days(0)
    assert service.versions() == ["K", "k", "k"]


def test_a_null_marker_takes_the_place_of_a_null_version(service: Service) -> None:
    service.versioning("Suspended")
    service.put("k")
    service.rules({"Expiration": {"Days": 1}})
    service.pass_days(2)
    assert service.versions() == ["K!"]
    (marker,) = service.s3.list_object_versions(Bucket=service.bucket)["DeleteMarkers"]
    assert marker["VersionId"] == "null"


def test_uploads_are_aborted_by_their_own_rule_alone(service: Service) -> None:
    named = {"Bucket": service.bucket, "Key": "big"}
    before = service.s3.create_multipart_upload(**named)
    service.rules(
        {"Expiration": {"Days": 1}},
        {
            "ID": "uploads",
            "Filter": {"Prefix": "b"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 5},
        },
    )
    made = service.s3.create_multipart_upload(**named)
    assert made["AbortRuleId"] == "uploads"
    assert made["AbortDate"] == next_midnight(5)
    listed = service.s3.list_parts(**named, UploadId=before["UploadId"])
    assert listed["AbortDate"] == next_midnight(5)
    service.pass_days(5)
    assert len(service.s3.list_multipart_uploads(Bucket=service.bucket)["Uploads"]) == 2
    service.pass_days(1)
    assert "Uploads" not in service.s3.list_multipart_uploads(Bucket=service.bucket)
    assert refused(service.s3.list_parts, **named, UploadId=made["UploadId"]) == "NoSuchUpload"


def test_the_preview_counts_what_then_goes(service: Service) -> None:
    service.put("tmp/1")
    service.put("tmp/2")
    service.put("kept")
    service.rules({"ID": "r", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}})
    (row,) = service.preview()
    assert datetime.fromtimestamp(row.pop("at_ms") / 1000, UTC) == next_midnight(1)
    assert row == {"act": "expire", "rule": "r", "to": "", "number": 2, "bytes": 20, "held": False}
    service.pass_days(2)
    assert service.keys() == ["kept"]
    assert service.preview() == []


def test_the_preview_goes_by_the_clock_that_lets_things_go(service: Service) -> None:
    service.put("k")
    service.rules({"ID": "r", "Expiration": {"Days": 1}})
    # Somebody sets the wall clock forward: nothing is due by that.
    service.clock.jumped_ms = 400 * DAY_MS
    service.work()
    (row,) = service.preview()
    assert datetime.fromtimestamp(row["at_ms"] / 1000, UTC) == next_midnight(1)
    assert service.keys() == ["k"]


def test_days_for_a_bucket_are_a_rule_like_others(service: Service) -> None:
    def set_days(days: int) -> int:
        done = service.server.call(service.administration.set_days(service.bucket, days))
        rules: int = done["rules"]
        return rules

    assert set_days(0) == 0
    assert set_days(30) == 1
    (rule,) = told(service.s3, service.bucket)
    assert (rule["ID"], rule["Expiration"]) == (DAYS_RULE, {"Days": 30})
    put(
        service.s3,
        service.bucket,
        rule,
        {"ID": "own", "Filter": {"Prefix": "x"}, "Status": "Enabled", "Expiration": {"Days": 2}},
    )
    assert set_days(7) == 2
    assert set_days(0) == 1
    assert [rule["ID"] for rule in told(service.s3, service.bucket)] == ["own"]


def test_rules_made_from_others_do_not_replace_what_came_in_between(service: Service) -> None:
    service.rules({"ID": "came in between", "Expiration": {"Days": 1}})
    catalog = service.server.engine.catalog
    for mutation in (
        PutLifecycle(service.bucket_id, Lifecycle((), b""), b""),
        DeleteLifecycle(service.bucket_id, b"an earlier one"),
    ):
        with pytest.raises(Refusal, match="ConditionalRequestConflict"):
            service.server.call(catalog.commit(mutation))
    assert [rule["ID"] for rule in told(service.s3, service.bucket)] == ["came in between"]


def test_what_was_there_before_many_rules_is_judged_in_steps(service: Service) -> None:
    for at in range(230):
        service.put(f"{at:03}")
    service.rules({"Expiration": {"Days": 1}})
    service.pass_days(2)
    assert service.keys() == []
    assert len(service.done) == 230
