from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.conditions import (
    Conditions,
    WriteCondition,
    check_copy_source,
    check_read,
    copy_source_conditions,
    read_conditions,
    write_conditions,
)
from coffre.wire.dates import http_date
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

ETAG = "9b2cf535f27731c974343645a3985328"
NOW = 1_700_000_000_456
BEFORE, SAME, AFTER = (http_date(NOW + shift) for shift in (-60_000, 0, 60_000))


def head(**headers: str) -> RequestHead:
    pairs = ((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items())
    return RequestHead("GET", b"/b/k", b"", tuple(pairs))


def outcome(**headers: str) -> str:
    try:
        check_read(read_conditions(head(**headers)), ETAG, NOW)
    except S3Error as error:
        return error.fields.get("Condition", error.code)
    return "read"


@pytest.mark.parametrize(
    ("tags", "held"),
    [
        (f'"{ETAG}"', True),
        (ETAG, True),
        ("*", True),
        (f'"x", "{ETAG}"', True),
        (f'"a,b",{ETAG}', True),
        (f'W/"{ETAG}"', False),
        ('"x"', False),
        ("", False),
        ('"', False),
    ],
)
def test_if_match_holds_for_a_strong_tag_of_the_list(tags: str, held: bool) -> None:
    assert outcome(if_match=tags) == ("read" if held else "If-Match")


@pytest.mark.parametrize("tags", [f'"{ETAG}"', ETAG, f'W/"{ETAG}"', "*", f'"x",W/"{ETAG}"'])
def test_if_none_match_compares_weakly(tags: str) -> None:
    assert outcome(if_none_match=tags) == "NotModified"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "read"),
        ({"if_none_match": '"x"'}, "read"),
        ({"if_modified_since": BEFORE}, "read"),
        ({"if_modified_since": SAME}, "NotModified"),
        ({"if_modified_since": AFTER}, "NotModified"),
        ({"if_modified_since": "garbage"}, "read"),
        ({"if_unmodified_since": BEFORE}, "If-Unmodified-Since"),
        ({"if_unmodified_since": SAME}, "read"),
        ({"if_unmodified_since": AFTER}, "read"),
        ({"if_unmodified_since": "garbage"}, "read"),
    ],
)
def test_dates_count_whole_seconds(headers: dict[str, str], expected: str) -> None:
    assert outcome(**headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"if_match": ETAG, "if_unmodified_since": BEFORE}, "read"),
        ({"if_match": "x", "if_unmodified_since": AFTER}, "If-Match"),
        ({"if_none_match": ETAG, "if_modified_since": BEFORE}, "NotModified"),
        ({"if_none_match": "x", "if_modified_since": AFTER}, "read"),
        ({"if_match": ETAG, "if_none_match": ETAG}, "NotModified"),
        ({"if_match": "x", "if_none_match": ETAG}, "If-Match"),
    ],
)
def test_tags_come_before_dates_and_match_before_none_match(
    headers: dict[str, str], expected: str
) -> None:
    assert outcome(**headers) == expected


def test_a_304_names_the_version_that_the_client_has() -> None:
    with pytest.raises(S3Error) as caught:
        check_read(Conditions(if_none_match="*"), ETAG, NOW)
    assert dict(caught.value.headers) == {
        b"etag": f'"{ETAG}"'.encode(),
        b"last-modified": SAME.encode(),
    }


def test_repeated_tag_headers_are_one_list() -> None:
    twice = RequestHead("GET", b"/", b"", ((b"if-match", b'"x"'), (b"if-match", ETAG.encode())))
    check_read(read_conditions(twice), ETAG, NOW)


@pytest.mark.parametrize(
    ("name", "text", "condition"),
    [
        ("if-match", "x", "If-Match"),
        ("if-none-match", ETAG, "If-None-Match"),
        ("if-modified-since", AFTER, "If-Modified-Since"),
        ("if-unmodified-since", BEFORE, "If-Unmodified-Since"),
    ],
)
def test_every_failed_copy_condition_is_a_412(name: str, text: str, condition: str) -> None:
    asked = copy_source_conditions(head(**{f"x-amz-copy-source-{name}": text}))
    with pytest.raises(S3Error) as caught:
        check_copy_source(asked, ETAG, NOW)
    assert caught.value.code == "PreconditionFailed"
    assert caught.value.fields == {"Condition": f"x-amz-copy-source-{condition}"}
    assert outcome(**{f"x-amz-copy-source-{name}": text}) == "read"


def test_a_write_may_ask_for_one_tag_or_for_absence() -> None:
    assert write_conditions(head()) == WriteCondition()
    assert write_conditions(head(if_match=f'"{ETAG}"')) == WriteCondition(if_match=ETAG)
    assert write_conditions(head(if_match="*")) == WriteCondition(if_match="*")
    assert write_conditions(head(if_match=f'W/"{ETAG}"')).if_match != ETAG
    assert write_conditions(head(if_none_match="*")) == WriteCondition(if_none_match=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": ETAG},
        {"if_none_match": ""},
        {"if_match": f'"{ETAG}", "x"'},
        {"if_match": ETAG, "if_none_match": "*"},
    ],
)
def test_a_write_condition_that_aws_does_not_know_is_not_implemented(
    headers: dict[str, str],
) -> None:
    with pytest.raises(S3Error, match="NotImplemented"):
        write_conditions(head(**headers))


@given(st.dictionaries(st.sampled_from(["if_match", "if_none_match"]), st.text()))
def test_no_tag_list_raises_anything_but_s3_errors(headers: dict[str, str]) -> None:
    clean = {name: text.encode(errors="replace").decode() for name, text in headers.items()}
    outcome(**clean)
    with suppress(S3Error):
        write_conditions(head(**clean))
