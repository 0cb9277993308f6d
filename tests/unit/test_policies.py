"""Policies: what is refused and in which words, what they decide, and why."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.access import actions
from coffre.access.decision import Decision, Identity, Resource, decide, explain
from coffre.access.networks import PRIVATE, PRIVATE_NETWORKS, BadNetwork, NetworkRule, read_networks
from coffre.access.policy import BadPolicy, Policy, read_policy
from coffre.access.principals import ANONYMOUS, Principal
from coffre.access.public import is_public
from coffre.access.roles import Role
from coffre.s3.operations import TABLE

ANN = Principal("a" * 64, "Ann", store="shop", path="user/ann", access_key="AKANN")
BOB = Principal("b" * 64, "Bob", store="shop", path="user/bob", access_key="AKBOB")
OWNER = Principal("0" * 64, "Owner", store="shop", path="user/owner", access_key="AKOWNER")


def statement(**fields: Any) -> dict[str, Any]:
    plain = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "b/*"}
    merged = {**plain, **fields}
    return {name: value for name, value in merged.items() if value is not None}


def policy(*statements: dict[str, Any], version: str = "2012-10-17", **fields: Any) -> Policy:
    document = {"Version": version, "Statement": list(statements)}
    return read_policy(json.dumps(document).encode(), bucket="b", **fields)


def may(
    who: Principal, action: str, rules: Policy | None, key: str | None = "k", **facts: str
) -> Decision:
    named = {name.replace("__", ":").replace("_", "-"): (value,) for name, value in facts.items()}
    path = None if key is None else key.encode()
    resource = Resource("b", OWNER.user_id, path, policy=rules)
    return decide(who, action, resource, named)


def test_every_permission_of_the_table_is_an_action_that_policies_know() -> None:
    needed = {n for row in TABLE for need in row.needs for n in (need.permission, need.versioned)}
    assert needed - {None} <= set(actions.TARGETS)


REFUSED: list[tuple[Any, str, str]] = [
    (statement(Effect="allow"), "Statement[0].Effect", "Invalid effect"),
    (statement(Principal=None), "Statement[0].Principal", "Missing required field Principal"),
    (statement(Principal={}), "Statement[0].Principal", "Invalid principal"),
    (statement(Principal={"Federated": "x"}), "Statement[0].Principal", "Invalid principal"),
    (statement(Principal={"AWS": "arn:aws:iam::x"}), "Statement[0].Principal", "Invalid principal"),
    (statement(Principal="AK*"), "Statement[0].Principal", "Invalid principal"),
    (
        statement(Principal=None, NotPrincipal="*"),
        "Statement[0].NotPrincipal",
        "Allow with NotPrincipal",
    ),
    (statement(Action=None), "Statement[0].Action", "Missing required field Action"),
    (statement(Action="s3:FlyObject"), "Statement[0].Action", "invalid action"),
    (statement(Action="ec2:*"), "Statement[0].Action", "invalid action"),
    (statement(Action=[]), "Statement[0].Action", "Invalid policy syntax"),
    (statement(NotAction="s3:*"), "Statement[0].Action", "Missing required field Action"),
    (statement(Resource=None), "Statement[0].Resource", "Missing required field Resource"),
    (statement(Resource="c/*"), "Statement[0].Resource", "invalid resource"),
    (statement(Resource="arn:aws:sqs:::b"), "Statement[0].Resource", "invalid resource"),
    (statement(Resource="b"), "Statement[0].Resource", "Action does not apply"),
    (
        statement(Action="s3:ListBucket", Resource="b/x"),
        "Statement[0].Resource",
        "Action does not apply",
    ),
    (statement(Colour="red"), "Statement[0].Colour", "Unknown field"),
    (statement(Sid=7), "Statement[0].Sid", "Invalid policy syntax"),
    (statement(Condition=[]), "Statement[0].Condition", "Invalid policy syntax"),
    (
        statement(Condition={"StringSounds": {"aws:referer": "x"}}),
        "Statement[0].Condition.StringSounds.aws:referer",
        "Invalid Condition type",
    ),
    (
        statement(Condition={"StringEquals": {"s3:colour": "x"}}),
        "Statement[0].Condition.StringEquals.s3:colour",
        "invalid condition key",
    ),
    (
        statement(Condition={"StringEquals": {"s3:prefix": "x"}}),
        "Statement[0].Condition.StringEquals.s3:prefix",
        "Conditions do not apply",
    ),
    (
        statement(Condition={"StringEquals": {"aws:referer": {"a": 1}}}),
        "Statement[0].Condition.StringEquals.aws:referer",
        "Invalid policy syntax",
    ),
    ("no object", "Statement[0]", "Invalid policy syntax"),
]


@pytest.mark.parametrize(("tree", "field", "words"), REFUSED)
def test_a_policy_that_cannot_be_meant_is_refused_by_name(
    tree: Any, field: str, words: str
) -> None:
    with pytest.raises(BadPolicy, match=re.escape(words)) as refused:
        policy(tree)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"Version": NaN}',
        b'{"Version": "2012-10-17"}',
        b'{"Version": "2012-10-17", "Statement": []}',
        b'{"Version": "2024-01-01", "Statement": [{}]}',
        b'{"Statement": [], "Statement": []}',
        b'{"a":' * 5000,
        b'{"Id": 1, "Statement": [{}]}',
        b"{" + b" " * 20480 + b"}",
        b"\xff\xfe{}",
    ],
)
def test_a_document_that_is_no_policy_is_refused(document: bytes) -> None:
    with pytest.raises(BadPolicy):
        read_policy(document, bucket="b")


def test_statement_ids_are_unique() -> None:
    with pytest.raises(BadPolicy, match="must be unique"):
        policy(statement(Sid="x"), statement(Sid="x"))


# The spec's examples, rebuilt, with their stated results.


def test_an_access_key_may_put_and_get_and_nothing_else() -> None:
    rules = policy(
        statement(Principal=["AKANN"], Action=["s3:PutObject", "s3:GetObject"], Resource=["b/*"]),
        version="2008-10-17",
    )
    assert may(ANN, "s3:GetObject", rules).allowed
    assert may(ANN, "s3:PutObject", rules).allowed
    assert not may(ANN, "s3:DeleteObject", rules).allowed
    assert not may(ANN, "s3:ListBucket", rules, None).allowed
    assert not may(BOB, "s3:GetObject", rules).allowed
    assert not may(ANONYMOUS, "s3:GetObject", rules).allowed


def test_a_read_only_user() -> None:
    rules = policy(
        statement(
            Principal={"AWS": "arn:aws:iam::shop:user/ann"},
            Action=["s3:GetObject", "s3:ListBucket"],
            Resource=["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
        )
    )
    assert may(ANN, "s3:GetObject", rules).allowed
    assert may(ANN, "s3:ListBucket", rules, None).allowed
    assert not may(ANN, "s3:PutObject", rules).allowed
    stranger = Principal("c" * 64, store="other", path="user/ann", access_key="AKX")
    assert not may(stranger, "s3:GetObject", rules).allowed


def test_a_public_prefix_is_everybodys_and_the_rest_is_not() -> None:
    rules = policy(statement(Resource="arn:aws:s3:::b/public/*"))
    assert may(ANONYMOUS, "s3:GetObject", rules, "public/x").allowed
    assert not may(ANONYMOUS, "s3:GetObject", rules, "private/x").allowed
    assert not may(ANONYMOUS, "s3:ListBucket", rules, None).allowed
    assert is_public(rules)


def test_a_denial_by_source_address_beats_ownership_but_not_the_owners_hold_on_its_policy() -> None:
    outside = {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}
    deny = statement(Effect="Deny", Action="s3:*", Resource=["b", "b/*"], Condition=outside)
    rules = policy(deny)
    assert may(OWNER, "s3:GetObject", rules, aws__sourceip="10.1.2.3").allowed
    assert may(OWNER, "s3:GetObject", rules, aws__sourceip="2001:db8::1").allowed
    assert may(OWNER, "s3:GetObject", rules, aws__sourceip="192.0.2.1") is Decision.DENY
    assert may(OWNER, "s3:PutBucketPolicy", rules, None, aws__sourceip="192.0.2.1").allowed


def test_text_operators_are_taken_of_an_address_too() -> None:
    rules = policy(statement(Condition={"StringLike": {"aws:SourceIp": "10.1.*"}}))
    assert may(ANN, "s3:GetObject", rules, aws__sourceip="10.1.2.3").allowed
    assert not may(ANN, "s3:GetObject", rules, aws__sourceip="10.2.2.3").allowed


def test_retention_is_bounded_to_five_years() -> None:
    beyond = {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "1825"}}
    rules = policy(
        statement(Effect="Deny", Action="s3:PutObjectRetention", Condition=beyond),
        statement(Action="s3:PutObjectRetention"),
    )
    key = "s3:object-lock-remaining-retention-days"
    resource = Resource("b", OWNER.user_id, b"k", policy=rules)
    assert decide(ANN, "s3:PutObjectRetention", resource, {key: ("1825",)}).allowed
    assert not decide(ANN, "s3:PutObjectRetention", resource, {key: ("1826",)}).allowed


def test_getting_an_object_is_not_getting_its_versions() -> None:
    rules = policy(statement(Action="s3:GetObject"))
    assert not may(ANN, "s3:GetObjectVersion", rules).allowed


def test_the_pairs_of_the_ecs_dialect_are_taken_there_alone() -> None:
    tree = statement(Action="s3:PutObject", Condition={"StringEquals": {"s3:prefix": "x"}})
    assert policy(tree, ecs=True)
    with pytest.raises(BadPolicy):
        policy(tree)


def test_actions_are_told_apart_without_case_and_stars_mean_what_exists() -> None:
    rules = policy(statement(Action=["S3:GETobject", "s3:Put*Tagging"]))
    assert may(ANN, "s3:GetObject", rules).allowed
    assert may(ANN, "s3:PutObjectTagging", rules).allowed
    assert not may(ANN, "s3:PutObject", rules).allowed


def test_a_store_as_a_whole_is_denied_but_allowed_to_nobody() -> None:
    root = {"AWS": "arn:aws:iam::shop:root"}
    assert may(ANN, "s3:GetObject", policy(statement(Principal=root))) is Decision.NOBODY_ALLOWS
    assert (
        may(ANN, "s3:GetObject", policy(statement(Principal=root, Effect="Deny"))) is Decision.DENY
    )


def test_whoever_is_not_named_is_denied() -> None:
    rules = policy(
        statement(Action="s3:*"),
        statement(Effect="Deny", Principal=None, NotPrincipal=["AKANN"], Action="s3:*"),
    )
    assert may(ANN, "s3:PutObject", rules).allowed
    assert may(BOB, "s3:PutObject", rules) is Decision.DENY
    assert may(ANONYMOUS, "s3:PutObject", rules) is Decision.DENY


# Identities, roles, restrictions


def own(*statements: dict[str, Any]) -> Policy:
    listed = [{k: v for k, v in one.items() if k != "Principal"} for one in statements]
    return read_policy(json.dumps({"Version": "2012-10-17", "Statement": listed}).encode())


def test_an_iam_user_has_what_its_policies_allow_within_its_boundary() -> None:
    user = Principal("a" * 64, kind="iam", store="shop", path="user/ann")
    resource = Resource("b", user.user_id, b"k")
    reads = Identity({"reads": own(statement(Action="s3:Get*", Resource="arn:aws:s3:::*"))})
    assert not decide(user, "s3:GetObject", resource).allowed
    assert decide(user, "s3:GetObject", resource, {}, reads).allowed
    assert not decide(user, "s3:PutObject", resource, {}, reads).allowed
    bounded = Identity(reads.policies, boundary={"b": own(statement(Action="s3:GetObjectAcl"))})
    assert not decide(user, "s3:GetObject", resource, {}, bounded).allowed
    session = Identity(reads.policies, session={"s": own(statement(Resource="b/other"))})
    assert not decide(user, "s3:GetObject", resource, {}, session).allowed
    assert explain(user, "s3:GetObject", resource, {}, session).source.startswith("the session")


def test_what_bounds_an_identity_does_so_whatever_its_policies_are_called() -> None:
    user = Principal("a" * 64, kind="iam", store="shop", path="user/ann")
    resource = Resource("b", "0" * 64, b"k")
    reads = {"one": own(statement())}
    # The same policy may allow and bound.
    assert decide(user, "s3:GetObject", resource, {}, Identity(reads, reads, reads)).allowed
    denies = {"one": own(statement(Effect="Deny"))}
    for identity in (Identity(reads, denies, reads), Identity(reads, reads, denies)):
        assert decide(user, "s3:GetObject", resource, {}, identity) is Decision.DENY


def test_an_identitys_policy_may_speak_of_other_services_and_names_no_principal() -> None:
    assert own(statement(Action=["iam:GetUser", "s3:GetObject"]))
    with pytest.raises(BadPolicy, match="principal"):
        read_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement()]}).encode())


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        (Role.READER, ["s3:GetObject", "s3:ListBucket"], ["s3:PutObject", "s3:DeleteObject"]),
        (
            Role.WRITER,
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            ["s3:PutBucketPolicy", "s3:PutObjectAcl", "s3:BypassGovernanceRetention"],
        ),
        (
            Role.MAINTAINER,
            ["s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:DeleteObject"],
            ["s3:DeleteBucket", "s3:BypassGovernanceRetention"],
        ),
        (
            Role.WRITE_ONLY,
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            ["s3:GetObject", "s3:ListBucket", "s3:DeleteObject"],
        ),
    ],
)
def test_a_role_is_what_it_says_and_a_denial_still_beats_it(
    role: Role, allowed: list[str], refused: list[str]
) -> None:
    resource = Resource("b", OWNER.user_id, b"k", role=role)
    assert all(decide(ANN, one, resource).allowed for one in allowed)
    assert not any(decide(ANN, one, resource).allowed for one in refused)
    denying = policy(statement(Effect="Deny", Action="s3:*", Resource=["b", "b/*"]))
    denied = Resource("b", OWNER.user_id, b"k", role=role, policy=denying)
    assert not any(decide(ANN, one, denied).allowed for one in allowed)


def test_a_restricted_bucket_lets_a_public_policy_allow_no_stranger() -> None:
    rules = policy(statement())
    shut = Resource("b", OWNER.user_id, b"k", policy=rules, restricted=True)
    assert not decide(ANONYMOUS, "s3:GetObject", shut).allowed
    assert decide(ANN, "s3:GetObject", shut).allowed


def test_an_explanation_names_the_statement_that_decided() -> None:
    rules = policy(statement(Sid="read"), statement(Sid="not this", Effect="Deny", Resource="b/s*"))
    told = explain(ANN, "s3:GetObject", Resource("b", None, b"secret", policy=rules))
    assert told.decision is Decision.DENY
    assert told.statement is not None
    assert (told.source, told.statement.sid) == ("bucket policy", "not this")
    assert told.statement.place == "Statement[1]"


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        ({}, True),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        ({"IpAddress": {"aws:SourceIp": "::/0"}}, True),
        ({"StringLike": {"aws:Referer": "https://example.com/*"}}, True),
        ({"StringEquals": {"aws:SourceVpc": "vpc-1"}}, False),
        ({"StringLike": {"aws:SourceVpc": "vpc-*"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, True),
        ({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}, True),
    ],
)
def test_a_policy_is_public_unless_fixed_values_tie_it(
    condition: dict[str, Any], public: bool
) -> None:
    assert is_public(policy(statement(Condition=condition))) is public


# Networks


def test_a_network_rule_filters_addresses() -> None:
    from ipaddress import ip_address

    private = read_networks(PRIVATE_NETWORKS)
    custom = NetworkRule("custom", read_networks(["192.0.2.7", "2001:db8::/32"]))
    assert custom.admits(ip_address("192.0.2.7"), private)
    assert custom.admits(ip_address("::ffff:192.0.2.7"), private)
    assert custom.admits(ip_address("2001:db8::9"), private)
    assert not custom.admits(ip_address("192.0.2.8"), private)
    assert not custom.admits(None, private)
    assert PRIVATE.admits(ip_address("10.1.1.1"), private)
    assert not PRIVATE.admits(ip_address("8.8.8.8"), private)
    for bad in ("300.1.1.1", "10.0.0.1/8", "", "example.com"):
        with pytest.raises(BadNetwork):
            read_networks([bad])


# The engine against a naive evaluator

ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetObjectVersion"]
WHO = [ANN, BOB, OWNER, ANONYMOUS]
NAMES = {"AKANN": ANN, "AKBOB": BOB}

_statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": st.sampled_from(["*", ["AKANN"], ["AKBOB"], ["AKANN", "AKBOB"]]),
        "Action": st.sampled_from(
            [["s3:*"], ["s3:Get*"], ["s3:GetObject", "s3:ListBucket"], ["s3:PutObject"]]
        ),
        "Resource": st.sampled_from([["b", "b/*"], ["b*"], ["*"]])
        | st.lists(st.sampled_from(["b/a*", "b/ab", "b/?", "b*"]), min_size=1, max_size=2),
    },
    optional={
        "Condition": st.sampled_from(
            [
                {"StringEquals": {"aws:UserAgent": ["x", "y"]}},
                {"StringNotEquals": {"aws:UserAgent": "x"}},
                {"StringEqualsIfExists": {"aws:UserAgent": "x"}},
                {"Null": {"aws:UserAgent": "true"}},
                {"Bool": {"aws:SecureTransport": "true"}, "StringLike": {"aws:UserAgent": "?"}},
            ]
        )
    },
)


def naive_statement(
    tree: dict[str, Any], who: Principal, action: str, path: str, facts: dict[str, str]
) -> bool:
    named = tree["Principal"]
    if named != "*" and not any(NAMES[one] is who for one in named):
        return False
    if not any(_fits(one, action) for one in tree["Action"]):
        return False
    if not any(_fits(one, path) for one in tree["Resource"]):
        return False
    for operator, tests in tree.get("Condition", {}).items():
        for key, wanted in tests.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            if not _naive_condition(operator, facts.get(key.lower()), values):
                return False
    return True


def _fits(pattern: str, text: str) -> bool:
    return (
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
    )


def _naive_condition(operator: str, given: str | None, values: list[str]) -> bool:
    if operator == "Null":
        return (given is None) == (values[0] == "true")
    if given is None:
        return operator in ("StringNotEquals", "StringEqualsIfExists")
    if operator == "StringNotEquals":
        return given not in values
    if operator == "StringLike":
        return any(_fits(one, given) for one in values)
    return given in values


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_statements, min_size=1, max_size=5),
    st.sampled_from(WHO),
    st.sampled_from(ACTIONS),
    st.sampled_from(["a", "ab", "abc", "z"]),
    st.dictionaries(
        st.sampled_from(["aws:useragent", "aws:securetransport"]),
        st.sampled_from(["x", "y", "true"]),
    ),
)
def test_the_engine_decides_as_a_naive_evaluator(
    trees: list[dict[str, Any]], who: Principal, action: str, key: str, facts: dict[str, str]
) -> None:
    try:
        rules = policy(*trees)
    except BadPolicy:
        return  # A statement whose actions and resources cannot meet is refused, not ignored.
    path = "b" if action == "s3:ListBucket" else f"b/{key}"
    hits = [one["Effect"] for one in trees if naive_statement(one, who, action, path, facts)]
    expected = "Deny" not in hits and ("Allow" in hits or who is OWNER)
    asked = Resource("b", OWNER.user_id, None if path == "b" else key.encode(), policy=rules)
    told = {name: (value,) for name, value in facts.items()}
    assert decide(who, action, asked, told).allowed is expected


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("s3:*"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("Version", "Statement", "Effect", "Principal", "Action", "Resource"),
                        *("Condition", "Sid", "AWS", "StringEquals", "aws:SourceIp", "NotAction"),
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_does_more_than_be_refused(tree: Any) -> None:
    document = {"Version": "2012-10-17", "Statement": tree}
    for bucket in ("b", None):
        with contextlib.suppress(BadPolicy):
            read_policy(json.dumps(document).encode(), bucket=bucket)
