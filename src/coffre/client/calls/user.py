"""Calls of the management API: user. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.accounts import (
    Account,
    AccountRow,
    GoneAccount,
    MadeKey,
    Reached,
    ResetKey,
)


class UserCalls:
    """Operations `user.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, store: str) -> Iterator[AccountRow]:
        """The storage accounts of a store, by label."""
        return self._transport.rows("GET", located("stores", store, "accounts"), AccountRow)

    def page(self, *, store: str, search: str | UnsetType = UNSET) -> Iterator[AccountRow]:
        """Storage accounts by label, each with its keys and when it was last used."""
        return self._transport.rows(
            "GET", located("stores", store, "account-search"), AccountRow, {"search": search}
        )

    def create(
        self,
        *,
        store: str,
        label: str,
        kind: Literal["iam", "object"] | UnsetType = UNSET,
        create_buckets: bool | UnsetType = UNSET,
    ) -> MadeKey:
        """A new storage account and its first key. The secret is told this once."""
        return self._transport.value(
            "POST",
            located("stores", store, "accounts"),
            MadeKey,
            {"label": label, "kind": kind, "create_buckets": create_buckets},
        )

    def show(self, *, store: str, user: str) -> Account:
        """An account with its keys, and when each was last used."""
        return self._transport.value("GET", located("stores", store, "accounts", user), Account)

    def buckets(self, *, store: str, user: str) -> Iterator[Reached]:
        """The buckets that an account reaches as their owner or by a role."""
        return self._transport.rows(
            "GET", located("stores", store, "accounts", user, "buckets"), Reached
        )

    def set(
        self,
        *,
        store: str,
        user: str,
        label: str | UnsetType | None = UNSET,
        create_buckets: bool | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Account:
        """Another label, or whether the account may make buckets."""
        return self._transport.value(
            "PATCH",
            located("stores", store, "accounts", user),
            Account,
            {"label": label, "create_buckets": create_buckets},
            if_match=if_match,
        )

    def lock(self, *, store: str, user: str) -> Account:
        """Refuse everything that the account asks for."""
        return self._transport.value(
            "POST", located("stores", store, "accounts", user, "lock"), Account
        )

    def unlock(self, *, store: str, user: str) -> Account:
        """Undo `lock`."""
        return self._transport.value(
            "POST", located("stores", store, "accounts", user, "unlock"), Account
        )

    def delete(
        self, *, store: str, user: str, give_to: str | UnsetType | None = UNSET
    ) -> GoneAccount:
        """The account goes, with its keys."""
        return self._transport.value(
            "DELETE", located("stores", store, "accounts", user), GoneAccount, {"give_to": give_to}
        )

    def key_add(self, *, store: str, user: str) -> MadeKey:
        """One more access key. The secret is told this once."""
        return self._transport.value(
            "POST", located("stores", store, "accounts", user, "keys"), MadeKey
        )

    def reset(
        self,
        *,
        store: str,
        user: str,
        access_key: str,
        new_key: bool | UnsetType = UNSET,
        grace_seconds: int | UnsetType = UNSET,
    ) -> ResetKey:
        """A new secret or a new key, told this once; the one of before may go on a while."""
        return self._transport.value(
            "POST",
            located("stores", store, "accounts", user, "keys", access_key, "reset"),
            ResetKey,
            {"new_key": new_key, "grace_seconds": grace_seconds},
        )

    def rotate(
        self, *, store: str, user: str, access_key: str, grace_seconds: int | UnsetType = UNSET
    ) -> ResetKey:
        """A new secret for an access key, told this once."""
        return self._transport.value(
            "POST",
            located("stores", store, "accounts", user, "keys", access_key, "rotate"),
            ResetKey,
            {"grace_seconds": grace_seconds},
        )

    def key_end_grace(self, *, store: str, user: str, access_key: str) -> Account:
        """The secret of before, or a key that was replaced, ends now."""
        return self._transport.value(
            "POST",
            located("stores", store, "accounts", user, "keys", access_key, "end-grace"),
            Account,
        )

    def key_set(self, *, store: str, user: str, access_key: str, active: bool) -> Account:
        """Whether a key verifies anything."""
        return self._transport.value(
            "PATCH",
            located("stores", store, "accounts", user, "keys", access_key),
            Account,
            {"active": active},
        )

    def key_delete(self, *, store: str, user: str, access_key: str) -> Account:
        """A key goes, and its id never comes again."""
        return self._transport.value(
            "DELETE", located("stores", store, "accounts", user, "keys", access_key), Account
        )
