"""Object names on pages and as files: escaped, visible, harmless."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.console.names import (
    disposition,
    file_name,
    in_query,
    key_bytes,
    key_text,
    seen,
    shown,
)

keys = st.binary(min_size=1, max_size=1024) | st.text(min_size=1, max_size=300).map(
    lambda text: text.encode("utf-8", "replace")
)


@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("a b.txt", "<bdi>a b.txt</bdi>"),
        ("<script>&", "<bdi>&lt;script&gt;&amp;</bdi>"),
        ("a\nb", '<bdi>a<span class="unseen">␊</span>b</bdi>'),
        ("x\u202egpj.exe", '<bdi>x<span class="unseen">\\u202e</span>gpj.exe</bdi>'),
        ("\udcff", '<bdi><span class="unseen">\\xff</span></bdi>'),
        ("../../etc", "<bdi>../../etc</bdi>"),
        ("مرحبا", "<bdi>مرحبا</bdi>"),
        ("\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}", "<bdi>👨\u200d👩</bdi>"),
    ],
)
def test_a_name_is_escaped_and_what_hides_in_it_shows(name: str, html: str) -> None:
    assert shown(name) == html


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a/b/été.txt", "été.txt"),
        ("a/../..", "download"),
        ("folder/", "folder"),
        ("x\r\nSet-Cookie: a=b", "x__Set-Cookie_ a=b"),
        ('a"b\\c', "a_b_c"),
        (".bashrc", "bashrc"),
        ("con.txt", "_con.txt"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("/", "download"),
    ],
)
def test_a_downloaded_file_has_a_harmless_name(name: str, kept: str) -> None:
    assert file_name(name) == kept


def test_a_long_name_keeps_its_ending() -> None:
    kept = file_name("é" * 500 + ".pdf")
    assert kept.endswith("é.pdf")
    assert len(kept.encode()) <= 200


def test_a_disposition_says_the_name_twice() -> None:
    assert disposition("a/é b%.txt") == (
        "attachment; filename=\"_ b_.txt\"; filename*=UTF-8''%C3%A9%20b%25.txt"
    )


@given(keys)
def test_any_key_becomes_one_safe_header(key: bytes) -> None:
    value = disposition(key_text(key))
    assert re.fullmatch(
        r"attachment; filename=\"[ !#-\[\]-~]+\"; filename\*=UTF-8''[!#$&+.^_`|~%A-Za-z0-9-]+",
        value,
    )
    assert "/" not in file_name(key_text(key))


@given(keys)
def test_any_key_is_shown_without_markup_of_its_own(key: bytes) -> None:
    html = str(shown(key_text(key)))
    assert "<" not in re.sub(r'</?bdi>|<span class="unseen">|</span>', "", html)
    seen(key_text(key)).encode()


@given(keys)
def test_a_key_goes_through_a_query_unchanged(key: bytes) -> None:
    assert unquote_to_bytes(in_query(key_text(key))) == key
    assert key_bytes(key_text(key)) == key
