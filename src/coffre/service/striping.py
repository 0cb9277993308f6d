"""A process's own striped chunk, reserved and closed through the committer."""

from __future__ import annotations

from coffre.catalog.interface import Committer
from coffre.catalog.mutations import CloseChunk, ReserveChunk
from coffre.config import Settings
from coffre.service.zone import World, ZoneFacts, origin
from coffre.vault.drives import DriveSet
from coffre.vault.keys import RootKeys
from coffre.vault.records import Chunk, Geometry
from coffre.vault.striped import StripedWriter


def striped_writer(
    owner: str,
    settings: Settings,
    facts: ZoneFacts,
    world: World,
    committer: Committer,
    drives: DriveSet,
    root_keys: RootKeys,
    wanted: Geometry,
) -> StripedWriter:
    """The writer of the process that is called `owner`: no other is to close its chunks."""

    async def reserve(chunk: Chunk) -> None:
        await committer.commit(
            ReserveChunk(chunk.id, chunk.owner, chunk.epoch, chunk.k, chunk.m, chunk.members)
        )

    async def close(chunk_id: bytes) -> None:
        await committer.commit(CloseChunk(chunk_id))

    return StripedWriter(
        drives,
        reserve,
        close,
        owner=owner,
        epoch=facts.epoch,
        origin=origin(facts, root_keys),
        entropy=world.entropy,
        clock=world.clock,
        wanted=wanted,
        sync_deadline=settings.sync_deadline,
    )
