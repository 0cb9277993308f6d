"""One's own account: password, second factor, sessions, API tokens; and the invitation that begins
one."""

from __future__ import annotations

import io
from typing import Any, Final

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.account import ISSUER, Renewed
from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_, Language
from coffre.console.pages.browsers import browser_of
from coffre.console.pages.form import Form
from coffre.console.pages.once import keep_once, take_once
from coffre.console.pages.shell import (
    call,
    crumb,
    empty_form,
    form_of,
    go,
    language_of,
    page_route,
    recent_only,
    refuse,
    render,
    signed_of,
)
from coffre.console.sessions import COOKIE
from coffre.console.web import cookie
from coffre.iam.person_secrets import SCOPES

# What operations call the fields of the forms.
_FIELDS: Final = {"password": "new"}
_LIFETIMES: Final = (7, 30, 90, 365, 0)
_ROLE_WORDS: Final = {
    "operator": N_("Operator of the platform"),
    "owner": N_("Owner of the tenant"),
    "reader": N_("Reader of the tenant"),
    "scoped": N_("Bound to some buckets"),
}
_READS: Final = tuple(one for one in SCOPES if one.endswith(":read"))
_KINDS: Final = {
    "read": (N_("Read"), N_("Look at everything that you may see; change nothing."), _READS),
    "objects": (
        N_("Work with objects"),
        N_("List, download, upload and delete objects."),
        ("buckets:read", "objects:read", "objects:write", "stores:read"),
    ),
    "all": (N_("Everything that you may"), N_("As you yourself, but for your account."), SCOPES),
}


async def _show(request: Request) -> Response:
    return await _page(request, empty_form(request))


async def _page(request: Request, password_form: Form, status: int = 200) -> Response:
    said, signed = language_of(request), signed_of(request)
    person = signed.person
    sessions = [
        {**one, "browser": browser_of(one["user_agent"]) or said("Unknown program")}
        for one in await call(request, "me.session.list")
    ]
    tokens = [
        {**one, "may": _may(said, one["scopes"])} for one in await call(request, "me.token.list")
    ]
    return await render(
        request,
        "me.html",
        status,
        me={
            "name": person.name,
            "has_password": bool(person.password_hash),
            "second_factor": person.secrets.codes is not None,
            "recovery_codes": len(person.secrets.recovery),
        },
        role_words=f"{person.name} · {said(_ROLE_WORDS[person.role])}",
        password_form=password_form,
        sessions=sessions,
        tokens=tokens,
        now_ms=console_of(request).parts.clock.now_ms(),
    )


def _may(said: Language, scopes: list[str]) -> str:
    """What a token may, by the name of the choice that made it; else its scopes."""
    names = [said(name) for name, _, known in _KINDS.values() if set(known) == set(scopes)]
    return names[0] if names else ", ".join(scopes)


async def _change_password(request: Request) -> Response:
    form, signed = form_of(request), signed_of(request)
    new = form.typed("new")
    if new != form.typed("again"):
        form.refuse("again", N_("This is not the same as above."))
        return await _page(request, form, 422)
    try:
        renewed = await console_of(request).account.change_password(
            signed, form.typed("old"), new, form.text("code")
        )
    except Problem as problem:
        wrong = problem.code == "WrongPassword"
        refuse(request, form, problem, **_FIELDS)
        if wrong:
            form.problems.clear()
            form.refuse("old", N_("The password or the code is not right."))
        return await _page(request, form, 422)
    said = language_of(request)(N_("Your password is changed. Your other sessions have ended."))
    return _going_on(request, go("/me", said), renewed)


async def _show_second(request: Request) -> Response:
    recent_only(request)
    enrolment = await call(request, "me.codes.enrol")
    return await _second_page(request, enrolment["secret"], enrolment["address"])


async def _second_page(request: Request, secret: str, address: str, status: int = 200) -> Response:
    drawn = io.BytesIO()
    segno.make(address, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=0, nl=False
    )
    return await render(
        request,
        "second_factor.html",
        status,
        qr=Markup(drawn.getvalue().decode()),  # noqa: S704 (drawn here, of an address in base 32)
        secret=secret,
        shown=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        address=address,
        crumbs=[crumb(language_of(request)(N_("Your account")), "me")],
    )


async def _turn_on(request: Request) -> Response:
    form, signed = form_of(request), signed_of(request)
    recent_only(request)
    try:
        renewed = await console_of(request).account.confirm(signed, form.text("code"))
    except Problem as problem:
        if problem.code == "Conflict":
            return go("/me/second", language_of(request)(N_("It took too long: begin again.")))
        form.refuse("code", N_("This is not the code. Does your phone's clock go right?"))
        secret = form.typed("secret")
        return await _second_page(request, secret, _address(signed.person.name, secret), 422)
    name = keep_once(request, renewed.recovery_codes)
    return _going_on(request, go(f"/me/codes?once={name}"), renewed)


