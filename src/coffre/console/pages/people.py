"""People: who signs in, with which role; invited, locked, let in again."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_, Language
from coffre.console.pages.form import Form
from coffre.console.pages.listing import Listing
from coffre.console.pages.once import keep_once, take_once
from coffre.console.pages.rights import may_run
from coffre.console.pages.shell import (
    call,
    crumb,
    form_of,
    go,
    language_of,
    page_route,
    recent_only,
    refuse,
    render,
    signed_of,
)

_HOME: Final = "/operator/people"
_ROLES: Final = {
    "operator": (N_("Operator"), N_("Runs the platform: everything.")),
    "owner": (N_("Owner"), N_("Everything in one tenant.")),
    "reader": (N_("Reader"), N_("Looks at everything in one tenant; changes nothing.")),
    "scoped": (N_("Bound to buckets"), N_("Some buckets of one tenant, with a role on each.")),
}
_SCOPE_ROLES: Final = ("maintainer", "writer", "reader")
_STATES: Final = {
    "active": ("ok", N_("Active")),
    "locked": ("bad", N_("Locked")),
    "invited": ("info", N_("Invited")),
}
_COLUMNS: Final = ("name", "role", "tenant", "status", "created_ms")


async def _list(request: Request) -> Response:
    said = language_of(request)
    rows = [{**one, **_worded(said, one)} for one in await call(request, "person.list")]
    listing = Listing(
        rows,
        request.query_params,
        _HOME,
        columns=_COLUMNS,
        searched=("name", "email", "tenant", "role"),
    )
    return await render(request, "people.html", listing=listing)


def _worded(said: Language, person: dict[str, Any]) -> dict[str, Any]:
    kind, state = _STATES[person["status"]]
    role, _ = _ROLES[person["role"]]
    return {
        "role_words": said(role),
        "kind": kind,
        "state": said(state),
        "at": person_address(person["name"]),
    }


def person_address(name: str, *parts: str) -> str:
    """The address of a person's page."""
    return "/".join((_HOME, quote(name, safe=""), *parts))


async def _new(request: Request, status: int = 200) -> Response:
    recent_only(request)
    said, operator = language_of(request), may_run(request)
    roles = [
        (name, said(title), said(words), name == "scoped")
        for name, (title, words) in _ROLES.items()
        if operator or name != "operator"
    ]
    tenants = [one["name"] for one in await call(request, "tenant.list")]
    return await render(
        request,
        "person_new.html",
        status,
        roles=roles,
        tenants=[(one, one) for one in tenants],
        crumbs=[crumb(said(N_("People")), "operator", "people")],
    )


async def _create(request: Request) -> Response:
    form, role = form_of(request), form_of(request).typed("role", "reader")
    arguments: dict[str, Any] = {
        "name": form.text("person"),
        "role": role,
        "email": form.text("email"),
        "scopes": _scopes(form) if role == "scoped" else [],
    }
    if role != "operator":
        arguments["tenant"] = form.typed("tenant") or None
    if not form.text("person"):
        form.refuse("person", N_("Give it a name."))
    if form.problems:
        return await _new(request, 422)
    try:
        made = await call(request, "person.create", **arguments)
    except Problem as problem:
        if problem.code == "PasswordRequired":
            raise
        refuse(request, form, problem, name="person")
        return await _new(request, 422)
    return _once(request, made["name"], made["invitation"])


def _scopes(form: Form) -> list[dict[str, str]]:
    """Lines `store/bucket role`; what is none is a problem of the field."""
    found = []
    for line in form.typed("scopes").splitlines():
        place, _, role = line.strip().partition(" ")
        store, _, bucket = place.partition("/")
        if not place:
            continue
        role = role.strip() or "reader"
        if not (store and bucket and role in _SCOPE_ROLES):
            form.refuse(
                "scopes", N_("A line for each: store/bucket, then maintainer, writer or reader.")
            )
            return []
        found.append({"store": store, "bucket": bucket, "role": role})
    return found


def _once(request: Request, name: str, invitation: str) -> Response:
    origin = f"{request.url.scheme}://{request.url.netloc}"
    kept = {"name": name, "address": f"{origin}/welcome?invitation={quote(invitation)}"}
    return go(f"{_HOME}/invited?once={keep_once(request, kept)}")


async def _invited(request: Request) -> Response:
    made = take_once(request, request.query_params.get("once", ""))
    if made is None:
        return go(_HOME)
    crumbs = [crumb(language_of(request)(N_("People")), "operator", "people")]
    return await render(request, "person_invited.html", made=made, crumbs=crumbs)


async def _show(request: Request, status: int = 200) -> Response:
    said, name = language_of(request), request.path_params["person"]
    person = await call(request, "person.show", name=name)
    return await render(
        request,
        "person.html",
        status,
        shown={**person, **_worded(said, person)},
        oneself=name == signed_of(request).person.name,
        crumbs=[crumb(said(N_("People")), "operator", "people")],
    )


async def _invite(request: Request) -> Response:
    name = request.path_params["person"]
    invited = await call(request, "person.invite", name=name)
    return _once(request, name, invited["invitation"])


async def _lock(request: Request) -> Response:
    return await _set(request, N_("%(name)s is locked, and signed out everywhere."), "locked")


async def _unlock(request: Request) -> Response:
    return await _set(request, N_("%(name)s may sign in again."), "active")


async def _set(request: Request, words: str, status: str) -> Response:
    name = request.path_params["person"]
    await call(request, "person.set", name=name, status=status)
    return go(person_address(name), language_of(request)(words, name=name))


async def _codes_off(request: Request) -> Response:
    name = request.path_params["person"]
    await call(request, "person.codes.off", name=name)
    said = language_of(request)(N_("%(name)s is asked for no codes any more."), name=name)
    return go(person_address(name), said)


async def _delete(request: Request) -> Response:
    name = request.path_params["person"]
    await call(request, "person.delete", name=name)
    return go(_HOME, language_of(request)(N_("%(name)s is gone, with all tokens."), name=name))


_ONE: Final = f"{_HOME}/{{person}}"
ROUTES: Final = (
    page_route(_HOME, get=_list),
    page_route("/operator/new-person", get=_new, post=_create),
    page_route(f"{_HOME}/invited", get=_invited),
    page_route(_ONE, get=_show),
    page_route(f"{_ONE}/invite", post=_invite),
    page_route(f"{_ONE}/lock", post=_lock),
    page_route(f"{_ONE}/unlock", post=_unlock),
    page_route(f"{_ONE}/codes-off", post=_codes_off),
    page_route(f"{_ONE}/delete", post=_delete),
)
