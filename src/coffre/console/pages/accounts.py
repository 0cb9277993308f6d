"""Storage accounts of a store: the list, one account with its keys, and keys shown once."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_, Language
from coffre.console.pages.endpoints import endpoints, programs
from coffre.console.pages.form import Form
from coffre.console.pages.listing import Listing
from coffre.console.pages.once import keep_once, take_once
from coffre.console.pages.rights import may_change
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
from coffre.console.pages.stores import show_store, store_address

_HOUR: Final = 3600
_PAGE: Final = 1000
_GRACES: Final = (0, 900, _HOUR, 24 * _HOUR, 7 * 24 * _HOUR, 30 * 24 * _HOUR)
_MOST_GRACE: Final = _GRACES[-1]
THE_STORE: Final = "@store"
ROLE_WORDS: Final = {
    "reader": N_("Reader"),
    "writer": N_("Writer"),
    "maintainer": N_("Maintainer"),
    "write-only": N_("Write-only"),
    "owner": N_("Owner"),
}


def account_address(store: str, user: str, *parts: str) -> str:
    """The address of a storage account's page."""
    return store_address(store, "accounts", user, *parts)


async def _list(request: Request) -> Response:
    store = request.path_params["store"]
    listing = Listing(
        await _all(request, store),
        request.query_params,
        store_address(store, "accounts"),
        columns=("label", "kind", "last_used_ms", "created_ms"),
        searched=("label", "id"),
    )
    now_ms = console_of(request).parts.clock.now_ms()
    return await show_store(request, "accounts.html", "accounts", listing=listing, now_ms=now_ms)


