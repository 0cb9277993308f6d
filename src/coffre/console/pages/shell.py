"""What every page has: who looks at it, in which language, and the frame around it.

A page is `async def page(request) -> Response`. `page_route` makes a route of it: who is not signed
in is sent to the sign-in and back, a form is held against the session's CSRF token, and a Problem
that a page leaves alone becomes a page that says it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from coffre.console import i18n, names
from coffre.console.api.entrance import sees_store
from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_, Language
from coffre.console.pages.assets import asset
from coffre.console.pages.form import Form
from coffre.console.pages.navigation import groups
from coffre.console.pages.words import said_of
from coffre.console.sessions import COOKIE
from coffre.console.signed import Signed
from coffre.console.signin import local_path
from coffre.console.web import CSRF_FIELD, SAFE, check_csrf, cookie

log = logging.getLogger("coffre.console")

Page = Callable[[Request], Awaitable[Response]]
THEME_COOKIE: Final = "coffre_theme"
THEMES: Final = ("light", "dark")
AGAIN_FIELD: Final = "again_password"
_FLASH_COOKIE: Final = "coffre_said"
_FORM_LIMIT: Final = 1 << 20
_FIELDS: Final = 5000
_YEAR_S: Final = 365 * 24 * 3600


class Flash(NamedTuple):
    """Said once, at the top of the page that a form leads to."""

    kind: str
    text: str


@cache
def environment(code: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=PackageLoader("coffre.console", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    i18n.install(made, i18n.language(code))
    made.globals["asset"] = asset
    made.filters.update(shown=names.shown, seen=names.seen, in_query=names.in_query)
    return made


def language_of(request: Request) -> Language:
    """As `?lang=`, the cookie or the browser says."""
    return i18n.language(
        i18n.choose(
            request.query_params.get("lang"),
            request.cookies.get(i18n.COOKIE),
            request.headers.get("accept-language"),
        )
    )


def signed_of(request: Request) -> Signed:
    """Who looks at the page."""
    found: Signed | None = request.state.signed
    assert found is not None, "page_route let nobody else in"
    return found


async def call(request: Request, operation: str, /, **arguments: Any) -> Any:
    """A management operation, for whoever looks at the page. Raises Problem."""
    return await console_of(request).management.call(signed_of(request), operation, arguments)


def stores_of(request: Request) -> list[dict[str, str]]:
    """Name and label of every store that this person sees, by name."""
    signed: Signed | None = request.state.signed
    if signed is None:
        return []
    seen = [
        one for one in console_of(request).parts.reader.stores() if sees_store(signed.person, one)
    ]
    return sorted(
        ({"name": one.name, "label": one.label} for one in seen), key=lambda one: one["name"]
    )


def recent_only(request: Request) -> None:
    """Go on only soon after the password was given. Raises Problem (PasswordRequired), which is
    answered with the question for it."""
    if not signed_of(request).recent:
        raise Problem("PasswordRequired")


def form_of(request: Request) -> Form:
    """What the form brought; an empty one where the page is only looked at."""
    found: Form | None = getattr(request.state, "form", None)
    return found if found is not None else Form({}, language_of(request))


def empty_form(request: Request) -> Form:
    """For the other forms of a page whose one form was sent."""
    return Form({}, language_of(request))


def refuse(request: Request, form: Form, problem: Problem, **fields: str) -> None:
    """Note an operation's refusal at the field that it is about. `fields`: the form's name of an
    argument, where it is another."""
    name = problem.field or ""
    form.problems.setdefault(fields.get(name, name), said_of(problem, language_of(request)))


async def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of a template (`buckets.html`), in its reader's language, within the frame.

    `crumbs`: pairs of words and address that lead here; `store`: the name of the store that it is
    about. What is said once is taken away with the page that says it."""
    language = language_of(request)
    signed: Signed | None = getattr(request.state, "signed", None)
    stores = stores_of(request) if signed is not None else []
    store = values.pop("store", None) or request.path_params.get("store")
    current = store or _remembered_store(stores)
    theme = request.cookies.get(THEME_COOKIE)
    said = request.cookies.get(_FLASH_COOKIE)
    frame: dict[str, Any] = {
        "csrf": "" if signed is None else signed.csrf,
        "person": None if signed is None else signed.person,
        "operator": signed is not None and signed.is_operator,
        "stores": stores,
        "store": store,
        "navigation_groups": [] if signed is None else groups(signed, current, request, language),
        "crumbs": (),
        "here": _here(request),
        "theme": theme if theme in THEMES else None,
        "flash": Flash("ok", unquote(said)) if said else None,
        "form": form_of(request),
    }
    text = environment(language.code).get_template(template).render({**frame, **values})
    response = HTMLResponse(text, status, {"Content-Language": language.code})
    response.headers["Vary"] = "Cookie, Accept-Language"
    if said:
        _set(response, _FLASH_COOKIE, "", None)
    return response


