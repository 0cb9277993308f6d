"""Values of the management API: me. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class ApiToken(Struct, kw_only=True):
    """`expires_ms` null: it does not end; `used_ms`: when it was used last, to the minute."""

    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    used_ms: int | None


class NewApiToken(Struct, kw_only=True):
    """`token` is shown this once."""

    token: str
    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    used_ms: int | None
