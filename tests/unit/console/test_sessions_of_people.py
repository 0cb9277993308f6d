"""What a session lives through, what ends it, and what nobody does with somebody else's."""

from __future__ import annotations

import pytest

from coffre.console.sessions import COOKIE
from tests.unit.console.world import PASSWORD, Browser, Said, World


async def test_a_session_outlives_the_process_that_began_it(world: World) -> None:
    operator = await world.operator()
    world.again()
    assert (await operator.send("GET", "/me")).value["name"] == "operator"


async def test_a_session_ends_when_it_rests_too_long(world: World) -> None:
    operator = await world.operator()
    for _ in range(3):
        world.clock.ahead += 20 * 60
        assert (await operator.send("GET", "/me")).status == 200
    world.clock.ahead += 31 * 60
    assert (await operator.send("GET", "/me")).status == 401


async def test_a_session_ends_however_much_it_is_used(world: World) -> None:
    operator = await world.operator()
    for _ in range(12 * 3 - 1):
        world.clock.ahead += 20 * 60
        assert (await operator.send("GET", "/me")).status == 200
    world.clock.ahead += 20 * 60
    assert (await operator.send("GET", "/me")).status == 401


async def test_signing_out_ends_the_session_and_takes_the_cookie(world: World) -> None:
    operator = await world.operator()
    kept = operator.cookies[COOKIE]
    assert (await operator.send("DELETE", "/session")).status == 204
    assert COOKIE not in operator.cookies
    operator.cookies[COOKIE] = kept
    assert (await operator.send("GET", "/me")).status == 401


async def test_another_password_ends_all_other_sessions(world: World) -> None:
    ann = await world.person("ann")
    other = Browser(world)
    await other.sign_in("ann", ann.password)
    given = {"old_password": ann.password, "password": "Correct horse battery"}
    said = await ann.send("POST", "/me/password", given)
    assert said.status == 200
    assert (await other.send("GET", "/me")).status == 401
    assert (await ann.send("POST", "/me/password", {**given, "old_password": "x"})).status == 401
    assert (await ann.send("GET", "/me")).status == 200
    assert (await Browser(world).sign_in("ann", ann.password)).status == 401
    assert (await Browser(world).sign_in("ann", given["password"])).status == 201


@pytest.mark.parametrize(
    "change",
    [{"role": "reader"}, {"status": "locked"}, {"issuer": "https://id.example", "subject": "x"}],
)
async def test_another_role_or_way_in_ends_sessions(world: World, change: dict[str, str]) -> None:
    ann = await world.person("ann")
    operator = await world.operator()
    assert (await operator.send("PATCH", "/people/ann", change)).status == 200
    assert (await ann.send("GET", "/me")).status == 401


async def test_another_address_ends_nothing(world: World) -> None:
    ann = await world.person("ann")
    await world.operate("person.set", name="ann", email="ann@example.com")
    assert (await ann.send("GET", "/me")).value["email"] == "ann@example.com"


async def test_somebody_who_is_deleted_is_out_at_once_with_all_tokens(world: World) -> None:
    ann = await world.person("ann")
    made = await ann.send("POST", "/me/tokens", {"name": "ci", "scopes": ["stores:read"]})
    await world.operate("person.delete", name="ann")
    assert (await ann.send("GET", "/me")).status == 401
    assert (await with_token(world, made.value["token"], "GET", "/stores")).status == 401


async def test_people_see_and_end_their_own_sessions_alone(world: World) -> None:
    ann, bob = await world.person("ann"), await world.person("bob")
    elsewhere = Browser(world, "198.51.100.9")
    await elsewhere.sign_in("ann", ann.password)
    rows = (await ann.send("GET", "/me/sessions")).value["items"]
    assert {row["client"]: row["current"] for row in rows} == {
        "192.0.2.1": True,
        "198.51.100.9": False,
    }
    theirs = next(row["id"] for row in rows if not row["current"])
    assert (await bob.send("DELETE", f"/me/sessions/{theirs}")).status == 404
    assert (await elsewhere.send("GET", "/me")).status == 200
    assert (await ann.send("DELETE", f"/me/sessions/{theirs}")).status == 204
    assert (await elsewhere.send("GET", "/me")).status == 401


async def test_csrf_a_change_without_the_sessions_token_is_refused(world: World) -> None:
    operator = await world.operator()
    right = operator.csrf
    for wrong in ("", "f" * 64, right[:-1]):
        operator.csrf = wrong
        said = await operator.send("POST", "/tenants", {"name": "two"})
        assert (said.status, said.code) == (403, "BadCsrfToken")
    operator.csrf = (await world.person("ann")).csrf
    assert (await operator.send("POST", "/tenants", {"name": "two"})).status == 403
    operator.csrf = right
    assert (await operator.send("POST", "/tenants", {"name": "two"})).status == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://console.example:9443"},
    ],
)
async def test_csrf_another_site_changes_nothing_even_with_the_token(
    world: World, headers: dict[str, str]
) -> None:
    operator = await world.operator()
    said = await operator.send("POST", "/tenants", {"name": "two"}, headers=headers)
    assert (said.status, said.code) == (403, "BadCsrfToken")
    signing_in = {"name": "operator", "password": PASSWORD}
    forced = await Browser(world).send("POST", "/session", signing_in, headers=headers)
    assert forced.status == 403


