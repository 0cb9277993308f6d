"""Tenants and object stores: made, set, bounded, locked, deleted; what is wrong changes nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import MIB, boto, refused
from tests.protocol.operator_client import Operator

_numbers = itertools.count()


@pytest.fixture(scope="module")
def operator(server: MemoryServer) -> Operator:
    return Operator(server)


@pytest.fixture
def name() -> str:
    return f"store-{next(_numbers)}"


@pytest.fixture
def limited(operator: Operator, name: str) -> Credentials:
    return operator.new_store(name, hard_bytes=1000, hard_objects=3, warn_bytes=500)


def test_a_store_is_made_with_a_user_whose_secret_is_shown_once(
    operator: Operator, server: MemoryServer, name: str
) -> None:
    user = operator.new_store(name, label="Holiday photos")
    boto(server, user).create_bucket(Bucket="bucket")
    (shown,) = [one for one in operator.call("store.list") if one["name"] == name]
    assert (shown["label"], shown["tenant"], shown["status"]) == (
        "Holiday photos",
        "people",
        "active",
    )
    assert shown["buckets"] == 1
    told = repr((shown, operator.call("user.show", user=user.id), operator.call("status")))
    assert user.secret_key not in told


def test_a_tenants_limit_counts_the_buckets_of_all_of_its_stores(
    operator: Operator, server: MemoryServer, name: str
) -> None:
    operator.call("tenant.create", name=name, bucket_limit=2)
    clients = []
    for which in ("a", "b"):
        made = operator.call("store.create", name=f"{name}-{which}", tenant=name)
        clients.append(
            boto(server, Credentials("", made["id"], "", made["access_key"], made["secret_key"]))
        )
    for client in clients:
        client.create_bucket(Bucket="one")
    assert refused(clients[0].create_bucket, Bucket="two") == "TooManyBuckets"
    operator.call("tenant.set", name=name, bucket_limit=3)
    clients[0].create_bucket(Bucket="two")
    (shown,) = [one for one in operator.call("tenant.list") if one["name"] == name]
    assert shown == {
        "name": name,
        "bucket_limit": 3,
        "buckets": 3,
        "stores": [f"{name}-a", f"{name}-b"],
    }


def test_a_quota_of_bytes_refuses_what_goes_beyond_and_nothing_that_shrinks(
    operator: Operator, server: MemoryServer, limited: Credentials
) -> None:
    s3 = boto(server, limited)
    for bucket in ("one", "two"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="one", Key="a", Body=b"a" * 600)
    s3.put_object(Bucket="two", Key="b", Body=b"b" * 400)
    assert refused(s3.put_object, Bucket="two", Key="c", Body=b"c") == "QuotaExceeded"
    assert refused(s3.put_object, Bucket="one", Key="a", Body=b"a" * 601) == "QuotaExceeded"
    assert s3.get_object(Bucket="one", Key="a")["Body"].read() == b"a" * 600
    source = {"Bucket": "one", "Key": "a"}
    assert refused(s3.copy_object, Bucket="two", Key="d", CopySource=source) == "QuotaExceeded"
    s3.put_object(Bucket="one", Key="a", Body=b"a" * 599)
    s3.put_object(Bucket="two", Key="c", Body=b"c")
    s3.delete_object(Bucket="one", Key="a")
    s3.put_object(Bucket="two", Key="d", Body=b"d" * 599)


def test_a_quota_of_objects_counts_versions_and_refuses_with_403(
    operator: Operator, server: MemoryServer, limited: Credentials
) -> None:
    s3 = boto(server, limited)
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(3):
        s3.put_object(Bucket="kept", Key="k", Body=b"x")
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.put_object(Bucket="kept", Key="k", Body=b"x")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert error.value.response["Error"]["Code"] == "QuotaExceeded"
    s3.delete_object(Bucket="kept", Key="k")  # A marker is no object.


def test_parts_and_completed_uploads_keep_to_the_quota(
    operator: Operator, server: MemoryServer, name: str
) -> None:
    s3 = boto(server, operator.new_store(name, hard_bytes=8 * MIB))
    s3.create_bucket(Bucket="box")
    upload = s3.create_multipart_upload(Bucket="box", Key="k")["UploadId"]
    about = {"Bucket": "box", "Key": "k", "UploadId": upload}
    too_much = bytes(9 * MIB)
    assert refused(s3.upload_part, **about, PartNumber=1, Body=too_much) == "QuotaExceeded"

    def part(number: int) -> dict[str, Any]:
        answer = s3.upload_part(**about, PartNumber=number, Body=bytes(5 * MIB))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    parts = [part(1)]
    # What is uploaded already is held, finished or not; a part in its place needs no room.
    assert refused(part, number=2) == "QuotaExceeded"
    parts = [part(1)]
    operator.call("store.set", name=name, hard_bytes=10 * MIB)
    parts.append(part(2))
    # To finish adds nothing, so it is taken in a store that is over its quota by now.
    operator.call("store.set", name=name, hard_bytes=MIB)
    s3.complete_multipart_upload(**about, MultipartUpload={"Parts": parts})
    assert refused(s3.put_object, Bucket="box", Key="j", Body=b"1") == "QuotaExceeded"


def test_a_quota_that_is_lifted_refuses_nothing_any_more(
    operator: Operator, server: MemoryServer, limited: Credentials
) -> None:
    s3 = boto(server, limited)
    s3.create_bucket(Bucket="box")
    assert refused(s3.put_object, Bucket="box", Key="k", Body=bytes(1001)) == "QuotaExceeded"
    operator.call("store.set", name=limited.store, hard_bytes=0, hard_objects=0)
    for number in range(5):
        s3.put_object(Bucket="box", Key=str(number), Body=bytes(1001))


def test_status_warns_of_stores_beyond_what_they_should_hold(
    operator: Operator, server: MemoryServer, limited: Credentials
) -> None:
    s3 = boto(server, limited)
    s3.create_bucket(Bucket="box")

    def warned() -> list[Any]:
        rows = operator.call("status")["over_quota"]
        return [row for row in rows if row["store"] == limited.store]

    assert warned() == []
    s3.put_object(Bucket="box", Key="k", Body=bytes(500))
    about = {"store": limited.store, "what": "bytes"}
    assert warned() == [{**about, "held": 500, "limit": 500, "kind": "warning"}]
    s3.put_object(Bucket="box", Key="l", Body=bytes(500))
    assert warned() == [{**about, "held": 1000, "limit": 1000, "kind": "quota"}]


def test_new_buckets_get_what_their_store_says(
    operator: Operator, server: MemoryServer, name: str
) -> None:
    user = operator.new_store(name, ownership="BucketOwnerEnforced", block_public=True)
    s3 = boto(server, user)
    s3.create_bucket(Bucket="box")
    rules = s3.get_bucket_ownership_controls(Bucket="box")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    block = s3.get_public_access_block(Bucket="box")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    made = {"Bucket": "other", "ACL": "public-read"}
    assert refused(s3.create_bucket, **made) == "InvalidBucketAclWithObjectOwnership"
    own = {**made, "ObjectOwnership": "ObjectWriter"}
    assert refused(s3.create_bucket, **own) == "AccessDenied"
    operator.call("store.set", name=name, block_public=False)
    s3.create_bucket(**own)


def test_a_locked_store_answers_nobody(operator: Operator, server: MemoryServer, name: str) -> None:
    s3 = boto(server, operator.new_store(name))
    s3.create_bucket(Bucket="box", ACL="public-read")
    operator.call("store.lock", name=name)
    assert refused(s3.list_buckets) == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket="box") == "AccessDenied"
    operator.call("store.unlock", name=name)
    s3.list_objects_v2(Bucket="box")


def test_a_store_with_buckets_is_not_deleted_and_one_without_goes_whole(
    operator: Operator, server: MemoryServer, name: str
) -> None:
    user = operator.new_store(name)
    s3 = boto(server, user)
    s3.create_bucket(Bucket="box")
    assert operator.refused("store.delete", name=name) == ("StoreNotEmpty", "name")
    s3.list_buckets()
    s3.delete_bucket(Bucket="box")
    for number in range(250):  # More than one step removes.
        operator.new_user(name, f"user {number}")
    assert operator.call("store.delete", name=name) == {"name": name, "deleted": True}
    assert refused(s3.list_buckets) == "InvalidAccessKeyId"
    assert operator.refused("user.list", store=name) == ("NoSuchStore", "store")
    again = operator.new_store(name)
    assert boto(server, again).list_buckets()["Buckets"] == []


BAD = [
    ("store.create", {"name": "Upper"}, "InvalidName", "name"),
    ("store.create", {"name": "-a"}, "InvalidName", "name"),
    ("store.create", {"name": "a" * 64}, "InvalidName", "name"),
    ("store.create", {"name": "new", "tenant": "nobody"}, "NoSuchTenant", "tenant"),
    ("store.create", {"name": "new", "dialect": "gcs"}, "InvalidArgument", "dialect"),
    ("store.create", {"name": "new", "profile": "half"}, "InvalidArgument", "profile"),
    ("store.create", {"name": "new", "label": "a\nb"}, "InvalidLabel", "label"),
    ("store.create", {"name": "new", "hard_bytes": -1}, "InvalidArgument", "hard_bytes"),
    ("store.create", {"name": "new", "warn_objects": "9"}, "InvalidArgument", "warn_objects"),
    ("store.create", {"name": "new", "hard_inodes": 1}, "InvalidArgument", "hard_inodes"),
    ("store.create", {"name": "new", "network": "lan"}, "InvalidArgument", "network"),
    ("store.create", {"name": "new", "network": "custom"}, "InvalidNetwork", "addresses"),
    ("store.create", {"name": "new", "addresses": ["10.0.0.1"]}, "InvalidNetwork", "addresses"),
    ("store.create", {"name": "new", "ownership": "Mine"}, "InvalidArgument", "ownership"),
    ("store.create", {"name": "main"}, "StoreAlreadyExists", "name"),
    ("store.set", {"name": "nobody"}, "NoSuchStore", "store"),
    ("store.set", {"name": "main", "hard_objects": True}, "InvalidArgument", "hard_objects"),
    ("tenant.create", {"name": "people"}, "TenantAlreadyExists", "name"),
    ("tenant.create", {"name": "a b"}, "InvalidName", "name"),
    ("tenant.create", {"name": "new", "bucket_limit": 0}, "InvalidArgument", "bucket_limit"),
    ("tenant.set", {"name": "nobody", "bucket_limit": 5}, "NoSuchTenant", "tenant"),
]


@pytest.fixture(scope="module")
def people(operator: Operator) -> None:
    operator.new_store("taken")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(("operation", "arguments", "code", "field"), BAD)
def test_what_is_wrong_is_refused_with_its_field_and_changes_nothing(
    operator: Operator, operation: str, arguments: dict[str, Any], code: str, field: str
) -> None:
    if operation == "store.create":
        arguments = {"tenant": "people", **arguments}
    before = operator.call("store.list"), operator.call("tenant.list")
    assert operator.refused(operation, **arguments) == (code, field)
    assert (operator.call("store.list"), operator.call("tenant.list")) == before
