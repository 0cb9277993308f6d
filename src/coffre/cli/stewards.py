"""The commands about background work: stewards, and repair."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import click

from coffre.cli import show
from coffre.cli.client import Door, SocketDoor
from coffre.cli.complaint import Complaint
from coffre.cli.drives import show_size
from coffre.cli.invocation import Invocation, shared

_LOOK_S: Final = 0.5
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
    standing = invocation.call("steward.run", name=name)
    _answer(invocation, standing)
    if standing["state"] == "failing":
        raise Complaint(f"the round failed: {standing['last_error']}: it is tried again by itself")


def _answer(invocation: Invocation, standing: dict[str, Any]) -> None:
    invocation.answer(standing, lambda: show.record({key: standing[key] for key in _SHOWN}))


@click.command()
@click.option(
    "--wait/--no-wait", default=True, help="Stay until the recount says how it is (the default)."
)
@shared
def repair(invocation: Invocation, wait: bool) -> None:
    """Make anew what is not held where it must be, and count all of it again."""
    with invocation.door() as door:
        if not isinstance(door, SocketDoor):
            raise Complaint(
                "data is repaired while the node serves: `coffre serve`, then ask again"
            )
        before = door.call("repair.status", {})["rounds"]
        asked = door.call("repair.start", {})["asked"]
        status = door.call("repair.status", {})
        if wait:
            status = _until_recounted(door, asked, before)
    clean = status["answered"] >= asked and status["recount"]["clean"]
    verdict = verdict_of(status, asked)
    invocation.answer(
        {"clean": clean, "verdict": verdict, **status},
        lambda: f"{show.record(status['below_target'])}\n{verdict}",
    )
    if wait and not clean:
        raise Complaint(verdict)


def _until_recounted(door: Door, asked: int, before: int) -> dict[str, Any]:
    """Look on until the recount that was asked for is over, or a round beyond the first `before`
    failed: an older error says nothing. Ctrl-C ends the looking alone."""
    most = 0
    shown = sys.stderr.isatty()
    while True:
        status: dict[str, Any] = door.call("repair.status", {})
        if status["asked"] < asked:
            raise Complaint(
                "the stewards were started again and do not know what was asked: ask again"
            )
        most = max(most, status["left"]["bytes"])
        if shown:
            click.echo(f"\r\x1b[K{progress_line(status, most)}", nl=False, err=True)
        failed = status["last_error"] and status["rounds"] > before
        if status["answered"] >= asked or status["paused"] or failed:
            if shown:
                click.echo(err=True)
            return status
        time.sleep(_LOOK_S)


def progress_line(status: dict[str, Any], most: int) -> str:
    """How far repair is: bytes left, rate, time left; a recount has none of these."""
    left = status["left"]
    if not left["bytes"]:
        return "counting again"
    parts = [f"{show_size(left['bytes'])} of {show_size(most)} left"]
    if left["bytes_a_second"]:
        parts += [f"{show_size(left['bytes_a_second'])}/s", f"{left['seconds']} s left"]
    return ", ".join(parts)


def verdict_of(status: dict[str, Any], asked: int) -> str:
    """One line: what the recount said, or what stands in the way and what to do."""
    stuck = status["stuck"]
    below = status["below_target"]["chunks"]
    if status["paused"]:
        return "The repairer is paused: `coffre steward resume repairer`."
    if status["last_error"]:
        return f"Repair waits: {status['last_error']}."
    if status["answered"] < asked:
        return "Repair goes on by itself; `coffre repair` shows how far it is."
    if status["recount"]["clean"]:
        return f"Recounted: {status['recount']['chunks']} chunks are held as they must be."
    if stuck["no_place"]:
        racks = ", ".join(stuck["racks_that_may"]) or "a further rack"
        return (
            f"{below} chunks are below target: no place for {stuck['no_place']} segments: replace"
            f" what is gone, or add {stuck['drives_needed']} drives or more ({racks})."
        )
    if stuck["other"]:
        return f"{below} chunks are below target: {stuck['other'][0]['reason']}."
    return f"{below} chunks are below target; `coffre drive list` shows which drives are away."
