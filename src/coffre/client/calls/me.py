"""Calls of the management API: me. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.me import ApiToken, NewApiToken
from coffre.client.types.session import Me


class MeCalls:
    """Operations `me.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self,
    ) -> Me:
        """Who you are."""
        return self._transport.value("GET", located("me"), Me)

    def token_list(
        self,
    ) -> Iterator[ApiToken]:
        """Your API tokens."""
        return self._transport.rows("GET", located("me", "tokens"), ApiToken)

    def token_create(
        self, *, name: str, scopes: Sequence[str], days: int | UnsetType = UNSET
    ) -> NewApiToken:
        """A new API token, shown this once."""
        return self._transport.value(
            "POST",
            located("me", "tokens"),
            NewApiToken,
            {"name": name, "scopes": scopes, "days": days},
        )

    def token_delete(self, *, token: str) -> None:
        """A token is good for nothing any more."""
        self._transport.nothing("DELETE", located("me", "tokens", token))
