"""The release clock on real processes whose wall clock jumps: nothing goes, whoever restarts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .client import Client
from .ledger import BUCKET
from .node import Node

YEAR_S = 365 * 24 * 3600
# Python runs it at the start of each process of the node: it moves that process's wall clock, as
# `date -s` would that of the machine.
_MOVED = "import time\n_real = time.time_ns\ntime.time_ns = lambda: _real() + {} * 10**9\n"


class Wall:
    """The wall clock of every process that is started from now on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._code = folder / "sitecustomize.py"
        self.set(0)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    def set(self, ahead_s: int) -> None:
        self._code.write_text(_MOVED.format(ahead_s))


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wall:
    folder = tmp_path / "wall"
    folder.mkdir()
    return Wall(folder, monkeypatch)


def behind(node: Node) -> tuple[int, int]:
    """Minutes, as `clock show` and `status` have it."""
    shown, status = node.ask("clock.show")["behind_s"], node.ask("status")["clock_behind_s"]
    return round(shown / 60), round(status / 60)


def objects(node: Node) -> int:
    """What is left after the expirer looked."""
    node.ask("steward.run", name="expirer")
    (bucket,) = node.ask("bucket.list")
    found: int = bucket["objects"]
    return found


def test_a_year_while_it_is_stopped_expires_nothing(
    make_node: Callable[..., Node], wall: Wall
) -> None:
    node = make_node().start()
    Client(node).put(BUCKET, "kept", b"for a day")
    node.ask("lifecycle.set_days", bucket=BUCKET, days=1)
    assert node.ask("lifecycle.preview", bucket=BUCKET)["rows"][0]["number"] == 1
    for ahead_s, end in ((YEAR_S, node.kill), (-YEAR_S, node.stop)):
        end()
        wall.set(ahead_s)
        node.start()
        assert objects(node) == 1
        assert behind(node) == (ahead_s / 60, ahead_s / 60)
        assert node.ask("status")["expiry_lag_s"] == 0
    node.stop()


def test_an_acceptance_outlives_the_process_until_it_is_cancelled(
    make_node: Callable[..., Node], wall: Wall
) -> None:
    wall.set(YEAR_S)
    node = make_node().start()
    asked = node.command("clock", "accept", "--why", "off for a year")
    assert round(asked["pending"]["ahead_s"] / 60) == YEAR_S / 60
    node.kill()
    node.start()
    assert node.ask("clock.show")["pending"]["at_ms"] == asked["pending"]["at_ms"]
    assert node.command("clock", "cancel")["pending"] is None
    shown = node.command("clock", "show")
    assert [change["kind"] for change in shown["changes"]] == ["cancelled", "asked", "begun"]
    assert shown["changes"][1]["why"] == "off for a year"
    assert "AcceptClock by an operator" in node.log.read_text()
    node.stop()
