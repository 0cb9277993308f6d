"""Signing in to the console by an issuer over HTTPS: authorization code with PKCE."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from coffre.config import OidcIssuer
from coffre.service.console_issuers import ConfiguredIssuers
from coffre.system.clock import SystemClock
from tests.protocol.oidc_issuer import Issuer

BACK = "https://console.example:9001/signin/issuer/back"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with Issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


def configured(issuer: Issuer, secret_file: str = "") -> ConfiguredIssuers:
    settings = OidcIssuer(
        issuer.url,
        ("somebody else",),
        str(issuer.ca_file),
        client_id="console",
        client_secret_file=secret_file,
        label="House",
    )
    others = OidcIssuer("https://other.example", ("x",))
    return ConfiguredIssuers((settings, others), SystemClock())


async def asked(issuers: ConfiguredIssuers, nonce: str = "n") -> str:
    address = await issuers.where("House", "s", nonce, CHALLENGE, BACK)
    assert address is not None
    return address


async def test_a_browser_is_sent_to_the_issuer_with_all_that_it_needs(issuer: Issuer) -> None:
    issuers = configured(issuer)
    assert issuers.names() == ("House",)
    query = parse_qs(urlsplit(await asked(issuers)).query)
    assert query == {
        "response_type": ["code"],
        "client_id": ["console"],
        "redirect_uri": [BACK],
        "scope": ["openid"],
        "state": ["s"],
        "nonce": ["n"],
        "code_challenge": [CHALLENGE],
        "code_challenge_method": ["S256"],
    }


async def test_a_code_is_exchanged_once_for_who_it_is_about(issuer: Issuer) -> None:
    issuers = configured(issuer)
    code = issuer.allow(await asked(issuers, "once"), sub="ann-there")
    vouched = await issuers.vouch("House", code, VERIFIER, BACK)
    assert vouched is not None
    assert (vouched.issuer, vouched.subject, vouched.nonce) == (issuer.url, "ann-there", "once")
    assert await issuers.vouch("House", code, VERIFIER, BACK) is None


async def test_a_code_without_its_verifier_or_its_place_is_worth_nothing(issuer: Issuer) -> None:
    issuers = configured(issuer)
    code = issuer.allow(await asked(issuers))
    assert await issuers.vouch("House", code, "w" * 43, BACK) is None
    code = issuer.allow(await asked(issuers))
    assert await issuers.vouch("House", code, VERIFIER, "https://evil.example/") is None
    assert await issuers.vouch("other", code, VERIFIER, BACK) is None


async def test_a_token_for_somebody_else_is_not_taken(issuer: Issuer) -> None:
    issuers = configured(issuer)
    for claims in ({"aud": "somebody else"}, {"exp": 1}, {"iss": "https://evil.example"}):
        code = issuer.allow(await asked(issuers), **claims)
        assert await issuers.vouch("House", code, VERIFIER, BACK) is None


async def test_the_clients_secret_is_read_from_its_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    issuer.secret = "hush"
    try:
        code = issuer.allow(await asked(configured(issuer)))
        assert await configured(issuer).vouch("House", code, VERIFIER, BACK) is None
        issuers = configured(issuer, str(file))
        code = issuer.allow(await asked(issuers))
        assert await issuers.vouch("House", code, VERIFIER, BACK) is not None
    finally:
        issuer.secret = None


async def test_an_issuer_that_is_away_sends_nobody_anywhere(issuer: Issuer) -> None:
    issuer.away = True
    try:
        assert await configured(issuer).where("House", "s", "n", CHALLENGE, BACK) is None
    finally:
        issuer.away = False
