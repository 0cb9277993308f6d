"""Signing in to the console by an OpenID Connect issuer: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 (3.1), RFC 6749 (4.1), RFC 7636 (S256). The ID token is held
against the issuer's published keys as web identities are (`service.oidc`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

import jwt
from msgspec.structs import replace

from coffre.config import OidcIssuer
from coffre.console.parts import Vouched
from coffre.service.oidc import IssuerAway, OidcTokens, discovered, fetched
from coffre.system.clock import Clock
from coffre.wire.query_protocol import QueryError

log = logging.getLogger("coffre.console")

_FAILS = (IssuerAway, OSError, HTTPException, ValueError)


class ConfiguredIssuers:
    """`coffre.console.parts.Issuers` of the configuration: those that have a `client_id`."""

    def __init__(self, issuers: Sequence[OidcIssuer], clock: Clock) -> None:
        self._clock = clock
        # An ID token is meant for the console alone, whatever else the issuer's tokens are for.
        self._issuers = {
            one.label or one.issuer: replace(one, audiences=(one.client_id,))
            for one in issuers
            if one.client_id
        }
        self._tokens = OidcTokens(tuple(self._issuers.values()), clock)

    def names(self) -> tuple[str, ...]:
        """See `Issuers`."""
        return tuple(self._issuers)

    async def where(
        self, name: str, state: str, nonce: str, challenge: str, back: str
    ) -> str | None:
        """See `Issuers`."""
        issuer = self._issuers.get(name)
        if issuer is None:
            return None
        try:
            about = await asyncio.to_thread(discovered, issuer)
        except _FAILS as error:
            log.warning("the issuer %s is not reached: %s", issuer.issuer, error)
            return None
        asked = {
            "response_type": "code",
            "client_id": issuer.client_id,
            "redirect_uri": back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = str(about.get("authorization_endpoint", ""))
        if not address.startswith("https://"):
            log.warning("the issuer %s names no https address to sign in at", issuer.issuer)
            return None
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    async def vouch(self, name: str, code: str, verifier: str, back: str) -> Vouched | None:
        """See `Issuers`."""
        issuer = self._issuers.get(name)
        if issuer is None:
            return None
        try:
            token = await asyncio.to_thread(_exchanged, issuer, code, verifier, back)
            identity = await self._tokens.read(token, self._clock.now_ms())
            nonce = jwt.decode(token, options={"verify_signature": False}).get("nonce")
        except (*_FAILS, QueryError, jwt.PyJWTError) as error:
            log.warning("the issuer %s vouches for nobody: %s", issuer.issuer, error)
            return None
        return Vouched(issuer.issuer, identity.subject, str(nonce))


def _exchanged(issuer: OidcIssuer, code: str, verifier: str, back: str) -> str:
    """The ID token for a code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "client_id": issuer.client_id,
        "code_verifier": verifier,
    }
    if issuer.client_secret_file:
        form["client_secret"] = Path(issuer.client_secret_file).read_text().strip()
    about = discovered(issuer)
    token = fetched(issuer, str(about.get("token_endpoint")), urlencode(form)).get("id_token")
    if not isinstance(token, str):
        raise IssuerAway("it gives no ID token")
    return token
