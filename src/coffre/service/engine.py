"""The drives engine as the committing process opens it: recovery, the one committer, the node."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from coffre.access.networks import read_networks
from coffre.catalog.generation import Generation
from coffre.catalog.group import GroupCommitter
from coffre.catalog.group_watch import UNWATCHED, GroupWatch
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.log_state import LogSettings
from coffre.catalog.log_writer import LogWriter
from coffre.catalog.migrating import migrate
from coffre.catalog.rebuilding import Rebuild
from coffre.catalog.recovery import Recovered, RecoveryRefused, Way, recover
from coffre.catalog.schema import SchemaMismatch
from coffre.catalog.stamp import HybridClock
from coffre.config import Settings
from coffre.service import tls
from coffre.service.administration import Invalid
from coffre.service.clock_keeper import ClockKeeper
from coffre.service.drive_changes import DriveChanges
from coffre.service.drive_keeper import DriveKeeper
from coffre.service.drive_view import DriveView
from coffre.service.drives import (
    configured_folders,
    find_drives,
    label_place,
    refuse_foreign,
    refuse_less,
)
from coffre.service.follower_place import follower_files
from coffre.service.keys import KeyKeeper, refuse_unknown_keys
from coffre.service.kms_administration import kms_operations
from coffre.service.last_used import last_used
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.lifecycle_administration import lifecycle_operations
from coffre.service.monitor import Monitor
from coffre.service.node import Node, NoStewards
from coffre.service.observing.operations import observing_operations
from coffre.service.recorded import RecordedGroup
from coffre.service.snapshots import SnapshotDesk
from coffre.service.time_sources import TimeSource
from coffre.service.zone import World, ZoneFacts, catalog_reader, drive_set, open_root_keys
from coffre.service.zone_administration import ZoneAdministration
from coffre.vault.ballast import throw_off_from
from coffre.vault.drives import DriveSet, DriveState
from coffre.vault.interface import StorageFull
from coffre.vault.keys import RootKeyFile
from coffre.vault.records import ChunkState
from coffre.vault.superblock import (
    Loaded,
    SuperblockNotWritten,
    SuperblockStore,
    TooFewSuperblocks,
)

log = logging.getLogger("coffre.engine")

# What a replaced drive held is made again in minutes at best.
_FORGET_EVERY_S = 5.0
SealNow = Callable[[], Awaitable[int]]
AskStewards = Callable[[str, dict[str, Any]], Awaitable[Any]]


class DrivesNode(Node):
    """The zone in the process that commits. `seal` is how everything open gets sealed, `stewards`
    how their process is asked (None: there is none)."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        root_keys: RootKeyFile,
        drives: DriveSet,
        facts: ZoneFacts,
        committer: GroupCommitter,
        superblocks: SuperblockStore,
        sources: Sequence[TimeSource],
    ) -> None:
        self.clock = world.clock
        self.entropy = world.entropy
        self.root_keys = root_keys
        self.zone_number = facts.zone_number
        self.zone_name = facts.zone
        self.region = facts.region
        self.private_networks = read_networks(settings.private_networks)
        self.audited = settings.audit
        self._settings = settings
        self.reader = catalog_reader(DataFolder(Path(settings.data)))
        self.committer: GroupCommitter = committer
        self.drives = drives
        self.facts = facts
        self.seal: SealNow | None = None
        self.stewards: AskStewards | None = None
        self.view = DriveView(drives, world.clock, self.reader.chunks, lambda: committer.zone)
        self.keeper = DriveKeeper(drives, committer)
        self.changes = DriveChanges(
            settings,
            DataFolder(Path(settings.data)),
            world,
            drives,
            committer,
            self.view,
            superblocks,
        )
        self.monitor = Monitor(
            drives,
            superblocks,
            self.keeper,
            committer,
            world.clock,
            world.entropy,
            deadline=settings.sync_deadline,
        )
        self.keys = KeyKeeper(
            DataFolder(Path(settings.data)),
            root_keys,
            reader=self.reader,
            committer=committer,
            drives=drives,
            superblocks=superblocks,
            clock=world.clock,
            entropy=world.entropy,
        )
        self.snapshots = SnapshotDesk(committer)
        self.release_clock = ClockKeeper(self.reader, committer, world.clock, sources)
        self.zone = ZoneAdministration(self, settings, world)
        self.operations = {
            **self.zone.operations,
            **self.keeper.operations,
            **self.changes.operations,
            **self.keys.operations,
            **self.snapshots.operations,
            **self.release_clock.operations,
            **observing_operations(self, settings),
            **kms_operations(settings, self.reader, committer, root_keys, world.entropy),
            **lifecycle_operations(self.reader, committer, world.clock),
        }

    def status(self) -> dict[str, Any]:
        chunks = self.reader.chunks()
        states = [drive.state.value for drive in self.drives.all()]
        return {
            "engine": "drives",
            "region": self.facts.region,
            "zone": self.facts.zone,
            "epoch": self.facts.epoch,
            "drives": {state: states.count(state) for state in sorted(set(states))},
            "chunks": {
                state.value: sum(chunk.state is state for chunk in chunks) for state in ChunkState
            },
            "bytes": {
                "appended": sum(chunk.length for chunk in chunks),
                "dead": sum(chunk.dead for chunk in chunks),
            },
            "exposure": self.view.exposure(),
            "recovery": self.facts.recovery,
            "certificate": tls.end(self._settings, self.clock.now_ms()),
        }

    def drive_list(self) -> list[dict[str, Any]]:
        return self.view.rows()

    async def examine(self, status: Mapping[str, Any]) -> dict[str, Any]:
        return await self.zone.examine(status)

    def last_used(self, access_keys: Sequence[str]) -> Mapping[str, int]:
        return last_used(DataFolder(Path(self._settings.data)).local, access_keys)

    async def keep_drives(self) -> None:
        """Watch the drives and the release clock, and let the other processes follow, until
        cancelled."""
        board = DataFolder(Path(self._settings.data)).board
        await asyncio.gather(
            self.keeper.keep(board),
            self.monitor.watch(),
            self.release_clock.keep(),
            self._forget_replaced(),
        )

    async def _forget_replaced(self) -> None:
        while True:
            try:
                await self.changes.forget_replaced()
            except (Invalid, CommitUnknown, OSError) as error:
                log.warning("replaced drives are not forgotten yet: %s", error)
            await asyncio.sleep(_FORGET_EVERY_S)

    async def seal_now(self) -> dict[str, Any]:
        if self.seal is None:
            raise RuntimeError("nobody seals here")
        return {"sealed": await self.seal()}

    async def ask_stewards(self, operation: str, arguments: dict[str, Any]) -> Any:
        if self.stewards is None:
            raise NoStewards
        return await self.stewards(operation, arguments)


