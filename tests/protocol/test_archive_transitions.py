"""Lifecycles that move objects to colder storage classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from coffre.catalog.ecs_mutations import SetStore
from coffre.catalog.event_mutations import EventPlace
from coffre.catalog.mutations import PutBucketDocument
from coffre.service.delivery_routes import routing
from coffre.service.lifecycle_administration import LifecycleAdministration
from coffre.stewards.expirer import Expirer
from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.archive_world import Archive
from tests.protocol.boto_client import boto, refused
from tests.protocol.ecs_client import MovedClock
from tests.protocol.wire_client import WireClient

KIB = 1024
LARGE = b"x" * 128 * KIB
SMALL = LARGE[1:]
EVERYTHING = (
    b"<NotificationConfiguration><QueueConfiguration><Id>i</Id>"
    b"<Queue>arn:coffre:sqs::ci:webhook</Queue><Event>s3:ObjectRestore:*</Event>"
    b"</QueueConfiguration></NotificationConfiguration>"
)
MINIMUM = "TransitionDefaultMinimumObjectSize"


class Moving(Archive):
    """`pass_days` lets rules act too."""

    def __init__(self, server: MemoryServer, clock: MovedClock) -> None:
        super().__init__(server, clock)
        catalog = server.engine.catalog
        self.expirer = Expirer(catalog, catalog, clock)
        self.administration = LifecycleAdministration(catalog, catalog, clock)

    def rules(self, *rules: dict[str, Any], **more: Any) -> None:
        whole = [{"Filter": {}, "Status": "Enabled", **one} for one in rules]
        self.s3.put_bucket_lifecycle_configuration(
            Bucket=self.bucket, LifecycleConfiguration={"Rules": whole}, **more
        )

    def work(self, *, hasten: bool = False) -> None:
        while self.server.call(self.expirer.round()).again < 5:
            pass
        super().work(hasten=hasten)

    def preview(self) -> list[tuple[str, str, int, bool]]:
        """What is foreseen, in order: act, class, how many, and whether it is held."""
        found = self.server.call(self.administration.preview(self.bucket))["rows"]
        return [(row["act"], row["to"], row["number"], row["held"]) for row in found]

    def kinds(self) -> dict[str, str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"]: one["StorageClass"] for one in listed}

    def warm(self, key: str, body: bytes = LARGE, **more: Any) -> Any:
        return self.put(key, body, "STANDARD", **more)

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What destinations get of the events of a name that wait."""
        catalog = self.server.engine.catalog
        found = catalog.only_bucket_named(self.bucket)
        assert found is not None
        route = routing("us-east-1")
        return [
            json.loads(delivery.body)["Records"][0]
            for place, event in catalog.events(after=EventPlace(b"", 0, 0), limit=1000)
            if place.bucket_id == found.id and event.name == name
            for delivery in route(EVERYTHING, found, place, event)
        ]

    def versioned(self) -> None:
        self.s3.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
        )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[MemoryServer, MovedClock]]:
    # The catalog's time is moved, not that of the gateway, which clients sign by.
    clock = MovedClock()
    with MemoryServer(
        clock=clock, change=lambda services: replace(services, clock=SystemClock())
    ) as server:
        yield server, clock


@pytest.fixture
def moving(served: tuple[MemoryServer, MovedClock]) -> Iterator[Moving]:
    served[1].put_right(served[0])
    made = Moving(*served)
    yield made
    assert made.unsound() == []


def test_what_is_old_enough_is_archived_and_comes_back(moving: Moving) -> None:
    before = moving.warm("key", Metadata={"a": "b"})
    moving.rules({"ID": "cold", "Transitions": [{"Days": 3, "StorageClass": "GLACIER"}]})
    assert "Expiration" not in moving.head()
    assert moving.preview() == [("move", "GLACIER", 1, False)]
    moving.pass_days(2)
    assert moving.get() == LARGE
    moving.pass_days(2)
    found = moving.head()
    assert (found["StorageClass"], found["ETag"]) == ("GLACIER", before["ETag"])
    assert found["Metadata"] == {"a": "b"}
    assert refused(moving.get) == "InvalidObjectState"
    assert moving.classes() == {"GLACIER": (1, len(LARGE))}
    assert moving.preview() == []
    moving.restore(tier="Expedited", days=1)
    moving.pass_s(1)
    assert moving.get() == LARGE


