from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.post_policy import check_policy, parse_policy

LATER = "2030-01-01T00:00:00.000Z"
NOW = 1_700_000_000_000
BUCKET = {"bucket": "photos"}


def encoded(conditions: Any, expiration: Any = LATER, **more: Any) -> str:
    document = {"expiration": expiration, "conditions": conditions, **more}
    return b64encode(json.dumps(document).encode()).decode()


def refusal(conditions: Any, fields: dict[str, str], **policy: Any) -> tuple[str, str]:
    with pytest.raises(S3Error) as error:
        check_policy(parse_policy(encoded(conditions, **policy)), fields, "photos", NOW)
    return error.value.code, error.value.message


def holds(conditions: list[Any], fields: dict[str, str]) -> None:
    check_policy(parse_policy(encoded([BUCKET, *conditions])), fields, "photos", NOW)


def test_what_the_conditions_say_passes() -> None:
    holds(
        [
            {"Acl": "private"},
            ["starts-with", "$key", "user/"],
            ["EQ", "$x-amz-meta-a", "1"],
            ["starts-with", "$Content-Type", "image/"],
            ["starts-with", "$free", ""],
            ["content-length-range", 1, "10"],
        ],
        {
            "acl": "private",
            "key": "user/k",
            "x-amz-meta-a": "1",
            "content-type": "image/png, image/jpeg",
            "free": "anything",
            "policy": "…",
            "x-amz-signature": "…",
            "x-ignore-me": "…",
        },
    )


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ({"key": "a"}, {"key": "b"}),
        ({"key": "a"}, {}),
        (["starts-with", "$key", "user/"], {"key": "users"}),
        (["starts-with", "$content-type", ""], {}),
        (["starts-with", "$content-type", "image/"], {"content-type": "image/png,text/html"}),
        ({"bucket": "others"}, {}),
    ],
)
def test_what_they_do_not_say_is_refused(condition: Any, fields: dict[str, str]) -> None:
    code, message = refusal([BUCKET, condition], fields)
    assert code == "AccessDenied"
    assert message.startswith("Invalid according to Policy: Policy Condition failed: [")


def test_a_condition_is_shown_as_it_stands_in_the_policy() -> None:
    assert refusal([{"bucket": "others"}], {})[1] == (
        'Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "others"]'
    )


def test_a_field_that_no_condition_speaks_of_is_refused() -> None:
    code, message = refusal([BUCKET], {"key": "k", "x-amz-meta-a": "1"})
    assert (code, message) == (
        "AccessDenied",
        "Invalid according to Policy: Extra input fields: key, x-amz-meta-a",
    )


def test_the_bucket_must_be_spoken_of() -> None:
    assert refusal([{"key": "k"}], {"key": "k"})[1].endswith("Extra input fields: bucket")


def test_a_policy_ends() -> None:
    code, message = refusal([BUCKET], {}, expiration="2020-01-01T00:00:00Z")
    assert (code, message) == ("AccessDenied", "Invalid according to Policy: Policy expired.")


def test_several_ranges_hold_together() -> None:
    ranges = [["content-length-range", 1, 10], ["content-length-range", 5, 20]]
    policy = parse_policy(encoded(ranges))
    assert (policy.least, policy.most) == (5, 10)
    assert parse_policy(encoded([])).most is None


def test_a_dollar_sign_may_be_escaped() -> None:
    text = r'{"expiration": "LATER", "conditions": [{"key": "a\$b\\$"}]}'
    policy = parse_policy(b64encode(text.replace("LATER", LATER).encode()).decode())
    assert policy.conditions[0].value == "a$b\\$"


@pytest.mark.parametrize(
    "text",
    [
        "!",
        "",
        b64encode(b"\xff").decode(),
        b64encode(b"[]").decode(),
        b64encode(b"[" * 100_000).decode(),
        b64encode(b'{"expiration": "x"}').decode(),
        b64encode(b'{"conditions": []}').decode(),
        encoded([], "yesterday"),
        encoded([], 5),
        encoded({}),
        encoded([], extra=1),
        encoded([5]),
        encoded([[]]),
        encoded([{"a": "1", "b": "2"}]),
        encoded([{"a": 1}]),
        encoded([["eq", "$a"]]),
        encoded([["eq", "a", "b"]]),
        encoded([["ends-with", "$a", "b"]]),
        encoded([["content-length-range", 1]]),
        encoded([["content-length-range", -1, 5]]),
        encoded([["content-length-range", 1, True]]),
        encoded([["content-length-range", 1.5, 5]]),
    ],
)
def test_a_policy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(S3Error) as error:
        parse_policy(text)
    assert (error.value.code, error.value.status) == ("InvalidPolicyDocument", 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(JSON)
def test_no_policy_does_more_than_be_refused(conditions: Any) -> None:
    assert refusal(conditions, {"key": "k"})[0] in ("InvalidPolicyDocument", "AccessDenied")
