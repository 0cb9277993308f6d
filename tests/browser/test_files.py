"""The Files tab, as a person uses it: look, find, delete, bring back, share."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from .conftest import Opening
from .served import Served, trusting
from .watching import violations

Open = Callable[..., Page]


@pytest.fixture
def s3(node: Served) -> Any:
    return node.s3()


@pytest.fixture
def files(node: Served, s3: Any, name: str) -> str:
    """A bucket of the test's own with a few files; the address of its Files tab."""
    s3.create_bucket(Bucket=name)
    for key in ("a.txt", "b.txt", "photos/2026/sea.txt", "photos/été.txt", "z/"):
        s3.put_object(Bucket=name, Key=key, Body=b"content of " + key.encode())
    return f"/stores/default/buckets/{name}/files"


def names(page: Page) -> list[str]:
    return page.locator("#listing tbody th").all_inner_texts()


def test_folders_are_entered_and_left(open_page: Opening, node: Served, files: str) -> None:
    page = open_page(node.operator)
    page.goto(files)
    assert names(page) == ["photos", "z", "a.txt", "b.txt"]
    page.get_by_role("link", name="photos", exact=True).click()
    assert names(page) == ["2026", "été.txt"]
    page.get_by_role("link", name="2026", exact=True).click()
    assert names(page) == ["sea.txt"]
    page.get_by_role("navigation", name="Folder").get_by_role("link", name="photos").click()
    assert names(page) == ["2026", "été.txt"]


def test_a_name_is_found_by_its_beginning(open_page: Opening, node: Served, files: str) -> None:
    page = open_page(node.operator)
    page.goto(f"{files}?folder=photos%2F")
    page.keyboard.press("/")
    page.keyboard.type("ét")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    assert names(page) == ["été.txt"]
    page.get_by_role("searchbox").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No name in this folder begins with “nothing”.")).to_be_visible()


