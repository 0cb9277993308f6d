"""The console's pages: HTML over the management operations."""

from __future__ import annotations

from starlette.routing import BaseRoute


def routes() -> list[BaseRoute]:
    """What a browser may ask for."""
    return []
