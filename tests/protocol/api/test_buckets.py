"""Buckets by the management API: made, listed, reached, given roles on, set up, and gone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.people import STORE
from tests.browser.served import Served
from tests.protocol.api.api_client import Api
from tests.protocol.api.waiting import until

_names = itertools.count()
Make = Callable[..., str]


def test_a_bucket_is_made_as_it_is_asked_for(owner: Api) -> None:
    asked = {
        "name": f"made-{next(_names)}",
        "type": "archiving",
        "network": "custom",
        "addresses": ["203.0.113.0/24", "2001:db8::/32"],
        "versioning": True,
    }
    made = owner("POST", f"/stores/{STORE}/buckets", asked)
    told = {name: made[name] for name in ("name", "type", "network", "addresses")}
    assert told == {name: asked[name] for name in told}
    assert (made["versioning"], made["object_lock"]) == ("enabled", False)
    locked = owner(
        "POST", f"/stores/{STORE}/buckets", {"name": f"made-{next(_names)}", "object_lock": True}
    )
    assert (locked["object_lock"], locked["versioning"]) == (True, "enabled")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "No"}, "name"),
        ({"name": "a..b"}, "name"),
        ({"network": "custom"}, "addresses"),
        ({"network": "custom", "addresses": ["10.0.0.1/8"]}, "addresses"),
        ({"network": "public", "addresses": ["10.0.0.1"]}, "addresses"),
        ({"network": "secret"}, "network"),
        ({"type": "cold"}, "type"),
        ({"region": "moon-1"}, "region"),
        ({"versioning": "yes"}, "versioning"),
    ],
)
def test_what_is_wrong_of_a_bucket_is_said_by_its_field(
    owner: Api, wrong: dict[str, Any], field: str
) -> None:
    asked = {"name": f"never-{next(_names)}", **wrong}
    said = owner.refused("POST", f"/stores/{STORE}/buckets", asked)
    assert (said[0] in (404, 422), said[2]) == (True, field)
    assert owner("GET", "/checks/bucket", store=STORE, name="never-0")["available"]


def test_lists_hold_the_buckets_that_one_sees(apis: dict[str, Api], new_bucket: Make) -> None:
    name = new_bucket().rpartition("/")[2]

    def listed(role: str, path: str = "/buckets") -> set[str]:
        rows = apis[role]("GET", path, limit=1000)["items"]
        return {f"{row['store']}/{row['name']}" for row in rows}

    for path in ("/buckets", "/bucket-search"):
        assert {f"{STORE}/{name}", "umbrella-files/theirs"} <= listed("operator", path)
        assert f"{STORE}/{name}" in listed("owner", path) & listed("reader", path)
        assert listed("stranger", path) == {"umbrella-files/theirs"}
        assert listed("scoped", path) == {f"{STORE}/shared"}
    found = apis["owner"]("GET", "/bucket-search", search=name[:-1], sort="created_ms", limit=1)
    assert found["total"] >= 1
    assert apis["owner"].refused("GET", "/bucket-search", store="umbrella-files")[0] == 404


def test_lists_come_in_pages(owner: Api, new_bucket: Make) -> None:
    for _ in range(3):
        new_bucket()
    for path in ("/buckets", "/bucket-search"):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = owner("GET", path, store=STORE, limit=2, **cursor)
            seen += [row["name"] for row in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert seen == sorted(set(seen))
        assert len(seen) >= 3


def test_a_network_rule_is_changed_and_given_back(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    shown = owner("PUT", f"{bucket}/network", {"network": "public"})
    assert shown["network"] == "public"
    assert "every address" in shown["warning"]
    assert owner("PUT", f"{bucket}/network", {"network": "store"})["inherited"]


def test_roles_are_given_and_taken(node: Served, owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    made = owner("POST", f"/stores/{STORE}/accounts", {"label": f"user-{next(_names)}"})
    client = node.s3(made["access_key"], made["secret_key"])
    role = f"{bucket}/roles/{made['id']}"
    name = bucket.rpartition("/")[2]
    assert owner("PUT", role, {"role": "writer"})["role"] == "writer"
    client.put_object(Bucket=name, Key="k", Body=b"x")
    assert owner("GET", f"{bucket}/roles")["items"] == [
        {"user": made["label"], "id": made["id"], "role": "writer"}
    ]
    assert owner("PUT", role, {"role": "write-only"})["role"] == "write-only"
    assert owner.refused("PUT", role, {"role": "king"}) == (422, "InvalidArgument", "role")
    assert owner("DELETE", role)["role"] is None
    with pytest.raises(client.exceptions.ClientError):
        client.put_object(Bucket=name, Key="k", Body=b"x")


SETTINGS = [
    ("versioning", {"status": "Enabled"}),
    ("tags", {"tags": [{"key": "a", "value": "é +-=._:/@"}]}),
    (
        "cors",
        {"rules": [{"allowed_origins": ["https://a.fr"], "allowed_methods": ["GET", "PUT"]}]},
    ),
    ("encryption", {"algorithm": "AES256", "bucket_key": True}),
    ("public-access", {"block_public_acls": True, "restrict_public_buckets": True}),
    ("ownership", {"ownership": "BucketOwnerPreferred"}),
    ("website", {"index": "index.html", "error": "404.html"}),
    (
        "lifecycle",
        {
            "rules": [
                {
                    "id": "logs",
                    "prefix": "logs/",
                    "tags": [{"key": "kind", "value": "old"}],
                    "larger_than": 10,
                    "expire_days": 30,
                    "noncurrent_days": 5,
                }
            ]
        },
    ),
]


def _within(small: Any, large: Any) -> bool:
    if isinstance(small, dict):
        return all(_within(value, large[name]) for name, value in small.items())
    if isinstance(small, list):
        return len(small) == len(large) and all(map(_within, small, large))
    return bool(small == large)


@pytest.mark.parametrize(("what", "value"), SETTINGS)
def test_a_document_is_put_read_and_taken_back(
    owner: Api, new_bucket: Make, what: str, value: dict[str, Any]
) -> None:
    path = f"{new_bucket()}/{what}"
    before = owner.send("GET", path)
    assert before.status == 200
    put = owner.send("PUT", path, value, If_Match=before.headers["etag"])
    assert put.status == 200, put.body
    assert _within(value, owner("GET", path))
    late = owner.send("PUT", path, value, If_Match=before.headers["etag"])
    assert late.problem[:2] == (412, "PreconditionFailed")
    if what in ("tags", "cors", "public-access", "website", "lifecycle"):
        assert owner("PUT", path, {}) == before.value


def test_a_locked_bucket_has_a_default(owner: Api, new_bucket: Make) -> None:
    plain, locked = new_bucket(), new_bucket(object_lock=True)
    assert owner("GET", f"{plain}/lock")["enabled"] is None
    put = owner("PUT", f"{locked}/lock", {"mode": "GOVERNANCE", "days": 30})
    assert (put["mode"], put["days"], put["years"]) == ("GOVERNANCE", 30, None)
    wrong = {"mode": "GOVERNANCE", "days": 30, "years": 1}
    assert owner.refused("PUT", f"{locked}/lock", wrong)[:2] == (422, "MalformedXML")


def test_an_access_log_goes_to_another_bucket(owner: Api, new_bucket: Make) -> None:
    source, target = new_bucket(), new_bucket()
    name = target.rpartition("/")[2]
    asked = {"target_bucket": name, "target_prefix": "l/"}
    refused = owner.refused("PUT", f"{source}/logging", asked)
    assert refused[:2] == (422, "InvalidTargetBucketForLogging")
    service = {"Service": "logging.s3.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject"}
    statement["Resource"] = f"arn:aws:s3:::{name}/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    owner("PUT", f"{target}/policy", {"policy": policy})
    put = owner("PUT", f"{source}/logging", asked)
    assert put == {"target_bucket": name, "target_prefix": "l/"}
    assert owner("PUT", f"{source}/logging", {})["target_bucket"] is None
    assert owner("GET", f"{source}/notifications") == {"queues": [], "topics": []}
    assert owner("GET", f"{source}/inventories") == {"items": []}


def test_what_s3_refuses_is_said_in_its_words(owner: Api, new_bucket: Make) -> None:
    rule = {"id": "r", "abort_uploads_days": 3, "tags": [{"key": "a"}]}
    said = owner.send("PUT", f"{new_bucket()}/lifecycle", {"rules": [rule]})
    assert said.problem[:2] == (400, "InvalidRequest")
    assert "Tags" in said.value["detail"]


def test_a_lifecycle_has_a_simple_form_and_a_preview(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    owner.send("PUT", f"{bucket}/object/content", b"x", {"key": "k"})
    assert owner("PUT", f"{bucket}/lifecycle/days", {"days": 30})["rules"] == 1
    (rule,) = owner("GET", f"{bucket}/lifecycle")["rules"]
    assert rule["expire_days"] == 30
    until(lambda: owner("GET", f"{bucket}/lifecycle/preview")["rows"])
    assert owner("PUT", f"{bucket}/lifecycle/days", {"days": 0})["rules"] == 0
    assert owner("GET", f"{bucket}/lifecycle")["rules"] == []


def test_a_policy_is_explained_before_it_is_put(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    name = bucket.rpartition("/")[2]
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{name}/public/*",
            },
        }
    )
    before = owner("GET", f"{bucket}/policy/decision", action="s3:GetObject", key="public/a")
    assert before["decision"] != "Allow"
    changes = owner("POST", f"{bucket}/policy/diff", {"policy": policy})
    assert changes["public"]
    assert "public" in changes["warning"]
    assert owner("GET", f"{bucket}/policy")["policy"] is None
    owner("PUT", f"{bucket}/policy", {"policy": policy})
    after = owner("GET", f"{bucket}/policy/decision", action="s3:GetObject", key="public/a")
    assert after["decision"] != before["decision"]
    asked = {"actions": ["s3:GetObject", "s3:PutObject"], "key": "public/a"}
    rows = owner("POST", f"{bucket}/policy/simulation", asked)["items"]
    assert len({row["decision"] for row in rows}) == 2
    assert owner.refused("PUT", f"{bucket}/policy", {"policy": "{"})[:2] == (
        422,
        "MalformedPolicy",
    )
    owner("DELETE", f"{bucket}/policy")
    assert owner("GET", f"{bucket}/policy")["policy"] is None


def test_a_store_has_keys_of_its_own_service(owner: Api) -> None:
    keys = f"/stores/{STORE}/kms-keys"
    made = owner("POST", keys, {"alias": f"key-{next(_names)}"})
    assert made["alias"] in [row["alias"] for row in owner("GET", keys)["items"]]
    assert owner("POST", f"{keys}/rotate", {"key": made["id"]})["versions"] == 2
    assert not owner("POST", f"{keys}/disable", {"key": made["id"]})["enabled"]
    assert owner("POST", f"{keys}/enable", {"key": made["id"]})["enabled"]
    assert owner.refused("POST", keys, {"alias": "?"})[:2] == (422, "InvalidAlias")


def test_a_bucket_goes_with_all_that_is_in_it(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket(versioning=True)
    name = bucket.rpartition("/")[2]
    for _ in range(2):
        for key in ("a", "b", "c/d"):
            owner.send("PUT", f"{bucket}/object/content", b"x", {"key": key, "replace": "true"})
    assert owner.refused("DELETE", bucket)[:2] == (409, "BucketNotEmpty")
    assert owner.refused("GET", f"{bucket}/emptying")[1] == "NotEmptying"
    assert owner.refused("POST", f"{bucket}/empty", {"confirm": "it"}) == (
        422,
        "NotConfirmed",
        "confirm",
    )
    begun = owner.send("POST", f"{bucket}/empty", {"confirm": name})
    assert (begun.status, begun.value["objects_at_first"]) == (202, 6)
    until(lambda: owner.send("GET", f"{bucket}/emptying").status == 404)
    assert owner.refused("GET", bucket)[:2] == (404, "NoSuchBucket")


def test_what_is_locked_keeps_its_bucket(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket(object_lock=True)
    owner("PUT", f"{bucket}/lock", {"mode": "COMPLIANCE", "days": 1})
    owner.send("PUT", f"{bucket}/object/content", b"x", {"key": "k"})
    said = owner.send("POST", f"{bucket}/empty", {"confirm": bucket.rpartition("/")[2]})
    assert said.problem[1] == "ObjectsLocked"
    assert "locked until" in said.value["detail"]
