"""How long a node with many objects takes to serve again: after a crash, and without its catalog.

The objects are committed by the node's own committer in this machine's own file system
(`bench.filling`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.filling import COMMAND, fill, make

_SIZE = 100
_IN_FLIGHT = 4096


@dataclass(frozen=True)
class Restart:
    """`seconds` from the command to the ready line; `recovery` as the node itself reports it."""

    objects: int
    after: str
    seconds: float
    way: str
    records: int
    recovery_seconds: float


def restarts(folder: Path, objects: int) -> list[Restart]:
    """Fill a node, crash it, start it; delete its catalog, start it again."""
    data = folder / "restart"
    make(data)
    fill(data, objects, _SIZE, _IN_FLIGHT)
    found = [_start(data, objects, "kill -9")]
    for left in data.glob("catalog.sqlite*"):
        left.unlink()
    found.append(_start(data, objects, "kill -9 and the loss of the catalog"))
    return found


def _start(data: Path, objects: int, after: str) -> Restart:
    began = time.monotonic()
    process = subprocess.Popen(
        [COMMAND, "serve", "--data", data, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COFFRE_PORT": "0"},
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError("Coffre did not start again")
    seconds = time.monotonic() - began
    said = subprocess.run(
        [COMMAND, "status", "--data", data, "--json"], check=True, capture_output=True
    )
    recovery = json.loads(said.stdout)["recovery"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    return Restart(
        objects, after, seconds, recovery["way"], recovery["records"], recovery["seconds"]
    )
