"""A committer on sixteen drive folders of any disk, started and stopped as a node's would be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import apsw

from coffre.catalog.checkpoint import Checkpointer
from coffre.catalog.group import GroupCommitter, Limits
from coffre.catalog.log_state import LogSettings
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.reader import SqliteReader
from coffre.catalog.recovery import Recovered, recover
from coffre.catalog.schema import open_reader
from coffre.catalog.stamp import HybridClock
from coffre.system.clock import Clock
from coffre.system.disk import Disk
from coffre.system.entropy import Entropy
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.keys import RootKey
from coffre.vault.records import Geometry
from coffre.vault.store import DriveChunkStore
from coffre.vault.superblock import DriveLabel, Superblock, SuperblockStore

ZONE = 1
ROOT = RootKey(bytes(range(32)))
LABELS = tuple(
    DriveLabel(
        f"drive r{rack}n{node}d{drive}".encode().ljust(16, b"."), f"r{rack}n{node}", f"r{rack}"
    )
    for rack in (1, 2, 3, 4)
    for node in (1, 2)
    for drive in (1, 2)
)


def folders(root: str) -> list[str]:
    """The sixteen drive folders, in the order of `LABELS`."""
    return [f"{root}/{label.node}d{1 + place % 2}" for place, label in enumerate(LABELS)]


def all_drives(root: str) -> list[Drive]:
    return [
        Drive(label.id, path, label.node, label.rack)
        for label, path in zip(LABELS, folders(root), strict=True)
    ]


def initialize(disk: Disk, root: str, entropy: Entropy) -> None:
    """Superblocks of an empty zone, on folders that exist."""
    zone = Superblock("test", "one", ZONE, 0, LABELS, Geometry(12, 4), 3)
    SuperblockStore(disk, ROOT, entropy).write(zone, all_drives(root))


@dataclass(eq=False)
class Node:
    """What a committer process holds, and a reader and chunk store beside it."""

    drives: DriveSet
    superblocks: SuperblockStore
    recovered: Recovered
    writer: LogWriter
    committer: GroupCommitter
    rows: apsw.Connection
    reader: SqliteReader
    store: DriveChunkStore
    task: asyncio.Task[None]

    @classmethod
    async def start(
        cls,
        disk: Disk,
        root: str,
        catalog: str,
        clock: Clock,
        entropy: Entropy,
        *,
        settings: LogSettings | None = None,
        limits: Limits | None = None,
        superblock_deadline: float = 2.0,
    ) -> Node:
        """Recover and run. Raises what recovery raises, TooFewSuperblocks."""
        drives = DriveSet(disk, all_drives(root))
        superblocks = SuperblockStore(disk, ROOT, entropy, deadline=superblock_deadline)
        loaded = superblocks.load(folders(root))
        for drive in drives.all():
            if loaded.per_path[drive.path].superblock is None:
                drives.mark(drive.id, DriveState.MISSING)
        recovered = await recover(
            catalog=catalog,
            superblock=loaded.best,
            drives=drives,
            superblocks=superblocks,
            root=ROOT,
            clock=clock,
        )
        writer = LogWriter(
            recovered.start,
            root=ROOT,
            drives=drives,
            superblocks=superblocks,
            clock=clock,
            entropy=entropy,
            settings=settings or LogSettings(),
        )
        db = recovered.db
        stamps = HybridClock(clock, entropy, ZONE, recovered.last_order)
        committer = GroupCommitter(db, writer, stamps, limits=limits or Limits())
        Checkpointer(db, catalog)
        rows = open_reader(catalog)
        reader = SqliteReader(rows)
        store = DriveChunkStore(drives, disk, reader, clock)
        task = asyncio.get_running_loop().create_task(committer.run())
        return cls(drives, superblocks, recovered, writer, committer, rows, reader, store, task)

    async def stop(self) -> None:
        """Finish what is queued and mark a clean stop."""
        self.committer.stop()
        await self.task
        self._close()

    async def kill(self) -> None:
        """End without a farewell: what was not committed is not."""
        self.task.cancel()
        await asyncio.wait((self.task,))
        self._close()

    def _close(self) -> None:
        self.store.close()
        self.rows.close()
        self.recovered.db.close()
