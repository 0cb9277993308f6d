"""The three ways to open a data folder: initialize it, serve it, or work on it while none runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import uvloop

from coffre.access.caller import Caller
from coffre.config import Settings
from coffre.service.administration import Administration
from coffre.service.announcement import FirstKeys, Owner, announcement
from coffre.service.doctor import labels_only
from coffre.service.drives import configured_folders, new_labels, refuse_less
from coffre.service.engine import DrivesNode, Engine, open_engine, with_engine
from coffre.service.first import first_owner, populate
from coffre.service.journal import configure_logging
from coffre.service.layout import FORMAT, DataFolder, FolderLock, StartRefused
from coffre.service.machine import no_core_dumps
from coffre.service.memory import serve_memory
from coffre.service.observing.page import clear_pages
from coffre.service.observing.publishing import observed
from coffre.service.snapshots import snapshotter
from coffre.service.supervisor import Supervisor, open_console, open_doors, open_observer
from coffre.service.time_sources import time_sources
from coffre.service.tls import certify
from coffre.service.zone import catalog_reader, real_world
from coffre.stewards.sealer import Sealer
from coffre.system.clock import SystemClock
from coffre.system.disk import Disk, LocalDisk
from coffre.vault.drives import Drive
from coffre.vault.keys import create_root_key
from coffre.vault.superblock import Superblock, SuperblockStore, superblock_path

ZONE_NUMBER = 1
Announce = Callable[[dict[str, Any]], None]


def initialize(settings: Settings, *, accept_less: bool = False) -> dict[str, Any]:
    """Make a region with one zone in a missing or empty folder; the facts, secrets included.

    Raises StartRefused; a folder that is not new is left as it is. `accept_less`: the geometry may
    promise what the drives cannot keep.
    """
    folder = DataFolder(Path(settings.data))
    if folder.state() != "new":
        raise StartRefused(f"{folder.root} is initialized already: `coffre serve` starts it")
    lock = FolderLock(folder, "node")
    try:
        owner, first = uvloop.run(_make(settings, folder, accept_less))
    finally:
        lock.release()
    plain = settings.serves_plain
    ports = (settings.port, settings.https_port or None) if plain else (None, settings.port)
    facts = announcement(settings, ports, owner, first)
    if words := labels_only(configured_folders(settings)):
        facts["labels_only"] = words
    return facts


def serve(
    settings: Settings,
    announce: Announce,
    engine: Literal["drives", "memory"] = "drives",
    *,
    accept_less: bool = False,
) -> None:
    """Serve until told to stop. Raises StartRefused."""
    configure_logging(settings.log_level, process="supervisor", form=settings.log_format)
    no_core_dumps()
    if engine == "memory":
        uvloop.run(serve_memory(settings, announce))
    else:
        asyncio.run(_serve(settings, announce, accept_less))


@contextmanager
def offline(settings: Settings) -> Iterator[OfflineNode]:
    """A node opened in this process, under the folder's lock. Raises StartRefused."""
    folder = DataFolder(Path(settings.data))
    if folder.state() != "ours":
        raise StartRefused(f"{folder.root} is not initialized: `coffre init` makes a region there")
    lock = FolderLock(folder, "node")
    committer_lock = FolderLock(folder, "committer")
    try:
        yield OfflineNode(settings)
    finally:
        committer_lock.release()
        lock.release()


class OfflineNode:
    """Administration of a node that does not run: each call opens the engine and closes it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Raises StartRefused, `administration.Invalid`."""
        return uvloop.run(self._call(operation, dict(arguments)))

    async def _call(self, operation: str, arguments: dict[str, Any]) -> Any:
        engine = await open_engine(
            self._settings, real_world(), sources=time_sources(self._settings)
        )
        node = engine.node
        node.seal = Sealer(
            node.reader, engine.committer, node.drives, self._settings.coding
        ).seal_now
        node.trail = partial(_search_audit, self._settings, node)
        node.snapshots.take = snapshotter(
            self._settings,
            node.facts,
            DataFolder(Path(self._settings.data)),
            real_world(),
            node.reader,
            node.drives,
            node.snapshots,
        ).take_now
        return await with_engine(
            engine, lambda: Administration(node).call(operation, arguments, _operator())
        )


async def _search_audit(
    settings: Settings, node: DrivesNode, operation: str, arguments: dict[str, Any]
) -> Any:
    # A query engine, which nothing else here needs.
    from coffre.service.audit_desk import desk_beside  # noqa: PLC0415

    return await desk_beside(settings, node).call(operation, arguments)


def _operator() -> Caller:
    """Who runs a command on a node that does not run."""
    return Caller(f"cli:uid-{os.getuid()}", "cli")


