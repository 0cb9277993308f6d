"""A committer on sixteen drive folders of any disk, started and stopped as a node's would be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from coffre.catalog import mutations as m
from coffre.catalog.group import GroupCommitter, Limits
from coffre.catalog.log_state import LogSettings
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.migrating import migrate
from coffre.catalog.reader import SqliteReader
from coffre.catalog.recovery import Recovered, recover
from coffre.catalog.schema import open_reader
from coffre.catalog.stamp import HybridClock
from coffre.system.clock import Clock, ManualClock
from coffre.system.disk import Disk
from coffre.system.entropy import Entropy, SeededEntropy
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.keys import RootKey
from coffre.vault.records import Blob, ChunkState, Geometry, ciphertext_bytes
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
        followers: Sequence[str] = (),
        unchecked: Sequence[bytes] = (),
    ) -> Node:
        """Recover and run; `unchecked` drives are not to be trusted yet. Raises what recovery
        raises, TooFewSuperblocks."""
        drives = DriveSet(disk, all_drives(root))
        superblocks = SuperblockStore(disk, ROOT, entropy, deadline=superblock_deadline)
        loaded = superblocks.load(folders(root))
        for drive in drives.all():
            if loaded.per_path[drive.path].superblock is None:
                drives.mark(drive.id, DriveState.MISSING)
            elif drive.id in unchecked:
                drives.mark(drive.id, DriveState.CHECKING)
        recovered = await recover(
            catalog=catalog,
            superblock=loaded.best,
            drives=drives,
            superblocks=superblocks,
            roots=ROOT,
            clock=clock,
            followers=followers,
        )
        writer = LogWriter(
            recovered.start,
            roots=ROOT,
            drives=drives,
            superblocks=superblocks,
            clock=clock,
            entropy=entropy,
            settings=settings or LogSettings(),
        )
        db = recovered.db
        await migrate(db, writer)
        stamps = HybridClock(clock, entropy, ZONE, recovered.last_order)
        committer = GroupCommitter(db, writer, stamps, limits=limits or Limits())
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


BUCKET = b"bucket".ljust(16, b".")


def put(
    key: bytes, body: bytes, *, if_none_match: bool = False
) -> tuple[m.PutVersion, list[bytes]]:
    """A put whose ciphertext is `body` and as many bytes more as its tags would be."""
    name = (key + body)[:16].ljust(16, b"#")
    blob = Blob(name, len(body), b"key id".ljust(16), b"wrapped")
    tags = b"t" * (ciphertext_bytes(len(body)) - len(body))
    condition = m.WriteCondition(if_none_match=if_none_match)
    facts = m.ObjectFacts("etag", "owner")
    return m.PutVersion(BUCKET, key, name, blob, facts, condition), [body, tags]


class RecordedZone:
    """A recorded zone that nodes come and go on."""

    def __init__(self, folder: Path, *, seed: int = 1) -> None:
        self.disk = RecordingDisk(folders("/drives"))
        self.clock = ManualClock()
        self.entropy = SeededEntropy(seed)
        self.catalog = str(folder / "catalog.sqlite")
        self.settings = LogSettings(capacity=64 * 1024, ahead=4096, sync_deadline=1.0)
        self.limits = Limits()
        self.followers: list[str] = []
        self.unchecked: list[bytes] = []
        self.nodes: list[Node] = []
        initialize(self.disk, "/drives", self.entropy)

    async def node(self) -> Node:
        node = await Node.start(
            self.disk,
            "/drives",
            self.catalog,
            self.clock,
            self.entropy,
            settings=self.settings,
            limits=self.limits,
            followers=self.followers,
            unchecked=self.unchecked,
        )
        self.nodes.append(node)
        return node

    async def founded(self) -> Node:
        """A node whose zone has the bucket."""
        node = await self.node()
        commit = node.committer.commit
        store, tenant = b"store".ljust(16), b"tenant".ljust(16)
        await commit(m.CreateTenant(tenant, "tenant"))
        await commit(
            m.CreateStore(store, "store", tenant, b"key id".ljust(16), b"root", b"wrapped")
        )
        await commit(m.CreateBucket(BUCKET, store, "bucket", "owner", "us-east-1"))
        return node

    def drives(self) -> DriveSet:
        """All its drives, as somebody beside a node sees them."""
        return DriveSet(self.disk, all_drives("/drives"))

    def lose_catalog(self) -> None:
        for name in (self.catalog, f"{self.catalog}-wal", f"{self.catalog}-shm"):
            Path(name).unlink(missing_ok=True)

    def flip_a_bit_of_the_catalog(self) -> None:
        path = Path(self.catalog)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def catalog_bytes(self) -> bytes:
        return Path(self.catalog).read_bytes()


async def stored_body(node: Node, key: bytes) -> bytes | None:
    """The plain part of an object's stored bytes; None where there is none."""
    bucket = node.reader.bucket(b"store".ljust(16), "bucket")
    assert bucket is not None
    version = node.reader.current(bucket, key)
    if version is None:
        return None
    assert version.manifest is not None
    assert version.manifest.blob is not None
    blob = version.manifest.blob
    parts = [await node.store.read(one, 0, one.length) for one in blob.extents]
    return b"".join(parts)[: blob.size]


async def open_mirrors(node: Node) -> list[Drive]:
    (chunk,) = [c for c in node.reader.chunks() if c.state is ChunkState.OPEN]
    return [drive for one in chunk.members if (drive := node.drives.by_id(one))]
