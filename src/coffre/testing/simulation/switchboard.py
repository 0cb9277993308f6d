"""The ways between a node's processes, made short: calls where sockets and shared memory are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.json import decode

from coffre.service import collecting, drive_changes, drives, monitor, repairing, snapshots
from coffre.service.drives import Places
from coffre.service.engine import DrivesNode
from coffre.service.layout import DataFolder
from coffre.stewards.read_repair import Notice
from coffre.testing.simulation.loop import done_at_once, without_threads
from coffre.testing.simulation.machine import Machine

Answers = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class Requests:
    """Open requests, as `service.readers` tells of those of all workers."""

    _began: list[float] = field(default_factory=list)

    @contextmanager
    def open(self, now: float, background: bool) -> Iterator[None]:
        """A request that begins `now`; work in the background is none."""
        if background:
            yield
            return
        self._began.append(now)
        try:
            yield
        finally:
            self._began.remove(now)

    def oldest(self) -> float | None:
        return min(self._began, default=None)

    def count(self) -> int:
        return len(self._began)

    def close(self) -> None:
        """There is no shared memory."""


class Switchboard:
    """Who answers at the doors of the node that runs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._node: DrivesNode | None = None
        self._take: Callable[[Notice], None] | None = None
        self.follower: Answers | None = None
        self.open_requests = Requests()

    def connect(self, node: DrivesNode) -> None:
        self._node, self._take, self.follower = node, None, None
        self.open_requests = Requests()

    def requests(self, path: str, monotonic: object) -> Requests:
        """In place of `service.readers.AllRequests`."""
        return self.open_requests

    async def ask(self, door: str, operation: str, arguments: dict[str, Any]) -> Any:
        """In place of `service.door.ask`."""
        await asyncio.sleep(0)
        if door == "follower.sock" and self.follower is not None:
            return await self.follower(operation, arguments)
        if self._node is None or door != "coffre.sock":
            raise ConnectionRefusedError(door)
        return await self._node.operations[operation](**arguments)

    def read_places(self, folder: DataFolder) -> Places:
        """In place of `service.drives.read_places`: they are written to the simulated disk."""
        disk, path = self._machine.disk, str(folder.places)
        if not disk.exists(path):
            return Places()
        file = disk.open(path, "read")
        try:
            return decode(file.pread(file.size(), 0), type=Places)
        finally:
            file.close()

    async def receive_notices(self, path: str, take: Callable[[Notice], None]) -> _Transport:
        """In place of `service.notices.receive_notices`."""
        self._take = take
        return _Transport()

    def notice(self, chunk: bytes, segment: int, drive: bytes, reason: str) -> None:
        """In place of `service.notices.Teller`."""
        if self._take is not None:
            self._take(Notice(chunk, segment, drive))


class _Transport:
    def close(self) -> None:
        """Nothing was opened."""


@contextmanager
def in_one_process(switchboard: Switchboard) -> Iterator[None]:
    """Threads work on the loop, and what processes tell each other comes straight to the node."""
    places: list[tuple[Any, str, Any]] = [
        (collecting, "ask", switchboard.ask),
        (collecting, "AllRequests", switchboard.requests),
        (repairing, "ask", switchboard.ask),
        (repairing, "AllRequests", switchboard.requests),
        (repairing, "receive_notices", switchboard.receive_notices),
        (snapshots, "ask", switchboard.ask),
        (monitor, "call_apart", done_at_once),
        (drives, "read_places", switchboard.read_places),
        (drive_changes, "read_places", switchboard.read_places),
    ]
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, short in places:
        setattr(module, name, short)
    try:
        with without_threads():
            yield
    finally:
        for (module, name, _), original in zip(places, before, strict=True):
            setattr(module, name, original)
