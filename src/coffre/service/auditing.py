"""The audit's trail as a running node has it: who packs it, and who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from coffre.catalog.audit_records import AuditBatch, decode_records
from coffre.catalog.interface import Committer, Reader, RecordingCommitter
from coffre.catalog.mutations import CountDead
from coffre.catalog.trail_mutations import FoundAudit
from coffre.catalog.trail_records import SegmentFile
from coffre.config import Settings
from coffre.ledger.placed import Placed
from coffre.ledger.segments import pack_records
from coffre.ledger.trail import AuditTrail
from coffre.s3.keyring import Keyring
from coffre.service.audit_merging import merge
from coffre.service.board import hear_changes
from coffre.service.forwarding import Targets, behind
from coffre.service.layout import DataFolder
from coffre.service.striping import striped_writer
from coffre.service.zone import World, ZoneFacts, open_root_keys
from coffre.stewards.auditor import OWNER, Auditor
from coffre.stewards.forwarder import Forwarder
from coffre.stewards.shape import Steward
from coffre.system.entropy import new_id
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveSet
from coffre.vault.keys import KEY_BYTES, RootKeys
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter


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

    vault = _vault(settings, facts, world, reader, drives, None, None)
    return AuditTrail(reader, vault, partial(Keyring(root_keys).data_key, reader))


class Auditing:
    """Who packs and who forwards the audit, in the stewards' process."""

    def __init__(
        self,
        settings: Settings,
        facts: ZoneFacts,
        folder: DataFolder,
        world: World,
        reader: Reader,
        committer: RecordingCommitter,
        drives: DriveSet,
    ) -> None:
        root_keys = open_root_keys(folder)
        owner = OWNER + world.entropy.bytes(4).hex()
        striped = striped_writer(
            owner, settings, facts, world, committer, drives, root_keys, settings.coding
        )
        hear_changes(drives, striped.heed)
        vault = _vault(settings, facts, world, reader, drives, committer, striped)
        open_key = partial(Keyring(root_keys).data_key, reader)
        self._trail = AuditTrail(reader, vault, open_key)
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
            content=self._trail.content,
            keep_days=settings.audit_keep_days,
            owners=frozenset((owner,)),
            renew=striped.renew,
        )
        targets = Targets(settings.audit_forward)
        self._forwarder = Forwarder(
            reader,
            committer,
            world.clock,
            partial(behind, self._trail),
            targets.send,
            targets.names,
        )
        self.stewards: tuple[Steward, ...] = (auditor, self._forwarder)

    @property
    def operations(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """For the stewards' socket."""
        return {"forward.trouble": self._trouble}

    async def _trouble(self) -> dict[str, str]:
        return self._forwarder.trouble()

    def close(self) -> None:
        self._trail.close()


def _vault(
    settings: Settings,
    facts: ZoneFacts,
    world: World,
    reader: Reader,
    drives: DriveSet,
    committer: Committer | None,
    striped: StripedWriter | None,
) -> FramedVault:
    """Without a committer it reads alone."""

    async def count_dead(extents: tuple[Extent, ...]) -> None:
        assert committer is not None, "who reads alone leaves nothing"
        await committer.commit(CountDead(extents))

    return FramedVault(
        DriveChunkStore(drives, world.disk, reader, world.clock, striped=striped),
        world.clock,
        world.entropy,
        facts.zone_number,
        count_dead=count_dead,
        inline_limit=settings.inline_limit,
    )
