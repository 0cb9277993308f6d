"""Operators of conditions: each with what it takes, what it refuses, and what absence means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.access.conditions import OPERATORS, BadCondition, compile_condition
from coffre.access.patterns import compile_pattern, glob

KEY = "aws:useragent"


def holds(operator: str, values: tuple[str, ...], given: tuple[str, ...] | None) -> bool:
    facts = {} if given is None else {KEY: given}
    return compile_condition(operator, KEY, values, variables=True).holds(facts)


# operator, a value of the policy, a text that fits it, a text that does not
POSITIVE = [
    ("StringEquals", "Abc", "Abc", "abc"),
    ("StringEqualsIgnoreCase", "Abc", "aBC", "abd"),
    ("StringLike", "a*c?", "abbbcd", "abbbc"),
    ("NumericEquals", "10", "10.0", "11"),
    ("NumericLessThan", "10", "9.5", "10"),
    ("NumericLessThanEquals", "10", "10", "10.01"),
    ("NumericGreaterThan", "10", "11", "10"),
    ("NumericGreaterThanEquals", "10", "10", "9"),
    ("DateEquals", "2024-01-01T00:00:00Z", "1704067200", "1704067201"),
    ("DateLessThan", "1704067200", "2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z"),
    ("DateLessThanEquals", "2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"),
    ("DateGreaterThan", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "2023-01-01"),
    ("DateGreaterThanEquals", "2024-01-01T01:00:00+01:00", "1704067200", "1704067199"),
    ("Bool", "true", "TRUE", "false"),
    ("BinaryEquals", "QmlO", "QmlO", "QmlQ"),
    ("IpAddress", "192.0.2.0/24", "192.0.2.7", "192.0.3.7"),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", "2001:db9::1"),
    ("IpAddress", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
    ("ArnEquals", "arn:aws:iam::*:user/a*", "arn:aws:iam::shop:user/ann", "arn:aws:iam::x:role/a"),
    ("ArnLike", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k:1", "arn:aws:s3:::c/k"),
]
NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}


@pytest.mark.parametrize(("operator", "value", "fits", "fails"), POSITIVE)
def test_an_operator_tells_what_fits_from_what_does_not(
    operator: str, value: str, fits: str, fails: str
) -> None:
    assert holds(operator, (value,), (fits,))
    assert not holds(operator, (value,), (fails,))
    assert not holds(operator, (value,), None)
    assert holds(f"{operator}IfExists", (value,), None)
    assert not holds(f"{operator}IfExists", (value,), (fails,))


@pytest.mark.parametrize(("operator", "value", "fits", "fails"), POSITIVE)
def test_a_negated_operator_is_the_contrary_and_holds_of_what_is_absent(
    operator: str, value: str, fits: str, fails: str
) -> None:
    if operator in NEGATED:
        assert not holds(NEGATED[operator], (value,), (fits,))
        assert holds(NEGATED[operator], (value,), (fails,))
        assert holds(NEGATED[operator], (value,), None)


def test_every_operator_is_in_these_tables() -> None:
    named = {one.lower() for row in POSITIVE for one in (row[0], NEGATED.get(row[0], row[0]))}
    assert {*named, "null"} == OPERATORS


def test_several_values_are_alternatives_and_a_negated_operator_refuses_them_all() -> None:
    assert holds("StringEquals", ("a", "b"), ("b",))
    assert not holds("StringNotEquals", ("a", "b"), ("b",))
    assert holds("StringNotEquals", ("a", "b"), ("c",))


def test_a_variable_fills_a_part_of_an_arn_whatever_colons_are_in_its_name() -> None:
    value = ("arn:aws:iam::${aws:username}:user/a*",)
    condition = compile_condition("ArnLike", KEY, value, variables=True)
    facts = {"aws:username": ("ann",)}
    assert condition.holds({KEY: ("arn:aws:iam::ann:user/al",), **facts})
    assert not condition.holds({KEY: ("arn:aws:iam::bob:user/al",), **facts})


def test_null_asks_whether_a_fact_is_there() -> None:
    assert holds("Null", ("true",), None)
    assert not holds("Null", ("true",), ("x",))
    assert holds("Null", ("false",), ("x",))
    assert not holds("Null", ("false",), None)


@pytest.mark.parametrize(
    ("operator", "given", "expected"),
    [
        ("ForAllValues:StringEquals", ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a", "z"), False),
        ("ForAllValues:StringEquals", None, True),
        ("ForAnyValue:StringEquals", ("z", "b"), True),
        ("ForAnyValue:StringEquals", ("z",), False),
        ("ForAnyValue:StringEquals", None, False),
        ("ForAllValues:StringNotEquals", ("y", "z"), True),
        ("ForAllValues:StringNotEquals", ("a", "z"), False),
        ("ForAnyValue:StringNotEquals", ("a", "z"), True),
        ("ForAnyValue:StringNotEquals", ("a",), False),
        ("ForAnyValue:StringEqualsIfExists", None, True),
    ],
)
def test_quantifiers_ask_of_all_values_or_of_any(
    operator: str, given: tuple[str, ...] | None, expected: bool
) -> None:
    assert holds(operator, ("a", "b"), given) is expected


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("StringSounds", "a"),
        ("ForSome:StringEquals", "a"),
        ("NumericEquals", "ten"),
        ("NumericEquals", "NaN"),
        ("DateEquals", "yesterday"),
        ("DateEquals", "1e999999"),
        ("Bool", "yes"),
        ("Null", "maybe"),
        ("NullIfExists", "true"),
        ("BinaryEquals", "%%"),
        ("IpAddress", "300.1.1.1"),
        ("ArnLike", "not-an-arn"),
    ],
)
def test_what_cannot_be_meant_is_refused(operator: str, value: str) -> None:
    with pytest.raises(BadCondition):
        compile_condition(operator, KEY, (value,), variables=True)


def test_variables_stand_for_what_the_request_says() -> None:
    facts = {"aws:username": ("ann",), KEY: ("home/ann/x",)}
    home = compile_condition("StringLike", KEY, ("home/${aws:username}/*",), variables=True)
    assert home.holds(facts)
    assert not home.holds({**facts, "aws:username": ("bob",)})
    assert not home.holds({KEY: ("home//x",)})
    plain = compile_condition("StringLike", KEY, ("home/${aws:username}/*",), variables=False)
    assert not plain.holds(facts)
    default = compile_condition("StringEquals", KEY, ("${aws:userid, 'none'}",), variables=True)
    assert default.holds({KEY: ("none",)})


def test_a_variables_own_stars_are_not_wild() -> None:
    pattern = compile_pattern("${aws:username}/*")
    assert not pattern("ann/x", {"aws:username": ("*",)})
    assert pattern("*/x", {"aws:username": ("*",)})
    star = compile_pattern("a${*}b")
    assert star("a*b", {})
    assert not star("axb", {})


def naive_glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive_glob(pattern[1:], text) or bool(text and naive_glob(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and naive_glob(pattern[1:], text[1:])


@given(st.text("ab*?.\n", max_size=8), st.text("ab*?.\n", max_size=10))
def test_globs_match_as_they_are_defined(pattern: str, text: str) -> None:
    assert glob(pattern)(text) == naive_glob(pattern, text)
