"""The Settings tab of a bucket: what it is, and every setting that it has, each in a form of its
own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coffre.catalog.records import store_owner_id
from coffre.console.api.problem import Problem
from coffre.console.console import console_of
from coffre.console.i18n import N_
from coffre.console.pages.bucket_frame import at, document, place_of, show_bucket
from coffre.console.pages.endpoints import endpoints
from coffre.console.pages.networks import addresses_of, quota_meters, read_quota, typed_quota
from coffre.console.pages.rights import may_change
from coffre.console.pages.rules import DAYS_RULE, days_of, rule_rows
from coffre.console.pages.shell import (
    call,
    empty_form,
    form_of,
    go,
    language_of,
    page_route,
    refuse,
    signed_of,
)

_FORMS: Final = ("days", "lock", "access", "cors", "encryption", "quota")
_VERSIONING: Final = {"enabled": "Enabled", "suspended": "Suspended"}
_UPLOADS: Final = 100
_MOST_DAYS: Final = (1 << 31) - 1
_CORS_EXAMPLE: Final = json.dumps(
    [
        {
            "allowed_origins": ["https://www.example.org"],
            "allowed_methods": ["GET", "HEAD"],
            "allowed_headers": ["*"],
            "max_age_seconds": 3600,
        }
    ],
    indent=2,
)


async def _show(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, wrong: str = "", status: int = 200) -> Response:
    """`wrong` names the form that was sent and is not right."""
    place = place_of(request)
    forms = {f"{one}_form": empty_form(request) for one in _FORMS}
    if wrong:
        forms[f"{wrong}_form"] = form_of(request)
    bucket = await call(request, "bucket.show", **place)
    lifecycle = await document(request, "bucket.lifecycle.show")
    kept_out = lifecycle is None
    rules = [] if kept_out else lifecycle["rules"]
    cors = await document(request, "bucket.cors.show")
    return await show_bucket(
        request,
        "bucket_settings.html",
        "settings",
        status,
        bucket=bucket,
        classes=await _classes(request),
        endpoints=endpoints(request, place["store"]),
        own=_is_stores_own(request, bucket),
        kept_out=kept_out,
        client=signed_of(request).where.client,
        days=days_of(rules),
        rules=rule_rows(rules, language_of(request)),
        days_rule=DAYS_RULE,
        lock=await _lock_default(request, bucket),
        cors=_cors_text(cors),
        cors_example=_CORS_EXAMPLE,
        encryption=await document(request, "bucket.encryption.show"),
        quota=typed_quota(bucket["quota"], language_of(request)),
        quotas=quota_meters(bucket, language_of(request)),
        may_set_quota=may_change(request),
        uploads=await _uploads(request),
        uploads_most=_UPLOADS,
        **forms,
    )


def _is_stores_own(request: Request, bucket: Mapping[str, Any]) -> bool:
    store = console_of(request).parts.reader.store_named(bucket["store"])
    return store is not None and bucket["owner"] == store_owner_id(store.id)


async def _classes(request: Request) -> list[dict[str, Any]]:
    """By storage class, where there is more than one."""
    rows = await call(request, "bucket.usage", **place_of(request))
    found = [one for one in rows if one["objects"]]
    return found if len(found) > 1 else []


async def _lock_default(request: Request, bucket: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if bucket["object_lock"]:
        kept = await document(request, "bucket.lock.show") or {}
    years = kept.get("years")
    return {
        "mode": kept.get("mode") or "",
        "amount": years or kept.get("days") or "",
        "unit": "years" if years else "days",
    }


async def _uploads(request: Request) -> list[dict[str, Any]] | None:
    answer = await document(request, "upload.list", limit=_UPLOADS)
    return None if answer is None else list(answer["items"])


def _cors_text(cors: dict[str, Any] | None) -> str | None:
    """The rules as one would type them."""
    if cors is None:
        return None
    rules = [
        {name: one for name, one in rule.items() if one not in (None, [])} for rule in cors["rules"]
    ]
    return json.dumps(rules, indent=2) if rules else ""


def _done(request: Request, place: str, said: str) -> Response:
    return go(f"{at(request, 'settings')}#{place}", language_of(request)(said))


async def _set_days(request: Request) -> Response:
    form = form_of(request)
    days = form.whole("days", 0, _MOST_DAYS)
    if not form.problems:
        try:
            await call(request, "lifecycle.set_days", **place_of(request), days=days)
        except Problem as problem:
            refuse(request, form, problem)
    if form.problems:
        return await _page(request, "days", 422)
    if not days:
        return _done(request, "lifecycle", N_("Objects are kept for ever."))
    said = language_of(request).plural(
        "Objects are deleted after %(num)s day.", "Objects are deleted after %(num)s days.", days
    )
    return go(f"{at(request, 'settings')}#lifecycle", said)


async def _set_versioning(request: Request) -> Response:
    status = _VERSIONING.get(form_of(request).typed("versioning"))
    if status is not None:
        await call(request, "bucket.versioning.set", **place_of(request), status=status)
    return _done(request, "versioning", N_("Versioning is as you set it."))


async def _set_lock(request: Request) -> Response:
    form = form_of(request)
    mode = form.typed("mode")
    default: dict[str, Any] = {"mode": None}
    if mode:
        most = 100 if form.typed("unit") == "years" else 36500
        amount = form.whole("amount", 1, most)
        default = {"mode": mode, form.typed("unit", "days"): amount}
    if not form.problems:
        try:
            await call(request, "bucket.lock.set", **place_of(request), **default)
        except Problem as problem:
            refuse(request, form, problem, days="amount", years="amount")
    if form.problems:
        return await _page(request, "lock", 422)
    return _done(request, "lock", N_("The default of Object Lock is as you set it."))


async def _set_access(request: Request) -> Response:
    form = form_of(request)
    network = form.typed("network", "private")
    addresses = addresses_of(form) if network == "custom" else []
    if not form.problems:
        try:
            rule = {"network": network, "addresses": addresses}
            await call(request, "bucket.network", **place_of(request), **rule)
        except Problem as problem:
            refuse(request, form, problem)
    if form.problems:
        return await _page(request, "access", 422)
    return _done(request, "access", N_("The access is as you set it."))


async def _set_cors(request: Request) -> Response:
    form = form_of(request)
    text = form.typed("cors").strip() or "[]"
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError) as error:
        form.refuse("cors", N_("This is no JSON: %(what)s."), what=error)
        return await _page(request, "cors", 422)
    try:
        await call(request, "bucket.cors.set", **place_of(request), rules=rules)
    except Problem as problem:
        where = f"{problem.field}: " if problem.field not in (None, "rules") else ""
        form.problems["cors"] = where + problem.detail
        return await _page(request, "cors", 422)
    return _done(request, "cors-rules", N_("The CORS rules are as you set them."))


async def _set_encryption(request: Request) -> Response:
    form = form_of(request)
    algorithm = form.typed("algorithm", "AES256")
    key = form.text("kms_key") or None
    chosen = {"algorithm": algorithm, "kms_key": key if algorithm != "AES256" else None}
    try:
        await call(request, "bucket.encryption.set", **place_of(request), **chosen)
    except Problem as problem:
        refuse(request, form, problem)
        return await _page(request, "encryption", 422)
    return _done(request, "encryption", N_("The encryption is as you set it."))


async def _set_quota(request: Request) -> Response:
    form = form_of(request)
    limits = read_quota(form)
    if not form.problems:
        try:
            await call(request, "bucket.set", **place_of(request), **limits)
        except Problem as problem:
            refuse(request, form, problem)
    if form.problems:
        return await _page(request, "quota", 422)
    return _done(request, "quota", N_("The quota is as you set it."))


async def _abort_upload(request: Request) -> Response:
    form = form_of(request)
    named = {"key": form.typed("key"), "upload": form.typed("upload")}
    await call(request, "upload.abort", **place_of(request), **named)
    return _done(request, "uploads", N_("The upload is aborted, and its parts are gone."))


async def _preview(request: Request) -> Response:
    """What the rules will do with what the bucket holds."""
    said = language_of(request)
    return await show_bucket(
        request,
        "lifecycle_preview.html",
        "settings",
        preview=await call(request, "lifecycle.preview", **place_of(request)),
        acts={name: said(words) for name, words in _ACTS.items()},
    )


_ACTS: Final = {
    "expire": N_("Deletes"),
    "remove": N_("Deletes old versions"),
    "abort": N_("Aborts uploads"),
    "move": N_("Moves"),
}


_TAB: Final = "/stores/{store}/buckets/{bucket}/settings"
ROUTES: Final = (
    page_route(_TAB, get=_show),
    page_route(f"{_TAB}/days", post=_set_days),
    page_route(f"{_TAB}/versioning", post=_set_versioning),
    page_route(f"{_TAB}/lock", post=_set_lock),
    page_route(f"{_TAB}/access", post=_set_access),
    page_route(f"{_TAB}/cors", post=_set_cors),
    page_route(f"{_TAB}/encryption", post=_set_encryption),
    page_route(f"{_TAB}/quota", post=_set_quota),
    page_route(f"{_TAB}/uploads", post=_abort_upload),
    page_route(f"{_TAB}/preview", get=_preview),
)
