"""The commands about background work: stewards, and repair."""

from __future__ import annotations

from typing import Any, Final

import click

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared

_SHOWN: Final = ("name", "state", "left", "unit", "rate", "last_result", "last_error")


@click.group()
def steward() -> None:
    """What works in the background: list, pause, resume, run now."""


@steward.command("list")
@shared
def steward_list(invocation: Invocation) -> None:
    """Every steward: its state, what is left, its rate, its last result."""
    stewards = invocation.call("steward.list")
    invocation.answer(
        stewards,
        lambda: show.table(stewards, _SHOWN, "No steward runs: the node does not serve."),
    )


@steward.command("pause")
@click.argument("name")
@shared
def steward_pause(invocation: Invocation, name: str) -> None:
    """Let a steward begin nothing more, also after a restart, until it is resumed."""
    _answer(invocation, invocation.call("steward.pause", name=name))


@steward.command("resume")
@click.argument("name")
@shared
def steward_resume(invocation: Invocation, name: str) -> None:
    """Let a paused steward work again."""
    _answer(invocation, invocation.call("steward.resume", name=name))


@steward.command("run")
@click.argument("name")
@shared
def steward_run(invocation: Invocation, name: str) -> None:
    """Have a steward do its next round now."""
    _answer(invocation, invocation.call("steward.run", name=name))


def _answer(invocation: Invocation, standing: dict[str, Any]) -> None:
    invocation.answer(standing, lambda: show.record({key: standing[key] for key in _SHOWN}))
