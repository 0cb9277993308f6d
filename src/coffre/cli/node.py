"""The commands that make a node and run it: `init` and `serve`."""

from __future__ import annotations

from typing import Any, Literal

import click
import msgspec

from coffre.cli import welcome
from coffre.cli.complaint import Unusable
from coffre.cli.invocation import Invocation, shared

_accept_less = click.option(
    "--accept-less",
    is_flag=True,
    help="Also where the drives cannot keep what the geometry promises.",
)


@click.command()
@_accept_less
@shared
def init(invocation: Invocation, accept_less: bool) -> None:
    """Make a region with one zone in the data folder: drives, root key, operator, first store."""
    from coffre.service import StartRefused, initialize

    settings = invocation.settings()
    try:
        facts = msgspec.to_builtins(initialize(settings, accept_less=accept_less))
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
    invocation.answer(
        facts,
        lambda: (
            f"A new region stands in {settings.data}.\n\n{welcome.credentials(facts)}\n\n"
            f"{welcome.keep(facts)}\n\n{welcome.labels(facts)}"
            f"Start it with `{welcome.start_line(invocation, settings.data)}`."
        ),
    )


@click.command()
@click.option("--host", metavar="ADDRESS", help="Listen on this address.")
@click.option("--port", type=int, metavar="N", help="The S3 port (COFFRE_PORT).")
@click.option("--workers", type=int, metavar="N", help="HTTP processes; 0: one a core.")
@click.option(
    "--engine",
    type=click.Choice(["drives", "memory"]),
    default="drives",
    help="memory: nothing on disk, gone at the end; for test suites.",
)
@_accept_less
@shared
def serve(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    workers: int | None,
    engine: str,
    accept_less: bool,
) -> None:
    """Serve S3 until told to stop; an empty data folder is initialized first."""
    from coffre.service import StartRefused, serve

    settings = invocation.settings(host=host, port=port, workers=workers)

    def announce(facts: dict[str, Any]) -> None:
        told = {key: value for key, value in facts.items() if key != "hosts"}
        first = "secret_key" in facts
        invocation.answer(
            told,
            lambda: (
                welcome.first_start(facts, kept=engine != "memory")
                if first
                else welcome.later_start(facts)
            ),
        )

    try:
        which: Literal["drives", "memory"] = "memory" if engine == "memory" else "drives"
        serve(settings, announce, which, accept_less=accept_less)
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
