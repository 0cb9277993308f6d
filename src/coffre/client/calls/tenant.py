"""Calls of the management API: tenant. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.stores import Tenant


class TenantCalls:
    """Operations `tenant.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Tenant]:
        """The tenants that you see."""
        return self._transport.rows("GET", located("tenants"), Tenant)

    def create(self, *, name: str, bucket_limit: int | UnsetType = UNSET) -> Tenant:
        """A new tenant."""
        return self._transport.value(
            "POST", located("tenants"), Tenant, {"name": name, "bucket_limit": bucket_limit}
        )

    def set(self, *, tenant: str, bucket_limit: int) -> Tenant:
        """How many buckets a tenant may have. Those that it has stay."""
        return self._transport.value(
            "PATCH", located("tenants", tenant), Tenant, {"bucket_limit": bucket_limit}
        )
