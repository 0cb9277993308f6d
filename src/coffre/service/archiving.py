"""The archivist as a running node has it: what it writes with, and where archived bytes lie."""

from __future__ import annotations

from functools import partial

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import CountDead
from coffre.config import Settings
from coffre.s3.keyring import Keyring
from coffre.service.board import hear_changes
from coffre.service.collecting import cold_coding
from coffre.service.layout import DataFolder
from coffre.service.readers import AllRequests
from coffre.service.striping import striped_writer
from coffre.service.zone import World, ZoneFacts, open_root_keys
from coffre.stewards.archivist import OWNER, RATE, WARM_OWNER, Archivist
from coffre.stewards.pace import Pace
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveSet
from coffre.vault.interface import ChunkStore
from coffre.vault.records import Extent, ciphertext_bytes
from coffre.vault.store import DriveChunkStore


def archiving(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    reader: Reader,
    committer: Committer,
    drives: DriveSet,
) -> tuple[Archivist, ChunkStore]:
    """The archivist, and the store whose new chunks hold archived bytes alone."""
    root_keys = open_root_keys(folder)
    name = world.entropy.bytes(4).hex()
    owners = OWNER + name, WARM_OWNER + name

    async def count_dead(extents: tuple[Extent, ...]) -> None:
        await committer.commit(CountDead(extents))

    writers, stores, vaults = [], [], []
    for owner, wanted in zip(owners, (cold_coding(settings), settings.coding), strict=True):
        striped = striped_writer(
            owner, settings, facts, world, committer, drives, root_keys, wanted
        )
        hear_changes(drives, striped.heed)
        store = DriveChunkStore(drives, world.disk, reader, world.clock, striped=striped)
        vault = FramedVault(
            store,
            world.clock,
            world.entropy,
            facts.zone_number,
            count_dead=count_dead,
            inline_limit=settings.inline_limit,
        )
        writers.append(striped)
        stores.append(store)
        vaults.append(vault)

    def renew() -> None:
        for striped in writers:
            striped.renew()

    requests = AllRequests(folder.readers.name, world.clock.monotonic)
    archivist = Archivist(
        reader,
        committer,
        vaults[0],
        stores[0],
        vaults[1],
        partial(Keyring(root_keys).data_key, reader),
        Pace(world.clock, RATE, requests.count).take,
        world.clock,
        owners=frozenset(owners),
        renew=renew,
        inline_limit=ciphertext_bytes(settings.inline_limit),
    )
    return archivist, stores[0]
