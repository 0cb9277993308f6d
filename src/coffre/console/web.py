"""What every answer of the console has in common, and where a request came from."""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from coffre.console.api.problem import Problem
from coffre.console.parts import Application, Parts
from coffre.console.sessions import COOKIE, ConsoleSessions
from coffre.console.signed import Signed, Where
from coffre.console.tokens import Tokens

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
SAFE: Final = ("GET", "HEAD", "OPTIONS")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " font-src 'self'; connect-src 'self'; media-src 'self' blob:; object-src 'none';"
    " form-action 'self'; frame-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'"
)
_ALWAYS: Final = {
    b"content-security-policy": _POLICY.encode(),
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=()",
    b"cache-control": b"no-store",
}


class Headed:
    """An application whose answers carry the headers that keep browsers from harm; those that the
    application set itself stay."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                headers += [pair for pair in _ALWAYS.items() if pair[0] not in present]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sending)


class Doorman:
    """Who asks: by a token, by a session's cookie, or nobody."""

    def __init__(self, parts: Parts, sessions: ConsoleSessions) -> None:
        self._parts = parts
        self._sessions = sessions
        self._tokens = Tokens(parts)

    def where(self, request: Request) -> Where:
        """One for each request: the pages and the log name it alike."""
        known = getattr(request.state, "where", None)
        if known is None:
            client = "" if request.client is None else request.client.host
            request_id = self._parts.entropy.bytes(8).hex().upper()
            known = Where(client, request.headers.get("user-agent", "")[:200], request_id)
            request.state.where = known
        found: Where = known
        return found

    def signed(self, request: Request) -> Signed | None:
        """Raises Problem (NotSignedIn) for a token that is none, and for what carries both."""
        where = self.where(request)
        authorization = request.headers.get("authorization")
        if authorization is not None:
            kind, _, token = authorization.partition(" ")
            found = self._tokens.find(token.strip(), where) if kind.lower() == "bearer" else None
            if found is None:
                raise Problem("NotSignedIn", headers={"WWW-Authenticate": "Bearer"})
            return found
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else self._sessions.find(cookie, where)


def check_origin(request: Request) -> None:
    """Refuse a change that another site asks for. Raises Problem (BadCsrfToken)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("BadCsrfToken", "the request comes from another site")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem("BadCsrfToken", "the request comes from another site")


def check_csrf(request: Request, signed: Signed | None, given: str | None) -> None:
    """Hold a change by a session against its CSRF token (`given`: from the header, or the form's
    field). A token needs none: no browser sends it by itself. Raises Problem (BadCsrfToken)."""
    if request.method in SAFE:
        return
    check_origin(request)
    if signed is not None and signed.session and not same(given or "", signed.csrf):
        raise Problem("BadCsrfToken")


def same(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def cookie(name: str, value: str, seconds: float | None) -> str:
    """A Set-Cookie header: of this host alone, over HTTPS alone, hidden from scripts, not sent by
    other sites' forms. `seconds` None: it goes."""
    age = 0 if seconds is None else round(seconds)
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}"
