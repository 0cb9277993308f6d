"""A whole node in one process: what supervisor, committer, worker and stewards have, put together.

It is opened as the committer opens it (`service.engine`) and has every steward that a node has
(`service.stewarding`). Only the ways between processes are short: what goes through a socket or
shared memory there is a call here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw

from coffre.catalog import mutations as m
from coffre.catalog.following import Follower
from coffre.catalog.group import GroupCommitter
from coffre.catalog.link import CommitterClient
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_reader
from coffre.catalog.snapshots import discard_rows
from coffre.config import DriveFolder, Settings
from coffre.service import following
from coffre.service.auditing import Auditing
from coffre.service.board import hear_changes
from coffre.service.delivery import inline_deposits
from coffre.service.delivery_routes import Destinations
from coffre.service.engine import DrivesNode, open_engine
from coffre.service.follower_place import FILE, differs_mark
from coffre.service.layout import DataFolder
from coffre.service.local import LocalStore
from coffre.service.repairing import Repairing
from coffre.service.snapshots import snapshotter
from coffre.service.stewarding import Means, stewards
from coffre.service.striping import striped_writer
from coffre.service.verify import Verdict, verify
from coffre.service.zone import World, close_left_chunks
from coffre.stewards.runner import Runner
from coffre.stewards.sealer import Sealer
from coffre.stewards.snapshotter import Snapshotter
from coffre.system.entropy import SeededEntropy
from coffre.testing.simulation.machine import Machine
from coffre.testing.simulation.switchboard import Requests, Switchboard
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.keys import RootKeys, create_root_key
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter
from coffre.vault.superblock import Superblock, SuperblockStore

ZONE = 1


@dataclass(frozen=True)
class Choices:
    """What a seed draws of a node's settings. Bytes and seconds: all small, so that much happens
    in little time."""

    inline_limit: int
    seal_after: float
    snapshot_every: float
    scrub_every: float
    collect_at: float
    follower: bool

    def settings(self, machine: Machine, folder: Path) -> Settings:
        return Settings(
            data=str(folder),
            drives=tuple(
                DriveFolder(place.path, place.label.node, place.label.rack)
                for place in machine.places
            ),
            drive_reserve=1 << 20,
            inline_limit=self.inline_limit,
            seal_after=self.seal_after,
            snapshot_every=self.snapshot_every,
            scrub_days=self.scrub_every / (24 * 3600),
            collect_at=self.collect_at,
            follower=self.follower,
            follower_path=str(folder / "follower"),
        )


def found_zone(machine: Machine, settings: Settings) -> None:
    """A root key, and superblocks of an empty zone on new drives."""
    folder = DataFolder(Path(settings.data))
    root_key = create_root_key(str(folder.root_key), machine.entropy)
    superblock = Superblock(
        region=settings.region,
        zone=settings.zone,
        zone_number=ZONE,
        epoch=0,
        drives=tuple(place.label for place in machine.places),
        geometry=settings.coding,
        landing_copies=settings.landing_copies,
    )
    drives = [
        Drive(place.label.id, place.path, place.label.node, place.label.rack)
        for place in machine.places
    ]
    SuperblockStore(machine.disk, root_key, machine.entropy).write(superblock, drives)
    machine.founded = len(machine.disk.journal)


def newest_superblock(machine: Machine, root_keys: RootKeys) -> Superblock:
    """The one that a start would go by. Raises TooFewSuperblocks."""
    store = SuperblockStore(machine.disk, root_keys, SeededEntropy(0))
    return store.load([place.path for place in machine.places]).best


@dataclass(eq=False)
class Background:
    """What the stewards' process has."""

    sealer: Sealer
    snapshotter: Snapshotter
    auditing: Auditing
    repairing: Repairing
    runner: Runner
    local: LocalStore

    @classmethod
    async def start(
        cls, settings: Settings, folder: DataFolder, world: World, engine: DrivesNode
    ) -> Background:
        committer = cast(CommitterClient, engine.committer)
        sealer = Sealer(engine.reader, engine.committer, engine.drives, settings.coding)
        local = LocalStore(folder.local)
        facts, reader, drives = engine.facts, engine.reader, engine.drives
        means = Means(
            settings,
            facts,
            folder,
            world,
            reader,
            committer,
            drives,
            local,
            Destinations(settings.notify),
            inline_deposits(settings, facts, folder, world, reader, committer, drives),
        )
        keeper = snapshotter(settings, facts, folder, world, reader, drives, engine.snapshots)
        repair = Repairing(
            settings, facts, folder, world, reader, committer, drives, local, sealer.seal_now
        )
        audit = Auditing(settings, facts, folder, world, reader, committer, drives)
        runner = Runner(stewards(means, sealer, keeper, audit, repair), world.clock, local)
        await repair.start(runner)
        runner.start()
        return cls(sealer, keeper, audit, repair, runner, local)

    async def scrub(self) -> None:
        """Have everything read, as `coffre steward run scrubber` does, and wait for the end."""
        scrubber = self.repairing.scrubber
        await self.runner.run_now(scrubber.name)
        while not scrubber.current.ended_ms:  # noqa: ASYNC110  (it takes rounds of its own)
            await asyncio.sleep(1)