async def _serve(settings: Settings, announce: Announce, accept_less: bool) -> None:
    folder = DataFolder(Path(settings.data))
    state = folder.state()
    lock = FolderLock(folder, "node", patience_s=2.0)
    try:
        async with AsyncExitStack() as held:
            doors = open_doors(settings, settings.worker_count)
            for listener in chain.from_iterable(doors):
                if listener is not None:
                    held.enter_context(listener)
            console = open_console(settings)
            if console is not None and console.secure is not None:
                held.enter_context(console.secure)
            observer = open_observer(settings)
            if observer is not None and observer.plain is not None:
                held.enter_context(observer.plain)
            first = None
            if state == "new":
                owner, first = await _make(settings, folder, accept_less)
            clear_pages(folder.metrics)
            held.callback(clear_pages, folder.metrics)
            await held.enter_async_context(observed(folder, "supervisor", SystemClock()))
            supervisor = Supervisor(
                settings,
                doors,
                console=console,
                observer=observer,
                accept_less=accept_less,
                certify=partial(certify, settings),
            )
            stop = _stop_on_signals(supervisor.reload)
            try:
                if not await _started(supervisor, stop):
                    return
                if not folder.marker.exists():
                    _mark(folder, LocalDisk())
                known = first_owner(catalog_reader(folder)) if first is None else owner
                if known is None:
                    raise StartRefused(f"{folder.root} has no store: make one while it is stopped")
                port = None if console is None else console.ports()[1]
                announce(announcement(settings, doors[0].ports(), known, first, port))
                await _until_stopped(supervisor, stop)
            finally:
                await supervisor.stop()
    finally:
        lock.release()


def _stop_on_signals(reload: Callable[[], None]) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if not sys.stdin.isatty():
        # At a terminal it says that the terminal is gone, and with it whoever started this.
        loop.add_signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _started(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """False if it was told to stop before everything ran: a catalog that is made again takes long.
    Raises StartRefused."""
    starting = asyncio.ensure_future(supervisor.start())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.wait((starting,))
    return False


async def _until_stopped(supervisor: Supervisor, stop: asyncio.Event) -> None:
    stopped = asyncio.ensure_future(stop.wait())
    failed = asyncio.ensure_future(supervisor.wait_failed())
    done, pending = await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if failed in done:
        raise failed.result()


async def _make(
    settings: Settings, folder: DataFolder, accept_less: bool
) -> tuple[Owner, FirstKeys]:
    """Everything that a new region needs; the marker that makes it count comes last."""
    world = real_world()
    if not accept_less:
        places = ((one.node, one.rack) for one in configured_folders(settings))
        refuse_less(places, settings.coding)
    making = folder.making
    if making.exists():
        _clear_half_made(settings, folder)
    _check_drives_are_empty(settings)
    making.touch()
    world.disk.sync_dir(str(folder.root))
    _make_drives(settings, folder, world.disk)
    root_key = create_root_key(str(folder.root_key), world.entropy)
    folders = configured_folders(settings)
    labels = new_labels(folders, world.entropy, ZONE_NUMBER, world.clock.now_ms())
    superblocks = SuperblockStore(world.disk, root_key, world.entropy)
    failed = superblocks.write(
        Superblock(
            region=settings.region,
            zone=settings.zone,
            zone_number=ZONE_NUMBER,
            epoch=0,
            drives=tuple(labels),
            geometry=settings.coding,
            landing_copies=settings.landing_copies,
            clean=True,
        ),
        [
            Drive(label.id, one.path, one.node, one.rack)
            for label, one in zip(labels, folders, strict=True)
        ],
    )
    if failed:
        raise StartRefused(f"{len(failed)} of {len(folders)} drives cannot be written")
    engine = await open_engine(settings, world)
    made: tuple[Owner, FirstKeys] = await with_engine(engine, lambda: _populate(settings, engine))
    _mark(folder, world.disk)
    making.unlink()
    return made


def _mark(folder: DataFolder, disk: Disk) -> None:
    """The marker, whole or not at all: from now on the folder is ours."""
    unmarked = f"{folder.marker}.tmp"
    file = disk.open(unmarked, "create")
    file.pwritev([f"{FORMAT}\n".encode()], 0)
    file.sync()
    file.close()
    disk.rename(unmarked, str(folder.marker))
    disk.sync_dir(str(folder.root))


def _clear_half_made(settings: Settings, folder: DataFolder) -> None:
    """Take away what a cut initialization left: nothing in it was ever told to anybody."""
    for one in configured_folders(settings):
        shutil.rmtree(Path(one.path) / "chunks", ignore_errors=True)
        Path(superblock_path(one.path)).unlink(missing_ok=True)
    for left in (*folder.root.glob("catalog.sqlite*"), *folder.root.glob("*.tmp")):
        left.unlink()
    folder.root_key.unlink(missing_ok=True)


async def _populate(settings: Settings, engine: Engine) -> tuple[Owner, FirstKeys]:
    node = engine.node
    return await populate(Administration(node), node, settings)


def _check_drives_are_empty(settings: Settings) -> None:
    """Before anything is made. `lost+found` is what a fresh file system has at its root."""
    for one in configured_folders(settings):
        path = Path(one.path)
        if path.exists() and any(left.name != "lost+found" for left in path.iterdir()):
            raise StartRefused(f"{one.path} is not empty: a new region needs empty drives")


def _make_drives(settings: Settings, folder: DataFolder, disk: Disk) -> None:
    for one in configured_folders(settings):
        Path(one.path).mkdir(parents=True, exist_ok=True, mode=0o700)
        disk.sync_dir(str(Path(one.path).parent))
    disk.sync_dir(str(folder.root))
