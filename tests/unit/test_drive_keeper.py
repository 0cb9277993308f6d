"""The keeper: a drive that is only late is kept where too few would be left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from coffre.catalog.group import GroupCommitter
from coffre.service.administration import Invalid
from coffre.service.board import Follower
from coffre.service.drive_keeper import DriveKeeper
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.records import Geometry
from coffre.vault.superblock import DriveLabel, Superblock, SuperblockNotWritten


class Committer:
    """The part of a committer that the keeper speaks to."""

    def __init__(self, drives: list[Drive]) -> None:
        self.zone = Superblock(
            region="here",
            zone="EB4",
            zone_number=1,
            epoch=1,
            drives=tuple(DriveLabel(drive.id, drive.node, drive.rack) for drive in drives),
            geometry=Geometry(4, 2),
            landing_copies=3,
        )
        self.followed = asyncio.Event()
        self.refusals = 0

    async def follow_drives(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise SuperblockNotWritten(1, 4, {})
        self.followed.set()


def a_zone() -> tuple[DriveSet, Committer, DriveKeeper]:
    drives = [Drive(bytes([at]) * 16, f"/d{at}", f"n{at}", f"r{at}") for at in range(6)]
    drive_set = DriveSet(RecordingDisk([drive.path for drive in drives]), drives)
    committer = Committer(drives)
    return drive_set, committer, DriveKeeper(drive_set, cast(GroupCommitter, committer))


async def test_a_late_drive_is_set_aside_unless_too_few_would_be_left() -> None:
    drives, _, keeper = a_zone()
    for at, drive in enumerate(drives.all()[:4]):
        await keeper.report(drive.id.hex(), "late to sync")
        assert drive.state is (DriveState.FAILED if at < 2 else DriveState.PRESENT)
    await keeper.report(drives.all()[3].id.hex(), "[Errno 5] Input/output error")
    assert drives.all()[3].state is DriveState.FAILED, "an error is the truth"


async def test_only_a_drive_that_is_being_checked_is_admitted() -> None:
    drives, _, keeper = a_zone()
    drive = drives.all()[0]
    with pytest.raises(Invalid):
        await keeper.admit(drive.id.hex())
    drives.mark(drive.id, DriveState.CHECKING, "it is back")
    await keeper.admit(drive.id.hex())
    assert (drive.state, drive.reason) == (DriveState.PRESENT, "")
    for wrong in ("xyz", "00" * 16 + "00"):
        with pytest.raises(Invalid):
            await keeper.admit(wrong)


async def test_a_report_of_what_is_set_aside_already_changes_nothing() -> None:
    drives, _, keeper = a_zone()
    drive = drives.all()[0]
    drives.mark(drive.id, DriveState.MISSING, "its folder is gone")
    await keeper.report(drive.id.hex(), "[Errno 2] No such file")
    assert (drive.state, drive.reason) == (DriveState.MISSING, "its folder is gone")


async def test_every_change_is_posted_and_acted_on(tmp_path: Path) -> None:
    drives, committer, keeper = a_zone()
    board = tmp_path / "drives.board"
    keeping = asyncio.create_task(keeper.keep(board))
    await committer.followed.wait()
    committer.followed.clear()

    async def report(drive: bytes, reason: str) -> None: ...

    theirs = a_zone()[0]
    follower = Follower(board, theirs, report)
    await asyncio.to_thread(drives.fail, drives.all()[0].id, "EIO")
    await committer.followed.wait()
    follower.look()
    assert theirs.all()[0].reason == "EIO"
    keeping.cancel()


async def test_what_superblocks_could_not_say_is_said_again(tmp_path: Path) -> None:
    _, committer, keeper = a_zone()
    committer.refusals = 1
    keeping = asyncio.create_task(keeper.keep(tmp_path / "drives.board"))
    await committer.followed.wait()
    keeping.cancel()
