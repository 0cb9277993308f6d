"""What the committer says of drives holds in every process; what a process finds is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from coffre.service.administration import Invalid
from coffre.service.board import Follower, hear_changes, publish
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import Drive, DriveSet, DriveState


def drive_set(*names: str) -> DriveSet:
    drives = [Drive(name.encode().ljust(16), f"/z/{name}", "n", "r") for name in names]
    return DriveSet(RecordingDisk([drive.path for drive in drives]), drives)


def states(drives: DriveSet) -> dict[str, tuple[str, str, str]]:
    return {drive.path[3:]: (drive.state, drive.reason, drive.intent) for drive in drives.all()}


class Office:
    """Takes reports as the committer's door does."""

    def __init__(self, drives: DriveSet, board: Path) -> None:
        self.heard: list[tuple[bytes, str]] = []
        self.open = True
        self.spares = False
        self._drives, self._board = drives, board

    async def report(self, drive_id: bytes, reason: str) -> None:
        if not self.open:
            raise ConnectionRefusedError
        self.heard.append((drive_id, reason))
        if self._drives.by_id(drive_id) is None:
            raise Invalid("NoSuchDrive", "unknown")
        if not self.spares:
            self._drives.fail(drive_id, reason)
        publish(self._board, self._drives)


def a_zone(tmp_path: Path) -> tuple[DriveSet, Office, DriveSet, Follower]:
    board = tmp_path / "drives.board"
    ours, theirs = drive_set("a", "b", "c"), drive_set("a", "b", "c")
    publish(board, ours)
    office = Office(ours, board)
    follower = Follower(board, theirs, office.report)
    follower.look()
    return ours, office, theirs, follower


def test_states_and_intents_follow(tmp_path: Path) -> None:
    ours, _, theirs, follower = a_zone(tmp_path)
    a, b, _ = ours.all()
    ours.mark(a.id, DriveState.CHECKING, "it is back")
    ours.intend(b.id, "drain")
    publish(tmp_path / "drives.board", ours)
    follower.look()
    assert states(theirs) == states(ours)
    assert theirs.member(a.id) is None


def test_drives_that_are_added_and_removed_follow(tmp_path: Path) -> None:
    ours, _, theirs, follower = a_zone(tmp_path)
    ours.add(Drive(b"new".ljust(16), "/z/new", "n2", "r2", DriveState.CHECKING))
    ours.forget(ours.all()[0].id)
    publish(tmp_path / "drives.board", ours)
    follower.look()
    assert states(theirs) == states(ours)
    assert [drive.rack for drive in theirs.all()] == ["r", "r", "r2"]


async def test_what_a_process_finds_is_reported_and_holds_meanwhile(tmp_path: Path) -> None:
    ours, office, theirs, follower = a_zone(tmp_path)
    a, b, _ = theirs.all()
    office.open = False
    theirs.fail(a.id, "EIO")
    await follower.tell()
    ours.intend(b.id, "drain")
    publish(tmp_path / "drives.board", ours)
    follower.look()
    assert a.state is DriveState.FAILED, "the board does not know it yet"
    office.open = True
    await follower.tell()
    follower.look()
    assert office.heard == [(a.id, "EIO")]
    assert states(theirs) == states(ours)
    assert states(ours)["a"] == ("failed", "EIO", "")


async def test_the_committer_may_keep_a_drive_that_a_process_gave_up(tmp_path: Path) -> None:
    _, office, theirs, follower = a_zone(tmp_path)
    office.spares = True
    theirs.fail(theirs.all()[0].id, "late to sync")
    await follower.tell()
    follower.look()
    assert theirs.all()[0].state is DriveState.PRESENT


async def test_following_is_no_finding(tmp_path: Path) -> None:
    ours, office, theirs, follower = a_zone(tmp_path)
    ours.fail(ours.all()[0].id, "EIO")
    publish(tmp_path / "drives.board", ours)
    follower.look()
    await follower.tell()
    assert office.heard == []
    assert states(theirs) == states(ours)


async def test_a_drive_that_the_committer_does_not_know_is_not_reported_for_ever(
    tmp_path: Path,
) -> None:
    ours, office, theirs, follower = a_zone(tmp_path)
    ours.forget(theirs.all()[0].id)
    theirs.fail(theirs.all()[0].id, "gone")
    await follower.tell()
    await follower.tell()
    assert len(office.heard) == 1


async def test_who_writes_hears_of_changes_beside_the_follower_whoever_came_first(
    tmp_path: Path,
) -> None:
    board = tmp_path / "drives.board"
    ours, theirs = drive_set("a", "b"), drive_set("a", "b")
    heard: list[str] = []
    hear_changes(theirs, lambda: heard.append("before"))
    follower = Follower(board, theirs, Office(ours, board).report)
    hear_changes(theirs, lambda: heard.append("after"))
    ours.intend(ours.all()[0].id, "drain")
    publish(board, ours)
    follower.look()
    await asyncio.sleep(0)
    assert sorted(heard) == ["after", "before"]
    theirs.fail(theirs.all()[1].id, "EIO")
    await asyncio.sleep(0)
    assert len(heard) == 4
    await follower.tell()
    assert ours.all()[1].state is DriveState.FAILED


async def test_a_board_that_cannot_be_read_just_now_does_not_end_the_following(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, _, theirs, follower = a_zone(tmp_path)
    board = tmp_path / "drives.board"
    board.rename(tmp_path / "aside")
    board.mkdir()
    follower.look()
    assert "the board cannot be read" in caplog.text
    board.rmdir()
    ours.intend(ours.all()[0].id, "drain")
    publish(board, ours)
    follower.look()
    assert states(theirs) == states(ours)
