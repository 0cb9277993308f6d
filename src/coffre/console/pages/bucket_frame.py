"""What the pages of one bucket have in common."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_
from coffre.console.pages.buckets import bucket_address
from coffre.console.pages.rights import may_change_bucket
from coffre.console.pages.shell import call, crumb, language_of, render


def place_of(request: Request) -> dict[str, str]:
    """The store and the bucket that an address names, as operations take them."""
    return {name: str(request.path_params[name]) for name in ("store", "bucket")}


def at(request: Request, *parts: str) -> str:
    """The address of another page of the same bucket."""
    return bucket_address(*place_of(request).values(), *parts)


async def document(request: Request, operation: str, **arguments: Any) -> Any:
    """What S3 tells of the bucket; None where it keeps out whoever looks, by an address that the
    network rule does not let in, or by a policy: the pages then show what is left."""
    try:
        return await call(request, operation, **place_of(request), **arguments)
    except Problem as problem:
        if problem.code != "AccessDenied":
            raise
        return None


async def show_bucket(
    request: Request, template: str, tab: str, status: int = 200, **values: Any
) -> Response:
    """A page of one bucket, within its tabs."""
    place = place_of(request)
    frame: dict[str, Any] = {
        "tab": tab,
        "at": at(request),
        "may_change": may_change_bucket(request, **place),
        "crumbs": [crumb(language_of(request)(N_("Object Storage")), "buckets")],
    }
    if "bucket" not in values:
        values["bucket"] = await call(request, "bucket.show", **place)
    return await render(request, template, status, **{**frame, **values})
