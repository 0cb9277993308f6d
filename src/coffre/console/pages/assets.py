"""Style sheets, scripts and drawings, served from the package: no other host is asked.

An address names what is in the file, so that a browser may keep it for ever.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


class Asset(NamedTuple):
    """One file, as it is and smaller."""

    body: bytes
    packed: bytes
    digest: str
    media: str


@cache
def assets() -> dict[str, Asset]:
    """All of them, by name (`files/upload.js`), read once a process."""
    return dict(_found(files("coffre.console") / "static", ""))


def asset(name: str) -> str:
    """The address of a file. Raises KeyError for one that is not there."""
    return f"/static/{name}?{assets()[name].digest}"


async def _serve(request: Request) -> Response:
    found = assets().get(request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    headers = {"Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if request.url.query == found.digest:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, 200, {**headers, "Content-Encoding": "gzip"}, found.media)
    return Response(found.body, 200, headers, found.media)


ASSET_ROUTE: Final = Route("/static/{name:path}", _serve, methods=["GET"])


def _found(folder: Traversable, path: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for one in folder.iterdir():
        media = _TYPES.get(one.name.rpartition(".")[2])
        if one.is_dir():
            found += _found(one, f"{path}{one.name}/")
        elif media is not None:
            body = one.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:16]
            found.append((path + one.name, Asset(body, gzip.compress(body, 9), digest, media)))
    return found
