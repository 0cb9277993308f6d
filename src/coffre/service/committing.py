"""The committer's process: the one writer of the catalog and the log, and the operator's door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from coffre.catalog.interface import CommitUnknown
from coffre.catalog.link import serve_link
from coffre.config import Settings
from coffre.ledger.recorder import Recorder
from coffre.service.administration import Administration, Invalid
from coffre.service.child import Boot
from coffre.service.data_ballast import keep_trim, make_way
from coffre.service.door import NoAnswer, ask, open_door
from coffre.service.engine import DrivesNode, open_engine
from coffre.service.layout import DataFolder, FolderLock
from coffre.service.node import NoStewards
from coffre.service.observing.committer import CommitterWatch, show_committer
from coffre.service.observing.publishing import Observed, observed
from coffre.service.time_sources import time_sources
from coffre.service.zone import World, close_left_chunks, real_world
from coffre.vault.superblock import SnapshotRef

# A committer whose supervisor was killed ends within a moment; the next one waits for that.
LOCK_PATIENCE_S = 5.0
_TRAIL_TRIES = 50
_TRAIL_PAUSE_S = 0.1


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Recover, then commit until `stop`."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    folder = DataFolder(Path(settings.data))
    lock = FolderLock(folder, "committer", patience_s=LOCK_PATIENCE_S)
    os.chdir(folder.root)
    world = real_world()
    async with observed(folder, "committer", world.clock) as shown:
        await _commit(boot, settings, folder, world, shown, ready, stop)
    lock.release()


async def _commit(
    boot: Boot,
    settings: Settings,
    folder: DataFolder,
    world: World,
    shown: Observed,
    ready: Callable[[dict[str, object]], None],
    stop: asyncio.Event,
) -> None:
    world, follow = shown.measure(world)
    make_way(world.disk, str(folder.root))
    engine = await open_engine(
        settings,
        world,
        accept_less=boot.accept_less,
        sources=time_sources(settings),
        watch=CommitterWatch(shown.page),
    )
    node = engine.node
    follow(node.drives)
    show_committer(shown, node, settings)

    _reach_others(node, folder)
    running = asyncio.ensure_future(engine.run())
    keeping = asyncio.ensure_future(node.keep_drives())
    trimming = asyncio.ensure_future(keep_trim(world.disk, str(folder.root)))
    await node.keys.resume(beside_others=bool(boot.live_owners))
    try:
        await close_left_chunks(
            node.reader, engine.committer, lambda owner: owner not in boot.live_owners
        )
    except CommitUnknown:
        await running  # Says why it ended.
        raise
    link = await serve_link(engine.committer, folder.link.name)
    door = await open_door(folder.socket.name, Administration(node).call)
    audit = Recorder(engine.committer, world.clock, "committer")
    if settings.audit:
        audit.started()
    ready({"zone": msgspec.to_builtins(node.facts)})
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((running, keeping, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    keeping.cancel()
    trimming.cancel()
    door.close()
    if settings.audit and not running.done():
        await audit.stop()
    engine.stop()
    try:
        await running
        if keeping.done() and not keeping.cancelled():
            keeping.result()
    finally:
        link.close()


def _reach_others(node: DrivesNode, folder: DataFolder) -> None:
    """How this process asks the stewards, the follower and who reads the audit."""

    async def ask_stewards(operation: str, arguments: dict[str, Any]) -> Any:
        try:
            return await ask(folder.steward_socket.name, operation, arguments)
        except NoAnswer as error:
            raise Invalid("NoAnswer", f"{error}: the log may say why") from error
        except OSError as error:
            raise NoStewards from error

    async def seal() -> int:
        return int((await ask_stewards("seal.now", {}))["sealed"])

    async def snapshot() -> SnapshotRef:
        return msgspec.convert(await ask_stewards("snapshot.now", {}), SnapshotRef)

    node.trail = partial(_ask_trail, folder.audit_socket.name)
    node.seal = seal
    node.stewards = ask_stewards
    node.snapshots.take = snapshot
    node.snapshots.follower = lambda operation: ask(folder.follower_socket.name, operation, {})


async def _ask_trail(door: str, operation: str, arguments: dict[str, Any]) -> Any:
    """Ask who reads the audit's trail; who was started just now is waited for."""
    for _ in range(_TRAIL_TRIES):
        try:
            return await ask(door, operation, arguments)
        except (FileNotFoundError, ConnectionError):
            await asyncio.sleep(_TRAIL_PAUSE_S)
        except OSError as error:
            raise Invalid("NoAnswer", f"{error}: the log may say why") from error
    raise Invalid("NoAnswer", "who searches the audit is not there: the log says why")
