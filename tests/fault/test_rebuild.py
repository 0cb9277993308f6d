"""A lost catalog on real folders and processes: follower, snapshots, log; what is cut by kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.filling import fill, make
from coffre.catalog.schema import LOGGED_TABLES, open_any, open_writer
from coffre.testing.catalog import dump

from .client import Client
from .node import COFFRE, COMMAND_S, Node, copy_of, wait_until
from .whole import ends_whole

BUCKET = "kept"
LONG = bool(os.environ.get("COFFRE_LONG"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A stopped node with two snapshots, objects before, between and behind them, all sealed."""
    node = Node(tmp_path_factory.mktemp("rebuild") / "data").start()
    # It would take away what the snapshots cover of the log, and some tests want the whole of it.
    node.command("steward", "pause", "collector")
    client = Client(node)
    client.make_bucket(BUCKET)
    for part in range(3):
        for n in range(20):
            client.put(BUCKET, f"{part}/{n}", body(part, n))
        if part < 2:
            node.command("seal", "--now")
            node.command("snapshot", "--now")
    wait_until(lambda: follower(node)["behind"] == 0, "the follower has caught up")
    follower(node, "--compare")
    node.command("seal", "--now")
    assert node.stop() == 0
    return node


@pytest.fixture
def node(template: Node, tmp_path: Path) -> Iterator[Node]:
    copy_of(template.data, tmp_path / "data")
    node = Node(tmp_path / "data", template.keys)
    yield node
    node.kill()


def body(part: int, n: int) -> bytes:
    return b"%d-%d " % (part, n) * 700


def follower(node: Node, *arguments: str) -> dict[str, Any]:
    """How the follower of a serving node stands, once it answers at all."""
    answers: list[bytes] = []

    def answered() -> bool:
        done = run(node, "follower", *arguments)
        answers.append(done.stdout)
        return bool(done.stdout)

    wait_until(answered, "the follower answers")
    facts: dict[str, Any] = json.loads(answers[-1])
    return facts


def run(node: Node, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COFFRE, *arguments, "--data", node.data, "--json"],
        env=node.environment(0),
        capture_output=True,
        timeout=60,
        check=False,
    )


def rows(node: Node) -> dict[str, Any]:
    db = open_any(str(node.data / "catalog.sqlite"))
    try:
        return dict(dump(db))
    finally:
        db.close()


def all_is_there(node: Node) -> None:
    client = Client(node.start())
    for part in range(3):
        for n in range(20):
            assert client.get(BUCKET, f"{part}/{n}").body == body(part, n)
    assert client.put(BUCKET, "new", b"x").status == 200


def snapshot_files(node: Node) -> list[list[Path]]:
    """Files of each snapshot, the oldest first."""
    files = sorted(node.data.glob("drives/*/snapshots/*.segment"), key=lambda path: path.name)
    ids = sorted({path.name.split(".")[0] for path in files})
    return [[path for path in files if path.name.startswith(one)] for one in ids]


@pytest.mark.parametrize("source", ["snapshot", "log", "follower"])
def test_the_rebuilt_catalog_equals_the_lost_one_row_by_row(node: Node, source: str) -> None:
    before = rows(node)
    node.forget_catalog()
    answer = node.command("rebuild", "--from", source)
    assert (answer["source"], answer["complete"]) == (source, True)
    assert answer["records"] > 0 or source == "follower"
    assert rows(node) == before
    all_is_there(node)


@pytest.mark.parametrize("damaged", [1, 2])
def test_with_the_newest_snapshots_damaged_older_ones_and_the_log_will_do(
    node: Node, damaged: int
) -> None:
    before = rows(node)
    node.forget_catalog()
    for files in snapshot_files(node)[-damaged:]:
        for path in files[:5]:
            data = bytearray(path.read_bytes())
            data[4096 + 100] ^= 1
            path.write_bytes(data)
    answer = node.command("rebuild")
    assert answer["source"] == ("snapshot" if damaged == 1 else "log")
    assert rows(node) == before


def test_with_four_drives_gone_all_acknowledged_data_is_back(node: Node) -> None:
    before = rows(node)
    node.forget_catalog()
    for folder in node.drive_folders()[::4]:
        shutil.rmtree(folder)
    answer = node.command("rebuild")
    assert answer["complete"]
    assert answer["degraded_chunks"] > 0
    assert rows(node) == before
    all_is_there(node)


def test_a_new_machine_needs_drives_and_root_key_alone(node: Node, tmp_path: Path) -> None:
    before = rows(node)
    machine = Node(tmp_path / "other", node.keys)
    machine.data.mkdir(mode=0o700)
    shutil.copytree(node.data / "drives", machine.data / "drives")
    shutil.copy(node.data / "root.key", machine.data)
    assert machine.command("rebuild")["complete"]
    assert rows(machine) == before
    all_is_there(machine)
    machine.kill()


