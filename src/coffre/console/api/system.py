"""The API's rows about the node as a whole, and about itself."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.activities import Activity
from coffre.console.api.openapi import document
from coffre.console.api.route import Access, Arguments, Route, Rows
from coffre.console.console import console_of
from coffre.console.signed import Signed


class OneActivity(Struct, frozen=True):
    id: str


class Status(Struct, frozen=True):
    """The node as it stands; what else an engine says is beside it."""

    version: str
    engine: str
    region: str
    zone: str


async def _openapi(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    routes = console_of(request).management.routes
    return Response(msgspec.json.encode(document(routes)), 200, None, "application/json")


ROUTES: Final = (
    Route(
        operation="api.openapi",
        method="GET",
        path="/openapi.json",
        access=Access.OPEN,
        answer=dict[str, Any],
        handler=_openapi,
        summary="This description.",
    ),
    Route(
        operation="status",
        method="GET",
        path="/status",
        access=Access.OPERATOR,
        scope="system:read",
        answer=Status,
        summary="How the node, its drives and its data are.",
    ),
    Route(
        operation="activity.list",
        method="GET",
        path="/activities",
        access=Access.ANYONE,
        answer=Activity,
        rows=Rows(key=("id",)),
        summary="Your own operations that took long, of the last seven days.",
    ),
    Route(
        operation="activity.show",
        method="GET",
        path="/activities/{id}",
        access=Access.ANYONE,
        arguments=OneActivity,
        answer=Activity,
        summary="How an operation goes that takes long.",
    ),
)
