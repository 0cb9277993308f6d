"""The commands about the audit: what happened, and whether that is all of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final

import click

from coffre.cli import show
from coffre.cli.client import Door
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import Duration, given

_SHOWN: Final = ("at_ms", "operation", "bucket", "key", "status", "error", "principal", "client")
_OUTCOMES: Final = click.Choice(["ok", "denied", "error"])


class Moment(click.ParamType[int]):
    """`2026-11-24`, `2026-11-24T10:00:00Z`, or a time ago: `15m`, `7d`. Milliseconds since 1970."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if re.fullmatch(r"[0-9]+[smhd]", str(value)):
            ago = timedelta(seconds=Duration().convert(value, param, ctx))
            return int((datetime.now(UTC) - ago).timestamp() * 1000)
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-11-24T10:00:00Z, or 7d", param, ctx)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


_CONDITIONS: Final = (
    click.option("--store", metavar="NAME", help="Of this store."),
    click.option("--tenant", metavar="NAME", help="Of this tenant's stores."),
    click.option("--bucket", metavar="NAME", help="Of buckets with this name."),
    click.option("--since", "since_ms", type=Moment(), help="From then on: a time, or 15m, 7d."),
    click.option("--until", "until_ms", type=Moment(), help="Before then."),
)
_MORE_CONDITIONS: Final = (
    click.option("--key", metavar="KEY", help="Of this object key."),
    click.option("--prefix", metavar="TEXT", help="Of keys that begin so."),
    click.option("--principal", metavar="WHO", help="By this ARN, person or access key."),
    click.option("--operation", metavar="NAME", help="PutObject, store.create, …"),
    click.option("--outcome", type=_OUTCOMES, help="How it went."),
)


def _with(
    options: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group()
def audit() -> None:
    """What happened: search, export, verify, forward."""


@audit.command("search")
@_with(_CONDITIONS)
@_with(_MORE_CONDITIONS)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Records."
)
@click.option("--after", metavar="NEXT", help="Go on where a page said.")
@shared
def audit_search(invocation: Invocation, **conditions: Any) -> None:
    """Records that meet all conditions, the newest first."""
    found: dict[str, Any] = invocation.call("audit.search", **given(**conditions))
    invocation.answer(found, lambda: _page(found))


@audit.command("export")
@_with(_CONDITIONS)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    default="jsonl",
    show_default=True,
    help="Of what is written.",
)
@click.option("--output", metavar="FILE", help="Written whole or not at all. [standard output]")
@shared
def audit_export(invocation: Invocation, form: Any, output: str | None, **conditions: Any) -> None:
    """Hand over every record that meets the conditions, the oldest first."""
    if invocation.json and output is None:
        raise Unusable("--json tells of a file that was written: name it with --output")
    chosen = given(**conditions)
    with invocation.door() as door:
        if output is None:
            _export(door, form, chosen, sys.stdout.buffer)
            return
        part = f"{output}.part"
        try:
            with open(part, "xb", opener=_private) as file:
                records = _export(door, form, chosen, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, output)
        except OSError as error:
            raise Complaint(f"{error.filename or output}: {error.strerror}") from error
        finally:
            if os.path.exists(part):
                os.unlink(part)
    told = {"file": output, "format": form, "records": records}
    invocation.answer(told, lambda: show.record(told))


@audit.command("verify")
@click.option("--anchor", metavar="HEAD", help="An earlier answer's head, which must still stand.")
@shared
def audit_verify(invocation: Invocation, anchor: str | None) -> None:
    """Compute every record's link to the one before again; exit 1 where one does not hold."""
    found: dict[str, Any] = invocation.call("audit.verify", anchor=anchor)
    invocation.answer(found, lambda: show.record(found))
    if found["verdict"] != "whole":
        raise Complaint(f"the audit is {found['verdict']}: {len(found['problems'])} problems")


@audit.command("status")
@shared
def audit_status(invocation: Invocation) -> None:
    """How many records there are, since when, where, and how far each target has them."""
    found: dict[str, Any] = invocation.call("audit.status")
    invocation.answer(found, lambda: show.record(found))


@audit.command("forward")
@click.argument("target", required=False)
@click.option("--since", "since_ms", type=Moment(), help="From when on it gets everything again.")
@shared
def audit_forward(invocation: Invocation, target: str | None, since_ms: int | None) -> None:
    """Targets and what they lack; with TARGET and --since, send one what happened since again."""
    if (target is None) is not (since_ms is None):
        raise Unusable("a target is sent again what happened since a time: give TARGET and --since")
    if target is None:
        targets = invocation.call("audit.status")["targets"]
        columns = ["name", "url", "batches_behind", "lag_s", "error"]
        nothing = "The configuration names no target: see audit_forward in docs/configuration.md."
        invocation.answer(targets, lambda: show.table(targets, columns, nothing))
        return
    done = invocation.call("audit.forward", target=target, since_ms=since_ms)
    invocation.answer(done, lambda: show.record(done))


def _page(found: dict[str, Any]) -> str:
    rows = [{name: _visible(row[name]) for name in _SHOWN} for row in found["records"]]
    lines = show.table(rows, _SHOWN, "Nothing that meets the conditions.")
    return f"{lines}\nMore: --after {found['next']}" if found["next"] else lines


def _visible(value: Any) -> Any:
    """A text without what a terminal would obey."""
    if not isinstance(value, str):
        return value
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in value) or "-"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _export(door: Door, form: Any, conditions: dict[str, Any], target: BinaryIO) -> int:
    """Write every page; how many records there were."""
    from coffre.ledger.exporting import exporting

    export, count = exporting(form), 0
    for records in _pages(door, conditions):
        target.write(export.page(records))
        count += len(records)
    for piece in export.end():
        target.write(piece)
    target.flush()
    return count


def _pages(door: Door, conditions: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    after: str | None = None
    while True:
        more = {} if after is None else {"after": after}
        page = door.call("audit.export_page", {**conditions, **more})
        yield page["records"]
        after = page["next"]
        if after is None:
            return
