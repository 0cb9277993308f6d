"""Mutations of stores, users, access keys, and roles on buckets.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.catalog.records import Secret, StoreSettings


class ChangeTenant(Struct, frozen=True, tag=True):
    """Refused: NoSuchTenant."""

    tenant_id: bytes
    bucket_limit: int


class ChangeStore(Struct, frozen=True, tag=True):
    """Change what is given of a store. Refused: NoSuchStore (also one that is being deleted)."""

    store_id: bytes
    label: str | None = None
    status: Literal["active", "locked"] | None = None
    settings: StoreSettings | None = None


class DeleteStore(Struct, frozen=True, tag=True):
    """Delete a store that has no bucket, its users first, `limit_rows` at most: the store takes
    part in nothing from the first step on. Answers `Reaped`. Refused: NoSuchStore, StoreNotEmpty
    (`Buckets` says how many it has)."""

    store_id: bytes
    limit_rows: int = 100


class ChangeUser(Struct, frozen=True, tag=True):
    """Change what is given of a user. Refused: NoSuchUser, UserAlreadyExists (the label is another
    user's)."""

    user_id: str
    label: str | None = None
    locked: bool | None = None
    create_buckets: bool | None = None


class DeleteUser(Struct, frozen=True, tag=True):
    """Delete a user with its keys and roles. Its buckets go to `give_to`, a user of the store or
    the store's own id (`records.store_owner_id`). Refused: NoSuchUser, UserHasBuckets (`Buckets`
    says how many, `give_to` is None)."""

    user_id: str
    give_to: str | None = None


class AddKey(Struct, frozen=True, tag=True):
    """One more access key for a user. Refused: NoSuchUser, AccessKeyAlreadyExists (now or ever),
    AccessKeyLimit."""

    user_id: str
    access_key: str
    secret: Secret


class ReplaceKey(Struct, frozen=True, tag=True):
    """A new access key in the place of another, which ends at `old_expires_ms` (None: now). Of the
    keys of a user that are ending only the last one goes on. Refused: InvalidAccessKeyId,
    AccessKeyAlreadyExists, KeyIsEnding (it was replaced already)."""

    old: str
    access_key: str
    secret: Secret
    old_expires_ms: int | None = None


class SetKey(Struct, frozen=True, tag=True):
    """An access key that is not active verifies nothing. Refused: InvalidAccessKeyId."""

    access_key: str
    active: bool


class DeleteKey(Struct, frozen=True, tag=True):
    """Its id is never given again. Refused: InvalidAccessKeyId."""

    access_key: str


class EndGrace(Struct, frozen=True, tag=True):
    """The secret of before ends now. No error where there is none. Refused: InvalidAccessKeyId."""

    access_key: str


class Rewrapped(Struct, frozen=True, array_like=True):
    """What `name` (a store key's id, an access key, or a person's id) holds wrapped, and the same
    wrapped anew."""

    name: bytes
    old: bytes
    new: bytes


class RewrapKeys(Struct, frozen=True, tag=True):
    """The same keys, secrets and makers of one-time codes, wrapped by the root key `root_key_id`.
    What is not wrapped as `old` any more is left as it is."""

    root_key_id: bytes
    store_keys: tuple[Rewrapped, ...] = ()
    secrets: tuple[Rewrapped, ...] = ()
    codes: tuple[Rewrapped, ...] = ()


class SetRole(Struct, frozen=True, tag=True):
    """A user's one role on a bucket (None: it has none). Refused: NoSuchBucket, NoSuchUser (none of
    the bucket's store), RoleLimit."""

    bucket_id: bytes
    user_id: str
    role: str | None


AccessMutation = (
    ChangeTenant
    | ChangeStore
    | DeleteStore
    | ChangeUser
    | DeleteUser
    | AddKey
    | ReplaceKey
    | SetKey
    | DeleteKey
    | EndGrace
    | RewrapKeys
    | SetRole
)
