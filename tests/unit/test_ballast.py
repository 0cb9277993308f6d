"""What a drive without a free byte gives up, and that groups need no more than their own space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from coffre.catalog.landing_places import choose_places
from coffre.system.clock import ManualClock
from coffre.system.disk import LocalDisk
from coffre.testing.disk import RecordingDisk
from coffre.vault.ballast import BALLAST, ballast_bytes, take_on, throw_off
from coffre.vault.drives import Drive, DriveSet, mirror_path
from coffre.vault.headers import ChunkHeader
from coffre.vault.interface import StorageFull
from coffre.vault.landing import Landing, MembersFull, frame_group, scan
from coffre.vault.records import ChunkKind

MIB = 1 << 20
CHUNK = bytes(range(16))
HEADER = ChunkHeader(
    region="us-east-1",
    zone="EB4",
    chunk=CHUNK,
    kind=ChunkKind.LANDING,
    role="mirror",
    index=0,
    k=1,
    m=0,
    members=(),
    epoch=7,
    key_id=b"rootkey1",
    first_sequence=1,
)


class SmallDisk(LocalDisk):
    """A folder on which this much is free beside its ballast."""

    def __init__(self, free: int) -> None:
        self.free = free

    def free_bytes(self, path: str) -> int:
        ballast = Path(path) / BALLAST
        return self.free + (0 if ballast.exists() else ballast_bytes(1 << 30))


def drives_in(folder: Path, count: int, disk: SmallDisk) -> DriveSet:
    drives = [
        Drive(bytes([n]) * 16, str(folder / f"d{n}"), f"n{n}", f"r{n}") for n in range(1, count + 1)
    ]
    for drive in drives:
        Path(drive.path).mkdir()
    return DriveSet(disk, drives)


def test_ballast_is_taken_on_where_there_is_room_and_only_once(tmp_path: Path) -> None:
    size = ballast_bytes(1 << 30)
    assert size == 4 * MIB
    assert ballast_bytes(0) == 0
    full, roomy = SmallDisk(1 << 30), SmallDisk((1 << 30) + 1)
    full.free -= size
    take_on(full, str(tmp_path), size, 1 << 30)
    assert not list(tmp_path.iterdir())
    (tmp_path / f"{BALLAST}.tmp").write_bytes(b"cut")
    for _ in range(2):
        take_on(roomy, str(tmp_path), size, 1 << 30)
    assert [path.name for path in tmp_path.iterdir()] == [BALLAST]
    facts = (tmp_path / BALLAST).stat()
    assert facts.st_size == size
    assert facts.st_blocks * 512 >= size


def test_a_file_that_cannot_be_allocated_is_written(tmp_path: Path) -> None:
    disk = RecordingDisk(["/d"])
    take_on(disk, "/d", MIB, 0)
    file = disk.open(f"/d/{BALLAST}", "read")
    assert file.pread(2 * MIB, 0) == bytes(MIB)


def test_where_not_a_byte_is_free_deletes_have_the_ballast_and_bodies_have_not(
    tmp_path: Path,
) -> None:
    disk = SmallDisk(2 << 30)
    drives = drives_in(tmp_path, 4, disk)
    for drive in drives.all():
        take_on(disk, drive.path, ballast_bytes(1 << 30), 1 << 30)
    disk.free = 0
    with pytest.raises(StorageFull):
        choose_places(drives, 3, blobs=True)
    assert all((Path(drive.path) / BALLAST).exists() for drive in drives.all())
    assert len(choose_places(drives, 3, blobs=False)) == 3
    assert not throw_off(drives)
    disk.free = -ballast_bytes(1 << 30)
    with pytest.raises(StorageFull):
        choose_places(drives, 3, blobs=False)


async def _append(landing: Landing, sequence: int, blobs: Sequence[bytes]) -> None:
    await landing.append(frame_group(CHUNK, 1, 7, sequence, blobs, b"record"))


async def test_a_group_for_which_there_is_space_is_appended_without_space_for_zeros() -> None:
    drives = [Drive(bytes([n]) * 16, f"/d{n}", f"n{n}", f"r{n}") for n in range(1, 4)]
    disk = RecordingDisk([drive.path for drive in drives])
    clock = ManualClock()
    found = DriveSet(disk, drives, reserve_bytes=0)
    landing = await Landing.create(found, HEADER, drives, clock)
    disk.full("/d2", 30_000)
    await _append(landing, 1, [bytes(10_000)])
    await _append(landing, 2, [bytes(10_000)])
    with pytest.raises(MembersFull) as full:
        await _append(landing, 3, [bytes(40_000)])
    assert full.value.ids == (drives[1].id,)
    for drive in drives:
        groups = list(scan(disk, mirror_path(drive, CHUNK), HEADER))
        assert [group.header.sequence for group in groups][:2] == [1, 2]
    landing.close()
