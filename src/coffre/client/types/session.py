"""Values of the management API: session. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Me(Struct, kw_only=True):
    """Who is signed in. `csrf_token` goes into the header X-CSRF-Token of every change; a token
    needs none. `recent`: the password was given lately."""

    name: str
    role: str
    tenant: str | None
    email: str
    codes: bool
    recovery_codes: int
    csrf_token: str
    recent: bool
    scopes: list[str] | None
