"""Forms that are refused: which field and why, what was typed is kept, nothing changes."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from coffre.console import pages
from tests.protocol.console.page_world import BUCKET, STORE, World, new_name

_BUCKET = f"/stores/{STORE}/buckets/{BUCKET}"
_POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",'
    ' "Action": "s3:%s", "Resource": "arn:aws:s3:::shared/*"}]}'
)


def posting_paths() -> list[str]:
    """Every path that a form is sent to, with something in its places."""
    found = []
    for route in pages.routes():
        if isinstance(route, Route) and route.methods == {"POST"} | (route.methods or set()):
            path = route.path.replace("{store}", STORE).replace("{bucket}", BUCKET)
            found.append(re.sub(r"\{[^}]*\}", "x", path))
    return found


@pytest.mark.parametrize("path", posting_paths())
def test_a_form_without_its_token_changes_nothing(world: World, path: str) -> None:
    answer = world.visitor("owner").send(path, {"name": "x", "confirm": BUCKET})
    assert answer.status in (401, 403, 404), f"{path} took a form without a token"
    if answer.status == 404:
        assert path == "/x" or "/files" in path


@pytest.mark.parametrize("path", ["/signin", "/preferences", "/buckets/new"])
def test_a_form_that_another_site_sends_is_refused(world: World, path: str) -> None:
    visitor = world.fresh("owner")
    token = visitor.get("/me").value("csrf_token") or ""
    fields = {"csrf_token": token, "name": "x", "store": STORE}
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert visitor.send(path, fields, **headers).status == 403


@pytest.mark.parametrize(
    ("network", "addresses", "said"),
    [
        ("custom", "192.0.2.0/99", "192.0.2.0/99"),
        ("custom", "10.0.0.1, ::zz\n2001:db8::/32", "::zz"),
        ("custom", "10.0.0.1/8", "10.0.0.1/8"),
        ("custom", " \n ", "at least one"),
    ],
)
def test_a_wrong_address_is_named_and_no_bucket_is_made(
    world: World, network: str, addresses: str, said: str
) -> None:
    visitor, name = world.visitor("owner"), new_name("never")
    fields = {
        "store": STORE,
        "name": name,
        "type": "archiving",
        "network": network,
        "addresses": addresses,
        "versioning": "yes",
    }
    page = visitor.post("/buckets/new", fields)
    assert page.status == 422
    assert said in page.problem("addresses")
    typed = [page.value(one) for one in ("name", "type", "network", "versioning")]
    assert typed == [name, "archiving", "custom", "yes"]
    assert (page.value("addresses") or "").split() == addresses.split()
    assert visitor.get(f"/stores/{STORE}/buckets/{name}/settings").status == 404


@pytest.mark.parametrize("name", ["Nope", "a", "-", "192.0.2.1", "", "a..b", "<script>"])
def test_a_wrong_bucket_name_is_kept_in_its_field(world: World, name: str) -> None:
    page = world.visitor("owner").post("/buckets/new", {"store": STORE, "name": name})
    assert page.status == 422
    assert page.value("name") == name
    assert page.problem("name")
    assert "<script>" not in page.html


def test_a_name_is_checked_while_it_is_typed(world: World) -> None:
    visitor = world.visitor("owner", "fr")
    for name, said in ((BUCKET, "problem"), ("Nope", "problem"), (new_name("free"), "fine")):
        part = visitor.get(f"/buckets/name?store={STORE}&name={name}")
        assert f'class="{said}"' in part.html
    for name, said in ((STORE, "problem"), ("-x", "problem"), (new_name("free"), "fine")):
        assert f'class="{said}"' in visitor.get(f"/new-store/name?name={name}").html


@pytest.mark.parametrize("days", ["-1", "1.5", "soon", "99999999999"])
def test_days_that_are_none_leave_the_lifecycle_alone(world: World, days: str) -> None:
    visitor = world.visitor("owner")
    page = visitor.post(f"{_BUCKET}/settings/days", {"days": days}, f"{_BUCKET}/settings")
    assert (page.status, page.value("days")) == (422, days)
    assert page.problem("days")
    assert visitor.get(f"{_BUCKET}/settings").value("days") == "0"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("{", "Line 1, column 2"),
        ("[" * 100_000, "no JSON that can be read"),
        ('{"Version": "2012-10-17"}', "Statement"),
        (_POLICY % "GetObjekt", "Statement[0].Action"),
    ],
)
def test_a_policy_that_cannot_be_is_shown_again_with_the_place(
    world: World, policy: str, said: str
) -> None:
    visitor = world.visitor("owner")
    sent = {"policy": policy, "do": "save"}
    page = visitor.post(f"{_BUCKET}/policies/policy", sent, f"{_BUCKET}/policies")
    assert page.status == 422
    assert said in page.problem("policy")
    assert page.value("policy") == policy
    assert visitor.get(f"{_BUCKET}/policies").value("policy") == ""


def test_what_a_policy_changes_is_told_before_it_is_put(world: World) -> None:
    visitor = world.visitor("owner")
    sent = {"policy": _POLICY % "GetObject", "do": "check"}
    page = visitor.post(f"{_BUCKET}/policies/policy", sent, f"{_BUCKET}/policies")
    assert page.status == 200
    assert "This makes the bucket public." in page.html
    assert page.value("policy") == _POLICY % "GetObject"
    assert visitor.get(f"{_BUCKET}/policies").value("policy") == ""


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"id": "", "days": "3"}, "id"),
        ({"id": "r", "days": "0"}, "days"),
        ({"id": "r", "days": "3", "larger": "big"}, "larger"),
        ({"id": "r", "date": "2027-02-30"}, "date"),
        ({"id": "r", "noncurrent_days": "1", "newer_noncurrent": "101"}, "newer_noncurrent"),
    ],
)
def test_a_rule_that_cannot_be_names_its_field(
    world: World, fields: dict[str, str], wrong: str
) -> None:
    visitor = world.visitor("owner")
    page = visitor.post(f"{_BUCKET}/settings/rules", fields, f"{_BUCKET}/settings/rules/new")
    assert page.status == 422
    assert page.problem(wrong)
    for name, value in fields.items():
        assert page.value(name) == value
    assert "No rule." in visitor.get(f"{_BUCKET}/settings").html


def test_a_deletion_wants_the_name_and_nothing_else(world: World) -> None:
    visitor = world.visitor("owner")
    bucket = world.bucket()
    for typed in ("", "wrong", bucket.rpartition("/")[2].upper()):
        page = visitor.post(f"{bucket}/delete", {"confirm": typed})
        assert (page.status, page.value("confirm")) == (422, typed)
    assert visitor.get(f"{bucket}/settings").status == 200
    store = visitor.post(f"/stores/{STORE}/delete", {"confirm": STORE})
    assert store.status in (409, 422)
    assert "buckets" in store.html


def test_an_account_without_a_name_is_not_made(world: World) -> None:
    visitor = world.visitor("owner")
    for label in ("", "x" * 129):
        page = visitor.post(f"/stores/{STORE}/accounts/new", {"label": label, "kind": "object"})
        assert (page.status, page.value("label")) == (422, label)
        assert page.problem("label")
