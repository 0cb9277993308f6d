"""AssumeRoleWithWebIdentity against an issuer that serves its keys over HTTPS."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coffre.config import OidcIssuer
from coffre.s3.services import Services
from coffre.service.oidc import OidcTokens
from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.iam_client import Account, Keys, allow, policy
from tests.protocol.oidc_issuer import Issuer, new_rsa
from tests.protocol.operator_client import Operator


class SteppedClock(SystemClock):
    """Monotonic seconds that a test moves."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with Issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def steps() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="module")
def trusting(issuer: Issuer, steps: SteppedClock) -> Iterator[MemoryServer]:
    trusted = OidcIssuer(issuer.url, ("coffre", "other"), str(issuer.ca_file))

    def with_issuer(services: Services) -> Services:
        return replace(services, iam=replace(services.iam, web_tokens=OidcTokens([trusted], steps)))

    with MemoryServer(change=with_issuer) as running:
        yield running


@pytest.fixture
def account(trusting: MemoryServer) -> Account:
    return Account(trusting)


@pytest.fixture
def assume(account: Account, issuer: Issuer) -> Callable[..., Any]:
    """Assume the role `ci` by a token, as a stranger does."""
    sts = boto3.client(
        "sts",
        endpoint_url=account.server.endpoint,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}),
    )
    condition = {"StringEquals": {f"{issuer.name}:sub": "repo:house/app"}}
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": account.arn(f"oidc-provider/{issuer.name}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
    )
    account.iam.create_role(RoleName="ci", AssumeRolePolicyDocument=trust)
    reads = policy(allow("s3:GetObject"))
    account.iam.put_role_policy(RoleName="ci", PolicyName="p", PolicyDocument=reads)

    def call(token: str, role: str = account.arn("role/ci"), **more: Any) -> Any:
        about = {"RoleArn": role, "RoleSessionName": "run-1", "WebIdentityToken": token}
        return sts.assume_role_with_web_identity(**about, **more)

    return call


def test_a_token_opens_the_role_that_trusts_its_issuer_and_subject(
    account: Account, issuer: Issuer, assume: Callable[..., Any]
) -> None:
    told = assume(issuer.token())
    assert told["SubjectFromWebIdentityToken"] == "repo:house/app"
    assert told["Audience"] == "coffre"
    assert told["AssumedRoleUser"]["Arn"].endswith(":assumed-role/ci/run-1")
    s3 = account.client("s3", Keys.of_session(told["Credentials"]))
    assert s3.get_object(Bucket=account.bucket(), Key="k")["Body"].read() == b"text"
    less = policy(allow("s3:PutObject"))
    bounded = Keys.of_session(assume(issuer.token(), Policy=less)["Credentials"])
    get = account.client("s3", bounded).get_object
    assert refused(get, Bucket=account.bucket(), Key="k") == "AccessDenied"


def test_facts_of_the_token_decide_on_s3(
    account: Account, issuer: Issuer, assume: Callable[..., Any]
) -> None:
    mine = {"StringEquals": {f"{issuer.name}:sub": "repo:house/other"}}
    own = policy(allow("s3:GetObject", Condition=mine))
    account.iam.put_role_policy(RoleName="ci", PolicyName="p", PolicyDocument=own)
    s3 = account.client("s3", Keys.of_session(assume(issuer.token())["Credentials"]))
    assert refused(s3.get_object, Bucket=account.bucket(), Key="k") == "AccessDenied"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "repo:house/other"}, "AccessDenied"),
        ({"aud": "somebody-else"}, "InvalidIdentityToken"),
        ({"aud": None}, "InvalidIdentityToken"),
        ({"sub": None}, "InvalidIdentityToken"),
        ({"exp": None}, "InvalidIdentityToken"),
        ({"exp": datetime(2020, 1, 1, tzinfo=UTC)}, "ExpiredTokenException"),
        ({"nbf": datetime.now(UTC) + timedelta(hours=1)}, "InvalidIdentityToken"),
        ({"iat": datetime.now(UTC) + timedelta(hours=1)}, "InvalidIdentityToken"),
        ({"iss": "https://localhost/elsewhere"}, "InvalidIdentityToken"),
        ({"iss": None}, "InvalidIdentityToken"),
    ],
)
def test_a_token_for_others_or_another_time_is_refused(
    issuer: Issuer, assume: Callable[..., Any], claims: dict[str, Any], code: str
) -> None:
    assert refused(assume, issuer.token(**claims)) == code


