"""Parsers of the `ecs` dialect on any input, and the order of what a search index holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.records import SearchKey
from coffre.catalog.search_values import MISSING, SYSTEM_KEYS, encode, values_of
from coffre.wire.ecs_documents import parse_search_keys
from coffre.wire.ecs_query import Both, Comparison, Either, comparisons, parse_query
from coffre.wire.ecs_ranges import put_range, several
from coffre.wire.errors import S3Error

T = TypeVar("T")
WORDS = st.sampled_from(
    ["(", ")", "and", "or", "==", ">", "<=", "Size", "x-amz-meta-a", '"b c"', "7"]
)
INSTANTS = st.datetimes(
    min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)
)


def encoded(kind: str, text: str) -> bytes:
    found = encode(kind, text)
    assert found is not None
    assert found < MISSING
    return found


def read(parse: Callable[[], T], code: str) -> T | None:
    """What is parsed; None where it is refused, and so refused."""
    try:
        return parse()
    except S3Error as error:
        if error.code != code:
            raise
        return None


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_sort_as_their_encodings(one: int, other: int) -> None:
    assert (one < other) == (encoded("integer", str(one)) < encoded("integer", str(other)))


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_decimals_sort_as_their_encodings(one: float, other: float) -> None:
    assert (one < other) == (encoded("decimal", repr(one)) < encoded("decimal", repr(other)))
    assert (one == other) == (encoded("decimal", repr(one)) == encoded("decimal", repr(other)))


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_their_encodings(one: datetime, other: datetime) -> None:
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    pair = [encoded("datetime", f"{at:%Y-%m-%dT%H:%M:%SZ}") for at in (one, other)]
    assert (one < other) == (pair[0] < pair[1])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.5"),
        ("integer", str(2**63)),
        ("integer", "9" * 5000),
        ("decimal", "nan"),
        ("decimal", "inf"),
        ("decimal", "one"),
        ("datetime", "yesterday"),
        ("datetime", ""),
    ],
)
def test_what_is_no_value_of_its_kind(kind: str, text: str) -> None:
    assert encode(kind, text) is None


def test_a_version_has_a_value_for_every_key() -> None:
    keys = (
        SearchKey("x-amz-meta-n", "integer"),
        SearchKey("Size", "integer"),
        SearchKey("Owner", "string"),
    )
    values = values_of(
        keys, key=b"k", owner_id="me", size=7, created_ms=1, modified_ms=2, metadata={}
    )
    assert values == [MISSING, encoded("integer", "7"), encoded("string", "me")]


def test_and_binds_closer_than_or() -> None:
    found = parse_query("a==1 or b>2 AND (c<='x y' or d < 4)")
    assert found == Either(
        Comparison("a", "==", "1"),
        Both(
            Comparison("b", ">", "2"),
            Either(Comparison("c", "<=", "x y"), Comparison("d", "<", "4")),
        ),
    )
    assert [one.name for one in comparisons(found)] == ["a", "b", "c", "d"]


@given(st.one_of(st.text(), st.lists(WORDS, max_size=200).map(" ".join)))
def test_an_expression_is_read_or_refused(text: str) -> None:
    found = read(lambda: parse_query(text), "InvalidArgument")
    assert found is None or all(one.name for one in comparisons(found))


@given(st.text(), st.integers(0, 2**62))
def test_ranges_are_read_or_refused(text: str, size: int) -> None:
    for header in (text, f"bytes={text}", f"bytes=0-1,{text}"):
        found = read(partial(several, header, size), "InvalidRange") or []
        assert all(0 <= first <= last < size for first, last in found)
        wanted = read(partial(put_range, header), "InvalidArgument")
        assert wanted is None or wanted.start is None or wanted.start >= 0


@given(st.text())
def test_search_keys_are_read_or_refused(text: str) -> None:
    found = read(lambda: parse_search_keys(text, SYSTEM_KEYS, 30), "InvalidArgument")
    assert found is None or 1 <= len(found) <= 30
