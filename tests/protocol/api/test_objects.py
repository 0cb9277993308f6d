"""Objects by the management API: bytes up and down, lists, versions, locks, links, uploads."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.served import Served, served
from tests.protocol.api.api_client import Api

Make = Callable[..., str]
HARD_NAMES = (
    "<script>alert(1)</script>",
    "a/../b",
    "//x",
    "\u202egnp.exe",
    "line\nfeed",
    "tab\tand bell\x07",
    "plus+and%20per cent&?#",
    "é" * 512,
)


def put(api: Api, bucket: str, key: str, body: bytes = b"data", **query: Any) -> Any:
    said = api.send("PUT", f"{bucket}/object/content", body, {"key": key, **query})
    assert said.status == 201, said.body
    return said.value


@pytest.fixture(scope="module")
def full(apis: dict[str, Api]) -> str:
    """A bucket with every hard name, and folders."""
    apis["owner"]("POST", "/stores/acme-files/buckets", {"name": "full"})
    for key in (*HARD_NAMES, "folder/one", "folder/two", "folder/deep/three"):
        put(apis["owner"], "/stores/acme-files/buckets/full", key, key.encode())
    return "/stores/acme-files/buckets/full"


@pytest.mark.parametrize("key", HARD_NAMES)
def test_every_name_goes_up_and_comes_down(owner: Api, full: str, key: str) -> None:
    said = owner.send("GET", f"{full}/object/content", query={"key": key})
    assert (said.status, said.body) == (200, key.encode())
    assert said.headers["content-disposition"].startswith("attachment;")
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["content-security-policy"].startswith("sandbox")
    assert said.headers["content-type"] == "application/octet-stream"
    shown = owner("GET", f"{full}/object", key=key)
    assert (shown["key"], shown["size"], len(shown["versions"])) == (key, len(said.body), 1)


def test_lists_have_folders_and_pages(owner: Api, full: str) -> None:
    top = owner("GET", f"{full}/objects", limit=1000)
    assert "folder/" in top["folders"]
    below = owner("GET", f"{full}/objects", prefix="folder/")
    assert [row["key"] for row in below["items"]] == ["folder/one", "folder/two"]
    assert below["folders"] == ["folder/deep/"]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = owner("GET", f"{full}/objects", delimiter="", limit=4, **cursor)
        seen += [row["key"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(seen) == sorted({*HARD_NAMES, "folder/one", "folder/two", "folder/deep/three"})


def test_a_range_and_a_condition(owner: Api, full: str) -> None:
    path, query = f"{full}/object/content", {"key": "folder/one"}
    part = owner.send("GET", path, query=query, Range="bytes=0-5")
    assert (part.status, part.body) == (206, b"folder")
    head = owner.send("HEAD", path, query=query)
    assert (head.status, head.headers["content-length"]) == (200, "10")
    same = owner.send("GET", path, query=query, If_None_Match=head.headers["etag"])
    assert same.status == 304


def test_an_object_is_not_replaced_unasked(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    put(owner, bucket, "k")
    again = owner.send("PUT", f"{bucket}/object/content", b"y", {"key": "k"})
    assert again.problem[:2] == (412, "PreconditionFailed")
    put(owner, bucket, "k", b"y", replace="true")


def test_versions_are_listed_restored_and_deleted(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket(versioning=True)
    first = put(owner, bucket, "k", b"one")["version"]
    put(owner, bucket, "k", b"two", replace="true")
    owner("DELETE", f"{bucket}/object", key="k")
    assert owner.refused("GET", f"{bucket}/object", key="k")[0] == 404
    rows = owner("GET", f"{bucket}/versions")["items"]
    assert [row["marker"] for row in rows] == [True, False, False]
    page = owner("GET", f"{bucket}/versions", limit=2)
    rest = owner("GET", f"{bucket}/versions", limit=2, cursor=page["next"])
    assert [*page["items"], *rest["items"]] == rows
    restored = owner("POST", f"{bucket}/object/restore", {"key": "k", "version": first})
    assert restored["version"] not in [row["version"] for row in rows]
    assert owner.send("GET", f"{bucket}/object/content", query={"key": "k"}).body == b"one"
    owner("DELETE", f"{bucket}/object", key="k", version=first)
    left = {row["version"] for row in owner("GET", f"{bucket}/versions")["items"]}
    assert first not in left
    named = [{"key": "k", "version": one} for one in left]
    assert owner("POST", f"{bucket}/objects/delete", {"objects": named}) == {"failures": []}
    assert owner("GET", f"{bucket}/versions")["items"] == []


def test_tags_are_put_and_shown(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    put(owner, bucket, "k")
    owner("PUT", f"{bucket}/object/tags", {"key": "k", "tags": [{"key": "a", "value": "b"}]})
    assert owner("GET", f"{bucket}/object", key="k")["tags"] == [{"key": "a", "value": "b"}]
    owner("PUT", f"{bucket}/object/tags", {"key": "k", "tags": []})
    assert owner("GET", f"{bucket}/object", key="k")["tags"] == []


def test_a_lock_holds_for_the_tenants_owner_too(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket(object_lock=True)
    version = put(owner, bucket, "k")["version"]
    until_ms = (int(time.time()) + 86_400 * 3) * 1000
    asked = {"key": "k", "mode": "GOVERNANCE", "until_ms": until_ms}
    owner("PUT", f"{bucket}/object/retention", asked)
    owner("PUT", f"{bucket}/object/legal-hold", {"key": "k", "held": True})
    shown = owner("GET", f"{bucket}/object", key="k")
    assert (shown["lock_mode"], shown["lock_until_ms"], shown["held"]) == (
        "GOVERNANCE",
        until_ms,
        True,
    )
    assert owner.refused("DELETE", f"{bucket}/object", key="k", version=version)[:2] == (
        403,
        "AccessDenied",
    )
    owner("PUT", f"{bucket}/object/legal-hold", {"key": "k", "held": False})
    lifted = {"key": "k", "mode": None}
    assert owner.refused("PUT", f"{bucket}/object/retention", lifted)[0] == 403
    owner("PUT", f"{bucket}/object/retention", {**lifted, "bypass_governance": True})
    owner("DELETE", f"{bucket}/object", key="k", version=version)
    lonely = {"key": "k", "mode": "GOVERNANCE"}
    assert owner.refused("PUT", f"{bucket}/object/retention", lonely)[2] == "until_ms"


def _fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    asked = urllib.request.Request(url, method=method, data=body)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_links_do_what_they_say_and_no_more(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    put(owner, bucket, "k e y")
    down = owner("POST", f"{bucket}/object/links", {"key": "k e y", "expires_s": 60})
    assert _fetch(down["url"]) == (200, b"data")
    assert _fetch(down["url"], "PUT", b"x")[0] == 403
    assert down["drawing"].startswith("data:image/svg+xml")
    up = owner("POST", f"{bucket}/object/links", {"key": "new", "purpose": "PUT"})
    assert "replace" in up["warning"]
    assert _fetch(up["url"], "PUT", b"sent")[0] == 200
    assert owner.send("GET", f"{bucket}/object/content", query={"key": "new"}).body == b"sent"
    too_long = {"key": "k", "expires_s": 8 * 86_400}
    assert owner.refused("POST", f"{bucket}/object/links", too_long) == (
        422,
        "InvalidArgument",
        "expires_s",
    )


def test_a_large_object_goes_up_in_parts(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket()
    begun = owner("POST", f"{bucket}/uploads", {"key": "big", "content_type": "text/plain"})
    upload = f"{bucket}/uploads/{begun['upload']}"
    pieces = (b"a" * (5 << 20), b"end")
    etags = []
    for number, piece in enumerate(pieces, 1):
        said = owner.send("PUT", f"{upload}/parts/{number}", piece, {"key": "big"})
        assert said.status == 201, said.body
        etags.append(said.value["etag"])
    (row,) = owner("GET", f"{bucket}/uploads")["items"]
    assert (row["key"], row["upload"]) == ("big", begun["upload"])
    owner("POST", f"{upload}/complete", {"key": "big", "etags": etags})
    shown = owner("GET", f"{bucket}/object", key="big")
    assert (shown["size"], shown["type"]) == (sum(map(len, pieces)), "text/plain")
    other = owner("POST", f"{bucket}/uploads", {"key": "odd +%"})
    assert owner("GET", f"{bucket}/uploads")["items"][0]["key"] == "odd +%"
    owner("DELETE", f"{bucket}/uploads/{other['upload']}", key="odd +%")
    assert owner("GET", f"{bucket}/uploads")["items"] == []


def test_archived_objects_are_thawed(owner: Api, new_bucket: Make) -> None:
    bucket = new_bucket(type="archiving")
    put(owner, bucket, "k")
    assert owner("GET", f"{bucket}/object", key="k")["storage_class"] == "GLACIER"
    assert owner.refused("GET", f"{bucket}/object/content", key="k")[1] == "InvalidObjectState"
    owner("POST", f"{bucket}/object/thaw", {"key": "k", "days": 2, "tier": "Expedited"})
    assert "ongoing" in owner("GET", f"{bucket}/object", key="k")["restore"]


def test_a_scoped_writer_writes_there_and_nowhere_else(
    apis: dict[str, Api], shared: str, new_bucket: Make
) -> None:
    scoped = apis["scoped"]
    put(scoped, shared, "by-sasha")
    assert scoped.send("GET", f"{shared}/object/content", query={"key": "by-sasha"}).body == b"data"
    scoped("POST", f"{shared}/object/links", {"key": "by-sasha", "purpose": "PUT"})
    scoped("DELETE", f"{shared}/object", key="by-sasha")
    other = new_bucket()
    assert scoped.refused("GET", f"{other}/objects")[:2] == (404, "NoSuchBucket")
    assert scoped.refused("PUT", f"{shared}/cors", {})[:2] == (403, "AccessDenied")


def test_a_reader_reads_and_writes_nothing(apis: dict[str, Api], full: str) -> None:
    reader = apis["reader"]
    assert reader.send("GET", f"{full}/object/content", query={"key": "folder/one"}).status == 200
    said = reader.send("PUT", f"{full}/object/content", b"x", {"key": "new"})
    assert said.problem[:2] == (403, "AccessDenied")
    link = reader("POST", f"{full}/object/links", {"key": "folder/one"})
    assert _fetch(link["url"]) == (200, b"folder/one")
    asked = {"key": "folder/one", "purpose": "PUT"}
    assert reader.refused("POST", f"{full}/object/links", asked)[:2] == (403, "AccessDenied")


def test_a_file_over_the_limit_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with served(tmp_path, "web_upload_limit = 1000\n") as node:
        _limited(node)


def _limited(node: Served) -> None:
    api = Api(node, node.operator)
    bucket = "/stores/default/buckets/small"
    api("POST", "/stores/default/buckets", {"name": "small"})
    put(api, bucket, "fits", b"x" * 1000)
    said = api.send("PUT", f"{bucket}/object/content", b"x" * 1001, {"key": "too big"})
    assert said.problem[:2] == (413, "BodyTooLarge")
    assert "s3 cp" in said.value["detail"]
    assert "'s3://small/too big'" in said.value["detail"]
    assert api.refused("POST", f"{bucket}/uploads", {"key": "k"})[:2] == (413, "BodyTooLarge")
    api.close()
