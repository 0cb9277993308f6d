"""What stewards read each second does not grow with the zone: counted in SQLite's own steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import apsw
import pytest

from coffre.catalog.interface import Committer
from coffre.catalog.log import RecordCipher
from coffre.catalog.packing import pack
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_writer
from coffre.stewards.collector import CHUNKS_A_ROUND, Collecting, Collector
from coffre.stewards.sealer import Sealer, SealingCommitter
from coffre.system.clock import ManualClock
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.interface import ChunkStore
from coffre.vault.records import GEOMETRIES, Chunk

WANTED = GEOMETRIES[0]
DRIVES = [Drive(bytes([at]) * 16, f"/d{at}", f"n{at}", f"r{at % 4}") for at in range(16)]


class NoRequests:
    def oldest(self) -> float | None:
        return None


async def unhurried(size: int) -> None:
    """No pace to keep."""


async def no_floor() -> int:
    return 0


def no_cipher(chunk: Chunk) -> RecordCipher:
    raise AssertionError("nothing is to be opened")


def rows_of(chunks: int) -> apsw.Connection:
    """A catalog with so many sealed chunks, all of them as they should be."""
    db = open_writer(":memory:")
    members = pack(tuple(drive.id for drive in DRIVES))
    with db:
        db.executemany(
            "INSERT INTO chunks (id, kind, state, owner, epoch, k, m, members, appended, length,"
            " created_ms, listed) VALUES (?, 'striped', 'sealed', 'w', 1, 12, 4, ?, 9, 9, 1, 1)",
            ((number.to_bytes(16, "big"), members) for number in range(1, chunks + 1)),
        )
    return db


async def steps_of(db: apsw.Connection, round_of: Callable[[], Awaitable[object]]) -> int:
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    db.set_progress_handler(count, 1)
    await round_of()
    db.set_progress_handler(None)
    return steps


def sealer(db: apsw.Connection) -> Callable[[], Awaitable[object]]:
    drives = DriveSet(RecordingDisk([drive.path for drive in DRIVES]), DRIVES)
    return Sealer(SqliteReader(db), cast(SealingCommitter, None), drives, WANTED).round


def collector(db: apsw.Connection) -> Callable[[], Awaitable[object]]:
    drives = DriveSet(RecordingDisk([drive.path for drive in DRIVES]), DRIVES)
    return Collector(
        SqliteReader(db),
        cast(Committer, None),
        drives,
        cast(ChunkStore, None),
        NoRequests(),
        unhurried,
        ManualClock(),
        Collecting(WANTED, 1),
        owner="collector-1",
        renew=lambda: None,
        cipher=no_cipher,
        log_floor=no_floor,
    ).round


@pytest.mark.parametrize("steward", [sealer, collector])
async def test_a_round_costs_the_same_in_a_zone_of_any_size(
    steward: Callable[[apsw.Connection], Callable[[], Awaitable[object]]],
) -> None:
    small = await steps_of(db := rows_of(CHUNKS_A_ROUND), steward(db))
    large = await steps_of(db := rows_of(20_000), steward(db))
    assert large <= small + 10


async def test_idle_rounds_come_by_all_chunks() -> None:
    db = rows_of(3 * CHUNKS_A_ROUND + 1)
    seen: list[bytes] = []

    class Watched(SqliteReader):
        def chunks_after(self, after: bytes, *, limit: int) -> list[Chunk]:
            found = super().chunks_after(after, limit=limit)
            seen.extend(chunk.id for chunk in found)
            return found

    work = collector(db)
    work.__self__._reader = Watched(db)  # type: ignore[attr-defined]
    for _ in range(4):
        await work()
    assert seen == [chunk.id for chunk in SqliteReader(db).chunks()]
    await work()
    assert seen[-CHUNKS_A_ROUND] == seen[0], "and again from the first"