def _address(name: str, secret: str) -> str:
    """The same enrolment again, of which the page that was refused keeps the key."""
    plain = "".join(one for one in secret if one.isalnum())
    return f"otpauth://totp/{ISSUER}:{name}?secret={plain}&issuer={ISSUER}"


async def _turn_off(request: Request) -> Response:
    recent_only(request)
    renewed = await console_of(request).account.codes_off(signed_of(request))
    said = language_of(request)(N_("The second factor is off."))
    return _going_on(request, go("/me", said), renewed)


async def _new_codes(request: Request) -> Response:
    answer = await call(request, "me.recovery.renew")
    return go(f"/me/codes?once={keep_once(request, answer['recovery_codes'])}")


async def _codes(request: Request) -> Response:
    codes = take_once(request, request.query_params.get("once", ""))
    if codes is None:
        return go("/me")
    crumbs = [crumb(language_of(request)(N_("Your account")), "me")]
    return await render(request, "codes_once.html", codes=list(codes), crumbs=crumbs)


async def _end_session(request: Request) -> Response:
    await call(request, "me.session.end", id=form_of(request).typed("id"))
    return go("/me#sessions", language_of(request)(N_("That session has ended.")))


async def _show_token(request: Request) -> Response:
    recent_only(request)
    return await _token_page(request)


async def _token_page(request: Request, status: int = 200) -> Response:
    said = language_of(request)
    return await render(
        request,
        "token_new.html",
        status,
        scopes=[(kind, said(name), said(words)) for kind, (name, words, _) in _KINDS.items()],
        lifetimes=[(str(days), _lifetime(said, days)) for days in _LIFETIMES],
        crumbs=[crumb(said("Your account"), "me")],
    )


def _lifetime(said: Language, days: int) -> str:
    return said.duration(days * 86_400) if days else said("Never")


async def _make_token(request: Request) -> Response:
    form = form_of(request)
    scopes = _KINDS.get(form.typed("scope"), _KINDS["read"])[2]
    days = form.whole("days", 0, 3650)
    if not form.text("label"):
        form.refuse("label", N_("Give it a name."))
    if form.problems:
        return await _token_page(request, 422)
    try:
        made = await call(
            request, "me.token.create", name=form.text("label"), scopes=list(scopes), days=days
        )
    except Problem as problem:
        if problem.code == "PasswordRequired":
            raise
        refuse(request, form, problem, name="label")
        return await _token_page(request, 422)
    return go(f"/me/tokens/made?once={keep_once(request, made)}")


async def _token_once(request: Request) -> Response:
    made: dict[str, Any] | None = take_once(request, request.query_params.get("once", ""))
    if made is None:
        return go("/me#tokens")
    origin = f"{request.url.scheme}://{request.url.netloc}"
    return await render(
        request,
        "token_once.html",
        made=made["token"],
        label=made["name"],
        example=f'curl -H "Authorization: Bearer {made["token"]}" {origin}/api/v1/stores',
        crumbs=[crumb(language_of(request)(N_("Your account")), "me")],
    )


async def _revoke_token(request: Request) -> Response:
    await call(request, "me.token.delete", token=form_of(request).typed("id"))
    return go("/me#tokens", language_of(request)(N_("The token is good for nothing any more.")))


def _going_on(request: Request, response: Response, renewed: Renewed) -> Response:
    """Whoever changed how they sign in goes on in a new session."""
    seconds = console_of(request).parts.limits.session_s
    response.headers.append("Set-Cookie", cookie(COOKIE, renewed.token, seconds))
    return response


async def _show_welcome(request: Request) -> Response:
    return await _welcome(request, request.query_params.get("invitation", ""))


async def _welcome(request: Request, invitation: str, status: int = 200) -> Response:
    return await render(request, "welcome.html", status, invitation=invitation)


async def _accept(request: Request) -> Response:
    console, form = console_of(request), form_of(request)
    invitation = form.typed("invitation")
    if form.typed("new") != form.typed("again"):
        form.refuse("again", N_("This is not the same as above."))
        return await _welcome(request, invitation, 422)
    try:
        name = await console.sign_in.accept(
            invitation, form.typed("new"), console.doorman.where(request)
        )
    except Problem as problem:
        refuse(request, form, problem, **_FIELDS)
        return await _welcome(request, invitation, 422)
    said = language_of(request)(N_("Your password is set. Sign in as %(name)s."), name=name)
    return go("/signin", said)


ROUTES: Final = (
    page_route("/me", get=_show),
    page_route("/me/password", post=_change_password),
    page_route("/me/second", get=_show_second, post=_turn_on),
    page_route("/me/second/off", post=_turn_off),
    page_route("/me/codes", get=_codes, post=_new_codes),
    page_route("/me/sessions", post=_end_session),
    page_route("/me/tokens/new", get=_show_token, post=_make_token),
    page_route("/me/tokens/made", get=_token_once),
    page_route("/me/tokens/revoke", post=_revoke_token),
    page_route("/welcome", get=_show_welcome, post=_accept, is_open=True),
)
