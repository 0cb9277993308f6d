"""Changes of drives: none is used that superblocks do not name, and each step may be cut."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from coffre.config import Settings
from coffre.service import initialize
from coffre.service.administration import Invalid
from coffre.service.drives import read_places
from coffre.service.engine import DrivesNode, open_engine
from coffre.service.layout import DataFolder
from coffre.service.zone import World
from coffre.system.buffer import Buffer
from coffre.system.clock import SystemClock
from coffre.system.disk import LocalDisk, LocalFile, Mode
from coffre.system.entropy import SystemEntropy
from coffre.vault.drives import Drive, DriveState
from coffre.vault.superblock import superblock_path

NEW = "r5n1d1"
CHANGES = 17 * 4 + 6  # about as many writes, syncs and renames as an added drive takes


class MortalDisk(LocalDisk):
    """A disk whose process is killed after so many changes: none is made from then on."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.lost: set[str] = set()
        self._lock = Lock()

    def spend(self, path: str) -> None:
        with self._lock:
            gone = any(path.startswith(one) for one in self.lost)
            if gone or self.left == 0:
                raise OSError(errno.EIO, "gone", path)
            if self.left is not None:
                self.left -= 1

    def open(self, path: str, mode: Mode) -> LocalFile:
        if mode != "read":
            self.spend(path)
        return _MortalFile(self, path, super().open(path, mode))

    def rename(self, old: str, new: str) -> None:
        self.spend(new)
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self.spend(path)
        super().unlink(path)


class _MortalFile(LocalFile):
    def __init__(self, disk: MortalDisk, path: str, file: LocalFile) -> None:
        super().__init__(file._fd)
        self._disk, self._path, self._kept = disk, path, file

    def pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        self._disk.spend(self._path)
        return super().pwritev(buffers, offset)

    def sync(self) -> None:
        self._disk.spend(self._path)
        super().sync()

    def close(self) -> None:
        self._kept.close()
        self._fd = -1


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zone's data folder as `coffre init` leaves it."""
    data = tmp_path_factory.mktemp("pristine") / "data"
    initialize(Settings(data=str(data)))
    return data


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "data")
    (tmp_path / "data/drives" / NEW).mkdir()
    return tmp_path / "data"


@asynccontextmanager
async def node_on(data: Path, disk: LocalDisk) -> AsyncIterator[DrivesNode]:
    """The committing process, which ends without a farewell."""
    world = World(SystemClock(), SystemEntropy(), disk)
    engine = await open_engine(Settings(data=str(data)), world)
    running = asyncio.ensure_future(engine.run())
    try:
        yield engine.node
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def where(data: Path) -> dict[str, str]:
    return {"path": str(data / "drives" / NEW), "node": "r5n1", "rack": "r5"}


def standing_at(node: DrivesNode, path: str) -> list[Drive]:
    return [drive for drive in node.drives.all() if drive.path == path]


async def test_a_drive_is_in_use_when_superblocks_name_it_and_not_before(data: Path) -> None:
    async with node_on(data, LocalDisk()) as node:
        told: list[tuple[DriveState, bool]] = []

        def changed(drive: Drive) -> None:
            named = drive.id in {label.id for label in node.committer.zone.drives}
            told.append((drive.state, named))

        node.drives.changed = changed
        await node.changes.add(**where(data))
        assert told == [(DriveState.PRESENT, True)]
        assert (data / "drives" / NEW / "superblock").exists()


async def test_a_drive_that_is_added_again_is_the_same(data: Path) -> None:
    async with node_on(data, LocalDisk()) as node:
        (row,) = await node.changes.add(**where(data))
        (again,) = await node.changes.add(**where(data))
        assert again["id"] == row["id"]
        with pytest.raises(Invalid, match="overlap"):
            await node.changes.add(**{**where(data), "rack": "r6"})


@pytest.mark.parametrize("left", [*range(0, 8), *range(8, CHANGES, 9)])
async def test_an_addition_that_is_killed_is_finished_by_the_next(data: Path, left: int) -> None:
    disk = MortalDisk()
    async with node_on(data, disk) as node:
        disk.left = left
        with suppress(Invalid):
            await node.changes.add(**where(data))
    async with node_on(data, LocalDisk()) as node:
        assert len(node.drives.present()) >= 16, "a start is clean"
        (row,) = await node.changes.add(**where(data))
        (drive,) = standing_at(node, where(data)["path"])
        assert drive.id.hex() == row["id"]
        assert drive.state in (DriveState.PRESENT, DriveState.CHECKING)
        labels = [label.id for label in node.committer.zone.drives]
        assert len(labels) == len(set(labels)) == 17, "no drive is known that never was"
    async with node_on(data, LocalDisk()) as node:
        (drive,) = standing_at(node, where(data)["path"])
        assert drive.id.hex() == row["id"]
        assert drive.state in (DriveState.PRESENT, DriveState.CHECKING)


async def refused(node: DrivesNode, arguments: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as invalid:
        await node.changes.add(**arguments)
    return invalid.value


async def test_an_addition_that_superblocks_do_not_take_is_taken_back(data: Path) -> None:
    disk = MortalDisk()
    async with node_on(data, disk) as node:
        before = node.committer.zone.drives
        disk.lost = {f"{drive.path}/superblock" for drive in node.drives.all()[:5]}
        assert (await refused(node, where(data))).code == "NotWritten"
        assert node.committer.zone.drives == before
        assert not standing_at(node, where(data)["path"])
        disk.lost.clear()
        await node.changes.add(**where(data))
        assert len(node.committer.zone.drives) == 17


async def test_a_drive_that_takes_no_superblock_is_not_used_until_it_does(data: Path) -> None:
    disk = MortalDisk()
    async with node_on(data, disk) as node:
        disk.lost = {superblock_path(where(data)["path"])}
        assert (await refused(node, where(data))).code == "FolderUnusable"
        (drive,) = standing_at(node, where(data)["path"])
        assert drive.state is DriveState.FAILED
        disk.lost.clear()
        await node.changes.add(**where(data))
        (again,) = standing_at(node, where(data)["path"])
        assert again.id == drive.id
        assert again.state is DriveState.CHECKING


async def test_a_drive_whose_place_cannot_be_kept_is_not_added(data: Path) -> None:
    (data / "drives.json.tmp" / "in the way").mkdir(parents=True)
    async with node_on(data, LocalDisk()) as node:
        before = [drive.id for drive in node.drives.all()]
        with pytest.raises(Invalid, match="cannot be written"):
            await node.changes.add(**where(data))
        assert [drive.id for drive in node.drives.all()] == before
        assert not read_places(DataFolder(data)).added


@pytest.mark.parametrize("left", [0, 2, 5, 20, 40, 60])
async def test_a_replacement_that_is_killed_is_finished_by_the_next(data: Path, left: int) -> None:
    shutil.rmtree(data / "drives/r1n1d1")
    disk = MortalDisk()
    new = str(data / "drives" / NEW)
    async with node_on(data, disk) as node:
        (old,) = [one for one in node.drives.all() if one.state is DriveState.MISSING]
        disk.left = left
        with suppress(Invalid):
            await node.changes.replace(old.id.hex(), new)
    async with node_on(data, LocalDisk()) as node:
        await node.changes.replace(old.id.hex(), new)
        (drive,) = standing_at(node, new)
        assert drive.state in (DriveState.PRESENT, DriveState.CHECKING)
        assert len(node.committer.zone.drives) == 17
        assert len(node.committer.zone.counted) == 16
