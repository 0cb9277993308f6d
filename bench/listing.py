"""What a page of a listing costs the catalog, counted rather than timed.

Two buckets of one catalog file, one much larger: a page of 1000 keys must take the same steps of
SQLite's virtual machine and the same pages in both. Rows are made by the catalog's own `apply`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import apsw

from coffre.catalog.apply import apply
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUser,
    Mutation,
    ObjectFacts,
    PutVersion,
)
from coffre.catalog.reader import SqliteReader
from coffre.catalog.records import Bucket, Secret
from coffre.catalog.schema import checkpoint, open_reader, open_writer
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.clock import SystemClock
from coffre.system.entropy import SeededEntropy, new_id
from coffre.vault.records import Blob

Written = Literal["in key order", "in random order"]

_ZONE = 1
_PAGE_KEYS = 1000
ROWS_A_TRANSACTION = 50_000
_SAMPLES = 9
OWNER = "0" * 64


@dataclass(frozen=True)
class PageCost:
    """A page of 1000 keys at several places of a bucket of `objects`: least and most.

    `steps`: of SQLite's virtual machine. `reads`: pages read from the file by an empty cache.
    """

    objects: int
    written: Written
    steps: tuple[int, int]
    reads: tuple[int, int]
    milliseconds: float


def page_costs(folder: Path, sizes: tuple[int, int]) -> list[PageCost]:
    """Fill a catalog file each way and count pages of both buckets."""
    costs: list[PageCost] = []
    orders: tuple[Written, ...] = ("in key order", "in random order")
    for written in orders:
        path = folder / f"catalog-{written.replace(' ', '-')}.sqlite"
        store_id = _fill(str(path), sizes, written)
        db = open_reader(str(path))
        reader = SqliteReader(db)
        for objects in sizes:
            bucket = reader.bucket(store_id, _name(objects))
            if bucket is None:
                raise RuntimeError(f"the bucket of {objects} objects was not made")
            costs.append(_count(db, reader, bucket, objects, written))
        db.close()
        for file in folder.glob(f"{path.name}*"):
            file.unlink()
    return costs


def _count(
    db: apsw.Connection, reader: SqliteReader, bucket: Bucket, objects: int, written: Written
) -> PageCost:
    steps: list[int] = []
    reads: list[int] = []
    taken: list[float] = []
    for number in range(_SAMPLES):
        after = key_of((objects - _PAGE_KEYS - 1) * number // (_SAMPLES - 1))
        db.pragma("shrink_memory")
        with Counted(db) as counted:
            page = reader.list_current(
                bucket, prefix=b"", delimiter=b"", after=after, limit=_PAGE_KEYS
            )
        if len(page.objects) != _PAGE_KEYS:
            raise RuntimeError(f"a page holds {len(page.objects)} keys")
        steps.append(counted.steps)
        reads.append(counted.reads)
        started = time.perf_counter()
        reader.list_current(bucket, prefix=b"", delimiter=b"", after=after, limit=_PAGE_KEYS)
        taken.append(time.perf_counter() - started)
    return PageCost(
        objects,
        written,
        (min(steps), max(steps)),
        (min(reads), max(reads)),
        min(taken) * 1000,
    )


class Counted:
    """Counts what a connection does inside a `with` block."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.steps = self.reads = 0

    def __enter__(self) -> Counted:
        self._db.status(apsw.SQLITE_DBSTATUS_CACHE_MISS, True)
        self._db.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._statement)
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.trace_v2(0, None)
        self.reads = self._db.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)[0]

    def _statement(self, event: dict[str, dict[str, int]]) -> None:
        self.steps += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]


def _fill(path: str, sizes: tuple[int, int], written: Written) -> bytes:
    """The store's id."""
    entropy = SeededEntropy(1)
    clock = HybridClock(SystemClock(), entropy, _ZONE)
    db = open_writer(path)
    store_id = fresh_id(entropy)
    group(db, clock, premises(store_id, fresh_id(entropy), entropy))
    for objects in sizes:
        bucket_id = fresh_id(entropy)
        numbers = list(range(objects))
        if written == "in random order":
            random.Random(objects).shuffle(numbers)
        group(db, clock, [CreateBucket(bucket_id, store_id, _name(objects), OWNER, "us-east-1")])
        for start in range(0, objects, ROWS_A_TRANSACTION):
            some = numbers[start : start + ROWS_A_TRANSACTION]
            group(db, clock, (put(bucket_id, number, entropy) for number in some))
            checkpoint(path)
    db.close()
    return store_id


def group(db: apsw.Connection, clock: HybridClock, mutations: Iterable[Mutation]) -> None:
    tally = Tally()
    with db:
        for mutation in mutations:
            apply(db, mutation, clock.stamp(0), tally)
        tally.write(db)


def premises(store_id: bytes, tenant_id: bytes, entropy: SeededEntropy) -> Iterator[Mutation]:
    yield CreateTenant(tenant_id, "bench")
    yield CreateStore(
        store_id, "bench", tenant_id, fresh_id(entropy), b"root-key", entropy.bytes(40)
    )
    secret = Secret(entropy.bytes(48), b"root-key")
    yield CreateUser(OWNER, store_id, "bench", "object", "BENCHACCESSKEY000000", secret)


def put(bucket_id: bytes, number: int, entropy: SeededEntropy) -> PutVersion:
    """An object without bytes: no listing looks at where bytes are."""
    return PutVersion(
        bucket_id,
        key_of(number),
        fresh_id(entropy),
        Blob(fresh_id(entropy), 0, b"", b""),
        ObjectFacts(
            etag="d41d8cd98f00b204e9800998ecf8427e",
            owner_id=OWNER,
            metadata={"content-type": "application/octet-stream"},
        ),
    )


def key_of(number: int) -> bytes:
    return b"folder/%04d/object-%09d" % (number // 1000, number)


def fresh_id(entropy: SeededEntropy) -> bytes:
    return new_id(entropy, _ZONE, SystemClock().now_ms())


def _name(objects: int) -> str:
    return f"bucket-of-{objects}"
