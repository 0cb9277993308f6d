"""axe has nothing against the pages on a phone, where one signs in, or where one is asked."""

from __future__ import annotations

import pytest

from .conftest import Opening
from .people import BUCKET, STORE
from .served import Person
from .watching import find_axe, violations

PHONE = 390
_BUCKET = f"/stores/{STORE}/buckets/{BUCKET}"
PAGES = (
    "/",
    "/stores",
    "/new-store",
    f"/stores/{STORE}",
    f"/stores/{STORE}/settings",
    f"/stores/{STORE}/accounts",
    f"/stores/{STORE}/accounts/new",
    "/buckets",
    "/buckets/new",
    f"{_BUCKET}/policies?who=*&action=s3:GetObject",
    f"{_BUCKET}/settings",
    f"{_BUCKET}/settings/rules/new",
    f"{_BUCKET}/delete",
    "/me",
    "/me/second",
    "/me/tokens/new",
)


def test_axe_finds_nothing_wrong_on_a_phone(open_page: Opening, people: dict[str, Person]) -> None:
    find_axe()
    page = open_page(people["owner"], color_scheme="dark", viewport={"width": PHONE, "height": 844})
    found: dict[str, list[str]] = {}
    for path in PAGES:
        page.goto(path)
        found[path] = violations(page)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_wrong_where_one_signs_in(open_page: Opening, theme: str) -> None:
    find_axe()
    page = open_page(None, "fr", color_scheme=theme)
    for path in ("/signin", "/welcome?invitation=none"):
        page.goto(path)
        assert violations(page) == [], path


def test_a_question_holds_the_keyboard_and_escape_takes_it_back(
    open_page: Opening, people: dict[str, Person]
) -> None:
    page = open_page(people["owner"])
    page.goto(f"/stores/{STORE}/accounts")
    page.get_by_role("link", name="Initial S3 user").click()
    page.get_by_text("Actions", exact=True).first.click()
    page.get_by_role("button", name="Lock the account").first.click()
    asked = page.get_by_role("dialog")
    asked.wait_for()
    assert violations(page) == []
    page.keyboard.press("Escape")
    asked.wait_for(state="hidden")
