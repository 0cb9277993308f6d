"""Values of the management API: stores. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Tenant(Struct, kw_only=True):
    """Who stores belong to. `bucket_limit` counts the buckets of all of them."""

    name: str
    bucket_limit: int
    buckets: int
    stores: list[str]


class Store(Struct, kw_only=True):
    """An object store, how it is set, and what it holds. `quota` has `hard_bytes`, `hard_objects`,
    `warn_bytes`, `warn_objects`, those that are set; `limits` are caps, 0: none."""

    name: str
    tenant: str | None
    label: str
    status: str
    dialect: str
    profile: str
    buckets: int
    objects: int
    bytes: int
    quota: dict[str, int]
    limits: dict[str, float]
    network: str
    addresses: list[str]
    ownership: str | None
    block_public: bool
    retention_policies: dict[str, int]
    created_ms: int
    warning: str = ""


class MadeStore(Struct, kw_only=True):
    """A new store, and its initial user's keys: the secret is told this once."""

    name: str
    id: str
    label: str
    access_key: str
    secret_key: str


class StoreEndpoint(Struct, kw_only=True):
    """An origin of a store in a zone. `virtual`: the store is in its name; else a key alone says
    whose store is meant."""

    zone: str
    region: str
    url: str
    secure: bool
    virtual: bool
