"""Rebuilding a segment: where it may go, what it is made from, and every step that may be cut."""

from __future__ import annotations

import errno
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.system.disk import Disk
from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import Operation, RecordingDisk
from coffre.testing.vault import DriveZone
from coffre.vault.blocks import physical
from coffre.vault.drives import Drive, DriveSet, DriveState, segment_path, temporary_path
from coffre.vault.inspection import Inspection, bad_mirrors, missing_segments
from coffre.vault.interface import DataLost
from coffre.vault.rebuild import SegmentRebuild, TargetFailed, choose_target, remove_segment
from coffre.vault.records import GEOMETRIES, Chunk, ChunkKind, ChunkState, Extent

BODY = SeededEntropy(3).bytes(3_000_000)
LOST = 5


class Scene:
    """A striped chunk of twelve and four over five racks of four."""

    def __init__(self, disk: RecordingDisk, zone: DriveZone, extents: tuple[Extent, ...]) -> None:
        self.disk, self.zone, self.extents = disk, zone, extents
        (self.chunk,) = zone.rows.values()

    def drive(self, index: int) -> Drive:
        drive = self.zone.drives.by_id(self.chunk.members[index])
        assert drive is not None
        return drive

    def path(self, index: int) -> str:
        return segment_path(self.drive(index), self.chunk.id, index)

    def flip(self, index: int, block: int = 0) -> None:
        self.disk.corrupt(self.path(index), physical(block * 16384) + 7, 0x40)

    def rebuild(self, index: int = LOST, target: Drive | None = None) -> SegmentRebuild:
        chosen = target or choose_target(self.zone.drives, self.chunk, index)
        assert chosen is not None
        rebuild = SegmentRebuild(self.zone.drives, self.chunk, index, chosen)
        try:
            while rebuild.step():
                pass
            rebuild.finish()
        except BaseException:
            rebuild.discard()
            raise
        return rebuild

    async def read(self) -> bytes:
        store = self.zone.new_store()
        try:
            return b"".join([await store.read(one, 0, one.length) for one in self.extents])
        finally:
            store.close()

    async def reads_from(self, index: int, drive: Drive) -> bool:
        """Does the body read back when only as many segments are left as it takes, this one too?"""
        members = list(self.chunk.members)
        members[index] = drive.id
        others = [at for at in range(16) if at != index]
        for gone in random.Random(1).sample(others, 4):
            members[gone] = b""
        row = self.zone.rows[self.chunk.id]
        self.zone._set(self.chunk.id, members=tuple(members))
        try:
            return await self.read() == BODY
        finally:
            self.zone.rows[self.chunk.id] = row


@pytest.fixture
async def scene() -> Scene:
    disk = RecordingDisk(["/z"])
    zone = DriveZone(disk, "/z", racks=5)
    extents = await zone.store.append_rows([BODY])
    await zone.writer.drain()
    return Scene(disk, zone, extents)


async def test_a_lost_segment_stands_elsewhere_and_is_as_good_as_the_old_one(scene: Scene) -> None:
    scene.zone.drives.fail(scene.chunk.members[LOST], "gone")
    rebuild = scene.rebuild()
    assert rebuild.target.id not in scene.chunk.members
    assert await scene.reads_from(LOST, rebuild.target)


async def test_a_bad_segment_is_made_anew_where_it_was(scene: Scene) -> None:
    scene.flip(LOST)
    assert Inspection(scene.zone.drives, scene.chunk, frozenset((LOST,))).step()
    rebuild = scene.rebuild()
    assert rebuild.target is scene.drive(LOST)
    look = Inspection(scene.zone.drives, scene.chunk)
    look.run()
    assert not look.bad
    assert await scene.reads_from(LOST, rebuild.target)


async def test_rot_elsewhere_is_gone_round_and_told(scene: Scene) -> None:
    scene.zone.drives.fail(scene.chunk.members[LOST], "gone")
    for index in (0, 1, 7):
        scene.flip(index, block=index)
    rebuild = scene.rebuild()
    assert set(rebuild.bad) <= {0, 1, 7}
    look = Inspection(scene.zone.drives, scene.chunk)
    look.run()
    assert set(look.bad) == {0, 1, 7}


