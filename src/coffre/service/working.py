"""An HTTP worker: the S3 gateway over its own reader of the catalog, its own striped chunk, and
the link to the committer."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from coffre.catalog.interface import Committer, CommitterBusy, CommitUnknown
from coffre.catalog.link import CommitterClient
from coffre.catalog.mutations import CountDead, Refusal
from coffre.config import Settings
from coffre.s3.access_logs import AccessLogs
from coffre.service.admission import Admission
from coffre.service.board import following, hear_changes
from coffre.service.caps import SharedCaps
from coffre.service.child import Boot
from coffre.service.delivery import deposits
from coffre.service.last_used import LastUsed, last_used
from coffre.service.layout import DataFolder
from coffre.service.notices import Teller
from coffre.service.readers import OwnRequests
from coffre.service.s3service import s3_gateway
from coffre.service.serving import serve_clients
from coffre.service.striping import striped_writer
from coffre.service.zone import (
    World,
    ZoneFacts,
    catalog_reader,
    close_left_chunks,
    drive_set,
    open_root_keys,
    real_world,
)
from coffre.vault.blobs import FramedVault
from coffre.vault.interface import ChunkStore
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore

log = logging.getLogger("coffre.worker")

# Objects made since the last collection that call for the next: some hundred requests' worth.
_YOUNG = 10_000


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Serve S3 on the inherited socket until `stop`; then drain and close what is open."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    folder = DataFolder(Path(settings.data))
    os.chdir(folder.root)
    world = real_world()
    root_keys = open_root_keys(folder)
    reader = catalog_reader(folder)
    committer = CommitterClient(
        folder.link.name,
        most_calls=settings.queued_mutations,
        most_bytes=settings.queued_bytes,
    )
    drives = drive_set(facts, world)
    striped = striped_writer(
        boot.owner, settings, facts, world, committer, drives, root_keys, settings.coding
    )
    notices = Teller(folder.notices.name, world.clock)
    chunks = DriveChunkStore(
        drives,
        world.disk,
        reader,
        world.clock,
        striped=striped,
        notice=notices,
        read_deadline=settings.read_deadline,
    )
    vault = _vault(settings, facts, world, chunks, committer)
    deposit = deposits(reader, committer, vault, root_keys, world, facts)
    access_logs = AccessLogs(reader, deposit, world.clock, world.entropy, settings.region)
    requests = OwnRequests(folder.readers.name)
    caps = SharedCaps(folder.caps.name, _number(boot.owner), world.clock.monotonic)
    used = LastUsed(Path(folder.local.name))
    gateway = s3_gateway(
        settings,
        reader=reader,
        committer=committer,
        vault=vault,
        root_keys=root_keys,
        clock=world.clock,
        entropy=world.entropy,
        zone=facts.zone_number,
        admit=Admission(committer, world.disk, world.clock, str(folder.root)),
        requests=requests,
        access_log=access_logs,
        caps=caps,
        used=used.note,
        key_last_used=lambda key: last_used(folder.local, [key]).get(key),
    )
    delivering = asyncio.ensure_future(access_logs.run(settings.access_log_every))
    noting = asyncio.ensure_future(used.run())
    requests.keep_beating()
    _spare_the_collector()
    ready({})
    # Beside serving: reads need no committer.
    closing = asyncio.ensure_future(
        _unless_away(close_left_chunks(reader, committer, boot.gone_owner.__eq__))
    )
    async with following(drives, folder):
        hear_changes(drives, striped.heed)
        await serve_clients(gateway, settings, stop, boot.doors())
    closing.cancel()
    delivering.cancel()
    noting.cancel()
    await used.flush()
    await access_logs.flush()
    await _unless_away(striped.drain())
    for one in (committer, chunks, notices, requests, caps):
        one.close()


def _number(owner: str) -> int:
    """Which of the node's workers this is: "worker-3-…"."""
    return int(owner.split("-")[1])


def _vault(
    settings: Settings, facts: ZoneFacts, world: World, chunks: ChunkStore, committer: Committer
) -> FramedVault:
    async def count_dead(extents: tuple[Extent, ...]) -> None:
        await committer.commit(CountDead(extents))

    return FramedVault(
        chunks,
        world.clock,
        world.entropy,
        facts.zone_number,
        count_dead=count_dead,
        inline_limit=settings.inline_limit,
    )


async def _unless_away(closing: Awaitable[None]) -> None:
    """Close chunks, or leave it to the next committer, which closes those of whoever is gone."""
    try:
        await closing
    except (CommitUnknown, CommitterBusy, Refusal) as error:
        log.warning("striped chunks stay open: %s", error)


def _spare_the_collector() -> None:
    """What stands before the first request stands until the end: let no collection look at it
    again. A request leaves next to no cycles, so collections need not be frequent."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
