"""Every page of a tenant, in both languages: it answers, and is what its browser may trust."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from coffre.console.pages.assets import assets
from tests.protocol.console.page_client import Answer
from tests.protocol.console.page_world import BUCKET, STORE, World

_BUCKET = f"/stores/{STORE}/buckets/{BUCKET}"
PAGES = (
    "/",
    "/stores",
    "/new-store",
    f"/stores/{STORE}",
    f"/stores/{STORE}/settings",
    f"/stores/{STORE}/delete",
    f"/stores/{STORE}/accounts",
    f"/stores/{STORE}/accounts/new",
    f"/stores/{STORE}/keys",
    "/buckets",
    f"/buckets?store={STORE}&q=none-is-called-so",
    "/buckets/new",
    f"{_BUCKET}/files",
    f"{_BUCKET}/policies",
    f"{_BUCKET}/policies?who=*&action=s3:GetObject&key=a&source_ip=192.0.2.1",
    f"{_BUCKET}/settings",
    f"{_BUCKET}/settings/preview",
    f"{_BUCKET}/settings/rules/new",
    f"{_BUCKET}/delete",
    "/me",
    "/me/second",
    "/me/tokens/new",
)
ASSET_BYTES = 150_000


@pytest.fixture(params=("en", "fr"))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_in_the_language_of_its_reader(
    world: World, language: str, path: str
) -> None:
    page = world.visitor("owner", language).get(path)
    assert (page.status, page.headers["content-language"]) == (200, language)
    assert page.all("html")[0].attributes["lang"] == language
    assert len(page.all("h1")) == 1
    assert page.title.endswith(" · Coffre")
    check_safe(page)
    check_usable(page)


def test_the_pages_of_somebody_who_is_not_signed_in_are_safe_too(
    world: World, language: str
) -> None:
    for path in ("/signin", "/signin?back=/buckets", "/welcome?invitation=none"):
        page = world.stranger(language).get(path)
        assert (page.status, page.headers["content-language"]) == (200, language)
        check_safe(page)
        check_usable(page)


def test_a_page_that_is_not_there_says_so_within_the_frame(world: World, language: str) -> None:
    for path in ("/nothing", "/stores/nobodys", f"{_BUCKET}x/settings"):
        page = world.visitor("owner", language).get(path)
        assert page.status == 404
        assert page.all("nav")
        check_safe(page)


def test_a_choice_of_language_and_theme_stays(world: World) -> None:
    visitor = world.fresh("owner")
    chosen = visitor.post("/preferences", {"lang": "fr", "theme": "dark", "back": "/me"}, "/me")
    assert chosen.path == "/me"
    assert chosen.all("html")[0].attributes == {"lang": "fr", "data-theme": "dark"}
    again = visitor.post("/preferences", {"theme": "auto", "back": "/me"}, "/me")
    assert again.all("html")[0].attributes == {"lang": "fr"}
    assert visitor.get("/stores?lang=en").headers["content-language"] == "en"


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_no_form_leads_to_another_site(world: World, back: str) -> None:
    visitor = world.stranger()
    answer = visitor.post("/preferences", {"lang": "en", "back": back}, "/signin")
    assert answer.path == "/signin?back=%2F" or answer.path == "/signin"
    person = world.people["owner"]
    entered = visitor.post(
        "/signin", {"name": person.name, "password": person.password, "back": back}
    )
    assert entered.path == "/"


@pytest.mark.parametrize("path", ["/", "/buckets", f"{_BUCKET}/files", f"{_BUCKET}/settings"])
def test_a_page_loads_less_than_150_kb_of_assets(world: World, path: str) -> None:
    page = world.visitor("owner").get(path)
    loaded = 0
    for name in asset_names(page):
        loaded += len(assets()[name].body)
    assert 0 < loaded < ASSET_BYTES


def test_assets_are_kept_by_the_browser_for_as_long_as_they_are_the_same(world: World) -> None:
    visitor = world.stranger()
    page = visitor.get("/signin")
    for element in page.all("link"):
        answer = visitor.get(element.attributes["href"] or "")
        assert (answer.status, answer.headers["x-content-type-options"]) == (200, "nosniff")
        assert "immutable" in answer.headers["cache-control"]
    assert "immutable" not in visitor.get("/static/tokens.css").headers["cache-control"]
    for outside in ("/static/none.css", "/static/..%2fconsole.py", "/static/%2e%2e/pages/me.py"):
        assert visitor.get(outside).status == 404


def asset_names(page: Answer) -> list[str]:
    addresses = [one.attributes.get("href") for one in page.all("link")]
    addresses += [one.attributes.get("src") for one in page.all("script")]
    paths = [urlsplit(one or "").path for one in addresses]
    assert all(path.startswith("/static/") for path in paths), "no other host is asked"
    return [path.removeprefix("/static/") for path in paths]


def check_safe(page: Answer) -> None:
    """Nothing inline, as the policy says; every form that changes something has its token."""
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    for one in page.elements:
        names = [name for name in one.attributes if name.startswith("on") or name == "style"]
        assert not names, f"<{one.tag}> has {names}"
        assert one.tag != "style"
        if one.tag == "script":
            assert one.attributes.get("src"), "a script stands in the page"
        for name in ("href", "action", "src"):
            assert not (one.attributes.get(name) or "").lower().startswith("javascript:")
    for form in re.findall(r"<form[^>]*>.*?</form>", page.html, re.DOTALL):
        if 'method="post"' in form and "<button" in form:
            assert 'name="csrf_token"' in form, form[:200]


def check_usable(page: Answer) -> None:
    """Every field has a name that is read out, and no id is there twice."""
    labelled = {one.attributes.get("for") for one in page.all("label")}
    for one in page.elements:
        if one.tag in ("input", "select", "textarea") and one.attributes.get("type") not in (
            *("hidden", "checkbox", "radio"),
        ):
            named = one.attributes.get("aria-label") or one.attributes.get("id") in labelled
            assert named, f"{one.attributes} has no label"
    ids = [name for one in page.elements if (name := one.attributes.get("id"))]
    assert len(ids) == len(set(ids)), sorted(ids)
