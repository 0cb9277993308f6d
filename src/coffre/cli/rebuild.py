"""The commands about the catalog's safety: `rebuild`, `snapshot` and `follower`."""

from __future__ import annotations

import sys
import time
from typing import Final

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared

_SNAPSHOT_COLUMNS: Final = ("id", "taken_ms", "record", "schema", "bytes")
_EVERY_S: Final = 0.2


class _Line:
    """How far it is, on a terminal: one line that is written over."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = 0.0
        self._shows = sys.stderr.isatty()

    def tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shows or (now - self._said < _EVERY_S and done < total):
            return
        self._said = now
        rate = done / max(now - self._began, 0.001)
        left = (total - done) / rate if rate else 0.0
        end = "\n" if done >= total else ""
        said = f"\r{done} of {total} records, {rate:.0f}/s, {left:.0f} s left \x1b[K{end}"
        click.echo(said, err=True, nl=False)


@click.command()
@click.option(
    "--from",
    "source",
    type=click.Choice(["snapshot", "log", "follower"]),
    help="What to begin with; else snapshots, then the whole log, then the follower's file.",
)
@shared
def rebuild(invocation: Invocation, source: str | None) -> None:
    """Make the catalog again from the drives, while no node runs; what was there is set aside."""
    from coffre.service import StartRefused
    from coffre.service.rebuild import RebuildFailed
    from coffre.service.rebuild import rebuild as make_again

    try:
        facts = make_again(invocation.settings(), source, _Line().tell)
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
    except RebuildFailed as failed:
        raise Complaint(str(failed)) from failed
    invocation.answer(facts, lambda: show.record(facts))
    if not facts["complete"]:
        raise Complaint(
            f"the catalog is back, but {facts['unreadable_chunks']} chunks cannot be read:"
            f" bring back {', '.join(facts['bring_back']) or 'the drives that are missing'}"
        )


@click.command()
@click.option("--now", is_flag=True, help="Take one now.")
@shared
def snapshot(invocation: Invocation, now: bool) -> None:
    """The snapshots of the catalog on the drives, the oldest first; with --now, one more."""
    if now:
        invocation.call("snapshot.now")
    found = invocation.call("snapshot.list")
    invocation.answer(found, lambda: show.table(found, _SNAPSHOT_COLUMNS, "No snapshot yet."))


@click.command()
@click.option("--compare", is_flag=True, help="Compare every row with the catalog first.")
@shared
def follower(invocation: Invocation, compare: bool) -> None:
    """How the second catalog file stands that is replayed from the log."""
    facts = invocation.call("follower.compare" if compare else "follower.status")
    invocation.answer(facts, lambda: show.record(facts))
    if facts["differs"]:
        raise Complaint(
            f"catalog and follower are not the same ({facts['differs']}): see docs/runbook.md,"
            " 'The follower differs'"
        )
