"""What a process needs to answer S3: the gateway over its own reader of the catalog, its own
striped chunk, and the link to the committer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from coffre.catalog.interface import (
    Committer,
    CommitterBusy,
    CommitUnknown,
    Reader,
    RecordingCommitter,
)
from coffre.catalog.link import CommitterClient
from coffre.catalog.mutations import CountDead, Refusal
from coffre.config import Settings
from coffre.ledger.recorder import Recorder
from coffre.s3.access_logs import AccessLogs
from coffre.service.admission import Admission
from coffre.service.board import following, hear_changes
from coffre.service.caps import SharedCaps
from coffre.service.delivery import deposits
from coffre.service.last_used import LastUsed, last_used
from coffre.service.layout import DataFolder
from coffre.service.notices import Teller
from coffre.service.observing.counting import Counting, all_told
from coffre.service.observing.publishing import Observed, gauge, observed
from coffre.service.observing.tracing import Tracing
from coffre.service.readers import OwnRequests
from coffre.service.request_metering import RequestMetering
from coffre.service.s3service import s3_gateway
from coffre.service.serving import Application
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
from coffre.system.clock import SystemClock
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveSet
from coffre.vault.interface import ChunkStore
from coffre.vault.keys import RootKeys
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter

log = logging.getLogger("coffre.worker")


class S3Means(Struct):
    """The gateway, and what it stands on."""

    gateway: Application
    reader: Reader
    committer: Committer
    root_keys: RootKeys
    world: World
    audit: Recorder | None = None


class Birth(Struct, frozen=True):
    """`owner` names this process in what it owns, `number` in what processes share; `gone_owner`
    is the process that it takes the place of ("": none)."""

    owner: str
    number: int
    gone_owner: str = ""


@asynccontextmanager
async def s3_means(
    settings: Settings, facts: ZoneFacts, folder: DataFolder, birth: Birth
) -> AsyncIterator[S3Means]:
    """Open them, in the data folder as working folder; at the end what is open is closed."""
    process = birth.owner.rpartition("-")[0]
    async with observed(folder, process, SystemClock()) as shown:
        tracing = Tracing(settings, process) if settings.otlp_endpoint else None
        async with _means(settings, facts, folder, birth, shown, tracing) as means:
            yield means
        if tracing is not None:
            tracing.close()


@asynccontextmanager
async def _means(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    birth: Birth,
    shown: Observed,
    tracing: Tracing | None,
) -> AsyncIterator[S3Means]:
    world, follow = shown.measure(real_world())
    root_keys = open_root_keys(folder)
    reader = catalog_reader(folder)
    waiting = {"most_calls": settings.queued_mutations, "most_bytes": settings.queued_bytes}
    committer = CommitterClient(folder.link.name, **waiting)
    drives = drive_set(facts, world)
    follow(drives)
    striped = striped_writer(
        birth.owner, settings, facts, world, committer, drives, root_keys, settings.coding
    )
    notices = Teller(folder.notices.name, world.clock)
    chunks = _chunks(settings, world, reader, drives, striped, notices)
    vault = _vault(settings, facts, world, chunks, committer)
    deposit = deposits(reader, committer, vault, root_keys, world, facts)
    access_logs = AccessLogs(reader, deposit, world.clock, world.entropy, settings.region)
    requests = OwnRequests(folder.readers.name)
    shown.collect(lambda: [gauge(requests.count, "coffre_open_requests", shown.process)])
    caps = SharedCaps(folder.caps.name, birth.number, world.clock.monotonic)
    used = LastUsed(Path(folder.local.name))
    traced: RecordingCommitter = committer if tracing is None else tracing.committer(committer)
    audit = _audit(settings, traced, world, birth)
    metered = RequestMetering(reader, committer)
    told = (metered, Counting(shown.page), *(() if tracing is None else (tracing.note,)))
    gateway = s3_gateway(
        settings,
        reader=reader,
        committer=traced,
        vault=vault if tracing is None else tracing.vault(vault),
        root_keys=root_keys,
        clock=world.clock,
        entropy=world.entropy,
        zone=facts.zone_number,
        admit=Admission(committer, world.disk, world.clock, str(folder.root)),
        requests=requests,
        access_log=access_logs,
        caps=caps,
        used=used.note,
        audit=audit,
        key_last_used=lambda key: last_used(folder.local, [key]).get(key),
        ledger=all_told(*told),
    )
    running = asyncio.gather(access_logs.run(settings.access_log_every), used.run(), metered.run())
    requests.keep_beating()
    # Beside serving: reads need no committer.
    closing = asyncio.ensure_future(
        _unless_away(close_left_chunks(reader, committer, birth.gone_owner.__eq__))
    )
    async with following(drives, folder):
        hear_changes(drives, striped.heed)
        application = gateway if tracing is None else tracing.application(gateway)
        yield S3Means(application, reader, committer, root_keys, world, audit)
    closing.cancel()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await used.flush()
    await metered.send()
    await access_logs.flush()
    await _unless_away(striped.drain())
    if audit is not None:
        await audit.stop()
    for one in (committer, chunks, notices, requests, caps):
        one.close()


def _chunks(
    settings: Settings,
    world: World,
    reader: Reader,
    drives: DriveSet,
    striped: StripedWriter,
    notices: Teller,
) -> DriveChunkStore:
    return DriveChunkStore(
        drives,
        world.disk,
        reader,
        world.clock,
        striped=striped,
        notice=notices,
        read_deadline=settings.read_deadline,
    )


def _audit(
    settings: Settings, committer: RecordingCommitter, world: World, birth: Birth
) -> Recorder | None:
    if not settings.audit:
        return None
    audit = Recorder(committer, world.clock, birth.owner, when_full=settings.audit_when_full)
    audit.started(birth.gone_owner)
    return audit


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
