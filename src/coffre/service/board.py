"""The board: how every drive of the zone is, written by the committer, followed by all processes.

A JSON file in the data folder, replaced whole at each change. A process that follows it looks
several times a second, so that all see a drive that was set aside, taken in or drained within a
second. What a process finds out itself (a write that failed) holds for it at once; it reports that
to the committer, which decides for all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import get_ident

import msgspec
from msgspec import Struct

from coffre.service.administration import Invalid
from coffre.service.door import ask
from coffre.service.layout import DataFolder
from coffre.service.zone import DriveFacts
from coffre.vault.drives import Drive, DriveSet, DriveState

log = logging.getLogger("coffre.board")

LOOK_EVERY_S = 0.25
Report = Callable[[bytes, str], Awaitable[object]]


class Posted(Struct, frozen=True):
    """What stands on the board."""

    drives: tuple[DriveFacts, ...]


def facts_of(drive: Drive) -> DriveFacts:
    return DriveFacts(
        drive.id, drive.path, drive.node, drive.rack, drive.state, drive.reason, drive.intent
    )


def publish(path: Path, drives: DriveSet) -> None:
    """Replace what stands on the board. It means nothing beyond a run, so nothing is synced."""
    fresh = path.with_name(f"{path.name}.tmp")
    fresh.write_bytes(msgspec.json.encode(Posted(tuple(map(facts_of, drives.all())))))
    fresh.replace(path)


def hear_changes(drives: DriveSet, heed: Callable[[], None]) -> None:
    """Have `heed` called on the running loop after every change of a drive, on whichever thread it
    is found out, beside whoever hears already."""
    before, loop = drives.changed, asyncio.get_running_loop()

    def changed(drive: Drive) -> None:
        if before is not None:
            before(drive)
        loop.call_soon_threadsafe(heed)

    drives.changed = changed


class Follower:
    """Keeps a process's `DriveSet` as the board says, and reports what it finds out itself."""

    def __init__(self, path: Path, drives: DriveSet, report: Report) -> None:
        self._path = path
        self._drives = drives
        self._report = report
        self._seen = b""
        self._found: dict[bytes, str] = {}
        self._applying = 0
        self._before = drives.changed
        drives.changed = self._changed

    def look(self) -> None:
        """Bring the drives to what stands on the board by now."""
        try:
            posted = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            # Out of file descriptors, say: the next look is a moment away.
            log.warning("the board cannot be read: %s", error)
            return
        if posted != self._seen:
            self._seen = posted
            self._apply(msgspec.json.decode(posted, type=Posted))

    async def follow(self) -> None:
        """Look, and report, until cancelled."""
        reporting: asyncio.Task[None] | None = None
        try:
            while True:
                self.look()
                if self._found and (reporting is None or reporting.done()):
                    reporting = asyncio.create_task(self.tell())
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            if reporting is not None:
                reporting.cancel()

    def _changed(self, drive: Drive) -> None:
        if self._before is not None:
            self._before(drive)
        # On any thread: whoever writes finds out.
        if drive.state is DriveState.FAILED and self._applying != get_ident():
            self._found[drive.id] = drive.reason

    async def tell(self) -> None:
        """Report what was found; what cannot be told now is told again."""
        for drive_id, reason in list(self._found.items()):
            try:
                await self._report(drive_id, reason)
            except OSError as error:
                log.warning("drive %s failed, and the committer is away: %s", drive_id.hex(), error)
                return
            except Invalid as error:
                log.warning("drive %s: %s", drive_id.hex(), error)
            self._found.pop(drive_id, None)
            self._seen = b""  # What the committer decided holds from now on.

    def _apply(self, posted: Posted) -> None:
        self._applying = get_ident()
        try:
            known = {drive.id for drive in self._drives.all()}
            for one in posted.drives:
                drive = self._drives.by_id(one.id)
                if drive is None:
                    about = (one.id, one.path, one.node, one.rack, one.state, one.reason)
                    self._drives.add(Drive(*about, founded=True))
                elif one.id not in self._found:
                    drive.path = one.path
                    self._drives.mark(one.id, one.state, one.reason)
                self._drives.intend(one.id, one.intent)
            for gone in known - {one.id for one in posted.drives}:
                self._drives.forget(gone)
        finally:
            self._applying = 0


@asynccontextmanager
async def following(drives: DriveSet, folder: DataFolder) -> AsyncIterator[Follower]:
    """Follow the board of `folder`, which is the working folder, for the time of a `with`."""

    async def report(drive_id: bytes, reason: str) -> object:
        return await ask(
            folder.socket.name, "drive.report", {"id": drive_id.hex(), "reason": reason}
        )

    follower = Follower(folder.board, drives, report)
    follower.look()
    task = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
