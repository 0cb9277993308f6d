"""Who gets in, and what each of them sees."""

from __future__ import annotations

import re

import pyotp
import pytest

from coffre.console.sessions import COOKIE
from tests.protocol.console.page_client import Answer
from tests.protocol.console.page_world import BUCKET, STORE, World

_BUCKET = f"/stores/{STORE}/buckets/{BUCKET}"


def changing_forms(page: Answer) -> list[str]:
    """Where a page's forms go that change something of the tenant's."""
    actions = [
        one.attributes.get("action") or ""
        for one in page.all("form")
        if one.attributes.get("method") == "post"
    ]
    return [one for one in actions if one not in ("/preferences", "/signout")]


def test_whoever_is_not_signed_in_is_led_back_after_it(world: World) -> None:
    visitor, person = world.stranger(), world.people["owner"]
    page = visitor.get("/buckets?q=a%26b")
    assert page.path == "/signin?back=%2Fbuckets%3Fq%3Da%2526b"
    fields = {"name": person.name.upper(), "password": person.password}
    back = page.value("back") or ""
    assert visitor.post("/signin", {**fields, "back": back}).path == "/buckets?q=a%26b"


def test_a_wrong_password_keeps_the_name_and_never_the_password(world: World) -> None:
    page = world.stranger("fr").sign_in("nobody-at-all", "what was typed")
    assert (page.status, page.value("name")) == (401, "nobody-at-all")
    assert "what was typed" not in page.html
    assert "incorrect" in page.html


def test_a_session_that_was_there_before_names_nobody_after(world: World) -> None:
    visitor, person = world.fresh("owner"), world.people["owner"]
    before = visitor.cookie(COOKIE)
    other = world.stranger()
    other.jar.set_cookie(next(one for one in visitor.jar if one.name == COOKIE))
    token = other.get("/me").value("csrf_token") or ""
    fields = {"name": person.name, "password": person.password, "back": "/me"}
    other.send("/signin", {**fields, "csrf_token": token})
    assert other.cookie(COOKIE) not in (None, before)
    assert visitor.get("/me").path == "/signin?back=%2Fme"


def test_signing_out_ends_the_session_for_good(world: World) -> None:
    visitor = world.fresh("reader")
    kept = next(one for one in visitor.jar if one.name == COOKIE)
    assert visitor.post("/signout", page="/me").path == "/signin"
    visitor.jar.set_cookie(kept)
    assert visitor.get("/").path == "/signin"


def test_another_session_is_seen_and_ended(world: World) -> None:
    world.person("two-browsers")
    here, there = world.fresh("two-browsers"), world.fresh("two-browsers")
    ids = re.findall(r'name="id" value="([0-9a-f]{16})"', here.get("/me").html)
    for one in ids:
        here.post("/me/sessions", {"id": one}, "/me")
    assert there.get("/me").path == "/signin?back=%2Fme"
    assert here.get("/me").path == "/me"


def test_a_second_factor_from_its_code_to_its_end(world: World) -> None:
    person = world.person("two-factors", "owner")
    visitor = world.stranger()
    visitor.sign_in("two-factors", person.password)
    page = visitor.get("/me/second")
    secret = page.value("secret") or ""
    assert "<svg" in page.html
    token = page.value("csrf_token") or ""
    wrong = visitor.send("/me/second", {"csrf_token": token, "code": "12", "secret": secret})
    assert (wrong.status, wrong.value("secret")) == (422, secret)
    code = pyotp.TOTP(secret).now()
    right = visitor.send("/me/second", {"csrf_token": token, "code": code, "secret": secret})
    codes = re.findall(r"<li><code>(.*?)</code>", right.html)
    assert len(codes) == 10
    assert visitor.get(right.path).path == "/me", "codes are shown once"

    again = world.stranger()
    asked = again.sign_in("two-factors", person.password)
    assert asked.path == "/signin/code?back=%2F"
    assert again.get("/me").path == "/signin?back=%2Fme"
    refused = again.post("/signin/code", {"code": "000000", "back": "/"})
    assert (refused.status, bool(refused.problem("code"))) == (401, True)
    assert again.post("/signin/code", {"code": codes[0], "back": "/me"}).path == "/me"
    assert again.post("/me/second/off", page="/me").path == "/me"


