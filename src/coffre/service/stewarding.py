"""The stewards' process: background work that must not cost requests their time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from coffre.catalog.deposit import Deposit
from coffre.catalog.interface import Reader
from coffre.catalog.link import CommitterClient
from coffre.catalog.mutations import Refusal
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.archiving import archiving
from coffre.service.auditing import Auditing
from coffre.service.board import following
from coffre.service.caller import Caller
from coffre.service.child import Boot
from coffre.service.collecting import collection
from coffre.service.delivery import inline_deposits
from coffre.service.delivery_parquet import to_parquet
from coffre.service.delivery_routes import Destinations, routing
from coffre.service.door import Call, open_door
from coffre.service.layout import DataFolder, FolderLock
from coffre.service.local import LocalStore
from coffre.service.observing.publishing import Observed, observed
from coffre.service.observing.recording import Recorder
from coffre.service.observing.stewards import show_stewards
from coffre.service.repairing import Repairing
from coffre.service.snapshots import DoorNamer, snapshotter
from coffre.service.zone import World, ZoneFacts, catalog_reader, drive_set, real_world
from coffre.stewards.deliverer import Deliverer
from coffre.stewards.emptier import Emptier
from coffre.stewards.expirer import Expirer
from coffre.stewards.inventory import Inventory
from coffre.stewards.meter import Meter
from coffre.stewards.reaper import Reaper
from coffre.stewards.runner import Runner, StewardPaused, UnknownSteward
from coffre.stewards.sealer import Sealer
from coffre.stewards.shape import Steward
from coffre.stewards.snapshotter import Snapshotter
from coffre.vault.drives import DriveSet
from coffre.wire.inventory import read_inventory

# A steward process whose supervisor was killed ends within a moment; the next one waits for that.
LOCK_PATIENCE_S = 5.0
RECORD_SHOWN_S = 30.0
Operation = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Means:
    """What the stewards of a zone work with; all on one event loop."""

    settings: Settings
    facts: ZoneFacts
    folder: DataFolder
    world: World
    reader: Reader
    committer: CommitterClient
    drives: DriveSet
    local: LocalStore
    destinations: Destinations
    deposit: Deposit


def stewards(
    means: Means,
    sealer: Sealer,
    snapshotter: Snapshotter,
    auditing: Auditing,
    repairing: Repairing,
) -> list[Steward]:
    """Every steward of a zone, in the order in which they are listed."""
    shared = (means.settings, means.facts, means.folder, means.world)
    archivist, cold = archiving(*shared, means.reader, means.committer, means.drives)
    return [
        sealer,
        Reaper(means.reader, means.committer, means.world.clock),
        Emptier(means.reader, means.committer),
        Deliverer(
            means.reader,
            means.committer,
            means.world.clock,
            routing(means.settings.region),
            means.destinations.send,
            means.settings.notify_patience,
        ),
        Expirer(means.reader, means.committer, means.world.clock),
        Meter(means.reader, means.committer, means.world.clock),
        archivist,
        *collection(*shared, means.reader, means.committer, means.drives, cold),
        snapshotter,
        Inventory(
            means.reader,
            means.deposit,
            means.world.clock,
            means.world.entropy,
            means.local,
            read_inventory,
            to_parquet,
            # What is encrypted is a little longer, and has to travel with its mutation.
            means.settings.inline_limit // 2,
        ),
        *auditing.stewards,
        *repairing.stewards,
    ]


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Run the stewards until `stop`; answer at the stewards' own socket."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    folder = DataFolder(Path(settings.data))
    lock = FolderLock(folder, "steward", patience_s=LOCK_PATIENCE_S)
    os.chdir(folder.root)
    world = real_world()
    async with observed(folder, "steward", world.clock) as shown:
        await _serve(settings, facts, folder, world, shown, ready, stop)
    lock.release()


async def _serve(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    shown: Observed,
    ready: Callable[[dict[str, object]], None],
    stop: asyncio.Event,
) -> None:
    world, follow = shown.measure(world)
    reader, drives = catalog_reader(folder), drive_set(facts, world)
    follow(drives)
    committer = CommitterClient(folder.link.name)
    means = Means(
        settings=settings,
        facts=facts,
        folder=folder,
        world=world,
        reader=reader,
        committer=committer,
        drives=drives,
        local=LocalStore(folder.local),
        destinations=Destinations(settings.notify),
        deposit=inline_deposits(settings, facts, folder, world, reader, committer, drives),
    )
    sealer = Sealer(means.reader, means.committer, means.drives, settings.coding)
    snapshots = snapshotter(
        settings,
        facts,
        folder,
        world,
        means.reader,
        means.drives,
        DoorNamer(folder.socket.name),
    )
    repairing = Repairing(
        settings,
        facts,
        folder,
        world,
        means.reader,
        means.committer,
        means.drives,
        means.local,
        sealer.seal_now,
    )
    auditing = Auditing(settings, facts, folder, world, reader, committer, drives)
    everyone = stewards(means, sealer, snapshots, auditing, repairing)
    runner = Runner(everyone, world.clock, means.local)
    more = {**auditing.operations, **repairing.operations}
    door = await open_door(folder.steward_socket.name, _calls(runner, sealer, snapshots, more))
    await repairing.start(runner)
    runner.start()
    recording = asyncio.create_task(_shown(shown, means, runner, repairing).run())
    ready({})
    async with following(means.drives, folder):
        await stop.wait()
    recording.cancel()
    door.close()
    await runner.stop()
    auditing.close()
    repairing.close()
    await means.destinations.close()
    means.committer.close()
    means.local.close()


def _shown(shown: Observed, means: Means, runner: Runner, repairing: Repairing) -> Recorder:
    """Have all figures of the stewards shown; what writes down how available the node is."""
    folder, clock, repairer = means.folder, means.world.clock, repairing.repairer
    show_stewards(shown, runner, repairer, clock, means.reader, lambda: catalog_reader(folder))
    recorder = Recorder(folder, shown.page, clock, repairer, means.local)
    shown.collect_apart(recorder.figures, RECORD_SHOWN_S)
    return recorder


def _calls(
    runner: Runner, sealer: Sealer, snapshots: Snapshotter, more: Mapping[str, Operation]
) -> Call:
    """The operations of the stewards' socket."""

    async def seal_now() -> Any:
        return {"sealed": await sealer.seal_now()}

    async def snapshot_now() -> Any:
        return msgspec.to_builtins(await snapshots.take_now())

    async def list_all() -> Any:
        return msgspec.to_builtins(runner.standings())

    async def pause(name: str) -> Any:
        await runner.pause(name)
        return msgspec.to_builtins(runner.standing(name))

    async def resume(name: str) -> Any:
        await runner.resume(name)
        return msgspec.to_builtins(runner.standing(name))

    async def run_now(name: str) -> Any:
        await runner.run_now(name)
        return msgspec.to_builtins(runner.standing(name))

    operations: dict[str, Operation] = {
        "seal.now": seal_now,
        **more,
        "snapshot.now": snapshot_now,
        "steward.list": list_all,
        "steward.pause": pause,
        "steward.resume": resume,
        "steward.run": run_now,
    }

    async def call(operation: str, arguments: dict[str, Any], caller: Caller | None = None) -> Any:
        handler = operations.get(operation)
        if handler is None:
            raise Invalid("UnknownOperation", f"stewards have no operation {operation!r}")
        try:
            return await handler(**arguments)
        except Refusal as refusal:
            raise Invalid(refusal.code, refusal.message or refusal.code) from refusal
        except UnknownSteward as unknown:
            raise Invalid(
                "NoSuchSteward",
                f"there is no steward {unknown}: `coffre steward list` shows them",
                "name",
            ) from unknown
        except StewardPaused as paused:
            raise Invalid(
                "StewardPaused",
                f"{paused} is paused: `coffre steward resume {paused}` first",
                "name",
            ) from paused

    return call