def test_a_token_for_several_is_for_us_among_them(
    issuer: Issuer, assume: Callable[..., Any]
) -> None:
    assert assume(issuer.token(aud=["x", "other"]))["Audience"] == "other"


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_a_signature_that_is_none_or_anothers_is_refused(
    issuer: Issuer, assume: Callable[..., Any]
) -> None:
    good = issuer.token()
    head, claims, signature = good.split(".")
    public = issuer.keys["one"].public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    issuer.keys["mine"] = new_rsa()
    forged = issuer.token("mine", named="one")
    del issuer.keys["mine"]
    bad = {
        "none": f"{_part({'alg': 'none', 'kid': 'one'})}.{claims}.",
        "cut": f"{head}.{claims}.",
        "changed": f"{head}.{claims[:-4]}AAAA.{signature}",
        "forged": forged,
        "unknown algorithm": f"{_part({'alg': 'XX9', 'kid': 'one'})}.{claims}.{signature}",
        "another kind": f"{_part({'alg': 'ES256', 'kid': 'one'})}.{claims}.{signature}",
        "key of another type": f"{_part({'alg': 'RS256', 'kid': ['one']})}.{claims}.{signature}",
        "no token": "text",
        "deep": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.{claims}.{signature}",
        "hmac": _hmac(pem, claims),
    }
    for what, token in bad.items():
        assert refused(assume, token) == "InvalidIdentityToken", what
    assert assume(good)


def _hmac(secret: bytes, claims: str) -> str:
    """Signed by HMAC with the public key, which some libraries took."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{claims}"
    digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def test_new_keys_are_found_and_strangers_cannot_have_them_asked_for_again_and_again(
    issuer: Issuer, steps: SteppedClock, assume: Callable[..., Any]
) -> None:
    assume(issuer.token())
    before = issuer.asked
    issuer.keys["two"] = ec.generate_private_key(ec.SECP256R1())
    token = issuer.token("two")
    for _ in range(3):
        assert refused(assume, token) == "InvalidIdentityToken"
    assert issuer.asked == before
    steps.ahead += 61
    assume(token)
    assume(issuer.token())
    assert issuer.asked == before + 1
    # Those that are known outlive an issuer that is away.
    issuer.away = True
    steps.ahead += 3601
    assume(token)
    issuer.away = False
    del issuer.keys["two"]
    steps.ahead += 3601
    assert refused(assume, token) == "InvalidIdentityToken"


def test_an_issuer_that_is_away_or_names_another_is_told(
    trusting: MemoryServer, issuer: Issuer, account: Account
) -> None:
    trusted = OidcIssuer(issuer.url, ("coffre",), str(issuer.ca_file))
    unheard = replace_ca(trusted)
    for one, change in ((trusted, "away"), (trusted, "named"), (unheard, "")):
        tokens = OidcTokens([one], SystemClock())
        issuer.away, issuer.named = change == "away", "https://x" if change == "named" else None
        with pytest.raises(Exception, match="IDPCommunicationError"):
            trusting.call(tokens.read(issuer.token(), SystemClock().now_ms()))
    issuer.away, issuer.named = False, None


def replace_ca(one: OidcIssuer) -> OidcIssuer:
    """The same, by a certificate that nobody here signs."""
    return OidcIssuer(one.issuer, one.audiences)


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"Federated": "localhost"}])
def test_a_role_that_names_another_or_everybody_lets_no_token_in(
    account: Account, issuer: Issuer, assume: Callable[..., Any], principal: Any
) -> None:
    actions = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"]
    trust = policy({"Effect": "Allow", "Principal": principal, "Action": actions})
    account.iam.update_assume_role_policy(RoleName="ci", PolicyDocument=trust)
    assert refused(assume, issuer.token()) == "AccessDenied"


def test_a_stranger_is_not_told_which_roles_and_accounts_there_are(
    account: Account, issuer: Issuer, assume: Callable[..., Any]
) -> None:
    for arn in (account.arn("role/none"), "arn:aws:iam::000000000000:role/ci"):
        assert refused(assume, issuer.token(), arn) == "AccessDenied"
    assert refused(assume, "text", account.arn("role/none")) == "InvalidIdentityToken"
    assume(issuer.token(), f"arn:aws:iam::{account.name}:role/ci")


def test_a_store_lets_in_no_stranger_from_elsewhere(
    account: Account, issuer: Issuer, assume: Callable[..., Any]
) -> None:
    operator = Operator(account.server)
    elsewhere = {"network": "custom", "addresses": ["192.0.2.0/24"]}
    operator.call("store.set", name=account.name, **elsewhere)
    assert refused(assume, issuer.token()) == "AccessDenied"
    operator.call("store.set", name=account.name, network="private")
    assume(issuer.token())


def test_without_issuers_no_token_is_taken(server: MemoryServer, issuer: Issuer) -> None:
    account = Account(server)
    ask = account.sts.assume_role_with_web_identity
    about = {"RoleArn": account.arn("role/ci"), "RoleSessionName": "run-1"}
    assert refused(ask, **about, WebIdentityToken=issuer.token()) == "InvalidIdentityToken"
