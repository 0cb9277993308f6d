"""One region is made once; every test that needs a node gets a copy of its folder."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .client import Client
from .ledger import BUCKET
from .node import Keys, Node, copy_of

LONG = os.environ.get("COFFRE_LONG") == "1"
WIDE_RACKS = 5


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    """A region with one empty bucket, stopped clean, and its keys."""
    node = Node(tmp_path_factory.mktemp("template") / "data").start()
    Client(node).make_bucket(BUCKET)
    assert node.stop() == 0, node.tail()
    return node.data, node.keys


@pytest.fixture
def make_node(tmp_path: Path, template: tuple[Path, Keys]) -> Iterator[Callable[..., Node]]:
    """Make a node that is not started yet, with settings; all are ended with the test."""
    made: list[Node] = []

    def make(name: str = "data", **settings: str) -> Node:
        copy_of(template[0], tmp_path / name)
        made.append(Node(tmp_path / name, template[1], **settings))
        return made[-1]

    yield make
    for node in made:
        node.kill()


@pytest.fixture
def make_wide_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Start a node of twenty drives, which has a place for what a lost one held: five racks of two
    nodes of two."""
    made: list[Node] = []

    def make(**settings: str) -> Node:
        data = tmp_path / "wide"
        data.mkdir()
        tables = [
            f'[[drives]]\npath = "{data}/drives/r{rack}n{node}d{drive}"\n'
            f'node = "r{rack}n{node}"\nrack = "r{rack}"\n'
            for rack in range(1, WIDE_RACKS + 1)
            for node in (1, 2)
            for drive in (1, 2)
        ]
        (data / "coffre.toml").write_text("".join(tables))
        made.append(Node(data, None, **settings).start())
        Client(made[-1]).make_bucket(BUCKET)
        return made[-1]

    yield make
    for node in made:
        node.kill()


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """`COFFRE_TEST_SEED`, else a new one; shown when a test fails."""
    chosen = int(os.environ.get("COFFRE_TEST_SEED", random.randrange(1 << 30)))
    print(f"COFFRE_TEST_SEED={chosen}")
    return chosen


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)
