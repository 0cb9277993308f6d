"""`/healthz`, `/readyz` and `/metrics` as an ASGI application, alone or before another.

Whether the process lives and the node is ready may be asked by anybody; figures, and the reasons
why it is not ready, are for who asks from this machine or has the token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from coffre.config import Settings
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.observing.exposition import OPEN, PLAIN, exposition
from coffre.service.observing.gathering import Gatherer
from coffre.service.observing.health import Health
from coffre.system.clock import Clock

log = logging.getLogger("coffre.observing")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PATHS: Final = ("/healthz", "/readyz", "/metrics")
_TEXT: Final = "text/plain; charset=utf-8"
# What says that a request was passed on: from how far, the connection does not tell.
_PASSED_ON: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"))


class _Answer(NamedTuple):
    status: int
    kind: str
    body: bytes


class Observing:
    """The application. What it does not answer goes to `inner`; without one it is not found."""

    def __init__(
        self,
        gatherer: Gatherer,
        health: Health,
        token: bytes,
        inner: Application | None = None,
    ) -> None:
        self._gatherer = gatherer
        self._health = health
        self._token = token
        self._inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if self._inner is not None and (scope["type"] != "http" or scope["path"] not in PATHS):
            await self._inner(scope, receive, send)
            return
        answer = await self._answer(scope)
        headers = [
            (b"content-type", answer.kind.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
        ]
        if answer.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: MutableMapping[str, Any]) -> _Answer:
        if scope["path"] not in PATHS:
            return _said(404, "nothing is here but /healthz, /readyz and /metrics")
        if scope["method"] not in ("GET", "HEAD"):
            return _said(405, "only GET is answered")
        if scope["path"] == "/healthz":
            return _said(200, "alive")
        known = self._is_known(scope)
        if scope["path"] == "/readyz":
            problems = await self._health.problems()
            if not problems:
                return _said(200, "ready")
            return _said(503, "\n".join(("not ready", *(problems if known else ()))))
        if not known:
            return _said(401, "metrics are for this machine, or for who has the token")
        accepted = dict(scope["headers"]).get(b"accept", b"")
        openmetrics = b"application/openmetrics-text" in accepted
        families = await asyncio.to_thread(self._gatherer.gather)
        text = exposition(families, openmetrics=openmetrics)
        return _Answer(200, OPEN if openmetrics else PLAIN, text)

    def _is_known(self, scope: MutableMapping[str, Any]) -> bool:
        headers = dict(scope["headers"])
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if self._token and kind.lower() == b"bearer":
            return hmac.compare_digest(given.strip(), self._token)
        return not (_PASSED_ON & headers.keys()) and _is_here(scope["client"])


def _is_here(client: tuple[str, int] | None) -> bool:
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _said(status: int, words: str) -> _Answer:
    return _Answer(status, _TEXT, f"{words}\n".encode())


def observing(
    settings: Settings, folder: DataFolder, clock: Clock, inner: Application | None = None
) -> Observing:
    """The application over a node's own pages; the folder is the working folder. Raises
    StartRefused for a token that cannot be read."""
    gatherer = Gatherer(folder.metrics, clock.monotonic, settings.metrics_named)
    return Observing(gatherer, Health(folder), _token(settings), inner)


def _token(settings: Settings) -> bytes:
    if not settings.metrics_token_file:
        return b""
    try:
        token = Path(settings.metrics_token_file).read_bytes().strip()
    except OSError as error:
        raise StartRefused(
            f"metrics_token_file: {settings.metrics_token_file} cannot be read: {error.strerror}"
        ) from error
    if not token:
        raise StartRefused(f"metrics_token_file: {settings.metrics_token_file} is empty")
    return token
