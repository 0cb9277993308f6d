"""The striped writer: what it acknowledged survives, whatever fails while it writes."""

from __future__ import annotations

import asyncio
import errno
import gc
import random
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from coffre.system.disk import LocalDisk
from coffre.system.entropy import SeededEntropy
from coffre.system.starved import Starved
from coffre.testing.content import Inode
from coffre.testing.disk import Operation, RecordingDisk
from coffre.testing.vault import DriveZone
from coffre.vault.drives import Drive, DriveState
from coffre.vault.interface import StorageFull
from coffre.vault.records import STRIPE_UNIT, Chunk, ChunkState, Extent, Geometry
from coffre.vault.store import DriveChunkStore


def content(size: int, seed: int = 3) -> bytes:
    return SeededEntropy(seed).bytes(size)


def new_zone(
    disk: RecordingDisk | None = None, **options: float
) -> tuple[RecordingDisk, DriveZone]:
    disk = disk or RecordingDisk(["/z"])
    return disk, DriveZone(disk, "/z", **options)  # type: ignore[arg-type]


async def read_all(store: DriveChunkStore, extents: Sequence[Extent]) -> bytes:
    return b"".join([await store.read(extent, 0, extent.length) for extent in extents])


def first_member(zone: DriveZone, extents: Sequence[Extent]) -> Drive:
    drive = zone.drives.by_id(zone.rows[extents[0].chunk].members[0])
    assert drive is not None
    return drive


async def test_a_chunk_is_reserved_before_its_first_byte() -> None:
    disk, zone = new_zone()
    before = len(disk.journal)
    events: list[int] = []

    async def reserve(chunk: Chunk) -> None:
        events.append(len(disk.journal))
        zone.rows[chunk.id] = chunk

    zone.writer._reserve = reserve
    extents = await zone.store.append_rows([b"x" * 1000])
    assert events == [before]
    row = zone.rows[extents[0].chunk]
    assert (row.state, row.owner, row.epoch, row.geometry) == (
        ChunkState.OPEN, "worker-1", 1, Geometry(12, 4),
    )  # fmt: skip


async def test_what_was_acknowledged_survives_power_loss_and_a_rack() -> None:
    disk, zone = new_zone()
    extents: list[Extent] = []
    bodies: list[bytes] = []
    for size in (200_000, 1_500_000, 5000):
        bodies.append(content(size, size))
        extents += await zone.store.append_rows([bodies[-1]])
    at = len(disk.journal)
    await zone.store.append_rows([content(100_000)])
    for seed in range(3):
        image = disk.image(at, random.Random(seed))
        after = DriveZone(image, "/z")
        after.rows = zone.rows
        for drive in after.rack(f"r{seed + 1}"):
            drive.state = DriveState.MISSING
        assert await read_all(after.store, extents) == b"".join(bodies)


@pytest.mark.parametrize("operation", ["write", "sync", "create", "mkdir", "sync_dir"])
async def test_a_failing_drive_is_left_out_and_the_rows_are_written_elsewhere(
    operation: Operation,
) -> None:
    disk, zone = new_zone()
    disk.fail("/z/r2n1d1", operation, errno.EIO)
    body = content(500_000)
    extents = await zone.store.append_rows([body])
    failed = [drive for drive in zone.drives.all() if drive.state is DriveState.FAILED]
    assert [drive.path for drive in failed] == ["/z/r2n1d1"]
    row = zone.rows[extents[0].chunk]
    assert row.geometry == Geometry(8, 4)
    assert failed[0].id not in row.members
    assert await read_all(zone.new_store(), extents) == body


async def test_rows_go_to_a_narrower_chunk_once_a_rack_is_away() -> None:
    _, zone = new_zone()
    await zone.store.append_rows([content(5000)])
    for drive in zone.drives.all()[:4]:
        zone.drives.mark(drive.id, DriveState.MISSING, "its folder is gone")
    extents = await zone.store.append_rows([content(200_000)])
    row = zone.rows[extents[0].chunk]
    assert row.geometry == Geometry(8, 4)
    racks = Counter(found.rack for one in row.members if (found := zone.drives.member(one)))
    assert set(racks.values()) == {4}
    assert await read_all(zone.store, extents) == content(200_000)


async def test_rows_leave_a_drive_that_is_to_be_emptied() -> None:
    _, zone = new_zone()
    first = await zone.store.append_rows([content(5000)])
    going = first_member(zone, first)
    zone.drives.intend(going.id, "drain")
    then = await zone.store.append_rows([content(5000)])
    assert going.id not in zone.rows[then[0].chunk].members
    assert await read_all(zone.store, [*first, *then]) == content(5000) * 2


async def test_rows_synced_before_a_drive_failed_stay_readable() -> None:
    disk, zone = new_zone()
    first, second = content(300_000, 1), content(300_000, 2)
    extents = [*await zone.store.append_rows([first])]
    disk.fail(first_member(zone, extents).path, "sync", errno.EIO)
    extents += await zone.store.append_rows([second])
    assert extents[0].chunk != extents[1].chunk
    assert await read_all(zone.new_store(), extents) == first + second


