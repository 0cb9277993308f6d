"""Object Lock in the `ecs` dialect: users of the kind IAM may, nobody else."""

from __future__ import annotations

import pytest

from coffre.catalog.ecs_mutations import SetTraits
from coffre.catalog.emptying import EMPTY_BUCKET, Emptying
from coffre.catalog.packing import pack
from coffre.catalog.records import Trait
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.ecs_client import let_work, texts
from tests.protocol.iam_client import Account, Keys, allow, policy
from tests.protocol.test_object_lock_identities import date, locked_bucket, retention
from tests.protocol.wire_client import WireClient


@pytest.fixture
def ecs(server: MemoryServer) -> Account:
    return Account(server, "ecs")


def test_in_ecs_an_iam_user_locks(ecs: Account) -> None:
    s3, named = locked_bucket(ecs, ecs.create_user("iam", allow("s3:*")))
    bucket = {"Bucket": named["Bucket"]}
    told = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert told == {"ObjectLockEnabled": "Enabled"}
    s3.put_object_retention(**named, Retention=retention(1))
    s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    version = s3.head_object(**named)["VersionId"]
    exact = {**named, "VersionId": version}
    assert refused(s3.delete_object, **exact) == "AccessDenied"
    s3.delete_object(**exact, BypassGovernanceRetention=True)


def test_in_ecs_nobody_else_locks(ecs: Account) -> None:
    asked = {"Bucket": f"root-of-{ecs.name}", "ObjectLockEnabledForBucket": True}
    assert refused(ecs.s3.create_bucket, **asked) == "AccessDenied"
    s3, named = locked_bucket(ecs, ecs.create_user("iam", allow("s3:*")))
    s3.put_object_retention(**named, Retention=retention(1))
    version = s3.head_object(**named)["VersionId"]
    exact, bucket = {**named, "VersionId": version}, {"Bucket": named["Bucket"]}
    root = ecs.s3
    everything = {
        **allow("s3:*", [f"arn:aws:s3:::{bucket['Bucket']}", f"arn:aws:s3:::{bucket['Bucket']}/*"]),
        "Principal": {"AWS": [ecs.user.access_key]},
    }
    s3.put_bucket_policy(**bucket, Policy=policy(everything))
    kept = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": date(1)}
    lock = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    for call, arguments in (
        (root.get_object_lock_configuration, bucket),
        (root.put_object_lock_configuration, {**bucket, **lock}),
        (root.get_object_retention, exact),
        (root.put_object_retention, {**exact, "Retention": retention(2)}),
        (root.get_object_legal_hold, exact),
        (root.put_object_legal_hold, {**exact, "LegalHold": {"Status": "ON"}}),
        (root.put_object, {**named, "Body": b"x", **kept}),
        (root.create_multipart_upload, {**named, **kept}),
        (root.delete_object, {**exact, "BypassGovernanceRetention": True}),
    ):
        assert refused(call, **arguments) == "AccessDenied", call
    root.put_object(**named, Body=b"without a lock of its own")


def test_in_ecs_a_bucket_that_stands_gets_no_lock(ecs: Account) -> None:
    s3 = ecs.client("s3", ecs.create_user("iam", allow("s3:*")))
    bucket = {"Bucket": f"stands-in-{ecs.name}"}
    s3.create_bucket(**bucket)
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    lock = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    assert refused(s3.put_object_lock_configuration, **bucket, **lock) == "InvalidBucketState"


def test_in_ecs_what_is_locked_keeps_its_bucket(ecs: Account) -> None:
    keys = ecs.create_user("iam", allow("*"))
    s3, named = locked_bucket(ecs, keys)
    s3.put_object_retention(**named, Retention=retention(1, "COMPLIANCE"))
    # Emptying is the owner's alone, who is the store's own user here.
    catalog = ecs.server.engine.catalog
    store = catalog.store_named(ecs.name)
    assert store is not None
    bucket = catalog.bucket(store.id, named["Bucket"])
    assert bucket is not None
    begun = Emptying(0, 0, bucket.objects, bucket.bytes)
    asked = SetTraits(bucket.id, on=Trait.EMPTYING, documents={EMPTY_BUCKET: pack(begun)})
    ecs.server.commit(asked)
    let_work(ecs.server)
    answer = wire_of(ecs, keys).send("GET", f"/{named['Bucket']}?empty-bucket-status")
    assert texts(answer, "Status") == ["FAILED"]
    assert texts(answer, "FailedToDeleteDueToRetention") == ["1"]
    assert b"locked until" in answer.body
    assert s3.get_object(**named)["Body"].read() == b"x"


def wire_of(account: Account, keys: Keys) -> WireClient:
    user = Credentials(account.name, "", "iam", keys.access_key, keys.secret_key)
    return WireClient(account.server.port, user)


def test_in_ecs_a_lock_and_reading_during_an_outage_exclude_each_other(ecs: Account) -> None:
    keys = ecs.create_user("iam", allow("*"))
    _, named = locked_bucket(ecs, keys)
    wire = wire_of(ecs, keys)
    stale = {"x-emc-is-stale-allowed": "true"}
    answer = wire.send("PUT", f"/{named['Bucket']}?isstaleallowed", b"", stale)
    assert (answer.status, answer.code) == (409, "InvalidBucketState")
    both = {**stale, "x-amz-bucket-object-lock-enabled": "true"}
    answer = wire.send("PUT", "/stale-and-locked", b"", both)
    assert (answer.status, answer.code) == (409, "InvalidBucketState")
    assert wire.send("HEAD", "/stale-and-locked").status == 404


def test_in_ecs_what_is_locked_is_not_written_into(ecs: Account) -> None:
    keys = ecs.create_user("iam", allow("*"))
    s3, named = locked_bucket(ecs, keys)
    target = f"/{named['Bucket']}/k"
    owner = wire_of(ecs, keys)
    assert owner.send("PUT", target, b"y", {"Range": "bytes=-1-"}).status == 204
    s3.put_object_retention(**named, Retention=retention(1, "COMPLIANCE"))
    for where in ("bytes=-1-", "bytes=0-0", "bytes=0-"):
        answer = owner.send("PUT", target, b"z", {"Range": where})
        assert (answer.status, answer.code) == (403, "AccessDenied")
    assert owner.send("GET", target).body == b"xy"


def test_in_ecs_what_is_written_into_is_locked_by_default(ecs: Account) -> None:
    keys = ecs.create_user("iam", allow("s3:*"))
    s3, named = locked_bucket(ecs, keys)
    target = f"/{named['Bucket']}/k"
    owner = wire_of(ecs, keys)
    default = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": default}
    s3.put_object_lock_configuration(Bucket=named["Bucket"], ObjectLockConfiguration=lock)
    assert owner.send("PUT", target, b"y", {"Range": "bytes=-1-"}).status == 204
    assert s3.head_object(**named)["ObjectLockMode"] == "COMPLIANCE"
    assert owner.send("PUT", target, b"z", {"Range": "bytes=-1-"}).code == "AccessDenied"
    assert owner.send("GET", target).body == b"xy"
