"""Landing chunks: what was appended is on every member, and a scan never takes rubbish for it."""

from __future__ import annotations

import asyncio
import errno
import gc
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from coffre.system.buffer import Buffer
from coffre.system.clock import Clock, ManualClock, SystemClock
from coffre.system.disk import Disk, LocalDisk
from coffre.testing.disk import RecordingDisk, draw_policy
from coffre.vault.drives import Drive, DriveSet, mirror_path
from coffre.vault.headers import HEADER_BYTES, ChunkHeader, decode_header
from coffre.vault.interface import StorageFull
from coffre.vault.landing import (
    GROUP_HEADER_BYTES,
    GroupTooNew,
    Landing,
    LandingDead,
    MembersFailed,
    MembersFull,
    ScannedGroup,
    decode_group_header,
    frame_group,
    offset_of_first_blob,
    scan,
)
from coffre.vault.records import CHUNK_BYTES, ChunkKind
from coffre.vault.remirror import copy_prefix

GOLDEN = Path(__file__).parent.parent / "golden" / "landing-1.bin"
CHUNK = bytes(range(16))
DRIVES = [Drive(bytes([n]) * 16, f"/d{n}", f"n{n}", f"r{n}") for n in range(1, 5)]
MEMBERS = DRIVES[:3]
HEADER = ChunkHeader(
    region="us-east-1",
    zone="EB4",
    chunk=CHUNK,
    kind=ChunkKind.LANDING,
    role="mirror",
    index=0,
    k=1,
    m=0,
    members=tuple(drive.id for drive in MEMBERS),
    epoch=7,
    key_id=b"rootkey1",
    first_sequence=100,
)
GROUPS: list[tuple[list[bytes], bytes]] = [
    ([b"first blob", b"second"], b"record 100"),
    ([], b"record 101"),
    ([b"x" * 5000], b"record 102" * 100),
]


def framed(sequence: int, blobs: Sequence[Buffer], record: bytes) -> list[Buffer]:
    return frame_group(CHUNK, 1, 7, sequence, blobs, record)


def drive_set(disk: Disk) -> DriveSet:
    fresh = [Drive(drive.id, drive.path, drive.node, drive.rack) for drive in DRIVES]
    return DriveSet(disk, fresh, reserve_bytes=0)


def recording() -> RecordingDisk:
    return RecordingDisk([drive.path for drive in DRIVES])


async def landing_on(
    disk: Disk,
    *,
    clock: Clock | None = None,
    deadline: float = 60,
    ahead: int = 4096,
    capacity: int = CHUNK_BYTES,
) -> Landing:
    drives = drive_set(disk)
    return await Landing.create(
        drives,
        HEADER,
        drives.all()[:3],
        clock or SystemClock(),
        sync_deadline=deadline,
        ahead=ahead,
        capacity=capacity,
    )


def copy(disk: Disk, header: ChunkHeader, targets: list[int], length: int) -> dict[bytes, OSError]:
    """Mirror the first drive's prefix to the drives at `targets`."""
    drives = drive_set(disk)
    there = drives.all()
    wanted = [there[target] for target in targets]
    return copy_prefix(drives, header, [there[0]], wanted, length)


async def append_all(landing: Landing) -> list[int]:
    """Append GROUPS; where each ends."""
    ends = []
    for number, (blobs, record) in enumerate(GROUPS):
        await landing.append(framed(100 + number, blobs, record))
        ends.append(landing.end)
    return ends


def scanned(disk: Disk, drive: Drive, *, verify_blobs: bool = True) -> list[ScannedGroup]:
    return list(scan(disk, mirror_path(drive, CHUNK), HEADER, verify_blobs=verify_blobs))


def flat(pieces: Sequence[Buffer]) -> bytes:
    return b"".join(pieces)


def write_file(disk: RecordingDisk, data: bytes) -> None:
    """`data` as what lies behind the header of the first drive's mirror."""
    disk.mkdir("/d1/chunks")
    disk.mkdir("/d1/chunks/0f")
    disk.open(mirror_path(DRIVES[0], CHUNK), "create").pwritev([HEADER.encode(), data], 0)


