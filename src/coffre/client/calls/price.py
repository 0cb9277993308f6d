"""Calls of the management API: price. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.accounting import PriceRow, Prices


class PriceCalls:
    """Operations `price.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self, *, zone: str | UnsetType | None = UNSET, month: str | UnsetType | None = UNSET
    ) -> Prices:
        """The prices of a month."""
        return self._transport.value(
            "GET", located("prices"), Prices, {"zone": zone, "month": month}
        )

    def list(
        self,
    ) -> Iterator[PriceRow]:
        """Every price, and from which month on."""
        return self._transport.rows("GET", located("prices", "history"), PriceRow)

    def set(
        self,
        *,
        zone: str | UnsetType | None = UNSET,
        since: str | UnsetType | None = UNSET,
        performance: str | UnsetType | None = UNSET,
        archiving: str | UnsetType | None = UNSET,
        read: str | UnsetType | None = UNSET,
        write: str | UnsetType | None = UNSET,
        list: str | UnsetType | None = UNSET,
        delete: str | UnsetType | None = UNSET,
        egress: str | UnsetType | None = UNSET,
        currency: str | UnsetType | None = UNSET,
        vat_rate: str | UnsetType | None = UNSET,
    ) -> Prices:
        """Prices from a month on. Months that are over keep theirs."""
        return self._transport.value(
            "PATCH",
            located("prices"),
            Prices,
            {
                "zone": zone,
                "since": since,
                "performance": performance,
                "archiving": archiving,
                "read": read,
                "write": write,
                "list": list,
                "delete": delete,
                "egress": egress,
                "currency": currency,
                "vat_rate": vat_rate,
            },
        )
