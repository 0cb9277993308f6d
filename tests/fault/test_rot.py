"""Bits that flip on a drive are never served: reads are made from what is whole."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .client import Client
from .ledger import BUCKET, Ledger, check, value_of
from .node import Node, wait_until

_FLIPS = 40


def test_flipped_bytes_in_four_segments_of_every_sealed_chunk(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node().start()
    ledger = _objects(node, chance)
    node.command("seal", "--now")
    # What came after, as the audit's record of the command itself, may be mirrored again.
    for segments in _files_by_chunk(node, "*.segment"):
        assert len(segments) == 16
        for path in chance.sample(segments, 4):
            _flip(path, chance)
    check(node, ledger)
    # A start that has to read the log back meets the same rot.
    node.kill()
    node.forget_catalog()
    node.start()
    check(node, ledger)
    _put(node, ledger, "after", b"and it goes on")
    check(node, ledger)


def test_flipped_bytes_in_one_mirror_of_an_open_chunk(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="600").start()
    ledger = _objects(node, chance)
    for mirrors in _files_by_chunk(node, "*.mirror"):
        _flip(chance.choice(mirrors), chance)
    check(node, ledger)
    # Sealing takes every group from a mirror that has it whole.
    node.command("seal", "--now")
    check(node, ledger)
    node.kill()
    node.start()
    check(node, ledger)


def test_flipped_bytes_in_one_mirror_before_a_start(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="600").start()
    ledger = _objects(node, chance)
    node.kill()
    for mirrors in _files_by_chunk(node, "*.mirror"):
        _flip(chance.choice(mirrors), chance)
    node.forget_catalog()
    node.start()
    check(node, ledger)
    node.command("seal", "--now")
    node.kill()
    node.forget_catalog()
    node.start()
    check(node, ledger)


def test_a_flipped_byte_in_the_catalog_is_found_and_the_log_brings_it_back(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node().start()
    ledger = _objects(node, chance)
    node.kill()
    for _ in range(3):
        # Of the file and what is to go into it: SQLite ignores neither.
        for path in (node.data / "catalog.sqlite", node.data / "catalog.sqlite-wal"):
            if path.exists() and path.stat().st_size:
                _flip(path, chance, 3)
        node.start()
        check(node, ledger)
        node.kill()


def test_a_scrub_finds_flipped_bytes_and_they_are_repaired(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node().start()
    ledger = _objects(node, chance)
    node.command("seal", "--now")
    node.stop()
    node.start()  # What striped chunks are open are closed now.
    before = _flip_some_segments(node, chance)
    node.command("steward", "run", "scrubber")
    _await_whole(node, before)
    found = {one["file"] for one in _repair_status(node)["findings"]}
    assert found <= {path.name for path in before}
    assert found
    check(node, ledger)


def test_a_read_that_meets_flipped_bytes_has_them_repaired(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node().start()
    ledger = _objects(node, chance)
    node.command("seal", "--now")
    node.stop()
    node.start()
    before = _flip_some_segments(node, chance)
    # A striped chunk's first row is an object's: its data segments are read, all of them.
    read = [path for path in before if _is_striped(path) and int(path.name.split(".")[1]) < 12]
    assert read
    check(node, ledger)
    _await_whole(node, {path: before[path] for path in read})
    assert {one["found_by"] for one in _repair_status(node)["findings"]} & {"a read"}
    check(node, ledger)


def _flip_some_segments(node: Node, chance: random.Random) -> dict[Path, bytes]:
    """One byte in each of up to four segments of every chunk; what the files were before."""
    before: dict[Path, bytes] = {}
    for segments in _files_by_chunk(node, "*.segment"):
        for path in chance.sample(segments, 4):
            before[path] = path.read_bytes()
            with path.open("r+b") as file:
                file.seek(4096 + 40)
                file.write(bytes([before[path][4096 + 40] ^ 0xFF]))
    return before


def _is_striped(segment: Path) -> bool:
    return segment.read_bytes()[10] == 2


def _await_whole(node: Node, before: dict[Path, bytes]) -> None:
    """Every file is again what it was, or has moved."""

    def whole() -> bool:
        return all(not p.exists() or p.read_bytes()[4096:] == b[4096:] for p, b in before.items())

    wait_until(whole, "what rotted is made anew", patience=60.0)


def _repair_status(node: Node) -> dict[str, Any]:
    answer: dict[str, Any] = node.command("repair")
    assert answer["clean"], answer
    return answer


def _objects(node: Node, chance: random.Random) -> Ledger:
    ledger = Ledger()
    sizes = [chance.randint(1, 65536) for _ in range(60)]
    sizes += [chance.randint(100_000, 1_000_000) for _ in range(6)]
    sizes += [chance.randint(2 << 20, 8 << 20) for _ in range(4)]
    for number, size in enumerate(sizes):
        _put(node, ledger, f"object {number}", chance.randbytes(size))
    return ledger


def _put(node: Node, ledger: Ledger, key: str, body: bytes) -> None:
    ledger.begin(key, value_of(body))
    assert Client(node).put(BUCKET, key, body).status == 200
    ledger.acknowledge(key, value_of(body))


def _files_by_chunk(node: Node, pattern: str) -> list[list[Path]]:
    found = defaultdict(list)
    for path in sorted(node.data.rglob(pattern)):
        found[path.name.split(".")[0]].append(path)
    return list(found.values())


def _flip(path: Path, chance: random.Random, flips: int = _FLIPS) -> None:
    """Change bytes at random places in the part that holds anything."""
    data = bytearray(path.read_bytes())
    used = len(data.rstrip(b"\0"))
    with path.open("r+b") as file:
        for _ in range(flips):
            at = chance.randrange(used)
            file.seek(at)
            file.write(bytes([data[at] ^ chance.randint(1, 255)]))
