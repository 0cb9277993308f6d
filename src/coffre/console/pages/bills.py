"""Bills: the months that there are, and a month's statement with the formula, to read and print."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.i18n import N_
from coffre.console.pages.shell import (
    call,
    crumb,
    language_of,
    page_route,
    render,
    signed_of,
    stores_of,
)
from coffre.ledger.bills import Statement
from coffre.ledger.statement_page import statement_csv, statement_table


async def _show(request: Request) -> Response:
    whose, tenants = await _whose(request)
    bills = await call(request, "bill.list", **whose)
    return await render(
        request,
        "bills.html",
        bills=bills,
        tenants=tenants,
        tenant=whose.get("tenant", ""),
        chosen=whose.get("store", ""),
        options=[one["name"] for one in stores_of(request)],
        prices=await call(request, "price.show"),
        store=whose.get("store"),
    )


async def _statement(request: Request) -> Response:
    whose, _ = await _whose(request)
    month, language = request.path_params["month"], language_of(request)
    told = await call(request, "bill.statement", **whose, month=month)
    statement = msgspec.convert(told, Statement)
    if request.query_params.get("format") == "csv":
        headers = {"Content-Disposition": f'attachment; filename="coffre-{statement.month}.csv"'}
        return Response(statement_csv(statement), 200, headers, "text/csv; charset=utf-8")
    return await render(
        request,
        "bill.html",
        statement=told,
        # The ledger escapes what it writes.
        table=Markup(statement_table(statement, language.code)),  # noqa: S704
        whose=whose,
        crumbs=[crumb(language(N_("Bills")), "bills")],
        store=whose.get("store"),
    )


async def _whose(request: Request) -> tuple[dict[str, Any], list[str]]:
    """Whose bills are asked for, and the tenants whose may be: a store's, or a tenant's."""
    person = signed_of(request).person
    tenants: list[str] = []
    if person.role == "operator":
        tenants = sorted(one["name"] for one in await call(request, "tenant.list"))
    asked = request.query_params
    if asked.get("store"):
        return {"store": asked["store"]}, tenants
    if asked.get("tenant"):
        return {"tenant": asked["tenant"]}, tenants
    return ({"tenant": tenants[0]} if tenants else {}), tenants


ROUTES: Final = (
    page_route("/bills", get=_show),
    page_route("/bills/{month}", get=_statement),
)
