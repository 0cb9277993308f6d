"""The committing process's side of drives: what other processes saw is decided on here, for all."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from coffre.service.administration import Invalid
from coffre.service.board import publish
from coffre.vault.drives import LATE, Drive, DriveSet, DriveState

log = logging.getLogger("coffre.drives")


class DriveKeeper:
    """Decides the state of every drive.

    `spare`: how many drives superblocks may miss; a drive that is only late is kept in use where
    setting it aside would make it more.
    """

    def __init__(self, drives: DriveSet, spare: int) -> None:
        self._drives = drives
        self._spare = spare

    def publish_on(self, board: Path) -> None:
        """Let the processes of the node follow, from now on."""
        self._drives.changed = lambda drive: publish(board, self._drives)
        publish(board, self._drives)

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What other processes ask at the committer's door."""
        return {"drive.report": self.report, "drive.admit": self.admit}

    async def report(self, id: str, reason: str) -> dict[str, Any]:
        """Another process saw a drive fail: set it aside. Raises Invalid."""
        drive = self._drive(id)
        in_use = drive.state in (DriveState.PRESENT, DriveState.CHECKING)
        away = len(self._drives.all()) - len(self._drives.reachable())
        spared = reason.startswith(LATE) and away >= self._spare
        if in_use and spared:
            log.warning("drive %s is %s, and kept: too few would be left", drive.path, reason)
        elif in_use:
            self._drives.fail(drive.id, reason)
        return {"id": id, "state": drive.state.value}

    async def admit(self, id: str) -> dict[str, Any]:
        """A drive that was checked is trusted from now on. Raises Invalid."""
        drive = self._drive(id)
        if drive.state is not DriveState.CHECKING:
            raise Invalid("NotChecking", f"the drive is {drive.state}, not being checked", "id")
        self._drives.mark(drive.id, DriveState.PRESENT)
        log.info("drive %s is trusted again", drive.path)
        return {"id": id, "state": drive.state.value}

    def _drive(self, text: str) -> Drive:
        try:
            drive = self._drives.by_id(bytes.fromhex(text))
        except ValueError:
            raise Invalid("InvalidArgument", f"{text!r} is no drive id", "id") from None
        if drive is None:
            raise Invalid("NoSuchDrive", f"no drive of this zone has the id {text}", "id")
        return drive
