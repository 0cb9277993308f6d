"""Calls of the management API: token. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.people import GoneToken, TokenFacts


class TokenCalls:
    """Operations `token.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, person: str) -> Iterator[TokenFacts]:
        """A person's API tokens."""
        return self._transport.rows("GET", located("people", person, "tokens"), TokenFacts)

    def delete(self, *, person: str, token: str) -> GoneToken:
        """A person's token is good for nothing any more."""
        return self._transport.value(
            "DELETE", located("people", person, "tokens", token), GoneToken
        )
