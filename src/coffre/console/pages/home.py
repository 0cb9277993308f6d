"""Home: what needs attention, how full things are, and how to begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.i18n import Language
from coffre.console.pages.endpoints import endpoints, programs
from coffre.console.pages.networks import Meter, quota_meters
from coffre.console.pages.rights import may_change
from coffre.console.pages.shell import call, language_of, page_route, render, signed_of
from coffre.console.pages.stores import store_address

_NEAR: Final = 0.9


class Matter(NamedTuple):
    """Something to see to. `kind`: bad, warn or info."""

    kind: str
    title: str
    words: str
    address: str = ""
    button: str = ""


async def _home(request: Request) -> Response:
    language, signed = language_of(request), signed_of(request)
    shown: list[dict[str, Any]] = await call(request, "store.list")
    meters = [
        Meter(f"{one['name']}, {meter.label}", *meter[1:])
        for one in shown
        for meter in quota_meters(one, language)
    ]
    second_factor = signed.person.secrets.codes is not None or not signed.person.password_hash
    first = shown[0]["name"] if shown else None
    return await render(
        request,
        "home.html",
        totals={name: sum(one[name] for one in shown) for name in ("bytes", "objects", "buckets")},
        bucket_limit=await _bucket_limit(request),
        attention=list(_matters(language, shown, second_factor)),
        quotas=meters,
        endpoints=[
            one._replace(words=f"{store['name']} · {one.words}")
            for store in shown[:6]
            for one in endpoints(request, store["name"])
        ],
        programs=programs(request, first) if first else [],
        store=first,
        may_make=may_change(request) and bool(shown),
        may_make_stores=may_change(request),
    )


async def _bucket_limit(request: Request) -> int | None:
    """Of the one tenant that the person sees: an operator sees several."""
    tenants = await call(request, "tenant.list")
    return tenants[0]["bucket_limit"] if len(tenants) == 1 else None


def _matters(
    language: Language, stores: list[dict[str, Any]], second_factor: bool
) -> Iterator[Matter]:
    for one in stores:
        at, name = store_address(one["name"]), one["name"]
        if one["status"] == "locked":
            yield Matter(
                "bad",
                language("The store %(name)s is locked", name=name),
                language("Every request about it is refused until an operator unlocks it."),
                at,
                language("Look"),
            )
        for meter in quota_meters(one, language):
            full = meter.held >= meter.limit
            near = meter.held >= (meter.warn or meter.limit * _NEAR)
            if full or near:
                yield Matter(
                    "bad" if full else "warn",
                    _quota_title(language, full, name),
                    f"{meter.label}: {meter.words}",
                    store_address(name, "settings"),
                    language("Look"),
                )
    if not second_factor:
        yield Matter(
            "info",
            language("You sign in with a password alone"),
            language("A second factor keeps out whoever learns it."),
            "/me#second",
            language("Set it up"),
        )


def _quota_title(language: Language, full: bool, name: str) -> str:
    if full:
        return language("%(name)s has reached its quota", name=name)
    return language("%(name)s nears its quota", name=name)


ROUTES: Final = (page_route("/", get=_home),)
