"""The API's rows about usage, prices, bills and availability."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from coffre.console.api.asking import ask_node
from coffre.console.api.fields import BucketName, StoreName, TenantName
from coffre.console.api.problem import Problem
from coffre.console.api.route import Access, Arguments, Own, Route, Rows
from coffre.console.parts import Parts
from coffre.console.signed import Signed

Moment = Annotated[int, Meta(ge=0, description="Milliseconds since 1970.")]
Month = Annotated[
    str, Meta(pattern="^[0-9]{4}-[0-9]{2}$", description="Of UTC.", examples=["2026-11"])
]
Amount = Annotated[str, Meta(pattern=r"^([0-9]{1,9}(\.[0-9]{1,10})?)?$", examples=["0.0196"])]


class Whose(Struct, kw_only=True):
    """Of which stores: a tenant's, one, or one bucket of one."""

    tenant: TenantName | None = None
    store: StoreName | None = None
    bucket: BucketName | None = None


class UsageAsked(Whose, kw_only=True):
    since_ms: Moment | None = None
    until_ms: Moment | None = None
    step: Literal["5min", "hour", "day", "month"] = "hour"


class UsageRow(Struct):
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


class Usage(Struct):
    """Usage a step, in order. Steps in which nothing was held and nothing happened are left out."""

    rows: list[UsageRow]


class StandingRow(Struct):
    """What a bucket holds now of a storage class."""

    zone: str
    store: str
    bucket: str
    storage_class: str
    bytes: int
    objects: int
    versions: int
    parts: int


class Standing(Struct):
    """What stands now, exact. `closed_ms`: until when hours are closed."""

    rows: list[StandingRow]
    at_ms: int
    closed_ms: int


class PricesAsked(Struct, kw_only=True):
    zone: str | None = None
    month: Month | None = None


class Prices(Struct):
    """The prices of a month: of a GiB and month `performance` and `archiving`, of a thousand
    requests `read`, `write`, `list`, `delete`, of a GiB out `egress`."""

    zone: str
    month: str
    currency: str
    vat_rate: str
    prices: dict[str, str]


class PriceRow(Struct):
    """A price, and from which month on. A null zone: all."""

    zone: str | None
    kind: str
    since: str
    price: str


class PriceChange(Struct, kw_only=True):
    """What is left out stays; an empty text takes a price away."""

    zone: str | None = None
    since: Month | None = None
    performance: Amount | None = None
    archiving: Amount | None = None
    read: Amount | None = None
    write: Amount | None = None
    list: Amount | None = None
    delete: Amount | None = None
    egress: Amount | None = None
    currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$", examples=["EUR"])] | None = None
    vat_rate: Annotated[Amount, Meta(description="Percent.")] | None = None


class StatementAsked(Whose, kw_only=True):
    month: Month | None = None


class StatementPageAsked(StatementAsked, kw_only=True):
    language: Literal["en", "fr"] = "en"


class StatementLine(Struct):
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


class Statement(Struct):
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


class StatementPage(Struct):
    """A bill as a page to print."""

    month: str
    html: str


class BillsAsked(Struct, kw_only=True):
    tenant: TenantName | None = None
    store: StoreName | None = None


class BillRow(Struct):
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


class AvailabilityAsked(Struct, kw_only=True):
    store: StoreName | None = None
    month: Month | None = None


class Availability(Struct):
    """How available a month was (percent), of all stores or of one."""

    month: str
    target: str
    availability: str
    minutes: int
    minutes_down: float
    met: bool
    incidents: list[dict[str, Any]]
    stores: list[dict[str, Any]]


class Probe(Struct, kw_only=True):
    at_ms: Moment
    origin: Annotated[str, Meta(min_length=1, max_length=200, description="Where it came from.")]
    store: StoreName
    micros: Annotated[int, Meta(ge=0, lt=1 << 53)]
    failed: Annotated[str, Meta(max_length=200, description="Why it failed; empty: not.")] = ""


class Recorded(Struct):
    """How many were written down."""

    recorded: int


def accounting_operations(parts: Parts) -> dict[str, Own]:
    """What is asked in a tenant's name, by name: of a store the tenant is said, too, for an earlier
    store of another's may have had its name."""
    names = ("usage.show", "usage.now", "bill.statement", "bill.page", "bill.list")
    return {name: partial(_asked, parts, name) for name in names}


async def _asked(parts: Parts, operation: str, signed: Signed, arguments: Arguments) -> Any:
    asked = dict(arguments)
    store = asked.get("store")
    if asked.get("bucket") is not None and store is None:
        raise Problem("MissingField", "say the bucket's store", "store")
    found = None if store is None else parts.reader.store_named(store)
    if found is not None and (tenant := parts.reader.tenant(found.tenant_id)) is not None:
        asked["tenant"] = tenant.name
    return await ask_node(parts, signed, operation, asked)


ROUTES: Final = (
    Route(
        operation="usage.show",
        method="GET",
        path="/usage",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=UsageAsked,
        answer=Usage,
        summary="Bytes, objects, requests and traffic, a step.",
    ),
    Route(
        operation="usage.now",
        method="GET",
        path="/usage/now",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=Whose,
        answer=Standing,
        summary="What stands now, by bucket and storage class.",
    ),
    Route(
        operation="price.show",
        method="GET",
        path="/prices",
        access=Access.ANYONE,
        scope="usage:read",
        arguments=PricesAsked,
        answer=Prices,
        summary="The prices of a month.",
    ),
    Route(
        operation="price.list",
        method="GET",
        path="/prices/history",
        access=Access.OPERATOR,
        scope="usage:read",
        answer=PriceRow,
        rows=Rows(key=("since", "kind")),
        summary="Every price, and from which month on.",
    ),
    Route(
        operation="price.set",
        method="PATCH",
        path="/prices",
        access=Access.OPERATOR,
        scope="system:write",
        arguments=PriceChange,
        answer=Prices,
        summary="Prices from a month on. Months that are over keep theirs.",
    ),
    Route(
        operation="bill.statement",
        method="GET",
        path="/bills/statement",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=StatementAsked,
        answer=Statement,
        summary="A month's bill, or how it stands, with the formula.",
    ),
    Route(
        operation="bill.page",
        method="GET",
        path="/bills/page",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=StatementPageAsked,
        answer=StatementPage,
        summary="A month's bill as a page to print.",
    ),
    Route(
        operation="bill.list",
        method="GET",
        path="/bills",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=BillsAsked,
        answer=BillRow,
        rows=Rows(key=("month",)),
        summary="The months of which there is a bill, with what each comes to.",
    ),
    Route(
        operation="sla.show",
        method="GET",
        path="/availability",
        access=Access.TENANT_READER,
        scope="usage:read",
        arguments=AvailabilityAsked,
        answer=Availability,
        summary="How available a month was, of all stores or of one.",
    ),
    Route(
        operation="sla.probed",
        method="POST",
        path="/availability/probes",
        access=Access.OPERATOR,
        scope="system:write",
        arguments=Probe,
        answer=Recorded,
        store="",
        status=201,
        summary="Write down how a request from outside went.",
    ),
)
