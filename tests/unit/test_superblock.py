"""Superblocks survive torn writes, count drives before they believe, and never repeat a number."""

from __future__ import annotations

import errno
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from coffre.system.disk import Disk
from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import RecordingDisk, draw_policy
from coffre.vault.drives import Drive, DriveState
from coffre.vault.keys import RootKey
from coffre.vault.records import Geometry
from coffre.vault.superblock import (
    SLOT_BYTES,
    DriveLabel,
    LandingRef,
    LogState,
    SealedRef,
    SlotStatus,
    SnapshotRef,
    Superblock,
    SuperblockNotWritten,
    SuperblockStore,
    SuperblockTooLarge,
    TooFewSuperblocks,
    superblock_path,
)

GOLDENS = Path(__file__).parent.parent / "golden"
ROOT = RootKey(bytes(range(32)))
DRIVES = [Drive(bytes([n]) * 16, f"/d{n}", f"n{n % 8}", f"r{n % 4}") for n in range(1, 17)]
PATHS = [drive.path for drive in DRIVES]
LOG = LogState(
    unsealed=(LandingRef(b"u" * 16, tuple(d.id for d in DRIVES[:3]), 6, 70, b"h" * 32),),
    sealed=(SealedRef(b"s" * 16, 12, 4, (*(d.id for d in DRIVES[1:]), b""), 9000),),
    tail_sequence=72,
    tail_hash=b"t" * 32,
)
ZONE = Superblock(
    region="us-east-1",
    zone="EB4",
    zone_number=1,
    epoch=7,
    drives=tuple(DriveLabel(drive.id, drive.node, drive.rack) for drive in DRIVES),
    geometry=Geometry(12, 4),
    landing_copies=3,
    log=LOG,
)
ZONE_2 = structs.replace(
    ZONE,
    intents=((DRIVES[4].id, "drain"),),
    snapshots=(SnapshotRef(b"n" * 16, 5, 60, b"p" * 32, 1, 1_000_000),),
    unchecked=(DRIVES[5].id,),
)


def store_on(disk: Disk, root: RootKey = ROOT, *, deadline: float = 60) -> SuperblockStore:
    return SuperblockStore(disk, root, SeededEntropy(1), deadline=deadline)


def written(times: int = 1) -> RecordingDisk:
    disk = RecordingDisk(PATHS)
    store = store_on(disk)
    for _ in range(times):
        assert store.write(ZONE, DRIVES) == {}
    return disk


def put(disk: RecordingDisk, path: str, data: bytes, offset: int = 0) -> None:
    disk.open(path, "edit" if disk.exists(path) else "create").pwritev([data], offset)


def test_what_was_written_is_read_back_with_the_drive_and_generation_filled_in() -> None:
    loaded = store_on(written()).load(PATHS)
    assert loaded.best == structs.replace(ZONE, generation=1, drive=loaded.best.drive)
    for drive in DRIVES:
        superblock = loaded.per_path[drive.path].superblock
        assert superblock is not None
        assert superblock.drive == drive.id


def test_generations_rise_and_slots_alternate() -> None:
    disk = RecordingDisk(PATHS)
    store = store_on(disk)
    slots = []
    for generation in range(1, 5):
        store.write(ZONE, DRIVES)
        read = store.read("/d1")
        assert read.superblock is not None
        assert (read.superblock.generation, store.generation) == (generation, generation)
        slots.append(read.slot)
    assert slots == [0, 1, 0, 1]
    again = store_on(disk)
    again.load(PATHS)
    again.write(ZONE, DRIVES)
    assert again.load(PATHS).best.generation == 5


def test_the_bytes_of_version_2_stay_as_they_are() -> None:
    disk = RecordingDisk(PATHS)
    store_on(disk).write(ZONE_2, DRIVES)
    data = disk.open(superblock_path("/d1"), "read").pread(1 << 20, 0)
    assert data == (GOLDENS / "superblock-2.bin").read_bytes()


@pytest.mark.parametrize(("version", "zone"), [(1, ZONE), (2, ZONE_2)])
def test_a_file_of_every_version_is_read(version: int, zone: Superblock) -> None:
    disk = RecordingDisk(["/d1"])
    put(disk, superblock_path("/d1"), (GOLDENS / f"superblock-{version}.bin").read_bytes())
    expected = structs.replace(zone, generation=1, drive=DRIVES[0].id)
    assert store_on(disk).read("/d1").superblock == expected


