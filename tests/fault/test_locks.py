"""Object Lock on real processes: what is locked stays through a kill and a lost catalog, byte for
byte, and goes once its date has come."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .node import Node, wait_until
from .test_expiry import client

BUCKET = "locked"


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
