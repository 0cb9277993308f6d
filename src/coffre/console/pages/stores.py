"""Object stores: the list, one store, a new one, its settings, its end."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_
from coffre.console.pages.endpoints import endpoints
from coffre.console.pages.form import Form
from coffre.console.pages.listing import Listing
from coffre.console.pages.networks import addresses_of, quota_meters, read_quota, typed_quota
from coffre.console.pages.once import keep_once
from coffre.console.pages.rights import may_change, may_run
from coffre.console.pages.shell import (
    call,
    crumb,
    empty_form,
    form_of,
    go,
    language_of,
    page_route,
    refuse,
    render,
)

_COLUMNS: Final = ("name", "tenant", "network", "buckets", "objects", "bytes")


def store_address(store: str, *parts: str) -> str:
    """The address of a store's page."""
    return "/" + "/".join(quote(one, safe="") for one in ("stores", store, *parts))


async def show_store(
    request: Request, template: str, tab: str, status: int = 200, **values: Any
) -> Response:
    """A page of one store, within its tabs."""
    store = request.path_params["store"]
    shown = values.pop("shown", None) or await call(request, "store.show", store=store)
    language = language_of(request)
    frame = {
        "shown": shown,
        "tab": tab,
        "at": store_address(store),
        "may_change": may_change(request),
        "may_lock": may_run(request),
        "may_make": may_change(request),
        "crumbs": [crumb(language("Object Stores"), "stores")],
    }
    return await render(request, template, status, **{**frame, **values})


async def _list(request: Request) -> Response:
    rows = await call(request, "store.list")
    listing = Listing(
        rows,
        request.query_params,
        "/stores",
        columns=_COLUMNS,
        searched=("name", "label", "tenant"),
    )
    return await render(
        request, "stores.html", listing=listing, may_make_stores=may_change(request)
    )


async def _show(request: Request) -> Response:
    store = request.path_params["store"]
    shown = await call(request, "store.show", store=store)
    return await show_store(
        request,
        "store.html",
        "overview",
        shown=shown,
        users=await call(request, "user.list", store=store),
        endpoints=endpoints(request, store),
        region=console_of(request).parts.region,
        quotas=quota_meters(shown, language_of(request)),
    )


async def _new(request: Request, status: int = 200) -> Response:
    tenants = [one["name"] for one in await call(request, "tenant.list")]
    parts = console_of(request).parts
    return await render(
        request,
        "store_new.html",
        status,
        tenants=[(one, one) for one in tenants],
        centres=[(parts.zone, parts.zone)],
        may_set_quota=may_run(request),
        crumbs=[crumb(language_of(request)(N_("Object Stores")), "stores")],
    )


async def _show_new(request: Request) -> Response:
    if not may_change(request):
        raise Problem("AccessDenied")
    return await _new(request)


async def _create(request: Request) -> Response:
    form = form_of(request)
    limits = read_quota(form) if may_run(request) else {}
    network = form.typed("network", "private")
    arguments: dict[str, Any] = {
        "name": form.text("name"),
        "label": form.text("label"),
        "dialect": form.typed("dialect", "aws"),
        "network": network,
        "addresses": addresses_of(form) if network == "custom" else [],
    }
    if form.typed("tenant"):
        arguments["tenant"] = form.typed("tenant")
    if form.problems:
        return await _new(request, 422)
    try:
        made = await call(request, "store.create", **arguments)
    except Problem as problem:
        refuse(request, form, problem)
        return await _new(request, 422)
    made_limits = {name: limit for name, limit in limits.items() if limit}
    store = form.text("name")
    if made_limits:
        await call(request, "store.limit", store=store, **made_limits)
    name = keep_once(request, {"made": made, "next": store_address(store)})
    return go(store_address(store, "keys") + f"?once={name}")


async def _check_name(request: Request) -> Response:
    """Whether a name is free, while it is typed."""
    name = request.query_params.get("name", "").strip()
    answer = await call(request, "store.check", name=name) if name else {"problem": ""}
    said = language_of(request)
    problem = ""
    if answer["problem"]:
        wrong = _NAME_TAKEN if answer["valid"] else _NAME_RULE
        problem = said(wrong)
    return await render(request, "name_state.html", name=name, problem=problem)