def test_each_kind_of_stranger_is_told_apart() -> None:
    disk = written()
    store = store_on(disk)
    path = superblock_path("/d1")
    assert store.read("/none").status is SlotStatus.ABSENT
    assert store_on(disk, RootKey(b"x" * 32)).read("/d1").status is SlotStatus.WRONG_KEY
    disk.fail(path, "read", errno.EIO)
    assert store.read("/d1").status is SlotStatus.UNREADABLE
    disk.heal(path)
    disk.corrupt(path, 100, 0x10)
    assert store.read("/d1").status is SlotStatus.DAMAGED
    put(disk, path, bytes(2 * SLOT_BYTES))
    assert store.read("/d1").status is SlotStatus.ABSENT
    put(disk, path, b"something else")
    assert store.read("/d1").status is SlotStatus.FOREIGN


def test_none_is_put_in_an_empty_folder_where_a_drive_was() -> None:
    disk = written()
    store = store_on(disk)
    assert store.write(ZONE, DRIVES) == {}
    disk.unlink(superblock_path("/d1"))
    assert list(store.write(ZONE, DRIVES)) == [DRIVES[0].id]
    assert not disk.exists(superblock_path("/d1"))
    # Once its files said that it is the drive, and it is checked, it gets one again.
    back = as_checked(DRIVES[0])
    assert store.write(ZONE, [back, *DRIVES[1:]]) == {}
    assert disk.exists(superblock_path("/d1"))


def as_checked(drive: Drive) -> Drive:
    """The drive as it is while it is checked."""
    return replace(drive, state=DriveState.CHECKING)


def test_a_newer_format_is_seen_even_beside_a_slot_that_can_be_read() -> None:
    from xxhash import xxh3_128_digest

    disk = written(times=2)
    path = superblock_path("/d1")
    slot = bytearray(disk.open(path, "read").pread(SLOT_BYTES, SLOT_BYTES))
    slot[9] = 3
    put(disk, path, bytes(slot[:-16]) + xxh3_128_digest(bytes(slot[:-16])), SLOT_BYTES)
    assert store_on(disk).read("/d1").status is SlotStatus.NEWER


@pytest.mark.parametrize("start", [0, SLOT_BYTES])
def test_a_damaged_slot_leaves_the_other_one(start: int) -> None:
    disk = written(times=2)
    disk.corrupt(superblock_path("/d1"), start + 70, 0x01)
    superblock = store_on(disk).read("/d1").superblock
    assert superblock is not None
    assert superblock.generation == (2 if start == 0 else 1)


def test_a_forged_body_with_a_right_checksum_is_damaged() -> None:
    from xxhash import xxh3_128_digest

    disk = written()
    path = superblock_path("/d1")
    slot = bytearray(disk.open(path, "read").pread(SLOT_BYTES - 16, 0))
    slot[23] += 1  # The epoch, which the body's tag covers.
    put(disk, path, bytes(slot) + xxh3_128_digest(bytes(slot)))
    assert store_on(disk).read("/d1").status is SlotStatus.DAMAGED


def test_a_start_needs_one_more_than_m() -> None:
    disk = written()
    for path in PATHS[:11]:
        disk.lose(path)
    assert store_on(disk).load(PATHS).best.epoch == 7
    disk.lose(PATHS[11])
    with pytest.raises(TooFewSuperblocks) as caught:
        store_on(disk).load(PATHS)
    assert (caught.value.found, caught.value.needed) == (4, 5)
    assert caught.value.per_path[PATHS[0]].status is SlotStatus.ABSENT


def test_a_drive_that_was_copied_counts_once() -> None:
    disk = written()
    data = disk.open(superblock_path("/d16"), "read").pread(1 << 20, 0)
    for path in PATHS[:15]:
        put(disk, superblock_path(path), data)
    with pytest.raises(TooFewSuperblocks, match="1 valid superblocks found, 5 needed"):
        store_on(disk).load(PATHS)


def test_an_empty_zone_has_too_few() -> None:
    with pytest.raises(TooFewSuperblocks):
        store_on(RecordingDisk(PATHS)).load(PATHS)


def test_a_change_counts_on_n_minus_m_drives() -> None:
    disk = RecordingDisk(PATHS)
    store = store_on(disk)
    for path in PATHS[:4]:
        disk.lose(path)
    assert list(store.write(ZONE, DRIVES)) == [drive.id for drive in DRIVES[:4]]
    assert store.write(ZONE, DRIVES[4:]) == {}
    disk.lose(PATHS[4])
    with pytest.raises(SuperblockNotWritten) as caught:
        store.write(ZONE, DRIVES[4:])
    assert (caught.value.written, caught.value.needed) == (11, 12)
    assert list(caught.value.failed) == [DRIVES[4].id]


