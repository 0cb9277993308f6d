"""The whole engine in one process: what committer, worker and stewards of a node have of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import apsw

from coffre.catalog import mutations as m
from coffre.catalog.group import GroupCommitter, Limits
from coffre.catalog.log_state import LogSettings
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.reader import SqliteReader
from coffre.catalog.recovery import Recovered, recover
from coffre.catalog.schema import open_reader
from coffre.catalog.stamp import HybridClock
from coffre.service.zone import close_left_chunks
from coffre.stewards.reaper import Reaper
from coffre.stewards.sealer import Sealer
from coffre.stewards.shape import Steward
from coffre.system.entropy import SeededEntropy
from coffre.testing.simulation.machine import Machine
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.headers import Origin
from coffre.vault.keys import RootKey
from coffre.vault.records import Chunk, Extent, Geometry
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter
from coffre.vault.superblock import Superblock, SuperblockStore

ZONE = 1
ROOT = RootKey(bytes(range(32)))
WANTED = Geometry(12, 4)


@dataclass(frozen=True)
class Sizes:
    """Bytes: everything small, so that much happens in little time."""

    landing: int
    inline_limit: int
    ahead: int
    wal: int


def found_zone(machine: Machine) -> None:
    """Superblocks of an empty zone on new drives."""
    labels = tuple(place.label for place in machine.places)
    superblock = Superblock("test", "one", ZONE, 0, labels, WANTED, 3)
    store = SuperblockStore(machine.disk, ROOT, machine.entropy)
    store.write(superblock, _drives(machine))
    machine.founded = len(machine.disk.journal)


def newest_superblock(machine: Machine) -> Superblock:
    """The one that a start would go by. Raises TooFewSuperblocks."""
    store = SuperblockStore(machine.disk, ROOT, SeededEntropy(0))
    return store.load([place.path for place in machine.places]).best


def _drives(machine: Machine) -> list[Drive]:
    return [
        Drive(place.label.id, place.path, place.label.node, place.label.rack)
        for place in machine.places
    ]


@dataclass(eq=False)
class Node:
    """A process between its start and its end."""

    machine: Machine
    drives: DriveSet
    recovered: Recovered
    committer: GroupCommitter
    rows: apsw.Connection
    reader: SqliteReader
    striped: StripedWriter
    chunks: DriveChunkStore
    vault: FramedVault
    sealer: Sealer
    stewards: list[Steward]
    committing: asyncio.Task[None]

    @classmethod
    async def start(cls, machine: Machine, catalog: str, sizes: Sizes, *, owner: str) -> Node:
        """Recover and go on. Raises what recovery raises."""
        disk, clock, entropy = machine.disk, machine.clock, machine.entropy
        drives = DriveSet(disk, _drives(machine))
        superblocks = SuperblockStore(disk, ROOT, entropy)
        loaded = superblocks.load([place.path for place in machine.places])
        for drive in drives.all():
            if loaded.per_path[drive.path].superblock is None:
                drives.mark(drive.id, DriveState.MISSING)
        recovered = await recover(
            catalog=catalog,
            superblock=loaded.best,
            drives=drives,
            superblocks=superblocks,
            roots=ROOT,
            clock=clock,
        )
        settings = LogSettings(capacity=sizes.landing, ahead=sizes.ahead)
        writer = LogWriter(
            recovered.start,
            roots=ROOT,
            drives=drives,
            superblocks=superblocks,
            clock=clock,
            entropy=entropy,
            settings=settings,
        )
        committer = GroupCommitter(
            recovered.db,
            writer,
            HybridClock(clock, entropy, ZONE, recovered.last_order),
            limits=Limits(wal_bytes=sizes.wal),
        )
        rows = open_reader(catalog)
        reader = SqliteReader(rows)
        striped = _striped(machine, drives, committer, owner, recovered.start.superblock.epoch)
        chunks = DriveChunkStore(drives, disk, reader, clock, striped=striped)

        async def count_dead(extents: tuple[Extent, ...]) -> None:
            await committer.commit(m.CountDead(extents))

        vault = FramedVault(
            chunks,
            clock,
            entropy,
            ZONE,
            count_dead=count_dead,
            inline_limit=sizes.inline_limit,
        )
        committing = asyncio.get_running_loop().create_task(committer.run())
        await close_left_chunks(reader, committer, lambda other: other != owner)
        sealer = Sealer(reader, committer, drives, WANTED)
        stewards: list[Steward] = [sealer, Reaper(reader, committer, clock)]
        return cls(
            machine,
            drives,
            recovered,
            committer,
            rows,
            reader,
            striped,
            chunks,
            vault,
            sealer,
            stewards,
            committing,
        )

    async def stop(self) -> None:
        """As SIGTERM stops a node: what is queued is done, and the stop is marked clean."""
        await self.striped.drain()
        self.committer.stop()
        await self.committing

    def close(self) -> None:
        """Let go of SQLite's files."""
        self.chunks.close()
        self.rows.close()
        self.recovered.db.close()


def _striped(
    machine: Machine, drives: DriveSet, committer: GroupCommitter, owner: str, epoch: int
) -> StripedWriter:
    async def reserve(chunk: Chunk) -> None:
        await committer.commit(
            m.ReserveChunk(chunk.id, chunk.owner, chunk.epoch, chunk.k, chunk.m, chunk.members)
        )

    async def close(chunk_id: bytes) -> None:
        await committer.commit(m.CloseChunk(chunk_id))

    return StripedWriter(
        drives,
        reserve,
        close,
        owner=owner,
        epoch=epoch,
        origin=Origin("test", "one", ZONE, ROOT.id),
        entropy=machine.entropy,
        clock=machine.clock,
        wanted=WANTED,
    )