async def test_every_member_holds_the_same_groups_at_the_same_place() -> None:
    disk = recording()
    landing = await landing_on(disk)
    ends = await append_all(landing)
    for index, drive in enumerate(MEMBERS):
        groups = scanned(disk, drive)
        assert [group.record for group in groups] == [record for _, record in GROUPS]
        assert [group.header.sequence for group in groups] == [100, 101, 102]
        assert [group.end for group in groups] == ends
        file = disk.open(mirror_path(drive, CHUNK), "read")
        blobs = [file.pread(g.header.blob_bytes, HEADER_BYTES + g.blobs_offset) for g in groups]
        assert blobs == [b"".join(blobs) for blobs, _ in GROUPS]
        header = decode_header(file.pread(HEADER_BYTES, 0))
        assert header == structs.replace(HEADER, index=index)


async def test_blobs_lie_where_they_were_promised_to() -> None:
    disk = recording()
    landing = await landing_on(disk)
    await append_all(landing)
    offset = offset_of_first_blob(landing.end)
    await landing.append(framed(103, [b"here"], b"r"))
    file = disk.open(mirror_path(MEMBERS[2], CHUNK), "read")
    assert file.pread(4, HEADER_BYTES + offset) == b"here"


async def test_it_works_on_a_real_file_system(tmp_path: Path) -> None:
    drives = [Drive(d.id, str(tmp_path / d.path[1:]), d.node, d.rack) for d in MEMBERS]
    for drive in drives:
        LocalDisk().mkdir(drive.path)
    landing = await Landing.create(
        DriveSet(LocalDisk(), drives), HEADER, drives, SystemClock(), sync_deadline=60
    )
    await append_all(landing)
    landing.close()
    for drive in drives:
        assert len(scanned(LocalDisk(), drive)) == 3


async def test_the_bytes_of_version_1_stay_as_they_are() -> None:
    disk = recording()
    await append_all(await landing_on(disk))
    assert disk.open(mirror_path(DRIVES[0], CHUNK), "read").pread(1 << 20, 0) == GOLDEN.read_bytes()


def test_a_file_of_version_1_is_read() -> None:
    disk = recording()
    data = GOLDEN.read_bytes()
    write_file(disk, data[HEADER_BYTES:])
    assert decode_header(data) == HEADER
    assert [group.record for group in scanned(disk, DRIVES[0])] == [r for _, r in GROUPS]


async def test_zeros_are_written_ahead_in_steps_and_never_past_the_capacity() -> None:
    disk = recording()
    landing = await landing_on(disk, ahead=1000, capacity=2500)
    file = disk.open(mirror_path(MEMBERS[0], CHUNK), "read")
    sizes = []
    for length in (300, 1000, 100, 1100):
        await landing.append([bytes(length)])
        sizes.append(file.size() - HEADER_BYTES)
    assert sizes == [1300, 1300, 2400, 2500]
    assert landing.room == 0


async def test_more_than_the_room_is_refused_and_nothing_is_written() -> None:
    disk = recording()
    landing = await landing_on(disk, capacity=100)
    before = len(disk.journal)
    with pytest.raises(ValueError, match="do not fit"):
        await landing.append([bytes(101)])
    assert len(disk.journal) == before
    await landing.append([bytes(100)])


@pytest.mark.parametrize("operation", ["write", "sync"])
async def test_a_member_that_fails_is_named_and_the_chunk_is_dead(operation: str) -> None:
    disk = recording()
    landing = await landing_on(disk)
    await append_all(landing)
    end = landing.end
    disk.fail("/d2", operation, errno.EIO, times=1)  # type: ignore[arg-type]
    with pytest.raises(MembersFailed, match="Input/output") as caught:
        await landing.append(framed(103, [], b"lost"))
    assert caught.value.ids == (DRIVES[1].id,)
    before = len(disk.journal)
    with pytest.raises(LandingDead):
        await landing.append(framed(103, [], b"again"))
    assert (landing.end, len(disk.journal)) == (end, before)