@pytest.mark.parametrize("sizes", [(6, 6, 6, 6), (5, 4, 4, 4), (3, 3, 3)])
def test_a_rack_may_go_however_many_drives_stand_in_it(sizes: tuple[int, ...]) -> None:
    """Racks may hold more drives than coding segments: no chunk has more than m of these there."""
    drives = [
        Drive(b"r%dd%d" % (rack, drive) + bytes(12), f"/r{rack}d{drive}", f"n{rack}", f"r{rack}")
        for rack, size in enumerate(sizes)
        for drive in range(size)
    ]
    labels = tuple(DriveLabel(drive.id, drive.node, drive.rack) for drive in drives)
    geometry = Geometry(12, 4) if len(drives) > 12 else Geometry(4, 2)
    zone = structs.replace(ZONE, drives=labels, geometry=geometry, log=LogState())
    paths = [drive.path for drive in drives]
    disk = RecordingDisk(paths)
    store_on(disk).write(zone, drives)
    for path in paths[: sizes[0]]:
        disk.lose(path)
    store = store_on(disk)
    best = store.load(paths).best
    assert len(store.write(structs.replace(best, region="later"), drives)) == sizes[0]
    # Whoever finds a rack's drives and one more knows of it; who finds fewer says so.
    for path in paths[: sizes[0]]:
        disk.heal(path)
    assert store_on(disk).load(paths[: sizes[0] + 1]).best.region == "later"
    with pytest.raises(TooFewSuperblocks):
        store_on(disk).load(paths[: sizes[0]])


def test_a_failed_attempt_uses_its_number_up() -> None:
    disk = written()
    store = store_on(disk)
    best = store.load(PATHS).best
    disk.fail("/", "write", errno.EIO)
    with pytest.raises(SuperblockNotWritten):
        store.write(best, DRIVES)
    disk.heal("/")
    store.write(best, DRIVES)
    assert store.load(PATHS).best.generation == 3


def test_the_epoch_outranks_what_an_earlier_run_left_on_a_drive_that_was_away() -> None:
    disk = written(times=3)
    disk.lose("/d1")
    store = store_on(disk)
    stale = structs.replace(ZONE, region="stale")
    disk.heal("/d1")
    for path in PATHS[1:]:
        disk.fail(path, "write", errno.EIO)
    for _ in range(5):
        with pytest.raises(SuperblockNotWritten):
            store.write(stale, DRIVES)
    for path in PATHS[1:]:
        disk.heal(path)
    disk.lose("/d1")
    store = store_on(disk)
    best = store.load(PATHS[1:]).best
    store.write(structs.replace(best, epoch=best.epoch + 1), DRIVES[1:])
    disk.heal("/d1")
    assert store_on(disk).load(PATHS).best.region == "us-east-1"


def test_a_failed_sync_is_followed_by_a_new_file_not_by_a_second_sync() -> None:
    disk = written(times=2)
    store = store_on(disk)
    disk.fail("/d1", "sync", errno.EIO, times=1)
    assert list(store.write(ZONE, DRIVES)) == [DRIVES[0].id]
    assert store.write(ZONE, DRIVES) == {}
    renamed = [event.to for event in disk.journal if event.operation == "rename"]
    assert renamed.count(superblock_path("/d1")) == 2
    assert renamed.count(superblock_path("/d2")) == 1
    for seed in range(20):
        image = disk.image(len(disk.journal), random.Random(seed))
        superblock = store_on(image).read("/d1").superblock
        assert superblock is not None
        assert superblock.generation == 2


@pytest.mark.parametrize("seed", range(8))
def test_a_slot_that_a_killed_process_did_not_sync_is_not_all_that_is_left(seed: int) -> None:
    disk = written(2)
    disk.fail("/d1", "sync", errno.EIO)  # The process is killed while it syncs.
    store_on(disk).write(structs.replace(ZONE, epoch=8), DRIVES)
    disk.heal("/d1")
    before = len(disk.journal)
    store_on(disk).write(structs.replace(ZONE, epoch=9), DRIVES)
    for moment in range(before, len(disk.journal) + 1):
        left = disk.image(moment, random.Random(seed))
        assert store_on(left).read("/d1").status is SlotStatus.VALID, f"power lost at {moment}"


def test_a_stuck_drive_fails_and_is_left_alone_until_it_answers() -> None:
    release = threading.Event()
    disk = RecordingDisk(PATHS, wait=lambda _: release.wait())
    store = store_on(disk, deadline=0.1)
    disk.slow("/d1", 9)
    assert list(store.write(ZONE, DRIVES)) == [DRIVES[0].id]
    before = len([event for event in disk.journal if event.path.startswith("/d1/")])
    assert list(store.write(ZONE, DRIVES)) == [DRIVES[0].id]
    assert len([event for event in disk.journal if event.path.startswith("/d1/")]) == before
    disk.heal("/d1")
    stuck = [thread for thread in threading.enumerate() if thread.name == "superblock"]
    release.set()
    for thread in stuck:
        thread.join()
    assert store.write(ZONE, DRIVES) == {}
    assert store_on(disk).load(PATHS).best.generation == 3


