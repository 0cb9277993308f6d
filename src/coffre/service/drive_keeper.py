"""The committing process's side of drives: what anybody saw of one is decided on here, for all.

Whatever becomes of a drive is posted on the board at once; then what stands open on it is left, and
superblocks say which drives are trusted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

from coffre.catalog.group import GroupCommitter
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.log_state import NOT_WRITTEN
from coffre.service.administration import Invalid
from coffre.service.board import publish
from coffre.vault.drives import LATE, Drive, DriveSet, DriveState

log = logging.getLogger("coffre.drives")

_AGAIN_S = 1.0


class DriveKeeper:
    """Decides the state of every drive.

    A drive that is only late is kept in use where setting it aside would leave fewer drives than
    superblocks must reach.
    """

    def __init__(self, drives: DriveSet, committer: GroupCommitter) -> None:
        self._drives = drives
        self._committer = committer
        self._stirred = asyncio.Event()

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What other processes ask at the committer's door."""
        return {"drive.report": self.report, "drive.admit": self.admit}

    async def keep(self, board: Path) -> None:
        """Post every change, and act on it, until cancelled. What cannot be said in superblocks now
        is said again."""
        loop, thread = asyncio.get_running_loop(), get_ident()

        def post() -> None:
            try:
                publish(board, self._drives)
            except OSError as error:
                log.error("the board cannot be written: %s", error)
                loop.call_later(_AGAIN_S, post)
            self._stirred.set()

        def changed(drive: Drive) -> None:
            why = f", to be emptied: {drive.reason}" if drive.intent else f": {drive.reason}"
            level = logging.INFO if drive.state is DriveState.PRESENT else logging.WARNING
            log.log(
                level,
                "drive %s (%s, %s) is %s%s",
                *_named(drive),
                drive.state,
                why.removesuffix(": "),
            )
            if get_ident() == thread:
                post()
            else:
                loop.call_soon_threadsafe(post)

        self._drives.changed = changed
        post()
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                await self._committer.follow_drives()
            except CommitUnknown:
                return  # The committer stops.
            except NOT_WRITTEN as error:
                log.error("superblocks do not say yet how drives are: %s", error)
                loop.call_later(_AGAIN_S, self._stirred.set)

    async def report(self, id: str, reason: str) -> dict[str, Any]:
        """Another process saw a drive fail: set it aside. Raises Invalid."""
        drive = self._drive(id)
        self.set_aside(drive, reason)
        return {"id": id, "state": drive.state.value}

    def set_aside(self, drive: Drive, reason: str) -> None:
        """A drive failed, or is late, if it is in use at all."""
        if drive.state not in (DriveState.PRESENT, DriveState.CHECKING):
            return
        zone = self._committer.zone
        reached = zone.counted & {one.id for one in self._drives.reachable()}
        if reason.startswith(LATE) and len(reached) <= zone.quorum:
            log.warning("drive %s is %s, and kept: too few would be left", drive.path, reason)
        else:
            self._drives.fail(drive.id, reason)

    async def admit(self, id: str) -> dict[str, Any]:
        """A drive that was checked is trusted from now on. Raises Invalid."""
        drive = self._drive(id)
        if drive.state is not DriveState.CHECKING:
            raise Invalid("NotChecking", f"the drive is {drive.state}, not being checked", "id")
        self._drives.mark(drive.id, DriveState.PRESENT)
        return {"id": id, "state": drive.state.value}

    def _drive(self, text: str) -> Drive:
        try:
            drive = self._drives.by_id(bytes.fromhex(text))
        except ValueError:
            raise Invalid("InvalidArgument", f"{text!r} is no drive id", "id") from None
        if drive is None:
            raise Invalid("NoSuchDrive", f"no drive of this zone has the id {text}", "id")
        return drive


def _named(drive: Drive) -> tuple[str, str, str]:
    return drive.path or drive.id.hex(), drive.node, drive.rack
