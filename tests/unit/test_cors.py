from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.cors import (
    MAX_RULES,
    Rule,
    allow_preflight,
    headers_for,
    parse_rules,
    read_preflight,
    render_rules,
)
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

SHOP = "https://shop.example"


def rule(*children: str) -> str:
    return f"<CORSRule>{''.join(children)}</CORSRule>"


def configuration(*rules: str) -> bytes:
    return f"<CORSConfiguration>{''.join(rules)}</CORSConfiguration>".encode()


ORIGIN = "<AllowedOrigin>https://*.example</AllowedOrigin>"
METHOD = "<AllowedMethod>GET</AllowedMethod>"


def parsed(*children: str) -> Rule:
    (found,) = parse_rules(configuration(rule(*children)))
    return found


def refusal(body: bytes) -> tuple[str, str]:
    with pytest.raises(S3Error) as error:
        parse_rules(body)
    return error.value.code, error.value.message


def asked(headers: dict[str, str]) -> RequestHead:
    pairs = tuple((name.encode(), text.encode()) for name, text in headers.items())
    return RequestHead("OPTIONS", b"/b/k", b"", pairs)


def preflight(
    rules: list[Rule], origin: str = SHOP, method: str = "GET", headers: str = ""
) -> dict[bytes, bytes]:
    head = {"origin": origin, "access-control-request-method": method}
    if headers:
        head["access-control-request-headers"] = headers
    return dict(allow_preflight(read_preflight(asked(head)), rules, "OBJECT"))


def test_a_rule_is_read_whole() -> None:
    found = parsed(
        "<ID>one</ID>",
        ORIGIN,
        "<AllowedOrigin>http://localhost:3000</AllowedOrigin>",
        METHOD,
        "<AllowedMethod>PUT</AllowedMethod>",
        "<AllowedHeader>x-amz-*</AllowedHeader>",
        "<ExposeHeader>ETag</ExposeHeader>",
        "<MaxAgeSeconds>600</MaxAgeSeconds>",
    )
    assert found == Rule(
        ("https://*.example", "http://localhost:3000"),
        ("GET", "PUT"),
        ("x-amz-*",),
        ("ETag",),
        600,
        "one",
    )


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(ORIGIN)],
        [rule(METHOD)],
        [rule(ORIGIN, METHOD, "<Unknown>1</Unknown>")],
        [rule(ORIGIN, METHOD, "<ID>a</ID><ID>b</ID>")],
        [rule(ORIGIN, METHOD, "<MaxAgeSeconds>soon</MaxAgeSeconds>")],
        [rule(ORIGIN, METHOD, "<MaxAgeSeconds>-1</MaxAgeSeconds>")],
        [rule(ORIGIN, METHOD, "<AllowedHeader/>")],
        [rule(ORIGIN, METHOD, "<AllowedHeader><b/></AllowedHeader>")],
        [rule(ORIGIN, METHOD, f"<ID>{'i' * 256}</ID>")],
        ["<Rule/>"],
    ],
)
def test_what_the_schema_does_not_know_is_malformed(rules: list[str]) -> None:
    assert refusal(configuration(*rules))[0] == "MalformedXML"