async def test_a_late_sync_is_not_waited_for_again() -> None:
    release = threading.Event()
    disk, zone = new_zone(RecordingDisk(["/z"], wait=lambda _: release.wait(30)), sync_deadline=0.3)
    extents = [*await zone.store.append_rows([b"1" * 1000])]
    slow = first_member(zone, extents)
    disk.slow(slow.path, 1)
    try:
        extents += await zone.store.append_rows([b"2" * 1000])
        assert (slow.state, slow.reason) == (DriveState.FAILED, "late to sync")
        assert slow.id not in zone.rows[extents[1].chunk].members
        assert await read_all(zone.new_store(), extents) == b"1" * 1000 + b"2" * 1000
    finally:
        release.set()


class StuckDisk(RecordingDisk):
    """A disk on which writes below `stuck` wait for `release`."""

    def __init__(self) -> None:
        super().__init__(["/z"])
        self.stuck = "nowhere"
        self.release = threading.Event()

    def _write(self, path: str, inode: Inode, data: bytes, offset: int) -> int:
        if path.startswith(self.stuck):
            self.release.wait(30)
        return super()._write(path, inode, data, offset)


async def test_a_write_that_gets_stuck_is_left_behind() -> None:
    disk = StuckDisk()
    _, zone = new_zone(disk, sync_deadline=0.1)
    extents = [*await zone.store.append_rows([b"1" * 1000])]
    stuck = first_member(zone, extents)
    disk.stuck = stuck.path
    try:
        extents += await zone.store.append_rows([b"2" * 1000])
        assert (stuck.state, stuck.reason) == (DriveState.FAILED, "late to write")
        assert await read_all(zone.new_store(), extents) == b"1" * 1000 + b"2" * 1000
    finally:
        disk.release.set()


async def test_a_chunk_that_could_not_be_closed_is_closed_later() -> None:
    _, zone = new_zone(linger=0.01)
    closed = asyncio.Event()
    calls: list[bytes] = []

    async def close(chunk_id: bytes) -> None:
        calls.append(chunk_id)
        if len(calls) == 1:
            raise ConnectionError("no committer")
        closed.set()

    zone.writer._close = close
    await zone.store.append_rows([b"x"])
    assert zone.writer._current is not None
    zone.writer._retire(zone.writer._current)
    async with asyncio.timeout(5):
        await closed.wait()
    assert len(calls) == 2


async def test_a_machine_that_stalls_is_waited_for_and_no_drive_is_blamed() -> None:
    release = threading.Event()
    disk, zone = new_zone(
        RecordingDisk(["/z"], wait=lambda _: release.wait(30)), sync_deadline=0.05
    )
    disk.slow("/z", 1)
    append = asyncio.create_task(zone.store.append_rows([b"1" * 1000]))
    done, _ = await asyncio.wait({append}, timeout=0.5)
    assert not done
    release.set()
    extents = await append
    assert len(zone.drives.present()) == 16
    assert zone.rows[extents[0].chunk].geometry == Geometry(12, 4)


async def test_a_drive_without_space_takes_no_new_chunk_but_is_read() -> None:
    disk, zone = new_zone()
    extents = [*await zone.store.append_rows([content(100_000)])]
    full = first_member(zone, extents)
    disk.full(full.path, 10_000)
    extents += await zone.store.append_rows([content(1_000_000)])
    assert full.state is DriveState.PRESENT
    assert full.id not in zone.rows[extents[1].chunk].members
    assert await read_all(zone.new_store(), extents) == content(100_000) + content(1_000_000)
    assert zone.noticed == []


async def test_no_drive_with_room_is_storage_full() -> None:
    disk, zone = new_zone()
    for drive in zone.drives.all():
        disk.full(drive.path, 1000)
    with pytest.raises(StorageFull):
        await zone.store.append_rows([b"x" * 1000])


async def test_appends_side_by_side_share_their_syncs() -> None:
    disk, zone = new_zone()
    await zone.store.append_rows([b"first"])
    before = sum(event.operation == "sync" for event in disk.journal)
    bodies = [content(20_000, seed) for seed in range(20)]
    extents = await asyncio.gather(*(zone.store.append_rows([body]) for body in bodies))
    syncs = sum(event.operation == "sync" for event in disk.journal) - before
    assert syncs < 16 * 20
    assert syncs % 16 == 0
    assert await read_all(zone.new_store(), [one for (one,) in extents]) == b"".join(bodies)


async def test_the_last_row_has_the_smallest_unit_that_holds_the_rest() -> None:
    _, zone = new_zone()
    extents = await zone.store.append_rows([content(12 * STRIPE_UNIT + 400_000)])
    assert [(one.offset, one.unit, one.length) for one in extents] == [
        (0, STRIPE_UNIT, 12 * STRIPE_UNIT),
        (STRIPE_UNIT, 3 * 16384, 400_000),
    ]
    (following,) = await zone.store.append_rows([b"x"])
    assert (following.offset, following.unit) == (STRIPE_UNIT + 3 * 16384, 16384)


