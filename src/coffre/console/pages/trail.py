"""The audit: what was asked for, by whom, from where, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_
from coffre.console.pages.form import Form
from coffre.console.pages.shell import call, language_of, page_route, refuse, render, stores_of

_TEXTS: Final = ("store", "bucket", "key", "principal", "operation")
_OUTCOMES: Final = {"ok": N_("Done"), "denied": N_("Denied"), "error": N_("Failed")}
_PAGE: Final = 50


async def _show(request: Request) -> Response:
    said, query = language_of(request), request.query_params
    form = Form({name: [query[name]] for name in query}, said)
    asked = _asked(form)
    found: dict[str, Any] = {"records": [], "next": None}
    if not form.problems:
        after = {"after": query["after"]} if query.get("after") else {}
        try:
            found = await call(request, "audit.search", **asked, **after, limit=_PAGE)
        except Problem as problem:
            if problem.status in (403, 404):
                raise
            refuse(request, form, problem)
    typed = {name: form.text(name) for name in (*_TEXTS, "outcome", "since", "until")}
    kept = {name: text for name, text in typed.items() if text}
    onward = urlencode({**kept, "after": found["next"]}) if found["next"] else ""
    return await render(
        request,
        "audit.html",
        422 if form.problems else 200,
        form=form,
        records=found["records"],
        onward=onward,
        first=not query.get("after"),
        kept=urlencode(kept),
        searching=bool(kept),
        exports=urlencode(asked),
        outcomes=[("", said(N_("Any"))), *((name, said(one)) for name, one in _OUTCOMES.items())],
        words={name: said(one) for name, one in _OUTCOMES.items()},
        options=[("", said(N_("All stores"))), *((one["name"],) * 2 for one in stores_of(request))],
        store=asked.get("store"),
    )


def _asked(form: Form) -> dict[str, Any]:
    """The form as the operation's arguments; what is no time is a problem of its field."""
    asked: dict[str, Any] = {name: form.text(name) for name in _TEXTS if form.text(name)}
    if form.text("outcome") in _OUTCOMES:
        asked["outcome"] = form.text("outcome")
    for name in ("since", "until"):
        if not form.text(name):
            continue
        try:
            at = datetime.fromisoformat(form.text(name)).replace(tzinfo=UTC)
        except ValueError:
            form.refuse(name, N_("A day and a time of UTC, such as 2026-11-24T15:00."))
            continue
        asked[f"{name}_ms"] = max(0, round(at.timestamp() * 1000))
    return asked


ROUTES: Final = (page_route("/audit", get=_show),)
