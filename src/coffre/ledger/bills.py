"""Bills: a month's usage at the month's prices, in exact arithmetic until a line is rounded.

    amount = sum of hourly GiB / 720 x price

where an hour's GiB are its byte-seconds / 3600 / 2^30. A month has as many hours as it has: 744 of
them are 1.033 months. Each line is rounded to the currency's smallest unit, half up; the subtotal
is the sum of the lines, VAT is rounded once, half up. Nothing else is rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Final

from babel.numbers import get_currency_precision
from msgspec import Struct

from coffre.catalog.records import ARCHIVED
from coffre.catalog.usage_records import HOUR_MS, REQUESTS, Flow, Price
from coffre.ledger.usage import Total

HOURS_A_MONTH: Final = 720
GIB: Final = 1 << 30
REQUESTS_A_PRICE: Final = 1000
FORMULA: Final = "sum of hourly GiB / 720 x price per GiB and month"
PERFORMANCE: Final = "performance"
ARCHIVING: Final = "archiving"
EGRESS: Final = "egress"
BY_REQUEST: Final = ("read", "write", "list", "delete")
AMOUNTS: Final = (PERFORMANCE, ARCHIVING, *BY_REQUEST, EGRESS)
"""What has a price: a GiB and month of the two types, a thousand requests of a class, a GiB out."""
CURRENCY: Final = "currency"
VAT: Final = "vat_rate"
KINDS: Final = (*AMOUNTS, CURRENCY, VAT)
EVERYWHERE: Final = ""
"""The zone of what is one for all: currency and VAT."""
_SHOWN: Final = Decimal("0.000001")


class Line(Struct, frozen=True):
    """One line. Of stored bytes `storage_class` names the class; of requests and traffic `kind` and
    `quantity` (requests, or GiB) say what was counted. `price` is None where none was set."""

    store: str
    zone: str
    kind: str
    storage_class: str | None
    gib_hours: str | None
    gib_months: str | None
    quantity: str
    unit: str
    price: str | None
    amount: str


class Statement(Struct, frozen=True):
    """A month's bill, or how it stands: `final` once all its hours are closed and all has a price.
    `hours`: those of the month that are closed."""

    tenant: str
    store: str | None
    bucket: str | None
    month: str
    currency: str
    lines: list[Line]
    subtotal: str
    vat_rate: str
    vat: str
    total: str
    formula: str
    hours: int
    final: bool


class PriceList:
    """The prices of one month."""

    def __init__(self, prices: Iterable[Price], month_ms: int) -> None:
        self._found: dict[tuple[str, str], str] = {}
        for one in sorted(prices, key=lambda price: price.month_ms):
            if one.month_ms <= month_ms:
                self._found[one.zone, one.kind] = one.price

    def get(self, zone: str, kind: str) -> str | None:
        return self._found.get((zone, kind))

    @property
    def currency(self) -> str:
        return self.get(EVERYWHERE, CURRENCY) or "EUR"

    @property
    def vat_rate(self) -> str:
        """Percent."""
        return self.get(EVERYWHERE, VAT) or "0"

    @property
    def unit(self) -> Decimal:
        """The currency's smallest unit."""
        return Decimal(1).scaleb(-get_currency_precision(self.currency))


def kind_of(storage_class: str) -> str:
    """Which of the two types a class is billed as. Copies of archived objects that can be read are
    stored as others are."""
    return ARCHIVING if storage_class in ARCHIVED else PERFORMANCE


def gib_hours(byte_ms: int) -> Fraction:
    """The sum of hourly GiB."""
    return Fraction(byte_ms, HOUR_MS * GIB)


def round_half_up(value: Fraction, unit: Decimal) -> Decimal:
    """To a multiple of `unit`; half a unit goes up. Values are never negative."""
    units = (value / Fraction(unit) * 2 + 1) // 2
    return Decimal(units) * unit


def lines_of(store: str, zone: str, used: Mapping[str, Total], prices: PriceList) -> list[Line]:
    """The lines of one store by storage class, then those of requests and traffic that have a
    price."""
    lines: list[Line] = []
    for storage_class, total in sorted(used.items()):
        if storage_class != REQUESTS and total.byte_ms:
            lines.append(_stored(store, zone, storage_class, total.byte_ms, prices))
    flow = used.get(REQUESTS, Total()).flow
    return lines + _asked(store, zone, flow, prices)


def state(
    lines: Sequence[Line],
    prices: PriceList,
    *,
    tenant: str,
    store: str | None,
    bucket: str | None,
    month: str,
    hours: int,
    closed: bool,
) -> Statement:
    """The lines added up."""
    unit = prices.unit
    subtotal = sum((Decimal(line.amount) for line in lines), Decimal(0) * unit)
    vat = round_half_up(Fraction(subtotal) * Fraction(Decimal(prices.vat_rate)) / 100, unit)
    return Statement(
        tenant=tenant,
        store=store,
        bucket=bucket,
        month=month,
        currency=prices.currency,
        lines=list(lines),
        subtotal=str(subtotal),
        vat_rate=prices.vat_rate,
        vat=str(vat),
        total=str(subtotal + vat),
        formula=FORMULA,
        hours=hours,
        final=closed and all(line.price is not None for line in lines),
    )


def _stored(store: str, zone: str, storage_class: str, byte_ms: int, prices: PriceList) -> Line:
    hours = gib_hours(byte_ms)
    months = hours / HOURS_A_MONTH
    kind = kind_of(storage_class)
    price = prices.get(zone, kind)
    return Line(
        store=store,
        zone=zone,
        kind=kind,
        storage_class=storage_class,
        gib_hours=_shown(hours),
        gib_months=_shown(months),
        quantity=_shown(months),
        unit="GiB-month",
        price=price,
        amount=_amount(months, price, prices.unit),
    )


def _asked(store: str, zone: str, flow: Flow, prices: PriceList) -> list[Line]:
    counts = (flow.reads, flow.writes, flow.lists, flow.deletes)
    lines = [
        (kind, Fraction(count, REQUESTS_A_PRICE), str(count), "1000 requests")
        for kind, count in zip(BY_REQUEST, counts, strict=True)
    ]
    out = Fraction(flow.bytes_out, GIB)
    lines.append((EGRESS, out, _shown(out), "GiB"))
    return [
        Line(
            store=store,
            zone=zone,
            kind=kind,
            storage_class=None,
            gib_hours=None,
            gib_months=None,
            quantity=shown,
            unit=unit,
            price=price,
            amount=_amount(quantity, price, prices.unit),
        )
        for kind, quantity, shown, unit in lines
        if quantity and (price := prices.get(zone, kind)) is not None
    ]


def _amount(quantity: Fraction, price: str | None, unit: Decimal) -> str:
    value = Fraction(0) if price is None else quantity * Fraction(Decimal(price))
    return str(round_half_up(value, unit))


def _shown(value: Fraction) -> str:
    """For people: six places; amounts are worked out of the value itself."""
    return str(round_half_up(value, _SHOWN).quantize(_SHOWN, ROUND_HALF_UP))
