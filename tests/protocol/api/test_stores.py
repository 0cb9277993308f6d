"""Tenants, stores, storage accounts and their keys by the management API."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.browser.served import Served
from tests.protocol.api.api_client import Api

_names = itertools.count()


@pytest.fixture
def store(owner: Api) -> str:
    name = f"store-{next(_names)}"
    made = owner("POST", "/stores", {"name": name, "label": "A store"})
    assert {"access_key", "secret_key", "id"} <= made.keys()
    return f"/stores/{name}"


def test_a_store_is_made_shown_changed_and_deleted(owner: Api, store: str) -> None:
    shown = owner("GET", store)
    assert (shown["tenant"], shown["label"], shown["network"]) == ("acme", "A store", "public")
    changed = owner("PATCH", store, {"network": "custom", "addresses": ["2001:db8::/32"]})
    assert (changed["network"], changed["addresses"]) == ("custom", ["2001:db8::/32"])
    assert owner.refused("PATCH", store, {"network": "custom", "addresses": ["300.1.1.1"]}) == (
        422,
        "InvalidNetwork",
        "addresses",
    )
    owner("POST", f"{store}/buckets", {"name": "in-it"})
    assert owner.refused("DELETE", store) == (409, "StoreNotEmpty", "store")
    owner("DELETE", f"{store}/buckets/in-it")
    assert owner("DELETE", store)["deleted"]
    assert owner.refused("GET", store) == (404, "NoSuchStore", "store")


def test_a_name_is_looked_at_while_it_is_typed(owner: Api, store: str) -> None:
    name = store.rpartition("/")[2]
    assert not owner("GET", "/checks/store", name=name)["available"]
    assert owner("GET", "/checks/store", name=f"{name}-2")["available"]
    assert not owner("GET", "/checks/store", name="-x")["valid"]
    assert owner.refused("POST", "/stores", {"name": name}) == (409, "StoreAlreadyExists", "name")
    assert owner.refused("POST", "/stores", {"name": "Big"}) == (422, "InvalidArgument", "name")
    assert owner.refused("POST", "/stores", {"name": "x", "colour": 1}) == (
        422,
        "UnknownField",
        "colour",
    )


def test_an_edit_of_what_was_changed_meanwhile_is_refused(owner: Api, store: str) -> None:
    etag = owner.send("GET", store).headers["etag"]
    assert owner.send("PATCH", store, {"label": "one"}, If_Match=etag).status == 200
    late = owner.send("PATCH", store, {"label": "two"}, If_Match=etag)
    assert late.problem[:2] == (412, "PreconditionFailed")
    assert owner("GET", store)["label"] == "one"


def test_quotas_and_locks_are_the_operators(owner: Api, operator: Api, store: str) -> None:
    bounds = {"hard_bytes": 1000, "cap_requests": 50}
    assert owner.refused("PATCH", f"{store}/limits", bounds)[:2] == (403, "AccessDenied")
    assert owner.refused("PATCH", store, bounds)[:2] == (422, "UnknownField")
    shown = operator("PATCH", f"{store}/limits", bounds)
    assert shown["quota"] == {"hard_bytes": 1000}
    assert shown["limits"]["cap_requests"] == 50
    assert owner.refused("POST", f"{store}/lock")[:2] == (403, "AccessDenied")
    assert operator("POST", f"{store}/lock")["status"] == "locked"
    assert operator("POST", f"{store}/unlock")["status"] == "active"


def test_tenants_are_the_operators(owner: Api, operator: Api) -> None:
    made = operator("POST", "/tenants", {"name": f"tenant-{next(_names)}", "bucket_limit": 3})
    assert operator("PATCH", f"/tenants/{made['name']}", {"bucket_limit": 5})["bucket_limit"] == 5
    assert made["name"] in {row["name"] for row in operator("GET", "/tenants?limit=1000")["items"]}
    assert [row["name"] for row in owner("GET", "/tenants")["items"]] == ["acme"]
    assert owner.refused("POST", "/tenants", {"name": "more"})[:2] == (403, "AccessDenied")


def _client(node: Served, made: dict[str, Any]) -> Any:
    return node.s3(made["access_key"], made["secret_key"])


def _works(client: Any) -> bool:
    try:
        client.list_buckets()
    except client.exceptions.ClientError:
        return False
    return True


def test_an_account_and_its_keys_from_first_to_last(node: Served, owner: Api, store: str) -> None:
    accounts = f"{store}/accounts"
    made = owner("POST", accounts, {"label": "Backup"})
    account = f"{accounts}/{made['id']}"
    assert _works(_client(node, made))
    shown = owner("GET", account)
    assert [key["access_key"] for key in shown["keys"]] == [made["access_key"]]
    listed = owner("GET", f"{store}/account-search", search="back")
    assert [row["label"] for row in listed["items"]] == ["Backup"]
    assert "secret_key" not in str(listed) + str(shown)

    reset = owner("POST", f"{account}/keys/{made['access_key']}/reset", {"grace_seconds": 3600})
    assert reset["secret_key"] != made["secret_key"]
    assert _works(_client(node, made))
    assert _works(_client(node, reset))
    owner("POST", f"{account}/keys/{made['access_key']}/end-grace")
    assert not _works(_client(node, made))

    owner("PATCH", f"{account}/keys/{made['access_key']}", {"active": False})
    assert not _works(_client(node, reset))
    second = owner("POST", f"{account}/keys")
    assert _works(_client(node, second))
    owner("POST", f"{account}/lock")
    assert not _works(_client(node, second))
    owner("POST", f"{account}/unlock")
    assert _works(_client(node, second))
    assert owner("PATCH", account, {"label": "Mail"})["label"] == "Mail"

    _client(node, second).create_bucket(Bucket="of-the-account")
    assert owner("GET", f"{account}/buckets")["items"] == [
        {"bucket": "of-the-account", "owner": True, "role": None}
    ]
    assert owner.refused("DELETE", account) == (422, "UserHasBuckets", "give_to")
    gone = owner("DELETE", account, give_to="@store")
    assert gone["buckets_given"] == 1
    assert owner.refused("GET", account)[:2] == (404, "NoSuchUser")
    assert not _works(_client(node, second))


def test_a_grace_has_its_bounds(owner: Api, store: str) -> None:
    made = owner("POST", f"{store}/accounts", {"label": "Bounded"})
    key = f"{store}/accounts/{made['id']}/keys/{made['access_key']}"
    assert owner.refused("POST", f"{key}/reset", {"grace_seconds": 10**7}) == (
        422,
        "InvalidArgument",
        "grace_seconds",
    )


def test_a_key_is_only_found_at_its_own_account(owner: Api, apis: Any, store: str) -> None:
    theirs = apis["stranger"]("POST", "/stores/umbrella-files/accounts", {"label": "Theirs"})
    own = owner("POST", f"{store}/accounts", {"label": "Own"})
    key = f"{store}/accounts/{own['id']}/keys/{theirs['access_key']}"
    for method, path, body in (
        ("POST", f"{key}/reset", {}),
        ("POST", f"{key}/rotate", {}),
        ("POST", f"{key}/end-grace", {}),
        ("PATCH", key, {"active": False}),
        ("DELETE", key, None),
    ):
        assert owner.refused(method, path, body)[:2] == (404, "NoSuchKey")
    other = f"{store}/accounts/{theirs['id']}"
    assert owner.refused("GET", other)[:2] == (404, "NoSuchUser")
    assert owner.refused("DELETE", other)[:2] == (404, "NoSuchUser")


def test_iam_is_counted_and_listed(owner: Api, store: str) -> None:
    owner("POST", f"{store}/accounts", {"label": "ann", "kind": "iam"})
    assert owner("GET", f"{store}/iam")["users"] >= 1
    assert "ann" in [row["name"] for row in owner("GET", f"{store}/iam/user")["items"]]
    assert owner.refused("GET", f"{store}/iam/robot")[:2] == (422, "InvalidArgument")
