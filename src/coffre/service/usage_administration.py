"""Usage, prices and bills, as an operator asks for them. All operations raise Invalid."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from coffre.catalog.mutations import Refusal
from coffre.catalog.records import Bucket
from coffre.catalog.usage_mutations import SetPrices
from coffre.catalog.usage_records import DAY_MS, HOUR_MS, MONTH, Price
from coffre.ledger.accounts import (
    STEPS,
    Accounts,
    Holder,
    TooMuchUsage,
    holder_of,
    month_name,
    month_named,
)
from coffre.ledger.bills import (
    AMOUNTS,
    CURRENCY,
    EVERYWHERE,
    KINDS,
    VAT,
    PriceList,
    Statement,
)
from coffre.ledger.statement_page import LANGUAGES, render_statement
from coffre.service.invalid import Invalid
from coffre.service.named import bucket_named, check_choice, store_named, tenant_named
from coffre.service.node import Node
from coffre.stewards.expirer import released_ms
from coffre.stewards.meter import hours_kept_from, samples_kept_from

Answer = dict[str, Any]
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,10})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_ALL: Final = "all tenants"
MONTHS_LISTED: Final = 24


class UsageAdministration:
    """What was used, what it costs, and what that makes a month."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "usage.show": self.show,
            "usage.now": self.now,
            "price.show": self.show_prices,
            "price.list": self.list_prices,
            "price.set": self.set_prices,
            "bill.statement": self.statement,
            "bill.page": self.page,
            "bill.list": self.list_bills,
        }

    async def show(
        self,
        store: str | None = None,
        tenant: str | None = None,
        bucket: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        step: str = "hour",
    ) -> Answer:
        """Usage a step (`5min`, `hour`, `day`, `month`), of the last day unless said otherwise.
        Steps in which nothing was held and nothing happened are left out."""
        check_choice("step", step, tuple(STEPS))
        now_ms = self._now_ms()
        # The step that begins now is one of them.
        until_ms = now_ms + 1 if until_ms is None else until_ms
        since_ms = until_ms - DAY_MS if since_ms is None else since_ms
        if not 0 <= since_ms <= until_ms:
            raise Invalid("InvalidArgument", "since_ms is not before until_ms", "since_ms")
        if step == "5min":
            since_ms = max(since_ms, samples_kept_from(now_ms))
        elif step != "month":
            since_ms = max(since_ms, hours_kept_from(now_ms))
        holders, found = self._whose(store, tenant, bucket)
        until_ms = max(since_ms, min(until_ms, now_ms + HOUR_MS))
        try:
            rows = self._accounts().rows(holders, found, step, since_ms, until_ms, now_ms)
        except TooMuchUsage:
            raise Invalid(
                "TooMuchUsage", "ask for less time, a longer step, or one bucket", "since_ms"
            ) from None
        return {"rows": msgspec.to_builtins(rows)}

    async def now(
        self, store: str | None = None, tenant: str | None = None, bucket: str | None = None
    ) -> Answer:
        """What stands now, by bucket and storage class, exact."""
        holders, found = self._whose(store, tenant, bucket)
        accounts, reader = self._accounts(), self._node.reader
        rows: list[Answer] = []
        for holder in holders:
            for one in accounts.buckets(holder) if found is None else (found,):
                for kind, level in sorted(accounts.standing(one).items()):
                    about = {"zone": self._zone, "store": holder.name, "bucket": one.name}
                    level_row = {**level._asdict(), "bytes": level.stored}
                    rows.append({**about, "storage_class": kind, **level_row})
        closed_ms = reader.usage_closed_ms()
        return {"rows": rows, "at_ms": self._now_ms(), "closed_ms": closed_ms}

    async def show_prices(self, zone: str | None = None, month: str | None = None) -> Answer:
        """The prices of a month (this one unless said otherwise)."""
        zone = self._zone if zone is None else zone
        month_ms = MONTH.start(self._now_ms()) if month is None else _month(month)
        prices = PriceList(self._node.reader.prices(), month_ms)
        return {
            "zone": zone,
            "month": month_name(month_ms),
            "currency": prices.currency,
            "vat_rate": prices.vat_rate,
            "prices": {
                kind: price for kind in AMOUNTS if (price := prices.get(zone, kind)) is not None
            },
        }

    async def list_prices(self) -> list[Answer]:
        """Every price, and from which month on."""
        return [
            {
                "zone": one.zone or None,
                "kind": one.kind,
                "since": month_name(one.month_ms),
                "price": one.price,
            }
            for one in self._node.reader.prices()
        ]

    async def set_prices(
        self, zone: str | None = None, since: str | None = None, **prices: str | None
    ) -> Answer:
        """Prices from a month on (this one unless said otherwise): of a GiB and month
        `performance` or `archiving`, of a thousand requests `read`, `write`, `list`, `delete`, of a
        GiB out `egress`; `currency` and `vat_rate` (percent). "" takes one away. Months that are
        over keep theirs."""
        zone = self._zone if zone is None else zone
        month_ms = MONTH.start(self._now_ms()) if since is None else _month(since)
        if not prices:
            raise Invalid("InvalidArgument", "no price is given", "prices")
        changes = tuple(
            Price(EVERYWHERE if kind in (CURRENCY, VAT) else zone, kind, month_ms, text)
            for kind, given in prices.items()
            for text in (_checked(kind, given),)
        )
        try:
            await self._node.committer.commit(SetPrices(changes))
        except Refusal as refusal:
            if refusal.code != "PriceInForce":
                raise
            raise Invalid("PriceInForce", refusal.message or "", "since") from refusal
        return await self.show_prices(zone, month_name(month_ms))

    async def statement(
        self,
        store: str | None = None,
        tenant: str | None = None,
        bucket: str | None = None,
        month: str | None = None,
    ) -> Answer:
        """A month's bill (the last month's unless said otherwise) of a tenant or a store; of one
        bucket what it has of that."""
        answer: Answer = msgspec.to_builtins(self._statement(store, tenant, bucket, month))
        return answer

    async def page(
        self,
        store: str | None = None,
        tenant: str | None = None,
        bucket: str | None = None,
        month: str | None = None,
        language: str = "en",
    ) -> Answer:
        """The same as a page to print, in HTML."""
        check_choice("language", language, LANGUAGES)
        found = self._statement(store, tenant, bucket, month)
        return {"month": found.month, "html": render_statement(found, language)}

    async def list_bills(self, store: str | None = None, tenant: str | None = None) -> list[Answer]:
        """The months of which there is a bill, the newest first, with what each comes to."""
        now_ms = self._now_ms()
        months = self._accounts().months(now_ms)[:MONTHS_LISTED]
        rows: list[Answer] = []
        for month_ms in months:
            found = self._statement(store, tenant, None, month_name(month_ms))
            kept = ("tenant", "store", "month", "currency", "subtotal", "vat", "total")
            row = {name: getattr(found, name) for name in (*kept, "hours", "final")}
            rows.append(row)
        return rows

    def _statement(
        self, store: str | None, tenant: str | None, bucket: str | None, month: str | None
    ) -> Statement:
        now_ms = self._now_ms()
        month_ms = MONTH.start(MONTH.start(now_ms) - 1) if month is None else _month(month)
        holders, found = self._whose(store, tenant, bucket)
        whose = tenant
        if store is not None:
            owner = self._node.reader.tenant(holders[0].tenant_id)
            whose = None if owner is None else owner.name
        return self._accounts().statement(
            whose or _ALL, holders, month_ms, now_ms, store=store, bucket=found
        )

    def _whose(
        self, store: str | None, tenant: str | None, bucket: str | None
    ) -> tuple[list[Holder], Bucket | None]:
        """The stores that are meant, and the one bucket, if one is."""
        reader = self._node.reader
        if bucket is not None:
            found = bucket_named(reader, bucket, store)
            holder = reader.store(found.store_id)
            assert holder is not None, "a bucket's store is there"
            return [holder_of(holder)], found
        owner = None if tenant is None else tenant_named(reader, tenant)
        if store is None:
            return self._accounts().holders(owner), None
        gone = [one for one in self._accounts().holders(owner) if one.name == store]
        return gone or [holder_of(store_named(reader, store))], None

    def _accounts(self) -> Accounts:
        return Accounts(self._node.reader, self._zone)

    @property
    def _zone(self) -> str:
        return self._node.zone_name

    def _now_ms(self) -> int:
        return released_ms(self._node.reader, self._node.clock)


def _month(name: str) -> int:
    try:
        return month_named(name)
    except ValueError:
        raise Invalid("InvalidMonth", "a month is written 2026-11", "month") from None


def _checked(kind: str, given: str | None) -> str:
    """A price as it is kept."""
    if kind not in KINDS:
        raise Invalid("InvalidArgument", f"a price list has no {kind!r}", kind)
    text = "" if given is None else str(given)
    if not text:
        return text
    if kind == CURRENCY:
        if not _CURRENCY.fullmatch(text):
            raise Invalid("InvalidPrice", "a currency is three letters, as EUR", kind)
        return text
    if not _NUMBER.fullmatch(text) or (kind == VAT and Decimal(text) > 100):
        raise Invalid("InvalidPrice", f"{kind} is a decimal number, as 0.0196", kind)
    return text
