"""Statements and usage of ten thousand buckets and a year (COFFRE_LONG=1; a tenth of it else)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw
import pytest

from coffre.catalog.metering import row_of
from coffre.catalog.packing import pack
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_reader, open_writer
from coffre.catalog.usage_records import HOUR_MS, KINDS, Flow, Level, Span, month_start
from coffre.ledger.accounts import Accounts

LONG = os.environ.get("COFFRE_LONG") == "1"
BUCKETS = 10_000 if LONG else 300
BUSY_HOURS = 30
YEAR = [month_start(2025 + month // 12, month % 12 + 1) for month in range(10, 22)]
STORE = b"store".ljust(16)
LEVEL = Level(100_000, 120_000, 3 << 30, 2, 10 << 20)
FLOW = Flow(50, 20, 3000, 800, 40, 20, 1 << 30, 3 << 30)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scale") / "catalog.sqlite"
    db = open_writer(str(path))
    with db:
        _insert(db)
    db.close()
    return path


def _insert(db: apsw.Connection) -> None:
    db.execute("INSERT INTO tenants (id, name, bucket_limit) VALUES (x'01', 't', 99999)")
    db.execute(
        "INSERT INTO stores (id, name, tenant_id, key_id, created_ms, key_order, dialect,"
        " allow_v2) VALUES (?, 'shop', x'01', x'', 0, 'utf-8', 'aws', 1)",
        (STORE,),
    )
    now_ms = YEAR[-1] + HOUR_MS
    marks = ", ".join("?" * 18)
    db.execute("INSERT INTO usage_clock (id, closed_ms) VALUES (0, ?)", (YEAR[-1],))
    for kind, price in (("performance", "0.0196"), ("read", "0.0004"), ("egress", "0.01")):
        db.execute("INSERT INTO usage_prices VALUES ('z1', ?, 0, ?)", (kind, price))
    for number in range(BUCKETS):
        bucket = b"%016d" % number
        db.execute(
            "INSERT INTO buckets (id, store_id, name, owner_id, created_ms, region, key_order,"
            " versioning) VALUES (?, ?, ?, '', 0, '', 'utf-8', 'never')",
            (bucket, STORE, f"bucket-{number}"),
        )
        for storage_class in ("STANDARD", ""):
            about = (bucket, storage_class)
            db.executemany(
                f"INSERT INTO usage_hours VALUES ({marks})",
                (
                    (*about, *row_of(Span(month_ms + hour * 20 * HOUR_MS, LEVEL, 5, 7, FLOW)))
                    for month_ms in YEAR
                    for hour in range(BUSY_HOURS)
                ),
            )
            db.executemany(
                f"INSERT INTO usage_months VALUES ({marks})",
                (
                    (*about, *row_of(Span(month_ms, LEVEL, 720 * LEVEL.stored, 7, FLOW)))
                    for month_ms in YEAR[:-1]
                ),
            )
            spans = pack(tuple(Span(kind.start(now_ms), LEVEL) for kind in KINDS))
            db.execute(
                "INSERT INTO usage_meters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (*about, *LEVEL, now_ms, spans),
            )


def test_a_statement_of_any_month_takes_less_than_a_second(catalog: Path) -> None:
    reader = SqliteReader(open_reader(str(catalog)))
    accounts = Accounts(reader, "z1")
    now_ms = YEAR[-1] + 2 * HOUR_MS
    for month_ms in YEAR:
        began = time.process_time()
        bill = accounts.statement("t", accounts.holders(), month_ms, now_ms)
        took = time.process_time() - began
        print(f"statement of {bill.month}: {took * 1000:.0f} ms of a core")
        assert bill.lines[0].storage_class == "STANDARD"
        assert bill.lines[0].gib_hours is not None
        hours = 1 if month_ms == YEAR[-1] else 720
        assert float(bill.lines[0].gib_hours) >= BUCKETS * 3 * hours
    size = reader._db.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'usage_hours'").get
    rows = BUCKETS * 2 * len(YEAR) * BUSY_HOURS
    print(f"{rows} hours in {size / 1e6:.1f} MB: {size / rows:.0f} bytes each")


def test_a_year_of_one_bucket_by_the_day(catalog: Path) -> None:
    reader = SqliteReader(open_reader(str(catalog)))
    accounts = Accounts(reader, "z1")
    store = reader.store_named("shop")
    assert store is not None
    bucket = reader.bucket(store.id, "bucket-7")
    assert bucket is not None
    began = time.process_time()
    holders = accounts.holders()
    rows = accounts.rows(holders, bucket, "day", YEAR[0], YEAR[-1], YEAR[-1])
    print(f"a year of days: {(time.process_time() - began) * 1000:.0f} ms of a core")
    assert len({row.at_ms for row in rows}) == (YEAR[-1] - YEAR[0]) // (24 * HOUR_MS)
