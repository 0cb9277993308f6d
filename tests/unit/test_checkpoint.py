"""The WAL begins again and again while groups and reads go on, and is never copied half."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.checkpoint import Checkpointer
from coffre.catalog.group import Limits
from coffre.catalog.schema import checkpoint, open_reader, open_writer
from coffre.testing.committing import RecordedZone

WAL_BYTES = 1024 * 1024


def tenants(count: int) -> Iterator[m.CreateTenant]:
    for number in range(count):
        yield m.CreateTenant(b"%016d" % number, f"tenant {number}")


def wal_bytes(catalog: str) -> int:
    return Path(f"{catalog}-wal").stat().st_size


async def test_under_steady_writes_and_short_reads_the_wal_stays_short(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    zone.limits = Limits(wal_bytes=WAL_BYTES)
    node = await zone.founded()
    reader = open_reader(zone.catalog)
    for mutation in tenants(1500):
        with reader:
            assert reader.execute("SELECT count(*) FROM tenants").get is not None
            answer = node.committer.submit(mutation)
        await answer
    # The file keeps the size that it had when it was longest; a group or two may slip in.
    assert WAL_BYTES < wal_bytes(zone.catalog) < 2.2 * WAL_BYTES
    await node.kill()
    again = await zone.node()
    assert again.rows.execute("SELECT count(*) FROM tenants").get == 1501
    await again.kill()
    reader.close()


async def test_groups_wait_for_a_checkpoint_that_does_not_keep_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    hold_groups = Checkpointer._hold_groups

    def slow(path: str, *, restart: bool = False) -> tuple[int, int]:
        held.wait()
        return checkpoint(path, restart=restart)

    async def hold(checkpointer: Checkpointer) -> None:
        held.set()
        await hold_groups(checkpointer)

    monkeypatch.setattr("coffre.catalog.checkpoint.checkpoint", slow)
    monkeypatch.setattr(Checkpointer, "_hold_groups", hold)
    zone = RecordedZone(tmp_path)
    zone.limits = Limits(wal_bytes=WAL_BYTES, group_mutations=1)
    node = await zone.founded()
    answers = [node.committer.submit(mutation) for mutation in tenants(1000)]
    assert not any(isinstance(answer, m.Refused) for answer in await asyncio.gather(*answers))
    assert WAL_BYTES < wal_bytes(zone.catalog) < 2.2 * WAL_BYTES
    held.set()
    await node.kill()


async def test_a_reader_that_does_not_let_go_holds_the_wal_and_is_said_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "catalog.sqlite")
    db = open_writer(path)
    reader = open_reader(path)
    # The schema itself lies in the WAL.
    made = wal_bytes(path)
    paused = asyncio.Event()

    async def between_groups(work: object) -> None:
        await work()  # type: ignore[operator]
        paused.set()

    Checkpointer(db, between_groups, wal_bytes=made + 300_000, alarm_bytes=made + 800_000)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM tenants").get == 0
    number = 0

    def grow(length: int) -> None:
        nonlocal number
        while wal_bytes(path) < length:
            number += 1
            name = str(number)
            db.execute("INSERT INTO tenants VALUES (?, ?, 1, 0)", (name.encode(), name * 50))

    grow(made + 350_000)
    await paused.wait()
    assert "some reader holds it" not in caplog.text
    grow(made + 900_000)
    assert "some reader holds it" in caplog.text
    reader.execute("COMMIT")
    in_wal, copied = checkpoint(path, restart=True)
    assert in_wal == copied
    db.execute("DELETE FROM tenants WHERE id = x'31'")
    assert checkpoint(path)[0] < 10
