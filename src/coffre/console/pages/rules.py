"""Lifecycle rules of a bucket: said in words, and each in a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_, Language
from coffre.console.pages.bucket_frame import at, place_of, show_bucket
from coffre.console.pages.form import Form
from coffre.console.pages.shell import call, form_of, go, language_of, page_route, refuse

DAYS_RULE: Final = "coffre-days"
"""The id of the rule that the simple form makes."""
_MOST_DAYS: Final = (1 << 31) - 1
_NEWER: Final = 100
_ARCHIVED: Final = ("GLACIER", "DEEP_ARCHIVE", "GLACIER_IR")
# The form's fields by those of the operation, where a refusal names these.
_FIELDS: Final = {
    "expire_days": "days",
    "larger_than": "larger",
    "smaller_than": "smaller",
    "newer_versions_kept": "newer_noncurrent",
    "abort_uploads_days": "abort_days",
    "remove_lone_markers": "expired_marker",
    "expire_date_ms": "date",
}
_SHOWN: Final = (
    *("id", "prefix", "larger", "smaller", "tags", "days", "date", "archive_days"),
    *("noncurrent_days", "newer_noncurrent", "expired_marker", "abort_days"),
)

Rule = dict[str, Any]


def days_of(rules: Sequence[Rule]) -> int:
    """What the simple form shows: 0 where it made no rule."""
    return next((one["expire_days"] or 0 for one in rules if one["id"] == DAYS_RULE), 0)


def rule_rows(rules: Sequence[Rule], said: Language) -> list[dict[str, Any]]:
    """Each rule in words: for which objects, and what it does when."""
    return [
        {
            "id": rule["id"],
            "enabled": rule["enabled"],
            "scope": "; ".join(_scope(rule, said)) or said("All objects"),
            "acts": list(_acts(rule, said)),
        }
        for rule in rules
    ]


def _scope(rule: Rule, said: Language) -> Iterator[str]:
    if rule["prefix"]:
        yield said("names that begin with “%(prefix)s”", prefix=rule["prefix"])
    for tag in rule["tags"]:
        yield said("tag %(name)s=%(value)s", name=tag["key"], value=tag["value"])
    if rule["larger_than"] is not None:
        yield said("larger than %(size)s", size=said.size(rule["larger_than"]))
    if rule["smaller_than"] is not None:
        yield said("smaller than %(size)s", size=said.size(rule["smaller_than"]))


def _acts(rule: Rule, said: Language) -> Iterator[str]:
    if rule["expire_days"] is not None:
        yield said.plural(
            "Deletes after %(num)s day", "Deletes after %(num)s days", rule["expire_days"]
        )
    if rule["expire_date_ms"] is not None:
        yield said("Deletes on %(day)s", day=said.date(rule["expire_date_ms"]))
    for move in rule["transitions"]:
        yield said(
            "To %(storage_class)s after %(days)s days",
            storage_class=move["storage_class"],
            days=said.number(move["days"] or 0),
        )
    if rule["noncurrent_days"] is not None:
        yield said.plural(
            "Deletes old versions after %(num)s day",
            "Deletes old versions after %(num)s days",
            rule["noncurrent_days"],
        )
    if rule["newer_versions_kept"] is not None:
        yield said.plural(
            "Keeps the newest old version",
            "Keeps the newest %(num)s old versions",
            rule["newer_versions_kept"],
        )
    if rule["remove_lone_markers"]:
        yield said("Removes delete markers behind which nothing is left")
    if rule["abort_uploads_days"] is not None:
        yield said.plural(
            "Aborts uploads after %(num)s day",
            "Aborts uploads after %(num)s days",
            rule["abort_uploads_days"],
        )


async def _rules(request: Request) -> list[Rule]:
    found = await call(request, "bucket.lifecycle.show", **place_of(request))
    return list(found["rules"])


async def _show_new(request: Request) -> Response:
    return await _page(request, {}, "")


async def _show_edit(request: Request) -> Response:
    asked = request.query_params.get("id", "")
    for rule in await _rules(request):
        if rule["id"] == asked:
            return await _page(request, rule, asked)
    raise Problem("NotFound")


async def _page(
    request: Request, rule: Mapping[str, Any], old_id: str, status: int = 200
) -> Response:
    return await show_bucket(
        request,
        "rule.html",
        "settings",
        status,
        rule=_typed(rule),
        old_id=old_id,
        shown_fields=_SHOWN,
    )


def _typed(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as its form has it; what the form has no field for stays as it is."""
    date_ms = rule.get("expire_date_ms")
    return {
        "id": rule.get("id", ""),
        "enabled": rule.get("enabled", True),
        "prefix": rule.get("prefix"),
        "larger": rule.get("larger_than"),
        "smaller": rule.get("smaller_than"),
        "tags": "\n".join(f"{one['key']}={one['value']}" for one in rule.get("tags", ())),
        "days": rule.get("expire_days"),
        "date": None if date_ms is None else f"{datetime.fromtimestamp(date_ms / 1000, UTC):%F}",
        "archive_days": next(
            (
                one["days"]
                for one in rule.get("transitions", ())
                if one["storage_class"] in _ARCHIVED
            ),
            None,
        ),
        "noncurrent_days": rule.get("noncurrent_days"),
        "newer_noncurrent": rule.get("newer_versions_kept"),
        "expired_marker": bool(rule.get("remove_lone_markers")),
        "abort_days": rule.get("abort_uploads_days"),
    }


