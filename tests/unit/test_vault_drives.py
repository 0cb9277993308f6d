"""Placement: racks first, then nodes, then free space; narrower when drives are away."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import (
    Drive,
    DriveSet,
    DriveState,
    broken_promise,
    ensure_chunk_dir,
)
from coffre.vault.interface import StorageFull
from coffre.vault.records import GEOMETRIES, Geometry

WIDEST = GEOMETRIES[0]
GIB = 1 << 30


def drive_set(
    racks: int, nodes: int, each: int, disk: RecordingDisk | None = None
) -> tuple[RecordingDisk, DriveSet]:
    drives = [
        Drive(f"{r}-{n}-{d}".encode().ljust(16, b"\0"), f"/z/r{r}n{n}d{d}", f"r{r}n{n}", f"r{r}")
        for r in range(racks)
        for n in range(nodes)
        for d in range(each)
    ]
    disk = disk or RecordingDisk([drive.path for drive in drives])
    return disk, DriveSet(disk, drives)


def per_rack(drives: list[Drive]) -> list[int]:
    return sorted(Counter(drive.rack for drive in drives).values())


def test_sixteen_drives_in_four_racks_hold_four_segments_a_rack() -> None:
    _, drives = drive_set(4, 2, 2)
    geometry, chosen = drives.choose_segments(WIDEST)
    assert geometry == Geometry(12, 4)
    assert per_rack(chosen) == [4, 4, 4, 4]


def test_a_missing_rack_makes_it_eight_and_four() -> None:
    _, drives = drive_set(4, 2, 2)
    for drive in drives.all()[:4]:
        drives.mark(drive.id, DriveState.MISSING)
    geometry, chosen = drives.choose_segments(WIDEST)
    assert geometry == Geometry(8, 4)
    assert per_rack(chosen) == [4, 4, 4]


@pytest.mark.parametrize(
    ("wanted", "left", "expected"),
    [
        (Geometry(12, 4), 8, Geometry(1, 2)),
        (Geometry(4, 2), 3, Geometry(1, 2)),
        (Geometry(12, 4), 2, Geometry(1, 1)),
        (Geometry(2, 1), 8, Geometry(1, 1)),
    ],
)
def test_two_racks_left_of_four_hold_whole_copies_so_that_either_may_go(
    wanted: Geometry, left: int, expected: Geometry
) -> None:
    _, drives = drive_set(4, 2, 2)
    first, second = drives.all()[8:12], drives.all()[12:]
    staying = [*first[: left - left // 2], *second[: left // 2]]
    for drive in drives.all():
        if drive not in staying:
            drives.mark(drive.id, DriveState.MISSING)
    geometry, chosen = drives.choose_segments(wanted)
    assert geometry == expected
    assert len(per_rack(chosen)) == 2
    assert per_rack(chosen)[-1] <= geometry.m


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 1, 3), "12+4"),
        ((4, 2, 2), "12+4"),
        ((4, 3, 1), "8+4"),
        ((4, 1, 2), "4+2"),
        ((3, 2, 2), "8+4"),
        ((3, 2, 1), "4+2"),
        ((3, 1, 1), "2+1"),
        # Fewer than three racks: any m drives may go, no rack.
        ((2, 2, 4), "12+4"),
        ((1, 4, 4), "12+4"),
        ((2, 2, 2), "4+2"),
        ((1, 1, 3), "2+1"),
        ((2, 1, 1), "1+0"),
        ((1, 1, 1), "1+0"),
    ],
)
def test_the_widest_geometry_that_keeps_its_promise(
    shape: tuple[int, int, int], expected: str
) -> None:
    _, drives = drive_set(*shape)
    geometry, _ = drives.choose_segments(WIDEST)
    assert str(geometry) == expected


@given(
    racks=st.integers(1, 6),
    nodes=st.integers(1, 3),
    each=st.integers(1, 4),
    wanted=st.sampled_from(GEOMETRIES),
    away=st.sets(st.integers(0, 71), max_size=20),
)
def test_whatever_is_chosen_is_safe(
    racks: int, nodes: int, each: int, wanted: Geometry, away: set[int]
) -> None:
    _, drives = drive_set(racks, nodes, each)
    for at in away:
        if at < len(drives.all()):
            drives.fail(drives.all()[at].id, "test")
    if not drives.present():
        with pytest.raises(StorageFull):
            drives.choose_segments(wanted)
        return
    geometry, chosen = drives.choose_segments(wanted)
    assert geometry in (*GEOMETRIES, Geometry(1, 2), Geometry(1, 1))
    assert geometry.width <= wanted.width
    assert len({drive.id for drive in chosen}) == geometry.width
    assert all(drive.state is DriveState.PRESENT for drive in chosen)
    left = len({drive.rack for drive in drives.present()})
    if wanted.m and (left >= 3 or (left == 2 and racks >= 3)):
        assert per_rack(chosen)[-1] <= geometry.m
    mirrors = drives.choose_mirrors(3)
    assert len(mirrors) == min(3, len(drives.present()))
    assert len({drive.rack for drive in mirrors}) == min(
        len(mirrors), len({drive.rack for drive in drives.present()})
    )


def test_mirrors_stand_in_racks_then_nodes_then_drives() -> None:
    _, one_rack = drive_set(1, 3, 2)
    assert len({drive.node for drive in one_rack.choose_mirrors(3)}) == 3
    _, one_node = drive_set(1, 1, 4)
    assert len({drive.id for drive in one_node.choose_mirrors(3)}) == 3


def test_drives_are_chosen_in_proportion_to_what_is_free_on_them() -> None:
    disk, drives = drive_set(3, 1, 3)
    sizes = {drive.path: (1 + 10 * (1 + at % 3)) * GIB for at, drive in enumerate(drives.all())}
    for path, size in sizes.items():
        disk.full(path, size)
    used = Counter(drive.path for _ in range(600) for drive in drives.choose_mirrors(3))
    assert [round(used[path] / 100) for path in sizes] == [1, 2, 3] * 3


def test_of_two_alike_the_emptier_drive_goes_first() -> None:
    disk, drives = drive_set(3, 1, 3)
    for drive in drives.all():
        disk.full(drive.path, 10 * GIB)
    empty = {"/z/r0n0d2", "/z/r1n0d0", "/z/r2n0d1"}
    for path in empty:
        disk.full(path, 10 * GIB + 1)
    assert {drive.path for drive in drives.choose_mirrors(3)} == empty
    assert not empty & {drive.path for drive in drives.choose_mirrors(3)}


def test_a_new_drive_starts_beside_the_others() -> None:
    disk, drives = drive_set(1, 1, 4)
    for _ in range(100):
        drives.choose_mirrors(1)
    disk.mkdir("/z/new")
    drives.add(Drive(b"new".ljust(16), "/z/new", "r0n0", "r0"))
    used = Counter(drive.path for _ in range(100) for drive in drives.choose_mirrors(1))
    assert set(used.values()) == {20}


def test_a_drive_that_is_to_be_emptied_takes_nothing_and_is_still_read() -> None:
    _, drives = drive_set(4, 2, 2)
    going = drives.all()[:2]
    for drive in going:
        drives.intend(drive.id, "drain")
    for _ in range(8):
        assert not set(going) & set(drives.choose_segments(WIDEST)[1])
        assert not set(going) & set(drives.choose_mirrors(3))
    assert all(drives.member(drive.id) is drive for drive in going)
    assert not drives.take([going[0].id])


def test_a_drive_that_is_being_checked_is_neither_read_nor_written() -> None:
    _, drives = drive_set(4, 2, 2)
    back = drives.all()[0]
    drives.mark(back.id, DriveState.CHECKING, "it is back")
    assert drives.member(back.id) is None
    assert back not in drives.choose_segments(WIDEST)[1]
    assert drives.untrusted() == (back.id,)
    assert back in drives.reachable()
    assert drives.trusting().member(back.id) is not None
    assert drives.member(back.id) is None


@given(
    racks=st.integers(1, 6),
    nodes=st.integers(1, 3),
    each=st.integers(1, 6),
    wanted=st.sampled_from(GEOMETRIES),
)
def test_a_promise_that_is_not_refused_is_kept(
    racks: int, nodes: int, each: int, wanted: Geometry
) -> None:
    _, drives = drive_set(racks, nodes, each)
    broken = broken_promise([(drive.node, drive.rack) for drive in drives.all()], wanted)
    geometry, chosen = drives.choose_segments(wanted)
    survives_a_rack = racks == 1 or per_rack(chosen)[-1] <= wanted.m
    assert (not broken) == (geometry == wanted and survives_a_rack)


@pytest.mark.parametrize(
    ("shape", "geometry", "says"),
    [
        ((4, 2, 2), "12+4", ""),
        ((1, 1, 1), "1+0", ""),
        ((1, 1, 3), "2+1", ""),
        ((3, 1, 1), "2+1", ""),
        ((1, 4, 4), "12+4", ""),
        ((2, 1, 1), "1+0", "loss of a rack"),
        ((2, 2, 4), "12+4", "8 fit so in these 2 racks"),
        ((3, 1, 5), "12+4", "takes 16 drives"),
    ],
)
def test_what_drives_cannot_promise_is_said(
    shape: tuple[int, int, int], geometry: str, says: str
) -> None:
    _, drives = drive_set(*shape)
    wanted = next(one for one in GEOMETRIES if str(one) == geometry)
    reason = broken_promise([(drive.node, drive.rack) for drive in drives.all()], wanted)
    assert says in reason
    assert bool(says) == bool(reason)


def test_equals_take_turns_and_so_do_the_segments_that_serve_reads() -> None:
    _, drives = drive_set(4, 2, 4)
    used = Counter(drive.id for _ in range(8) for drive in drives.choose_segments(WIDEST)[1])
    assert set(used.values()) == {4}
    _, drives = drive_set(4, 2, 2)
    first = Counter(drive.id for _ in range(16) for drive in drives.choose_segments(WIDEST)[1][:12])
    assert set(first.values()) == {12}


def test_a_drive_below_the_reserve_takes_nothing() -> None:
    disk, drives = drive_set(4, 1, 1)
    disk.full("/z/r0n0d0", GIB)
    taken = {drive.path for drive in drives.choose_mirrors(3)}
    assert taken == {"/z/r1n0d0", "/z/r2n0d0", "/z/r3n0d0"}


def test_fullness_never_puts_on_fewer_drives_what_belongs_on_three() -> None:
    disk, drives = drive_set(4, 1, 1)
    disk.full("/z/r0n0d0", GIB)
    disk.full("/z/r1n0d0", GIB)
    with pytest.raises(StorageFull):
        drives.choose_mirrors(3)


def test_fullness_narrows_a_geometry_but_takes_no_coding_segment_away() -> None:
    disk, drives = drive_set(4, 2, 2)
    for full in ("/z/r0n0d0", "/z/r0n0d1", "/z/r0n1d0", "/z/r0n1d1"):
        disk.full(full, GIB)
    geometry, _ = drives.choose_segments(Geometry(12, 4))
    assert geometry == Geometry(8, 4)
    for full in ("/z/r1n0d0", "/z/r1n0d1", "/z/r1n1d0", "/z/r2n0d0", "/z/r2n0d1"):
        disk.full(full, GIB)
    with pytest.raises(StorageFull):
        drives.choose_segments(Geometry(12, 4))


def test_a_drive_that_met_its_end_waits_for_more_space() -> None:
    disk, drives = drive_set(1, 1, 1)
    disk.full("/z/r0n0d0", 5 * GIB)
    drives.fill(drives.all()[0].id)
    with pytest.raises(StorageFull):
        drives.choose_mirrors(1)
    disk.full("/z/r0n0d0", 6 * GIB)
    assert len(drives.choose_mirrors(1)) == 1


def test_a_drive_that_cannot_say_its_space_is_failed() -> None:
    disk, drives = drive_set(1, 1, 2)
    disk.lose("/z/r0n0d0")
    assert len(drives.choose_mirrors(2)) == 1
    assert drives.all()[0].state is DriveState.FAILED
    assert "free space" in drives.all()[0].reason


def test_a_chunk_dir_is_made_durably_and_only_once() -> None:
    disk, drives = drive_set(1, 1, 1)
    (drive,) = drives.all()
    for _ in range(2):
        ensure_chunk_dir(disk, drive, b"\0" * 15 + b"\xab")
    assert [(event.operation, event.path) for event in disk.journal] == [
        ("mkdir", "/z/r0n0d0/chunks"),
        ("sync_dir", "/z/r0n0d0"),
        ("mkdir", "/z/r0n0d0/chunks/ab"),
        ("sync_dir", "/z/r0n0d0/chunks"),
    ]
