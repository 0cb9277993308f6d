"""The API's rows about signing in and out."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from coffre.catalog.interface import Reader
from coffre.console.api.problem import Problem
from coffre.console.api.route import Access, Arguments, Route
from coffre.console.console import console_of
from coffre.console.sessions import COOKIE
from coffre.console.signed import Signed
from coffre.console.signin import Half
from coffre.console.web import cookie


class Credentials(Struct, frozen=True):
    """`code`: of the authenticator program, or a recovery code, for those who have them."""

    name: str
    password: str
    code: str = ""


class Proof(Struct, frozen=True):
    password: str
    code: str = ""


class Me(Struct, frozen=True):
    """Who is signed in. `csrf_token` goes into the header X-CSRF-Token of every change; a token
    needs none. `recent`: the password was given lately."""

    name: str
    role: str
    tenant: str | None
    email: str
    codes: bool
    recovery_codes: int
    csrf_token: str
    recent: bool
    scopes: list[str] | None


def me_of(reader: Reader, signed: Signed) -> Me:
    """What a person is told of themselves."""
    person = signed.person
    tenant = None
    if person.tenant_id is not None:
        tenant = reader.tenant(person.tenant_id)
    return Me(
        person.name,
        person.role,
        None if tenant is None else tenant.name,
        person.email,
        person.secrets.codes is not None,
        len(person.secrets.recovery),
        signed.csrf,
        signed.recent,
        None if signed.scopes is None else sorted(signed.scopes),
    )


async def _sign_in(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    console = console_of(request)
    where = console.doorman.where(request)
    given = msgspec.convert(arguments, Credentials)
    found = await console.sign_in.by_password(given.name, given.password, where, given.code)
    if isinstance(found, Half):
        raise Problem("CodeRequired", field="code")
    before = request.cookies.get(COOKIE)
    if before is not None:
        # Whoever set it there gains nothing by it.
        console.sessions.end(before)
    begun = console.sessions.find(found.token, where)
    assert begun is not None, "it has just begun"
    body = msgspec.json.encode(me_of(console.parts.reader, begun))
    header = cookie(COOKIE, found.token, console.parts.limits.session_s)
    return Response(body, 201, {"Set-Cookie": header}, "application/json")


async def _sign_out(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    console_of(request).sessions.end(request.cookies.get(COOKIE, ""))
    return Response(status_code=204, headers={"Set-Cookie": cookie(COOKIE, "", None)})


async def _prove(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    assert signed is not None, "the row is not open"
    console = console_of(request)
    given = msgspec.convert(arguments, Proof)
    token = request.cookies.get(COOKIE, "")
    await console.sign_in.prove(signed, given.password, token, given.code)
    return Response(status_code=204)


ROUTES: Final = (
    Route(
        operation="session.begin",
        method="POST",
        path="/session",
        access=Access.OPEN,
        arguments=Credentials,
        answer=Me,
        status=201,
        handler=_sign_in,
        summary="Sign in: the answer sets a cookie.",
    ),
    Route(
        operation="session.end",
        method="DELETE",
        path="/session",
        access=Access.ANYONE,
        session_only=True,
        handler=_sign_out,
        summary="Sign out.",
    ),
    Route(
        operation="session.prove",
        method="POST",
        path="/session/proof",
        access=Access.ANYONE,
        arguments=Proof,
        session_only=True,
        handler=_prove,
        summary="Give the password again, before something that cannot be undone.",
    ),
)
