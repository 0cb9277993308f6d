"""The API's rows about storage accounts (users of a store), their access keys, and IAM."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from coffre.console.api.fields import (
    AccessKey,
    Grace,
    InStore,
    Label,
    Search,
    StorePage,
    UserName,
)
from coffre.console.api.route import Access, Pages, Route, Rows


class InUser(InStore, kw_only=True):
    user: UserName


class InKey(InUser, kw_only=True):
    access_key: AccessKey


class NewUser(InStore, kw_only=True):
    label: Label
    kind: Annotated[
        Literal["object", "iam"],
        Meta(description="`iam`: it may nothing but what policies allow; its label is its name."),
    ] = "object"
    create_buckets: bool = True


class MadeKey(Struct):
    """An access key: the secret is told this once."""

    access_key: str
    secret_key: str
    id: str
    label: str


class ResetKey(MadeKey):
    """A new secret, or a new key in the place of another; until when the one of before goes on
    (null: it does not)."""

    old_secret_expires_ms: int | None = None
    old_access_key: str | None = None
    old_key_expires_ms: int | None = None


class AccountRow(Struct):
    """A storage account in a list."""

    id: str
    label: str
    kind: str
    locked: bool
    create_buckets: bool
    created_ms: int
    access_keys: list[str] = []
    last_used_ms: int | None = None


class KeyState(Struct):
    """An access key as it stands: `active`, `inactive`, `ending` (replaced, until `ends_ms`) or
    `ended`. `old_secret_ends_ms`: until when the secret of before verifies, too."""

    access_key: str
    state: Literal["active", "inactive", "ending", "ended"]
    created_ms: int
    last_used_ms: int | None
    ends_ms: int | None
    old_secret_ends_ms: int | None


class Account(Struct):
    """A storage account. `buckets`: how many it owns."""

    id: str
    label: str
    kind: str
    locked: bool
    create_buckets: bool
    created_ms: int
    buckets: int
    keys: list[KeyState]


class Reached(Struct):
    """A bucket that an account reaches as its owner or by a role."""

    bucket: str
    owner: bool
    role: str | None


class AccountChange(InUser, kw_only=True):
    """What is left out stays."""

    label: Label | None = None
    create_buckets: bool | None = None


class AccountEnd(InUser, kw_only=True):
    give_to: Annotated[
        str | None,
        Meta(description="Who gets its buckets: another account, or `@store` for the store."),
    ] = None


class GoneAccount(Struct):
    """It is gone."""

    id: str
    label: str
    deleted: bool
    buckets_given: int


class KeyReset(InKey, kw_only=True):
    new_key: Annotated[bool, Meta(description="Another access key, too, not the secret alone.")] = (
        False
    )
    grace_seconds: Grace = 0


class KeyRotation(InKey, kw_only=True):
    grace_seconds: Grace = 0


class KeyChange(InKey, kw_only=True):
    active: bool


class AccountsAsked(StorePage, kw_only=True):
    search: Search = ""


class IamSummary(Struct):
    """How many of each kind a store has."""

    store: str
    object_users: int
    users: int
    groups: int
    roles: int
    policies: int


class IamAsked(StorePage, kw_only=True):
    kind: Literal["user", "group", "role", "policy"]


class IamEntity(Struct):
    """A user, group, role or managed policy; `policies`: how many speak for it directly."""

    id: str
    name: str
    path: str
    description: str
    policies: int
    created_ms: int


_AT: Final = "/stores/{store}/accounts"
_ONE: Final = f"{_AT}/{{user}}"
_KEY: Final = f"{_ONE}/keys/{{access_key}}"

ROUTES: Final = (
    Route(
        operation="user.list",
        method="GET",
        path=_AT,
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=InStore,
        answer=AccountRow,
        rows=Rows(key=("label", "id")),
        summary="The storage accounts of a store, by label.",
    ),
    Route(
        operation="user.page",
        method="GET",
        path="/stores/{store}/account-search",
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=AccountsAsked,
        answer=AccountRow,
        pages=Pages(),
        summary="Storage accounts by label, each with its keys and when it was last used.",
    ),
    Route(
        operation="user.create",
        method="POST",
        path=_AT,
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=NewUser,
        answer=MadeKey,
        status=201,
        summary="A new storage account and its first key. The secret is told this once.",
    ),
    Route(
        operation="user.show",
        method="GET",
        path=_ONE,
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=InUser,
        answer=Account,
        summary="An account with its keys, and when each was last used.",
    ),
    Route(
        operation="user.buckets",
        method="GET",
        path=f"{_ONE}/buckets",
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=InUser,
        answer=Reached,
        rows=Rows(key=("bucket",)),
        summary="The buckets that an account reaches as their owner or by a role.",
    ),
    Route(
        operation="user.set",
        method="PATCH",
        path=_ONE,
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=AccountChange,
        answer=Account,
        edits="user.show",
        summary="Another label, or whether the account may make buckets.",
    ),
    Route(
        operation="user.lock",
        method="POST",
        path=f"{_ONE}/lock",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=InUser,
        answer=Account,
        summary="Refuse everything that the account asks for.",
    ),
    Route(
        operation="user.unlock",
        method="POST",
        path=f"{_ONE}/unlock",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=InUser,
        answer=Account,
        summary="Undo `lock`.",
    ),
    Route(
        operation="user.delete",
        method="DELETE",
        path=_ONE,
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=AccountEnd,
        answer=GoneAccount,
        summary="The account goes, with its keys.",
    ),
    Route(
        operation="user.key.add",
        method="POST",
        path=f"{_ONE}/keys",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=InUser,
        answer=MadeKey,
        status=201,
        summary="One more access key. The secret is told this once.",
    ),
    Route(
        operation="user.reset",
        method="POST",
        path=f"{_KEY}/reset",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=KeyReset,
        answer=ResetKey,
        summary="A new secret or a new key, told this once; the one of before may go on a while.",
    ),
    Route(
        operation="user.rotate",
        method="POST",
        path=f"{_KEY}/rotate",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=KeyRotation,
        answer=ResetKey,
        summary="A new secret for an access key, told this once.",
    ),
    Route(
        operation="user.key.end_grace",
        method="POST",
        path=f"{_KEY}/end-grace",
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=InKey,
        answer=Account,
        summary="The secret of before, or a key that was replaced, ends now.",
    ),
    Route(
        operation="user.key.set",
        method="PATCH",
        path=_KEY,
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=KeyChange,
        answer=Account,
        summary="Whether a key verifies anything.",
    ),
    Route(
        operation="user.key.delete",
        method="DELETE",
        path=_KEY,
        access=Access.TENANT_OWNER,
        scope="users:write",
        arguments=InKey,
        answer=Account,
        summary="A key goes, and its id never comes again.",
    ),
    Route(
        operation="iam.summary",
        method="GET",
        path="/stores/{store}/iam",
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=InStore,
        answer=IamSummary,
        summary="How many users, groups, roles and policies a store has in IAM.",
    ),
    Route(
        operation="iam.list",
        method="GET",
        path="/stores/{store}/iam/{kind}",
        access=Access.TENANT_READER,
        scope="users:read",
        arguments=IamAsked,
        answer=IamEntity,
        pages=Pages(),
        summary="Users, groups, roles or managed policies of a store, by name.",
    ),
)
