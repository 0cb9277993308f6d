"""Three racks, of which one goes after the other: what is written over two survives either."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import Client
from .ledger import BUCKET, Ledger, check, value_of
from .node import Node, wait_until
from .test_lost_drives import away

MIB = 1 << 20
_SMALL, _LARGE = 40_000, 3 * MIB


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A region of six drives in three racks."""
    data = tmp_path / "data"
    config = tmp_path / "coffre.toml"
    folders = [(rack, number) for rack in (1, 2, 3) for number in (1, 2)]
    config.write_text(
        'geometry = "4+2"\n'
        + "".join(
            f'[[drives]]\npath = "{data}/drives/r{rack}d{number}"\n'
            f'node = "r{rack}n1"\nrack = "r{rack}"\n'
            for rack, number in folders
        )
    )
    node = Node(data, None, config=str(config), seal_after="1")
    yield node
    node.kill()


def test_what_is_written_over_two_racks_survives_either(node: Node, chance: random.Random) -> None:
    client = Client(node.start())
    client.make_bucket(BUCKET)
    ledger = Ledger()
    _put(client, ledger, "before", chance)
    node.command("seal", "--now")
    with away(_rack(node, 3), node):
        _wait(node, present=4)
        _put(client, ledger, "over-two", chance)
        node.command("seal", "--now")
        kept = {row["kept"] for row in _exposure(node) if not row["members_away"]}
        # What came after, as the audit's record of the command itself, may be mirrored.
        assert {"1+2"} <= kept <= {"1+2", "3 mirrors"}
        check(node, ledger)
    _wait(node, present=6)
    with away(_rack(node, 1), node):
        _wait(node, present=4)
        reading = Client(node)
        # Workers hear of drives within a second.
        wait_until(
            lambda: all(reading.get(BUCKET, key).status == 200 for key in ledger.known()),
            "all can be read",
        )
        check(node, ledger)
    _wait(node, present=6)
    check(node, ledger)


def _put(client: Client, ledger: Ledger, prefix: str, chance: random.Random) -> None:
    for turn in range(20):
        body = chance.randbytes(_LARGE if turn < 3 else _SMALL)
        ledger.begin(f"{prefix}/{turn}", value_of(body))
        assert client.put(BUCKET, f"{prefix}/{turn}", body).status == 200
        ledger.acknowledge(f"{prefix}/{turn}", value_of(body))


def _rack(node: Node, number: int) -> list[Path]:
    return [folder for folder in node.drive_folders() if folder.name.startswith(f"r{number}")]


def _exposure(node: Node) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = node.ask("status")["exposure"]
    return rows


def _wait(node: Node, *, present: int) -> None:
    wait_until(
        lambda: node.ask("status")["drives"].get("present") == present,
        f"{present} drives are in use",
        60.0,
    )
