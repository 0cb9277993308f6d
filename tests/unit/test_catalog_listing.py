"""A page of a listing is what a sorted list says, and costs what the page holds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from coffre.catalog.key_order import decode_key, encode_key, next_key, past_prefix
from coffre.catalog.reader import SqliteReader
from coffre.catalog.records import Bucket, KeyOrder
from coffre.catalog.schema import open_reader, open_writer
from coffre.catalog.stamp import Stamp
from coffre.testing.catalog_model import in_order, model_listing

_CHARACTERS = "ab/-\0é\ud7ff\ue000\uffff\U00010000\U0010ffff"
TEXTS = st.text(_CHARACTERS, max_size=5).map(str.encode)
KEYS = st.text(_CHARACTERS, min_size=1, max_size=6).map(str.encode)
ORDERS: Any = st.sampled_from(["utf-8", "utf-16be"])
_INSERT = (
    "INSERT INTO versions (bucket_id, sort_key, ord, zone, version_id, latest, is_null, marker,"
    " modified_ms, size, etag, owner_id, storage_class, parts_count)"
    " VALUES (?, ?, ?, 0, x'', ?, 1, ?, 0, 0, '', '', '', 0)"
)


def bucket_of(order: KeyOrder) -> Bucket:
    return Bucket(b"bucket", b"store", "bucket", "", "", 0, "", order)


def reader_of(order: KeyOrder, keys: set[bytes]) -> SqliteReader:
    db = open_writer(":memory:")
    # A neighbour on either side that no listing may run into.
    rows = [(b"bucket", key) for key in keys] + [(b"bucke", b"a"), (b"bucket2", b"a")]
    db.executemany(_INSERT, [(at, encode_key(order, key), 1, 1, 0) for at, key in rows])
    return SqliteReader(db)


@settings(deadline=None, max_examples=150)
@given(ORDERS, st.sets(KEYS, max_size=30), TEXTS, TEXTS, TEXTS, st.integers(0, 6))
def test_a_page_is_what_a_sorted_list_says(
    order: KeyOrder, keys: set[bytes], prefix: bytes, delimiter: bytes, after: bytes, limit: int
) -> None:
    reader = reader_of(order, keys)
    ask: dict[str, Any] = {"prefix": prefix, "delimiter": delimiter, "after": after, "limit": limit}
    page = reader.list_current(bucket_of(order), **ask)
    found = [entry.key for entry in page.objects]
    assert (found, list(page.common_prefixes), page.truncated, page.next_after) == model_listing(
        keys, order, **ask
    )


@settings(deadline=None, max_examples=60)
@given(ORDERS, st.sets(KEYS, max_size=30), TEXTS, TEXTS, st.integers(1, 5))
def test_pages_of_any_size_add_up_to_the_whole(
    order: KeyOrder, keys: set[bytes], prefix: bytes, delimiter: bytes, limit: int
) -> None:
    reader, bucket = reader_of(order, keys), bucket_of(order)
    whole = reader.list_current(bucket, prefix=prefix, delimiter=delimiter, after=b"", limit=1000)
    objects: list[bytes] = []
    prefixes: list[bytes] = []
    after, more = b"", True
    while more:
        page = reader.list_current(
            bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )
        assert len(page.objects) + len(page.common_prefixes) <= limit
        objects += [entry.key for entry in page.objects]
        prefixes += page.common_prefixes
        assert not page.truncated or page.next_after != after
        after, more = page.next_after, page.truncated
    assert objects == [entry.key for entry in whole.objects]
    assert prefixes == list(whole.common_prefixes)


@given(ORDERS, st.text(), st.text())
def test_sort_keys_are_bijective_and_keep_order_and_prefixes(
    order: KeyOrder, one: str, other: str
) -> None:
    a, b = one.encode(), other.encode()
    assert decode_key(order, encode_key(order, a)) == a
    assert (encode_key(order, a) < encode_key(order, b)) == (
        in_order(order, a) < in_order(order, b)
    )
    assert encode_key(order, a).startswith(encode_key(order, b)) == a.startswith(b)


@given(st.binary(max_size=4), st.binary(max_size=4))
def test_past_a_prefix_lies_behind_all_that_start_with_it_and_nothing_else(
    prefix: bytes, key: bytes
) -> None:
    bound = past_prefix(prefix)
    if key.startswith(prefix):
        assert bound is None or key < bound
    elif key > prefix:
        assert bound is not None
        assert key >= bound
    assert (key > prefix) == (key >= next_key(prefix))


def test_a_key_of_1024_bytes_at_the_end_of_unicode_is_listed_and_passed() -> None:
    keys = {"\U0010ffff".encode() * 256, b"\xef\xbf\xbf" * 341 + b"a", b"z" * 1024}
    for order in ("utf-8", "utf-16be"):
        reader = reader_of(order, keys)
        bucket = bucket_of(order)
        for delimiter in (b"", "\U0010ffff".encode(), b"\xef\xbf\xbf"):
            page = reader.list_current(
                bucket, prefix=b"", delimiter=delimiter, after=b"", limit=1000
            )
            assert len(page.objects) + len(page.common_prefixes) == 3


class Steps:
    """Counts the virtual machine steps of everything a connection runs."""

    def __init__(self, db: apsw.Connection) -> None:
        self.total = 0
        db.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._finished)

    def _finished(self, event: dict[str, Any]) -> None:
        self.total += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]


def filled(count: int, *, history: bool = False) -> apsw.Connection:
    """Keys f000…/o000…, 50 in a folder; with `history`: 5 old versions each and a marker between
    any two keys."""
    db = open_writer(":memory:")
    rows = []
    for index in range(count):
        key = b"f%06d/o%06d" % (index // 50, index)
        rows.append((b"bucket", key, 9, 1, 0))
        if history:
            rows += [(b"bucket", key, age, 0, 0) for age in range(5)]
            rows.append((b"bucket", key + b"-gone", 9, 1, 1))
    with db:
        db.executemany(_INSERT, rows)
    return db


def hot(count: int) -> apsw.Connection:
    """A key with `count` versions between two folders of three."""
    db = open_writer(":memory:")
    rows = [(b"bucket", b"hot", age, int(age == count - 1), 0) for age in range(count)]
    for folder in (b"a/", b"z/"):
        rows += [(b"bucket", folder + b"%d" % index, 1, 1, 0) for index in range(3)]
    with db:
        db.executemany(_INSERT, rows)
    return db


@pytest.mark.parametrize("delimiter", [b"", b"/"])
def test_a_page_of_versions_costs_the_same_however_many_versions_a_key_has(
    delimiter: bytes,
) -> None:
    costs = []
    for count in (1_000, 50_000):
        db = hot(count)
        reader, bucket = SqliteReader(db), bucket_of("utf-8")
        steps = Steps(db)
        inside = Stamp(0, 700, 0, bytes(6), 0).version_id
        ask: dict[str, Any] = {"prefix": b"", "delimiter": delimiter, "limit": 100}
        page = reader.list_versions(bucket, after_key=b"hot", after_version=inside, **ask)
        assert (len(page.versions), page.truncated) == (100, True)
        page = reader.list_versions(bucket, after_key=b"hot", after_version=None, **ask)
        assert len(page.versions) + len(page.common_prefixes) == (1 if delimiter else 3)
        page = reader.list_versions(bucket, after_key=b"", after_version=None, **ask)
        assert (len(page.versions), page.truncated) == (99 if delimiter else 100, True)
        costs.append(steps.total)
    assert costs[0] == costs[1]


def scattered(path: Path, sizes: tuple[int, ...]) -> apsw.Connection:
    """A file with a bucket of each size, its keys written in no order."""
    db = open_writer(str(path))
    for size in sizes:
        numbers = list(range(size))
        random.Random(size).shuffle(numbers)
        with db:
            db.executemany(
                "INSERT INTO versions (bucket_id, sort_key, ord, zone, version_id, latest, is_null,"
                " marker, modified_ms, size, etag, owner_id, storage_class, parts_count)"
                " VALUES (?, ?, 1, 0, x'', 1, 1, 0, 0, 0, ?, ?, 'STANDARD', 0)",
                ((b"%d" % size, b"object-%09d" % n, "e" * 32, "o" * 64) for n in numbers),
            )
    db.close()
    return open_reader(str(path))


def test_a_page_reads_as_much_of_a_small_bucket_as_of_a_large_one(tmp_path: Path) -> None:
    sizes = (3_000, 40_000)
    db = scattered(tmp_path / "catalog.sqlite", sizes)
    reader, steps, reads = SqliteReader(db), [], []
    for size in sizes:
        bucket = structs.replace(bucket_of("utf-8"), id=b"%d" % size)
        for tenth in range(0, 10, 3):
            db.pragma("shrink_memory")
            db.status(apsw.SQLITE_DBSTATUS_CACHE_MISS, True)
            counted = Steps(db)
            page = reader.list_current(
                bucket,
                prefix=b"",
                delimiter=b"",
                after=b"object-%09d" % (size * tenth // 10),
                limit=250,
            )
            assert len(page.objects) == 250
            steps.append(counted.total)
            reads.append(db.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)[0])
    assert len(set(steps)) == 1
    # Leaves are filled by chance; 250 rows that lay apart would be 250 pages.
    assert max(reads) <= min(reads) + 10 <= 45


@pytest.mark.parametrize("delimiter", [b"", b"/"])
def test_a_page_costs_the_same_steps_in_a_small_and_a_large_bucket(delimiter: bytes) -> None:
    costs = []
    for db in (filled(10_000), filled(200_000), filled(10_000, history=True)):
        reader, bucket = SqliteReader(db), bucket_of("utf-8")
        ask: dict[str, Any] = {"prefix": b"f0000", "delimiter": delimiter, "limit": 100}
        steps = Steps(db)
        page = reader.list_current(bucket, after=b"f000017/o000888", **ask)
        assert len(page.objects) + len(page.common_prefixes) == (82 if delimiter else 100)
        reader.current(bucket, b"f000017/o000888")
        costs.append(steps.total)
    assert costs[0] == costs[1] == costs[2]
