"""Root keys on real folders: backed up, restored, rotated, cut in the middle, pruned."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coffre.vault.keys import RootKey, RootKeyFile, encode_root_keys

from .client import Client
from .conftest import LONG
from .ledger import BUCKET
from .node import COFFRE, Keys, Node, copy_of, tree

CUTS = 30 if LONG else 4
PASSPHRASE = "correct horse battery staple"


def command(node: Node, *arguments: str) -> tuple[int, Any, str]:
    """A `coffre` command that may say no: exit code, JSON answer, complaint."""
    done = subprocess.run(
        [COFFRE, *arguments, "--data", node.data, "--json"],
        env=node.environment(0),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or b"null"), done.stderr.decode()


@pytest.fixture
def passphrase(tmp_path: Path) -> str:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    return str(path)


def key_ids(node: Node) -> list[str]:
    """Ids of the keys in root.key, the current one first."""
    return [line.split()[1] for line in (node.data / "root.key").read_text().splitlines()[1:-1]]


def fill(node: Node, count: int = 6) -> dict[str, bytes]:
    client = Client(node)
    bodies = {f"object {n}": bytes([n]) * (1 << 3 * n) for n in range(count)}
    for name, body in bodies.items():
        assert client.put(BUCKET, name, body).status == 200
    return bodies


def assert_served(node: Node, bodies: dict[str, bytes]) -> None:
    client = Client(node)
    for name, body in bodies.items():
        assert client.get(BUCKET, name).body == body


def test_a_running_node_goes_on_under_a_new_root_key_and_the_old_one_goes_in_the_end(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(seal_after="1").start()
    bodies = fill(node)
    (old,) = key_ids(node)
    made = node.command("key", "rotate")
    assert key_ids(node) == [made["current"], old]
    assert made["wrapped_anew"] >= 2
    # Workers that run since before: they open what is wrapped anew, and who is new.
    assert_served(node, bodies)
    user = node.command("user", "create", "--store", "default", "--label", "later")
    node.adopt(Keys(user["access_key"], user["secret_key"], ""))
    assert Client(node).get(BUCKET, "none").status in (403, 404)
    checked = node.command("key", "check")
    assert checked["ok"], checked
    new, older = checked["keys"]
    assert (new["id"], older["id"]) == (made["current"], old)
    assert set(older["named_by"]) <= {"superblocks", "landing chunks"}
    # The log of before is still needed: there is no snapshot of what it says.
    code, pruned, _ = command(node, "key", "prune")
    assert code == 1
    assert pruned["removed"] == []
    assert set(pruned["kept"][0]["named_by"]) == {"landing chunks", "running processes"}
    assert node.stop() == 0
    code, pruned, _ = command(node, "key", "prune")
    assert (code, set(pruned["kept"][0]["named_by"])) == (1, {"landing chunks"})
    # Without the older key the log before the rotation cannot be read, and a start says so.
    node.forget_catalog()
    whole = (node.data / "root.key").read_bytes()
    assert node.start().facts["owner_id"]
    assert node.stop() == 0
    assert (node.data / "root.key").read_bytes() == whole


def test_a_rotation_that_was_cut_after_its_first_step_is_finished_by_the_next_start(
    make_node: Callable[..., Node],
) -> None:
    node = make_node()
    new = RootKey(b"n" * 32)
    RootKeyFile(str(node.data / "root.key")).add(new)
    node.start()
    bodies = fill(node)
    checked = node.command("key", "check")
    assert checked["keys"][0]["id"] == new.id.hex()
    assert not {"store keys", "secrets"} & set(checked["keys"][1]["named_by"])
    node.kill()
    assert_served(node.start(), bodies)


def test_an_older_root_key_goes_once_snapshots_cover_its_log(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(seal_after="1").start()
    bodies = fill(node)
    (old,) = key_ids(node)
    new = node.command("key", "rotate")["current"]
    bodies |= {f"later {n}": bytes([n]) * 9 for n in range(3)}
    for name in list(bodies)[-3:]:
        assert Client(node).put(BUCKET, name, bodies[name]).status == 200
        node.command("seal", "--now")
        node.ask("snapshot.now")
    assert node.stop() == 0
    node.start()
    pruned = node.command("key", "prune")
    assert pruned == {"removed": [old], "kept": []}
    assert key_ids(node) == [new]
    assert_served(node, bodies)
    node.kill()
    node.forget_catalog()
    assert_served(node.start(), bodies)
    assert node.command("key", "check")["ok"]


def test_a_start_names_the_root_key_that_is_lacking(make_node: Callable[..., Node]) -> None:
    node = make_node()
    path = node.data / "root.key"
    only_old = path.read_bytes()
    (old,) = key_ids(node)
    new = node.command("key", "rotate")["current"]
    both = path.read_bytes()
    path.write_bytes(only_old)
    before = tree(node.data)
    refusal = node.refused()
    assert refusal.code == 2
    assert new in refusal.said
    assert tree(node.data) == before
    # The other way round: the new key alone, although the log names the old one.
    path.write_bytes(both)
    path.write_bytes(encode_root_keys((RootKeyFile(str(path)).current,)))
    node.forget_catalog()
    before = tree(node.data)
    refusal = node.refused()
    assert refusal.code == 2
    assert old in refusal.said
    path.write_bytes(both)
    node.start()
    node.kill()


def test_rotations_that_are_killed_at_any_moment_lose_nothing(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="1").start()
    bodies = fill(node)
    for number in range(20):
        node.ask("user.create", store="default", label=f"user {number}")
    began = time.monotonic()
    node.command("key", "rotate")
    took = time.monotonic() - began
    for turn in range(CUTS):
        rotation = subprocess.Popen(
            [COFFRE, "key", "rotate", "--data", node.data, "--json"],
            env=node.environment(0),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0, took * 1.2))
        node.kill()
        rotation.wait(120)
        if turn % 2:
            node.forget_catalog()
        node.start()
        assert_served(node, bodies)
        bodies[f"turn {turn}"] = b"t" * turn
        assert Client(node).put(BUCKET, f"turn {turn}", b"t" * turn).status == 200
        checked = node.command("key", "check")
        assert checked["ok"], checked
        assert not any({"store keys", "secrets"} & set(k["named_by"]) for k in checked["keys"][1:])
    assert "Traceback" not in node.tail(1_000_000)


def test_drives_and_a_backup_of_the_keys_are_enough_for_another_machine(
    make_node: Callable[..., Node], tmp_path: Path, passphrase: str
) -> None:
    node = make_node().start()
    bodies = fill(node)
    node.command("key", "rotate")
    bodies |= {"later": b"later"}
    assert Client(node).put(BUCKET, "later", b"later").status == 200
    backup = str(tmp_path / "keys.backup")
    made = node.command("key", "backup", backup, "--passphrase-file", passphrase)
    assert made["keys"] == key_ids(node)
    assert Path(backup).stat().st_mode & 0o777 == 0o600
    assert all(key["backed_up"] for key in node.command("key", "check")["keys"])
    node.kill()

    new = Node(tmp_path / "new", node.keys)
    copy_of(node.data / "drives", new.data / "drives")
    restored = new.command("key", "restore", backup, "--passphrase-file", passphrase)
    assert (restored["drives_opened"], restored["drives_of_other_keys"]) == (16, 0)
    assert (new.data / "root.key").read_bytes() == (node.data / "root.key").read_bytes()
    assert (new.data / "root.key").stat().st_mode & 0o777 == 0o600
    try:
        assert_served(new.start(), bodies)
    finally:
        new.kill()


def test_backups_replace_nothing_and_open_with_their_passphrase_alone(
    make_node: Callable[..., Node], tmp_path: Path, passphrase: str
) -> None:
    node = make_node()
    backup = tmp_path / "keys.backup"
    words = ("--passphrase-file", passphrase)
    inside = str(node.data / "keys.backup")
    assert command(node, "key", "backup", inside, *words)[0] == 1
    node.command("key", "backup", str(backup), *words)
    data = backup.read_bytes()
    code, _, said = command(node, "key", "backup", str(backup), *words)
    assert (code, "exists" in said) == (1, True)
    assert backup.read_bytes() == data
    code, _, said = command(node, "key", "restore", str(backup), *words)
    assert (code, "not replaced" in said) == (1, True)

    (node.data / "root.key").unlink()
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    code, _, said = command(node, "key", "restore", str(backup), "--passphrase-file", str(wrong))
    assert (code, "passphrase is wrong" in said) == (1, True)
    altered = tmp_path / "altered"
    altered.write_bytes(data[:-20])
    assert command(node, "key", "restore", str(altered), *words)[0] == 1
    assert not (node.data / "root.key").exists()
    node.command("key", "restore", str(backup), *words)
    node.start()
    node.kill()
