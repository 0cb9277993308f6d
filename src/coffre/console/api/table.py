"""All rows of the management API, in groups."""

from __future__ import annotations

from typing import Final

from coffre.console.api import (
    accounting,
    accounts,
    bucket_settings,
    buckets,
    drives,
    machine,
    me,
    objects,
    people,
    policies,
    session,
    stores,
    system,
    trail,
)
from coffre.console.api.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *system.ROUTES,
    *session.ROUTES,
    *me.ROUTES,
    *people.ROUTES,
    *stores.ROUTES,
    *accounts.ROUTES,
    *buckets.ROUTES,
    *bucket_settings.ROUTES,
    *objects.ROUTES,
    *policies.ROUTES,
    *drives.ROUTES,
    *machine.ROUTES,
    *accounting.ROUTES,
    *trail.ROUTES,
)
