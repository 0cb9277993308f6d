"""Sealing: verified in, verified out, and safe to be cut anywhere."""

from __future__ import annotations

import errno
import random
from collections.abc import Container, Sequence

import pytest

from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import Operation, RecordingDisk
from coffre.testing.vault import DriveZone
from coffre.vault.drives import Drive, DriveState, mirror_path, segment_path, temporary_path
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.interface import DataLost
from coffre.vault.landing import ScannedGroup, scan
from coffre.vault.leftovers import chunk_files, find_leftovers, remove_leftover
from coffre.vault.records import Chunk, ChunkState, Extent, Geometry
from coffre.vault.seal import Sealed, SealMismatch, remove_mirrors, seal
from coffre.vault.segments import read_header, sealed_ways

BODIES = [SeededEntropy(size).bytes(size) for size in (5000, 120_000, 64, 300_000)]


class Scene:
    """Three groups in a landing chunk that waits to be sealed."""

    def __init__(self, disk: RecordingDisk, zone: DriveZone, extents: list[Extent]) -> None:
        self.disk = disk
        self.zone = zone
        self.extents = extents
        self.chunk = zone.close_landing()

    def mirror(self, index: int) -> str:
        drive = self.zone.drives.by_id(self.chunk.members[index])
        assert drive is not None
        return mirror_path(drive, self.chunk.id)

    async def read(self, zone: DriveZone | None = None) -> bytes:
        store = (zone or self.zone).new_store()
        return b"".join([await store.read(one, 0, one.length) for one in self.extents])

    def groups(self) -> list[ScannedGroup]:
        path = self.mirror(0)
        return list(scan(self.disk, path, read_header(self.disk, path)))


@pytest.fixture
async def scene() -> Scene:
    disk = RecordingDisk(["/z"])
    zone = DriveZone(disk, "/z")
    extents = [*await zone.land(*BODIES[:2]), *await zone.land(BODIES[2])]
    extents += await zone.land(BODIES[3])
    return Scene(disk, zone, extents)


async def test_a_sealed_chunk_holds_every_byte_at_the_same_address(scene: Scene) -> None:
    length = scene.groups()[-1].end
    row = await scene.zone.seal(scene.chunk)
    assert (row.geometry, row.length) == (Geometry(12, 4), length)
    assert not any(scene.disk.exists(scene.mirror(index)) for index in range(3))
    assert await scene.read() == b"".join(BODIES)
    headers = [read_header(scene.disk, path) for path in segments(scene.zone, row)]
    assert [(one.index, one.role, one.members, one.length) for one in headers] == [
        (index, "segment", row.members, length) for index in range(16)
    ]


def segments(zone: DriveZone, row: Chunk | Sealed) -> list[str]:
    drives = [zone.drives.by_id(member) for member in row.members]
    return [
        segment_path(drive, row.id, index)
        for index, drive in enumerate(drives)
        if drive is not None
    ]


async def test_a_group_that_rotted_on_one_mirror_is_taken_from_another(scene: Scene) -> None:
    groups = scene.groups()
    for index, group in enumerate(groups):
        scene.disk.corrupt(scene.mirror(index), HEADER_BYTES + group.blobs_offset, 0x10)
    await scene.zone.seal(scene.chunk)
    assert await scene.read() == b"".join(BODIES)


async def test_a_group_that_rotted_on_every_mirror_is_not_sealed_away(scene: Scene) -> None:
    last = scene.groups()[-1]
    for index in range(3):
        scene.disk.corrupt(scene.mirror(index), HEADER_BYTES + last.blobs_offset, 0x10)
    with pytest.raises(DataLost):
        seal(scene.chunk, scene.zone.drives, last_sequence=last.header.sequence)


async def test_a_seal_stops_at_the_last_sequence_that_it_is_told(scene: Scene) -> None:
    sealed = seal(scene.chunk, scene.zone.drives, last_sequence=2)
    assert sealed.length == scene.groups()[1].end


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
async def test_a_drive_that_fails_meanwhile_is_left_out(scene: Scene, operation: Operation) -> None:
    failing = next(
        drive for drive in scene.zone.drives.all() if drive.id not in scene.chunk.members
    )
    scene.disk.fail(failing.path, operation, errno.EIO)
    row = await scene.zone.seal(scene.chunk)
    assert row.geometry == Geometry(8, 4)
    assert failing.id not in row.members
    assert failing.state is DriveState.FAILED
    assert await scene.read() == b"".join(BODIES)


async def test_bytes_that_change_on_their_way_are_noticed_and_the_drive_left_out(
    scene: Scene,
) -> None:
    """A drive that stores other bytes than it was given."""
    liar = next(drive for drive in scene.zone.drives.all() if drive.id not in scene.chunk.members)

    class Lying(RecordingDisk):
        def _write(self, path: str, inode: object, data: bytes, offset: int) -> int:
            if path.startswith(liar.path) and offset:
                data = b"\xff" + data[1:]
            return super()._write(path, inode, data, offset)  # type: ignore[arg-type]

    scene.disk.__class__ = Lying
    row = await scene.zone.seal(scene.chunk)
    assert liar.id not in row.members
    assert await scene.read() == b"".join(BODIES)


