"""Values of the management API: accounts. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class AccountRow(Struct, kw_only=True):
    """A storage account in a list."""

    id: str
    label: str
    kind: str
    locked: bool
    create_buckets: bool
    created_ms: int
    access_keys: list[str] = []
    last_used_ms: int | None = None


class MadeKey(Struct, kw_only=True):
    """An access key: the secret is told this once."""

    access_key: str
    secret_key: str
    id: str
    label: str


class KeyState(Struct, kw_only=True):
    """An access key as it stands: `active`, `inactive`, `ending` (replaced, until `ends_ms`) or
    `ended`. `old_secret_ends_ms`: until when the secret of before verifies, too."""

    access_key: str
    state: Literal["active", "ended", "ending", "inactive"]
    created_ms: int
    last_used_ms: int | None
    ends_ms: int | None
    old_secret_ends_ms: int | None


class Account(Struct, kw_only=True):
    """A storage account. `buckets`: how many it owns."""

    id: str
    label: str
    kind: str
    locked: bool
    create_buckets: bool
    created_ms: int
    buckets: int
    keys: list[KeyState]


class Reached(Struct, kw_only=True):
    """A bucket that an account reaches as its owner or by a role."""

    bucket: str
    owner: bool
    role: str | None


class GoneAccount(Struct, kw_only=True):
    """It is gone."""

    id: str
    label: str
    deleted: bool
    buckets_given: int


class ResetKey(Struct, kw_only=True):
    """A new secret, or a new key in the place of another; until when the one of before goes on
    (null: it does not)."""

    access_key: str
    secret_key: str
    id: str
    label: str
    old_secret_expires_ms: int | None = None
    old_access_key: str | None = None
    old_key_expires_ms: int | None = None


class IamSummary(Struct, kw_only=True):
    """How many of each kind a store has."""

    store: str
    object_users: int
    users: int
    groups: int
    roles: int
    policies: int


class IamEntity(Struct, kw_only=True):
    """A user, group, role or managed policy; `policies`: how many speak for it directly."""

    id: str
    name: str
    path: str
    description: str
    policies: int
    created_ms: int
