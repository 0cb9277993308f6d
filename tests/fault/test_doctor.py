"""`coffre doctor` on real folders: what it finds wrong, it found before the operator did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .client import Client
from .ledger import BUCKET
from .node import COFFRE, Node, tree


def doctor(node: Node, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the checks by name (the worst of a name)."""
    done = subprocess.run(
        [COFFRE, "doctor", "--data", node.data, "--json"],
        env={**node.environment(0), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1), done.stderr
    order = ["ok", "warn", "bad"]
    found: dict[str, dict[str, Any]] = {}
    for check in sorted(answer["checks"], key=lambda check: order.index(check["verdict"])):
        assert check["verdict"] == "ok" or check["do"], check
        found[check["name"]] = check
    return done.returncode, found


def verdicts(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["verdict"] for name, check in checks.items()}


def test_a_stopped_and_a_running_node_are_looked_at_and_nothing_is_changed(
    make_node: Callable[..., Node],
) -> None:
    node = make_node()
    before = tree(node.data)
    code, checks = doctor(node)
    assert code == 0
    assert tree(node.data) == before
    found = verdicts(checks)
    for name in ("configuration", "data folder", "permissions", "drives", "racks", "open files"):
        assert found[name] == "ok", checks[name]
    assert "12+4 over 4 racks: any 4 drives or one rack" in checks["racks"]["says"]
    node.start()
    assert Client(node).put(BUCKET, "key", b"body").status == 200
    code, checks = doctor(node)
    assert code == 0
    assert checks["service"]["says"] == "it serves"
    found = verdicts(checks)
    for name in ("root keys", "drives", "repair", "snapshots"):
        assert found[name] == "ok", checks[name]
    node.command("steward", "pause", "scrubber")
    _, checks = doctor(node)
    assert checks["stewards"]["do"] == "`coffre steward resume scrubber`"


def test_folders_of_one_disk_are_labels_only(make_node: Callable[..., Node]) -> None:
    _, checks = doctor(make_node())
    assert checks["labels"]["verdict"] == "warn"
    assert "labels only" in checks["labels"]["says"]
    assert "16 drive folders lie on one device" in checks["labels"]["says"]


def test_an_initialization_says_so_once(tmp_path: Path) -> None:
    node = Node(tmp_path / "data")
    shown = node.command("init")
    assert "one device" in shown["labels_only"]
    assert "labels_only" not in node.start().facts
    node.kill()


def test_drives_that_are_away_are_named_and_what_is_left_is_said(
    make_node: Callable[..., Node],
) -> None:
    node = make_node()
    for name in ("r1n1d1", "r1n1d2", "r1n2d1", "r1n2d2"):
        shutil.rmtree(node.data / "drives" / name)
    code, checks = doctor(node)
    assert code == 1
    assert checks["drive"]["verdict"] == "bad"
    assert "r1n" in checks["drive"]["says"]
    assert checks["racks"]["verdict"] == "warn"
    assert "8+4 over 3 racks" in checks["racks"]["says"]


def test_the_backup_of_the_keys_is_asked_for_and_its_age_known(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    node = make_node()
    assert doctor(node)[1]["key backup"]["verdict"] == "warn"
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery staple")
    words = ("--passphrase-file", str(phrase))
    node.command("key", "backup", str(tmp_path / "first"), *words)
    check = doctor(node)[1]["key backup"]
    assert (check["verdict"], check["says"]) == ("ok", "today, with every root key")
    node.command("key", "rotate")
    code, checks = doctor(node)
    assert (code, checks["key backup"]["verdict"]) == (1, "bad")
    node.command("key", "backup", str(tmp_path / "second"), *words)
    assert doctor(node)[1]["key backup"]["verdict"] == "ok"


def test_a_root_key_that_others_may_read_or_that_is_gone_is_bad(
    make_node: Callable[..., Node],
) -> None:
    node = make_node()
    node.data.chmod(0o755)
    code, checks = doctor(node)
    assert (code, checks["permissions"]["verdict"]) == (0, "warn")
    path = node.data / "root.key"
    path.chmod(0o644)
    code, checks = doctor(node)
    assert (code, checks["permissions"]["do"]) == (1, f"chmod 600 {path}")
    path.unlink()
    code, checks = doctor(node)
    assert (code, checks["root key"]["verdict"]) == (1, "bad")


def test_a_clock_that_went_back_is_bad(make_node: Callable[..., Node]) -> None:
    node = make_node()
    path = node.data / "catalog.sqlite"
    later = path.stat().st_mtime + 7200
    os.utime(path, (later, later))
    code, checks = doctor(node)
    assert (code, checks["clock"]["verdict"]) == (1, "bad")
    assert "ahead of the clock" in checks["clock"]["says"]


def test_a_full_drive_and_a_bad_setting_are_bad(make_node: Callable[..., Node]) -> None:
    node = make_node()
    code, checks = doctor(node, COFFRE_DRIVE_RESERVE=str(1 << 60))
    assert (code, checks["free space"]["verdict"]) == (1, "bad")
    assert checks["racks"]["verdict"] == "bad"
    code, checks = doctor(node, COFFRE_GEOMETRY="7+7")
    assert (code, checks["configuration"]["verdict"]) == (1, "bad")
    assert "geometry" in checks["configuration"]["says"]


def test_no_process_of_a_node_dumps_its_memory(make_node: Callable[..., Node]) -> None:
    node = make_node().start()
    for pid in (node.process.pid, *node.children()):
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], line