def test_many_names_come_in_pages(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    for number in range(130):
        s3.put_object(Bucket=name, Key=f"many/{number:04}", Body=b"")
    page = open_page(node.operator)
    page.goto(f"{files}?folder=many%2F")
    assert names(page)[::99] == ["0000", "0099"]
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**after=*")
    assert names(page)[::29] == ["0100", "0129"]
    page.get_by_role("link", name="First page").click()
    expect(page.locator("#listing tbody th").first).to_have_text("0000")


def test_a_file_tells_all_that_is_known_of_it(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    s3.put_object(
        Bucket=name,
        Key="known.json",
        Body=b'{"a": 1}',
        ContentType="application/json",
        Metadata={"colour": "green"},
        Tagging="project=alpha",
        ChecksumAlgorithm="SHA256",
    )
    page = open_page(node.operator)
    page.goto(files)
    page.get_by_role("link", name="known.json").click()
    for text in ("application/json", "colour", "green", "project", "alpha", "SHA256", '{"a": 1}'):
        expect(page.get_by_role("main").get_by_text(text, exact=True).first).to_be_visible()
    assert violations(page) == []
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download", exact=True).first.click()
    assert loading.value.suggested_filename == "known.json"
    assert loading.value.path().read_bytes() == b'{"a": 1}'


def test_what_is_deleted_is_asked_about_and_comes_back(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="a.txt", Body=b"second")
    page = open_page(node.operator)
    page.goto(files)
    page.get_by_label("Choose a.txt").check()
    page.get_by_label("Choose b.txt").check()
    page.get_by_role("button", name="Delete what is chosen").click()
    expect(page.get_by_role("heading", name="Delete 2 files?")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("2 files deleted.")
    assert names(page) == ["photos", "z"]
    page.get_by_role("button", name="Versions and deleted").click()
    page.wait_for_url("**versions=yes*")
    assert names(page).count("a.txt") == 3
    assert violations(page) == []
    first = page.locator("tr", has_text="a.txt").nth(0)
    first.locator("summary").click()
    first.get_by_role("button", name="Take away this marker").click()
    expect(page.get_by_role("status")).to_contain_text("The marker is gone.")
    assert s3.get_object(Bucket=name, Key="a.txt")["Body"].read() == b"second"
    oldest = page.locator("tr", has_text="a.txt").nth(1)
    oldest.locator("summary").click()
    oldest.get_by_role("button", name="Make this the current version").click()
    expect(page.get_by_role("status")).to_contain_text("The version is the current one again.")
    assert s3.get_object(Bucket=name, Key="a.txt")["Body"].read() == b"content of a.txt"


def test_a_folder_goes_only_when_its_name_is_typed(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    page = open_page(node.operator)
    page.goto(files)
    row = page.locator("tr", has_text="photos")
    row.locator("summary").click()
    row.get_by_role("link", name="Delete").click()
    page.fill("[name=confirm]", "phots")
    page.get_by_role("main").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This is not the name.")).to_be_visible()
    assert violations(page) == []
    page.fill("[name=confirm]", "photos")
    page.get_by_role("main").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("2 files deleted.")
    assert names(page) == ["z", "a.txt", "b.txt"]


def test_a_new_folder_is_there(open_page: Opening, node: Served, s3: Any, files: str) -> None:
    page = open_page(node.operator)
    page.goto(files)
    page.locator("summary", has_text="Folder").click()
    page.get_by_label("New folder").fill("2027 & more")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    page.goto(files)
    assert "2027 & more" in names(page)


def shared(page: Page, files: str, does: str) -> str:
    page.goto(f"{files}/object?key=a.txt")
    page.get_by_label("What the link does").select_option(does)
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("img", name="QR code of the link")).to_be_visible()
    return page.locator("#link-address").inner_text()


def fetched(node: Served, url: str, body: bytes | None = None) -> bytes:
    asked = urllib.request.Request(url, data=body, method="GET" if body is None else "PUT")
    with urllib.request.urlopen(asked, context=trusting(node.facts), timeout=30) as answer:
        read: bytes = answer.read()
    return read


def test_a_link_downloads_one_file_and_nothing_else(
    open_page: Opening, node: Served, files: str
) -> None:
    page = open_page(node.operator)
    link = shared(page, files, "GET")
    assert violations(page) == []
    assert fetched(node, link) == b"content of a.txt"
    for other in (link.replace("/a.txt?", "/b.txt?"), link.replace("/a.txt?", "/?")):
        with pytest.raises(HTTPError, match="403"):
            fetched(node, other)
    with pytest.raises(HTTPError, match="403"):
        fetched(node, link, b"written")


def test_a_link_uploads_in_the_place_of_one_file(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    page = open_page(node.operator)
    link = shared(page, files, "PUT")
    expect(page.get_by_text("replaces the file")).to_be_visible()
    fetched(node, link, b"from outside")
    assert s3.get_object(Bucket=name, Key="a.txt")["Body"].read() == b"from outside"


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_tab_is_used_by_keyboard_in_both_languages(
    open_page: Opening, node: Served, files: str, lang: str
) -> None:
    page = open_page(node.operator, lang)
    page.goto(files)
    assert page.locator("html").get_attribute("lang") == lang
    assert violations(page) == []
    page.locator("#choose-all").focus()
    page.keyboard.press("Space")
    expect(page.locator("[data-chosen]")).to_have_text("2")
    page.locator("#listing th a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**folder=photos*")
    page.goto(f"{files}?folder=nowhere%2F")
    assert violations(page) == []


def test_the_console_says_what_a_size_is_exactly(
    open_page: Opening, node: Served, s3: Any, files: str, name: str
) -> None:
    s3.put_object(Bucket=name, Key="c.bin", Body=bytes(1_500_000))
    page = open_page(node.operator, "fr")
    page.goto(files)
    size = page.locator("tr", has_text="c.bin").locator(".size")
    assert re.sub(r"\s", " ", size.inner_text()) == "1,5 Mo"
    assert "1,43 Mio" in re.sub(r"\s", " ", size.get_attribute("title") or "")


def test_every_page_of_the_tab_fits_a_phone(open_page: Opening, node: Served, files: str) -> None:
    page = open_page(node.operator, viewport={"width": 390, "height": 844})
    for address in (files, f"{files}/object?key=a.txt", f"{files}/delete?object={quote('a.txt')}:"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
