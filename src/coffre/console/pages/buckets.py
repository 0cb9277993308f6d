"""Object Storage: every bucket that a person sees, and a new one."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_
from coffre.console.pages.listing import Listing
from coffre.console.pages.networks import addresses_of
from coffre.console.pages.rights import may_change
from coffre.console.pages.shell import (
    call,
    crumb,
    form_of,
    go,
    language_of,
    page_route,
    refuse,
    render,
    stores_of,
)

_COLUMNS: Final = ("name", "store", "region", "type", "network", "objects", "bytes")


def bucket_address(store: str, bucket: str, *parts: str) -> str:
    """The address of a bucket's page."""
    found = ("stores", store, "buckets", bucket, *parts)
    return "/" + "/".join(quote(one, safe="") for one in found)


async def _list(request: Request) -> Response:
    store = request.query_params.get("store", "")
    rows: list[dict[str, Any]] = await call(
        request, "bucket.list", **({"store": store} if store else {})
    )
    for row in rows:
        row["address"] = bucket_address(row["store"], row["name"])
    listing = Listing(
        rows,
        request.query_params,
        "/buckets",
        columns=_COLUMNS,
        searched=("name", "store"),
        kept={"store": store},
    )
    return await render(
        request,
        "buckets.html",
        listing=listing,
        may_make=may_change(request),
        store=store or None,
    )


async def _show_new(request: Request) -> Response:
    if not may_change(request):
        raise Problem("AccessDenied")
    return await _new(request)


async def _new(request: Request, status: int = 200) -> Response:
    stores = stores_of(request)
    asked = request.query_params.get("store", "")
    chosen = asked if any(one["name"] == asked for one in stores) else ""
    region = console_of(request).parts.region
    return await render(
        request,
        "bucket_new.html",
        status,
        options=[(one["name"], _called(one)) for one in stores],
        chosen=chosen or (stores[0]["name"] if stores else ""),
        regions=[(region, region)],
        crumbs=[crumb(language_of(request)(N_("Object Storage")), "buckets")],
    )


def _called(store: dict[str, str]) -> str:
    return f"{store['name']} · {store['label']}" if store["label"] else store["name"]


async def _create(request: Request) -> Response:
    form = form_of(request)
    store, name = form.typed("store"), form.text("name")
    network = form.typed("network", "private")
    addresses = addresses_of(form) if network == "custom" else []
    if not name:
        form.refuse("name", N_("Give it a name."))
    if form.problems:
        return await _new(request, 422)
    try:
        await call(
            request,
            "bucket.create",
            store=store,
            name=name,
            type=form.typed("type", "performance"),
            network=network,
            addresses=addresses,
            versioning=form.ticked("versioning"),
            object_lock=form.ticked("object_lock"),
        )
    except Problem as problem:
        refuse(request, form, problem, bucket="name")
        return await _new(request, 422)
    said = language_of(request)(
        N_("The bucket “%(name)s” is made. Give accounts roles on it."), name=name
    )
    return go(bucket_address(store, name, "policies"), said)


async def _check_name(request: Request) -> Response:
    """Whether a name is free in a store, while it is typed."""
    name, store = (
        request.query_params.get("name", "").strip(),
        request.query_params.get("store", ""),
    )
    said, problem = language_of(request), ""
    if name and store:
        answer = await call(request, "bucket.check", store=store, name=name)
        if answer["problem"]:
            wrong = _NAME_TAKEN if answer["valid"] else _NAME_RULE
            problem = said(wrong)
    return await render(request, "name_state.html", name=name, problem=problem, store=None)


_NAME_RULE: Final = N_(
    "3 to 63 of a–z, 0–9, “-” and “.”, with a letter or digit at both ends; no address."
)
_NAME_TAKEN: Final = N_("The store has a bucket of this name already.")

ROUTES: Final = (
    page_route("/buckets", get=_list),
    page_route("/buckets/new", get=_show_new, post=_create),
    page_route("/buckets/name", get=_check_name),
)
