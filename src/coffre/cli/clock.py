"""The commands about the clock that releases locks and lets lifecycles act."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared

_WHY = click.option("--why", default="", metavar="TEXT", help="Kept beside it in the catalog.")


@click.group()
def clock() -> None:
    """The clock that releases locks."""


@clock.command("show")
@shared
def clock_show(invocation: Invocation) -> None:
    """What it says, what others say, what is pending, and what changed it."""
    facts: dict[str, Any] = invocation.call("clock.show")
    invocation.answer(facts, lambda: show.record(facts))


@clock.command("accept")
@_WHY
@shared
def clock_accept(invocation: Invocation, why: str) -> None:
    """Put it forward to the wall clock's time, in 24 hours from now."""
    facts = invocation.call("clock.accept", why=why)
    invocation.answer(facts, lambda: show.record(facts))


@clock.command("cancel")
@_WHY
@shared
def clock_cancel(invocation: Invocation, why: str) -> None:
    """Take back what was accepted, before it takes effect."""
    facts = invocation.call("clock.cancel", why=why)
    invocation.answer(facts, lambda: show.record(facts))
