"""Names in the Files tab's addresses and forms, and what is previewed as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.console.bucket_objects import Entry
from coffre.console.names import key_text
from coffre.console.pages.file_place import (
    Addresses,
    Chosen,
    chosen,
    folder_of,
    last_part,
    query,
)
from coffre.console.pages.files import readable

keys = st.binary(min_size=1, max_size=1024).map(key_text)


@given(keys, st.text("0123456789abcdef-.:%", max_size=40))
def test_a_form_names_any_object(key: str, version: str) -> None:
    value = Chosen(key, version).value
    assert chosen(value) == Chosen(key, version)
    assert value.isascii()


@given(keys)
def test_a_name_never_gets_into_a_path(key: str) -> None:
    address = Addresses("/files").object(Entry(key, 0))
    path, _, told = address.partition("?")
    assert path == "/files/object"
    assert told == query({"key": key})


@pytest.mark.parametrize(
    ("key", "folder", "last"),
    [
        ("a", "", "a"),
        ("a/b/c.txt", "a/b/", "c.txt"),
        ("a/b/", "a/", "b"),
        ("/a", "/", "a"),
        ("../../x", "../../", "x"),
        ("/", "", "/"),
    ],
)
def test_a_key_is_in_a_folder(key: str, folder: str, last: str) -> None:
    assert (folder_of(key), last_part(key)) == (folder, last)


def test_a_path_leads_to_each_folder() -> None:
    assert Addresses("/f").path("b", "x/../") == [
        ("b", "/f"),
        ("x", "/f?folder=x%2F"),
        ("..", "/f?folder=x%2F..%2F"),
    ]


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        (b"plain\n", "plain\n"),
        ("é".encode()[:1], ""),
        (b"caf\xc3", "caf"),
        (b"\xff\xfe", None),
        (b"a\x00b", None),
        (b"\xef\xbb\xbfx", "x"),
        (b"bad \xe9 latin one", None),
    ],
)
def test_text_is_what_reads_as_text(beginning: bytes, text: str | None) -> None:
    assert readable(beginning) == text


@given(st.text(min_size=1, max_size=50), st.integers(0, 200))
def test_a_character_cut_in_two_does_not_hide_the_text_before_it(text: str, at: int) -> None:
    cut = ("a" + text).encode()[: at + 1]
    found = readable(cut)
    assert found is None or ("a" + text).removeprefix("\ufeff").startswith(found)