async def _all(request: Request, store: str) -> list[dict[str, Any]]:
    """Every account, with when it was used last."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await call(request, "user.page", store=store, after=after, limit=_PAGE)
        found += page["items"]
        if not page["next"]:
            return found
        after = page["next"]


async def _show_new(request: Request) -> Response:
    return await show_store(request, "account_new.html", "accounts")


async def _create(request: Request) -> Response:
    store, form = request.path_params["store"], form_of(request)
    try:
        made = await call(
            request,
            "user.create",
            store=store,
            label=form.text("label"),
            kind=form.typed("kind", "object"),
            create_buckets=form.ticked("create_buckets"),
        )
    except Problem as problem:
        refuse(request, form, problem)
        return await show_store(request, "account_new.html", "accounts", 422)
    return _to_keys(request, made, account_address(store, made["id"]))


async def _show(request: Request) -> Response:
    return await _page(request, empty_form(request))


async def _page(request: Request, form: Form, status: int = 200) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    shown = await call(request, "user.show", store=store, user=user)
    language = language_of(request)
    reached = [
        {"name": one["bucket"], "role": "owner" if one["owner"] else str(one["role"])}
        for one in await call(request, "user.buckets", store=store, user=user)
    ]
    return await render(
        request,
        "account.html",
        status,
        form=form,
        user=shown,
        here_at=account_address(store, user),
        now_ms=console_of(request).parts.clock.now_ms(),
        may_change=may_change(request),
        reached=reached,
        role_words=lambda role: language(ROLE_WORDS[role]),
        crumbs=_crumbs(request, store),
    )


def _crumbs(request: Request, store: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    said = language_of(request)
    return [
        crumb(said("Object Stores"), "stores"),
        crumb(store, "stores", store),
        crumb(said("Storage Accounts"), "stores", store, "accounts"),
        *more,
    ]


async def _set(request: Request) -> Response:
    store, user, form = request.path_params["store"], request.path_params["user"], form_of(request)
    try:
        await call(
            request,
            "user.set",
            store=store,
            user=user,
            label=form.text("label"),
            create_buckets=form.ticked("create_buckets"),
        )
    except Problem as problem:
        refuse(request, form, problem)
        return await _page(request, form, 422)
    said = language_of(request)(N_("The account is as you set it."))
    return go(account_address(store, user), said)


async def _lock(request: Request) -> Response:
    return await _locked(request, "user.lock", N_("The account is locked."))


async def _unlock(request: Request) -> Response:
    return await _locked(request, "user.unlock", N_("The account is unlocked."))


async def _locked(request: Request, operation: str, said: str) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    await call(request, operation, store=store, user=user)
    return go(account_address(store, user), language_of(request)(said))


async def _show_reset(request: Request) -> Response:
    return await _reset_page(request)


async def _reset_page(request: Request, status: int = 200) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    shown = await call(request, "user.show", store=store, user=user)
    said = language_of(request)
    keys = [one["access_key"] for one in shown["keys"] if one["state"] in ("active", "inactive")]
    return await render(
        request,
        "account_reset.html",
        status,
        here_at=account_address(store, user),
        keys=[(one, one) for one in keys],
        chosen=request.query_params.get("key", keys[0] if keys else ""),
        graces=[(str(one), _grace_words(said, one)) for one in _GRACES],
        crumbs=_crumbs(request, store, crumb(shown["label"], "stores", store, "accounts", user)),
    )


def _grace_words(said: Language, seconds: int) -> str:
    return said.duration(seconds) if seconds else said("None: it ends now")


async def _reset(request: Request) -> Response:
    store, user, form = request.path_params["store"], request.path_params["user"], form_of(request)
    grace = form.whole("grace", 0, _MOST_GRACE)
    if form.problems:
        return await _reset_page(request, 422)
    try:
        made = await call(
            request,
            "user.reset",
            store=store,
            user=user,
            access_key=form.typed("access_key"),
            new_key=form.typed("new_key") == "yes",
            grace_seconds=grace,
        )
    except Problem as problem:
        refuse(request, form, problem, grace_seconds="grace")
        return await _reset_page(request, 422)
    return _to_keys(request, made, account_address(store, user))


async def _add_key(request: Request) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    made = await call(request, "user.key.add", store=store, user=user)
    return _to_keys(request, made, account_address(store, user))


async def _change_key(request: Request) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    about = {"store": store, "user": user, "access_key": request.path_params["key"]}
    match form_of(request).typed("do"):
        case "end-grace":
            await call(request, "user.key.end_grace", **about)
            said = N_("The old secret has ended.")
        case "deactivate":
            await call(request, "user.key.set", **about, active=False)
            said = N_("The access key is inactive.")
        case "activate":
            await call(request, "user.key.set", **about, active=True)
            said = N_("The access key is active.")
        case _:
            raise Problem("InvalidRequest")
    return go(account_address(store, user), language_of(request)(said))


async def _delete_key(request: Request) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    key = request.path_params["key"]
    await call(request, "user.key.delete", store=store, user=user, access_key=key)
    return go(account_address(store, user), language_of(request)(N_("The access key is deleted.")))


async def _ask_delete(request: Request, status: int = 200) -> Response:
    store, user = request.path_params["store"], request.path_params["user"]
    shown = await call(request, "user.show", store=store, user=user)
    said = language_of(request)
    remarks = [said("Objects that it put into buckets stay.")]
    if shown["buckets"]:
        remarks.append(said("The buckets that it owns become the store's own."))
    return await render(
        request,
        "typed_name.html",
        status,
        title=said("Delete %(name)s", name=shown["label"]),
        action=account_address(store, user, "delete"),
        back=account_address(store, user),
        name=shown["label"],
        losses=[
            (said("Access keys"), said.number(len(shown["keys"]))),
            (said("Buckets that it owns"), said.number(shown["buckets"])),
        ],
        remarks=remarks,
        refused=False,
        button=said("Delete the account"),
        crumbs=_crumbs(request, store, crumb(shown["label"], "stores", store, "accounts", user)),
    )


async def _delete(request: Request) -> Response:
    store, user, form = request.path_params["store"], request.path_params["user"], form_of(request)
    shown = await call(request, "user.show", store=store, user=user)
    if form.text("confirm") != shown["label"]:
        form.refuse("confirm", N_("This is not its name."))
        return await _ask_delete(request, 422)
    heir = {"give_to": THE_STORE} if shown["buckets"] else {}
    await call(request, "user.delete", store=store, user=user, **heir)
    said = language_of(request)(N_("The account “%(name)s” is deleted."), name=shown["label"])
    return go(store_address(store, "accounts"), said)


def _to_keys(request: Request, made: dict[str, Any], then: str) -> Response:
    store = request.path_params["store"]
    name = keep_once(request, {"made": made, "next": then})
    return go(f"{store_address(store, 'keys')}?{urlencode({'once': name})}")


async def _keys(request: Request) -> Response:
    """Keys that were just made, this once."""
    store = request.path_params["store"]
    kept = take_once(request, request.query_params.get("once", ""))
    if kept is None:
        return await render(request, "keys_gone.html", next=store_address(store, "accounts"))
    made = kept["made"]
    return await render(
        request,
        "keys_once.html",
        made=made,
        next=kept["next"],
        old_ends_ms=made.get("old_secret_expires_ms") or made.get("old_key_expires_ms"),
        endpoints=endpoints(request, store),
        programs=programs(request, store, made["access_key"], made["secret_key"]),
        crumbs=_crumbs(request, store),
    )


_ONE: Final = "/stores/{store}/accounts/{user}"
ROUTES: Final = (
    page_route("/stores/{store}/keys", get=_keys),
    page_route("/stores/{store}/accounts", get=_list),
    page_route("/stores/{store}/accounts/new", get=_show_new, post=_create),
    page_route(_ONE, get=_show, post=_set),
    page_route(f"{_ONE}/lock", post=_lock),
    page_route(f"{_ONE}/unlock", post=_unlock),
    page_route(f"{_ONE}/reset", get=_show_reset, post=_reset),
    page_route(f"{_ONE}/keys", post=_add_key),
    page_route(f"{_ONE}/keys/{{key}}", post=_change_key),
    page_route(f"{_ONE}/keys/{{key}}/delete", post=_delete_key),
    page_route(f"{_ONE}/delete", get=_ask_delete, post=_delete),
)