def test_it_goes_on_to_the_deepest_and_then_expires(moving: Moving) -> None:
    moving.warm("key")
    moves = [{"Days": 1, "StorageClass": "GLACIER"}, {"Days": 2, "StorageClass": "DEEP_ARCHIVE"}]
    moving.rules({"Transitions": moves, "Expiration": {"Days": 4}})
    foreseen = [("move", "GLACIER"), ("move", "DEEP_ARCHIVE"), ("expire", "")]
    assert [row[:2] for row in moving.preview()] == foreseen
    for days, kind in ((2, "GLACIER"), (1, "DEEP_ARCHIVE"), (1, "DEEP_ARCHIVE")):
        moving.pass_days(days)
        assert moving.kinds() == {"key": kind}
    moving.pass_days(1)
    assert moving.kinds() == {}
    assert moving.classes() == {}


def test_what_is_long_due_goes_to_the_coldest_at_once(moving: Moving) -> None:
    moving.warm("key")
    moving.pass_days(100)
    moves = [
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 60, "StorageClass": "GLACIER_IR"},
        {"Days": 200, "StorageClass": "GLACIER"},
    ]
    moving.rules({"Transitions": moves})
    moving.work()
    assert moving.kinds() == {"key": "GLACIER_IR"}
    assert moving.get() == LARGE


def test_nothing_gets_warmer(moving: Moving) -> None:
    moving.put("key", LARGE, "DEEP_ARCHIVE")
    moving.put("ia", LARGE, "ONEZONE_IA")
    moving.rules({"Transitions": [{"Days": 0, "StorageClass": "GLACIER_IR"}]})
    moving.pass_days(2)
    assert moving.kinds() == {"ia": "ONEZONE_IA", "key": "DEEP_ARCHIVE"}


@pytest.mark.parametrize(
    ("filtered", "minimum", "moved"),
    [
        ({}, "all_storage_classes_128K", {"deep-large", "ir-large"}),
        ({}, "varies_by_storage_class", {"deep-large", "deep-small", "ir-large"}),
        (
            {"ObjectSizeGreaterThan": 5},
            "all_storage_classes_128K",
            {"deep-large", "deep-small", "ir-large", "ir-small"},
        ),
    ],
)
def test_what_is_small_stays_unless_the_bucket_or_a_rule_says_otherwise(
    moving: Moving, filtered: dict[str, Any], minimum: str, moved: set[str]
) -> None:
    for prefix in ("deep", "ir"):
        moving.warm(f"{prefix}-large")
        moving.warm(f"{prefix}-small", SMALL)
    moving.rules(
        *(
            {
                "ID": prefix,
                "Filter": {"And": {"Prefix": prefix, **filtered}}
                if filtered
                else {"Prefix": prefix},
                "Transitions": [{"Days": 0, "StorageClass": kind}],
            }
            for prefix, kind in (("deep", "DEEP_ARCHIVE"), ("ir", "GLACIER_IR"))
        ),
        **{MINIMUM: minimum},
    )
    moving.pass_days(1)
    assert {key for key, kind in moving.kinds().items() if kind != "STANDARD"} == moved


def test_old_versions_move_but_for_the_newest_of_them(moving: Moving) -> None:
    moving.versioned()
    first, second, third, current = [moving.warm("key")["VersionId"] for _ in range(4)]
    move = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1, "StorageClass": "GLACIER"}
    moving.rules({"NoncurrentVersionTransitions": [move]})
    moving.pass_days(3)
    listed = moving.s3.list_object_versions(Bucket=moving.bucket)["Versions"]
    kinds = {one["VersionId"]: one["StorageClass"] for one in listed}
    cold = {first, second}
    assert kinds == {
        one: "GLACIER" if one in cold else "STANDARD" for one in (first, second, third, current)
    }


