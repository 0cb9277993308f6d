"""Calls of the management API: audit. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Content, Transport, located
from coffre.client.types.activities import Activity
from coffre.client.types.trail import AuditStatus, Forwarding, Record


class AuditCalls:
    """Operations `audit.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def search(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
        key: str | UnsetType | None = UNSET,
        prefix: str | UnsetType | None = UNSET,
        principal: str | UnsetType | None = UNSET,
        operation: str | UnsetType | None = UNSET,
        outcome: Literal["denied", "error", "ok"] | UnsetType | None = UNSET,
        since_ms: int | UnsetType | None = UNSET,
        until_ms: int | UnsetType | None = UNSET,
    ) -> Iterator[Record]:
        """Records, the newest first."""
        return self._transport.rows(
            "GET",
            located("audit"),
            Record,
            {
                "tenant": tenant,
                "store": store,
                "bucket": bucket,
                "key": key,
                "prefix": prefix,
                "principal": principal,
                "operation": operation,
                "outcome": outcome,
                "since_ms": since_ms,
                "until_ms": until_ms,
            },
        )

    def export(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
        key: str | UnsetType | None = UNSET,
        prefix: str | UnsetType | None = UNSET,
        principal: str | UnsetType | None = UNSET,
        operation: str | UnsetType | None = UNSET,
        outcome: Literal["denied", "error", "ok"] | UnsetType | None = UNSET,
        since_ms: int | UnsetType | None = UNSET,
        until_ms: int | UnsetType | None = UNSET,
        format: Literal["csv", "jsonl", "parquet"] | UnsetType = UNSET,
    ) -> Content:
        """Records as a file, the oldest first: lines of JSON, CSV, or Parquet."""
        return self._transport.content(
            "GET",
            located("audit", "export"),
            {
                "tenant": tenant,
                "store": store,
                "bucket": bucket,
                "key": key,
                "prefix": prefix,
                "principal": principal,
                "operation": operation,
                "outcome": outcome,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "format": format,
            },
        )

    def status(
        self,
    ) -> AuditStatus:
        """How much there is, and where it lies."""
        return self._transport.value("GET", located("audit", "status"), AuditStatus)

    def verify(self, *, anchor: str | UnsetType | None = UNSET) -> Activity:
        """Compute the whole chain again."""
        return self._transport.value(
            "POST", located("audit", "verify"), Activity, {"anchor": anchor}
        )

    def forward(self, *, target: str, since_ms: int) -> Forwarding:
        """Have a target get everything since a moment, again if it had it."""
        return self._transport.value(
            "POST",
            located("audit", "forward"),
            Forwarding,
            {"target": target, "since_ms": since_ms},
        )