_NAME_RULE: Final = N_("1 to 63 of a–z, 0–9 and “-”, with no “-” at either end.")
_NAME_TAKEN: Final = N_("There is a store of this name already.")


async def _settings(request: Request) -> Response:
    return await _settings_page(request, empty_form(request))


async def _settings_page(request: Request, form: Form, status: int = 200) -> Response:
    store = request.path_params["store"]
    shown = await call(request, "store.show", store=store)
    return await show_store(
        request,
        "store_settings.html",
        "settings",
        status,
        shown=shown,
        form=form,
        typed_quota=typed_quota(shown["quota"], language_of(request)),
        may_set_quota=may_run(request),
    )


async def _set(request: Request) -> Response:
    store, form = request.path_params["store"], form_of(request)
    network = form.typed("network", "private")
    arguments: dict[str, Any] = {
        "label": form.text("label"),
        "network": network,
        "block_public": form.ticked("block_public"),
    }
    if network == "custom":
        arguments["addresses"] = addresses_of(form)
    limits = read_quota(form) if may_run(request) else {}
    if form.problems:
        return await _settings_page(request, form, 422)
    try:
        await call(request, "store.set", store=store, **arguments)
        if limits:
            await call(request, "store.limit", store=store, **limits)
    except Problem as problem:
        refuse(request, form, problem)
        return await _settings_page(request, form, 422)
    return go(
        store_address(store, "settings"), language_of(request)(N_("The store is as you set it."))
    )


async def _lock(request: Request) -> Response:
    return await _locked(request, "store.lock", N_("The store is locked."))


async def _unlock(request: Request) -> Response:
    return await _locked(request, "store.unlock", N_("The store is unlocked."))


async def _locked(request: Request, operation: str, said: str) -> Response:
    store = request.path_params["store"]
    await call(request, operation, store=store)
    return go(store_address(store), language_of(request)(said))


async def _ask_delete(request: Request, status: int = 200) -> Response:
    store, language = request.path_params["store"], language_of(request)
    shown = await call(request, "store.show", store=store)
    users = await call(request, "user.list", store=store)
    remarks = [language("Its key goes with it: what may be left of its bytes is never read again.")]
    if shown["buckets"]:
        remarks.insert(0, language("The store has buckets: delete them first."))
    return await render(
        request,
        "typed_name.html",
        status,
        title=language("Delete %(name)s", name=store),
        action=store_address(store, "delete"),
        back=store_address(store),
        name=store,
        losses=[
            (language("Buckets"), language.number(shown["buckets"])),
            (language("Objects"), language.number(shown["objects"])),
            (language("Storage Accounts"), language.number(len(users))),
        ],
        remarks=remarks,
        refused=shown["buckets"] > 0,
        button=language("Delete the store"),
        crumbs=[crumb(language("Object Stores"), "stores"), crumb(store, "stores", store)],
    )


async def _delete(request: Request) -> Response:
    store, form = request.path_params["store"], form_of(request)
    if form.text("confirm") != store:
        form.refuse("confirm", N_("This is not its name."))
        return await _ask_delete(request, 422)
    try:
        await call(request, "store.delete", store=store)
    except Problem as problem:
        refuse(request, form, problem)
        return await _ask_delete(request, problem.status)
    return go("/stores", language_of(request)(N_("The store “%(name)s” is deleted."), name=store))


ROUTES: Final = (
    page_route("/stores", get=_list),
    page_route("/new-store", get=_show_new, post=_create),
    page_route("/new-store/name", get=_check_name),
    page_route("/stores/{store}", get=_show),
    page_route("/stores/{store}/settings", get=_settings, post=_set),
    page_route("/stores/{store}/lock", post=_lock),
    page_route("/stores/{store}/unlock", post=_unlock),
    page_route("/stores/{store}/delete", get=_ask_delete, post=_delete),
)
