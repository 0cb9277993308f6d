"""Drives come, go, fail and return while the node serves; what was acknowledged stays."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coffre.vault.superblock import SLOT_BYTES

from .client import Client
from .conftest import LONG
from .ledger import BUCKET, Ledger, check, value_of
from .load import Load
from .node import COFFRE, Node, wait_until
from .whole import ends_whole

PATIENCE_S = 60.0


def drives(node: Node) -> dict[str, dict[str, Any]]:
    """Rows of `coffre drive list`: by folder's name, or by id for a drive without a place."""
    rows = node.ask("drive.list") if node.running else node.command("drive", "list")
    return {Path(row["path"]).name if row["path"] else row["id"]: row for row in rows}


def state(node: Node, name: str) -> str:
    return str(drives(node)[name]["state"])


def until_state(node: Node, name: str, wanted: str, patience: float = PATIENCE_S) -> None:
    wait_until(lambda: state(node, name) == wanted, f"{name} is {wanted}", patience, every=0.1)


def new_folder(node: Node, name: str) -> Path:
    folder = node.data / "drives" / name
    folder.mkdir()
    return folder


def fifth_rack(node: Node) -> None:
    """Four more drives: then one may go and 12+4 still has its places."""
    for number in range(1, 5):
        folder = new_folder(node, f"r5n{(number + 1) // 2}d{2 - number % 2}")
        node.command("drive", "add", str(folder), "--node", folder.name[:4], "--rack", "r5")


def files_on(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".mirror", ".segment")]


