"""Tokens of OpenID Connect issuers: held against keys that the issuer publishes over HTTPS.

Sources: OpenID Connect Core 1.0 (3.1.3.7, ID token validation), Discovery 1.0, RFC 7517 (keys).
Signatures are PyJWT's; who is trusted, for whom a token must be meant and when it ends is ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from msgspec import Struct

from coffre.config import OidcIssuer
from coffre.iam.web_tokens import WebIdentity
from coffre.system.clock import Clock
from coffre.wire.query_protocol import QueryError

log = logging.getLogger("coffre.oidc")

# By the type of key that each needs: a token chooses among these and no others.
_ALGORITHMS: Final = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
}
_SKEW_S: Final = 60
_PATIENCE_S: Final = 5.0
_ANSWER_LIMIT: Final = 256 * 1024
_FRESH_S: Final = 3600.0
# An unknown key is asked for this often at most: strangers choose the key's name.
_AGAIN_S: Final = 60.0
_MOST_KEYS: Final = 100


class IssuerAway(Exception):
    """The issuer does not answer as it should."""


class _Keys(Struct):
    """What an issuer published, and when it was asked last (monotonic seconds)."""

    asked: float
    by_id: Mapping[str, Mapping[str, Any]]


class OidcTokens:
    """`WebTokens` of the issuers in the configuration."""

    def __init__(self, issuers: Sequence[OidcIssuer], clock: Clock) -> None:
        self._issuers = {one.issuer: one for one in issuers}
        self._clock = clock
        self._keys: dict[str, _Keys] = {}
        self._asking = {one.issuer: asyncio.Lock() for one in issuers}

    async def read(self, token: str, now_ms: int) -> WebIdentity:
        """See `coffre.iam.web_tokens.WebTokens`."""
        try:
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, RecursionError) as error:
            raise _invalid("it cannot be read") from error
        issuer = self._issuers.get(said["iss"]) if isinstance(said.get("iss"), str) else None
        if issuer is None:
            raise _invalid("its issuer is not trusted here")
        key = await self._key(issuer, header)
        claims = _verified(token, key, str(header["alg"]), issuer)
        _check_time(claims, now_ms)
        return _identity(issuer, claims)

    async def _key(self, issuer: OidcIssuer, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that a token says it is signed with, which must be one for its algorithm."""
        name = header.get("kid", "")
        known = await self._known(issuer, name if isinstance(name, str) else "")
        found = known.get(name) if isinstance(name, str) else None
        if found is None and not name and len(known) == 1:
            found = next(iter(known.values()))
        algorithm = header.get("alg")
        if found is None or algorithm not in _ALGORITHMS.get(str(found.get("kty")), ()):
            raise _invalid("no key of its issuer fits it")
        try:
            return jwt.PyJWK(dict(found), algorithm=str(algorithm))
        except jwt.PyJWTError as error:
            raise _invalid("the key of its issuer cannot be read") from error

    async def _known(self, issuer: OidcIssuer, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The issuer's keys by name, asked for anew where they are old or one is not among them."""
        async with self._asking[issuer.issuer]:
            kept, now = self._keys.get(issuer.issuer), self._clock.monotonic()
            age = float("inf") if kept is None else now - kept.asked
            if kept is None or age > _FRESH_S or (age > _AGAIN_S and name not in kept.by_id):
                try:
                    keys = await asyncio.to_thread(_published, issuer)
                except (OSError, HTTPException, ValueError, IssuerAway) as error:
                    log.warning("the issuer %s is not reached: %s", issuer.issuer, error)
                    if kept is None:
                        raise QueryError("IDPCommunicationError") from error
                    keys = kept.by_id
                kept = self._keys[issuer.issuer] = _Keys(now, keys)
            return kept.by_id


def _verified(token: str, key: jwt.PyJWK, algorithm: str, issuer: OidcIssuer) -> dict[str, Any]:
    """The claims of a token whose signature, issuer and audience are as they must be."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=list(issuer.audiences),
            issuer=issuer.issuer,
            options={
                "require": ["exp", "iss", "sub", "aud"],
                # Against the clock that is ours to set, not the library's.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, RecursionError) as error:
        raise _invalid(str(error)) from error
    if not isinstance(claims["sub"], str):
        raise _invalid("its subject is no text")
    return claims


def _check_time(claims: Mapping[str, Any], now_ms: int) -> None:
    times = {name: claims.get(name) for name in ("exp", "nbf", "iat")}
    if any(
        isinstance(one, bool) or not isinstance(one, int | float | None) for one in times.values()
    ):
        raise _invalid("its times are no numbers")
    if times["exp"] is None or times["exp"] * 1000 <= now_ms:
        raise QueryError("ExpiredTokenException")
    for name in ("nbf", "iat"):
        begins = times[name]
        if begins is not None and (begins - _SKEW_S) * 1000 > now_ms:
            raise _invalid("it is not valid yet")


def _identity(issuer: OidcIssuer, claims: Mapping[str, Any]) -> WebIdentity:
    name = issuer.issuer.removeprefix("https://")
    meant = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    audience = next(one for one in meant if one in issuer.audiences)
    known = {f"{name}:sub": claims["sub"], f"{name}:aud": audience}
    if isinstance(claims.get("azp"), str):
        known[f"{name}:azp"] = claims["azp"]
    lower = tuple((key.lower(), value) for key, value in known.items())
    return WebIdentity(name, claims["sub"], audience, lower)


def discovered(issuer: OidcIssuer) -> Mapping[str, Any]:
    """What an issuer says of itself. Blocks. Raises IssuerAway, OSError, HTTPException,
    ValueError."""
    base = issuer.issuer.rstrip("/")
    about = fetched(issuer, f"{base}/.well-known/openid-configuration")
    if about.get("issuer") != issuer.issuer:
        raise IssuerAway("its discovery document names another issuer")
    return about


def fetched(issuer: OidcIssuer, url: str, form: str | None = None) -> dict[str, Any]:
    """A JSON document of an issuer; `form` is posted (RFC 6749, 4.1.3). Raises as `discovered`."""
    context = ssl.create_default_context(cafile=issuer.ca_file or None)
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise IssuerAway(f"{url} is no https URL")
    connection = HTTPSConnection(
        parts.hostname, parts.port or 443, timeout=_PATIENCE_S, context=context
    )
    headers = {"Accept": "application/json"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET" if form is None else "POST", target, form, headers)
        answer = connection.getresponse()
        body = answer.read(_ANSWER_LIMIT)
    finally:
        connection.close()
    found = json.loads(body) if answer.status == 200 else None
    if not isinstance(found, dict):
        raise IssuerAway(f"{url} answers {answer.status} and no document")
    return found


def _published(issuer: OidcIssuer) -> Mapping[str, Mapping[str, Any]]:
    """An issuer's keys by their names, found by its discovery document."""
    keys = fetched(issuer, str(discovered(issuer).get("jwks_uri"))).get("keys")
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise IssuerAway("it publishes no list of keys")
    usable = [one for one in keys if isinstance(one, dict) and one.get("use", "sig") == "sig"]
    return {str(one.get("kid", "")): one for one in usable}


def _invalid(why: str) -> QueryError:
    return QueryError("InvalidIdentityToken", f"The web identity token is not valid: {why}.")
