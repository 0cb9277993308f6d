"""Users and their keys: rotated and reset with a grace, locked, deleted, never reused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from coffre.catalog.access_mutations import AddKey, ReplaceKey
from coffre.catalog.mutations import Refusal, RotateKey
from coffre.catalog.records import Secret
from coffre.service.invalid import Invalid
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.ecs_client import MovedClock
from tests.protocol.operator_client import Operator, as_user
from tests.protocol.wire_client import WireClient

GRACE_S = 600  # Less than clocks may differ: what is signed later is still taken.
_numbers = itertools.count()


@pytest.fixture(scope="module")
def moved() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="module")
def timed(moved: MovedClock) -> Iterator[MemoryServer]:
    """A server whose clock the test moves."""
    with MemoryServer(clock=moved, bucket_limit=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def operator(timed: MemoryServer) -> Operator:
    return Operator(timed)


@pytest.fixture
def store(operator: Operator, moved: MovedClock) -> str:
    moved.ahead_ms = 0
    name = f"store-{next(_numbers)}"
    operator.new_store(name)
    return name


@pytest.fixture
def ann(operator: Operator, store: str) -> Credentials:
    return operator.new_user(store, "ann")


def test_a_bucket_that_is_not_there_is_told_from_one_that_several_stores_have(
    operator: Operator,
) -> None:
    names = [f"store-{next(_numbers)}" for _ in range(2)]
    for name in names:
        operator.new_store(name)
        operator.call("bucket.create", name="twice", store=name)
    for operation in ("bucket.usage", "policy.show", "bucket.delete"):
        about = {("bucket" if operation == "policy.show" else "name"): "twice"}
        assert operator.refused(operation, **about) == ("AmbiguousBucket", "bucket")
        none = dict.fromkeys(about, "nowhere")
        assert operator.refused(operation, **none) == ("NoSuchBucket", "bucket")
    with pytest.raises(Invalid, match="already own it"):
        operator.call("bucket.create", name="twice", store=names[0])


def works(server: MemoryServer, user: Credentials) -> bool:
    return "Buckets" in boto(server, user).list_buckets()


def code(server: MemoryServer, user: Credentials) -> str:
    return refused(boto(server, user).list_buckets)


def test_within_the_grace_both_secrets_verify_and_after_it_the_new_one_alone(
    operator: Operator, timed: MemoryServer, moved: MovedClock, ann: Credentials
) -> None:
    made = operator.call("user.rotate", access_key=ann.access_key, grace_seconds=GRACE_S)
    new = replace(ann, secret_key=made["secret_key"])
    assert works(timed, ann)
    assert works(timed, new)
    left_ms = made["old_secret_expires_ms"] - timed.engine.clock.now_ms()
    moved.ahead_ms = left_ms - 60_000
    assert works(timed, ann)
    moved.ahead_ms = left_ms
    assert code(timed, ann) == "SignatureDoesNotMatch"
    assert works(timed, new)


def test_a_grace_can_be_ended_early_and_there_is_none_by_default(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    key = ann.access_key
    second = replace(
        ann,
        secret_key=operator.call("user.rotate", access_key=key, grace_seconds=60)["secret_key"],
    )
    shown = operator.call("user.rotate", access_key=key, end_grace=True)
    assert shown["keys"][0]["old_secret_ends_ms"] is None
    assert code(timed, ann) == "SignatureDoesNotMatch"
    third = replace(ann, secret_key=operator.call("user.rotate", access_key=key)["secret_key"])
    assert code(timed, second) == "SignatureDoesNotMatch"
    assert works(timed, third)


def test_a_reset_gives_another_pair_and_the_old_one_ends_with_its_grace(
    operator: Operator, timed: MemoryServer, moved: MovedClock, ann: Credentials
) -> None:
    made = operator.call(
        "user.reset", access_key=ann.access_key, new_key=True, grace_seconds=GRACE_S
    )
    new = as_user(ann.store, made)
    assert new.access_key != ann.access_key
    assert works(timed, ann)
    assert works(timed, new)
    states = {one["access_key"]: one["state"] for one in _keys(operator, ann)}
    assert states == {ann.access_key: "ending", new.access_key: "active"}
    assert operator.refused("user.rotate", access_key=ann.access_key)[0] == "KeyIsEnding"
    moved.ahead_ms = GRACE_S * 1000
    assert code(timed, ann) == "InvalidAccessKeyId"
    assert works(timed, new)


def test_a_reset_without_grace_ends_the_old_pair_at_once(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    new = as_user(ann.store, operator.call("user.reset", access_key=ann.access_key, new_key=True))
    assert code(timed, ann) == "InvalidAccessKeyId"
    assert works(timed, new)
    assert [one["access_key"] for one in _keys(operator, ann)] == [new.access_key]


def test_of_keys_that_are_ending_a_user_has_one_at_most(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    reset = {"new_key": True, "grace_seconds": GRACE_S}
    second = as_user(ann.store, operator.call("user.reset", access_key=ann.access_key, **reset))
    as_user(ann.store, operator.call("user.reset", access_key=second.access_key, **reset))
    assert code(timed, ann) == "InvalidAccessKeyId"
    assert works(timed, second)
    assert len(_keys(operator, ann)) == 2


def test_a_key_that_is_replaced_twice_at_once_is_replaced_once(
    timed: MemoryServer, operator: Operator, ann: Credentials
) -> None:
    secret = Secret(wrapped=b"w", root_key_id=b"r" * 8)
    ends_ms = timed.engine.clock.now_ms() + GRACE_S * 1000
    timed.commit(ReplaceKey(ann.access_key, "CFFIRST0000000000000", secret, ends_ms))
    for late in (
        ReplaceKey(ann.access_key, "CFSECOND000000000000", secret, ends_ms),
        RotateKey(ann.access_key, secret, None),
    ):
        with pytest.raises(Refusal, match="KeyIsEnding"):
            timed.commit(late)
    assert {one["state"] for one in _keys(operator, ann)} == {"active", "ending"}
    assert len(_keys(operator, ann)) == 2


def test_two_keys_are_the_most_and_each_is_on_its_own(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    second = as_user(ann.store, operator.call("user.key.add", user=ann.id))
    assert operator.refused("user.key.add", user=ann.id)[0] == "AccessKeyLimit"
    operator.call("user.key.set", access_key=second.access_key, active=False)
    assert code(timed, second) == "InvalidAccessKeyId"
    assert works(timed, ann)
    operator.call("user.key.set", access_key=second.access_key, active=True)
    assert works(timed, second)
    operator.call("user.key.delete", access_key=ann.access_key)
    assert code(timed, ann) == "InvalidAccessKeyId"
    assert works(timed, second)


def test_a_key_that_is_gone_never_comes_again(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    operator.call("user.key.delete", access_key=ann.access_key)
    secret = timed.engine.services.keyring.wrap_secret("s" * 40)
    with pytest.raises(Refusal) as refusal:
        timed.commit(AddKey(ann.id, ann.access_key, secret))
    assert refusal.value.code == "AccessKeyAlreadyExists"
    bob = operator.new_user(ann.store, "bob")
    operator.call("user.delete", user=bob.id)
    with pytest.raises(Refusal) as refusal:
        timed.commit(AddKey(ann.id, bob.access_key, secret))
    assert refusal.value.code == "AccessKeyAlreadyExists"


def test_when_a_key_was_last_used_is_known(
    operator: Operator, timed: MemoryServer, moved: MovedClock, ann: Credentials
) -> None:
    assert _keys(operator, ann)[0]["last_used_ms"] is None
    wrong = replace(ann, secret_key="wrong")
    assert code(timed, wrong) == "SignatureDoesNotMatch"
    assert _keys(operator, ann)[0]["last_used_ms"] is None
    before = timed.engine.clock.now_ms()
    assert works(timed, ann)
    assert before <= _keys(operator, ann)[0]["last_used_ms"] <= timed.engine.clock.now_ms()


def test_a_locked_user_may_nothing_until_it_is_unlocked(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    s3 = boto(timed, ann)
    s3.create_bucket(Bucket="own")
    operator.call("user.lock", user="ann", store=ann.store)
    for call in (s3.list_buckets, lambda: s3.list_objects_v2(Bucket="own")):
        assert refused(call) == "AccessDenied"
    assert operator.call("user.show", user=ann.access_key)["locked"] is True
    operator.call("user.unlock", user=ann.id)
    s3.list_objects_v2(Bucket="own")


def test_who_may_make_no_buckets_makes_none(
    operator: Operator, timed: MemoryServer, store: str
) -> None:
    reader = operator.new_user(store, "reader", create_buckets=False)
    s3 = boto(timed, reader)
    assert refused(s3.create_bucket, Bucket="box") == "AccessDenied"
    operator.call("user.set", user=reader.id, create_buckets=True)
    s3.create_bucket(Bucket="box")


def test_a_user_with_buckets_goes_only_when_somebody_gets_them(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    boto(timed, ann).create_bucket(Bucket="left")
    boto(timed, ann).put_object(Bucket="left", Key="k", Body=b"kept")
    bob = operator.new_user(ann.store, "bob")
    assert operator.refused("user.delete", user=ann.id) == ("UserHasBuckets", "give_to")
    gone = operator.call("user.delete", user=ann.id, give_to="bob")
    assert gone["buckets_given"] == 1
    assert code(timed, ann) == "InvalidAccessKeyId"
    assert operator.refused("user.show", user=ann.id) == ("NoSuchUser", "user")
    s3 = boto(timed, bob)
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["left"]
    assert s3.get_object(Bucket="left", Key="k")["Body"].read() == b"kept"


def test_a_bucket_that_is_given_to_the_store_is_nobodys_key_to_open(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    boto(timed, ann).create_bucket(Bucket="left")
    bob = operator.new_user(ann.store, "bob")
    operator.call("user.delete", user=ann.id, give_to="@store")
    s3 = boto(timed, bob)
    assert refused(s3.list_objects_v2, Bucket="left") == "AccessDenied"
    (row,) = operator.call("bucket.list", store=ann.store)
    assert row["owner_label"] == f"the store {ann.store}"


def test_a_key_of_one_store_is_nothing_at_another(
    operator: Operator, timed: MemoryServer, ann: Credentials
) -> None:
    other = f"store-{next(_numbers)}"
    boto(timed, operator.new_store(other)).create_bucket(Bucket="theirs")
    s3 = boto(timed, ann)
    assert refused(s3.list_objects_v2, Bucket="theirs") == "NoSuchBucket"
    assert refused(s3.list_objects_v2, Bucket="nowhere") == "NoSuchBucket"
    wire, host = WireClient(timed.port, ann), f"{other}.localhost:{timed.port}"
    answers = [wire.send("GET", f"/{name}", host=host) for name in ("theirs", "nowhere")]
    assert [(one.status, one.code) for one in answers] == [(403, "AccessDenied")] * 2


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("user.create", {"label": ""}, "InvalidLabel", "label"),
    ("user.create", {"label": "a" * 129}, "InvalidLabel", "label"),
    ("user.create", {"label": "tab\there"}, "InvalidLabel", "label"),
    ("user.create", {"label": "x", "kind": "root"}, "InvalidArgument", "kind"),
    ("user.create", {"label": "x", "store": "nowhere"}, "NoSuchStore", "store"),
    ("user.show", {"user": "nobody"}, "NoSuchUser", "user"),
    ("user.rotate", {"access_key": "CFNOBODY"}, "NoSuchKey", "access_key"),
    ("user.rotate", {"grace_seconds": -1}, "InvalidGrace", "grace"),
    ("user.rotate", {"grace_seconds": 30 * 24 * 3600 + 1}, "InvalidGrace", "grace"),
    ("user.rotate", {"grace_seconds": 1.5}, "InvalidGrace", "grace"),
    ("user.rotate", {"grace_seconds": True}, "InvalidGrace", "grace"),
    ("user.reset", {"grace_seconds": "1h", "new_key": True}, "InvalidGrace", "grace"),
    ("user.key.delete", {"access_key": "CFNOBODY"}, "NoSuchKey", "access_key"),
    ("user.key.set", {"access_key": "CFNOBODY", "active": True}, "NoSuchKey", "access_key"),
]


@pytest.mark.parametrize(("operation", "arguments", "code", "field"), BAD)
def test_what_is_wrong_is_refused_with_its_field_and_changes_nothing(
    operator: Operator,
    ann: Credentials,
    operation: str,
    arguments: dict[str, Any],
    code: str,
    field: str,
) -> None:
    if operation == "user.create":
        arguments = {"store": ann.store, **arguments}
    elif operation in ("user.rotate", "user.reset"):
        arguments = {"access_key": ann.access_key, **arguments}

    def all_of_it() -> list[Any]:
        users = operator.call("user.list", store=ann.store)
        return [operator.call("user.show", user=one["id"]) for one in users]

    before = all_of_it()
    assert operator.refused(operation, **arguments) == (code, field)
    assert all_of_it() == before


def test_no_two_users_of_a_store_share_a_label(operator: Operator, ann: Credentials) -> None:
    assert operator.refused("user.create", store=ann.store, label="ann")[0] == "UserAlreadyExists"
    bob = operator.new_user(ann.store, "bob")
    assert operator.refused("user.set", user=bob.id, label="ann")[0] == "UserAlreadyExists"
    operator.call("user.set", user=bob.id, label="bob")
    operator.call("user.set", user=bob.id, label="rob")


def _keys(operator: Operator, user: Credentials) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = operator.call("user.show", user=user.id)["keys"]
    return keys