def said_no(node: Node, *arguments: str) -> str:
    """What a command says that is expected to fail."""
    done = subprocess.run(
        [COFFRE, *arguments, "--data", node.data, "--json"],
        env=node.environment(0),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, (done.returncode, done.stderr)
    return done.stderr.decode()


def test_drives_are_added_under_load_and_found_again(
    make_node: Callable[..., Node], seed: int
) -> None:
    node = make_node(seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(50)
        fifth_rack(node)
        new = node.data / "drives" / "r5n1d1"
        wait_until(lambda: files_on(new), "the new drive is used", PATIENCE_S)
        load.goes_on(50)
        node.kill()
        node.start()
        load.goes_on(50)
    assert len(drives(node)) == 20
    assert state(node, "r5n1d1") == "present"
    check(node, ledger)
    assert "overlap" in said_no(node, "drive", "add", str(new), "--node", "n", "--rack", "r")
    full = node.data / "elsewhere"
    full.mkdir()
    (full / "letter").touch()
    assert "not empty" in said_no(node, "drive", "add", str(full), "--node", "n", "--rack", "r")


def test_a_drive_is_emptied_over_kills_and_removed(
    make_node: Callable[..., Node], seed: int
) -> None:
    node = make_node(seal_after="1").start()
    fifth_rack(node)
    ledger = Ledger()
    load = Load(node, ledger, seed)
    going = node.data / "drives" / "r1n1d1"
    with load.running():
        load.goes_on(150)
    wait_until(lambda: drives(node)["r1n1d1"]["left_chunks"], "it holds something")
    assert "drain" in said_no(node, "drive", "remove", str(going))
    node.command("drive", "drain", str(going), "--no-wait")
    with load.running():
        load.goes_on(20)
        node.kill()
        node.start()
        load.goes_on(20)
    assert drives(node)["r1n1d1"]["intent"] == "drain"
    (row,) = node.command("drive", "drain", str(going), "--wait")
    assert (row["left_chunks"], row["left_bytes"]) == (0, 0)
    check(node, ledger)
    node.command("drive", "remove", str(going))
    assert not (going / "superblock").exists()
    shutil.rmtree(going)
    assert "r1n1d1" not in drives(node)
    node.kill()
    node.start()
    assert len(drives(node)) == 19
    check(node, ledger)
    ends_whole(node)


def test_emptying_is_refused_where_the_promise_would_break_and_can_be_cancelled(
    make_node: Callable[..., Node],
) -> None:
    node = make_node().start()
    going = str(node.data / "drives" / "r1n1d1")
    assert "--accept-less" in said_no(node, "drive", "drain", going)
    assert "--accept-less" in said_no(node, "node", "drain", "r1n1")
    fifth_rack(node)
    assert node.command("drive", "drain", going, "--no-wait")[0]["intent"] == "drain"
    assert node.command("drive", "drain", going, "--cancel")[0]["intent"] == ""
    assert {row["intent"] for row in node.command("node", "drain", "r1n1")} == {"drain"}
    assert node.stop() == 0
    assert drives(node)["r1n1d2"]["intent"] == "drain"
    node.command("node", "drain", "r1n1", "--cancel")
    rows = {row["node"]: row for row in node.command("node", "list")}
    assert rows["r1n1"]["states"] == ["present"]


@pytest.mark.parametrize("where", ["running", "stopped"] if LONG else ["running"])
def test_a_drive_that_is_replaced_by_an_empty_folder(
    make_node: Callable[..., Node], seed: int, tmp_path: Path, where: str
) -> None:
    node = make_node(seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(100)
    folder = node.data / "drives" / "r2n1d1"
    old = drives(node)["r2n1d1"]["id"]
    if where == "stopped":
        assert node.stop() == 0
    folder.rename(tmp_path / "old disk")
    folder.mkdir()
    if where == "stopped":
        node.start()
    until_state(node, "r2n1d1", "missing")
    if where == "running":
        wait_until(
            lambda: "drive replace" in drives(node)["r2n1d1"]["reason"], "the operator is told"
        )
    check(node, ledger)
    assert not list(folder.iterdir()), "nothing is put in a folder that nobody spoke of"
    node.command("drive", "replace", str(folder))
    new = drives(node)["r2n1d1"]
    assert (new["state"], new["id"] != old) == ("present", True)
    with load.running():
        load.goes_on(30)
    wait_until(lambda: old not in drives(node), "the old drive is forgotten", PATIENCE_S)
    check(node, ledger)
    ends_whole(node)
    node.kill()
    # The old disk is put back where it was: it is nobody's any more, and is not trusted.
    shutil.rmtree(folder)
    (tmp_path / "old disk").rename(folder)
    refusal = node.refused()
    assert "not of this zone" in refusal.said


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whoever opens a file below from now on meets a file system that takes no writes."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    try:
        subprocess.run(["mount", "--bind", folder, folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_drive_that_turns_read_only_is_set_aside_and_comes_back(
    make_node: Callable[..., Node], seed: int
) -> None:
    node = make_node(seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(50)
        with read_only(node.data / "drives" / "r3n1d1"):
            until_state(node, "r3n1d1", "failed", 10.0)
            assert "Read-only" in drives(node)["r3n1d1"]["reason"]
            load.goes_on(50)
        until_state(node, "r3n1d1", "present")
        load.goes_on(50)
    check(node, ledger)


def test_a_rack_that_is_away_narrows_what_is_sealed_and_the_operator_sees_it(
    make_node: Callable[..., Node], seed: int, tmp_path: Path
) -> None:
    node = make_node(seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    rack = [folder for folder in node.drive_folders() if folder.name.startswith("r4")]
    with load.running():
        load.goes_on(50)
        _move(rack, tmp_path)
        until_state(node, "r4n1d1", "missing")
        wait_until(lambda: "8+4" in _kept(node), "8+4 is sealed", PATIENCE_S)
        load.goes_on(50)
        for folder in rack:
            (tmp_path / folder.name).rename(folder)
        for folder in rack:
            until_state(node, folder.name, "present")
        wait_until(lambda: "12+4" in _kept(node), "12+4 is sealed again", PATIENCE_S)
    check(node, ledger)


def test_a_lost_mirror_of_what_nobody_writes_to_is_made_up_for(
    make_node: Callable[..., Node], tmp_path: Path, chance: random.Random
) -> None:
    node = make_node(seal_after="600").start()
    body = chance.randbytes(40_000)
    assert Client(node).put(BUCKET, "kept", body).status == 200
    mirrors = [path for path in node.data.rglob("*.mirror") if path.stat().st_size > 40_000]
    lost = mirrors[0].parents[2]
    _move([lost], tmp_path)

    def is_made_up_for() -> bool:
        # What was sealed over all sixteen drives has no place for its sixteenth segment.
        groups = [one for one in node.ask("status")["exposure"] if one["kept"] != "12+4"]
        return all(not group["members_away"] for group in groups)

    until_state(node, lost.name, "missing", 5.0)
    wait_until(is_made_up_for, "everything survives as much as before", 10.0)
    answer = Client(node).get(BUCKET, "kept")
    assert value_of(answer.body) == value_of(body)


@pytest.mark.parametrize("catalog", ["kept", "gone"] if LONG else ["gone"])
def test_superblocks_of_eleven_drives_are_made_again_from_the_other_five(
    make_node: Callable[..., Node], seed: int, chance: random.Random, catalog: str
) -> None:
    node = make_node(seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(100)
    node.command("seal", "--now")
    assert node.stop() == 0
    folders = node.drive_folders()
    kept = {folder: (folder / "superblock").read_bytes() for folder in folders}
    chance.shuffle(folders)
    for folder in folders[:12]:
        (folder / "superblock").unlink()
    assert "can be read" in node.refused().said
    (folders[11] / "superblock").write_bytes(kept[folders[11]])
    if catalog == "gone":
        node.forget_catalog()
    node.start()
    for folder in folders:
        until_state(node, folder.name, "present")
        assert (folder / "superblock").stat().st_size == 2 * SLOT_BYTES
    check(node, ledger)
    ends_whole(node)


def test_a_region_that_cannot_keep_its_promise_is_made_only_when_told_to(tmp_path: Path) -> None:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [COFFRE, *arguments, "--config", tmp_path / "coffre.toml"],
            env={**os.environ, **settings},
            capture_output=True,
            check=False,
        )

    def configure(places: Sequence[tuple[str, str]], geometry: str) -> None:
        lines = [f'data = "{tmp_path / "data"}"', f'geometry = "{geometry}"']
        for number, (node, rack) in enumerate(places):
            (tmp_path / f"d{number}").mkdir(exist_ok=True)
            lines += ["[[drives]]", f'path = "{tmp_path / f"d{number}"}"']
            lines += [f'node = "{node}"', f'rack = "{rack}"']
        (tmp_path / "coffre.toml").write_text("\n".join(lines))

    two_racks = [(f"n{number}", f"r{number % 2}") for number in range(6)]
    configure(two_racks, "4+2")
    refused = run("init")
    assert refused.returncode == 2
    assert b"loss of a rack" in refused.stderr
    assert b"--accept-less" in refused.stderr
    assert not (tmp_path / "data" / "root.key").exists()
    assert run("init", "--accept-less").returncode == 0
    # What was accepted is not asked again; a geometry that promises more is.
    assert run("status").returncode == 0
    changed = run("status", COFFRE_GEOMETRY="12+4")
    assert (changed.returncode, b"12+4 takes 16 drives" in changed.stderr) == (2, True)
    assert run("status").returncode == 0


def test_a_changed_geometry_holds_for_what_is_written_from_then_on(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(geometry="4+2").start()
    assert Client(node).put(BUCKET, "new", chance.randbytes(3 << 20)).status == 200
    node.command("seal", "--now")
    assert "4+2" in _kept(node)
    assert node.stop() == 0


def _kept(node: Node) -> set[str]:
    return {group["kept"] for group in node.ask("status")["exposure"]}


def _move(folders: Sequence[Path], away: Path) -> None:
    for folder in folders:
        folder.rename(away / folder.name)