async def test_different_blocks_may_be_bad_in_more_segments_than_may_be_lost(scene: Scene) -> None:
    """Seven segments, each with one bad block: every block is whole in thirteen others."""
    scene.zone.drives.fail(scene.chunk.members[LOST], "gone")
    for block, index in enumerate((0, 2, 4, 6, 8, 10, 12)):
        scene.flip(index, block)
    rebuild = scene.rebuild()
    scene.zone.drives.mark(scene.chunk.members[LOST], DriveState.PRESENT)
    old = scene.disk.open(scene.path(LOST), "read")
    new = scene.disk.open(segment_path(rebuild.target, scene.chunk.id, LOST), "read")
    assert old.pread(1 << 20, 4096) == new.pread(1 << 20, 4096)


async def test_what_is_whole_in_too_few_segments_of_a_sealed_chunk_is_data_lost() -> None:
    disk = RecordingDisk(["/z"])
    zone = DriveZone(disk, "/z", racks=5)
    extents = await zone.land(BODY[:100_000])
    row = await zone.seal(zone.close_landing())
    sealed = Scene(disk, zone, tuple(extents))
    sealed.chunk = row
    zone.drives.fail(row.members[LOST], "gone")
    for index in (0, 1, 2, 3):
        sealed.flip(index)
    with pytest.raises(DataLost):
        sealed.rebuild()
    assert not [name for name in disk._names if name.endswith(".tmp")]


async def test_a_row_that_was_never_whole_stays_a_hole(scene: Scene) -> None:
    """An append that was cut left blocks in three segments; nothing refers to them."""
    end = scene.disk.open(scene.path(0), "read").size()
    for index in (0, 1, 2):
        file = scene.disk.open(scene.path(index), "edit")
        file.pwritev([b"\x01" * 16392], end)
    scene.zone.drives.fail(scene.chunk.members[LOST], "gone")
    rebuild = scene.rebuild()
    assert not rebuild.bad
    assert await scene.reads_from(LOST, rebuild.target)
    look = Inspection(scene.zone.drives, scene.chunk)
    look.run()
    assert not look.bad


async def test_nothing_is_made_of_a_striped_chunk_while_too_many_drives_are_away(
    scene: Scene,
) -> None:
    """They may come back: a segment of holes must not take the place of what they hold."""
    for index in range(LOST, LOST + 5):
        scene.zone.drives.fail(scene.chunk.members[index], "away")
    with pytest.raises(DataLost):
        scene.rebuild()


async def test_a_drive_that_is_emptied_is_read_itself(scene: Scene) -> None:
    drive = scene.drive(LOST)
    scene.zone.drives.intend(drive.id, "drain")
    for index in range(16):
        if index != LOST:
            scene.disk.fail(scene.drive(index).path, "read", errno.EIO)
    target = choose_target(scene.zone.drives, scene.chunk, LOST)
    assert target is not None
    assert target is not drive
    scene.rebuild(target=target)
    for index in range(16):
        scene.disk.heal(scene.drive(index).path)
    assert await scene.reads_from(LOST, target)


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
async def test_a_target_that_fails_is_blamed_and_keeps_nothing(
    scene: Scene, operation: Operation
) -> None:
    scene.zone.drives.fail(scene.chunk.members[LOST], "gone")
    target = choose_target(scene.zone.drives, scene.chunk, LOST)
    assert target is not None
    scene.disk.fail(target.path, operation, errno.EIO)
    with pytest.raises(TargetFailed) as caught:
        scene.rebuild(target=target)
    assert caught.value.drive is target


async def test_power_loss_at_any_step_leaves_the_old_segment_or_the_new(scene: Scene) -> None:
    """In place, where it is most delicate: the bad file is replaced by the good one at once."""
    scene.flip(LOST)
    begin = len(scene.disk.journal)
    scene.rebuild()
    choose = random.Random(4)
    for at in range(begin, len(scene.disk.journal) + 1):
        image = scene.disk.image(at, choose)
        drives = DriveSet(image, scene.zone.drives.all())
        wrong = missing_segments(drives, scene.chunk)
        look = Inspection(drives, scene.chunk)
        look.run()
        assert not wrong
        assert set(look.bad) <= {LOST}
        assert at < len(scene.disk.journal) or not look.bad
        again = SegmentRebuild(drives, scene.chunk, LOST, scene.drive(LOST))
        while again.step():
            pass
        again.finish()
        assert not image.exists(temporary_path(scene.path(LOST)))


