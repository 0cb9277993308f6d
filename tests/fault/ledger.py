"""What was acknowledged, and whether the node still says the same.

A key reads as one of its *possible* values: exactly one once an operation on it was acknowledged;
the old and the new one while nobody knows what came of the last. Whatever is read settles it: what
was read once must stay. Values are MD5 digests of the body, None for "no object".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from .client import Answer, Client, Listed
from .node import Node

BUCKET = "kept"
_READERS = 6
Value = str | None


def value_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class Ledger:
    """The possible values of every key. A key has one writer, readers may be many."""

    def __init__(self) -> None:
        self._possible: dict[str, frozenset[Value]] = {}
        self._lock = Lock()
        self.acknowledged = 0
        self.in_doubt_ever = 0

    def known(self) -> list[str]:
        return list(self._possible)

    def possible(self, key: str) -> frozenset[Value]:
        return self._possible.get(key, frozenset({None}))

    def in_doubt(self, key: str) -> bool:
        return len(self.possible(key)) > 1

    def begin(self, key: str, new: Value) -> frozenset[Value]:
        """An operation is about to be sent; what to `restore` if it turns out not to be."""
        before = self.possible(key)
        self._possible[key] = before | {new}
        return before

    def restore(self, key: str, before: frozenset[Value]) -> None:
        self._possible[key] = before

    def acknowledge(self, key: str, new: Value) -> None:
        self._possible[key] = frozenset({new})
        with self._lock:
            self.acknowledged += 1

    def settle(self, key: str, seen: Value) -> None:
        if self.in_doubt(key):
            self.in_doubt_ever += 1
        self._possible[key] = frozenset({seen})


def read_value(answer: Answer) -> Value:
    """What a GET says of its key."""
    if answer.status == 404:
        assert answer.code == "NoSuchKey", answer
        return None
    assert answer.status == 200, (answer.status, answer.code, answer.headers)
    return value_of(answer.body)


def check(node: Node, ledger: Ledger, bucket: str = BUCKET) -> None:
    """Every key reads as it may, and the listing agrees with the reads. Nothing writes meanwhile.

    Settles every key that was in doubt. Collects all differences before it fails.
    """
    listed = {one.key: one for one in Client(node).listing(bucket)}
    keys = ledger.known()
    lots = [keys[start::_READERS] for start in range(_READERS)]
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda lot: _differences(node, ledger, lot, listed, bucket), lots)
        wrong = [line for lines in found for line in lines]
    wrong += [f"{key}: listed, never written" for key in listed.keys() - set(keys)]
    assert not wrong, "\n".join([*wrong[:20], f"({len(wrong)} of {len(keys)} keys)", node.tail()])


def _differences(
    node: Node, ledger: Ledger, keys: Iterable[str], listed: dict[str, Listed], bucket: str
) -> list[str]:
    client = Client(node)
    wrong: list[str] = []
    for key in keys:
        answer = client.get(bucket, key)
        if answer.status not in (200, 404):
            wrong.append(f"{key}: {answer.status} {answer.code} {answer.body[:200]!r}")
            continue
        seen, entry = read_value(answer), listed.get(key)
        if seen not in ledger.possible(key):
            wrong.append(f"{key}: reads as {seen}, may be {sorted(map(str, ledger.possible(key)))}")
        elif (entry is None) != (seen is None):
            wrong.append(f"{key}: reads as {seen}, listed as {entry}")
        elif entry is not None and (entry.size, entry.etag) != (len(answer.body), answer.etag):
            wrong.append(f"{key}: read {len(answer.body)} {answer.etag}, listed as {entry}")
        ledger.settle(key, seen)
    client.close()
    return wrong
