"""Drives, nodes and racks go away under load; what was acknowledged stays.

While it is not sealed: any 2 drives, any node or a rack. Once it is: any 4 drives and the catalog.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .client import Client
from .conftest import LONG
from .ledger import BUCKET, Ledger, check
from .load import Load
from .node import Node, tree, wait_until
from .whole import ends_whole

ROUNDS = 30 if LONG else 2
OPERATIONS = 100 if LONG else 50
PAIRS = 20 if LONG else 1
NODES = [f"r{rack}n{node}" for rack in range(1, 5) for node in (1, 2)]
RACKS = [f"r{rack}" for rack in range(1, 5)]
PLACES = [*RACKS, *NODES] if LONG else ["any rack", "any node"]
# Of the requests that meet a drive as it goes away, so many at most may be told "not now".
NOT_NOW = 40


@contextmanager
def away(folders: Iterable[Path], node: Node) -> Iterator[None]:
    """Rename drive folders out of the node's sight, and back."""
    aside = node.data.with_name("away")
    aside.mkdir(exist_ok=True)
    moved = [folder.rename(aside / folder.name) for folder in folders]
    yield
    for folder in moved:
        assert not (node.data / "drives" / folder.name).exists(), "nobody makes a drive by itself"
        folder.rename(node.data / "drives" / folder.name)


@pytest.mark.parametrize("place", PLACES)
def test_a_node_or_a_rack_goes_away_under_load_and_nothing_is_lost(
    make_node: Callable[..., Node], chance: random.Random, seed: int, place: str
) -> None:
    node = make_node(seal_after="2")
    if place.startswith("any"):
        place = chance.choice(RACKS if place == "any rack" else NODES)
    print(place)
    gone = [folder for folder in node.drive_folders() if folder.name.startswith(place)]
    _lose_under_load(node, gone, Ledger(), seed)


def test_any_two_drives_go_away_under_load_and_nothing_is_lost(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node(seal_after="2")
    ledger = Ledger()
    for turn in range(PAIRS):
        gone = chance.sample(node.drive_folders(), 2)
        print([folder.name for folder in gone])
        _lose_under_load(node, gone, ledger, seed + turn)


def _lose_under_load(node: Node, gone: list[Path], ledger: Ledger, seed: int) -> None:
    node.start()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(OPERATIONS)
        with away(gone, node):
            load.goes_on(OPERATIONS)
            _reads(node, ledger)
            _ended_by_kill_and_started_again(node, load)
            names = {folder.name for folder in gone}
            missing = {
                Path(drive["path"]).name
                for drive in node.command("drive", "list")
                if drive["state"] != "present"
            }
            assert missing == names
            load.goes_on(OPERATIONS)
            assert load.refusals.total() < NOT_NOW, load.refusals
            node.kill()
        # Back again, they are older than the rest; nobody may take them for the truth.
        node.start()
        load.goes_on(50)
    check(node, ledger)
    _all_are_trusted_again(node)
    ends_whole(node)
    assert node.stop() == 0, node.tail()


def _all_are_trusted_again(node: Node) -> None:
    def states() -> set[str]:
        return {drive["state"] for drive in node.ask("drive.list")}

    wait_until(lambda: states() == {"present"}, "what is back was checked", 60.0, every=0.1)


def _reads(node: Node, ledger: Ledger) -> None:
    """Every read is answered while the writers go on. What it answers is theirs to judge."""
    client = Client(node)
    statuses = {client.get(BUCKET, key).status for key in ledger.known()}
    assert statuses <= {200, 404}, (statuses, node.tail())


def _ended_by_kill_and_started_again(node: Node, load: Load) -> None:
    node.kill()
    node.start()
    load.goes_on(50)


def test_after_sealing_any_four_drives_and_the_catalog_may_go(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node().start()
    ledger = Ledger()
    for turn in range(ROUNDS):
        load = Load(node, ledger, seed + turn)
        with load.running():
            load.goes_on(2 * OPERATIONS)
        check(node, ledger)
        node.command("seal", "--now")
        check(node, ledger)
        if turn % 2:
            node.kill()
        else:
            assert node.stop() == 0, node.tail()
        gone = chance.sample(node.drive_folders(), 4)
        print([folder.name for folder in gone])
        with away(gone, node):
            node.forget_catalog()
            node.start()
            check(node, ledger)
            assert node.stop() == 0, node.tail()
        node.start()
        _all_are_trusted_again(node)
    ends_whole(node)


def test_a_write_after_sealing_is_safe_from_two_drives_again(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    """What is written after `seal --now` begins again on three mirrors."""
    node = make_node().start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(OPERATIONS)
        node.command("seal", "--now")
        load.goes_on(OPERATIONS)
        node.kill()
    with away(chance.sample(node.drive_folders(), 2), node):
        node.forget_catalog()
        node.start()
        check(node, ledger)
        node.kill()


def test_too_many_drives_away_is_told_in_one_line_and_nothing_is_changed(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node().start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(OPERATIONS)
    check(node, ledger)
    node.command("seal", "--now")
    node.kill()
    for count in (5, 12, 16):
        gone = chance.sample(node.drive_folders(), count)
        for catalog in ("kept", "gone"):
            with away(gone, node), _catalog(node, catalog):
                _refused_naming(node, gone)
    node.start()
    check(node, ledger)


def test_all_mirrors_of_the_log_away_is_told_in_one_line_and_nothing_is_changed(
    make_node: Callable[..., Node], seed: int
) -> None:
    """Three drives of sixteen are few, but unsealed data may be on just these."""
    node = make_node().start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(OPERATIONS)
        node.kill()
    gone = sorted({mirror.parents[2] for mirror in node.data.rglob("*.mirror")})
    # The open chunk's three and the three of the one made ahead of need.
    newest = max(node.data.rglob("*.mirror"), key=lambda path: path.stat().st_mtime_ns)
    members = sorted(path.parents[2] for path in node.data.rglob(newest.name))
    assert len(members) == 3, gone
    with away(members, node):
        _refused_naming(node, members)
    node.start()
    check(node, ledger)


@contextmanager
def _catalog(node: Node, how: str) -> Iterator[None]:
    kept = {path: path.read_bytes() for path in node.data.glob("catalog.sqlite*")}
    if how == "gone":
        node.forget_catalog()
    yield
    for path, content in kept.items():
        path.write_bytes(content)


def _refused_naming(node: Node, gone: list[Path]) -> None:
    before = tree(node.data)
    refusal = node.refused()
    assert refusal.code not in (0, 70), refusal
    last = refusal.said.strip().splitlines()[-1]
    assert "bring back" in last.lower(), refusal.said
    assert any(folder.name in last for folder in gone), refusal.said
    assert "Traceback" not in refusal.said
    assert tree(node.data) == before, "a refused start changed something"
