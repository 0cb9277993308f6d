"""How every fault must end: repaired, recounted, nothing below target, every byte verified."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .node import COFFRE, Node, wait_until

# How long a steward may take for what a test gives it, on a machine that does other things too.
PATIENCE_S = 90.0


def below(node: Node) -> dict[str, Any]:
    """What status says of what is below target; chunks None while nobody has counted yet."""
    counts: dict[str, Any] = node.ask("status")["below_target"] or {"chunks": None}
    return counts


def await_repair(node: Node) -> None:
    wait_until(lambda: below(node)["chunks"] == 0, "all is repaired", PATIENCE_S, every=0.1)


def repair(node: Node) -> tuple[int, dict[str, Any]]:
    """`coffre repair`: its exit code and answer."""
    done = subprocess.run(
        [COFFRE, "repair", "--data", node.data, "--json"],
        env=node.environment(0),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout, done.stderr.decode() + node.tail()
    return done.returncode, json.loads(done.stdout)


def ends_whole(node: Node) -> None:
    """The node serves; after a repair its recount is clean and every byte verifies."""
    await_repair(node)
    code, answer = repair(node)
    assert (code, answer["clean"]) == (0, True), answer
    counts = answer["below_target"]
    assert (counts["chunks"], counts["blobs"], counts["no_place"]) == (0, 0, 0), answer
    assert not counts["objects"], answer
    verdict = node.command("verify", "--deep")
    assert verdict["ok"], verdict
    assert verdict["counts"]["damage"] == verdict["counts"]["reduced"] == 0, verdict
