"""The audit's trail as a running node has it: who packs it, and who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from coffre.catalog.audit_records import AuditBatch, decode_records
from coffre.catalog.interface import Reader, RecordingCommitter
from coffre.catalog.mutations import CountDead
from coffre.catalog.trail_mutations import FoundAudit
from coffre.catalog.trail_records import SegmentFile
from coffre.config import Settings
from coffre.ledger.segments import Placed, pack_records
from coffre.ledger.trail import AuditTrail
from coffre.s3.keyring import Keyring
from coffre.service.audit_merging import merge
from coffre.service.board import hear_changes
from coffre.service.layout import DataFolder
from coffre.service.striping import striped_writer
from coffre.service.zone import World, ZoneFacts, open_root_keys
from coffre.stewards.auditor import OWNER, Auditor
from coffre.system.entropy import new_id
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveSet
from coffre.vault.keys import KEY_BYTES, RootKeys
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore


async def pack(batches: Sequence[AuditBatch]) -> SegmentFile:
    """A segment of these batches."""
    return await asyncio.to_thread(_pack, batches)


def _pack(batches: Sequence[AuditBatch]) -> SegmentFile:
    return pack_records(
        Placed(batch.sequence, place, record)
        for batch in batches
        for place, record in enumerate(decode_records(batch))
    )


def founding(root_keys: RootKeys, world: World, zone: int, region: str) -> FoundAudit:
    """What the zone's own store is made of."""
    root_key = root_keys.current
    key_id = new_id(world.entropy, zone, world.clock.now_ms())
    wrapped = root_key.wrap(world.entropy.bytes(KEY_BYTES))
    return FoundAudit(key_id, root_key.id, wrapped, region)


def open_trail(
    settings: Settings,
    facts: ZoneFacts,
    root_keys: RootKeys,
    world: World,
    reader: Reader,
    drives: DriveSet,
) -> AuditTrail:
    """Reads the trail, in a process that writes nothing."""

    async def nothing_to_count(extents: tuple[Extent, ...]) -> None:
        raise RuntimeError(f"a reader wrote {extents}")

    vault = FramedVault(
        DriveChunkStore(drives, world.disk, reader, world.clock),
        world.clock,
        world.entropy,
        facts.zone_number,
        count_dead=nothing_to_count,
        inline_limit=settings.inline_limit,
    )
    return AuditTrail(reader, vault, partial(Keyring(root_keys).data_key, reader))


def auditing(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    reader: Reader,
    committer: RecordingCommitter,
    drives: DriveSet,
) -> tuple[Auditor, AuditTrail]:
    """The auditor, and the trail as its process reads it."""
    root_keys = open_root_keys(folder)
    owner = OWNER + world.entropy.bytes(4).hex()

    async def count_dead(extents: tuple[Extent, ...]) -> None:
        await committer.commit(CountDead(extents))

    striped = striped_writer(
        owner, settings, facts, world, committer, drives, root_keys, settings.coding
    )
    hear_changes(drives, striped.heed)
    vault = FramedVault(
        DriveChunkStore(drives, world.disk, reader, world.clock, striped=striped),
        world.clock,
        world.entropy,
        facts.zone_number,
        count_dead=count_dead,
        inline_limit=settings.inline_limit,
    )
    open_key = partial(Keyring(root_keys).data_key, reader)
    trail = AuditTrail(reader, vault, open_key)
    auditor = Auditor(
        reader,
        committer,
        vault,
        open_key,
        world.clock,
        world.entropy,
        facts.zone_number,
        found=lambda: founding(root_keys, world, facts.zone_number, settings.region),
        pack=pack,
        merge=merge,
        content=trail.content,
        keep_days=settings.audit_keep_days,
        owners=frozenset((owner,)),
        renew=striped.renew,
    )
    return auditor, trail