@pytest.mark.parametrize(
    ("children", "words"),
    [
        (
            [ORIGIN, "<AllowedMethod>PATCH</AllowedMethod>"],
            "Found unsupported HTTP method in CORS config. Unsupported method is PATCH",
        ),
        (
            [METHOD, "<AllowedOrigin>*a*</AllowedOrigin>"],
            'AllowedOrigin "*a*" can not have more than one wildcard.',
        ),
        (
            [ORIGIN, METHOD, "<AllowedHeader>x-*-*</AllowedHeader>"],
            'AllowedHeader "x-*-*" can not have more than one wildcard.',
        ),
        (
            [ORIGIN, METHOD, "<ExposeHeader>x-*</ExposeHeader>"],
            'ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for '
            "ExposeHeader.",
        ),
        (
            [ORIGIN, METHOD, "<ExposeHeader>a&#10;b: c</ExposeHeader>"],
            'ExposeHeader "a\nb: c" contains invalid character.',
        ),
        (
            [METHOD, "<AllowedOrigin>http://é</AllowedOrigin>"],
            'AllowedOrigin "http://é" contains invalid character.',
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(children: list[str], words: str) -> None:
    assert refusal(configuration(rule(*children))) == ("InvalidRequest", words)


def test_a_hundred_rules_and_no_more() -> None:
    assert len(parse_rules(configuration(*[rule(ORIGIN, METHOD)] * MAX_RULES))) == MAX_RULES
    assert refusal(configuration(*[rule(ORIGIN, METHOD)] * (MAX_RULES + 1)))[0] == "InvalidRequest"


TOKENS = st.text("abcXYZ-09", min_size=1, max_size=8)
RULES = st.builds(
    Rule,
    st.lists(TOKENS, min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["GET", "PUT", "HEAD"]), min_size=1, max_size=2).map(tuple),
    st.lists(TOKENS, max_size=2).map(tuple),
    st.lists(TOKENS, max_size=2).map(tuple),
    st.none() | st.integers(0, 1 << 30),
    st.none() | st.text("id <&>\"'é", min_size=1, max_size=9),
)


@given(st.lists(RULES, min_size=1, max_size=4))
def test_what_is_shown_reads_as_what_it_was(rules: list[Rule]) -> None:
    assert parse_rules(render_rules(rules)) == tuple(rules)


@given(st.binary(max_size=60))
def test_no_document_does_more_than_be_refused(body: bytes) -> None:
    assert refusal(body)[0] in ("MalformedXML", "MissingRequestBodyError")


def test_a_preflight_is_told_what_the_rule_says() -> None:
    one = Rule((SHOP,), ("GET", "PUT"), ("x-amz-*", "Content-Type"), ("ETag", "x-a"), 60)
    assert preflight([one], headers="X-Amz-Date,content-type") == {
        b"access-control-allow-origin": SHOP.encode(),
        b"access-control-allow-credentials": b"true",
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": b"x-amz-date, content-type",
        b"access-control-expose-headers": b"ETag, x-a",
        b"access-control-max-age": b"60",
        b"vary": b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }


def test_a_rule_for_everybody_is_for_requests_without_credentials() -> None:
    told = preflight([Rule(("*",), ("GET",))])
    assert told[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in told


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        (SHOP, SHOP, True),
        (SHOP, "https://SHOP.example", False),
        (SHOP, "http://shop.example", False),
        (SHOP, SHOP + ":8443", False),
        ("https://*.example", SHOP, True),
        ("https://*.example", "https://.example", True),
        ("https://*.example", "https://example", False),
        ("https://*.example", SHOP + ".evil", False),
        ("https://sh*", SHOP, True),
        ("https://shop.examplx", SHOP, False),
        ("https://shopXexample", SHOP, False),
        ("*", "null", True),
    ],
)
def test_one_star_stands_for_any_text(pattern: str, origin: str, allowed: bool) -> None:
    assert bool(headers_for(origin, "GET", [Rule((pattern,), ("GET",))])[1:]) is allowed


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ("", True),
        ("X-AMZ-DATE", True),
        (" x-amz-date , ,range", True),
        ("authorization", False),
        ("x-amz-date, authorization", False),
        ("x-amz-\x7f", False),
        ("x-amz-é", False),
    ],
)
def test_every_header_asked_for_must_be_allowed(headers: str, allowed: bool) -> None:
    one = Rule(("*",), ("GET",), ("x-amz-*", "Range"))
    if allowed:
        preflight([one], headers=headers)
        return
    with pytest.raises(S3Error) as error:
        preflight([one], headers=headers)
    assert error.value.code == "AccessForbidden"


def test_the_first_rule_that_applies_speaks() -> None:
    rules = [
        Rule((SHOP,), ("PUT",), max_age_s=1),
        Rule((SHOP,), ("GET",), max_age_s=2),
        Rule(("*",), ("GET",), ("*",), max_age_s=3),
    ]
    assert preflight(rules)[b"access-control-max-age"] == b"2"
    assert preflight(rules, headers="x")[b"access-control-max-age"] == b"3"
    assert preflight(rules, method="PUT")[b"access-control-max-age"] == b"1"


def test_a_refusal_says_what_was_asked() -> None:
    for rules, words in (([], "CORS is not enabled"), ([Rule(("x",), ("GET",))], "not allowed")):
        with pytest.raises(S3Error) as error:
            preflight(rules, method="DELETE")
        assert (error.value.code, error.value.status) == ("AccessForbidden", 403)
        assert error.value.fields == {"Method": "DELETE", "ResourceType": "OBJECT"}
        assert words in error.value.message


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Insufficient information. Origin request header needed."),
        ({"origin": SHOP}, "Invalid Access-Control-Request-Method: null"),
        (
            {"origin": SHOP, "access-control-request-method": "get"},
            "Invalid Access-Control-Request-Method: get",
        ),
    ],
)
def test_a_preflight_must_ask(headers: dict[str, str], words: str) -> None:
    with pytest.raises(S3Error) as error:
        read_preflight(asked(headers))
    assert (error.value.code, error.value.message) == ("BadRequest", words)


def test_an_answer_to_another_page_varies_all_the_same() -> None:
    told = headers_for("https://evil.example", "GET", [Rule((SHOP,), ("GET",))])
    assert [name for name, _ in told] == [b"vary"]
    assert headers_for(SHOP, "GET", []) == []
