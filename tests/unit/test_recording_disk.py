"""A recording disk behaves as a disk, and its power-loss images hold what was synced."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.system.disk import Disk
from coffre.testing.content import Fate
from coffre.testing.disk import RecordingDisk, draw_policy

PATH = "/d/file"


def made(disk: RecordingDisk, path: str = PATH, data: bytes = b"") -> None:
    file = disk.open(path, "create")
    file.pwritev([data], 0)
    file.sync()
    disk.sync_dir(path.rsplit("/", 1)[0])


def contents(disk: Disk, path: str = PATH) -> bytes:
    file = disk.open(path, "read")
    return file.pread(file.size(), 0)


def images(disk: RecordingDisk, count: int = 40, at: int | None = None) -> list[RecordingDisk]:
    position = len(disk.journal) if at is None else at
    return [disk.image(position, random.Random(seed)) for seed in range(count)]


def test_it_keeps_files_and_names_as_a_file_system_does() -> None:
    disk: Disk = RecordingDisk(["/d"])
    file = disk.open("/d/a", "create")
    assert file.pwritev([b"abc", memoryview(b"def")], 5000) == 6
    assert (file.size(), file.pread(10, 4998)) == (5006, b"\0\0abcdef")
    first, second = bytearray(2), bytearray(9)
    assert file.preadv([first, second], 5000) == 6
    assert (bytes(first), bytes(second[:4])) == (b"ab", b"cdef")
    file.truncate(5002)
    file.truncate(5004)
    assert file.pread(10, 5000) == b"ab\0\0"
    disk.mkdir("/d/sub")
    disk.rename("/d/a", "/d/sub/b")
    assert (disk.listdir("/d"), disk.listdir("/d/sub")) == (["sub"], ["b"])
    disk.unlink("/d/sub/b")
    assert not disk.exists("/d/sub/b")
    assert file.size() == 5004


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (lambda disk: disk.open("/d/none", "edit"), FileNotFoundError),
        (lambda disk: disk.open("/none/a", "create"), FileNotFoundError),
        (lambda disk: disk.open(PATH, "create"), FileExistsError),
        (lambda disk: disk.open("/d", "read"), IsADirectoryError),
        (lambda disk: disk.open(PATH + "/a", "create"), NotADirectoryError),
        (lambda disk: disk.mkdir("/d"), FileExistsError),
        (lambda disk: disk.rename("/d/none", "/d/b"), FileNotFoundError),
        (lambda disk: disk.rename(PATH, "/d"), IsADirectoryError),
        (lambda disk: disk.unlink("/d/none"), FileNotFoundError),
        (lambda disk: disk.listdir("/none"), FileNotFoundError),
        (lambda disk: disk.open(PATH, "read").pwritev([b"x"], 0), OSError),
    ],
)
def test_it_refuses_what_a_kernel_refuses(
    attempt: Callable[[Disk], object], error: type[OSError]
) -> None:
    disk = RecordingDisk(["/d"])
    made(disk)
    with pytest.raises(error):
        attempt(disk)


def test_synced_bytes_under_a_synced_name_are_in_every_image() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"x" * 3000)
    disk.open(PATH, "edit").pwritev([b"y" * 10000], 2000)
    for image in images(disk):
        assert contents(image)[:2000] == b"x" * 2000
        assert len(contents(image)) >= 3000


def test_unsynced_bytes_are_kept_dropped_or_torn() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"x" * 4096)
    disk.open(PATH, "edit").pwritev([b"y" * 4096], 0)
    found = {contents(image) for image in images(disk, 100)}
    assert {b"x" * 4096, b"y" * 4096} < found
    assert any(data.startswith(b"y" * 512) and data.endswith(b"x" * 512) for data in found)
    assert all({data[at : at + 512] for at in range(0, 4096, 512)} <= {b"x" * 512, b"y" * 512}
               for data in found)  # fmt: skip


def test_a_later_unsynced_write_may_survive_an_earlier_one() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"....")
    file = disk.open(PATH, "edit")
    file.pwritev([b"a"], 0)
    file.pwritev([b"b"], 1)
    assert {contents(image) for image in images(disk, 60)} == {b"....", b"a...", b".b..", b"ab.."}


def test_power_lost_during_a_sync_counts_as_not_synced() -> None:
    disk = RecordingDisk(["/d"])
    made(disk)
    file = disk.open(PATH, "edit")
    file.pwritev([b"a"], 0)
    file.sync()
    during = len(disk.journal) - 1
    assert {contents(image) for image in images(disk, at=during)} == {b"", b"\0", b"a"}
    assert {contents(image) for image in images(disk, at=during + 1)} == {b"a"}


def test_a_write_that_came_while_a_sync_ran_is_not_covered_by_it() -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait(_: float) -> None:
        began.set()
        go_on.wait()

    disk = RecordingDisk(["/d"], wait=wait)
    made(disk, data=b"..")
    disk.slow("/d", 1)
    file = disk.open(PATH, "edit")
    file.pwritev([b"a"], 0)
    thread = threading.Thread(target=file.sync)
    thread.start()
    began.wait()
    file.pwritev([b"b"], 1)
    go_on.set()
    thread.join()
    assert {contents(image) for image in images(disk)} == {b"a.", b"ab"}


def test_a_failed_sync_is_not_mended_by_a_later_one() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"..")
    file = disk.open(PATH, "edit")
    file.pwritev([b"a"], 0)
    disk.fail(PATH, "sync", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    file.pwritev([b"b"], 1)
    file.sync()
    assert {contents(image) for image in images(disk)} == {b".b", b"ab"}


def test_a_name_is_sure_only_after_its_directory_was_synced() -> None:
    disk = RecordingDisk(["/d"])
    file = disk.open(PATH, "create")
    file.pwritev([b"a"], 0)
    file.sync()
    assert {image.exists(PATH) for image in images(disk)} == {True, False}
    disk.sync_dir("/d")
    assert all(contents(image) == b"a" for image in images(disk))
    disk.unlink(PATH)
    assert {image.exists(PATH) for image in images(disk)} == {True, False}


def test_a_rename_leaves_the_old_name_or_the_new_one() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, "/d/old", b"old")
    made(disk, "/d/new", b"new")
    disk.rename("/d/new", "/d/old")
    found = {(contents(image, "/d/old"), image.exists("/d/new")) for image in images(disk)}
    assert found == {(b"old", True), (b"new", False)}
    disk.sync_dir("/d")
    assert {contents(image, "/d/old") for image in images(disk)} == {b"new"}


def test_what_is_in_a_directory_goes_with_it() -> None:
    disk = RecordingDisk(["/d"])
    disk.mkdir("/d/sub")
    made(disk, "/d/sub/a", b"a")
    found = {(image.exists("/d/sub"), image.exists("/d/sub/a")) for image in images(disk)}
    assert found == {(True, True), (False, False)}


@pytest.mark.parametrize(("fate", "left"), [("kept", b"ab"), ("dropped", b"..")])
def test_each_drive_can_have_its_own_fate(fate: Fate, left: bytes) -> None:
    disk = RecordingDisk(["/d", "/e"])
    for path in ("/d/file", "/e/file"):
        made(disk, path, b"..")
        disk.open(path, "edit").pwritev([b"ab"], 0)
        disk.mkdir(path[:2] + "/sub")
    other: Fate = "dropped" if fate == "kept" else "kept"
    image = disk.image(
        len(disk.journal), random.Random(1), policy_by_prefix={"/d": fate, "/e": other}
    )
    assert contents(image, "/d/file") == left
    assert contents(image, "/e/file") != left
    assert image.exists("/d/sub") is (fate == "kept")
    assert image.exists("/e/sub") is (fate != "kept")


def test_a_policy_draws_every_fate() -> None:
    drawn = draw_policy([f"/d{n}" for n in range(40)], random.Random(1))
    assert set(drawn.values()) == {"kept", "dropped", "torn"}


def test_an_image_is_a_disk_that_can_lose_power_again() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"one")
    image = images(disk, 1)[0]
    image.open(PATH, "edit").pwritev([b"two"], 0)
    assert {contents(again) for again in images(image)} == {b"one", b"two"}
    assert contents(disk) == b"one"


def test_a_flipped_bit_is_on_the_medium_at_once() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"abc")
    disk.corrupt(PATH, 1, 0x01)
    assert contents(disk) == b"acc"
    assert {contents(image) for image in images(disk, 5)} == {b"acc"}
    with pytest.raises(ValueError, match="no byte 3"):
        disk.corrupt(PATH, 3, 1)


def test_a_full_drive_takes_what_fits() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"abc")
    disk.full("/d", 2)
    file = disk.open(PATH, "edit")
    with pytest.raises(OSError, match="No space") as caught:
        file.pwritev([b"defg"], 3)
    assert caught.value.errno == errno.ENOSPC
    assert contents(disk) == b"abcde"
    assert file.pwritev([b"ABC"], 0) == 3
    assert disk.free_bytes("/d/x") == 0
    disk.heal("/d")
    assert file.pwritev([b"f"], 5) == 1


def test_a_lost_drive_answers_nothing_until_it_comes_back() -> None:
    disk = RecordingDisk(["/d"])
    made(disk, data=b"abc")
    file = disk.open(PATH, "edit")
    disk.lose("/d")
    for attempt, number in (
        (lambda: file.pread(1, 0), errno.EIO),
        (file.sync, errno.EIO),
        (lambda: disk.open(PATH, "read"), errno.ENOENT),
        (lambda: disk.listdir("/d"), errno.ENOENT),
        (lambda: disk.free_bytes("/d"), errno.EIO),
    ):
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == number
    assert not disk.exists(PATH)
    disk.heal("/d")
    assert contents(disk) == b"abc"


WRITES = st.lists(
    st.tuples(st.integers(0, 9000), st.binary(min_size=1, max_size=3000), st.booleans()),
    min_size=1,
    max_size=50,
)


@given(WRITES, st.data(), st.integers())
def test_images_agree_with_a_plain_model_of_the_synced_bytes(
    writes: list[tuple[int, bytes, bool]], data: st.DataObject, seed: int
) -> None:
    disk = RecordingDisk(["/d"])
    made(disk)
    file = disk.open(PATH, "edit")
    model, states = bytearray(), [(len(disk.journal), b"")]
    for offset, piece, sync in writes:
        file.pwritev([piece], offset)
        model.extend(bytes(max(0, offset + len(piece) - len(model))))
        model[offset : offset + len(piece)] = piece
        if sync:
            file.sync()
            states.append((len(disk.journal), bytes(model)))
    assert contents(disk) == model
    at = data.draw(st.integers(states[0][0], len(disk.journal)))
    synced = [state for position, state in states if position <= at][-1]
    image = disk.image(at, random.Random(seed), policy_by_prefix={"/d": "dropped"})
    assert contents(image) == synced
    torn = contents(disk.image(at, random.Random(seed)))
    assert len(torn) >= len(synced)
