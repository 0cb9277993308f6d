"""A row of the API that is the operators' alone."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from coffre.console.api.route import Access, Method, Route


def operator_row(
    operation: str,
    method: Method,
    path: str,
    answer: Any,
    summary: str,
    arguments: type[Struct] | None = None,
    **more: Any,
) -> Route:
    """To see, or (all but GET) to change the system."""
    return Route(
        operation=operation,
        method=method,
        path=path,
        access=Access.OPERATOR,
        scope="system:read" if method == "GET" else "system:write",
        arguments=arguments,
        answer=answer,
        summary=summary,
        **more,
    )
