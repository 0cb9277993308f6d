"""People who sign in to the console, and their API tokens, as the catalog keeps them.

None of it is a secret in clear: passwords, recovery codes, invitations and tokens are hashes, and
what makes one-time codes is wrapped by a root key.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

PersonRole = Literal["operator", "owner", "reader", "scoped"]
PersonStatus = Literal["active", "locked", "invited"]
ScopeRole = Literal["maintainer", "writer", "reader"]
ROLES: Final[tuple[PersonRole, ...]] = ("operator", "owner", "reader", "scoped")
SCOPE_ROLES: Final[tuple[ScopeRole, ...]] = ("maintainer", "writer", "reader")


class PersonScope(Struct, frozen=True, array_like=True):
    """What a scoped person may do with one bucket."""

    store_id: bytes
    bucket_id: bytes
    role: ScopeRole


class SealedCode(Struct, frozen=True, array_like=True):
    """The key of a person's one-time codes, wrapped by the root key named `root_key_id`."""

    wrapped: bytes
    root_key_id: bytes


class Invitation(Struct, frozen=True, array_like=True):
    """SHA-256 of what lets a person choose a password, and until when."""

    digest: bytes
    expires_ms: int


class PersonSecrets(Struct, frozen=True, array_like=True):
    """`codes` makes one-time codes (None: none are asked for); `recovery`: SHA-256 of each recovery
    code that is left; `issuer` and `subject`: who else vouches for the person ("": nobody)."""

    codes: SealedCode | None = None
    recovery: tuple[bytes, ...] = ()
    invitation: Invitation | None = None
    issuer: str = ""
    subject: str = ""


class Person(Struct, frozen=True):
    """Someone who signs in. `password_hash` names its own scheme ("": there is no password).
    `tenant_id` None: of no tenant, as operators are. `epoch` rises when what a person may do or
    signs in with changes: sessions of before are over. `revision` rises with every change."""

    id: bytes
    name: str
    role: PersonRole
    password_hash: str
    created_ms: int
    email: str = ""
    tenant_id: bytes | None = None
    status: PersonStatus = "active"
    scopes: tuple[PersonScope, ...] = ()
    secrets: PersonSecrets = PersonSecrets()
    epoch: int = 0
    revision: int = 0


class ApiToken(Struct, frozen=True):
    """A person's token for programs: `digest` is its SHA-256, `scopes` what it may be used for.
    `expires_ms` None: never."""

    id: bytes
    person_id: bytes
    name: str
    digest: bytes
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int | None = None
