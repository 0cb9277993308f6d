"""Every page, in both languages: axe, its policy, its weight, and a phone's width."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response

from .conftest import Opening
from .demo import Demo
from .served import Served
from .watching import violations

Open = Callable[..., Page]
MOST_BYTES = 150 * 1000
PHONE = 390
LONG = os.environ.get("COFFRE_LONG") == "1"
# Role, language, theme. The operator's pages are all that there are.
LOOKS = [("operator", "fr", "dark"), ("owner", "en", "light")]
if LONG:
    LOOKS += [("operator", "en", "light"), ("owner", "fr", "dark")]


@pytest.fixture(scope="module")
def demo(node: Served) -> Demo:
    return Demo(node)


def weight(responses: list[Response]) -> int:
    """Bytes of bodies as they came over the wire."""
    return sum(one.request.sizes()["responseBodySize"] for one in responses)


@pytest.mark.parametrize(("role", "lang", "theme"), LOOKS)
def test_every_page_is_whole(
    open_page: Opening, demo: Demo, role: str, lang: str, theme: str
) -> None:
    page = open_page(demo.people[role], lang, color_scheme=theme)
    wrong: list[str] = []
    for name, address in demo.pages(role).items():
        answer = page.goto(address)
        assert answer is not None
        if answer.status != 200:
            wrong.append(f"{name}: status {answer.status}")
            continue
        wrong += [f"{name}: {one}" for one in violations(page)]
        if page.locator("html").get_attribute("lang") != lang:
            wrong.append(f"{name}: not in {lang}")
    assert wrong == []


def test_no_page_is_wider_than_a_phone(open_page: Opening, demo: Demo) -> None:
    page = open_page(demo.people["operator"], "fr", viewport={"width": PHONE, "height": 844})
    wide: list[str] = []
    for name, address in demo.pages("operator").items():
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > PHONE:
            wide.append(name)
    assert wide == []


@pytest.mark.parametrize("name", ["home", "files", "bucket-settings", "audit"])
def test_a_page_with_all_that_it_loads_is_light(open_page: Opening, demo: Demo, name: str) -> None:
    page = open_page(demo.people["operator"])
    loaded: list[Response] = []

    def note(response: Response) -> None:
        loaded.append(response)

    page.on("response", note)
    page.goto(demo.pages("operator")[name], wait_until="networkidle")
    assert 1000 < weight(loaded) < MOST_BYTES