async def test_lost_members_are_named() -> None:
    disk = recording()
    landing = await landing_on(disk)
    disk.lose("/d1")
    disk.lose("/d3")
    with pytest.raises(MembersFailed) as caught:
        await append_all(landing)
    assert caught.value.ids == (DRIVES[0].id, DRIVES[2].id)


async def test_a_stuck_sync_does_not_hold_the_loop_and_counts_as_failed() -> None:
    release = threading.Event()
    disk = RecordingDisk([drive.path for drive in DRIVES], wait=lambda _: release.wait())
    landing = await landing_on(disk, deadline=0.1)
    disk.slow("/d2", 9)
    with pytest.raises(MembersFailed) as caught:
        await landing.append(framed(100, [], b"r"))
    assert caught.value.reasons == {DRIVES[1].id: "late"}
    with pytest.raises(LandingDead):
        await landing.append(framed(100, [], b"r"))
    landing.close()
    release.set()


async def test_a_sync_that_ends_after_the_deadline_is_late_though_it_succeeded() -> None:
    clock = ManualClock()
    disk = RecordingDisk([drive.path for drive in DRIVES], wait=clock.advance)
    landing = await landing_on(disk, clock=clock, deadline=30)
    disk.slow("/d3", 31)
    with pytest.raises(MembersFailed) as caught:
        await landing.append(framed(100, [], b"r"))
    assert DRIVES[2].id in caught.value.ids


async def test_a_full_drive_is_storage_full_and_the_tail_stays_clean() -> None:
    disk = recording()
    landing = await landing_on(disk, ahead=0)
    ends = await append_all(landing)
    disk.full("/d2", 70)
    with pytest.raises(StorageFull) as caught:
        await landing.append(framed(103, [b"blob" * 9], b"record"))
    assert isinstance(caught.value, MembersFull)
    assert caught.value.ids == (DRIVES[1].id,)
    with pytest.raises(LandingDead):
        await landing.append(framed(103, [], b"r"))
    assert [group.end for group in scanned(disk, DRIVES[1])] == ends


async def test_a_failed_member_outranks_a_full_one() -> None:
    disk = recording()
    landing = await landing_on(disk)
    disk.full("/d2", 0)
    disk.lose("/d3")
    with pytest.raises(MembersFailed) as caught:
        await append_all(landing)
    assert caught.value.ids == (DRIVES[2].id,)


async def test_creation_names_the_members_that_failed() -> None:
    disk = recording()
    disk.fail("/d1", "mkdir", errno.EROFS)
    disk.fail("/d3/chunks/0f", "sync_dir", errno.EIO)
    with pytest.raises(MembersFailed) as caught:
        await landing_on(disk)
    assert caught.value.ids == (DRIVES[0].id, DRIVES[2].id)


async def test_a_second_append_while_one_runs_is_refused() -> None:
    disk = recording()
    landing = await landing_on(disk)
    running = asyncio.create_task(landing.append(framed(100, [], b"r")))
    await asyncio.sleep(0)
    with pytest.raises(LandingDead):
        await landing.append(framed(101, [], b"r"))
    await running
    await landing.append(framed(101, [], b"r"))


async def test_an_abandoned_append_leaves_the_chunk_dead() -> None:
    release = threading.Event()
    disk = RecordingDisk([drive.path for drive in DRIVES], wait=lambda _: release.wait())
    landing = await landing_on(disk)
    disk.slow("/d1", 9)
    running = asyncio.create_task(landing.append(framed(100, [], b"r")))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    release.set()
    with pytest.raises(LandingDead):
        await landing.append(framed(100, [], b"r"))


# What a scan finds

BLOBS = st.lists(st.binary(max_size=300), max_size=3)
SOME_GROUPS = st.lists(st.tuples(BLOBS, st.binary(min_size=1, max_size=300)), max_size=6)