async def test_a_wrong_re_lay_is_never_published(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one whose blocks are all whole: the groups are checked again where they came to lie."""
    split = "coffre.vault.seal.split_row"
    monkeypatch.setattr(split, lambda data, k, unit: [bytes(unit) for _ in range(k)])
    with pytest.raises(SealMismatch):
        seal(scene.chunk, scene.zone.drives)
    names = [name for name in scene.disk._names if ".segment" in name]
    assert names == []
    assert await scene.read() == b"".join(BODIES)


async def test_power_loss_at_any_step_leaves_mirrors_or_segments(scene: Scene) -> None:
    begin = len(scene.disk.journal)
    await scene.zone.seal(scene.chunk)
    end = len(scene.disk.journal)
    choose = random.Random(4)
    steps = choose.sample(range(begin, end), 12)
    for at in sorted({begin, *steps, *range(end - 6, end)}) + 8 * [end]:
        image = scene.disk.image(at, choose)
        after = DriveZone(image, "/z")
        # The catalog's own news may be lost: it knows the mirrors alone.
        after.rows = {scene.chunk.id: scene.chunk}
        assert await scene.read(after) == b"".join(BODIES)
        # And a seal that starts again comes through, if there are mirrors to seal.
        if all(image.exists(scene.mirror(index)) for index in range(3)):
            await after.seal(scene.chunk)
            assert await scene.read(after) == b"".join(BODIES)
            _remove_leftovers(after)
            assert len([name for name in image._names if ".segment" in name]) == 16


async def test_leftovers_go_and_what_may_be_needed_stays(scene: Scene) -> None:
    zone, disk = scene.zone, scene.disk
    row = await zone.seal(scene.chunk, keep_mirrors=True)
    outsider = next(drive for drive in zone.drives.all() if drive.id != row.members[3])
    unknown = b"\1" * 16

    def touch(path: str) -> str:
        disk.open(path, "create").close()
        return path

    for chunk_dir in {path.rsplit("/", 1)[0] for path in _paths_for(outsider, unknown)}:
        disk.mkdir(chunk_dir)
    stale = touch(segment_path(outsider, row.id, 3))
    mirror_of_unknown, segment_of_unknown = (touch(path) for path in _paths_for(outsider, unknown))
    temporary = touch(temporary_path(segment_path(outsider, row.id, 9)))
    foreign = touch(f"{outsider.path}/chunks/01/lost+found")
    mirrors = [scene.mirror(index) for index in range(3)]
    # Superblocks may name what rows call sealed: a start would look for the mirrors.
    removed = _remove_leftovers(zone, named={row.id})
    assert sorted(removed) == sorted([stale, segment_of_unknown, temporary])
    assert sorted(_remove_leftovers(zone)) == sorted(mirrors)
    assert disk.exists(mirror_of_unknown)
    assert disk.exists(foreign)
    assert await scene.read() == b"".join(BODIES)


def _remove_leftovers(zone: DriveZone, named: Container[bytes] = ()) -> list[str]:
    """What the sweeper removes at last; nothing else is under way."""
    removed: list[str] = []
    disk = zone.drives.disk
    for drive in zone.drives.present():
        files = list(chunk_files(disk, drive))
        for leftover in find_leftovers(disk, drive, files, zone.rows, epoch=9, named=named):
            assert remove_leftover(disk, leftover)
            removed.append(leftover.path)
    return removed


def _paths_for(drive: Drive, chunk_id: bytes) -> Sequence[str]:
    return mirror_path(drive, chunk_id), segment_path(drive, chunk_id, 0)


async def test_an_empty_chunk_seals_to_nothing() -> None:
    disk = RecordingDisk(["/z"])
    zone = DriveZone(disk, "/z", racks=3, drives_per_rack=1)
    await zone._open_landing()
    row = await zone.seal(zone.close_landing())
    assert (row.state, row.length, row.geometry) == (ChunkState.SEALED, 0, Geometry(2, 1))


async def test_what_a_seal_that_was_given_up_left_is_not_taken_for_the_seal(scene: Scene) -> None:
    """It has more segments than it needs to look whole, and too few that are."""
    left = seal(scene.chunk, scene.zone.drives, wanted=Geometry(12, 4))
    paths = segments(scene.zone, left)
    for path in paths[:3]:
        scene.disk.unlink(path)
    for path in paths[3:5]:
        scene.disk.corrupt(path, HEADER_BYTES + 100, 0x10)
    done = seal(scene.chunk, scene.zone.drives, wanted=Geometry(8, 4))
    remove_mirrors(scene.zone.drives, scene.chunk.id)
    ways = sealed_ways(scene.zone.drives, scene.chunk.id)
    assert [way.geometry for way in ways] == [Geometry(8, 4), Geometry(12, 4)]
    assert ways[0].members == done.members
    # The rows still name the mirrors, which are gone.
    assert await scene.read() == b"".join(BODIES)
    # One that has less to spare and is whole is found behind one that looks better.
    for path in segments(scene.zone, done)[:4]:
        scene.disk.unlink(path)
    assert sealed_ways(scene.zone.drives, scene.chunk.id)[0].geometry == Geometry(12, 4)
    assert await scene.read() == b"".join(BODIES)
