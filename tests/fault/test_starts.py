"""A start that must not go on says why in one line, says what to do, and changes nothing."""

from __future__ import annotations

import random
import shutil
import socket
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from .client import Client, Lost, Unsent
from .conftest import LONG
from .ledger import BUCKET
from .node import Keys, Node, tree, wait_until

CUT_STARTS = 40 if LONG else 3
_SLOT = 4096


def refused(node: Node, *words: str, port: int = 0) -> None:
    """The start is refused in one line with these words, and the folder is as it was."""
    before = tree(node.data) if node.data.exists() else {}
    refusal = node.refused(port)
    after = tree(node.data) if node.data.exists() else {}
    said = refusal.said.strip().splitlines()
    assert refusal.code not in (0, 70), refusal
    assert len(said) == 1, refusal.said
    for word in words:
        assert word in said[0], (word, said[0])
    assert after == before, "a refused start changed something"


def test_a_taken_port(make_node: Callable[..., Node], tmp_path: Path) -> None:
    node = make_node()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(node, str(port), "COFFRE_PORT", port=port)
        refused(Node(tmp_path / "new"), str(port), "COFFRE_PORT", port=port)
    assert node.start(port).port == port


def test_a_foreign_folder(tmp_path: Path) -> None:
    node = Node(tmp_path / "photos")
    node.data.mkdir()
    (node.data / "beach.jpg").write_bytes(b"sand")
    refused(node, "beach.jpg", "--data")
    assert sorted(path.name for path in node.data.iterdir()) == ["beach.jpg"]


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    node = Node(tmp_path / "file")
    node.data.write_bytes(b"no folder")
    refusal = node.refused()
    assert refusal.code not in (0, 70)
    assert len(refusal.said.strip().splitlines()) == 1, refusal.said
    assert node.data.read_bytes() == b"no folder"


def test_a_drive_in_the_place_of_another_node(make_node: Callable[..., Node]) -> None:
    node = make_node()
    drives = node.data / "drives"
    _swap(drives / "r1n1d1", drives / "r2n1d1")
    refused(node, "r1n1", "r2n1", "put it back")
    _swap(drives / "r1n1d1", drives / "r2n1d1")
    _serves(node)


def test_a_drive_of_another_region(make_node: Callable[..., Node], tmp_path: Path) -> None:
    node = make_node()
    other = Node(tmp_path / "other").start()
    assert other.stop() == 0
    mine, kept = node.data / "drives/r3n1d1", tmp_path / "kept"
    mine.rename(kept)
    shutil.copytree(other.data / "drives/r3n1d1", mine)
    refused(node, str(mine), "put back")
    shutil.rmtree(mine)
    kept.rename(mine)
    _serves(node)


def test_a_newer_format_of_the_folder(make_node: Callable[..., Node]) -> None:
    node = make_node()
    marker = node.data / "coffre.format"
    text = marker.read_text()
    marker.write_text(f"{int(text) + 1}\n")
    refused(node, "newer", "version")
    marker.write_text("rubbish\n")
    refused(node, "coffre.format")
    marker.write_text(text)
    _serves(node)


@pytest.mark.parametrize("which", [slice(4, 5), slice(None)], ids=["one drive", "all drives"])
def test_a_newer_format_of_superblocks(make_node: Callable[..., Node], which: slice) -> None:
    node = make_node()
    chosen = [folder / "superblock" for folder in node.drive_folders()[which]]
    before = [path.read_bytes() for path in chosen]
    for path, data in zip(chosen, before, strict=True):
        path.write_bytes(_newer(data))
    refused(node, "newer", "version")
    for path, data in zip(chosen, before, strict=True):
        path.write_bytes(data)
    _serves(node)


def test_a_newer_catalog(make_node: Callable[..., Node]) -> None:
    node = make_node()
    with closing(sqlite3.connect(node.data / "catalog.sqlite")) as rows:
        rows.execute("PRAGMA user_version = 10000")
    assert not list(node.data.glob("catalog.sqlite-*")), "the last to close writes all to the file"
    refused(node, "newer", "version")


def test_a_missing_root_key(make_node: Callable[..., Node], tmp_path: Path) -> None:
    node = make_node()
    key = node.data / "root.key"
    key.rename(tmp_path / "kept")
    refused(node, "root.key", "missing", "put back")
    (tmp_path / "kept").rename(key)
    _serves(node)


def test_another_root_key(make_node: Callable[..., Node], tmp_path: Path) -> None:
    node = make_node()
    other = Node(tmp_path / "other").start()
    assert other.stop() == 0
    key = node.data / "root.key"
    own = key.read_bytes()
    key.write_bytes((other.data / "root.key").read_bytes())
    refused(node, "root.key", "put back")
    key.write_bytes(own[: len(own) // 2])
    refused(node, "root.key", "put back")
    key.write_bytes(own)
    _serves(node)


def test_a_second_start_on_a_folder_in_use(make_node: Callable[..., Node]) -> None:
    node = make_node().start()
    second = node.refused()
    assert second.code not in (0, 70), second
    assert len(second.said.strip().splitlines()) == 1, second.said
    assert "in use" in second.said
    assert Client(node).put(BUCKET, "still", b"here").status == 200


def test_a_first_start_that_is_cut_anywhere_is_completed_by_the_next(
    tmp_path: Path, chance: random.Random
) -> None:
    for turn in range(CUT_STARTS):
        node = Node(tmp_path / f"data-{turn}")
        began = time.monotonic()
        cuts = chance.randint(1, 2)
        for _ in range(cuts):
            node.launch()
            time.sleep(chance.uniform(0.2, 2.5))
            node.kill()
        print(f"cut {cuts} times; {time.monotonic() - began:.1f} s")
        node.start()
        _works_for_whoever_has_its_keys(node)
        assert node.stop() == 0, node.tail()
        assert node.start().facts["operator"]
        node.kill()
        assert "Traceback" not in node.tail(100_000)


def _works_for_whoever_has_its_keys(node: Node) -> None:
    if "secret_key" not in node.facts:
        # The cut came after all was made and before it was told: keys are had by rotating them.
        made = node.command("user", "rotate", node.facts["access_key"])
        node.adopt(Keys(made["access_key"], made["secret_key"], ""))
    client = Client(node)
    client.make_bucket("first")
    assert client.put("first", "key", b"value").status == 200
    assert client.get("first", "key").body == b"value"


def test_a_folder_made_by_init_is_served_with_the_keys_that_init_showed(tmp_path: Path) -> None:
    node = Node(tmp_path / "data")
    shown = node.command("init")
    node.adopt(Keys(shown["access_key"], shown["secret_key"], shown["password"]))
    node.start()
    assert "secret_key" not in node.facts
    Client(node).make_bucket("first")
    assert node.stop() == 0


def _serves(node: Node) -> None:
    """It starts now, and serves."""
    node.start()
    wait_until(lambda: _put(node) == 200, "it serves")
    node.kill()


def _put(node: Node) -> int:
    try:
        return Client(node).put(BUCKET, "served", b"again").status
    except (Unsent, Lost):
        return 0


def _swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _newer(data: bytes) -> bytes:
    """Superblock slots with the next version (2 bytes at 8) and a checksum that fits."""
    slots = []
    for start in range(0, len(data), _SLOT):
        slot = bytearray(data[start : start + _SLOT])
        if any(slot):
            (version,) = struct.unpack_from(">H", slot, 8)
            struct.pack_into(">H", slot, 8, version + 1)
            slot[-16:] = xxh3_128_digest(bytes(slot[:-16]))
        slots.append(bytes(slot))
    return b"".join(slots)
