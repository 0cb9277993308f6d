"""Values of the management API: accounting. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class UsageRow(Struct, kw_only=True):
    """A period of one bucket's storage class. A null `storage_class`: requests and traffic.
    `closed`: it never changes."""

    at_ms: int
    zone: str
    store: str
    bucket: str | None
    storage_class: str | None
    bytes: int
    byte_seconds: int
    objects: int
    versions: int
    parts: int
    requests: dict[str, int]
    bytes_in: int
    bytes_out: int
    closed: bool


class Usage(Struct, kw_only=True):
    """Usage a step, in order. Steps in which nothing was held and nothing happened are left out."""

    rows: list[UsageRow]


class StandingRow(Struct, kw_only=True):
    """What a bucket holds now of a storage class."""

    zone: str
    store: str
    bucket: str
    storage_class: str
    bytes: int
    objects: int
    versions: int
    parts: int


class Standing(Struct, kw_only=True):
    """What stands now, exact. `closed_ms`: until when hours are closed."""

    rows: list[StandingRow]
    at_ms: int
    closed_ms: int


class Prices(Struct, kw_only=True):
    """The prices of a month: of a GiB and month `performance` and `archiving`, of a thousand
    requests `read`, `write`, `list`, `delete`, of a GiB out `egress`."""

    zone: str
    month: str
    currency: str
    vat_rate: str
    prices: dict[str, str]


class PriceRow(Struct, kw_only=True):
    """A price, and from which month on. A null zone: all."""

    zone: str | None
    kind: str
    since: str
    price: str


class StatementLine(Struct, kw_only=True):
    """A line of a bill."""

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


class Statement(Struct, kw_only=True):
    """A month's bill, or how it stands. Amounts are decimal texts."""

    tenant: str
    store: str | None
    month: str
    currency: str
    lines: list[StatementLine]
    subtotal: str
    vat_rate: str
    vat: str
    total: str
    formula: str
    hours: int
    final: bool


class StatementPage(Struct, kw_only=True):
    """A bill as a page to print."""

    month: str
    html: str


class BillRow(Struct, kw_only=True):
    """What a month comes to."""

    tenant: str
    store: str | None
    month: str
    currency: str
    subtotal: str
    vat: str
    total: str
    hours: int
    final: bool


class Availability(Struct, kw_only=True):
    """How available a month was (percent), of all stores or of one."""

    month: str
    target: str
    availability: str
    minutes: int
    minutes_down: float
    met: bool
    incidents: list[dict[str, Any]]
    stores: list[dict[str, Any]]


class Recorded(Struct, kw_only=True):
    """How many were written down."""

    recorded: int
