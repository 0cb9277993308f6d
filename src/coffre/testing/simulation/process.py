"""A node's life on a simulated machine: starts, clean stops, kills and power losses."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import apsw

from coffre.catalog.snapshots import discard_rows
from coffre.config import Settings
from coffre.service.follower_place import FILE
from coffre.testing.disk import PowerLost
from coffre.testing.simulation.loop import Stuck, VirtualLoop
from coffre.testing.simulation.machine import Machine
from coffre.testing.simulation.node import Node, newest_superblock
from coffre.testing.simulation.switchboard import Switchboard
from coffre.vault.keys import RootKeyFile

T = TypeVar("T")
_LAST_TURNS = 10
Trace = Callable[[str], None]


class Process:
    """Runs a node in loops of its own, one for each life. The catalog's file is on a real disk;
    what a crash leaves of it is drawn: the newest state, an earlier one, damage, or nothing."""

    def __init__(self, machine: Machine, random: Random, settings: Settings, trace: Trace) -> None:
        self.machine = machine
        self.settings = settings
        self.switchboard = Switchboard(machine)
        self.trace = trace
        self.lives = 0
        self.complaints: list[str] = []
        # Bytes of the catalog's WAL that an earlier life left: synced, or read again by a start.
        self._wal_found = 0
        self.stewards_log = _Broken(self.complaints)
        self._random = random
        self._catalog = Path(settings.data) / "catalog.sqlite"
        self._loop: VirtualLoop | None = None
        self._node: Node | None = None
        # Committed states for a crash to bring back: the catalog's file, its WAL, and how many
        # bytes of that are synced for sure.
        self._kept: list[tuple[bytes, bytes, int]] = []
        # The follower's files of earlier crashes.
        self._followed: list[bytes] = []

    @property
    def node(self) -> Node:
        assert self._node is not None, "the node runs"
        return self._node

    @property
    def running(self) -> bool:
        return self._node is not None

    @property
    def broken(self) -> bool:
        """Did the committer end by itself?"""
        return self.node.committing.done()

    def complaints_so_far(self) -> list[str]:
        """Faults that nobody heard of: tasks that failed unseen, stewards that broke down."""
        complaints = list(self.complaints)
        self.complaints.clear()
        if self._loop is not None:
            complaints += self._loop.complaints
            self._loop.complaints.clear()
        return complaints

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` beside the node's own tasks. Raises PowerLost, Stuck, what it raises."""
        assert self._loop is not None
        result: T = self._loop.do(work)
        return result

    def start(self) -> None:
        """Begin a life. Raises what a start raises, PowerLost."""
        self.lives += 1
        wal = Path(f"{self._catalog}-wal")
        self._wal_found = wal.stat().st_size if wal.exists() else 0
        machine = self.machine
        loop = VirtualLoop(machine.clock, self._random, machine.slowness)
        self._loop = machine.loop = loop
        asyncio.set_event_loop(loop)
        owner = f"worker-{self.lives}"
        self._node = self.do(Node.start(machine, self.settings, self.switchboard, owner=owner))
        recovery = self._node.engine.facts.recovery
        source = f" from the {recovery['source']}" if recovery["way"] == "rebuilt" else ""
        self.trace(f"  started: {recovery['way']}{source}, {recovery['records']} records")
        machine.renamed(self._node.drives)
        machine.noticed(self._node.drives, self._node.committer.zone)

    def stop(self) -> None:
        """End a life well. Raises PowerLost."""
        self.do(self.node.stop())
        self._bury()
        self.keep_catalog()

    def crash(self, *, power: bool) -> None:
        """The end of a life: `kill -9`, or power going at this moment."""
        machine = self.machine
        machine.disk.calm()
        at = len(machine.disk.journal)
        started = self.running
        if started:
            self.keep_catalog()
        machine.disk.lose("/")
        self._bury()
        machine.disk.heal("/")
        if power:
            fates = machine.lose_power(at)
            self.trace(f"  power is lost at event {at}: {_summary(fates)}")
        else:
            self.trace(f"  killed at event {at}")
        if started or self._random.random() < 0.4:
            self._leave_catalog(power)
        if power and self.settings.follower:
            self._leave_follower()

    def keep_catalog(self) -> None:
        """Note the catalog's file as it is."""
        files = (Path(f"{self._catalog}{end}") for end in ("", "-wal", "-shm"))
        main, wal, index = (file.read_bytes() if file.exists() else b"" for file in files)
        if main:
            synced = max(self._wal_found, _synced_part(main, index))
            self._kept.append((main, wal, min(len(wal), synced)))
            del self._kept[:-8]

    def lose_catalog(self) -> None:
        for name in ("", "-wal", "-shm", ".set-aside", "-wal.set-aside"):
            Path(f"{self._catalog}{name}").unlink(missing_ok=True)

    def _leave_follower(self) -> None:
        """What a follower's file is after power went: itself, an earlier one, or nothing."""
        file = Path(self.settings.follower_path) / FILE
        way = self._random.random()
        if file.exists():
            self._followed = [*self._followed[-3:], file.read_bytes()]
        if way < 0.1:
            self.trace("  the follower's file is lost")
            discard_rows(str(file))
        elif way < 0.3 and self._followed:
            self.trace("  the follower's file is an earlier one")
            discard_rows(str(file))
            file.write_bytes(self._random.choice(self._followed))

    def _leave_catalog(self, power: bool) -> None:
        if self._random.random() < 0.2:
            for path in self._catalog.parent.glob("local.db*"):
                path.unlink()
        newest = self._kept[-1] if self._kept else (b"", b"", 0)
        way = self._random.random()
        self.lose_catalog()
        if not newest[0] or way < 0.12:
            self.trace("  the catalog's file is lost")
            return
        main, wal, synced = newest
        if power and way < 0.3:
            wal = wal[: self._random.randint(synced, len(wal))]
            self.trace("  the catalog's WAL is cut")
        elif way < 0.45:
            main, wal, _ = self._random.choice(self._kept)
            self.trace("  the catalog's file is an earlier one")
        elif way < 0.55 and not self._stopped_well():
            # After a clean stop a start reads no more than it needs.
            damaged = bytearray(main)
            damaged[self._random.randrange(len(main))] ^= 1 << self._random.randrange(8)
            main = bytes(damaged)
            self.trace("  the catalog's file is damaged")
        self._catalog.write_bytes(main)
        Path(f"{self._catalog}-wal").write_bytes(wal)

    def _stopped_well(self) -> bool:
        root_key = RootKeyFile(self.settings.inside("root.key"))
        return newest_superblock(self.machine, root_key).clean

    def _bury(self) -> None:
        """Let what is left of a life end, unseen by the disk."""
        loop, self._loop = self._loop, None
        node, self._node = self._node, None
        assert loop is not None
        logging.disable(logging.CRITICAL)
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            for _ in range(_LAST_TURNS):
                # The loop may have been about to stop; a power loss goes through whoever waits.
                with suppress(RuntimeError, Stuck, PowerLost):
                    loop.do(asyncio.sleep(1))
                if not asyncio.all_tasks(loop):
                    break
            loop.do(loop.shutdown_asyncgens())
            if node is not None:
                with suppress(apsw.Error):
                    node.close()
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.exception()
        finally:
            logging.disable(logging.NOTSET)
            loop.close()
            asyncio.set_event_loop(None)


def _synced_part(main: bytes, index: bytes) -> int:
    """SQLite syncs its WAL before it copies pages into the file: what was copied is in both. (Page
    size: at 16 of the file; frames copied: at 96 of the WAL index.)"""
    page = int.from_bytes(main[16:18], "big")
    copied = int.from_bytes(index[96:100], sys.byteorder)
    return 32 + copied * (24 + (page if page > 1 else 65536))


def _summary(fates: dict[str, Any]) -> str:
    values = list(fates.values())
    return ", ".join(f"{values.count(fate)} {fate}" for fate in sorted(set(values)))


class _Broken(logging.Handler):
    """Hears of stewards whose round ended in what they do not expect."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0]:
            self._complaints.append(self.format(record))
