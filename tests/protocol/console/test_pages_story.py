"""A tenant's day with the console, by forms alone: no script runs here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.protocol.console.page_client import Answer, Visitor
from tests.protocol.console.page_world import STORE, World, new_name


def keys_of(page: Answer) -> tuple[str, str]:
    return page.code("access-key"), page.code("secret-key")


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def make_account(visitor: Visitor, label: str) -> Answer:
    fields = {"label": label, "kind": "object", "create_buckets": "yes"}
    return visitor.post(f"/stores/{STORE}/accounts/new", fields)


@dataclass
class Day:
    """What a tenant made: a bucket, at its address, and an account with its keys."""

    bucket: str
    at: str
    label: str
    account: str
    keys: tuple[str, str]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_from_a_new_account_to_the_end_of_a_bucket(world: World, language: str) -> None:
    visitor = world.fresh("owner", language)
    label, bucket = new_name("backup"), new_name("photos")

    keys = make_account(visitor, label)
    access_key, secret_key = keys_of(keys)
    for program in ("aws configure", "mc alias set", "[default]", "import boto3", "type = s3"):
        assert program in keys.html
    assert keys.html.count(secret_key) > 5
    assert secret_key not in visitor.get(keys.path).html, "keys are shown once"

    at = f"/stores/{STORE}/buckets/{bucket}"
    fields = {
        "store": STORE,
        "name": bucket,
        "type": "performance",
        "network": "custom",
        "addresses": "127.0.0.0/8\n::1\n2001:db8::/32",
        "versioning": "yes",
    }
    made = visitor.post("/buckets/new", fields)
    assert (made.status, made.path) == (200, f"{at}/policies")
    assert bucket in visitor.get("/buckets").html

    s3 = world.node.s3(access_key, secret_key)
    assert code_of(s3.put_object, Bucket=bucket, Key="a", Body=b"a") == "AccessDenied"
    user = next(
        one.attributes["name"] or ""
        for one in made.all("select")
        if label in (one.attributes.get("aria-label") or "")
    ).removeprefix("role-")
    visitor.post(f"{at}/policies/roles", {f"role-{user}": "writer", f"was-{user}": ""}, made.path)
    s3.put_object(Bucket=bucket, Key="2026/a.jpg", Body=b"picture")
    assert visitor.get(f"{at}/policies").value(f"was-{user}") == "writer"
    assert bucket in visitor.get(f"/stores/{STORE}/accounts/{user}").html

    account = f"/stores/{STORE}/accounts/{user}"
    day = Day(bucket, at, label, account, (access_key, secret_key))
    change_settings(visitor, day)
    change_keys(world, visitor, day)
    end(visitor, day)


def change_settings(visitor: Visitor, day: Day) -> None:
    settings = f"{day.at}/settings"
    for days in ("30", "0"):
        assert visitor.post(f"{settings}/days", {"days": days}, settings).value("days") == days
    assert visitor.post(f"{settings}/access", {"network": "private"}, settings).status == 200
    cors = '[{"allowed_origins": ["https://a.example"], "allowed_methods": ["GET"]}]'
    assert "a.example" in (visitor.post(f"{settings}/cors", {"cors": cors}, settings).html)
    rule = {"id": "logs", "enabled": "yes", "prefix": "logs/", "days": "7", "tags": "kind=log"}
    ruled = visitor.post(f"{settings}/rules", rule, f"{settings}/rules/new")
    assert (ruled.path, "logs/" in ruled.html) == (settings, True)
    assert visitor.get(f"{settings}/rules/edit?id=logs").value("tags") == "kind=log"
    assert "No rule" not in visitor.post(f"{settings}/rules/remove", {"id": "x"}, settings).html
    visitor.post(f"{settings}/rules/remove", {"id": "logs"}, settings)
    suspended = visitor.post(f"{settings}/versioning", {"versioning": "suspended"}, settings)
    assert suspended.value("versioning") == "suspended"
    full = visitor.post(
        f"{settings}/quota", {"hard_bytes": "5 GiB", "warn_objects": "10"}, settings
    )
    assert (full.status, full.value("warn_objects")) == (200, "10")


def change_keys(world: World, visitor: Visitor, day: Day) -> None:
    """A new secret with a grace period, its end, and a locked account."""
    account, bucket, (access_key, secret_key) = day.account, day.bucket, day.keys
    s3 = world.node.s3(access_key, secret_key)
    reset = {"access_key": access_key, "new_key": "no", "grace": "3600"}
    new_keys = keys_of(visitor.post(f"{account}/reset", reset))
    assert new_keys[0] == access_key
    for secret in (secret_key, new_keys[1]):
        world.node.s3(access_key, secret).list_objects_v2(Bucket=bucket)
    visitor.post(f"{account}/keys/{access_key}", {"do": "end-grace"}, account)
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "SignatureDoesNotMatch"
    visitor.post(f"{account}/lock", page=account)
    locked = world.node.s3(*new_keys)
    assert code_of(locked.list_objects_v2, Bucket=bucket) in ("AccessDenied", "InvalidAccessKeyId")


def end(visitor: Visitor, day: Day) -> None:
    at, bucket, account, label = day.at, day.bucket, day.account, day.label
    ended = visitor.post(f"{at}/delete", {"confirm": bucket})
    assert ended.path == f"{at}/delete/progress"
    for _ in range(600):
        if visitor.get(f"{at}/settings").status == 404:
            break
    assert 'href="/buckets"' in visitor.get(f"{at}/delete/progress").html
    gone = visitor.post(f"{account}/delete", {"confirm": label})
    assert (gone.path, visitor.get(account).status) == (f"/stores/{STORE}/accounts", 404)


def test_a_store_from_its_name_to_its_end(world: World) -> None:
    visitor, name = world.fresh("owner"), new_name("store")
    fields = {"name": name, "label": "Ours", "dialect": "aws", "network": "private"}
    keys = visitor.post("/new-store", fields)
    assert keys.path.startswith(f"/stores/{name}/keys")
    assert keys_of(keys)
    changed = {"label": "Theirs", "network": "custom", "addresses": "127.0.0.1"}
    answer = visitor.post(f"/stores/{name}/settings", changed)
    assert (answer.status, answer.value("label")) == (200, "Theirs")
    assert visitor.post(f"/stores/{name}/lock", page="/me").status == 403, "an operator locks"
    operator = world.visitor("operator")
    assert "Locked" in operator.post(f"/stores/{name}/lock", page=f"/stores/{name}").html
    operator.post(f"/stores/{name}/unlock", page=f"/stores/{name}")
    assert visitor.post(f"/stores/{name}/delete", {"confirm": name}).path == "/stores"
    assert visitor.get(f"/stores/{name}").status == 404


def test_a_bucket_that_keeps_its_owner_out_can_be_opened_again(world: World) -> None:
    visitor = world.visitor("owner")
    at = world.bucket(network="custom", addresses=["192.0.2.0/24"])
    page = visitor.get(f"{at}/settings")
    assert "The bucket keeps you out." in page.html
    assert page.value("cors") is None
    opened = visitor.post(f"{at}/settings/access", {"network": "store"}, f"{at}/settings")
    assert "The bucket keeps you out." not in opened.html
    assert opened.value("cors") == ""


def test_thousands_of_buckets_are_searched_sorted_and_paged(world: World) -> None:
    visitor = world.visitor("operator")
    store = new_name("many")
    world.node.operate("store.create", name=store)
    for number in range(130):
        world.node.operate("bucket.create", name=f"bucket-{number:04}", store=store)
    first = visitor.get(f"/buckets?store={store}")
    assert "bucket-0000" in first.html
    assert "bucket-0100" not in first.html
    assert "bucket-0100" in visitor.get(f"/buckets?store={store}&page=2").html
    assert "bucket-0129" in visitor.get(f"/buckets?store={store}&sort=-name").html
    found = visitor.get(f"/buckets?store={store}&q=0077&sort=nonsense&page=x").html
    assert ("bucket-0077" in found, "bucket-0078" in found) == (True, False)
