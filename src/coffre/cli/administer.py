"""The commands about a node as a whole: how it is, and sealing what is open."""

from __future__ import annotations

import click

from coffre.cli import show
from coffre.cli.complaint import Unusable
from coffre.cli.invocation import Invocation, shared


@click.command()
@shared
def status(invocation: Invocation) -> None:
    """How the node, its drives and its data are."""
    facts = invocation.call("status")
    invocation.answer(facts, lambda: show.record(facts))


@click.command()
@click.option("--now", is_flag=True, help="Seal every open chunk, the log's too, then return.")
@shared
def seal(invocation: Invocation, now: bool) -> None:
    """Code what is still mirrored: from then on any 4 drives may go."""
    if not now:
        raise Unusable("open chunks seal by themselves; to do it now say `seal --now`")
    sealed = invocation.call("seal.now")
    invocation.answer(sealed, lambda: f"Every open chunk is sealed.\n{show.record(sealed or {})}")