def layout(groups: list[tuple[list[bytes], bytes]]) -> tuple[bytes, list[int]]:
    """The groups' bytes back to back, and where each ends."""
    data, ends = b"", []
    for number, (blobs, record) in enumerate(groups):
        data += flat(framed(number, blobs, record))
        ends.append(len(data))
    return data, ends


def found_in(data: bytes, *, verify_blobs: bool = True) -> list[ScannedGroup]:
    disk = recording()
    write_file(disk, data)
    return scanned(disk, DRIVES[0], verify_blobs=verify_blobs)


@given(SOME_GROUPS, st.data(), st.booleans())
def test_a_cut_file_yields_the_groups_before_the_cut(
    groups: list[tuple[list[bytes], bytes]], data: st.DataObject, verify: bool
) -> None:
    whole, ends = layout(groups)
    cut = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", bytes(5000)]))
    found = found_in(whole[:cut] + tail, verify_blobs=verify)
    # A tail of zeros may be what the cut took away; then the group is whole after all.
    uncut = [end for end in ends if (whole[:cut] + tail)[:end] == whole[:end]]
    assert [group.end for group in found] == uncut
    assert [group.record for group in found] == [record for _, record in groups[: len(uncut)]]


@given(SOME_GROUPS.filter(bool), st.data())
def test_a_flipped_bit_ends_the_scan_before_the_group_that_has_it(
    groups: list[tuple[list[bytes], bytes]], data: st.DataObject
) -> None:
    whole, ends = layout(groups)
    at = data.draw(st.integers(0, len(whole) - 1))
    bad = bytearray(whole)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    assert [group.end for group in found_in(bytes(bad))] == [end for end in ends if end <= at]


@given(SOME_GROUPS.filter(bool), st.data(), st.booleans())
def test_a_torn_last_group_is_not_there(
    groups: list[tuple[list[bytes], bytes]], data: st.DataObject, verify: bool
) -> None:
    whole, ends = layout(groups)
    start = ends[-2] if len(ends) > 1 else 0
    first = data.draw(st.integers(start, len(whole) - 1))
    last = data.draw(st.integers(first + 1, len(whole)))
    torn = whole[:first] + bytes(last - first) + whole[last:]
    expected = ends if torn == whole else ends[:-1]
    assert [group.end for group in found_in(torn, verify_blobs=verify)] == expected


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_groups_are_no_group(rubbish: bytes) -> None:
    whole, ends = layout(GROUPS)
    assert [group.end for group in found_in(whole + rubbish)] == ends


def test_what_another_chunk_left_in_the_file_is_no_group() -> None:
    whole, ends = layout(GROUPS[:1])
    other = flat(frame_group(b"another chunk id", 1, 7, 1, [b"blob"], b"record"))
    assert [group.end for group in found_in(whole + other)] == ends


def test_a_quick_scan_reads_the_blobs_of_the_last_group_only() -> None:
    whole, ends = layout([([b"blob"], b"one"), ([b"blob"], b"two")])
    rotten = bytearray(whole)
    rotten[GROUP_HEADER_BYTES] ^= 1
    assert [group.end for group in found_in(bytes(rotten), verify_blobs=False)] == ends
    assert found_in(bytes(rotten)) == []


def test_a_scan_can_start_at_any_group() -> None:
    whole, ends = layout(GROUPS)
    disk = recording()
    write_file(disk, whole)
    path = mirror_path(DRIVES[0], CHUNK)
    assert [group.offset for group in scan(disk, path, HEADER, start=ends[0])] == ends[:-1]


def test_a_group_of_a_newer_format_stops_the_reader_loudly() -> None:
    from xxhash import xxh3_64_digest, xxh3_64_intdigest

    fixed = bytearray(flat(framed(1, [], b"r"))[:56])
    fixed[4] = 2
    seed = xxh3_64_intdigest(CHUNK + (7).to_bytes(8, "big"))
    with pytest.raises(GroupTooNew):
        decode_group_header(bytes(fixed) + xxh3_64_digest(bytes(fixed), seed), CHUNK)


# Power loss