def test_a_locked_version_moves_and_stays_as_it_is(moving: Moving) -> None:
    s3, name = moving.s3, f"{moving.bucket}-locked"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    moving.bucket = name
    version = s3.put_object(Bucket=name, Key="key", Body=LARGE, ObjectLockLegalHoldStatus="ON")[
        "VersionId"
    ]
    before = moving.head(VersionId=version)
    s3.put_object(Bucket=name, Key="key", Body=b"newer")
    moving.rules(
        {
            "ID": "move",
            "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}],
        },
        {"ID": "gone", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    )
    moving.pass_days(3)
    found = moving.head(VersionId=version)
    assert found["StorageClass"] == "GLACIER"
    for name in ("ETag", "LastModified", "ContentLength", "ObjectLockLegalHoldStatus"):
        assert found[name] == before[name]
    moving.work(hasten=True)
    moving.restore(tier="Expedited", days=1, VersionId=version)
    moving.pass_s(1)
    assert moving.get(VersionId=version) == LARGE


def test_a_bucket_that_notifies_hears_of_it(moving: Moving) -> None:
    found = moving.server.engine.catalog.only_bucket_named(moving.bucket)
    assert found is not None
    moving.server.commit(PutBucketDocument(found.id, "notification", EVERYTHING))
    for key in ("a", "b"):
        moving.warm(key)
    moving.rules(
        {"Transitions": [{"Days": 0, "StorageClass": "GLACIER"}], "Expiration": {"Days": 9}}
    )
    moving.pass_days(1)
    assert moving.events()[3:] == ["LifecycleTransition"] * 2
    moving.restore("a", tier="Expedited", days=1)
    moving.pass_s(1)
    moving.pass_days(2)
    assert moving.events()[5:] == [
        f"ObjectRestore:{how}" for how in ("Post", "Completed", "Delete")
    ]
    (message,) = moving.messages("ObjectRestore:Completed")
    told = message["glacierEventData"]["restoreEventData"]
    assert told["lifecycleRestoreStorageClass"] == "GLACIER"
    assert told["lifecycleRestorationExpiryTime"].endswith("T00:00:00.000Z")
    assert message["s3"]["object"]["key"] == "a"
    moving.pass_days(9)
    assert moving.events()[8:] == ["LifecycleExpiration:Delete"] * 2
    moving.versioned()
    moving.warm("c")
    moving.pass_days(10)
    assert moving.events()[-1] == "LifecycleExpiration:DeleteMarkerCreated"


def test_the_published_service_archives_nothing(
    served: tuple[MemoryServer, MovedClock],
) -> None:
    server, _ = served
    user = server.create_store("as-published")
    s3 = boto(server, user)
    store = server.engine.catalog.store_named("as-published")
    assert store is not None
    server.commit(SetStore(store.id, "spec"))
    s3.create_bucket(Bucket="plain")
    about = {"Bucket": "plain", "Key": "key"}
    assert refused(s3.put_object, **about, StorageClass="GLACIER") == "InvalidStorageClass"
    s3.put_object(**about, Body=b"x")
    restored = refused(s3.restore_object, **about, RestoreRequest={"Days": 1})
    assert restored == "NotImplemented"
    header = {"x-coffre-bucket-type": "archiving"}
    assert WireClient(server.port, user).send("PUT", "/archiving", b"", header).status == 200
    s3.put_object(Bucket="archiving", Key="key", Body=b"x")
    assert s3.get_object(Bucket="archiving", Key="key")["StorageClass"] == "GLACIER_IR"
    for name in ("Transitions", "NoncurrentVersionTransitions"):
        days = "Days" if name == "Transitions" else "NoncurrentDays"
        rule = {
            "Filter": {},
            "Status": "Enabled",
            name: [{days: 1, "StorageClass": "GLACIER"}],
        }
        code = refused(
            s3.put_bucket_lifecycle_configuration,
            Bucket="plain",
            LifecycleConfiguration={"Rules": [rule]},
        )
        assert code == "NotImplemented"
