"""Can the node read, and can it commit? What `/readyz` stands on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import apsw

from coffre.catalog.interface import CommitterBusy, CommitUnknown, Reader
from coffre.catalog.log_state import MOST_UNSEALED
from coffre.catalog.mutations import CountDead, Refusal
from coffre.catalog.schema import SchemaMismatch
from coffre.service.admission import CATALOG_RESERVE_BYTES
from coffre.service.door import ask
from coffre.service.invalid import Invalid
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.zone import catalog_reader
from coffre.vault.drives import DriveSet
from coffre.vault.interface import StorageFull

if TYPE_CHECKING:
    from coffre.service.engine import DrivesNode

PATIENCE_S: Final = 3.0
CHECK: Final = "health.check"
_COMMIT_S: Final = 2.0


class Health:
    """Asked in a process that has neither committer nor gateway. Not kept: every answer is new."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._reader: Reader | None = None

    async def problems(self) -> list[str]:
        """Why the node is not ready, in plain words; none: it is."""
        return [*self._reading(), *await self._committing()]

    def _reading(self) -> list[str]:
        try:
            if self._reader is None:
                self._reader = catalog_reader(self._folder)
            self._reader.stores()
        except (OSError, apsw.Error, SchemaMismatch, StartRefused) as error:
            self._reader = None
            return [f"the catalog cannot be read: {error}"]
        return []

    async def _committing(self) -> list[str]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await ask(self._folder.socket.name, CHECK, {})
        except (OSError, TimeoutError, Invalid) as error:
            return [f"the committer does not answer: {error or 'it takes too long'}"]
        return list(answer["problems"])


class CommitHealth:
    """The committing process's own word."""

    def __init__(self, node: DrivesNode, folder: DataFolder, landing_copies: int) -> None:
        self._node = node
        self._folder = folder
        self._copies = landing_copies

    @property
    def operations(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {CHECK: self.check}

    async def check(self) -> dict[str, Any]:
        """What keeps writes from being committed now: `problems`, none if they are."""
        problems = [*await asyncio.to_thread(self._room), *await self._group()]
        committer = self._node.committer
        if committer.busy:
            problems.append("too much waits to be committed")
        if len(committer.named_chunks) >= MOST_UNSEALED:
            problems.append("too many chunks wait to be sealed")
        return {"problems": problems}

    def _room(self) -> list[str]:
        drives, problems = self._node.drives, []
        # Copies: to look must not move any drive's turn.
        takers = [replace(drive) for drive in drives.present() if not drive.intent]
        try:
            DriveSet(drives.disk, takers, reserve_bytes=drives.reserve_bytes).choose_mirrors(
                self._copies
            )
        except StorageFull as full:
            problems.append(f"new data finds no place: {full}")
        if drives.disk.free_bytes(str(self._folder.root)) < CATALOG_RESERVE_BYTES:
            problems.append("the catalog's file system is nearly full")
        return problems

    async def _group(self) -> list[str]:
        """Send a mutation that changes nothing: it goes through the committer, and leaves none."""
        try:
            async with asyncio.timeout(_COMMIT_S):
                await self._node.committer.commit(CountDead(()))
        except TimeoutError:
            return [f"a group has not been committed for {_COMMIT_S:g} s"]
        except (CommitUnknown, CommitterBusy, Refusal) as error:
            return [f"nothing is committed: {error}"]
        return []
