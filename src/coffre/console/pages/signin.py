"""Signing in and out, and the choices that need no signing in: language and theme."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from coffre.console import i18n
from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_
from coffre.console.pages.shell import (
    THEME_COOKIE,
    THEMES,
    back_path,
    form_of,
    page_route,
    preference,
    refuse,
    render,
)
from coffre.console.sessions import COOKIE
from coffre.console.signin import HALF_COOKIE, HALF_S, Half, Whole
from coffre.console.web import cookie

CALLBACK: Final = "/signin/issuer/back"


async def _show(request: Request) -> Response:
    if request.state.signed is not None:
        return RedirectResponse(back_path(request.query_params.get("back", "/")), 303)
    return await _page(request)


async def _page(request: Request, status: int = 200) -> Response:
    asked = request.query_params.get("back", "/")
    back = back_path(form_of(request).typed("back", asked))
    issuers = [
        {"name": name, "address": f"/signin/issuer?{urlencode({'name': name, 'back': back})}"}
        for name in console_of(request).parts.issuers.names()
    ]
    return await render(request, "signin.html", status, back=back, issuers=issuers)


async def _sign_in(request: Request) -> Response:
    console, form = console_of(request), form_of(request)
    where = console.doorman.where(request)
    try:
        found = await console.sign_in.by_password(form.text("name"), form.typed("password"), where)
    except Problem as problem:
        refuse(request, form, problem)
        return await _page(request, problem.status)
    back = back_path(form.typed("back"))
    if isinstance(found, Half):
        response: Response = RedirectResponse(f"/signin/code?{urlencode({'back': back})}", 303)
        response.headers.append("Set-Cookie", cookie(HALF_COOKIE, found.token, HALF_S))
        return response
    return _begun(request, found, back)


async def _show_code(request: Request) -> Response:
    if not request.cookies.get(HALF_COOKIE):
        return RedirectResponse("/signin", 303)
    return await render(
        request, "signin_code.html", back=back_path(request.query_params.get("back", "/"))
    )


async def _take_code(request: Request) -> Response:
    console, form = console_of(request), form_of(request)
    half = request.cookies.get(HALF_COOKIE, "")
    where = console.doorman.where(request)
    back = back_path(form.typed("back"))
    try:
        found = await console.sign_in.by_code(half, form.text("code"), where)
    except Problem as problem:
        if problem.code == "NotSignedIn":
            return RedirectResponse(f"/signin?{urlencode({'back': back})}", 303)
        form.refuse("code", N_("This code is not right, or was used already."))
        if problem.code != "WrongPassword":
            form.problems.clear()
            refuse(request, form, problem)
        return await render(request, "signin_code.html", problem.status, back=back)
    return _begun(request, found, back)


async def _to_issuer(request: Request) -> Response:
    back = back_path(request.query_params.get("back", "/"))
    address, token = await console_of(request).sign_in.ask_issuer(
        request.query_params.get("name", ""), _callback(request), back
    )
    response = RedirectResponse(address, 303)
    response.headers.append("Set-Cookie", cookie(HALF_COOKIE, token, HALF_S))
    return response


async def _from_issuer(request: Request) -> Response:
    console, query = console_of(request), request.query_params
    try:
        found, back = await console.sign_in.by_issuer(
            request.cookies.get(HALF_COOKIE, ""),
            query.get("state", ""),
            query.get("code", ""),
            _callback(request),
            console.doorman.where(request),
        )
    except Problem as problem:
        form = form_of(request)
        form.refuse("", N_("The sign-in elsewhere did not work: %(why)s"), why=problem.detail)
        return await _page(request, problem.status)
    return _begun(request, found, back)


def _callback(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{CALLBACK}"


def _begun(request: Request, found: Whole, back: str) -> Response:
    """A new session: whatever cookie was there before names nothing any more."""
    console = console_of(request)
    before = request.cookies.get(COOKIE)
    if before is not None:
        console.sessions.end(before)
    response = RedirectResponse(back, 303)
    session = cookie(COOKIE, found.token, console.parts.limits.session_s)
    response.headers.append("Set-Cookie", session)
    response.headers.append("Set-Cookie", cookie(HALF_COOKIE, "", None))
    return response


async def _sign_out(request: Request) -> Response:
    console_of(request).sessions.end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/signin", 303)
    response.headers.append("Set-Cookie", cookie(COOKIE, "", None))
    return response


async def _prefer(request: Request) -> Response:
    form = form_of(request)
    response = RedirectResponse(quote(back_path(form.typed("back")), safe="/?&=%+,:;@"), 303)
    if form.typed("lang") in i18n.LANGUAGES:
        preference(response, i18n.COOKIE, form.typed("lang"))
    if theme := form.typed("theme"):
        preference(response, THEME_COOKIE, theme if theme in THEMES else "")
    return response


async def _again(request: Request) -> Response:
    """The password was given once more, for a page that asked for it."""
    return RedirectResponse(back_path(form_of(request).typed("back")), 303)


async def _not_found(request: Request) -> Response:
    del request
    raise Problem("NotFound")


ROUTES: Final = (
    page_route("/signin", get=_show, post=_sign_in, is_open=True),
    page_route("/signin/code", get=_show_code, post=_take_code, is_open=True),
    page_route("/signin/issuer", get=_to_issuer, is_open=True),
    page_route(CALLBACK, get=_from_issuer, is_open=True),
    page_route("/signout", post=_sign_out),
    page_route("/preferences", post=_prefer, is_open=True),
    page_route("/again", post=_again),
)
NOT_FOUND: Final = page_route("/{rest:path}", get=_not_found, post=_not_found, is_open=True)
