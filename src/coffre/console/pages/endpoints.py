"""Where programs reach a store: its addresses, and what they have to be told."""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.endpoints import origins
from coffre.console.pages.programs import ACCESS_KEY, SECRET_KEY, Access, Snippet, snippets
from coffre.console.pages.shell import language_of, page_route

AUTHORITY: Final = "/authority.pem"


class Endpoint(NamedTuple):
    """An origin, and which zone's it is."""

    words: str
    url: str


def endpoints(request: Request, store: str) -> list[Endpoint]:
    """The addresses of a store, the first one for whoever begins."""
    parts, said = console_of(request).parts, language_of(request)
    return [
        Endpoint(
            said("Zone %(name)s", name=one.zone)
            if one.secure
            else said("Zone %(name)s, on this machine", name=one.zone),
            one.url,
        )
        for one in origins(parts, store)
    ]


def programs(
    request: Request,
    store: str,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
    bucket: str = "my-bucket",
) -> list[Snippet]:
    """Configurations for each program, for a store's first endpoint."""
    parts = console_of(request).parts
    origin = endpoints(request, store)[0].url
    own = bool(parts.facts["authority"]) and origin.startswith("https:")
    return snippets(Access(origin, parts.region, store, access_key, secret_key, bucket, own))


async def _authority(request: Request) -> Response:
    """Whom clients must trust, where the node's own authority made its certificate."""
    pem = console_of(request).parts.facts["authority"]
    if not pem:
        raise Problem("NotFound")
    headers = {"Content-Disposition": 'attachment; filename="coffre-authority.pem"'}
    return Response(pem, 200, headers, "application/x-pem-file")


ROUTES: Final = (page_route(AUTHORITY, get=_authority, is_open=True),)
