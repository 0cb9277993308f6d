"""`coffre verify`: is everything as it must be?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click
import msgspec

from coffre.cli import client
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared

_MIB = 1024 * 1024
_SHOWN = 20


@click.command()
@click.option("--deep", is_flag=True, help="Read every byte: checksums, and frames with the keys.")
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="With --deep: MiB a second at most. [100 beside a running node, else no limit]",
)
@shared
def verify(invocation: Invocation, deep: bool, rate: int | None) -> None:
    """Compare catalog, chunks and counters both ways; exit 1 where something is not as it must be.

    It changes nothing, and may run beside a node that serves.
    """
    from coffre.service.layout import StartRefused
    from coffre.service.verify import Verdict, verify_folder

    settings = invocation.settings()
    with client.opened(settings) as door:
        online = isinstance(door, client.SocketDoor)
        drives: list[dict[str, Any]] = door.call("drive.list", {})
        limit = rate or (100 if online else None)
        try:
            verdict: Verdict = verify_folder(
                settings,
                drives,
                deep=deep,
                online=online,
                rate=None if limit is None else limit * _MIB,
                progress=_progress(),
            )
        except StartRefused as refused:
            raise Unusable(str(refused)) from refused
    invocation.answer(msgspec.to_builtins(verdict), lambda: _words(verdict))
    if not verdict.ok:
        raise Complaint(verdict.verdict)


def _progress() -> Callable[[str, int, int], None]:
    """A line that is written over, on a terminal alone."""
    if not sys.stderr.isatty():
        return lambda what, done, whole: None

    def show(what: str, done: int, whole: int) -> None:
        end = "\n" if done == whole else ""
        click.echo(f"\r{what}: {done} of {whole}{end}", nl=False, err=True)

    return show


def _words(verdict: Any) -> str:
    checked = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in verdict.checked.items()
    )
    lines = [f"Looked at {checked}."]
    lines += [
        f"{one.severity or 'and'}: {one.kind}: {one.about}: {one.detail}"
        for one in verdict.findings[:_SHOWN]
    ]
    if len(verdict.findings) > _SHOWN:
        lines.append(f"and {len(verdict.findings) - _SHOWN} more: --json tells them all")
    if verdict.ok:
        lines.append(f"Verdict: {verdict.verdict}.")
    return "\n".join(lines)
