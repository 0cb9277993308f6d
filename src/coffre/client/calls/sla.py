"""Calls of the management API: sla. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.accounting import Availability, Recorded


class SlaCalls:
    """Operations `sla.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self, *, store: str | UnsetType | None = UNSET, month: str | UnsetType | None = UNSET
    ) -> Availability:
        """How available a month was, of all stores or of one."""
        return self._transport.value(
            "GET", located("availability"), Availability, {"store": store, "month": month}
        )

    def probed(
        self, *, at_ms: int, origin: str, store: str, micros: int, failed: str | UnsetType = UNSET
    ) -> Recorded:
        """Write down how a request from outside went."""
        return self._transport.value(
            "POST",
            located("availability", "probes"),
            Recorded,
            {"at_ms": at_ms, "origin": origin, "store": store, "micros": micros, "failed": failed},
        )
