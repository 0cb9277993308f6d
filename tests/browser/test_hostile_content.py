"""Stored content and names that mean harm: shown, kept, downloaded, never obeyed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from .conftest import Opening
from .served import Person, Served

SCRIPT = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'>"
    "<script>document.documentElement.dataset.taken = 'yes'</script>"
    "<rect width='40' height='40' fill='red'/></svg>"
)
HOSTILE = {
    "markup": "<b onclick=alert(1)>&amp;\"'</b>.txt",
    "script": "</script><script>alert(1)</script>.txt",
    "template": "{{ 7 * 7 }} {% raw %}.txt",
    "right to left": "\u202egpj.exe",
    "newline": "a\r\nSet-Cookie: a=b",
    "nothing to see": "\u200b\ufeff",
    "climbing": "../../../etc/passwd",
    "a dot": "./.",
    "longest": "é" * 512,
    "query": "a?b=c&d#e%2F+f",
    "control": "\x01\x7f\x1b[31m",
}


@pytest.fixture
def files(node: Served, name: str) -> str:
    node.s3().create_bucket(Bucket=name)
    return f"/stores/default/buckets/{name}/files"


def untaken(page: Page) -> None:
    """No script of what is stored ran, and no markup of it became the page's."""
    assert "taken" not in page.title()
    assert page.locator("main script, main [onerror], main [onclick]").count() == 0


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_name_is_shown_opened_downloaded_and_deleted(
    open_page: Opening, node: Served, files: str, name: str, kind: str
) -> None:
    s3, key = node.s3(), HOSTILE[kind]
    s3.put_object(Bucket=name, Key=key, Body=b"harmless")
    page = open_page(node.operator)
    folder = key.rpartition("/")[0] + "/" if "/" in key else ""
    page.goto(f"{files}?folder={quote(folder)}")
    untaken(page)
    page.locator("#listing tbody th a").first.click()
    expect(page.get_by_text("harmless", exact=True)).to_be_visible()
    untaken(page)
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download", exact=True).first.click()
    kept = loading.value.suggested_filename
    assert not set(kept) & set('/\\\r\n<>"')
    assert ".." not in kept
    assert loading.value.path().read_bytes() == b"harmless"
    page.get_by_role("main").get_by_role("link", name="Delete", exact=True).click()
    untaken(page)
    page.get_by_role("main").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("1 file deleted.")
    assert "Contents" not in s3.list_objects_v2(Bucket=name)


def test_metadata_and_tags_with_markup_are_text(
    open_page: Opening, node: Served, files: str, name: str
) -> None:
    node.s3().put_object(
        Bucket=name, Key="k", Body=b"x", Metadata={"note": SCRIPT}, ContentType="text/<b>x</b>"
    )
    tagged = {"TagSet": [{"Key": "a+b", "Value": "c=d"}]}
    node.s3().put_object_tagging(Bucket=name, Key="k", Tagging=tagged)
    page = open_page(node.operator)
    page.goto(f"{files}/object?key=k")
    expect(page.get_by_text(SCRIPT, exact=True)).to_be_visible()
    expect(page.get_by_text("a+b", exact=True)).to_be_visible()
    untaken(page)


def test_a_page_that_is_stored_is_shown_as_text(
    open_page: Opening, node: Served, files: str, name: str
) -> None:
    node.s3().put_object(Bucket=name, Key="x.html", Body=SCRIPT.encode(), ContentType="text/html")
    page = open_page(node.operator)
    page.goto(f"{files}/object?key=x.html")
    expect(page.locator(".preview pre")).to_have_text(SCRIPT)
    untaken(page)
    answer = page.request.get(f"{files}/content?key=x.html")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert page.request.get(f"{files}/preview?key=x.html").status == 404


def test_a_drawing_with_a_script_is_drawn_and_the_script_is_not_run(
    open_page: Opening, node: Served, files: str, name: str
) -> None:
    kind = "image/svg+xml"
    node.s3().put_object(Bucket=name, Key="x.svg", Body=SVG.encode(), ContentType=kind)
    page = open_page(node.operator)
    page.goto(f"{files}/object?key=x.svg")
    drawn = page.locator(".preview img")
    page.wait_for_function("one => one.naturalWidth === 40", arg=drawn.element_handle())
    # By itself, too, it is a drawing in a sandbox: the browser says that it kept the script back.
    open_page.watch(page).expect("Blocked script execution")
    open_page.watch(page).expect("Content Security Policy")
    page.goto(f"{files}/preview?key=x.svg")
    assert page.evaluate("document.documentElement.dataset.taken") is None
    assert page.evaluate("origin") == "null"


def test_no_other_site_may_frame_a_page_or_a_preview(
    open_page: Opening, node: Served, files: str, name: str
) -> None:
    node.s3().put_object(Bucket=name, Key="x.pdf", Body=b"%PDF-1.4", ContentType="application/pdf")
    page = open_page(node.operator)
    whole = page.request.get(files).headers
    assert "frame-ancestors 'none'" in whole["content-security-policy"]
    part = page.request.get(f"{files}/preview?key=x.pdf").headers
    assert "frame-ancestors 'self'" in part["content-security-policy"]


def test_a_change_without_the_token_is_refused(
    open_page: Opening, node: Served, files: str, name: str
) -> None:
    node.s3().put_object(Bucket=name, Key="k", Body=b"x")
    page = open_page(node.operator)
    page.goto(files)
    for method, path in (
        ("PUT", "/content?key=k&replace=yes"),
        ("POST", "/uploads?key=k"),
        ("DELETE", "/uploads?key=k&upload=x"),
        ("POST", "/delete?object=k:"),
        ("POST", "/delete-folder"),
        ("POST", "/restore"),
        ("POST", "/share"),
        ("POST", "/folders"),
    ):
        answer = page.request.fetch(files + path, method=method)
        assert answer.status == 403, path
    assert node.s3().get_object(Bucket=name, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("role", ["owner", "reader", "scoped"])
def test_files_of_another_tenant_are_not_there(
    open_page: Opening,
    node: Served,
    people: dict[str, Person],
    files: str,
    name: str,
    role: str,
) -> None:
    node.s3().put_object(Bucket=name, Key="k", Body=b"secret")
    page = open_page(people[role])
    for path in ("", "/object?key=k", "/content?key=k", "/preview?key=k", "/delete?object=k:"):
        answer = page.request.get(files + path)
        assert answer.status == 404, path
        assert "secret" not in answer.text()


def test_who_only_reads_is_offered_no_change_and_gets_none(
    open_page: Opening, node: Served, people: dict[str, Person], shared_bucket: dict[str, Any]
) -> None:
    page = open_page(people["reader"])
    page.goto(shared_bucket["files"])
    expect(page.get_by_role("link", name="kept.txt")).to_be_visible()
    assert page.get_by_role("button", name="Upload files").count() == 0
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    answer = page.request.put(
        f"{shared_bucket['files']}/content?key=new", headers={"X-CSRF-Token": token}, data="x"
    )
    assert answer.status == 403
