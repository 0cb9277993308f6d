"""Tenants and their stores as an operator sees them: who has what, quotas, locks."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_
from coffre.console.pages.listing import Listing
from coffre.console.pages.shell import call, form_of, go, language_of, page_route, refuse, render

_HOME: Final = "/operator/stores"
_COLUMNS: Final = ("name", "tenant", "buckets", "objects", "bytes", "share")


async def _show(request: Request, status: int = 200) -> Response:
    rows: list[dict[str, Any]] = await call(request, "store.list")
    for row in rows:
        hard = row["quota"].get("hard_bytes")
        row["share"] = row["bytes"] / hard if hard else None
    listing = Listing(
        rows, request.query_params, _HOME, columns=_COLUMNS, searched=("name", "label", "tenant")
    )
    return await render(
        request,
        "tenants.html",
        status,
        listing=listing,
        tenants=sorted(await call(request, "tenant.list"), key=lambda one: str(one["name"])),
    )


async def _create(request: Request) -> Response:
    form = form_of(request)
    limit = form.whole("bucket_limit", 1)
    if not form.text("name"):
        form.refuse("name", N_("Give it a name."))
    if form.problems:
        return await _show(request, 422)
    try:
        await call(request, "tenant.create", name=form.text("name"), bucket_limit=limit)
    except Problem as problem:
        refuse(request, form, problem)
        return await _show(request, 422)
    said = language_of(request)(N_("The tenant “%(name)s” is made."), name=form.text("name"))
    return go(_HOME, said)


async def _limit(request: Request) -> Response:
    form = form_of(request)
    limit = form.whole("new_limit", 1)
    if form.problems:
        return await _show(request, 422)
    await call(request, "tenant.set", tenant=form.text("tenant"), bucket_limit=limit)
    return go(_HOME, language_of(request)(N_("The limit is as you set it.")))


async def _lock(request: Request) -> Response:
    await call(request, "store.lock", store=form_of(request).text("store"))
    return go(_HOME, language_of(request)(N_("The store is locked.")))


async def _unlock(request: Request) -> Response:
    await call(request, "store.unlock", store=form_of(request).text("store"))
    return go(_HOME, language_of(request)(N_("The store is unlocked.")))


ROUTES: Final = (
    page_route(_HOME, get=_show),
    page_route(f"{_HOME}/tenants", post=_create),
    page_route(f"{_HOME}/limit", post=_limit),
    page_route(f"{_HOME}/lock", post=_lock),
    page_route(f"{_HOME}/unlock", post=_unlock),
)
