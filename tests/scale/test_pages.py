"""A page of keys, a page of versions and a read cost in a large bucket, beside a key with a great
many versions, what they cost in a bucket of 1000: the same steps of SQLite's virtual machine, and
as many pages of the file, give or take where rows happen to lie on them.

20 000 keys and 5 000 versions of one; `COFFRE_LONG=1`: a million and 100 000.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import pytest
from msgspec import Struct

from bench.listing import (
    OWNER,
    ROWS_A_TRANSACTION,
    Counted,
    fresh_id,
    group,
    key_of,
    premises,
    put,
)
from coffre.catalog.mutations import CreateBucket, SetVersioning
from coffre.catalog.reader import SqliteReader
from coffre.catalog.records import Bucket
from coffre.catalog.schema import checkpoint, open_reader, open_writer
from coffre.catalog.stamp import HybridClock
from coffre.system.clock import SystemClock
from coffre.system.entropy import SeededEntropy

LONG = os.environ.get("COFFRE_LONG") == "1"
KEYS, VERSIONS = (1_000_000, 100_000) if LONG else (20_000, 5_000)
FEW = 1000
HOT = 500
LIMIT = 100
# Rows of a page of keys are found one by one through an index: some lie on one page more.
LUCK = 8

Cost = tuple[int, int]


class Filled(Struct):
    """A catalog file with a small bucket and a large one; in both, `HOT` has old versions."""

    db: apsw.Connection
    reader: SqliteReader
    small: Bucket
    large: Bucket


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    path = str(tmp_path_factory.mktemp("scale") / "catalog.sqlite")
    entropy = SeededEntropy(1)
    clock = HybridClock(SystemClock(), entropy, 1)
    writer = open_writer(path)
    store = fresh_id(entropy)
    group(writer, clock, premises(store, fresh_id(entropy), entropy))
    for name, keys, versions in (("small", FEW, 2 * LIMIT), ("large", KEYS, VERSIONS)):
        bucket = fresh_id(entropy)
        made = CreateBucket(bucket, store, name, OWNER, "us-east-1")
        group(writer, clock, [made, SetVersioning(bucket, "enabled")])
        numbers = [*range(keys), *([HOT] * versions)]
        for start in range(0, len(numbers), ROWS_A_TRANSACTION):
            some = numbers[start : start + ROWS_A_TRANSACTION]
            group(writer, clock, (put(bucket, number, entropy) for number in some))
            checkpoint(path)
    writer.close()
    db = open_reader(path)
    reader = SqliteReader(db)
    small, large = reader.bucket(store, "small"), reader.bucket(store, "large")
    assert small is not None
    assert large is not None
    yield Filled(db, reader, small, large)
    db.close()


def keys(reader: SqliteReader, bucket: Bucket, start: int) -> int:
    after = key_of(start - 1)
    page = reader.list_current(bucket, prefix=b"", delimiter=b"", after=after, limit=LIMIT)
    return len(page.objects)


def versions(reader: SqliteReader, bucket: Bucket, start: int) -> int:
    page = reader.list_versions(
        bucket,
        prefix=b"",
        delimiter=b"",
        after_key=key_of(start - 1),
        after_version=None,
        limit=LIMIT,
    )
    return len(page.versions)


def folders(reader: SqliteReader, bucket: Bucket, start: int) -> int:
    page = reader.list_versions(
        bucket,
        prefix=key_of(start)[:-1],
        delimiter=b"/",
        after_key=b"",
        after_version=None,
        limit=10,
    )
    return len(page.versions)


def current(reader: SqliteReader, bucket: Bucket, start: int) -> int:
    return int(reader.current(bucket, key_of(start)) is not None)


def cost(filled: Filled, bucket: Bucket, ask: Callable[..., int], start: int) -> tuple[int, Cost]:
    """What was found, then steps and page reads with an empty cache."""
    filled.db.pragma("shrink_memory")
    with Counted(filled.db) as counted:
        found = ask(filled.reader, bucket, start)
    return found, (counted.steps, counted.reads)


BEFORE, AFTER = HOT - LIMIT, HOT + 1
ASKED: dict[str, tuple[Any, int]] = {
    "a page of keys from the start": (keys, 1),
    "a page of keys across the hot key": (keys, HOT - LIMIT // 2),
    "a page of versions before the hot key": (versions, BEFORE),
    "a page of versions that ends in the hot key": (versions, HOT - LIMIT // 2),
    "a page of versions of the hot key": (versions, HOT),
    "a page of versions after the hot key": (versions, AFTER),
    "the versions below a prefix": (folders, HOT + 10),
    "the hot key itself": (current, HOT),
    "the hot key's neighbour": (current, AFTER),
}


@pytest.mark.parametrize("asked", ASKED)
def test_size_costs_nothing(filled: Filled, asked: str) -> None:
    ask, start = ASKED[asked]
    found, few = cost(filled, filled.small, ask, start)
    assert found
    again, many = cost(filled, filled.large, ask, start)
    assert again == found
    assert many[0] == few[0]
    assert many[1] <= few[1] + LUCK
