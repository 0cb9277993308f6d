"""The commands that let a zone grow and shrink: `drive` and `node`."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import click

from coffre.cli import show
from coffre.cli.client import Door, SocketDoor
from coffre.cli.complaint import Complaint
from coffre.cli.invocation import Invocation, shared

_LOOK_S: Final = 1.0
_COLUMNS: Final = ("path", "node", "rack", "state", "intent", "free", "left", "reason", "id")
_NODE_COLUMNS: Final = ("node", "rack", "drives", "states", "free", "left")
Rows = list[dict[str, Any]]


@click.group()
def drive() -> None:
    """Drives: what they are, and how a zone grows and shrinks."""


@drive.command("list")
@shared
def drive_list(invocation: Invocation) -> None:
    """Every drive with its folder, node, rack, state, and what is left on it."""
    drives = invocation.call("drive.list")
    invocation.answer(drives, lambda: _table(drives))


@drive.command("add")
@click.argument("path")
@click.option("--node", metavar="NAME", help="The node that it stands in.")
@click.option("--rack", metavar="NAME", help="The rack that it stands in.")
@shared
def drive_add(invocation: Invocation, path: str, node: str | None, rack: str | None) -> None:
    """Make an empty folder a drive of the zone, at once and without a restart."""
    drives = invocation.call("drive.add", path=os.path.abspath(path), node=node, rack=rack)
    _done(invocation, drives, "It takes new data from now on.")


_wait = click.option(
    "--wait/--no-wait",
    default=None,
    help="Stay until nothing is left on it. On a terminal that is the default.",
)
_cancel = click.option("--cancel", is_flag=True, help="Stop: it takes new data again.")
_accept_less = click.option(
    "--accept-less", is_flag=True, help="Also where what stays cannot keep the geometry's promise."
)


@drive.command("drain")
@click.argument("name", metavar="DRIVE")
@_cancel
@_accept_less
@_wait
@shared
def drive_drain(
    invocation: Invocation, name: str, cancel: bool, accept_less: bool, wait: bool | None
) -> None:
    """Empty a drive (its path or id), so that it can be removed; goes on by itself."""
    _drain(invocation, {"drive": _named(name)}, cancel=cancel, accept_less=accept_less, wait=wait)


@drive.command("remove")
@click.argument("name", metavar="DRIVE")
@shared
def drive_remove(invocation: Invocation, name: str) -> None:
    """Let the zone forget a drive (its path or id) that nothing needs any more."""
    drives = invocation.call("drive.remove", drive=_named(name))
    _done(invocation, drives, "It is no drive of this zone any more.")


@drive.command("replace")
@click.argument("name", metavar="DRIVE")
@click.option("--path", metavar="PATH", help="Where the new one stands, if not in the same place.")
@shared
def drive_replace(invocation: Invocation, name: str, path: str | None) -> None:
    """Take an empty folder for a new drive in the place of one (its path or id) that is gone."""
    place = None if path is None else os.path.abspath(path)
    drives = invocation.call("drive.replace", drive=_named(name), path=place)
    _done(invocation, drives, "What the old one held is made again by the repair steward.")


@click.group()
def node() -> None:
    """Nodes: all drives of one at once."""


@node.command("list")
@shared
def node_list(invocation: Invocation) -> None:
    """Every node with its rack, its drives and what is left on them."""
    nodes = invocation.call("node.list")
    invocation.answer(
        nodes, lambda: show.table([_sized(row) for row in nodes], _NODE_COLUMNS, "No node.")
    )


@node.command("drain")
@click.argument("name", metavar="NODE")
@_cancel
@_accept_less
@_wait
@shared
def node_drain(
    invocation: Invocation, name: str, cancel: bool, accept_less: bool, wait: bool | None
) -> None:
    """Empty all drives of a node, so that it can be removed; goes on by itself."""
    _drain(invocation, {"node": name}, cancel=cancel, accept_less=accept_less, wait=wait)


@node.command("remove")
@click.argument("name", metavar="NODE")
@shared
def node_remove(invocation: Invocation, name: str) -> None:
    """Let the zone forget all drives of a node, when nothing needs any of them."""
    drives = invocation.call("drive.remove", node=name)
    _done(invocation, drives, "The node has no drive in this zone any more.")


def _drain(
    invocation: Invocation,
    which: dict[str, str],
    *,
    cancel: bool,
    accept_less: bool,
    wait: bool | None,
) -> None:
    with invocation.door() as door:
        if cancel:
            drives = door.call("drive.cancel", which)
            _done(invocation, drives, "It takes new data again; what was moved stays moved.")
            return
        drives = door.call("drive.drain", {**which, "accept_less": accept_less})
        if wait is None:
            wait = sys.stderr.isatty() and isinstance(door, SocketDoor)
        if wait and not isinstance(door, SocketDoor):
            raise Complaint(
                "it is to be emptied from now on; data moves while the node serves: `coffre serve`"
            )
        if wait:
            drives = _until_empty(door, {row["id"] for row in drives})
    empty = not any(row["left_chunks"] for row in drives)
    if wait and not empty:
        raise Complaint(
            "emptying was stopped before nothing was left (`--cancel`): ask for it again, or look "
            "at `coffre drive list`"
        )
    said = "Nothing needs it any more: `coffre drive remove`." if empty else "It goes on by itself."
    _done(invocation, drives, said)


def _until_empty(door: Door, ids: set[str]) -> Rows:
    """Look on until nothing is left. Ctrl-C ends the looking, not the draining."""
    most = 0
    while True:
        rows: Rows = [row for row in door.call("drive.list", {}) if row["id"] in ids]
        left = sum(row["left_bytes"] for row in rows)
        most = max(most, left)
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{progress_line(rows, most)}", nl=False, err=True)
        if not any(row["left_chunks"] for row in rows) or not any(row["intent"] for row in rows):
            if sys.stderr.isatty():
                click.echo(err=True)
            return rows
        time.sleep(_LOOK_S)


def progress_line(rows: Rows, most: int) -> str:
    """How far drives are that are being emptied: bytes left, rate, time left."""
    left = sum(row["left_bytes"] for row in rows)
    rate = sum(row["bytes_per_second"] or 0 for row in rows)
    chunks = sum(row["left_chunks"] for row in rows)
    parts = [f"{show_size(left)} of {show_size(most)} left in {chunks} chunks"]
    if rate:
        parts += [f"{show_size(rate)}/s", f"{_duration(left // rate)} left"]
    return ", ".join(parts)


def show_size(count: int) -> str:
    """Bytes for people: three digits or so, binary units."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _duration(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _named(name: str) -> str:
    """A drive as typed: a path is made absolute, an id is left alone."""
    return os.path.abspath(name) if os.sep in name or os.path.isdir(name) else name


def _done(invocation: Invocation, drives: Rows, said: str) -> None:
    invocation.answer(drives, lambda: f"{_table(drives)}\n{said}")


def _table(drives: Rows) -> str:
    return show.table([_sized(row) for row in drives], _COLUMNS, "No drive.")


def _sized(row: dict[str, Any]) -> dict[str, Any]:
    free = row["free_bytes"]
    return {
        **row,
        "free": None if free is None else show_size(free),
        "left": show_size(row["left_bytes"]),
    }
