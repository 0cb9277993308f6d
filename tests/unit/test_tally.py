"""What the tally writes is what was added and not rolled back, each row once."""

from __future__ import annotations

import apsw
import pytest

from coffre.catalog.schema import open_writer
from coffre.catalog.tally import Tally

BUCKET, CHUNK = b"bucket", b"chunk"


@pytest.fixture
def db() -> apsw.Connection:
    db = open_writer(":memory:")
    db.execute(
        "INSERT INTO buckets (id, store_id, name, owner_id, created_ms, region, key_order,"
        " versioning, objects, bytes) VALUES (?, x'', '', '', 0, '', 'utf-8', 'never', 10, 1000)",
        (BUCKET,),
    )
    db.execute(
        "INSERT INTO chunks (id, kind, state, owner, epoch, k, m, members, created_ms)"
        " VALUES (?, 'landing', 'open', '', 0, 1, 2, x'', 0)",
        (CHUNK,),
    )
    return db


def rows(db: apsw.Connection) -> tuple[int, int, int, int]:
    found: tuple[int, int, int, int] = db.execute(
        "SELECT objects, bytes, appended, dead FROM buckets, chunks"
    ).get
    return found


def test_each_row_is_written_once_with_the_sum(db: apsw.Connection) -> None:
    tally = Tally()
    for size in (1, 2, 3):
        tally.add_to_bucket(BUCKET, 1, size)
        tally.add_to_chunk(CHUNK, size * 10, 0)
    tally.add_to_bucket(BUCKET, -1, -2)
    tally.add_to_chunk(CHUNK, 0, 20)
    assert (tally.bucket(BUCKET), tally.chunk(CHUNK)) == ((2, 4), (60, 20))
    before = db.total_changes()
    tally.write(db)
    assert rows(db) == (12, 1004, 60, 20)
    assert db.total_changes() == before + 2


def test_what_is_written_is_not_written_again(db: apsw.Connection) -> None:
    tally = Tally()
    tally.add_to_bucket(BUCKET, 1, 5)
    tally.write(db)
    tally.write(db)
    assert rows(db) == (11, 1005, 0, 0)
    assert tally.bucket(BUCKET) == (0, 0)


def test_rolling_back_takes_away_what_came_after_the_mark_and_no_more(db: apsw.Connection) -> None:
    tally = Tally()
    tally.add_to_bucket(BUCKET, 1, 5)
    mark = tally.mark()
    tally.add_to_bucket(BUCKET, 1, 7)
    tally.add_to_chunk(CHUNK, 7, 0)
    tally.roll_back(mark)
    assert (tally.bucket(BUCKET), tally.chunk(CHUNK)) == ((1, 5), (0, 0))
    tally.write(db)
    assert rows(db) == (11, 1005, 0, 0)


def test_counters_that_come_out_even_touch_no_row(db: apsw.Connection) -> None:
    tally = Tally()
    tally.add_to_bucket(BUCKET, 1, 5)
    tally.add_to_bucket(BUCKET, -1, -5)
    before = db.total_changes()
    tally.write(db)
    assert db.total_changes() == before