async def test_a_full_chunk_stays_open_while_a_commit_may_refer_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coffre.vault.striped.CHUNK_BYTES", 400_000)
    _, zone = new_zone(linger=0.02)

    closed = asyncio.Event()

    async def close(chunk_id: bytes) -> None:
        await zone._close(chunk_id)
        closed.set()

    zone.writer._close = close

    class Holder:
        """A blob writer, as the store sees it."""

    holder = Holder()
    (extent,) = await zone.store.append_rows([content(500_000)], holder)
    (other,) = await zone.store.append_rows([b"x"], holder)
    assert other.chunk != extent.chunk
    await asyncio.sleep(0.1)
    assert zone.rows[extent.chunk].state is ChunkState.OPEN
    del holder
    gc.collect()
    async with asyncio.timeout(5):
        await closed.wait()
    assert zone.rows[extent.chunk].state is ChunkState.SEALED
    assert zone.rows[other.chunk].state is ChunkState.OPEN
    await zone.writer.drain()
    assert zone.rows[other.chunk].state is ChunkState.SEALED


async def test_an_upload_that_goes_away_while_a_chunk_opens_leaves_it_to_the_next() -> None:
    _, zone = new_zone()
    upload = asyncio.create_task(zone.store.append_rows([b"gone"]))
    await asyncio.sleep(0)
    upload.cancel()
    (extent,) = await zone.store.append_rows([b"stays"])
    assert await zone.store.read(extent, 0, 5) == b"stays"
    assert len(zone.rows) == 1


async def test_an_upload_that_goes_away_is_told_nothing_of_a_chunk_that_finds_no_room() -> None:
    disk, zone = new_zone()
    for drive in zone.drives.all():
        disk.full(drive.path, 1000)
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context))
    upload = asyncio.create_task(zone.store.append_rows([b"gone"]))
    await asyncio.sleep(0)
    upload.cancel()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    gc.collect()
    assert not told


async def test_one_drive_alone_holds_what_it_is_given(tmp_path: object) -> None:
    zone = DriveZone(LocalDisk(), str(tmp_path), racks=1, drives_per_rack=1)
    body = content(3_000_000)
    extents = await zone.store.append_rows([body])
    assert zone.rows[extents[0].chunk].geometry == Geometry(1, 0)
    assert await read_all(zone.new_store(), extents) == body


def closing_of(zone: DriveZone) -> asyncio.Event:
    """Set when the zone's writer closes a chunk."""
    closed = asyncio.Event()
    close = zone.writer._close

    async def told(chunk_id: bytes) -> None:
        await close(chunk_id)
        closed.set()

    zone.writer._close = told
    return closed


async def test_a_chunk_on_a_drive_that_takes_nothing_more_is_closed_soon_but_not_under_a_holder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Holder:
        """An upload under way."""

    monkeypatch.setattr("coffre.vault.striped.HURRIED_LINGER", 0.01)
    _, zone = new_zone(linger=3600.0)
    closed, holder = closing_of(zone), Holder()
    extents = await zone.writer.append([content(1000)], holder)
    zone.drives.mark(first_member(zone, extents).id, DriveState.MISSING)
    zone.writer.heed()
    assert zone.writer._current is None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await closed.wait()
    del holder
    gc.collect()
    async with asyncio.timeout(10):
        await closed.wait()
    assert zone.rows[extents[0].chunk].state is ChunkState.SEALED
    assert await read_all(zone.store, extents) == content(1000)


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
async def test_what_the_process_lacks_is_no_fault_of_a_drive(operation: Operation) -> None:
    disk, zone = new_zone()
    before = await zone.store.append_rows([content(100_000)])
    if operation == "create":
        zone.writer.renew()
    disk.fail("/z", operation, errno.ENOMEM, times=1)
    with pytest.raises(Starved):
        await zone.store.append_rows([content(100_000)])
    after = await zone.store.append_rows([content(100_000, 4)])
    assert after[0].chunk != before[0].chunk, "what failed a write or sync is written no more"
    assert {drive.state for drive in zone.drives.all()} == {DriveState.PRESENT}
    assert await read_all(zone.store, [*before, *after]) == content(100_000) + content(100_000, 4)


async def test_a_chunk_laid_while_racks_were_away_is_left_when_they_are_back() -> None:
    _, zone = new_zone()
    away = [drive for drive in zone.drives.all() if drive.rack not in ("r1", "r2")]
    for drive in away:
        zone.drives.mark(drive.id, DriveState.MISSING)
    narrow = await zone.store.append_rows([content(100_000)])
    assert zone.rows[narrow[0].chunk].geometry == Geometry(1, 2)
    zone.drives.mark(away[0].id, DriveState.PRESENT)
    zone.writer.heed()
    for drive in away:
        zone.drives.mark(drive.id, DriveState.PRESENT)
    zone.writer.heed()
    wide = await zone.store.append_rows([content(100_000)])
    assert zone.rows[wide[0].chunk].geometry == Geometry(12, 4)
    zone.writer.heed()
    same = await zone.store.append_rows([content(100_000)])
    assert same[0].chunk == wide[0].chunk, "what could be no wider goes on"