def go(address: str, said: str = "") -> Response:
    """To another page, after a form did what it should; `said` is told there."""
    response = RedirectResponse(address, 303)
    if said:
        _set(response, _FLASH_COOKIE, quote(said), 60)
    return response


def page_route(
    path: str, *, get: Page | None = None, post: Page | None = None, is_open: bool = False
) -> Route:
    """A path with its pages. `is_open`: nobody must be signed in."""
    pages = {name: page for name, page in (("GET", get), ("POST", post)) if page is not None}

    async def answer(request: Request) -> Response:
        request.state.signed = None
        try:
            return await _answered(request, pages, is_open)
        except Problem as problem:
            return await problem_page(request, problem)
        except Exception:
            where = console_of(request).doorman.where(request)
            log.exception("request %s failed", where.request_id)
            return await problem_page(request, Problem("InternalError"))

    return Route(path, answer, methods=list(pages))


async def _answered(request: Request, pages: dict[str, Page], is_open: bool) -> Response:
    at = console_of(request)
    signed = None if "authorization" in request.headers else at.doorman.signed(request)
    request.state.signed = signed
    method = "GET" if request.method == "HEAD" else request.method
    if signed is None and not is_open:
        return _to_sign_in(request)
    if request.method not in SAFE:
        form = await _read_form(request)
        request.state.form = form
        check_csrf(request, signed, form.typed(CSRF_FIELD))
        if signed is not None and form.typed(AGAIN_FIELD) and not signed.recent:
            await _prove(request, signed, form)
    try:
        return await pages[method](request)
    except Problem as problem:
        if problem.code != "PasswordRequired" or signed is None:
            raise
        return await ask_again(request)


async def _prove(request: Request, signed: Signed, form: Form) -> None:
    """The password came again with the form that needs it."""
    at, token = console_of(request), request.cookies.get(COOKIE, "")
    code = form.text("again_code")
    await at.sign_in.prove(signed, form.typed(AGAIN_FIELD), token, code)
    request.state.signed = at.doorman.signed(request)


async def ask_again(request: Request, problem: Problem | None = None) -> Response:
    """The password again, and what was typed goes on with it."""
    form = form_of(request)
    if problem is not None:
        refuse(request, form, problem)
    kept = [
        (name, value)
        for name, values in form.fields.items()
        for value in values
        if name not in (CSRF_FIELD, AGAIN_FIELD, "again_code")
    ]
    return await render(
        request,
        "again.html",
        422 if problem else 200,
        kept=kept,
        method="post" if request.method == "POST" else "get",
        second_factor=signed_of(request).person.secrets.codes is not None,
    )


async def problem_page(request: Request, problem: Problem) -> Response:
    """A page that says what went wrong."""
    form: Form | None = getattr(request.state, "form", None)
    if form is not None and form.typed(AGAIN_FIELD) and problem.code == "WrongPassword":
        return await ask_again(request, problem)
    if problem.code == "NotSignedIn":
        return _to_sign_in(request)
    language = language_of(request)
    title = {403: N_("You may not do that"), 404: N_("There is nothing here")}.get(
        problem.status, N_("That did not work")
    )
    response = await render(
        request,
        "error.html",
        problem.status,
        title=language(title),
        words=said_of(problem, language),
        request_id=console_of(request).doorman.where(request).request_id,
        store=None,
    )
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def preference(response: Response, name: str, value: str) -> None:
    """Remember a choice that is no secret, for a year; "" forgets it."""
    _set(response, name, value, _YEAR_S if value else None)


def back_path(text: str) -> str:
    """Where a form says that it came from, if that is a page of the console."""
    return local_path(text)


def crumb(words: str, *parts: str) -> tuple[str, str]:
    """One step of the way here: words, and the address of path parts."""
    return words, "/" + "/".join(quote(one, safe="") for one in parts)


async def _read_form(request: Request) -> Form:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_LIMIT:
            raise Problem("BodyTooLarge")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise Problem("UnsupportedMediaType", "a form is expected")
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
        )
    except ValueError:
        raise Problem("InvalidRequest") from None
    return Form(fields, language_of(request))


def _to_sign_in(request: Request) -> Response:
    back = _here(request) if request.method in SAFE else "/"
    query = "" if back == "/" else "?" + urlencode({"back": back})
    response = RedirectResponse(f"/signin{query}", 303)
    if "hx-request" in request.headers:
        # A part of a page cannot be a sign-in: the whole page goes there.
        return Response(status_code=204, headers={"HX-Redirect": f"/signin{query}"})
    return response


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query


def _remembered_store(stores: Sequence[dict[str, str]]) -> str | None:
    return stores[0]["name"] if stores else None


def _set(response: Response, name: str, value: str, seconds: float | None) -> None:
    response.headers.append("Set-Cookie", cookie(name, value, seconds))