@given(st.data(), st.integers(), st.sampled_from([0, 512, 4096]))
def test_what_append_returned_for_is_on_every_member_after_power_loss(
    data: st.DataObject, seed: int, ahead: int
) -> None:
    async def run(disk: RecordingDisk) -> list[int]:
        landing = await landing_on(disk, ahead=ahead)
        done = []
        for number in range(5):
            await landing.append(framed(number, [bytes([number]) * 700], b"record"))
            done.append(len(disk.journal))
        landing.close()
        return done

    disk = recording()
    done = asyncio.run(run(disk))
    at = data.draw(st.integers(0, len(disk.journal)))
    choose = random.Random(seed)
    policy = draw_policy([drive.path for drive in MEMBERS], choose)
    image = disk.image(at, choose, policy_by_prefix=policy)
    acknowledged = len([position for position in done if position <= at])
    for drive in MEMBERS:
        if acknowledged or image.exists(mirror_path(drive, CHUNK)):
            verify = choose.random() < 0.5
            found = [group.header.sequence for group in scanned(image, drive, verify_blobs=verify)]
            assert found in (list(range(acknowledged)), list(range(acknowledged + 1)))


# Re-mirroring


async def test_a_valid_prefix_is_mirrored_to_a_new_member_durably() -> None:
    disk = recording()
    ends = await append_all(await landing_on(disk))
    header = structs.replace(HEADER, members=(DRIVES[0].id, DRIVES[3].id))
    copy(disk, header, [3], ends[1])
    for seed in range(20):
        image = disk.image(len(disk.journal), random.Random(seed))
        assert [group.end for group in scanned(image, DRIVES[3])] == ends[:2]
        file = image.open(mirror_path(DRIVES[3], CHUNK), "read")
        assert decode_header(file.pread(HEADER_BYTES, 0)) == structs.replace(header, index=1)
        assert file.size() == HEADER_BYTES + ends[1]


async def test_a_group_that_rotted_at_the_source_is_taken_from_another_mirror() -> None:
    disk = recording()
    landing = await landing_on(disk)
    ends = await append_all(landing)
    landing.close()
    disk.corrupt(mirror_path(DRIVES[0], CHUNK), HEADER_BYTES + GROUP_HEADER_BYTES, 1)
    # The second drive lacks the end, as a mirror does whose last write was cut: it is a target too.
    disk.open(mirror_path(DRIVES[1], CHUNK), "edit").truncate(HEADER_BYTES + ends[1])
    copy_prefix(drive_set(disk), HEADER, DRIVES[:2], [DRIVES[1]], ends[-1])
    assert [group.end for group in scanned(disk, DRIVES[1])] == ends


async def test_the_threads_of_a_chunk_that_nobody_has_any_more_end() -> None:
    await landing_on(recording())
    threads = [thread for thread in threading.enumerate() if thread.name == "landing"][-3:]
    gc.collect()
    for thread in threads:
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()


async def test_an_earlier_attempts_file_is_replaced() -> None:
    disk = recording()
    ends = await append_all(await landing_on(disk))
    disk.fail("/d2", "sync", errno.EIO)
    wrong = copy(disk, HEADER, [1, 2], ends[0])
    assert {drive: error.errno for drive, error in wrong.items()} == {DRIVES[1].id: errno.EIO}
    assert [group.end for group in scanned(disk, DRIVES[2])] == ends[:1]
    assert [group.end for group in scanned(disk, DRIVES[1])] == ends
    disk.heal("/d2")
    copy(disk, HEADER, [1], ends[2])
    assert [group.end for group in scanned(disk, DRIVES[1])] == ends


async def test_a_source_that_is_too_short_or_gone_is_not_copied() -> None:
    disk = recording()
    landing = await landing_on(disk, ahead=0)
    await append_all(landing)
    with pytest.raises(OSError, match="ends before"):
        copy(disk, HEADER, [1], landing.end + 1)
    disk.lose("/d1")
    with pytest.raises(FileNotFoundError):
        copy(disk, HEADER, [1], landing.end)
