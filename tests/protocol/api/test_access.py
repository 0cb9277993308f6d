"""Who may ask for what: every row of the table, asked by those who may not."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct

from coffre.console.api.route import Access, Route
from coffre.console.api.table import ROUTES
from tests.browser.people import BUCKET, STORE
from tests.protocol.api.api_client import Api, Said

# What people do to themselves is not what this is about.
OWN: Final = ("session.", "me.", "api.", "activity.", "person.accept")
SAMPLES: Final[dict[str, Any]] = {
    "store": STORE,
    "bucket": BUCKET,
    "tenant": "acme",
    "user": "nobody",
    "access_key": "CFNOBODY",
    "name": "any-name",
    "label": "any",
    "key": "any",
    "kind": "user",
    "role": "reader",
    "network": "private",
    "policy": "{}",
    "action": "s3:GetObject",
    "actions": ["s3:GetObject"],
    "bucket_limit": 5,
    "active": True,
    "confirm": BUCKET,
    "days": 3,
    "alias": "any",
    "objects": [{"key": "any"}],
    "version": "any",
    "mode": None,
    "held": True,
    "upload": "any",
    "part": 1,
    "etags": ["any"],
    "path": "/nowhere",
    "drive": "/nowhere",
    "passphrase": "a passphrase",
    "method": "GET",
    "endpoint": "https://s3.example.org",
    "region": "us-east-1",
    "expires_s": 60,
    "allowed_origins": ["*"],
    "target": "any",
    "since_ms": 0,
    "at_ms": 0,
    "origin": "here",
    "micros": 1,
    "password": "a long password",
    "person": "nobody",
}
TABLE: Final = tuple(one for one in ROUTES if not one.operation.startswith(OWN))


def named(routes: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=lambda one: one.operation)


def required(kind: type[Struct] | None) -> dict[str, Any]:
    fields = () if kind is None else msgspec.structs.fields(kind)
    return {one.name: SAMPLES.get(one.name, "any") for one in fields if one.required}


def ask(api: Api, route: Route, **instead: Any) -> Said:
    """A request that nothing is wrong with but who asks."""
    given = {**required(route.arguments), **instead}
    path = route.path
    for name in route.in_path:
        path = path.replace(f"{{{name}}}", str(given.pop(name)))
    if not route.has_body:
        return api.send(route.method, path, query=given)
    if route.body != "application/json":
        return api.send(route.method, path, b"x", given)
    return api.send(route.method, path, given)


def of(*kinds: Access) -> list[Route]:
    return [one for one in TABLE if one.access in kinds]


TENANTS: Final = of(Access.SCOPED, Access.TENANT_READER, Access.TENANT_OWNER)
IN_STORE: Final = [one for one in TABLE if "{store}" in one.path]


@named([one for one in TABLE if one.access is not Access.OPEN])
def test_nobody_asks_without_signing_in(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["nobody"], route).problem[:2] == (401, "NotSignedIn")


@named(of(Access.OPERATOR))
@pytest.mark.parametrize("role", ["owner", "reader", "scoped", "stranger"])
def test_what_is_the_operators_is_nobody_elses(
    apis: dict[str, Api], route: Route, role: str
) -> None:
    assert ask(apis[role], route).problem[:2] == (403, "AccessDenied")


@named(IN_STORE)
def test_a_store_of_another_tenant_is_as_one_that_never_was(
    apis: dict[str, Api], route: Route
) -> None:
    if route.access is Access.OPERATOR:
        assert ask(apis["stranger"], route).status == 403
        return
    theirs = ask(apis["stranger"], route)
    never = ask(apis["stranger"], route, store="never-was")
    assert theirs.problem == never.problem == (404, "NoSuchStore", "store")
    assert theirs.value["detail"].replace(STORE, "never-was") == never.value["detail"]


@named([one for one in TENANTS if one.method != "GET" and one.needs != "reader"])
def test_a_reader_changes_nothing(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["reader"], route).problem[:2] == (403, "AccessDenied")


@named([one for one in TENANTS if one.method == "GET" and one.access is Access.TENANT_OWNER])
def test_what_is_the_owners_is_no_readers(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["reader"], route).problem[:2] == (403, "AccessDenied")


@named(of(Access.TENANT_READER, Access.TENANT_OWNER))
def test_a_scoped_person_sees_nothing_of_the_tenant(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["scoped"], route).problem[:2] == (403, "AccessDenied")


@named(of(Access.SCOPED))
def test_a_scoped_person_sees_no_other_bucket(apis: dict[str, Api], route: Route) -> None:
    never = ask(apis["scoped"], route, bucket="never-was")
    assert never.problem == (404, "NoSuchBucket", "bucket")
    apis["operator"].send("POST", f"/stores/{STORE}/buckets", {"name": "not-theirs"})
    other = ask(apis["scoped"], route, bucket="not-theirs")
    assert other.problem == (404, "NoSuchBucket", "bucket")


@named([one for one in of(Access.SCOPED) if one.method != "GET" and not one.needs])
def test_a_writer_of_a_bucket_does_not_set_it_up(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["scoped"], route).problem[:2] == (403, "AccessDenied")


@named([one for one in TABLE if one.arguments and "tenant" in required(one.arguments)])
def test_no_tenant_speaks_for_another(apis: dict[str, Api], route: Route) -> None:
    assert ask(apis["stranger"], route).status in (403, 404)


def test_a_token_may_what_its_scopes_say(apis: dict[str, Api], node: Any) -> None:
    owner = apis["owner"]
    made = owner("POST", "/me/tokens", {"name": "reading", "scopes": ["buckets:read"]})
    bare = Api(node, None)
    token = f"Bearer {made['token']}"
    assert bare.send("GET", "/buckets", Authorization=token).status == 200
    for method, path in (("GET", "/stores"), ("POST", f"/stores/{STORE}/buckets")):
        body = {"name": "x-y-z"} if method == "POST" else None
        said = bare.send(method, path, body, Authorization=token)
        assert said.problem[:2] == (403, "AccessDenied")
    bare.close()