def test_a_token_is_shown_once_and_does_what_its_choice_said(world: World) -> None:
    visitor = world.fresh("owner")
    fields = {"label": "ci", "scope": "read", "days": "7"}
    page = visitor.post("/me/tokens/new", fields)
    token = re.findall(r"coffre_pat_[a-z0-9]+", page.html)[0]
    assert token not in visitor.get("/me").html
    asked = world.stranger().get("/api/v1/stores", Authorization=f"Bearer {token}")
    assert (asked.status, STORE in asked.html) == (200, True)
    ids = re.findall(r'name="id" value="([^"]+)"', visitor.get("/me").html)
    for one in ids:
        visitor.post("/me/tokens/revoke", {"id": one}, "/me")
    assert world.stranger().get("/api/v1/stores", Authorization=f"Bearer {token}").status == 401


def test_a_password_is_changed_by_who_knows_the_one_of_before(world: World) -> None:
    person = world.person("changing")
    visitor = world.stranger()
    visitor.sign_in("changing", person.password)
    new = "four plain words here"
    wrong = {"old": "not it at all", "new": new, "again": new}
    assert visitor.post("/me/password", wrong, "/me").problem("old")
    weak = {"old": person.password, "new": "short", "again": "short"}
    assert visitor.post("/me/password", weak, "/me").problem("new")
    different = {"old": person.password, "new": new, "again": new + "!"}
    assert visitor.post("/me/password", different, "/me").problem("again")
    right = {"old": person.password, "new": new, "again": new}
    assert visitor.post("/me/password", right, "/me").path == "/me"
    assert world.stranger().sign_in("changing", person.password).status == 401
    assert world.stranger().sign_in("changing", new).path == "/"


def test_an_invitation_lets_its_person_choose_a_password_once(world: World) -> None:
    made = world.node.operate("person.create", name="invited", role="reader", tenant="acme")
    visitor, new = world.stranger(), "a password of my own"
    address = f"/welcome?invitation={made['invitation']}"
    fields = {"invitation": made["invitation"], "new": new, "again": new}
    assert visitor.post("/welcome", fields, address).path == "/signin"
    assert visitor.sign_in("invited", new).path == "/"
    assert world.stranger().post("/welcome", fields, address).status == 422


@pytest.mark.parametrize("role", ["reader", "scoped"])
def test_those_who_change_nothing_are_shown_no_form_for_it(world: World, role: str) -> None:
    visitor = world.visitor(role)
    for path in ("/", "/buckets", "/stores", f"{_BUCKET}/policies", f"{_BUCKET}/settings"):
        page = visitor.get(path)
        assert page.status == 200, path
        assert "/operator/" not in page.html
        # A form that is only looked at has no button to send it.
        for action in changing_forms(page):
            form = page.html.partition(f'action="{action}"')[2].partition("</form>")[0]
            assert 'class="btn primary"' not in form, f"{role} may send {action} on {path}"


@pytest.mark.parametrize("role", ["reader", "scoped"])
def test_a_form_that_was_not_shown_is_refused_all_the_same(world: World, role: str) -> None:
    visitor = world.visitor(role)
    sent: tuple[tuple[str, dict[str, str]], ...] = (
        ("/buckets/new", {"store": STORE, "name": "never-made", "network": "private"}),
        (f"/stores/{STORE}/accounts/new", {"label": "never"}),
        (f"{_BUCKET}/settings/days", {"days": "1"}),
        (f"{_BUCKET}/settings/access", {"network": "public"}),
        (f"{_BUCKET}/policies/public", {}),
        (f"{_BUCKET}/delete", {"confirm": BUCKET}),
        (f"/stores/{STORE}/delete", {"confirm": STORE}),
    )
    for path, fields in sent:
        assert visitor.post(path, fields, "/me").status in (403, 404, 422), path
    names = {one["name"] for one in world.node.operate("bucket.list", store=STORE)}
    assert BUCKET in names
    assert "never-made" not in names


def test_another_tenants_store_is_not_there(world: World) -> None:
    visitor = world.visitor("owner")
    for path in ("/stores/default", "/stores/default/accounts", "/stores/default/delete"):
        assert visitor.get(path).status == 404
    assert 'href="/stores/default"' not in visitor.get("/stores").html
    foreign = visitor.post("/buckets/new", {"store": "default", "name": "taken-over"})
    assert foreign.status in (404, 422)


def test_a_scoped_person_sees_the_one_bucket(world: World) -> None:
    other = world.bucket()
    visitor = world.visitor("scoped")
    listed = visitor.get("/buckets").html
    assert f"{_BUCKET}/files" in listed
    assert other not in listed
    assert visitor.get(f"{other}/settings").status == 404
    assert visitor.get(f"/stores/{STORE}/accounts").status in (403, 404)
