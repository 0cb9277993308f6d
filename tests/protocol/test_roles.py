"""Roles on buckets, buckets of the store itself, and policies explained before and after."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coffre.access.roles import Role
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.operator_client import Operator
from tests.protocol.wire_client import WireClient

_numbers = itertools.count()
POLICY = {"Version": "2012-10-17"}


@pytest.fixture(scope="module")
def operator(server: MemoryServer) -> Operator:
    return Operator(server)


@pytest.fixture
def store(operator: Operator) -> str:
    name = f"roles-{next(_numbers)}"
    operator.new_store(name, network="private")
    return name


@pytest.fixture
def ann(operator: Operator, store: str) -> Credentials:
    return operator.new_user(store, "ann")


@pytest.fixture
def scans(operator: Operator, server: MemoryServer, store: str) -> str:
    """A bucket of the store itself with the object `old`."""
    operator.call("bucket.create", name="scans", store=store)
    writer = operator.new_user(store, "writer")
    operator.call("bucket.role.grant", bucket="scans", user="writer", role="writer", store=store)
    boto(server, writer).put_object(Bucket="scans", Key="old", Body=b"old")
    return "scans"


Calls = dict[str, Callable[[], Any]]


def calls(s3: Any, bucket: str) -> Calls:
    """What a user may want to do, by name."""
    about: dict[str, Any] = {"Bucket": bucket}

    def upload() -> None:
        begun = s3.create_multipart_upload(**about, Key="parts")
        s3.abort_multipart_upload(**about, Key="parts", UploadId=begun["UploadId"])

    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    versioning = {"Status": "Enabled"}
    return {
        "list": lambda: s3.list_objects_v2(**about),
        "get": lambda: s3.get_object(**about, Key="old"),
        "put": lambda: s3.put_object(**about, Key="new", Body=b"new"),
        "upload": upload,
        "delete": lambda: s3.delete_object(**about, Key="gone"),
        "acl": lambda: s3.get_bucket_acl(**about),
        "policy": lambda: s3.put_bucket_policy(**about, Policy=allow(bucket, "*", "GetObject")),
        "settings": lambda: (
            s3.put_bucket_ownership_controls(**about, OwnershipControls=rules),
            s3.put_bucket_versioning(**about, VersioningConfiguration=versioning),
        ),
        "delete bucket": lambda: s3.delete_bucket(**about),
    }


def allow(bucket: str, who: str, *actions: str, **more: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": who} if who != "*" else "*",
        "Action": [f"s3:{one}" for one in actions],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        **more,
    }
    return json.dumps({**POLICY, "Statement": [statement]})


def allowed(found: Calls) -> set[str]:
    """Those that are not AccessDenied."""
    done = set()
    for name, call in found.items():
        try:
            call()
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                continue
        done.add(name)
    return done


EXPECTED = {
    None: set(),
    Role.READER: {"list", "get"},
    Role.WRITE_ONLY: {"put", "upload"},
    Role.WRITER: {"list", "get", "put", "upload", "delete"},
    Role.MAINTAINER: {
        *("list", "get", "put", "upload", "delete"),
        *("acl", "policy", "settings"),
    },
}


@pytest.mark.parametrize("role", EXPECTED)
def test_a_role_allows_what_it_says_on_a_bucket_that_no_key_reaches_otherwise(
    operator: Operator,
    server: MemoryServer,
    store: str,
    ann: Credentials,
    scans: str,
    role: Role | None,
) -> None:
    s3 = boto(server, ann)
    if role is not None:
        operator.call("bucket.role.grant", bucket=scans, user="ann", role=role.value, store=store)
    listed = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert listed == ([] if role is None else [scans])
    assert allowed(calls(s3, scans)) == EXPECTED[role]


def test_a_role_that_is_taken_away_is_gone_with_what_it_let_the_user_put(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials, scans: str
) -> None:
    s3 = boto(server, ann)
    about = {"bucket": scans, "user": "ann", "store": store}
    operator.call("bucket.role.grant", **about, role="writer")
    s3.put_object(Bucket=scans, Key="mine", Body=b"mine")
    assert [
        one["role"] for one in operator.call("bucket.role.list", bucket=scans, store=store)
    ] == [
        "writer",
        "writer",
    ]
    operator.call("bucket.role.revoke", **about)
    assert allowed(calls(s3, scans)) == set()
    assert refused(s3.get_object, Bucket=scans, Key="mine") == "AccessDenied"
    assert s3.list_buckets()["Buckets"] == []


def test_an_explicit_denial_beats_a_role(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials, scans: str
) -> None:
    operator.call("bucket.role.grant", bucket=scans, user="ann", role="reader", store=store)
    s3 = boto(server, ann)
    s3.get_object(Bucket=scans, Key="old")
    denial = json.loads(allow(scans, ann.access_key, "GetObject"))
    denial["Statement"][0] |= {"Effect": "Deny", "Resource": f"arn:aws:s3:::{scans}/*"}
    operator.call("policy.set", bucket=scans, policy=json.dumps(denial), store=store)
    assert refused(s3.get_object, Bucket=scans, Key="old") == "AccessDenied"
    s3.list_objects_v2(Bucket=scans)


def test_listed_buckets_are_those_of_ones_own_and_with_a_role_page_by_page(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials
) -> None:
    s3 = boto(server, ann)
    for name in ("bbb", "ddd"):
        s3.create_bucket(Bucket=name)
    for name in ("aaa", "ccc", "eee", "fff"):
        operator.call("bucket.create", name=name, store=store)
    for name in ("aaa", "bbb", "ccc", "eee"):
        operator.call("bucket.role.grant", bucket=name, user="ann", role="reader", store=store)
    found: list[str] = []
    page: dict[str, Any] = {}
    while not found or "ContinuationToken" in page:
        token = {k: v for k, v in page.items() if k == "ContinuationToken"}
        page = s3.list_buckets(MaxBuckets=2, **token)
        found += [one["Name"] for one in page["Buckets"]]
    assert found == ["aaa", "bbb", "ccc", "ddd", "eee"]


def test_a_bucket_of_the_stores_own_has_object_lock_where_that_is_asked_for(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials
) -> None:
    about = {"name": "vault", "store": store}
    made = operator.call("bucket.create", **about, type="archiving", object_lock=True)
    assert (made["type"], made["object_lock"]) == ("archiving", True)
    operator.call("bucket.role.grant", bucket="vault", user="ann", role="maintainer", store=store)
    s3 = boto(server, ann)
    told = s3.get_object_lock_configuration(Bucket="vault")["ObjectLockConfiguration"]
    assert told == {"ObjectLockEnabled": "Enabled"}
    assert s3.get_bucket_versioning(Bucket="vault")["Status"] == "Enabled"


def test_a_role_goes_with_its_bucket(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials
) -> None:
    for _ in range(2):
        operator.call("bucket.create", name="again", store=store)
        assert operator.call("bucket.role.list", bucket="again", store=store) == []
        operator.call("bucket.role.grant", bucket="again", user="ann", role="writer", store=store)
        operator.call("bucket.delete", name="again", store=store)
    assert boto(server, ann).list_buckets()["Buckets"] == []


BAD = [
    ("bucket.create", {"name": "A"}, "InvalidBucketName", "name"),
    ("bucket.create", {"name": "fine", "network": "lan"}, "InvalidArgument", "network"),
    ("bucket.create", {"name": "fine", "store": "nowhere"}, "NoSuchStore", "store"),
    ("bucket.role.grant", {"role": "owner"}, "InvalidArgument", "role"),
    ("bucket.role.grant", {"role": "reader", "user": "nobody"}, "NoSuchUser", "user"),
    ("bucket.role.grant", {"role": "reader", "bucket": "nowhere"}, "NoSuchBucket", "bucket"),
    ("bucket.role.revoke", {"user": "stranger"}, "NoSuchUser", "user"),
    ("policy.set", {"policy": "{}"}, "MalformedPolicy", "Statement"),
    (
        "policy.set",
        {"policy": allow("scans", "*", "Fly")},
        "MalformedPolicy",
        "Statement[0].Action",
    ),
    ("policy.set", {"policy": "no"}, "MalformedPolicy", "policy"),
    ("policy.explain", {"action": "s3:Fly"}, "InvalidAction", "action"),
    (
        "policy.explain",
        {"action": "GetObject", "context": {"x": "y"}},
        "InvalidArgument",
        "context",
    ),
    ("policy.explain", {"action": "GetObject", "user": "nobody"}, "NoSuchUser", "user"),
]


@pytest.mark.parametrize(("operation", "arguments", "code", "field"), BAD)
def test_what_is_wrong_is_refused_with_its_field_and_changes_nothing(
    operator: Operator,
    store: str,
    ann: Credentials,
    scans: str,
    stranger: Credentials,
    operation: str,
    arguments: dict[str, Any],
    code: str,
    field: str,
) -> None:
    known: dict[str, Any] = {"store": store}
    if operation != "bucket.create":
        known["bucket"] = scans
    if "role" in operation:
        known["user"] = "ann"

    def all_of_it() -> list[Any]:
        about = {"bucket": scans, "store": store}
        kept = [operator.call(f"{one}", **about) for one in ("bucket.role.list", "policy.show")]
        return [*kept, operator.call("bucket.list", store=store)]

    before = all_of_it()
    assert operator.refused(operation, **{**known, **arguments}) == (code, field)
    assert all_of_it() == before


def test_explain_says_who_what_and_which_statement(
    operator: Operator, store: str, ann: Credentials, scans: str
) -> None:
    document = allow(scans, ann.access_key, "GetObject", Sid="Read")
    operator.call("policy.set", bucket=scans, policy=document, store=store)
    asked = {"bucket": scans, "store": store, "key": "old"}

    def explained(action: str, **more: Any) -> tuple[str, str, str | None]:
        found = operator.call("policy.explain", action=action, **{**asked, **more})
        return found["decision"], found["by"], found["statement"]

    by_policy = ("allow", "bucket policy", "Statement[0] (Read)")
    assert explained("s3:GetObject", user="ann") == by_policy
    assert explained("getobject", user=ann.access_key) == by_policy
    assert explained("s3:GetObject")[0] == "nobody allows"
    assert explained("s3:PutObject", user="writer") == ("allow", "role on the bucket", None)
    assert explained("s3:GetObject", user="ann", source_ip="127.0.0.1") == by_policy
    shut = explained("s3:GetObject", user="ann", source_ip="192.0.2.1")
    assert shut == ("deny", "network rule, or the store is locked", None)
    operator.call("user.lock", user="ann", store=store)
    assert explained("s3:GetObject", user="ann") == ("deny", "the user is locked", None)


def test_what_explain_says_is_what_requests_get(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials, scans: str
) -> None:
    held = {"Condition": {"StringLike": {"s3:prefix": "public/*"}}}
    document = allow(scans, ann.access_key, "ListBucket", Resource=f"arn:aws:s3:::{scans}", **held)
    operator.call("policy.set", bucket=scans, policy=document, store=store)
    s3 = boto(server, ann)
    asked = {"bucket": scans, "store": store, "user": "ann", "action": "s3:ListBucket"}
    for prefix in ("public/a", "private/a"):
        found = operator.call("policy.explain", **asked, context={"s3:prefix": prefix})
        try:
            s3.list_objects_v2(Bucket=scans, Prefix=prefix)
            served = "allow"
        except ClientError:
            served = "nobody allows"
        assert found["decision"] == served


def test_simulate_tells_of_every_action(
    operator: Operator, store: str, ann: Credentials, scans: str
) -> None:
    operator.call("bucket.role.grant", bucket=scans, user="ann", role="reader", store=store)
    rows = operator.call("policy.simulate", bucket=scans, user="ann", store=store)
    may = {row["action"] for row in rows if row["decision"] == "allow"}
    assert {"s3:GetObject", "s3:ListBucket"} <= may
    assert not may & {"s3:PutObject", "s3:PutBucketPolicy", "s3:DeleteBucket"}
    named = ["s3:PutObject", "GetObject"]
    some = operator.call("policy.simulate", bucket=scans, user="ann", store=store, actions=named)
    assert [row["action"] for row in some] == ["s3:PutObject", "s3:GetObject"]


def test_a_difference_is_told_before_a_policy_is_put_and_public_ones_are_warned_of(
    operator: Operator, store: str, ann: Credentials, scans: str
) -> None:
    about = {"bucket": scans, "store": store}
    for_ann = allow(scans, ann.access_key, "GetObject", Resource=f"arn:aws:s3:::{scans}/2026/*")
    told = operator.call("policy.diff", **about, policy=for_ann)
    assert told["gained"] == [
        {
            "who": "ann",
            "on": f"{scans}/2026/example",
            "conditional": False,
            "actions": ["s3:GetObject"],
        }
    ]
    assert (told["lost"], told["public"], "warning" in told) == ([], False, False)
    assert operator.call("policy.show", **about)["policy"] is None
    assert operator.call("policy.set", **about, policy=for_ann) == told
    everybody = allow(scans, "*", "GetObject", Resource=f"arn:aws:s3:::{scans}/public/*", Sid="All")
    told = operator.call("policy.set", **about, policy=everybody)
    assert told["public"]
    assert told["warning"] == "this makes the bucket public: Statement[0] (All)"
    gained = {(one["who"], one["on"]) for one in told["gained"]}
    assert ("everybody", f"{scans}/public/example") in gained
    assert ("any other user", f"{scans}/public/example") in gained
    assert [(one["who"], one["on"]) for one in told["lost"]] == [("ann", f"{scans}/2026/example")]
    assert operator.call("policy.show", **about)["public"]
    near = {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    told = operator.call("policy.diff", **about, policy=allow(scans, "*", "GetObject", **near))
    assert all(one["conditional"] for one in told["gained"])
    assert operator.call("policy.remove", **about)["lost"]
    assert operator.call("policy.show", **about) == {
        "bucket": scans,
        "policy": None,
        "public": False,
    }


def test_a_bucket_that_blocks_public_policies_takes_none_of_an_operator_either(
    operator: Operator, store: str
) -> None:
    operator.call("store.set", name=store, block_public=True)
    operator.call("bucket.create", name="shut", store=store)
    about = {"bucket": "shut", "store": store}
    everybody = allow("shut", "*", "GetObject")
    refusal = operator.refused("policy.set", **about, policy=everybody)
    assert refusal == ("PublicPolicyBlocked", "policy")
    assert operator.call("policy.show", **about)["policy"] is None
    one = operator.new_user(store, "one").access_key
    assert not operator.call("policy.set", **about, policy=allow("shut", one, "GetObject"))[
        "public"
    ]


def test_whatever_a_tenant_put_as_policy_the_operator_can_see_and_take_away(
    operator: Operator, server: MemoryServer, store: str, ann: Credentials
) -> None:
    boto(server, ann).create_bucket(Bucket="strange")
    # Half a surrogate pair, which JSON can say and no text is; and another encoding of JSON.
    half = allow("strange", "*", "GetObject", Sid="\ud800", Resource="arn:aws:s3:::strange/\ud800")
    wide = allow("strange", ann.access_key, "GetObject").encode("utf-16-le")
    about = {"bucket": "strange", "store": store}
    for document in (half.encode(), wide):
        assert WireClient(server.port, ann).send("PUT", "/strange?policy", document).status == 204
        assert operator.call("policy.show", **about)["policy"]
        for told in (
            operator.call("policy.diff", **about, policy=half),
            operator.call("policy.remove", **about),
        ):
            assert json.dumps(told, ensure_ascii=False).encode()


def test_an_address_that_is_none_is_refused(operator: Operator, store: str, scans: str) -> None:
    asked = {"bucket": scans, "store": store, "action": "s3:GetObject", "source_ip": "nonsense"}
    assert operator.refused("policy.explain", **asked) == ("InvalidArgument", "source_ip")
