"""Object Lock and IAM: what an identity's policies say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.iam_client import Account, Keys, allow, deny

DAYS = "s3:object-lock-remaining-retention-days"


def date(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def retention(days: float, mode: str = "GOVERNANCE") -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": date(days)}


@pytest.fixture
def aws(server: MemoryServer) -> Account:
    return Account(server)


def locked_bucket(account: Account, keys: Keys) -> tuple[Any, dict[str, str]]:
    """A client, and an object in a bucket with Object Lock that it made."""
    s3 = account.client("s3", keys)
    named = {"Bucket": f"locks-of-{account.name}", "Key": "k"}
    s3.create_bucket(Bucket=named["Bucket"], ObjectLockEnabledForBucket=True)
    s3.put_object(**named, Body=b"x")
    return s3, named


def test_five_years_and_no_longer_by_an_iam_policy(aws: Account) -> None:
    over = {"NumericGreaterThan": {DAYS: "1825"}}
    limits = deny(["s3:PutObject", "s3:PutObjectRetention"], Condition=over)
    s3, named = locked_bucket(aws, aws.create_user("bounded", allow("s3:*"), limits))
    call = s3.put_object_retention
    assert refused(call, **named, Retention=retention(1826)) == "AccessDenied"
    call(**named, Retention=retention(1824))
    kept = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": date(1826)}
    assert refused(s3.put_object, **named, Body=b"x", **kept) == "AccessDenied"


def test_an_iam_user_bypasses_by_policy_alone(aws: Account) -> None:
    s3, named = locked_bucket(aws, aws.create_user("first", allow("s3:*")))
    s3.put_object_retention(**named, Retention=retention(1))
    version = s3.head_object(**named)["VersionId"]
    deletes = ["s3:DeleteObjectVersion"]
    for name, actions, code in (
        ("plain", deletes, "AccessDenied"),
        ("trusted", [*deletes, "s3:BypassGovernanceRetention"], ""),
    ):
        other = aws.client("s3", aws.create_user(name, allow(actions)))
        bypass = {**named, "VersionId": version, "BypassGovernanceRetention": True}
        if code:
            assert refused(other.delete_object, **bypass) == code
        else:
            other.delete_object(**bypass)


def test_a_locked_bucket_takes_the_permission_to_lock_it(aws: Account) -> None:
    keys = aws.create_user("maker", allow(["s3:CreateBucket", "s3:PutBucketVersioning"]))
    s3, bucket = aws.client("s3", keys), {"Bucket": f"made-of-{aws.name}"}
    assert refused(s3.create_bucket, **bucket, ObjectLockEnabledForBucket=True) == "AccessDenied"
    s3.create_bucket(**bucket)
