"""Calls of the management API: store. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.fields import Checked, Deleted
from coffre.client.types.stores import MadeStore, Store, StoreEndpoint


class StoreCalls:
    """Operations `store.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Store]:
        """The object stores that you see."""
        return self._transport.rows("GET", located("stores"), Store)

    def check(self, *, name: str, tenant: str | UnsetType | None = UNSET) -> Checked:
        """Whether a store could be made under a name."""
        return self._transport.value(
            "GET", located("checks", "store"), Checked, {"name": name, "tenant": tenant}
        )

    def create(
        self,
        *,
        name: str,
        tenant: str | UnsetType | None = UNSET,
        label: str | UnsetType = UNSET,
        dialect: Literal["aws", "ecs"] | UnsetType = UNSET,
        profile: Literal["full", "spec"] | UnsetType = UNSET,
        network: Literal["custom", "private", "public"] | UnsetType | None = UNSET,
        addresses: Sequence[str] | UnsetType = UNSET,
        ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
        | UnsetType
        | None = UNSET,
        block_public: bool | UnsetType | None = UNSET,
    ) -> MadeStore:
        """A new store and its initial user. The secret is told this once."""
        return self._transport.value(
            "POST",
            located("stores"),
            MadeStore,
            {
                "name": name,
                "tenant": tenant,
                "label": label,
                "dialect": dialect,
                "profile": profile,
                "network": network,
                "addresses": addresses,
                "ownership": ownership,
                "block_public": block_public,
            },
        )

    def show(self, *, store: str) -> Store:
        """A store, how it is set, and what it holds."""
        return self._transport.value("GET", located("stores", store), Store)

    def endpoints(self, *, store: str) -> Iterator[StoreEndpoint]:
        """Where programs reach the store, in each zone."""
        return self._transport.rows("GET", located("stores", store, "endpoints"), StoreEndpoint)

    def set(
        self,
        *,
        store: str,
        label: str | UnsetType | None = UNSET,
        network: Literal["custom", "private", "public"] | UnsetType | None = UNSET,
        addresses: Sequence[str] | UnsetType = UNSET,
        ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
        | UnsetType
        | None = UNSET,
        block_public: bool | UnsetType | None = UNSET,
        retention_policies: dict[str, int] | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Store:
        """Change a store's label, network rule, and what new buckets begin with."""
        return self._transport.value(
            "PATCH",
            located("stores", store),
            Store,
            {
                "label": label,
                "network": network,
                "addresses": addresses,
                "ownership": ownership,
                "block_public": block_public,
                "retention_policies": retention_policies,
            },
            if_match=if_match,
        )

    def limit(
        self,
        *,
        store: str,
        profile: Literal["full", "spec"] | UnsetType | None = UNSET,
        hard_bytes: int | UnsetType | None = UNSET,
        hard_objects: int | UnsetType | None = UNSET,
        warn_bytes: int | UnsetType | None = UNSET,
        warn_objects: int | UnsetType | None = UNSET,
        rate: int | UnsetType | None = UNSET,
        cap_requests: int | UnsetType | None = UNSET,
        cap_connections: int | UnsetType | None = UNSET,
        cap_bandwidth: int | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Store:
        """A store's quota, caps and profile."""
        return self._transport.value(
            "PATCH",
            located("stores", store, "limits"),
            Store,
            {
                "profile": profile,
                "hard_bytes": hard_bytes,
                "hard_objects": hard_objects,
                "warn_bytes": warn_bytes,
                "warn_objects": warn_objects,
                "rate": rate,
                "cap_requests": cap_requests,
                "cap_connections": cap_connections,
                "cap_bandwidth": cap_bandwidth,
            },
            if_match=if_match,
        )

    def lock(self, *, store: str) -> Store:
        """Refuse every request about the store, whoever asks."""
        return self._transport.value("POST", located("stores", store, "lock"), Store)

    def unlock(self, *, store: str) -> Store:
        """Undo `lock`."""
        return self._transport.value("POST", located("stores", store, "unlock"), Store)

    def delete(self, *, store: str) -> Deleted:
        """A store without buckets goes, with its users and their keys."""
        return self._transport.value("DELETE", located("stores", store), Deleted)