@dataclass(eq=False)
class Following:
    """What the follower's process has."""

    follower: Follower
    office: following._Office
    stop: asyncio.Event
    task: asyncio.Task[None]

    @classmethod
    def start(
        cls, settings: Settings, folder: DataFolder, world: World, engine: DrivesNode
    ) -> Following:
        place = Path(settings.follower_path)
        place.mkdir(exist_ok=True)
        path, mark = str(place / FILE), differs_mark(str(place))
        if mark.exists():
            discard_rows(path)
            mark.unlink()
        superblocks = SuperblockStore(world.disk, engine.root_keys, world.entropy)
        follower = Follower(
            path,
            str(folder.catalog),
            engine.drives,
            engine.root_keys,
            world.clock,
            lambda: following._snapshots(superblocks, engine.drives),
        )
        office = following._Office(follower, path, mark, lambda: True, lambda: True)
        stop = asyncio.Event()
        task = asyncio.get_running_loop().create_task(office.follow(stop))
        return cls(follower, office, stop, task)

    async def end(self) -> None:
        self.stop.set()
        await self.task


@dataclass(eq=False)
class Node:
    """A process between its start and its end."""

    engine: DrivesNode
    committer: GroupCommitter
    reader: SqliteReader
    rows: apsw.Connection
    drives: DriveSet
    striped: StripedWriter
    chunks: DriveChunkStore
    vault: FramedVault
    background: Background
    requests: Requests
    folder: DataFolder
    world: World
    committing: asyncio.Task[None]
    keeping: asyncio.Task[None]
    following: Following | None
    stop_engine: Callable[[], None]

    @classmethod
    async def start(
        cls, machine: Machine, settings: Settings, switchboard: Switchboard, *, owner: str
    ) -> Node:
        """Recover and go on. Raises StartRefused and what else a start raises."""
        folder = DataFolder(Path(settings.data))
        os.chdir(folder.root)
        world = World(machine.clock, machine.entropy, machine.disk)
        opened = await open_engine(settings, world)
        engine, committer = opened.node, opened.committer
        switchboard.connect(engine)
        loop = asyncio.get_running_loop()
        committing = loop.create_task(opened.run())
        keeping = loop.create_task(engine.keep_drives())
        await engine.keys.resume(beside_others=False)
        await close_left_chunks(engine.reader, committer, lambda other: other != owner)
        striped = striped_writer(
            owner,
            settings,
            engine.facts,
            world,
            committer,
            engine.drives,
            engine.root_keys,
            settings.coding,
        )
        hear_changes(engine.drives, striped.heed)
        background = await Background.start(settings, folder, world, engine)
        chunks = DriveChunkStore(
            engine.drives,
            world.disk,
            engine.reader,
            world.clock,
            striped=striped,
            notice=switchboard.notice,
        )

        async def count_dead(extents: tuple[Extent, ...]) -> None:
            await committer.commit(m.CountDead(extents))

        vault = FramedVault(
            chunks,
            world.clock,
            world.entropy,
            ZONE,
            count_dead=count_dead,
            inline_limit=settings.inline_limit,
        )
        followed = None
        if settings.follower:
            followed = Following.start(settings, folder, world, engine)
            switchboard.follower = followed.office.call
        rows = open_reader(str(folder.catalog))
        return cls(
            engine=engine,
            committer=committer,
            reader=SqliteReader(rows),
            rows=rows,
            drives=engine.drives,
            striped=striped,
            chunks=chunks,
            vault=vault,
            background=background,
            requests=switchboard.open_requests,
            folder=folder,
            world=world,
            committing=committing,
            keeping=keeping,
            following=followed,
            stop_engine=opened.stop,
        )

    async def stop(self) -> None:
        """As SIGTERM stops a node: what is queued is done, and the stop is marked clean."""
        if self.following is not None:
            await self.following.end()
        await self.background.runner.stop()
        await self.striped.drain()
        self.keeping.cancel()
        self.stop_engine()
        await self.committing

    def close(self) -> None:
        """Let go of SQLite's files."""
        if self.following is not None:
            self.following.follower.close()
        self.chunks.close()
        self.rows.close()
        self.background.auditing.close()
        self.background.repairing.close()
        self.background.local.close()

    async def replace_drive(self, path: str) -> None:
        """`coffre drive replace`."""
        await self.engine.changes.replace(path)

    async def verify(self) -> Verdict:
        """`coffre verify --deep`."""
        return await verify(
            self.folder,
            self.drives,
            self.world,
            deep=True,
            online=True,
            pace=_unhurried,
            progress=lambda what, done, of: None,
        )


async def _unhurried(size: int) -> None:
    """Nobody else reads."""
