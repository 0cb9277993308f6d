"""Who vouches for people of another house: tokens of OpenID Connect issuers."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from coffre.wire.query_protocol import QueryError


class WebIdentity(Struct, frozen=True):
    """Whom a token is about, said by an issuer that is trusted and for an audience that is ours.
    `issuer` has no scheme; `known` are facts of it by lower-case condition key."""

    issuer: str
    subject: str
    audience: str
    known: tuple[tuple[str, str], ...] = ()


class WebTokens(Protocol):
    async def read(self, token: str, now_ms: int) -> WebIdentity:
        """Raises QueryError: InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError."""
        ...


class NoIssuers:
    """`WebTokens` where no issuer is trusted."""

    async def read(self, token: str, now_ms: int) -> WebIdentity:
        raise QueryError("InvalidIdentityToken", "No OpenID Connect issuer is trusted here.")
