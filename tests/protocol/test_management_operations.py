"""What the management API asks of a node beside what the command line does: whether a name is free,
pages of rows, and buckets that go with all that is in them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coffre.catalog.ecs_mutations import EmptyBucket
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.operator_client import Operator

_names = itertools.count()


@pytest.fixture(scope="module")
def operator(server: MemoryServer) -> Operator:
    return Operator(server)


@pytest.fixture(scope="module")
def shop(operator: Operator) -> Credentials:
    return operator.new_store("shop")


@pytest.fixture
def name(operator: Operator, shop: Credentials) -> str:
    made = f"goods-{next(_names)}"
    operator.call("bucket.create", name=made, store="shop")
    operator.call("bucket.role.grant", bucket=made, store="shop", user=shop.id, role="writer")
    return made


@pytest.fixture
def client(server: MemoryServer, shop: Credentials) -> Any:
    return boto(server, shop)


def test_a_name_is_looked_at_before_it_is_taken(operator: Operator, name: str) -> None:
    def bucket(text: str) -> tuple[bool, bool]:
        found = operator.call("bucket.check", name=text, store="shop")
        assert bool(found["problem"]) is not found["available"]
        return found["valid"], found["available"]

    assert bucket("free") == (True, True)
    assert bucket(name) == (True, False)
    assert bucket("Not A Name") == (False, False)
    taken = operator.call("store.check", name="shop")
    assert (taken["valid"], taken["available"]) == (True, False)
    assert operator.call("store.check", name="shop-2")["available"]
    assert not operator.call("store.check", name="-shop")["valid"]


def test_a_bucket_may_begin_with_versioning(operator: Operator, shop: Credentials) -> None:
    operator.call("bucket.create", name="kept", store="shop", versioning=True)
    assert operator.call("bucket.show", name="kept", store="shop")["versioning"] == "enabled"


def test_pages_of_buckets_are_searched_and_sorted(operator: Operator) -> None:
    operator.new_store("paged")
    for size, one in enumerate(("alpha", "beta", "gamma")):
        operator.call("bucket.create", name=one, store="paged", versioning=bool(size % 2))
    first = operator.call("bucket.page", stores=["paged"], limit=2)
    assert [row["name"] for row in first["items"]] == ["alpha", "beta"]
    assert first["total"] == 3
    rest = operator.call("bucket.page", stores=["paged"], limit=2, after=first["next"])
    assert ([row["name"] for row in rest["items"]], rest["next"]) == (["gamma"], None)
    found = operator.call("bucket.page", stores=["paged"], search="ETA")
    assert [row["name"] for row in found["items"]] == ["beta"]
    backwards = operator.call("bucket.page", stores=["paged"], sort="name", descending=True)
    assert [row["name"] for row in backwards["items"]] == ["gamma", "beta", "alpha"]
    one = operator.call("bucket.page", names=["paged/beta"])
    assert [row["name"] for row in one["items"]] == ["beta"]
    for wrong, field in (
        ({"limit": 0}, "limit"),
        ({"sort": "hue"}, "sort"),
        ({"after": "x"}, "after"),
    ):
        assert operator.refused("bucket.page", **wrong) == ("InvalidArgument", field)


def test_a_key_of_another_store_is_as_one_that_never_was(
    operator: Operator, shop: Credentials
) -> None:
    other = operator.new_store("keys-elsewhere")
    for operation, more in (
        ("user.rotate", {}),
        ("user.reset", {"new_key": True}),
        ("user.key.set", {"active": False}),
        ("user.key.delete", {}),
    ):
        asked = {"access_key": other.access_key, **more}
        never = {"access_key": "CFNOSUCHKEY", **more}
        assert operator.refused(operation, store="shop", **asked) == ("NoSuchKey", "access_key")
        assert operator.refused(operation, store="shop", **never) == ("NoSuchKey", "access_key")
    assert operator.call("user.show", user=other.id)["keys"][0]["state"] == "active"


def test_a_user_shows_the_buckets_that_it_reaches(
    operator: Operator, shop: Credentials, name: str, client: Any
) -> None:
    client.create_bucket(Bucket=f"own-of-{name}")
    rows = operator.call("user.buckets", user=shop.id, store="shop")
    assert {"bucket": name, "owner": False, "role": "writer"} in rows
    assert {"bucket": f"own-of-{name}", "owner": True, "role": None} in rows


def test_a_bucket_goes_with_what_is_in_it_and_says_how_far_that_is(
    operator: Operator, server: MemoryServer, name: str, client: Any
) -> None:
    for number in range(5):
        client.put_object(Bucket=name, Key=f"{number}", Body=b"x")
    assert operator.refused("bucket.empty", name=name, store="shop", confirm="goods") == (
        "NotConfirmed",
        "confirm",
    )
    assert operator.refused("bucket.emptying", name=name, store="shop")[0] == "NotEmptying"
    begun = operator.call("bucket.empty", name=name, store="shop", confirm=name)
    assert (begun["state"], begun["objects_at_first"]) == ("pending", 5)
    assert operator.call("bucket.show", name=name, store="shop")["emptying"]
    store = server.engine.catalog.store_named("shop")
    assert store is not None
    bucket = server.engine.catalog.bucket(store.id, name)
    assert bucket is not None
    server.commit(EmptyBucket(bucket.id, 2))
    half = operator.call("bucket.emptying", name=name, store="shop")
    assert (half["state"], half["deleted"], half["left"]) == ("in-progress", 2, 3)
    server.commit(EmptyBucket(bucket.id))
    assert operator.refused("bucket.emptying", name=name, store="shop")[0] == "NoSuchBucket"


def test_what_is_locked_keeps_its_bucket_and_says_until_when(
    operator: Operator, server: MemoryServer, shop: Credentials, client: Any
) -> None:
    operator.call("bucket.create", name="vaulted", store="shop", object_lock=True)
    operator.call("bucket.role.grant", bucket="vaulted", store="shop", user=shop.id, role="writer")
    until = datetime.now(UTC) + timedelta(days=400)
    client.put_object(
        Bucket="vaulted", Key="k", Body=b"x", ChecksumAlgorithm="SHA256",
        ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until,
    )  # fmt: skip
    with pytest.raises(Exception, match=f"locked until {until:%Y-%m-%d}"):
        operator.call("bucket.empty", name="vaulted", store="shop", confirm="vaulted")


def test_a_policy_that_denies_to_delete_keeps_its_bucket(operator: Operator, name: str) -> None:
    denial = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*",'
        f'"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::{name}/*"}}}}'
    )
    operator.call("policy.set", bucket=name, store="shop", policy=denial)
    asked = {"name": name, "store": "shop", "confirm": name}
    assert operator.refused("bucket.empty", **asked) == ("PolicyDenies", "name")
    operator.call("policy.remove", bucket=name, store="shop")
    assert operator.call("bucket.empty", **asked)["state"] == "pending"


def test_iam_is_counted_and_listed_by_pages(operator: Operator) -> None:
    operator.new_store("managed")
    for label in ("ann", "bob", "cid"):
        operator.call("user.create", store="managed", label=label, kind="iam")
    assert operator.call("iam.summary", store="managed")["users"] >= 3
    first = operator.call("iam.list", store="managed", kind="user", limit=2)
    rest = operator.call("iam.list", store="managed", kind="user", after=first["next"])
    names = [row["name"] for row in (*first["items"], *rest["items"])]
    assert [one for one in names if one in ("ann", "bob", "cid")] == ["ann", "bob", "cid"]
    assert operator.refused("iam.list", store="managed", kind="robot") == (
        "InvalidArgument",
        "kind",
    )
