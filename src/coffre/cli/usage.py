"""The commands about what was used and what it costs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import columns, given
from coffre.ledger.bills import Statement
from coffre.ledger.statement_page import LANGUAGES, render_statement, statement_csv

_SHOWN: Final = (
    *("at_ms", "store", "bucket", "storage_class", "bytes", "objects", "versions", "parts"),
    *("reads", "writes", "lists", "deletes", "bytes_in", "bytes_out", "closed"),
)
_REQUESTS: Final = {"reads": "read", "writes": "write", "lists": "list", "deletes": "delete"}


class Moment(click.ParamType[int]):
    """`2026-11-01`, `2026-11-01T12:00`: UTC, as ms since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = datetime.fromisoformat(str(value).removesuffix("Z"))
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-11-01 or 2026-11-01T12:00", param, ctx)
        if found.tzinfo is not None:
            self.fail("times are in UTC: leave the offset out", param, ctx)
        return int(found.replace(tzinfo=UTC).timestamp() * 1000)


STORE: Final = click.option("--store", metavar="NAME", help="Of this store alone.")
TENANT: Final = click.option("--tenant", metavar="NAME", help="Of this tenant's stores.")
BUCKET: Final = click.option("--bucket", metavar="NAME", help="Of this bucket alone.")
MONTH: Final = click.option("--month", metavar="YYYY-MM", help="Which month.")
CSV: Final = click.option("--csv", "as_csv", is_flag=True, help="Answer with CSV.")


@click.command()
@STORE
@TENANT
@BUCKET
@click.option("--since", type=Moment(), metavar="TIME", help="From then on.  [default: a day ago]")
@click.option("--until", type=Moment(), metavar="TIME", help="Up to then.  [default: now]")
@click.option(
    "--step",
    type=click.Choice(["5min", "hour", "day", "month"]),
    default="hour",
    show_default=True,
    help="One row for each.",
)
@click.option("--now", "standing", is_flag=True, help="What stands now, in place of a history.")
@CSV
@shared
def usage(
    invocation: Invocation,
    store: str | None,
    tenant: str | None,
    bucket: str | None,
    since: int | None,
    until: int | None,
    step: str,
    standing: bool,
    as_csv: bool,
) -> None:
    """What was stored and asked for, by bucket and storage class."""
    whose = {"store": store, "tenant": tenant, "bucket": bucket}
    if standing:
        found = invocation.call("usage.now", **whose)
        rows = found["rows"]
        names = columns(rows)
    else:
        found = invocation.call("usage.show", **whose, since_ms=since, until_ms=until, step=step)
        rows = [_flat(row) for row in found["rows"]]
        names = list(_SHOWN)
    if as_csv:
        click.echo(_csv(rows, columns(rows)), nl=False)
    else:
        invocation.answer(found, lambda: show.table(rows, names, "Nothing was used."))


@click.group()
def price() -> None:
    """What stored bytes, requests and traffic cost."""


@price.command("show")
@click.option("--zone", metavar="NAME", help="Of this zone.  [default: the node's]")
@MONTH
@shared
def price_show(invocation: Invocation, zone: str | None, month: str | None) -> None:
    """The prices of a month; this one unless --month says otherwise."""
    found = invocation.call("price.show", zone=zone, month=month)
    invocation.answer(found, lambda: show.record(found))


@price.command("list")
@CSV
@shared
def price_list(invocation: Invocation, as_csv: bool) -> None:
    """Every price, and from which month on."""
    rows = invocation.call("price.list")
    if as_csv:
        click.echo(_csv(rows, columns(rows)), nl=False)
    else:
        invocation.answer(rows, lambda: show.table(rows, columns(rows), "No price is set."))


@price.command("set")
@click.option("--zone", metavar="NAME", help="In this zone.  [default: the node's]")
@click.option("--since", metavar="YYYY-MM", help="From this month on.  [default: this month]")
@click.option("--performance", metavar="PRICE", help="Of a GiB and month, kept ready.")
@click.option("--archiving", metavar="PRICE", help="Of a GiB and month in an archive class.")
@click.option("--read", metavar="PRICE", help="Of 1000 reads.")
@click.option("--write", metavar="PRICE", help="Of 1000 writes.")
@click.option("--list", metavar="PRICE", help="Of 1000 lists.")
@click.option("--delete", metavar="PRICE", help="Of 1000 deletes.")
@click.option("--egress", metavar="PRICE", help="Of a GiB that goes out.")
@click.option("--currency", metavar="CODE", help="In which all prices are: EUR, …")
@click.option("--vat-rate", metavar="PERCENT", help="VAT on the sum of a bill.")
@shared
def price_set(
    invocation: Invocation, zone: str | None, since: str | None, **prices: str | None
) -> None:
    """Set prices from a month on; an empty one takes it away. Months that are over keep theirs."""
    asked = given(zone=zone, since=since, **prices)
    found = invocation.call("price.set", **asked)
    invocation.answer(found, lambda: show.record(found))


@click.group()
def bill() -> None:
    """Statements of months."""


@bill.command("show")
@STORE
@TENANT
@BUCKET
@MONTH
@CSV
@click.option(
    "--html", "language", type=click.Choice(LANGUAGES), help="Answer with a page to print."
)
@shared
def bill_show(
    invocation: Invocation,
    store: str | None,
    tenant: str | None,
    bucket: str | None,
    month: str | None,
    as_csv: bool,
    language: str | None,
) -> None:
    """A month's statement; last month's unless --month says otherwise."""
    whose = {"store": store, "tenant": tenant, "bucket": bucket, "month": month}
    found = invocation.call("bill.statement", **whose)
    if as_csv:
        click.echo(statement_csv(msgspec.convert(found, Statement)), nl=False)
    elif language is not None:
        click.echo(render_statement(msgspec.convert(found, Statement), language), nl=False)
    else:
        invocation.answer(found, lambda: show.record(found))


@bill.command("list")
@STORE
@TENANT
@CSV
@shared
def bill_list(invocation: Invocation, store: str | None, tenant: str | None, as_csv: bool) -> None:
    """The months of which there is a statement, and what each comes to."""
    rows = invocation.call("bill.list", store=store, tenant=tenant)
    if as_csv:
        click.echo(_csv(rows, columns(rows)), nl=False)
    else:
        invocation.answer(rows, lambda: show.table(rows, columns(rows), "No month yet."))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Requests by class as columns of their own."""
    plain = {name: value for name, value in row.items() if name != "requests"}
    return plain | {name: row["requests"][kind] for name, kind in _REQUESTS.items()}


def _csv(rows: list[dict[str, Any]], names: list[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
