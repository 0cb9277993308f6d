"""A drive that could not be added is no drive: nothing may be laid on it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from coffre.catalog.group import GroupCommitter
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.drive_changes import DriveChanges
from coffre.service.drive_view import DriveView
from coffre.service.layout import DataFolder
from coffre.service.zone import World
from coffre.system.clock import ManualClock
from coffre.system.disk import LocalDisk
from coffre.system.entropy import SeededEntropy
from coffre.vault.drives import DriveSet
from coffre.vault.records import Geometry
from coffre.vault.superblock import Superblock


class Committer:
    """The part of a committer that is asked before anything is written."""

    zone = Superblock(
        region="here",
        zone="z",
        zone_number=1,
        epoch=1,
        drives=(),
        geometry=Geometry(1, 0),
        landing_copies=3,
    )


async def test_a_drive_whose_place_cannot_be_kept_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "drives.json.tmp" / "in the way").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    drives = DriveSet(LocalDisk(), [])
    changes = DriveChanges(
        Settings(data=str(tmp_path)),
        DataFolder(tmp_path),
        World(ManualClock(), SeededEntropy(1), LocalDisk()),
        drives,
        cast(GroupCommitter, Committer()),
        cast(DriveView, None),
    )
    with pytest.raises(Invalid, match="cannot be written"):
        await changes.add(str(tmp_path / "new"), node="n", rack="r")
    assert drives.all() == []
