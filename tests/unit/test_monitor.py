"""The monitor: what is gone, fails or drags is set aside; what is back is handed to the checker."""

from __future__ import annotations

import errno
from collections.abc import Callable
from threading import Thread

import pytest

from coffre.service.monitor import Found, Monitor
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import (
    LATE,
    Drive,
    DriveSet,
    DriveState,
    ensure_chunk_dir,
    segment_path,
)
from coffre.vault.headers import ChunkHeader
from coffre.vault.keys import RootKey
from coffre.vault.records import ChunkKind, Geometry
from coffre.vault.superblock import DriveLabel, Superblock, SuperblockStore, superblock_path

DRIVES = 8


class Zone:
    """Eight drives, a monitor on them, and a keeper that sets aside what it is told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        drives = [
            Drive(b"drive".ljust(16, bytes([at])), f"/d{at}", f"n{at}", f"r{at}")
            for at in range(DRIVES)
        ]
        self.disk = RecordingDisk([drive.path for drive in drives])
        self.drives = DriveSet(self.disk, drives)
        store = SuperblockStore(self.disk, RootKey(b"k" * 32), SeededEntropy(1))
        self.zone = Superblock(
            region="here",
            zone="EB4",
            zone_number=1,
            epoch=1,
            drives=tuple(DriveLabel(drive.id, drive.node, drive.rack) for drive in drives),
            geometry=Geometry(4, 2),
            landing_copies=3,
        )
        store.write(self.zone, drives)
        self.monitor = Monitor(
            self.drives, store, self, self, self.clock, SeededEntropy(2), deadline=30.0
        )

    def set_aside(self, drive: Drive, reason: str) -> None:
        self.drives.fail(drive.id, reason)

    @property
    def first(self) -> Drive:
        return self.drives.all()[0]

    async def looks(self, times: int) -> None:
        for _ in range(times):
            await self.monitor.look()
            self.clock.advance(1.0)

    async def until(self, holds: Callable[[], bool], most: int = 1000) -> int:
        """Seconds until it holds."""
        for at in range(most):
            if holds():
                return at
            await self.looks(1)
        raise AssertionError(f"not within {most} looks: {self.first}")


async def test_well_drives_are_left_alone_and_their_probes_are_synced() -> None:
    zone = Zone()
    await zone.looks(10)
    assert zone.drives.present() == zone.drives.all()
    assert any(e.operation == "sync" and e.path == "/d0/probe" for e in zone.disk.journal)


async def test_a_folder_that_is_gone_is_missing_at_once_and_checked_when_it_is_back() -> None:
    zone = Zone()
    zone.disk.lose("/d0")
    await zone.looks(1)
    assert (zone.first.state, zone.first.reason) == (DriveState.MISSING, "its folder is gone")
    zone.disk.heal("/d0")
    assert await zone.until(lambda: zone.first.state is DriveState.CHECKING) == 2
    await zone.looks(20)
    assert zone.first.state is DriveState.CHECKING, "only the checker trusts it"


async def test_an_empty_folder_is_no_drive_and_the_operator_is_told() -> None:
    zone = Zone()
    zone.disk.unlink(superblock_path("/d0"))
    await zone.looks(50)
    assert zone.first.state is DriveState.MISSING
    assert "coffre drive replace /d0" in zone.first.reason


async def test_another_drive_in_its_place_is_foreign() -> None:
    zone = Zone()
    zone.disk.unlink(superblock_path("/d0"))
    zone.disk.rename(superblock_path("/d1"), superblock_path("/d0"))
    await zone.looks(1)
    assert zone.first.state is DriveState.FOREIGN
    assert zone.drives.all()[1].state is DriveState.MISSING


async def test_errors_set_a_drive_aside_and_each_time_it_waits_longer() -> None:
    zone = Zone()
    waits = []
    for _ in range(3):
        zone.disk.fail("/d0/probe", "write", errno.EROFS)
        await zone.until(lambda: zone.first.state is DriveState.FAILED, 6)
        assert "Read-only" in zone.first.reason
        zone.disk.heal("/d0/probe")
        waits.append(await zone.until(lambda: zone.first.state is DriveState.CHECKING))
        zone.drives.mark(zone.first.id, DriveState.PRESENT)
    assert waits[0] < waits[1] < waits[2]


async def test_a_drive_that_still_fails_is_not_checked() -> None:
    zone = Zone()
    zone.disk.fail("/d0/probe", "sync", errno.EIO)
    await zone.until(lambda: zone.first.state is DriveState.FAILED, 6)
    await zone.looks(100)
    assert zone.first.state is DriveState.FAILED


async def test_a_full_drive_is_full_not_failed() -> None:
    zone = Zone()
    zone.disk.fail("/d0/probe", "write", errno.ENOSPC)
    await zone.looks(10)
    assert zone.first.state is DriveState.PRESENT
    assert not zone.drives.have_room([zone.first.id])


def test_a_drive_far_slower_than_the_others_is_set_aside() -> None:
    zone = Zone()
    for turn in range(12):
        for drive in zone.drives.all():
            zone.monitor.judge(drive, Found(seconds=0.5 if drive is zone.first else 0.01))
        if turn < 5:
            assert zone.first.state is DriveState.PRESENT, "one bad moment is nothing"
    assert zone.first.state is DriveState.FAILED
    assert zone.first.reason.startswith(LATE)
    assert len(zone.drives.present()) == DRIVES - 1


def test_a_machine_that_is_slow_blames_no_drive() -> None:
    zone = Zone()
    for turn in range(30):
        for drive in zone.drives.all():
            zone.monitor.judge(drive, Found(seconds=0.4 + turn / 100))
    assert zone.drives.present() == zone.drives.all()


async def test_a_slow_drive_comes_back_only_at_the_others_pace() -> None:
    zone = Zone()
    for _ in range(12):
        for drive in zone.drives.all():
            zone.monitor.judge(drive, Found(seconds=0.5 if drive is zone.first else 0.01))
    for pace, state in ((0.5, DriveState.FAILED), (0.01, DriveState.CHECKING)):
        for _ in range(40):
            zone.clock.advance(1.0)
            for drive in zone.drives.all():
                seconds = pace if drive is zone.first else 0.01
                zone.monitor.judge(drive, Found(seconds=seconds))
        assert zone.first.state is state


@pytest.mark.parametrize("left", [None, b"\xa5" * 8192], ids=["gone", "torn to pieces"])
async def test_a_drive_whose_superblock_is_gone_is_known_by_its_files(left: bytes | None) -> None:
    zone = Zone()
    mine = ChunkHeader(
        region="here",
        zone="EB4",
        chunk=b"c" * 16,
        kind=ChunkKind.STRIPED,
        role="segment",
        index=1,
        k=2,
        m=1,
        members=(zone.drives.all()[1].id, zone.first.id, zone.drives.all()[2].id),
        epoch=1,
        key_id=b"k" * 8,
    )
    ensure_chunk_dir(zone.disk, zone.first, mine.chunk)
    file = zone.disk.open(segment_path(zone.first, mine.chunk, 1), "create")
    file.pwritev([mine.encode()], 0)
    zone.disk.unlink(superblock_path("/d0"))
    if left is not None:
        zone.disk.open(superblock_path("/d0"), "create").pwritev([left], 0)
    await zone.looks(1)
    assert (zone.first.state, zone.first.reason) == (DriveState.MISSING, "its superblock is gone")
    assert await zone.until(lambda: zone.first.state is DriveState.CHECKING) == 2


async def test_what_this_process_lacks_is_no_fault_of_a_drive() -> None:
    zone = Zone()
    zone.drives.mark(zone.first.id, DriveState.FAILED, "long ago")
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        zone.disk.fail("/", "read", number, times=4)
        zone.disk.fail("/", "write", number, times=4)
        await zone.looks(8)
    assert zone.first.state is DriveState.CHECKING, "it was looked at all the same"
    assert {drive.state for drive in zone.drives.all()[1:]} == {DriveState.PRESENT}


async def test_a_machine_without_threads_blames_no_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = Zone()

    def start(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(Thread, "start", start)
        await zone.looks(2)
    await zone.looks(2)
    assert {drive.state for drive in zone.drives.all()} == {DriveState.PRESENT}


def test_nothing_is_made_in_an_empty_folder_where_a_drive_was() -> None:
    zone = Zone()
    drive = zone.first
    drive.founded = True
    ensure_chunk_dir(zone.disk, drive, b"c" * 16)
    zone.disk.mkdir("/empty")
    drive.path = "/empty"
    zone.drives.fail(drive.id, "its disk went away")
    with pytest.raises(FileNotFoundError):
        ensure_chunk_dir(zone.disk, drive, b"c" * 16)
    assert zone.disk.listdir("/empty") == []