def test_another_zones_superblock_is_never_written_over() -> None:
    disk = RecordingDisk(PATHS)
    store_on(disk, RootKey(b"x" * 32)).write(ZONE, DRIVES[:1] + DRIVES[1:])
    with pytest.raises(SuperblockNotWritten, match="0 drives"):
        store_on(disk).write(ZONE, DRIVES)


def test_too_much_for_a_slot_is_said_before_anything_is_written() -> None:
    disk = RecordingDisk(PATHS)
    many = structs.replace(LOG, sealed=LOG.sealed * 100)
    with pytest.raises(SuperblockTooLarge):
        store_on(disk).write(structs.replace(ZONE, log=many), DRIVES)
    assert disk.journal == []
    fits = structs.replace(LOG, sealed=LOG.sealed * 64)
    assert store_on(disk).write(structs.replace(ZONE, log=fits), DRIVES) == {}


def test_a_member_that_is_no_longer_listed_keeps_its_id() -> None:
    disk = RecordingDisk(PATHS)
    log = LogState(unsealed=(LandingRef(b"u" * 16, (b"gone" * 4, DRIVES[3].id), 6, 70, b""),))
    store_on(disk).write(structs.replace(ZONE, log=log), DRIVES)
    assert store_on(disk).load(PATHS).best.log == log


@given(st.integers(1, 4), st.data(), st.integers())
def test_after_power_loss_the_last_change_that_counted_or_a_later_one_is_found(
    times: int, data: st.DataObject, seed: int
) -> None:
    drives = DRIVES[:3]
    zone = structs.replace(ZONE, drives=ZONE.drives[:3], geometry=Geometry(2, 1), log=LogState())
    disk = RecordingDisk([drive.path for drive in drives])
    store = store_on(disk)
    counted = []
    for _ in range(times):
        store.write(zone, drives)
        counted.append(len(disk.journal))
    at = data.draw(st.integers(counted[0], len(disk.journal)))
    choose = random.Random(seed)
    policy = draw_policy([drive.path for drive in drives], choose)
    image = disk.image(at, choose, policy_by_prefix=policy)
    image.lose(choose.choice(drives).path)
    found = store_on(image).load([drive.path for drive in drives]).best.generation
    assert found >= len([position for position in counted if position <= at])


GONE, COME = (
    DRIVES[:4],
    [Drive(b"new".ljust(16, bytes([i])), f"/new{i}", "n", "r") for i in range(4)],
)
REPLACING = structs.replace(
    ZONE,
    drives=ZONE.drives + tuple(DriveLabel(one.id, one.node, one.rack) for one in COME),
    intents=tuple((one.id, "replaced") for one in GONE),
)


def a_zone_with_new_places() -> RecordingDisk:
    return RecordingDisk([*PATHS, *(drive.path for drive in COME)])


def test_replaced_drives_are_not_counted_any_more() -> None:
    disk = a_zone_with_new_places()
    store = store_on(disk)
    store.write(ZONE, DRIVES)
    here = [*DRIVES[4:], *COME]
    store.write(REPLACING, here, before=ZONE)
    store.write(REPLACING, here[:12], before=REPLACING)
    with pytest.raises(SuperblockNotWritten):
        store.write(REPLACING, here[:11], before=REPLACING)
    loaded = store_on(disk).load([drive.path for drive in (*GONE, *here[12:], here[0])])
    assert loaded.best.generation == 4
    with pytest.raises(TooFewSuperblocks):
        store_on(disk).load([drive.path for drive in (*GONE, *here[12:])])


def test_a_change_of_drives_counts_among_those_of_before_too() -> None:
    disk = a_zone_with_new_places()
    store = store_on(disk)
    store.write(ZONE, DRIVES)
    # Twelve of the sixteen that are to come, but eleven of the sixteen that were.
    with pytest.raises(SuperblockNotWritten):
        store.write(REPLACING, [*DRIVES[5:], *COME], before=ZONE)


def test_a_promise_of_more_counts_as_the_old_one_did() -> None:
    # Of two racks none may go, and of these drives one.
    two = tuple(DriveLabel(one.id, one.node, f"r{at % 2}") for at, one in enumerate(DRIVES))
    narrow = structs.replace(ZONE, geometry=Geometry(2, 1), drives=two)
    store = store_on(RecordingDisk(PATHS))
    with pytest.raises(SuperblockNotWritten):
        store.write(ZONE, DRIVES[:14], before=narrow)
    assert store.write(ZONE, DRIVES[:15], before=narrow) == {}
