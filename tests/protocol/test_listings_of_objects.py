"""Listings: version 1 and 2 against a sorted list, page by page."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.wire_client import WireClient

_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_buckets = itertools.count()


def texts(root: ElementTree.Element, path: str) -> list[str]:
    return [one.text or "" for one in root.findall("/".join(_SPACE + n for n in path.split("/")))]


def listed(wire: WireClient, bucket: str, **query: str) -> ElementTree.Element:
    text = "&".join(f"{n.replace('_', '-')}={quote(v, safe='')}" for n, v in query.items())
    answer = wire.send("GET", f"/{bucket}?{text}")
    assert answer.status == 200, answer.body
    return ElementTree.fromstring(answer.body)


def expected(keys: list[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    found: list[str] = []
    prefixes: list[str] = []
    for key in sorted(set(keys), key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            found.append(key)
        elif key[: cut + len(delimiter)] not in prefixes:
            prefixes.append(key[: cut + len(delimiter)])
    return found, prefixes


KEYS = st.lists(st.text("ab/-é\U00010000\uffee", min_size=1, max_size=6), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    keys=KEYS,
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "a/", "-"]),
    page=st.integers(1, 4),
    version=st.sampled_from(["1", "2"]),
)
def test_pages_make_up_the_sorted_list(
    wire: WireClient, keys: list[str], prefix: str, delimiter: str, page: int, version: str
) -> None:
    bucket = f"listed-{next(_buckets)}"
    wire.send("PUT", f"/{bucket}")
    for key in keys:
        wire.send("PUT", f"/{bucket}/{quote(key, safe='')}")
    query = {"prefix": prefix, "delimiter": delimiter, "max_keys": str(page)}
    found: list[str] = []
    prefixes: list[str] = []
    resume: dict[str, str] = {"list_type": "2"} if version == "2" else {}
    while True:
        root = listed(wire, bucket, **query, **resume)
        some, common = texts(root, "Contents/Key"), texts(root, "CommonPrefixes/Prefix")
        assert len(some) + len(common) <= page
        found += some
        prefixes += common
        if texts(root, "IsTruncated") == ["false"]:
            break
        if version == "2":
            assert texts(root, "KeyCount") == [str(len(some) + len(common))]
            (resume["continuation_token"],) = texts(root, "NextContinuationToken")
        else:
            after = texts(root, "NextMarker")
            assert bool(after) == bool(delimiter)
            resume["marker"] = after[0] if after else some[-1]
    assert (found, prefixes) == expected(keys, prefix, delimiter)


@pytest.fixture(scope="module")
def filled(s3: Any) -> str:
    s3.create_bucket(Bucket="listing-filled")
    for key in ("a", "b c", "d/e", "d/f", "foo+1/bar"):
        s3.put_object(Bucket="listing-filled", Key=key, Body=b"12")
    return "listing-filled"


def test_an_entry_says_what_it_is(s3: Any, server: Any, filled: str) -> None:
    entry = s3.list_objects_v2(Bucket=filled, FetchOwner=True)["Contents"][0]
    assert (entry["Key"], entry["Size"], entry["StorageClass"]) == ("a", 2, "STANDARD")
    assert entry["ETag"] == '"c20ad4d76fe97759aa27a0c99bff6710"'
    assert entry["Owner"]["ID"] == server.user.id
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    assert "Owner" in s3.list_objects(Bucket=filled)["Contents"][0]


def test_names_can_come_percent_encoded(wire: WireClient, filled: str) -> None:
    root = listed(wire, filled, list_type="2", encoding_type="url", delimiter="/")
    assert texts(root, "Contents/Key") == ["a", "b%20c"]
    assert texts(root, "CommonPrefixes/Prefix") == ["d/", "foo%2B1/"]
    assert texts(root, "EncodingType") == ["url"]


def test_a_page_of_nothing_is_whole(wire: WireClient, filled: str) -> None:
    root = listed(wire, filled, list_type="2", max_keys="0")
    assert (texts(root, "IsTruncated"), texts(root, "KeyCount")) == (["false"], ["0"])


def test_a_page_larger_than_allowed_is_made_smaller(wire: WireClient, filled: str) -> None:
    root = listed(wire, filled, list_type="2", max_keys="5000")
    assert texts(root, "MaxKeys") == ["1000"]


def test_a_token_beats_start_after(wire: WireClient, filled: str) -> None:
    first = listed(wire, filled, list_type="2", max_keys="1", start_after="")
    (token,) = texts(first, "NextContinuationToken")
    second = listed(wire, filled, list_type="2", continuation_token=token, start_after="d/f")
    assert texts(second, "Contents/Key")[0] == "b c"
    assert (texts(second, "StartAfter"), texts(second, "ContinuationToken")) == (["d/f"], [token])
    after = listed(wire, filled, list_type="2", start_after="d/e")
    assert texts(after, "Contents/Key") == ["d/f", "foo+1/bar"]


def test_an_empty_token_is_echoed(wire: WireClient, filled: str) -> None:
    root = listed(wire, filled, list_type="2", continuation_token="")
    assert texts(root, "ContinuationToken") == [""]
    assert len(texts(root, "Contents/Key")) == 5


@pytest.mark.parametrize(
    "query",
    [
        "list-type=2&continuation-token=invented",
        "max-keys=-1",
        "max-keys=ten",
        "max-keys=99999999999",
        "encoding-type=base64",
    ],
)
def test_bad_parameters_are_refused(wire: WireClient, filled: str, query: str) -> None:
    answer = wire.send("GET", f"/{filled}?{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
