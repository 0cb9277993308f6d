"""Object Lock on real processes: what is locked stays through a kill and a lost catalog, byte for
byte, and goes once its date has come."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coffre.cli.complaint import Complaint

from .node import Node, wait_until
from .test_drive_changes import fifth_rack
from .test_expiry import client

BUCKET = "locked"
COMPLIANCE = {"ObjectLockMode": "COMPLIANCE"}
# What an operator may ask of a node that serves, in an order in which each has something to do.
ASKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("seal.now", {}),
    *((f"clock.{what}", {}) for what in ("show", "accept", "cancel")),
    *((f"key.{what}", {}) for what in ("check", "rotate", "prune")),
    ("kms.create", {"store": "default", "alias": "a"}),
    *((f"kms.{what}", {"store": "default", "key": "a"}) for what in ("rotate", "disable")),
    ("lifecycle.set_days", {"bucket": BUCKET, "days": 1}),
    ("bucket.delete", {"name": BUCKET}),
    ("store.delete", {"name": "default"}),
    *((f"snapshot.{what}", {}) for what in ("now", "list")),
    *((f"repair.{what}", {}) for what in ("start", "status")),
)


def test_locks_outlive_a_kill_and_the_catalog_and_end_at_their_date(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(inline_limit="65536").start()
    s3 = client(node)
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    now = datetime.now(UTC).replace(microsecond=0)
    soon, late = now + timedelta(seconds=15), now + timedelta(days=4000)
    asked: dict[str, dict[str, Any]] = {
        "late": {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": late},
        "soon": {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": soon},
        "held": {"ObjectLockLegalHoldStatus": "ON"},
    }
    bodies = {key: chance.randbytes(chance.choice([100, 100_000])) for key in asked}
    versions = {
        key: s3.put_object(Bucket=BUCKET, Key=key, Body=bodies[key], **more)["VersionId"]
        for key, more in asked.items()
    }
    node.kill()
    for path in node.data.glob("catalog.sqlite*"):
        path.unlink()
    node.start()
    s3 = client(node)
    for key, version in versions.items():
        named = {"Bucket": BUCKET, "Key": key, "VersionId": version}
        if datetime.now(UTC) < soon or key != "soon":
            with pytest.raises(ClientError, match="protected by object lock"):
                s3.delete_object(**named, BypassGovernanceRetention=True)
        got = s3.get_object(**named)
        assert got["Body"].read() == bodies[key]
        assert {name: got[name] for name in asked[key]} == asked[key]

    def goes() -> bool:
        try:
            s3.delete_object(Bucket=BUCKET, Key="soon", VersionId=versions["soon"])
        except ClientError:
            return False
        return True

    wait_until(goes, "a lock ends", every=0.2)
    assert datetime.now(UTC) >= soon
    left = s3.list_object_versions(Bucket=BUCKET)["Versions"]
    assert {one["Key"] for one in left} == {"late", "held"}
    node.stop()


class Kept:
    """Versions under COMPLIANCE on a running node, one of them large."""

    def __init__(self, node: Node, chance: random.Random) -> None:
        self._s3 = client(node)
        self._s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        self._bodies = {"small": chance.randbytes(100), "large": chance.randbytes(300_000)}
        kept = {**COMPLIANCE, "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=400)}
        self._versions = {
            key: self._s3.put_object(Bucket=BUCKET, Key=key, Body=body, **kept)["VersionId"]
            for key, body in self._bodies.items()
        }

    def check(self) -> None:
        for key, version in self._versions.items():
            named = {"Bucket": BUCKET, "Key": key, "VersionId": version}
            with pytest.raises(ClientError, match="protected by object lock"):
                self._s3.delete_object(**named, BypassGovernanceRetention=True)
            assert self._s3.get_object(**named)["Body"].read() == self._bodies[key]


def test_nothing_asked_of_a_node_opens_a_lock(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="1", inline_limit="65536").start()
    fifth_rack(node)
    kept = Kept(node, chance)
    done = set()
    stewards = [row["name"] for row in node.ask("steward.list")]
    for operation, arguments in ASKED:
        try:
            node.ask(operation, **arguments)
            done.add(operation)
        except Complaint:
            pass
        kept.check()
    assert not done & {"bucket.delete", "store.delete"}
    assert done >= {"key.rotate", "kms.disable", "lifecycle.set_days", "seal.now", "snapshot.now"}
    for name in stewards:
        for what in ("pause", "resume", "run"):
            node.ask(f"steward.{what}", name=name)
        kept.check()
    going = str(node.data / "drives" / "r1n1d1")
    for words in (["drain", going, "--no-wait"], ["drain", going, "--cancel"]):
        node.command("drive", *words)
        kept.check()
    assert node.stop() == 0
