"""Calls of the management API: usage. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.accounting import Standing, Usage


class UsageCalls:
    """Operations `usage.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
        since_ms: int | UnsetType | None = UNSET,
        until_ms: int | UnsetType | None = UNSET,
        step: Literal["5min", "day", "hour", "month"] | UnsetType = UNSET,
    ) -> Usage:
        """Bytes, objects, requests and traffic, a step."""
        return self._transport.value(
            "GET",
            located("usage"),
            Usage,
            {
                "tenant": tenant,
                "store": store,
                "bucket": bucket,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "step": step,
            },
        )

    def now(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
    ) -> Standing:
        """What stands now, by bucket and storage class."""
        return self._transport.value(
            "GET",
            located("usage", "now"),
            Standing,
            {"tenant": tenant, "store": store, "bucket": bucket},
        )