async def test_an_old_segment_is_removed_once(scene: Scene) -> None:
    remove_segment(scene.disk, scene.drive(3), scene.chunk.id, 3)
    remove_segment(scene.disk, scene.drive(3), scene.chunk.id, 3)
    assert missing_segments(scene.zone.drives, scene.chunk) == {3: "the file is missing"}


async def test_a_mirror_that_lacks_a_group_is_found(scene: Scene) -> None:
    await scene.zone.land(BODY[:5000])
    await scene.zone.land(BODY[:6000])
    (chunk,) = [one for one in scene.zone.rows.values() if one.kind is ChunkKind.LANDING]
    assert bad_mirrors(scene.zone.drives, chunk) == {}
    drive = scene.zone.drives.by_id(chunk.members[1])
    assert drive is not None
    path = f"{drive.path}/chunks/{chunk.id[-1]:02x}/{chunk.id.hex()}.mirror"
    scene.disk.corrupt(path, 4096 + 5100, 0x01)
    assert set(bad_mirrors(scene.zone.drives, chunk)) == {drive.id}


class Roomy(RecordingDisk):
    """Drives of unequal free space, by path."""

    def __init__(self, free: dict[str, int]) -> None:
        super().__init__(free)
        self._free = free

    def free_bytes(self, path: str) -> int:
        return self._free[path]


@given(st.data())
def test_a_target_never_puts_more_than_m_segments_in_a_rack_nor_two_on_a_drive(
    data: st.DataObject,
) -> None:
    racks = data.draw(st.integers(3, 7), "racks")
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=racks, max_size=racks), "drives")
    made = [
        Drive(bytes([rack, at] * 8), f"/r{rack}d{at}", f"r{rack}n{at // 2}", f"r{rack}")
        for rack, count in enumerate(sizes)
        for at in range(count)
    ]
    free = {d.path: data.draw(st.integers(0, 8), d.path) << 30 for d in made}
    drives = DriveSet(_disk(free), made)
    geometry = data.draw(st.sampled_from(GEOMETRIES))
    placed: list[bytes] = []
    held: Counter[str] = Counter()
    for drive in data.draw(st.permutations(made)):
        if len(placed) < geometry.width and held[drive.rack] < (geometry.m or 1):
            placed.append(drive.id)
            held[drive.rack] += 1
    members = tuple(placed) + (b"",) * (geometry.width - len(placed))
    chunk = Chunk(
        b"c" * 16, ChunkKind.STRIPED, ChunkState.SEALED, "", 1, geometry.k, geometry.m, members
    )
    for drive in made:
        state = data.draw(st.sampled_from((*[DriveState.PRESENT] * 4, DriveState.MISSING)))
        drives.mark(drive.id, state)
        drives.intend(drive.id, data.draw(st.sampled_from(("", "", "", "drain"))))
    index = data.draw(st.integers(0, geometry.width - 1))
    target = choose_target(drives, chunk, index)

    others = [drives.by_id(one) for at, one in enumerate(members) if at != index]
    racks_held = Counter(one.rack for one in others if one is not None)

    def may(drive: Drive) -> bool:
        """The rule, said once more and slowly."""
        takes = (
            drive.state is DriveState.PRESENT and not drive.intent and free[drive.path] > 1 << 30
        )
        return takes and drive not in others and racks_held[drive.rack] < (geometry.m or 1)

    allowed = [drive for drive in made if may(drive)]
    if target is None:
        assert not allowed
    elif target.id == members[index]:
        assert target in allowed
    else:
        assert target in allowed
        assert racks_held[target.rack] == min(racks_held[one.rack] for one in allowed)


def _disk(free: dict[str, int]) -> Disk:
    return Roomy(free)
