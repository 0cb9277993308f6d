"""The end of a bucket: what will go, its name typed, and how far the emptying is."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_
from coffre.console.pages.bucket_frame import at, place_of
from coffre.console.pages.rights import may_change
from coffre.console.pages.shell import (
    call,
    crumb,
    form_of,
    go,
    language_of,
    page_route,
    refuse,
    render,
)


async def _ask(request: Request, status: int = 200) -> Response:
    place, said = place_of(request), language_of(request)
    bucket = await call(request, "bucket.show", **place)
    if bucket["emptying"]:
        return go(at(request, "delete", "progress"))
    name = place["bucket"]
    remarks = [said("All versions go, too, and uploads that are not complete.")]
    if bucket["object_lock"]:
        remarks.append(said("What Object Lock holds cannot be deleted: then nothing is."))
    return await render(
        request,
        "typed_name.html",
        status,
        title=said("Delete %(name)s", name=name),
        action=at(request, "delete"),
        back=at(request, "settings"),
        name=name,
        losses=[
            (said("Objects and versions"), said.number(bucket["objects"])),
            (said("Size"), said.exact_size(bucket["bytes"])),
            (said("Its settings, roles and policy"), said("All")),
        ],
        remarks=remarks,
        refused=not may_change(request),
        button=said("Delete the bucket"),
        crumbs=[crumb(said("Object Storage"), "buckets")],
    )


async def _delete(request: Request) -> Response:
    place, form = place_of(request), form_of(request)
    if form.text("confirm") != place["bucket"]:
        form.refuse("confirm", N_("This is not its name."))
        return await _ask(request, 422)
    try:
        await call(request, "bucket.empty", **place, confirm=form.text("confirm"))
    except Problem as problem:
        problem.field = None
        refuse(request, form, problem)
        return await _ask(request, 422)
    return go(at(request, "delete", "progress"))


async def _progress(request: Request) -> Response:
    place, said = place_of(request), language_of(request)
    going: dict[str, Any]
    try:
        going = await call(request, "bucket.emptying", **place)
    except Problem as problem:
        if problem.code != "NoSuchBucket":
            raise
        going = {"state": "gone"}
    return await render(
        request,
        "emptying.html",
        going=going,
        name=place["bucket"],
        address=at(request, "delete", "progress"),
        crumbs=[crumb(said("Object Storage"), "buckets")],
    )


_END: Final = "/stores/{store}/buckets/{bucket}/delete"
ROUTES: Final = (
    page_route(_END, get=_ask, post=_delete),
    page_route(f"{_END}/progress", get=_progress),
)