def test_what_cannot_be_made_again_is_said_and_the_catalog_stands_as_it_was(node: Node) -> None:
    for folder in node.drive_folders()[:5]:
        shutil.rmtree(folder)
    before = rows(node)
    done = run(node, "rebuild")
    assert done.returncode == 1
    assert b"bring back" in done.stderr
    assert b"r1n1d1" in done.stderr
    assert rows(node) == before


def test_a_follower_that_is_not_there_is_not_made_up_for_when_it_alone_was_asked_for(
    node: Node,
) -> None:
    before = rows(node)
    for path in node.data.glob("drives/*/follower"):
        shutil.rmtree(path)
    done = run(node, "rebuild", "--from", "follower")
    assert done.returncode == 1
    assert rows(node) == before


def test_a_rebuild_of_a_serving_node_is_refused(node: Node) -> None:
    node.start()
    done = run(node, "rebuild")
    assert done.returncode == 2
    assert b"in use" in done.stderr


def test_a_start_without_its_catalog_takes_over_the_followers(node: Node) -> None:
    node.forget_catalog()
    all_is_there(node)
    recovery = node.command("status")["recovery"]
    assert (recovery["way"], recovery["source"]) == ("rebuilt", "follower")


def test_a_running_nodes_rows_and_the_followers_are_the_same(node: Node) -> None:
    client = Client(node.start())
    for n in range(50):
        client.put(BUCKET, f"more/{n}", b"x" * 100)
    wait_until(lambda: follower(node)["behind"] == 0, "the follower has caught up")
    answer = follower(node, "--compare")
    assert answer["differs"] is None
    assert answer["compared_ms"] is not None


def test_a_row_that_was_changed_behind_the_logs_back_raises_the_alarm(node: Node) -> None:
    (path,) = node.data.glob("drives/*/follower/catalog.sqlite")
    db = open_writer(str(path))
    db.execute("UPDATE versions SET size = 1 WHERE sort_key = x'312f31'")
    db.close()
    node.start()
    wait_until(lambda: b"differs from the catalog" in node.log.read_bytes(), "the alarm")
    assert (path.parent / "differs").exists()
    node.stop()
    node.start()
    assert follower(node, "--compare")["differs"] is None


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15] if not LONG else [n / 50 for n in range(20)])
def test_killed_during_a_rebuild_the_next_one_finds_everything(node: Node, delay: float) -> None:
    before = rows(node)
    node.forget_catalog()
    process = subprocess.Popen(
        [COFFRE, "rebuild", "--from", "log", "--data", node.data, "--json"],
        env=node.environment(0),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(
        lambda: (
            (node.data / "catalog.sqlite.new").exists() or (node.data / "catalog.sqlite").exists()
        ),
        "the rebuild has begun",
    )
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert node.command("rebuild", "--from", "log")["complete"]
    assert rows(node) == before
    all_is_there(node)
    ends_whole(node)


@pytest.mark.parametrize("victim", ["steward", "committer"])
def test_killed_during_a_snapshot_nothing_counts_that_is_not_whole(node: Node, victim: str) -> None:
    client = Client(node.start())
    client.put(BUCKET, "moves the log", b"x")
    wait_until(lambda: node.roles()[victim], f"the {victim} runs")
    taking = subprocess.Popen(
        [COFFRE, "snapshot", "--now", "--data", node.data, "--json"],
        env=node.environment(0),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(
        lambda: list(node.data.glob("drives/*/snapshots/*.tmp")) or taking.poll() is not None,
        "segments are written",
    )
    for pid in node.roles()[victim]:
        node.signal(pid)
    taking.wait()
    node.kill()
    node.start()
    assert len(node.command("snapshot", "--now")) == 3
    node.command("steward", "run", "snapshotter")
    assert len(snapshot_files(node)) == 3
    assert not list(node.data.glob("drives/*/snapshots/*.tmp"))
    assert node.stop() == 0
    before = rows(node)
    node.forget_catalog()
    assert node.command("rebuild", "--from", "snapshot")["source"] == "snapshot"
    assert rows(node) == before


def test_a_catalog_of_many_objects_is_made_again_row_by_row(tmp_path: Path) -> None:
    node = Node(tmp_path / "data")
    objects = 1_000_000 if LONG else 2000
    make(node.data)
    fill(node.data, objects, 100, 4096 if LONG else 256)
    patience = 900.0 if LONG else COMMAND_S
    # Opened once, so that the crashed rows are at the log's end.
    node.command("status", patience=patience)
    before = digest(node)
    node.forget_catalog()
    answer = node.command("rebuild", "--from", "log", patience=patience)
    assert answer["complete"]
    assert digest(node) == before


def digest(node: Node) -> str:
    """Of every row, in the order of its key; the rows of many objects need not be held at once."""
    seen = hashlib.sha256()
    db = open_any(str(node.data / "catalog.sqlite"))
    try:
        for table in LOGGED_TABLES:
            key = "SELECT group_concat(name, ', ') FROM pragma_table_info(?) WHERE pk > 0"
            names = db.execute(key, (table,)).get
            for row in db.execute(f"SELECT * FROM {table} ORDER BY {names}"):
                seen.update(repr(row).encode())
    finally:
        db.close()
    return seen.hexdigest()
