"""The console's pages: HTML over the management operations."""

from __future__ import annotations

from starlette.routing import BaseRoute

from coffre.console.pages import accounts, buckets, endpoints, file_routes, home, signin, stores


def routes() -> list[BaseRoute]:
    """What a browser may ask for."""
    return [
        *home.ROUTES,
        *signin.ROUTES,
        *stores.ROUTES,
        *accounts.ROUTES,
        *buckets.ROUTES,
        *endpoints.ROUTES,
        *file_routes.ROUTES,
        signin.NOT_FOUND,
    ]
