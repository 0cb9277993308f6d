"""Calls of the management API: bill. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.accounting import BillRow, Statement, StatementPage


class BillCalls:
    """Operations `bill.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def statement(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
        month: str | UnsetType | None = UNSET,
    ) -> Statement:
        """A month's bill, or how it stands, with the formula."""
        return self._transport.value(
            "GET",
            located("bills", "statement"),
            Statement,
            {"tenant": tenant, "store": store, "bucket": bucket, "month": month},
        )

    def page(
        self,
        *,
        tenant: str | UnsetType | None = UNSET,
        store: str | UnsetType | None = UNSET,
        bucket: str | UnsetType | None = UNSET,
        month: str | UnsetType | None = UNSET,
        language: Literal["en", "fr"] | UnsetType = UNSET,
    ) -> StatementPage:
        """A month's bill as a page to print."""
        return self._transport.value(
            "GET",
            located("bills", "page"),
            StatementPage,
            {
                "tenant": tenant,
                "store": store,
                "bucket": bucket,
                "month": month,
                "language": language,
            },
        )

    def list(
        self, *, tenant: str | UnsetType | None = UNSET, store: str | UnsetType | None = UNSET
    ) -> Iterator[BillRow]:
        """The months of which there is a bill, with what each comes to."""
        return self._transport.rows(
            "GET", located("bills"), BillRow, {"tenant": tenant, "store": store}
        )
