"""The machine is gone: drives and root key are enough for another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .client import Client
from .ledger import BUCKET
from .node import Node

BODIES = {"small": b"a" * 1000, "inline": b"b" * 900_000, "striped": b"c" * 5_000_000}


def test_drives_and_root_key_serve_everything_on_another_machine(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    old = make_node().start()
    client = Client(old)
    client.make_bucket(BUCKET)
    for key, body in BODIES.items():
        assert client.put(BUCKET, key, body).status == 200
    old.kill()

    data = tmp_path / "new-machine"
    data.mkdir()
    shutil.copytree(old.data / "drives", data / "drives")
    shutil.copy(old.data / "root.key", data / "root.key")
    new = Node(data, old.keys)
    try:
        reader = Client(new.start())
        for key, body in BODIES.items():
            assert reader.get(BUCKET, key).body == body
        new.stop()
        assert (data / "coffre.format").read_text() == "1\n"
        Client(new.start()).put(BUCKET, "later", b"d")
    finally:
        new.kill()
