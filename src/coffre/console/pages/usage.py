"""Usage: what was held and asked for, by hour, day or month, drawn and in figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.console import console_of
from coffre.console.i18n import N_, Language
from coffre.console.pages.chart import Step, bars
from coffre.console.pages.shell import call, language_of, page_route, render, stores_of

_HOUR_MS: Final = 3_600_000
_STEPS: Final = {"hour": 48, "day": 31, "month": 13}
_STEP_WORDS: Final = {
    "hour": N_("48 hours, by the hour"),
    "day": N_("31 days, by the day"),
    "month": N_("13 months, by the month"),
}
_CLASSES: Final = ("read", "write", "list", "delete")


class Drawing(NamedTuple):
    """A chart with its title."""

    title: str
    chart: Markup


class Sum(NamedTuple):
    """What one step or one bucket comes to."""

    bytes: int = 0
    objects: int = 0
    requests: tuple[int, ...] = (0, 0, 0, 0)
    bytes_in: int = 0
    bytes_out: int = 0

    def plus(self, row: dict[str, Any]) -> Sum:
        asked = row["requests"]
        return Sum(
            self.bytes + row["bytes"],
            self.objects + row["objects"],
            tuple(
                had + asked.get(name, 0) for had, name in zip(self.requests, _CLASSES, strict=True)
            ),
            self.bytes_in + row["bytes_in"],
            self.bytes_out + row["bytes_out"],
        )


async def _show(request: Request) -> Response:
    asked, said = request.query_params, language_of(request)
    step = asked.get("step", "day")
    step = step if step in _STEPS else "day"
    whose = {name: asked[name] for name in ("store", "bucket") if asked.get(name)}
    if "store" not in whose:
        whose.pop("bucket", None)
    begins = _begins(step, console_of(request).parts.clock.now_ms())
    told = await call(request, "usage.show", **whose, since_ms=begins[0], step=step)
    now = await call(request, "usage.now", **whose)
    sums = {at_ms: Sum() for at_ms in begins}
    buckets: defaultdict[tuple[str, str], Sum] = defaultdict(Sum)
    for row in told["rows"]:
        sums[row["at_ms"]] = sums.get(row["at_ms"], Sum()).plus(row)
        if row["bucket"] is not None:
            of_bucket = {**row, "bytes": 0, "objects": 0}
            at = (row["store"], row["bucket"])
            buckets[at] = buckets[at].plus(of_bucket)
    for row in now["rows"]:
        at = (row["store"], row["bucket"])
        held = buckets[at]
        buckets[at] = held._replace(
            bytes=held.bytes + row["bytes"], objects=held.objects + row["objects"]
        )
    names = [_named(said, step, at_ms) for at_ms in sorted(sums)]
    ordered = [sums[at_ms] for at_ms in sorted(sums)]
    return await render(
        request,
        "usage.html",
        drawings=_drawings(said, names, ordered),
        steps=[(name, said(words)) for name, words in _STEP_WORDS.items()],
        step=step,
        chosen=whose.get("store", ""),
        bucket=whose.get("bucket", ""),
        options=[one["name"] for one in stores_of(request)],
        rows=list(zip(names, ordered, strict=True))[::-1],
        buckets=sorted(buckets.items(), key=lambda one: -one[1].bytes),
        total=_total(now["rows"]),
        closed_ms=now["closed_ms"],
        store=whose.get("store"),
    )


def _total(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    found = list(rows)
    return {name: sum(row[name] for row in found) for name in ("bytes", "objects", "versions")}


def _begins(step: str, now_ms: int) -> list[int]:
    """When the steps begin that are shown, the first first."""
    number = _STEPS[step]
    if step == "month":
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        months = [now.year * 12 + now.month - 1 - back for back in range(number)]
        firsts = [datetime(at // 12, at % 12 + 1, 1, tzinfo=UTC) for at in reversed(months)]
        return [round(first.timestamp() * 1000) for first in firsts]
    size = _HOUR_MS if step == "hour" else 24 * _HOUR_MS
    last = now_ms - now_ms % size
    return [last - size * back for back in reversed(range(number))]


def _named(said: Language, step: str, at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    if step == "hour":
        return f"{at:%H:%M}" if at.hour else said.date(at_ms)
    return said.month(f"{at:%Y-%m}") if step == "month" else said.date(at_ms)


def _drawings(said: Language, names: Sequence[str], sums: Sequence[Sum]) -> list[Drawing]:
    def steps(parts: Iterable[tuple[int, ...]]) -> list[Step]:
        return [Step(name, one) for name, one in zip(names, parts, strict=True)]

    kinds = [said(N_("Reads")), said(N_("Writes")), said(N_("Lists")), said(N_("Deletions"))]
    ways = [said(N_("In")), said(N_("Out"))]
    held, things = said(N_("Bytes stored")), said(N_("Objects"))
    asked, moved = said(N_("Requests")), said(N_("Traffic"))
    return [
        Drawing(held, bars(held, steps((one.bytes,) for one in sums), said.size)),
        Drawing(things, bars(things, steps((one.objects,) for one in sums), said.number)),
        Drawing(asked, bars(asked, steps(one.requests for one in sums), said.number, kinds)),
        Drawing(
            moved,
            bars(moved, steps((one.bytes_in, one.bytes_out) for one in sums), said.size, ways),
        ),
    ]


ROUTES: Final = (page_route("/usage", get=_show),)
