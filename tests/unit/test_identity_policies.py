"""Policies of identities and of roles: which questions they answer, and whom a role trusts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.access.decision import Decision, Identity, Resource, decide
from coffre.access.policy import BadPolicy, Policy, read_policy
from coffre.access.principals import Principal, account_of

ACCOUNT = account_of(b"store")
ANN = Principal("a" * 64, kind="iam", store="shop", account=ACCOUNT, path="user/team/ann")
SESSION = Principal(
    "AROAX:ann",
    kind="role",
    store="shop",
    account=ACCOUNT,
    path="assumed-role/builder/ann",
    role_path="role/ci/builder",
    root_id="0" * 64,
)
ROOT = Principal("0" * 64, "Root", store="shop", account=ACCOUNT, path="user/Root", root=True)
USER = f"arn:aws:iam::{ACCOUNT}:user/team/bob"
BUCKET_PATTERNS = ["arn:aws:s3:::*", "arn:aws:s3:::**", "*/*", "*a", "a*", "?*", "bucket", "b/*"]


def identity(**fields: Any) -> Policy:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **fields}
    return read_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}).encode())


def trust(**fields: Any) -> Policy:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **fields}
    document = {"Version": "2012-10-17", "Statement": statement}
    return read_policy(json.dumps(document).encode(), trust=True)


def trusted(who: Principal, principal: Any, **fields: Any) -> bool:
    resource = Resource(arn=f"arn:aws:iam::{ACCOUNT}:role/r", policy=trust(Principal=principal))
    return decide(who, "sts:AssumeRole", resource).allowed


def test_an_account_has_twelve_digits_that_its_store_alone_decides() -> None:
    assert len(ACCOUNT) == 12
    assert ACCOUNT.isdigit()
    assert account_of(b"store") == ACCOUNT != account_of(b"other")


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("*", "*", True),
        ("iam:*", "*", True),
        ("iam:GetUser", USER, True),
        ("IAM:getuser", USER, True),
        ("iam:Get*", f"arn:aws:iam::{ACCOUNT}:user/team/*", True),
        ("iam:Get*", "arn:aws:iam::*:user/*", True),
        ("iam:Get*", f"arn:aws:iam::{ACCOUNT}:user/other/*", False),
        ("iam:Get*", f"arn:aws:iam::{ACCOUNT}:group/*", False),
        ("iam:List*", "*", False),
        ("s3:*", "*", False),
        ("ec2:*", "*", False),
        *[("*", pattern, False) for pattern in BUCKET_PATTERNS],
    ],
)
def test_questions_about_iam_are_answered_by_what_speaks_of_iam(
    action: str, resource: str, allowed: bool
) -> None:
    own = Identity({"own": identity(Action=action, Resource=resource)})
    assert decide(ANN, "iam:GetUser", Resource(arn=USER), {}, own).allowed is allowed
    denied = identity(Action=action, Resource=resource, Effect="Deny")
    both = Identity({"all": identity(), "denied": denied})
    assert decide(ANN, "iam:GetUser", Resource(arn=USER), {}, both).allowed is not allowed


def test_what_is_not_an_action_or_resource_is_everything_else() -> None:
    but_s3 = Identity({"own": _not_s3()})
    assert decide(ANN, "iam:GetUser", Resource(arn=USER), {}, but_s3).allowed
    assert not decide(ANN, "s3:GetObject", Resource("b", key=b"k"), {}, but_s3).allowed


def _not_s3() -> Policy:
    statement = {"Effect": "Allow", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::b/*"}
    return read_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}).encode())


@given(pattern=st.text(st.sampled_from("arn:ws3i*?/b"), min_size=1, max_size=24))
def test_no_pattern_without_an_arn_of_iam_but_the_star_covers_iam(pattern: str) -> None:
    try:
        own = Identity({"own": identity(Resource=pattern)})
    except BadPolicy:
        return
    allowed = decide(ANN, "iam:GetUser", Resource(arn=USER), {}, own).allowed
    assert allowed is not bool(pattern.strip("*"))


@pytest.mark.parametrize(
    "key", ["aws:SorceIp", "s3:prefx", "plain", "aws:PrincipalTag", "aws:RequestTag"]
)
def test_a_misspelt_condition_is_refused_and_one_of_another_service_is_not(key: str) -> None:
    with pytest.raises(BadPolicy, match="condition key"):
        identity(Condition={"StringEquals": {key: "x"}})
    assert identity(Condition={"StringEquals": {"kms:ViaService": "x"}})


@pytest.mark.parametrize(
    "resource", ["arn:aws:*:::b", "arn:aws::::b", "arn:aws:s3", "urn:x:s3?:::b", ""]
)
def test_an_arn_that_names_no_service_is_refused(resource: str) -> None:
    with pytest.raises(BadPolicy, match="resource"):
        identity(Resource=resource)


@pytest.mark.parametrize("store", ["shop", ACCOUNT])
def test_a_role_trusts_whom_it_names(store: str) -> None:
    arn = f"arn:aws:iam::{store}:"
    assert trusted(ANN, {"AWS": f"{arn}user/team/ann"})
    assert not trusted(ANN, {"AWS": f"{arn}user/ann"})
    assert trusted(SESSION, {"AWS": [f"{arn}role/ci/builder"]})
    assert trusted(SESSION, {"AWS": f"arn:aws:sts::{store}:assumed-role/builder/ann"})
    assert trusted(ROOT, {"AWS": f"{arn}root"})
    # The account as a whole is whoever its own policies say.
    assert not trusted(ANN, {"AWS": f"{arn}root"})


def test_the_name_of_a_session_is_nobodys() -> None:
    assert not trusted(SESSION, {"AWS": "ann"})
    assert SESSION.name == ""
    assert SESSION.owner_id == ROOT.user_id
    assert ANN.owner_id == ANN.user_id


def test_whom_others_vouch_for_is_let_in_by_their_name_alone() -> None:
    guest = Principal(None, kind="federated", account=ACCOUNT, issuer="login.example/realm")
    for name in (
        "login.example/realm",
        "https://login.example/realm",
        f"arn:aws:iam::{ACCOUNT}:oidc-provider/login.example/realm",
    ):
        assert trusted(guest, {"Federated": name})
        assert not trusted(ANN, {"Federated": name})
    for principal in ("*", {"AWS": "*"}, {"Federated": "login.example/other"}):
        assert not trusted(guest, principal)
    everybody = trust(Principal="*", Effect="Deny")
    resource = Resource(arn="arn:aws:iam::1:role/r", policy=everybody)
    assert decide(guest, "sts:AssumeRole", resource) is Decision.DENY


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Principal": {"AWS": "*"}, "Resource": "*"}, "prohibited field Resource"),
        ({}, "Missing required field Principal"),
        ({"NotPrincipal": "*"}, "NotPrincipal"),
        ({"Principal": {"Federated": "*"}}, "Invalid principal"),
        ({"Principal": {"SAML": "x"}}, "Invalid principal"),
    ],
)
def test_a_trust_policy_that_cannot_be_meant_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadPolicy, match=message):
        trust(**fields)


def test_the_root_user_may_all_of_iam_and_no_object_for_that() -> None:
    assert decide(ROOT, "iam:DeleteUser", Resource(arn=USER)).allowed
    assert not decide(ROOT, "s3:GetObject", Resource("b", "other", b"k")).allowed
    assert not decide(ROOT, "sts:AssumeRole", Resource(arn=USER)).allowed
