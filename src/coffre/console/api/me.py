"""The API's rows about whoever is signed in: password, codes, sessions, tokens."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.account import Enrolment, Renewed
from coffre.console.api.route import Access, Arguments, Route, Rows
from coffre.console.api.session import Me, me_of
from coffre.console.console import Console, console_of
from coffre.console.sessions import COOKIE, SessionFacts
from coffre.console.signed import Signed
from coffre.console.web import cookie


class PasswordChange(Struct, frozen=True):
    """`code`: where one-time codes are asked for."""

    old_password: str
    password: str
    code: str = ""


class Confirmation(Struct, frozen=True):
    code: str


class RecoveryCodes(Struct, frozen=True):
    """Shown this once; each lets the person in once, in a code's place."""

    recovery_codes: list[str]


class NewCodes(Struct, frozen=True):
    """`csrf_token`: of the session that goes on."""

    recovery_codes: list[str]
    csrf_token: str


class OneSession(Struct, frozen=True):
    id: str


class ApiToken(Struct, frozen=True):
    """`expires_ms` null: it does not end; `used_ms`: when it was used last, to the minute."""

    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    used_ms: int | None


class NewApiToken(Struct, frozen=True):
    """`token` is shown this once."""

    token: str
    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    used_ms: int | None


class TokenRequest(Struct, frozen=True):
    """`days` 0: without end. Scopes are `area:read` and `area:write`."""

    name: str
    scopes: list[str]
    days: Annotated[int, Meta(ge=0, le=3650)] = 90


class OneToken(Struct, frozen=True):
    """By id, or by name."""

    token: str


def _signed(signed: Signed | None) -> Signed:
    assert signed is not None, "the row is not open"
    return signed


def _goes_on(console: Console, signed: Signed, renewed: Renewed) -> tuple[Signed, dict[str, str]]:
    """Whoever changed how they sign in, in the new session, and its cookie."""
    found = console.sessions.find(renewed.token, signed.where)
    assert found is not None, "it has just begun"
    return found, {"Set-Cookie": cookie(COOKIE, renewed.token, console.parts.limits.session_s)}


async def _change_password(
    request: Request, signed: Signed | None, arguments: Arguments
) -> Response:
    console, who = console_of(request), _signed(signed)
    given = msgspec.convert(arguments, PasswordChange)
    renewed = await console.account.change_password(
        who, given.old_password, given.password, given.code
    )
    now, headers = _goes_on(console, who, renewed)
    return Response(
        msgspec.json.encode(me_of(console.parts.reader, now)), 200, headers, "application/json"
    )


async def _confirm(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    console, who = console_of(request), _signed(signed)
    renewed = await console.account.confirm(who, arguments["code"])
    now, headers = _goes_on(console, who, renewed)
    body = msgspec.json.encode(NewCodes(list(renewed.recovery_codes), now.csrf))
    return Response(body, 200, headers, "application/json")


async def _codes_off(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    console, who = console_of(request), _signed(signed)
    now, headers = _goes_on(console, who, await console.account.codes_off(who))
    return Response(
        msgspec.json.encode(me_of(console.parts.reader, now)), 200, headers, "application/json"
    )


ROUTES: Final = (
    Route(
        operation="me.show",
        method="GET",
        path="/me",
        access=Access.ANYONE,
        answer=Me,
        summary="Who you are.",
    ),
    Route(
        operation="me.password",
        method="POST",
        path="/me/password",
        access=Access.ANYONE,
        arguments=PasswordChange,
        answer=Me,
        session_only=True,
        handler=_change_password,
        summary="Choose another password: your other sessions end.",
    ),
    Route(
        operation="me.codes.enrol",
        method="POST",
        path="/me/codes",
        access=Access.ANYONE,
        answer=Enrolment,
        session_only=True,
        sudo=True,
        summary="Begin with one-time codes: what an authenticator program is given.",
    ),
    Route(
        operation="me.codes.confirm",
        method="POST",
        path="/me/codes/confirmation",
        access=Access.ANYONE,
        arguments=Confirmation,
        answer=NewCodes,
        session_only=True,
        sudo=True,
        handler=_confirm,
        summary="The program's code: codes are asked for from now on.",
    ),
    Route(
        operation="me.codes.off",
        method="DELETE",
        path="/me/codes",
        access=Access.ANYONE,
        answer=Me,
        session_only=True,
        sudo=True,
        handler=_codes_off,
        summary="No codes are asked for any more.",
    ),
    Route(
        operation="me.recovery.renew",
        method="POST",
        path="/me/recovery-codes",
        access=Access.ANYONE,
        answer=RecoveryCodes,
        session_only=True,
        sudo=True,
        summary="Ten other recovery codes.",
    ),
    Route(
        operation="me.session.list",
        method="GET",
        path="/me/sessions",
        access=Access.ANYONE,
        answer=SessionFacts,
        rows=Rows(key=("id",)),
        session_only=True,
        summary="Where you are signed in.",
    ),
    Route(
        operation="me.session.end",
        method="DELETE",
        path="/me/sessions/{id}",
        access=Access.ANYONE,
        arguments=OneSession,
        session_only=True,
        summary="End one of your sessions.",
    ),
    Route(
        operation="me.token.list",
        method="GET",
        path="/me/tokens",
        access=Access.ANYONE,
        answer=ApiToken,
        rows=Rows(key=("id",)),
        session_only=True,
        summary="Your API tokens.",
    ),
    Route(
        operation="me.token.create",
        method="POST",
        path="/me/tokens",
        access=Access.ANYONE,
        arguments=TokenRequest,
        answer=NewApiToken,
        status=201,
        session_only=True,
        sudo=True,
        summary="A new API token, shown this once.",
    ),
    Route(
        operation="me.token.delete",
        method="DELETE",
        path="/me/tokens/{token}",
        access=Access.ANYONE,
        arguments=OneToken,
        session_only=True,
        summary="A token is good for nothing any more.",
    ),
)
