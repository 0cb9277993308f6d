"""Values of the management API: people. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Accepted(Struct, kw_only=True):
    """Who may sign in now."""

    name: str


class Scope(Struct, kw_only=True):
    """What a scoped person may do with one bucket."""

    store: str
    bucket: str
    role: Literal["maintainer", "reader", "writer"]


class Person(Struct, kw_only=True):
    """Someone who signs in. `codes`: one-time codes are asked for; `issuer` and `subject`: who else
    vouches for the person."""

    name: str
    role: Literal["operator", "owner", "reader", "scoped"]
    tenant: str | None
    email: str
    status: Literal["active", "invited", "locked"]
    scopes: list[Scope]
    codes: bool
    recovery_codes: int
    issuer: str
    subject: str
    created_ms: int


class MadePerson(Struct, kw_only=True):
    """`invitation` lets the person choose a password at `/welcome?invitation=…`; it is shown this
    once, and so is `password`."""

    name: str
    role: Literal["operator", "owner", "reader", "scoped"]
    tenant: str | None
    email: str
    status: Literal["active", "invited", "locked"]
    scopes: list[Scope]
    codes: bool
    recovery_codes: int
    issuer: str
    subject: str
    created_ms: int
    invitation: str | None = None
    invitation_expires_ms: int | None = None
    password: str | None = None


class DeletedPerson(Struct, kw_only=True):
    name: str
    deleted: bool


class Invited(Struct, kw_only=True):
    """Shown this once."""

    name: str
    invitation: str
    invitation_expires_ms: int


class MadePassword(Struct, kw_only=True):
    """Shown this once."""

    name: str
    password: str


class TokenFacts(Struct, kw_only=True):
    """`expires_ms` null: it does not end."""

    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None


class GoneToken(Struct, kw_only=True):
    id: str
    name: str
    deleted: bool
