"""How long `coffre rebuild` takes for many small objects: from the log alone, from a snapshot."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.filling import COMMAND, fill, make

_SIZE = 100
_IN_FLIGHT = 4096
_MORE = 100


@dataclass(frozen=True)
class RebuildTime:
    """`records` and `seconds` as the command reports them."""

    objects: int
    source: str
    records: int
    seconds: float


def rebuilds(folder: Path, objects: int) -> list[RebuildTime]:
    """Fill a node, take a snapshot, put 1 % more, crash it; make its catalog again, twice."""
    data = folder / "rebuild"
    make(data)
    fill(data, objects - objects // _MORE, _SIZE, _IN_FLIGHT)
    _command(data, "snapshot", "--now")
    fill(data, objects // _MORE, _SIZE, _IN_FLIGHT)
    return [_rebuild(data, objects, source) for source in ("log", "snapshot")]


def _rebuild(data: Path, objects: int, source: str) -> RebuildTime:
    answer = _command(data, "rebuild", "--from", source)
    if answer["source"] != source or not answer["complete"]:
        raise RuntimeError(f"the rebuild went otherwise: {answer}")
    return RebuildTime(objects, source, answer["records"], answer["seconds"])


def _command(data: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [COMMAND, *arguments, "--data", data, "--json"], check=True, capture_output=True
    )
    return json.loads(done.stdout)
