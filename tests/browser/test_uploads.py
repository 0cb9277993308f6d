"""Uploads by the page: many files, folders, dropped ones; refused, cancelled, tried again."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.clients.server import find

from .conftest import Opening
from .served import Served, served
from .watching import violations

LONG = os.environ.get("COFFRE_LONG") == "1"
MANY = 1000
MIB = 1024 * 1024
LARGE = (2048 if LONG else 160) * MIB + 7
LARGE_MS = 600_000


@pytest.fixture
def files(node: Served, name: str) -> str:
    """An empty bucket of the test's own; the address of its Files tab."""
    node.s3().create_bucket(Bucket=name)
    return f"/stores/default/buckets/{name}/files"


def made(folder: Path, **contents: bytes) -> list[Path]:
    paths = []
    for key, body in contents.items():
        paths.append(folder / key.replace("_", "."))
        paths[-1].write_bytes(body)
    return paths


def stored(node: Served, bucket: str) -> dict[str, bytes]:
    s3 = node.s3()
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }


def ended(page: Page, state: str = "ended", timeout: float = 60_000) -> None:
    expect(page.locator("#upload")).to_have_attribute("data-state", state, timeout=timeout)


def row(page: Page, name: str) -> Any:
    return page.locator(".uploads li", has_text=name)