async def test_csrf_a_form_of_another_site_is_no_json(world: World) -> None:
    operator = await world.operator()
    said = await operator.send(
        "POST", "/tenants", b'{"name": "two"}', headers={"content-type": "text/plain"}
    )
    assert (said.status, said.code) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("path", ["/api/v1/stores", "/api/v1/nothing", "/signin", "/no-such-page"])
async def test_clickjacking_no_answer_may_stand_in_a_frame(world: World, path: str) -> None:
    said = await (await world.operator()).send("GET", path, place="")
    policy = said.header("content-security-policy") or ""
    assert "frame-ancestors 'none'" in policy
    assert said.header("x-frame-options") == "DENY"
    assert said.header("x-content-type-options") == "nosniff"
    assert "'unsafe" not in policy
    assert "default-src 'none'" in policy


async def test_what_cannot_be_undone_asks_for_the_password_again(world: World) -> None:
    operator = await world.operator()
    world.clock.ahead += 11 * 60
    said = await operator.send("POST", "/people", {"name": "eve", "tenant": "one"})
    assert (said.status, said.code) == (403, "PasswordRequired")
    wrong = await operator.send("POST", "/session/proof", {"password": "not this one at all"})
    assert wrong.status == 401
    assert (await operator.send("POST", "/session/proof", {"password": PASSWORD})).status == 204
    assert (await operator.send("POST", "/people", {"name": "eve", "tenant": "one"})).status == 201


async def with_token(world: World, token: str, method: str, path: str, body: object = None) -> Said:
    """One request by a program."""
    headers = {"authorization": f"Bearer {token}"}
    return await Browser(world, "198.51.100.77").send(method, path, body, headers=headers)


async def test_a_token_does_what_its_scopes_say_and_needs_no_csrf_token(world: World) -> None:
    operator = await world.operator()
    asked = {"name": "ci", "scopes": ["stores:write"], "days": 1}
    token = (await operator.send("POST", "/me/tokens", asked)).value["token"]
    assert (await with_token(world, token, "GET", "/stores")).status == 200
    assert (await with_token(world, token, "POST", "/tenants", {"name": "two"})).status == 201
    assert (await with_token(world, token, "GET", "/people")).status == 403
    assert (await with_token(world, token, "GET", "/me/tokens")).status == 403
    assert (await with_token(world, token, "POST", "/me/tokens", asked)).status == 403
    listed = (await operator.send("GET", "/me/tokens")).value["items"]
    assert [(row["name"], row["used_ms"] is not None) for row in listed] == [("ci", True)]
    assert token not in str(listed)


async def test_a_token_ends_and_is_deleted(world: World) -> None:
    operator = await world.operator()
    asked = {"name": "ci", "scopes": ["stores:read"], "days": 1}
    token = (await operator.send("POST", "/me/tokens", asked)).value["token"]
    assert (await operator.send("POST", "/me/tokens", asked)).status == 409
    assert (await operator.send("DELETE", "/me/tokens/ci")).status == 204
    assert (await with_token(world, token, "GET", "/stores")).status == 401
    token = (await operator.send("POST", "/me/tokens", asked)).value["token"]
    world.clock.ahead += 24 * 3600 + 1
    assert (await with_token(world, token, "GET", "/stores")).status == 401


@pytest.mark.parametrize("token", ["", "coffre_pat_", "coffre_pat_" + "a" * 52, "x", "\udcff"])
async def test_what_is_no_token_opens_nothing(world: World, token: str) -> None:
    text = token.encode(errors="replace").decode()
    assert (await with_token(world, text, "GET", "/stores")).code == "NotSignedIn"


async def test_the_last_operator_stays(world: World) -> None:
    operator = await world.operator()
    for method, body in (("DELETE", None), ("PATCH", {"role": "owner", "tenant": "one"})):
        said = await operator.send(method, "/people/operator", body)
        assert (said.status, said.code) == (409, "LastOperator")


async def test_an_owner_sees_to_the_people_of_the_tenant_and_makes_no_operator(
    world: World,
) -> None:
    await world.operate("tenant.create", name="two")
    await world.operate("person.create", name="zoe", role="owner", tenant="two")
    owner = await world.person("ann")
    names = [row["name"] for row in (await owner.send("GET", "/people")).value["items"]]
    assert names == ["ann"]
    for method, path, body in (
        ("GET", "/people/zoe", None),
        ("PATCH", "/people/zoe", {"email": "x@example.com"}),
        ("POST", "/people/zoe/password", None),
        ("POST", "/people/operator/invitation", None),
        ("DELETE", "/people/operator", None),
    ):
        said = await owner.send(method, path, body)
        assert (said.status, said.code) == (404, "NoSuchPerson"), path
    for body in (
        {"name": "eve", "role": "operator"},
        {"name": "eve", "role": "reader", "tenant": "two"},
    ):
        assert (await owner.send("POST", "/people", body)).status in (403, 404)
    assert (await owner.send("PATCH", "/people/ann", {"role": "operator"})).status == 403
    assert (await owner.send("PATCH", "/people/ann", {"tenant": "two"})).status == 404
    made = await owner.send("POST", "/people", {"name": "ed"})
    assert (made.status, made.value["tenant"]) == (201, "one")
