"""The API's rows about tenants and object stores."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from coffre.console.api.fields import (
    Addresses,
    Checked,
    Count,
    Deleted,
    InStore,
    Network,
    NewName,
    Ownership,
    TenantName,
)
from coffre.console.api.route import Access, Arguments, Own, Route, Rows
from coffre.console.endpoints import origins
from coffre.console.parts import Parts
from coffre.console.signed import Signed

StoreLabel = Annotated[str, Meta(max_length=128, examples=["The shop's data"])]
RetentionPolicies = Annotated[
    dict[str, Annotated[int, Meta(ge=-1, lt=1 << 33)]],
    Meta(
        description="Seconds by name; -1: for ever; 0 takes one away.", examples=[{"tax": 31536000}]
    ),
]


class Tenant(Struct):
    """Who stores belong to. `bucket_limit` counts the buckets of all of them."""

    name: str
    bucket_limit: int
    buckets: int
    stores: list[str]


class NewTenant(Struct, kw_only=True):
    name: NewName
    bucket_limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 999


class TenantChange(Struct, kw_only=True):
    tenant: TenantName
    bucket_limit: Annotated[int, Meta(ge=1, le=1_000_000)]


class Store(Struct):
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


class NewStore(Struct, kw_only=True):
    name: NewName
    tenant: TenantName | None = None
    label: StoreLabel = ""
    dialect: Annotated[
        Literal["aws", "ecs"], Meta(description="Whose S3 it speaks. It stays what it is.")
    ] = "aws"
    profile: Literal["full", "spec"] = "full"
    network: Annotated[
        Network | None, Meta(description="Left out: everywhere; buckets have rules of their own.")
    ] = None
    addresses: Addresses = []
    ownership: Ownership | None = None
    block_public: bool | None = None


class MadeStore(Struct):
    """A new store, and its initial user's keys: the secret is told this once."""

    name: str
    id: str
    label: str
    access_key: str
    secret_key: str


class StoreChange(InStore, kw_only=True):
    """What the tenant decides. What is left out stays."""

    label: StoreLabel | None = None
    network: Network | None = None
    addresses: Addresses = []
    ownership: Ownership | None = None
    block_public: bool | None = None
    retention_policies: RetentionPolicies | None = None


class StoreBounds(InStore, kw_only=True):
    """What the operator decides. 0: none."""

    profile: Literal["full", "spec"] | None = None
    hard_bytes: Count | None = None
    hard_objects: Count | None = None
    warn_bytes: Count | None = None
    warn_objects: Count | None = None
    rate: (
        Annotated[
            int, Meta(ge=1, description="Bytes a second that are its own when all want more.")
        ]
        | None
    ) = None
    cap_requests: Annotated[Count, Meta(description="Requests a second.")] | None = None
    cap_connections: Annotated[Count, Meta(description="Requests at once.")] | None = None
    cap_bandwidth: Annotated[Count, Meta(description="Bytes of bodies a second.")] | None = None


class StoreNameAsked(Struct, kw_only=True):
    name: Annotated[str, Meta(max_length=255, examples=["shop"])]
    tenant: TenantName | None = None


class StoreEndpoint(Struct):
    """An origin of a store in a zone. `virtual`: the store is in its name; else a key alone says
    whose store is meant."""

    zone: str
    region: str
    url: str
    secure: bool
    virtual: bool


def store_operations(parts: Parts) -> dict[str, Own]:
    """What the console answers itself about stores, by name."""

    async def endpoints(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(origins(parts, arguments["store"]))

    return {"store.endpoints": endpoints}


_NAMED: Final = {"store": "name"}

ROUTES: Final = (
    Route(
        operation="tenant.list",
        method="GET",
        path="/tenants",
        access=Access.ANYONE,
        scope="stores:read",
        answer=Tenant,
        rows=Rows(key=("name",), tenant="name"),
        summary="The tenants that you see.",
    ),
    Route(
        operation="tenant.create",
        method="POST",
        path="/tenants",
        access=Access.OPERATOR,
        scope="stores:write",
        arguments=NewTenant,
        answer=Tenant,
        status=201,
        summary="A new tenant.",
    ),
    Route(
        operation="tenant.set",
        method="PATCH",
        path="/tenants/{tenant}",
        access=Access.OPERATOR,
        scope="stores:write",
        arguments=TenantChange,
        answer=Tenant,
        renamed={"tenant": "name"},
        summary="How many buckets a tenant may have. Those that it has stay.",
    ),
    Route(
        operation="store.list",
        method="GET",
        path="/stores",
        access=Access.ANYONE,
        scope="stores:read",
        answer=Store,
        rows=Rows(key=("name",), store="name"),
        summary="The object stores that you see.",
    ),
    Route(
        operation="store.check",
        method="GET",
        path="/checks/store",
        access=Access.TENANT_OWNER,
        scope="stores:read",
        arguments=StoreNameAsked,
        answer=Checked,
        store="",
        renamed={"tenant": ""},
        summary="Whether a store could be made under a name.",
    ),
    Route(
        operation="store.create",
        method="POST",
        path="/stores",
        access=Access.TENANT_OWNER,
        scope="stores:write",
        arguments=NewStore,
        answer=MadeStore,
        status=201,
        store="",
        summary="A new store and its initial user. The secret is told this once.",
    ),
    Route(
        operation="store.show",
        method="GET",
        path="/stores/{store}",
        access=Access.ANYONE,
        scope="stores:read",
        arguments=InStore,
        answer=Store,
        renamed=_NAMED,
        summary="A store, how it is set, and what it holds.",
    ),
    Route(
        operation="store.endpoints",
        method="GET",
        path="/stores/{store}/endpoints",
        access=Access.ANYONE,
        scope="stores:read",
        arguments=InStore,
        answer=StoreEndpoint,
        rows=Rows(key=("zone", "url")),
        summary="Where programs reach the store, in each zone.",
    ),
    Route(
        operation="store.set",
        method="PATCH",
        path="/stores/{store}",
        access=Access.TENANT_OWNER,
        scope="stores:write",
        arguments=StoreChange,
        answer=Store,
        renamed=_NAMED,
        edits="store.show",
        summary="Change a store's label, network rule, and what new buckets begin with.",
    ),
    Route(
        operation="store.limit",
        method="PATCH",
        path="/stores/{store}/limits",
        access=Access.OPERATOR,
        scope="stores:write",
        arguments=StoreBounds,
        answer=Store,
        renamed=_NAMED,
        edits="store.show",
        summary="A store's quota, caps and profile.",
    ),
    Route(
        operation="store.lock",
        method="POST",
        path="/stores/{store}/lock",
        access=Access.OPERATOR,
        scope="stores:write",
        arguments=InStore,
        answer=Store,
        renamed=_NAMED,
        summary="Refuse every request about the store, whoever asks.",
    ),
    Route(
        operation="store.unlock",
        method="POST",
        path="/stores/{store}/unlock",
        access=Access.OPERATOR,
        scope="stores:write",
        arguments=InStore,
        answer=Store,
        renamed=_NAMED,
        summary="Undo `lock`.",
    ),
    Route(
        operation="store.delete",
        method="DELETE",
        path="/stores/{store}",
        access=Access.TENANT_OWNER,
        scope="stores:write",
        arguments=InStore,
        answer=Deleted,
        renamed=_NAMED,
        summary="A store without buckets goes, with its users and their keys.",
    ),
)