def test_chosen_files_are_uploaded_and_listed(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    page = open_page(node.operator)
    page.goto(f"{files}?folder=in%20here%2F")
    page.set_input_files("#choose-files", made(tmp_path, a_txt=b"one", b_html=b"<p>two", empty=b""))
    ended(page)
    assert violations(page) == []
    expect(page.locator("#listing tbody th")).to_have_text(["a.txt", "b.html", "empty"])
    assert stored(node, name) == {
        "in here/a.txt": b"one",
        "in here/b.html": b"<p>two",
        "in here/empty": b"",
    }
    kept = node.s3().head_object(Bucket=name, Key="in here/b.html")
    assert kept["ContentType"] == "text/html"


def test_a_chosen_folder_keeps_its_tree(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "deep" / "er").mkdir(parents=True)
    made(tmp_path / "tree", a_txt=b"1")
    made(tmp_path / "tree" / "deep" / "er", b_txt=b"2")
    page = open_page(node.operator)
    page.goto(files)
    page.set_input_files("#choose-folder", tmp_path / "tree")
    ended(page)
    assert stored(node, name) == {"tree/a.txt": b"1", "tree/deep/er/b.txt": b"2"}


def drop(page: Page, paths: list[Path]) -> None:
    """Let files and folders fall on the page, as a desktop does."""
    speaking = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        speaking.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": data})


def test_dropped_files_and_folders_are_uploaded(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    single = made(tmp_path, été_txt=b"single")
    for number in range(120):  # a folder's entries come a hundred at a time
        (tmp_path / "tree" / "deep" / f"{number:03}").write_bytes(b"%d" % number)
    page = open_page(node.operator)
    page.goto(files)
    drop(page, [*single, tmp_path / "tree"])
    ended(page)
    found = stored(node, name)
    assert found.pop("été.txt") == b"single"
    assert found == {f"tree/deep/{number:03}": b"%d" % number for number in range(120)}


def test_what_is_there_is_replaced_only_when_asked(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    node.s3().put_object(Bucket=name, Key="a.txt", Body=b"before")
    page = open_page(node.operator)
    open_page.watch(page).expect("412")
    page.goto(files)
    page.set_input_files("#choose-files", made(tmp_path, a_txt=b"after"))
    ended(page, "wrong")
    expect(row(page, "a.txt")).to_contain_text("A file of this name is there.")
    assert violations(page) == []
    assert stored(node, name) == {"a.txt": b"before"}
    row(page, "a.txt").get_by_role("button", name="Replace").click()
    ended(page)
    assert stored(node, name) == {"a.txt": b"after"}


def test_a_file_over_the_limit_is_refused_with_a_command_that_works(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    large = tmp_path / "it's large.bin"
    with large.open("wb") as file:
        file.truncate(40_000_001)
    page = open_page(node.operator)
    page.goto(files)
    page.set_input_files("#choose-files", [large, *made(tmp_path, small=b"s")])
    ended(page, "wrong")
    expect(row(page, "large.bin")).to_contain_text("40 MB")
    told = page.locator("[data-advice]:visible code").inner_text()
    assert f"mc cp 'it'\\''s large.bin' 'coffre/{name}/it'\\''s large.bin'" in told
    assert violations(page) == []
    assert stored(node, name) == {"small": b"s"}
    command = next(line for line in told.splitlines() if line.startswith("aws "))
    variables = {**node.programs(tmp_path), "AWS_CA_BUNDLE": str(node.facts["ca"])}
    find("aws")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=variables, timeout=120)
    kept = node.s3().head_object(Bucket=name, Key=large.name)
    assert kept["ContentLength"] == 40_000_001


def test_the_server_holds_the_limit_too(node: Served, files: str) -> None:
    for method, path, size in (
        ("PUT", "/content?key=large", 40_000_001),
        ("POST", "/uploads?key=large", 0),
        ("PUT", "/parts?key=large&upload=x&part=1", 1),
    ):
        # What is refused for its size alone is refused before any of it came.
        assert node.refusal(method, files + path, size) == 413


def test_an_upload_is_cancelled_and_tried_again(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    page = open_page(node.operator)
    open_page.watch(page).expect("ERR_FAILED")
    page.goto(files)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/content?*", hold)
    page.set_input_files("#choose-files", made(tmp_path, a_txt=b"kept"))
    expect(row(page, "a.txt")).to_have_attribute("data-state", "running")
    row(page, "a.txt").get_by_role("button", name="Cancel").click()
    expect(row(page, "a.txt")).to_contain_text("Cancelled")
    assert stored(node, name) == {}
    page.unroute("**/content?*")
    row(page, "a.txt").get_by_role("button", name="Try again").click()
    ended(page)
    assert stored(node, name) == {"a.txt": b"kept"}


def test_a_broken_connection_is_tried_again_by_itself(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    page = open_page(node.operator)
    open_page.watch(page).expect("ERR_CONNECTION_RESET")
    page.goto(files)
    page.route("**/content?*", lambda route: route.abort("connectionreset"), times=1)
    page.set_input_files("#choose-files", made(tmp_path, a_txt=b"kept"))
    ended(page)
    assert stored(node, name) == {"a.txt": b"kept"}


def test_a_thousand_small_files_are_uploaded(
    open_page: Opening, node: Served, files: str, name: str, tmp_path: Path
) -> None:
    for number in range(MANY):
        (tmp_path / f"{number:04}.txt").write_bytes(b"%d" % number)
    page = open_page(node.operator)
    page.goto(files)
    page.set_input_files("#choose-files", sorted(tmp_path.iterdir()))
    ended(page, timeout=180_000)
    expect(page.locator("#upload [role=status]")).to_contain_text("1,000 of 1,000 files")
    # A thousand files are no thousand rows.
    assert page.locator(".uploads li").count() == 200
    pages = node.s3().get_paginator("list_objects_v2").paginate(Bucket=name)
    listed = {one["Key"]: one["Size"] for page in pages for one in page["Contents"]}
    assert listed == {f"{number:04}.txt": len(str(number)) for number in range(MANY)}


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node whose console takes files of any size."""
    with served(tmp_path_factory.mktemp("unlimited"), "web_upload_limit = 0\n") as node:
        yield node


def test_a_large_file_is_uploaded_in_parts_with_its_progress(
    chromium: Browser, unlimited: Served, name: str, tmp_path: Path
) -> None:
    opening = Opening(chromium, unlimited, {})
    unlimited.s3().create_bucket(Bucket=name)
    large, block = tmp_path / "large.bin", random.Random(1).randbytes(MIB)
    with large.open("wb") as file:
        for _ in range(LARGE // MIB):
            file.write(block)
        file.write(b"the end")
    page = opening(unlimited.operator)
    page.goto(f"/stores/default/buckets/{name}/files")
    page.set_input_files("#choose-files", large)
    progress = page.locator("#upload .meter progress")
    page.wait_for_function(
        "one => one.value > 0 && one.value < one.max", arg=progress.element_handle()
    )
    ended(page, timeout=LARGE_MS)
    s3 = unlimited.s3()
    kept = s3.head_object(Bucket=name, Key="large.bin")
    assert kept["ContentLength"] == LARGE
    assert kept["ETag"].strip('"').endswith(f"-{-(-LARGE // (16 * MIB))}")
    body = s3.get_object(Bucket=name, Key="large.bin")["Body"]
    whole = all(body.read(MIB) == block for _ in range(LARGE // MIB))
    assert whole
    assert body.read() == b"the end"
    for context in opening.contexts:
        context.close()
    assert [wrong for watch in opening.watches for wrong in watch.wrong] == []