class Engine:
    """An open zone: `run` commits until `stop`; everything else goes through `node`."""

    def __init__(self, node: DrivesNode, recovered: Recovered) -> None:
        self.node = node
        self.committer = node.committer
        self._recovered = recovered

    async def run(self) -> None:
        """Commit until `stop`. Raises what the committer cannot go on from."""
        await self.committer.run()
        self._recovered.db.close()

    def stop(self) -> None:
        self.committer.stop()


async def open_engine(
    settings: Settings,
    world: World,
    *,
    accept_less: bool = False,
    wanted: Rebuild | None = None,
    sources: Sequence[TimeSource] = (),
    watch: GroupWatch = UNWATCHED,
) -> Engine:
    """Find the zone's drives, recover, and make the committer. Raises StartRefused.

    The caller holds the data folder's lock. `accept_less`: a changed geometry may promise what the
    drives cannot keep. `wanted`: the catalog is made again in this way. `sources` may say together
    that the release clock is wrong. `watch` is told of every group.
    """
    folder = DataFolder(Path(settings.data))
    root_keys = open_root_keys(folder)
    superblocks = SuperblockStore(world.disk, root_keys, world.entropy)
    loaded = _load(superblocks, settings)
    best = loaded.best
    if best.geometry != settings.coding and not accept_less:
        refuse_less(map(label_place, best.drives), settings.coding)
    facts = ZoneFacts(
        epoch=best.epoch + 1,
        region=best.region,
        zone=best.zone,
        zone_number=best.zone_number,
        drives=find_drives(configured_folders(settings), best, loaded.per_path, world.disk),
        drive_reserve=settings.drive_reserve,
    )
    drives = drive_set(facts, world)
    with _refusals(drives):
        recovered = await recover(
            catalog=str(folder.catalog),
            superblock=best,
            drives=drives,
            superblocks=superblocks,
            roots=root_keys,
            clock=world.clock,
            followers=follower_files(settings.follower_path, drives),
            wanted=wanted,
        )
    facts = _with_recovery(facts, recovered)
    writer = LogWriter(
        recovered.start,
        roots=root_keys,
        drives=drives,
        superblocks=superblocks,
        clock=world.clock,
        entropy=world.entropy,
        settings=LogSettings(seal_after=settings.seal_after, sync_deadline=settings.sync_deadline),
    )
    await _bring_up(recovered, writer)
    await _promise(writer, settings)
    generation = Generation(str(folder.generation))
    generation.rise()
    committer = RecordedGroup(
        recovered.db,
        writer,
        HybridClock(world.clock, world.entropy, facts.zone_number, recovered.last_order),
        rights_changed=generation.rise,
        make_room=partial(throw_off_from, world.disk, str(folder.root)),
        watch=watch,
    )
    os.chmod(folder.catalog, 0o600)
    node = DrivesNode(settings, world, root_keys, drives, facts, committer, superblocks, sources)
    refuse_unknown_keys(node.reader, root_keys)
    return Engine(node, recovered)


