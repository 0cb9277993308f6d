"""The Policies tab of a bucket: roles of accounts, the policy, what decides, public access."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coffre.access.actions import TARGETS, Target
from coffre.console.api.problem import Problem
from coffre.console.i18n import N_
from coffre.console.pages.accounts import ROLE_WORDS
from coffre.console.pages.bucket_frame import at, document, place_of, show_bucket
from coffre.console.pages.form import Form
from coffre.console.pages.listing import Listing
from coffre.console.pages.rights import may_see_accounts
from coffre.console.pages.shell import (
    call,
    empty_form,
    form_of,
    go,
    language_of,
    page_route,
    refuse,
)
from coffre.console.pages.words import decided_by

_ROLES: Final = ("reader", "writer", "maintainer", "write-only")
_BLOCKS: Final = (
    "block_public_acls",
    "ignore_public_acls",
    "block_public_policy",
    "restrict_public_buckets",
)
_ACTIONS: Final = tuple(name for name, on in TARGETS.items() if on is not Target.SERVICE)
_MOST_PEOPLE: Final = 500


async def _show(request: Request) -> Response:
    return await _page(request, empty_form(request))


async def _page(
    request: Request, policy_form: Form, status: int = 200, changes: Any = None
) -> Response:
    place, said = place_of(request), language_of(request)
    bucket = await call(request, "bucket.show", **place)
    accounts = await _accounts(request, bucket)
    asked = Form({name: [one] for name, one in request.query_params.items()}, said)
    listing = Listing(
        accounts,
        request.query_params,
        at(request, "policies"),
        columns=("label", "role"),
        searched=("label", "id"),
    )
    return await show_bucket(
        request,
        "policies.html",
        "policies",
        status,
        bucket=bucket,
        listing=listing,
        roles=[("", said("None")), *((role, said(ROLE_WORDS[role])) for role in _ROLES)],
        policy=await call(request, "policy.show", **place),
        policy_form=policy_form,
        example=_example(bucket["name"]),
        changes=changes,
        asked=asked,
        people=[
            ("*", said("Everybody, without keys")),
            *((one["id"], one["label"]) for one in accounts[:_MOST_PEOPLE]),
        ],
        actions=_ACTIONS,
        answer=await _explained(request, asked),
        block=await document(request, "bucket.public_access.show"),
    )


async def _accounts(request: Request, bucket: dict[str, Any]) -> list[dict[str, Any]]:
    """Every account of the store with its role; those that have one come first. Who does not see
    the store's accounts sees those with a role."""
    place = place_of(request)
    given = await call(request, "bucket.role.list", **place)
    roles = {one["id"]: one["role"] or "" for one in given}
    if may_see_accounts(request):
        known = await call(request, "user.list", store=place["store"])
    else:
        known = [{"id": one["id"], "label": one["user"], "locked": False} for one in given]
    rows = [
        {
            "id": one["id"],
            "label": one["label"],
            "locked": one["locked"],
            "role": roles.get(one["id"], ""),
            "owner": one["id"] == bucket["owner"],
        }
        for one in known
    ]
    return sorted(rows, key=lambda row: (not row["role"], row["label"].casefold()))


async def _explained(request: Request, asked: Form) -> Any:
    """What decides, if the page was asked; what was asked wrongly is a problem of its field."""
    if "action" not in asked.fields:
        return None
    question = {
        "user": asked.typed("who", "*"),
        "action": asked.text("action"),
        "key": asked.typed("key"),
        "source_ip": asked.text("source_ip"),
    }
    given = {name: value for name, value in question.items() if value}
    try:
        told = await call(request, "policy.explain", **place_of(request), **given)
    except Problem as problem:
        if problem.field == "source_ip":
            asked.refuse("source_ip", N_("This is no address."))
        refuse(request, asked, problem, user="who")
        return None
    return {**told, "by": decided_by(told["by"], language_of(request))}


async def _set_roles(request: Request) -> Response:
    """Each account whose role is another than the page showed gets it."""
    form, place, changed = form_of(request), place_of(request), 0
    for name in form.fields:
        kind, _, user = name.partition("-")
        if kind != "role" or form.typed(name) == form.typed(f"was-{user}"):
            continue
        role = form.typed(name)
        if role:
            await call(request, "bucket.role.grant", **place, user=user, role=role)
        else:
            await call(request, "bucket.role.revoke", **place, user=user)
        changed += 1
    said = language_of(request).plural(
        "%(num)s role was changed.", "%(num)s roles were changed.", changed
    )
    return go(at(request, "policies"), said)


async def _set_policy(request: Request) -> Response:
    form, place = form_of(request), place_of(request)
    text = form.typed("policy").replace("\r\n", "\n")
    if not _is_json(text, form):
        return await _page(request, form, 422)
    try:
        if form.typed("do") == "check":
            changes = await call(request, "policy.diff", **place, policy=text)
            return await _page(request, form, changes=changes)
        await call(request, "policy.set", **place, policy=text)
    except Problem as problem:
        where = f"{problem.field}: " if problem.field not in (None, "policy") else ""
        if problem.code == "MalformedPolicy":
            form.problems["policy"] = where + problem.detail
        else:
            refuse(request, form, problem)
        return await _page(request, form, 422)
    said = language_of(request)(N_("The policy is in force."))
    return go(at(request, "policies") + "#bucket-policy", said)


def _is_json(text: str, form: Form) -> bool:
    """Whether it is JSON at all; if not, the form says where that ends."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        form.refuse(
            "policy",
            N_("Line %(line)s, column %(column)s: this is no JSON (%(what)s)."),
            line=error.lineno,
            column=error.colno,
            what=error.msg,
        )
        return False
    except RecursionError:
        form.refuse("policy", N_("This is no JSON that can be read."))
        return False
    return True


async def _remove_policy(request: Request) -> Response:
    await call(request, "policy.remove", **place_of(request))
    return go(at(request, "policies"), language_of(request)(N_("The policy is removed.")))


async def _set_public(request: Request) -> Response:
    form = form_of(request)
    blocks = {name: form.ticked(name) for name in _BLOCKS}
    await call(request, "bucket.public_access.set", **place_of(request), **blocks)
    said = language_of(request)(N_("The public access block is as you set it."))
    return go(at(request, "policies") + "#public", said)


def _example(bucket: str) -> str:
    statement = {
        "Sid": "PublicFolder",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/public/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


_TAB: Final = "/stores/{store}/buckets/{bucket}/policies"
ROUTES: Final = (
    page_route(_TAB, get=_show),
    page_route(f"{_TAB}/roles", post=_set_roles),
    page_route(f"{_TAB}/policy", post=_set_policy),
    page_route(f"{_TAB}/policy/remove", post=_remove_policy),
    page_route(f"{_TAB}/public", post=_set_public),
)