async def _save(request: Request) -> Response:
    form = form_of(request)
    old_id = form.typed("old_id")
    rules = await _rules(request)
    before = next((one for one in rules if old_id and one["id"] == old_id), {})
    rule = _read(form, before)
    if any(one["id"] == rule["id"] and one is not before for one in rules):
        form.refuse("id", N_("There is a rule of this name already."))
    if not form.problems:
        place = rules.index(before) if before else len(rules)
        changed = [*rules[:place], rule, *rules[place + bool(before) :]]
        await _put(request, form, changed)
    if form.problems:
        return await _page(request, before, old_id, 422)
    said = language_of(request)(N_("The rule is in force."))
    return go(at(request, "settings") + "#lifecycle", said)


async def _put(request: Request, form: Form, rules: list[Rule]) -> None:
    try:
        await call(request, "bucket.lifecycle.set", **place_of(request), rules=rules)
    except Problem as problem:
        # `rules[3].expire_days` is about the rule that was typed: the others stood before.
        problem.field = (problem.field or "").rpartition(".")[2]
        refuse(request, form, problem, **_FIELDS)


def _read(form: Form, before: Rule) -> Rule:
    """The rule that was typed; problems are noted in the form."""
    archive = _days(form, "archive_days")
    kept = [one for one in before.get("transitions", ()) if one["storage_class"] not in _ARCHIVED]
    moves = [] if archive is None else [{"storage_class": "GLACIER", "days": archive}]
    rule: Rule = {
        "id": form.text("id"),
        "enabled": form.ticked("enabled"),
        "prefix": form.typed("prefix") or None,
        "tags": _tags(form),
        "larger_than": form.size("larger") if form.text("larger") else None,
        "smaller_than": form.size("smaller") if form.text("smaller") else None,
        "expire_days": _days(form, "days"),
        "expire_date_ms": _date(form),
        "remove_lone_markers": form.ticked("expired_marker") or None,
        "noncurrent_days": _days(form, "noncurrent_days"),
        "newer_versions_kept": form.whole("newer_noncurrent", 1, _NEWER)
        if form.text("newer_noncurrent")
        else None,
        "abort_uploads_days": _days(form, "abort_days"),
        "transitions": [*kept, *moves],
        "noncurrent_transitions": before.get("noncurrent_transitions", []),
    }
    if not rule["id"]:
        form.refuse("id", N_("Give it a name."))
    does = ("expire_days", "expire_date_ms", "remove_lone_markers", "noncurrent_days")
    if not any(rule[one] for one in (*does, "abort_uploads_days", "transitions")):
        form.refuse("", N_("Say what the rule does: nothing is filled in."))
    return rule


def _days(form: Form, name: str) -> int | None:
    return form.whole(name, 1, _MOST_DAYS) if form.text(name) else None


def _date(form: Form) -> int | None:
    text = form.text("date")
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        form.refuse("date", N_("A day such as 2027-01-31."))
        return None
    return int(day.timestamp() * 1000)


def _tags(form: Form) -> list[dict[str, str]]:
    found = []
    for line in form.typed("tags").splitlines():
        name, _, value = line.strip().partition("=")
        if name.strip():
            found.append({"key": name.strip(), "value": value.strip()})
    return found


async def _remove(request: Request) -> Response:
    asked = form_of(request).typed("id")
    rules = [one for one in await _rules(request) if one["id"] != asked]
    await call(request, "bucket.lifecycle.set", **place_of(request), rules=rules)
    said = language_of(request)(N_("The rule is removed."))
    return go(at(request, "settings") + "#lifecycle", said)


_TAB: Final = "/stores/{store}/buckets/{bucket}/settings/rules"
ROUTES: Final = (
    page_route(_TAB, post=_save),
    page_route(f"{_TAB}/new", get=_show_new),
    page_route(f"{_TAB}/edit", get=_show_edit),
    page_route(f"{_TAB}/remove", post=_remove),
)