@contextmanager
def _refusals(drives: DriveSet) -> Iterator[None]:
    """What recovery refuses, as a start says it."""
    try:
        yield
    except RecoveryRefused as refused:
        raise StartRefused(str(refused)) from refused
    except SuperblockNotWritten as error:
        raise StartRefused(
            f"{error}: bring back the drives that are missing ({_away(drives)})"
        ) from error


def _with_recovery(facts: ZoneFacts, recovered: Recovered) -> ZoneFacts:
    return msgspec.structs.replace(
        facts,
        rebuilt=recovered.way is Way.REBUILT,
        recovery={
            "way": recovered.way.value,
            "source": recovered.source.value,
            "records": recovered.replayed,
            "seconds": round(recovered.seconds, 3),
        },
    )


async def _bring_up(recovered: Recovered, writer: LogWriter) -> None:
    """Bring the rows to this version's schema. Raises StartRefused."""
    try:
        await migrate(recovered.db, writer)
    except (SchemaMismatch, StorageFull, SuperblockNotWritten) as error:
        raise StartRefused(f"the catalog cannot be brought to this version: {error}") from error


async def _promise(writer: LogWriter, settings: Settings) -> None:
    """Let superblocks say what holds for new data by now. Raises StartRefused."""
    promised = settings.coding, settings.landing_copies
    if (writer.zone.geometry, writer.zone.landing_copies) == promised:
        return
    try:
        await writer.amend(
            lambda zone: structs.replace(zone, geometry=promised[0], landing_copies=promised[1])
        )
    except SuperblockNotWritten as error:
        raise StartRefused(
            f"{error}: bring missing drives back before the geometry changes"
        ) from error


def _load(superblocks: SuperblockStore, settings: Settings) -> Loaded:
    folders = configured_folders(settings)
    try:
        return superblocks.load([folder.path for folder in folders])
    except TooFewSuperblocks as error:
        # A wrong key or a newer format makes all of them unreadable: say that, not "missing".
        for folder in folders:
            refuse_foreign(folder, error.per_path[folder.path])
        away = [f.path for f in folders if error.per_path[f.path].superblock is None]
        raise StartRefused(
            f"only {error.found} of {len(folders)} drives can be read, {error.needed} are needed: "
            f"bring back {', '.join(away[:4])}{' …' if len(away) > 4 else ''}"
        ) from error


def _away(drives: DriveSet) -> str:
    gone = [drive.path for drive in drives.all() if drive.state is not DriveState.PRESENT]
    return ", ".join(gone[:4]) + (" …" if len(gone) > 4 else "")


async def with_engine(engine: Engine, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run `work` while the engine commits, then stop it clean."""
    running = asyncio.ensure_future(engine.run())
    try:
        return await work()
    finally:
        engine.stop()
        await running
