"""A thousand bytes flip, anywhere, as far as the promise reaches: four segments of a sealed chunk,
two mirrors of what is not sealed, and all of the catalog, the follower's too.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from .client import Client
from .conftest import LONG
from .ledger import BUCKET, Ledger, check, value_of
from .node import Node, wait_until
from .whole import PATIENCE_S, ends_whole

ROUNDS = 12 if LONG else 1
FLIPS = 1000
# Of them in the catalog's files, while nobody has these open.
IN_CATALOGS = 200
_HEADER = 4096


def test_a_thousand_flipped_bytes_in_segments_log_and_catalog_lose_nothing_and_are_repaired(
    make_wide_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_wide_node(seal_after="600")
    ledger = Ledger()
    for turn in range(ROUNDS):
        _put_some(node, ledger, chance, f"sealed {turn}")
        node.command("seal", "--now")
        node.ask("snapshot.now")
        assert node.stop() == 0  # What striped chunks are open are closed by the next start.
        _put_some(node.start(), ledger, chance, f"open {turn}")
        before = _flip_on_drives(node, chance, FLIPS - IN_CATALOGS)
        check(node, ledger)
        node.kill()
        _flip_catalogs(node, chance, IN_CATALOGS)
        node.start()
        check(node, ledger)
        node.command("steward", "run", "scrubber")
        wait_until(lambda b=before: _is_made_anew(b), "what rotted is made anew", PATIENCE_S)  # type: ignore[misc]
        ends_whole(node)
        check(node, ledger)


def _put_some(node: Node, ledger: Ledger, chance: random.Random, name: str) -> None:
    client = Client(node)
    sizes = [chance.randint(1, 65536) for _ in range(24)]
    sizes += [chance.randint(200_000, 900_000) for _ in range(3)]
    sizes += [chance.randint(2 << 20, 6 << 20) for _ in range(3)]
    for number, size in enumerate(sizes):
        key, body = f"{name}/{number}", chance.randbytes(size)
        ledger.begin(key, value_of(body))
        assert client.put(BUCKET, key, body).status == 200
        ledger.acknowledge(key, value_of(body))
    client.close()


def _flip_on_drives(node: Node, chance: random.Random, flips: int) -> dict[Path, bytes]:
    """Flip bytes in headers and payloads of chunks and snapshots; what the files were before."""
    members = defaultdict(list)
    for path in sorted(node.data.glob("drives/*/chunks/*/*")):
        members[path.name.split(".")[0]].append(path)
    for path in sorted(node.data.glob("drives/*/snapshots/*.segment")):
        members[path.name.split(".")[0]].append(path)
    victims: list[Path] = []
    for files in members.values():
        victims += chance.sample(files, 4 if files[0].suffix == ".segment" else 2)
    before = {path: _content(path) for path in victims}
    _flip(chance, victims, flips)
    return before


def _flip_catalogs(node: Node, chance: random.Random, flips: int) -> None:
    files = [*node.data.glob("catalog.sqlite*"), *node.data.glob("drives/*/follower/*.sqlite*")]
    _flip(chance, files, flips)


def _flip(chance: random.Random, victims: list[Path], flips: int) -> None:
    """Bytes at random places, in the part of each file that holds anything. What is sealed
    meanwhile is gone, and another file is hit instead."""
    used = {path: len(_content(path).rstrip(b"\0")) for path in victims}
    victims = [path for path in victims if used[path]]
    hit = Counter[str]()
    while hit.total() < flips:
        path = chance.choice(victims)
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            victims.remove(path)
            continue
        with file:
            at = chance.randrange(used[path])
            old = os.pread(file.fileno(), 1, at)[0]
            os.pwrite(file.fileno(), bytes([old ^ chance.randint(1, 255)]), at)
        hit[path.suffix] += 1
    print(f"{hit} in {len(victims)} files")


def _is_made_anew(before: dict[Path, bytes]) -> bool:
    """Every segment's payload is what it was, or the file is gone: moved, or sealed."""
    return all(
        _content(path)[_HEADER:] in (b"", was[_HEADER:])
        for path, was in before.items()
        if path.suffix == ".segment" and "chunks" in path.parts
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
