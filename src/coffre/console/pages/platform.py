"""What an operator sees of the machine: drives as they stand, background work, what needs
attention, keys, the zone, and the doctor's report."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from coffre.console.console import console_of
from coffre.console.i18n import N_, Language
from coffre.console.pages.endpoints import endpoints
from coffre.console.pages.shell import (
    Page,
    call,
    form_of,
    go,
    language_of,
    page_route,
    render,
    stores_of,
)

_STATES: Final = {
    "present": ("ok", N_("Healthy")),
    "checking": ("warn", N_("Being checked before it is trusted")),
    "missing": ("bad", N_("Missing")),
    "failed": ("bad", N_("Failed")),
    "foreign": ("bad", N_("Of another zone")),
}
_INTENTS: Final = {"drain": N_("Being emptied"), "remove": N_("May be removed")}
_WORK: Final = {
    "waiting": ("ok", N_("Waiting")),
    "working": ("info", N_("At work")),
    "paused": ("warn", N_("Paused")),
    "failing": ("bad", N_("Failing")),
}
_VERDICTS: Final = {
    "ok": ("ok", N_("All is well")),
    "warn": ("warn", N_("Worth doing something")),
    "bad": ("bad", N_("In danger now")),
}
_DONE: Final = {
    "pause": N_("%(name)s begins nothing more until you let it."),
    "resume": N_("%(name)s works again."),
    "run": N_("%(name)s does its next round now."),
}


class State(NamedTuple):
    """A state in words and as a colour: ok, info, warn or bad."""

    kind: str
    words: str


def _state(states: dict[str, tuple[str, str]], name: str, said: Language) -> State:
    kind, words = states.get(name, ("warn", name))
    return State(kind, said(words))


async def _drives(request: Request) -> Response:
    said = language_of(request)
    racks: defaultdict[str, defaultdict[str, list[dict[str, Any]]]]
    racks = defaultdict(lambda: defaultdict(list))
    rows = await call(request, "drive.list")
    for row in rows:
        state = _state(_STATES, row["state"], said)
        intent = said(_INTENTS.get(row["intent"], row["intent"])) if row["intent"] else ""
        racks[row["rack"]][row["node"]].append({**row, "shown": state, "intention": intent})
    status = await call(request, "status")
    repair = await _repair(request)
    return await render(
        request,
        "drives.html",
        racks={rack: dict(nodes) for rack, nodes in sorted(racks.items())},
        states=Counter(_state(_STATES, row["state"], said) for row in rows),
        exposure=status.get("exposure", []),
        repair=repair,
        number=len(rows),
    )


async def _repair(request: Request) -> dict[str, Any] | None:
    """How repair stands; None where no steward is there to tell (the memory engine)."""
    stewards = {one["name"] for one in await call(request, "steward.list")}
    if "repairer" not in stewards:
        return None
    found: dict[str, Any] = await call(request, "repair.status")
    return found


async def _stewards(request: Request) -> Response:
    said = language_of(request)
    rows = [
        {**row, "shown": _state(_WORK, row["state"], said)}
        for row in await call(request, "steward.list")
    ]
    return await render(
        request,
        "stewards.html",
        stewards=sorted(rows, key=lambda row: row["name"]),
        now_ms=console_of(request).parts.clock.now_ms(),
    )


def _telling(verb: str) -> Page:
    async def tell(request: Request) -> Response:
        name = form_of(request).text("name")
        await call(request, f"steward.{verb}", name=name)
        return go("/operator/stewards", language_of(request)(_DONE[verb], name=name))

    return tell


async def _doctor(request: Request) -> Response:
    report = await call(request, "doctor.show")
    return await render(request, "doctor.html", ok=report["ok"], checks=_checks(request, report))


def _checks(request: Request, report: dict[str, Any]) -> list[dict[str, Any]]:
    said = language_of(request)
    order = list(_VERDICTS)[::-1]
    rows = [{**one, "shown": _state(_VERDICTS, one["verdict"], said)} for one in report["checks"]]
    return sorted(rows, key=lambda one: order.index(one["verdict"]))


async def _alerts(request: Request) -> Response:
    report = await call(request, "doctor.show")
    status = await call(request, "status")
    stewards = [one for one in await call(request, "steward.list") if one["last_error"]]
    return await render(
        request,
        "alerts.html",
        checks=[one for one in _checks(request, report) if one["verdict"] != "ok"],
        over=status.get("over_quota", []),
        stewards=stewards,
    )


async def _keys(request: Request) -> Response:
    root = await call(request, "key.check")
    stores = stores_of(request)
    services = [
        {"store": store["name"], "keys": await call(request, "kms.list", store=store["name"])}
        for store in stores[:100]
    ]
    return await render(
        request,
        "operator_keys.html",
        root=root,
        services=[one for one in services if one["keys"]],
        now_ms=console_of(request).parts.clock.now_ms(),
    )


async def _zones(request: Request) -> Response:
    status = await call(request, "status")
    stores = stores_of(request)
    return await render(
        request,
        "zones.html",
        node=status,
        endpoints=endpoints(request, stores[0]["name"]) if stores else [],
        certificate=await _certificate(request),
        clock=await call(request, "clock.show"),
    )


async def _certificate(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = await call(request, "tls.show")
    return found


async def _first(request: Request) -> Response:
    return RedirectResponse("/operator/alerts", 303)


ROUTES: Final = (
    page_route("/operator", get=_first),
    page_route("/operator/drives", get=_drives),
    page_route("/operator/stewards", get=_stewards),
    *(page_route(f"/operator/stewards/{verb}", post=_telling(verb)) for verb in _DONE),
    page_route("/operator/doctor", get=_doctor),
    page_route("/operator/alerts", get=_alerts),
    page_route("/operator/keys", get=_keys),
    page_route("/operator/zones", get=_zones),
)
