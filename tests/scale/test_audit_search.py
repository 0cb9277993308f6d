"""The audit searched and sized: a year of made-up records over 10 000 buckets, in segments on
drives.

100 000 records; `COFFRE_LONG=1`: 10⁸ (`COFFRE_TEST_AUDIT_RECORDS` says another number). What is
found is compared with what was made. Times are printed, not judged: `docs/performance.md` has them.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from coffre.catalog.audit_records import GENESIS
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.trail_mutations import FoundAudit, PackAudit
from coffre.catalog.trail_records import AuditSegment
from coffre.ledger import segments
from coffre.ledger.placed import Placed
from coffre.ledger.query import Query
from coffre.ledger.trail import AuditTrail, Position, position_of
from coffre.system.clock import SystemClock
from coffre.system.disk import LocalDisk
from coffre.system.entropy import SeededEntropy
from coffre.testing.vault import DriveZone
from coffre.vault.blobs import FramedVault
from coffre.vault.records import Extent

LONG = os.environ.get("COFFRE_LONG") == "1"
RECORDS = int(os.environ.get("COFFRE_TEST_AUDIT_RECORDS", "0")) or (10**8 if LONG else 10**5)
SEGMENT = min(1_000_000, RECORDS // 5)
BUCKETS, STORES, PEOPLE = 10_000, 20, 200
YEAR_MS = 365 * 24 * 3600 * 1000
BEGAN_MS = 1_767_225_600_000
KEY = bytes(range(32))
# What is random in record `i`, from its number.
DRAW = "hash(i * {})"


def made_up(first: int, count: int) -> str:
    """SQL that gives the records with numbers from `first` on."""
    bucket = f"({DRAW.format(3)} % {BUCKETS})"
    person = f"({DRAW.format(5)} % {PEOPLE})"
    columns = {
        "at_ms": f"({BEGAN_MS} + i * {YEAR_MS} // {RECORDS})::BIGINT",
        "batch": f"({first} // {SEGMENT} + 1)::BIGINT",
        "place": f"(i - {first})::INTEGER",
        "request_id": "printf('%016X', hash(i))",
        "source": "'s3'",
        "via": "''",
        "store": f"'store-' || ({bucket} % {STORES})",
        "tenant": f"md5(({bucket} % {STORES})::VARCHAR)",
        "principal": f"'arn:aws:iam::271148028713:user/person-' || {person}",
        "access_key": f"'CK' || substr(upper(md5({person}::VARCHAR)), 1, 18)",
        "client": f"'10.' || ({person} % 4) || '.' || ({DRAW.format(7)} % 256) || '.9'",
        "operation": (
            "(['GetObject', 'PutObject', 'HeadObject', 'ListObjectsV2', 'DeleteObject'])"
            f"[1 + ({DRAW.format(11)} % 5)::INTEGER]"
        ),
        "bucket": f"'bucket-' || {bucket}",
        "key": f"('logs/' || (i % 365) || '/part-' || {DRAW.format(13)})::BLOB",
        "status": f"(CASE WHEN {DRAW.format(17)} % 100 = 0 THEN 403 ELSE 200 END)::INTEGER",
        "error": f"(CASE WHEN {DRAW.format(17)} % 100 = 0 THEN 'AccessDenied' ELSE '' END)",
        "bytes_in": "0::BIGINT",
        "bytes_out": f"({DRAW.format(19)} % 1000000)::BIGINT",
        "micros": f"(500 + {DRAW.format(23)} % 20000)::BIGINT",
        "tls": "true",
        "user_agent": f"'aws-sdk-java/2.31.' || ({DRAW.format(29)} % 30) || ' Linux/6.1'",
        "decision": f"'identity-policy:S' || ({person} % 7)",
        "detail": "''",
        "version": "''",
    }
    assert list(columns) == list(segments.COLUMNS)
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return f"SELECT {chosen} FROM range({first}, {first + count}) r(i)"


class Year(Struct):
    """All that was made: the catalog, the drives, and what stands in it."""

    catalog: MemoryCatalog
    zone: DriveZone
    loop: asyncio.AbstractEventLoop
    bytes: int

    def trail(self) -> AuditTrail:
        """As a process that was started just now reads it."""
        return AuditTrail(self.catalog, _vault(self.zone), lambda _: KEY)

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)


async def _nothing(extents: tuple[Extent, ...]) -> None:
    """Nothing is abandoned here."""


def _vault(zone: DriveZone) -> FramedVault:
    return FramedVault(zone.store, zone.clock, zone.entropy, 1, count_dead=_nothing, inline_limit=0)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    folder = tmp_path_factory.mktemp("audit")
    loop = asyncio.new_event_loop()
    zone = DriveZone(LocalDisk(), str(folder), linger=0.01)
    entropy = SeededEntropy(1)
    catalog = MemoryCatalog(SystemClock(), entropy, 1, lambda _: Extent(b"", 0, 0))
    built = Year(catalog, zone, loop, 0)
    loop.run_until_complete(_fill(built))
    yield built
    loop.close()


async def _fill(year: Year) -> None:
    key_id, catalog = b"key".ljust(16), year.catalog
    await catalog.commit(FoundAudit(key_id, b"rootkey1", b"wrapped", "us-east-1"))
    previous = GENESIS
    for sequence, first in enumerate(range(0, RECORDS, SEGMENT), 1):
        made = await asyncio.to_thread(segments.segment_of, made_up(first, SEGMENT))
        digest = hashlib.sha256(made.content).digest()
        # The batch that it takes the place of: as many records, its hash made up.
        catalog._db.execute(
            "INSERT INTO audit_batches VALUES (?, ?, ?, ?, ?, ?, x'')",
            (sequence, made.first_ms, made.last_ms, made.records, previous, digest),
        )
        segment = AuditSegment(
            *(sequence, sequence, made.first_ms, made.last_ms, made.records, previous, digest),
            *(len(made.content), digest, 4, made.text_bytes, made.names),
        )
        writer = _vault(year.zone).writer(key_id, KEY, size_hint=segment.size)
        await writer.write(made.content)
        staged = await writer.finish()
        manifest = b"manifest%08d" % sequence
        await catalog.commit(PackAudit(segment, manifest, staged.blob, "etag"))
        previous = digest
        year.bytes += segment.size


def record(number: int) -> Placed:
    """The record with this number, as it was made."""
    with segments.engine() as db:
        row = db.execute(made_up(number, 1)).fetchone()
    assert row is not None
    found = segments.placed(row)
    return Placed(number // SEGMENT + 1, number % SEGMENT, found.record)


def count(where: str) -> int:
    """How many of all records meet a condition, counted as they are made."""
    with segments.engine() as db:
        row = db.execute(f"SELECT count(*) FROM ({made_up(0, RECORDS)}) WHERE {where}").fetchone()
    assert row is not None
    return int(row[0])


async def everything(trail: AuditTrail, query: Query) -> list[Placed]:
    found: list[Placed] = []
    after: Position | None = None
    while page := await trail.newest(query, after, 1000):
        found += page
        after = position_of(page[-1])
    return found


MIDDLE = record(RECORDS // 2 + 12345 % SEGMENT)
SOME = MIDDLE.record
DAY_MS = 24 * 3600 * 1000
SEARCHES: dict[str, Query] = {
    "the newest of all": Query(),
    "of a bucket": Query(store=SOME.store, bucket=SOME.bucket),
    "of a key in a bucket": Query(store=SOME.store, bucket=SOME.bucket, key=SOME.key),
    "denied, of a store, on a day": Query(
        store=SOME.store, outcome="denied", since_ms=SOME.at_ms, until_ms=SOME.at_ms + DAY_MS
    ),
    "of a person, on a day": Query(
        principal=SOME.principal, since_ms=SOME.at_ms, until_ms=SOME.at_ms + DAY_MS
    ),
    "of a key, anywhere, on a day": Query(
        key=SOME.key, since_ms=SOME.at_ms - DAY_MS, until_ms=SOME.at_ms + DAY_MS
    ),
    "of a bucket that is not there": Query(bucket="no-such-bucket"),
    "any, on a day half a year ago": Query(since_ms=SOME.at_ms, until_ms=SOME.at_ms + DAY_MS),
}


def test_a_key_is_found_in_all_of_the_year(year: Year) -> None:
    trail = year.trail()
    found = year.run(trail.newest(SEARCHES["of a key in a bucket"], None, 100))
    assert found == [MIDDLE]
    trail.close()


@pytest.mark.skipif(LONG, reason="it counts by making all records again")
def test_all_of_a_bucket_is_paged_through(year: Year) -> None:
    trail = year.trail()
    found = year.run(everything(trail, Query(bucket=SOME.bucket)))
    assert len(found) == count(f"bucket = '{SOME.bucket}'")
    assert found == sorted(found, key=position_of, reverse=True)
    assert MIDDLE in found
    trail.close()


def test_every_search_finds_what_it_should_and_says_how_long_it_took(
    year: Year, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told: dict[str, Any] = {
        "records": RECORDS,
        "segments": len(year.catalog.audit_segments()),
        "bytes_a_record": round(year.bytes / RECORDS, 1),
        "names_bytes": sum(len(one.names) for one in year.catalog.audit_segments()),
        "load": os.getloadavg()[0],
    }
    for name, query in SEARCHES.items():
        took = []
        trail = year.trail()
        # DuckDB is loaded and opened once a process.
        year.run(trail.newest(Query(until_ms=BEGAN_MS), None, 1))
        for _ in range(3):
            gc.collect()
            began = time.perf_counter()
            found = year.run(trail.newest(query, None, 100))
            took.append(round((time.perf_counter() - began) * 1000))
        trail.close()
        assert all(query.matches(row.record) for row in found)
        assert found == sorted(found, key=position_of, reverse=True)
        told[name] = {"first_ms": took[0], "again_ms": min(took[1:]), "found": len(found)}
    with capsys.disabled():
        print(f"\n{json.dumps(told, indent=1)}")
    assert told["of a bucket that is not there"]["found"] == 0
    assert told["the newest of all"]["found"] == 100
