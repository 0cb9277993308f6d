"""The console's pages: HTML over the management operations."""

from __future__ import annotations

from starlette.routing import BaseRoute

from coffre.console.pages import (
    accounts,
    bills,
    bucket_end,
    bucket_settings,
    buckets,
    endpoints,
    file_routes,
    home,
    me,
    people,
    platform,
    policies,
    rules,
    signin,
    stores,
    tenants,
    trail,
    usage,
)


def routes() -> list[BaseRoute]:
    """What a browser may ask for."""
    return [
        *home.ROUTES,
        *signin.ROUTES,
        *stores.ROUTES,
        *accounts.ROUTES,
        *buckets.ROUTES,
        *file_routes.ROUTES,
        *policies.ROUTES,
        *rules.ROUTES,
        *bucket_settings.ROUTES,
        *bucket_end.ROUTES,
        *me.ROUTES,
        *endpoints.ROUTES,
        *usage.ROUTES,
        *bills.ROUTES,
        *trail.ROUTES,
        *platform.ROUTES,
        *tenants.ROUTES,
        *people.ROUTES,
        signin.NOT_FOUND,
    ]
