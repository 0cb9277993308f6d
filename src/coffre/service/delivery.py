"""What the service itself puts into buckets, and whom it tells of changes in them."""

from __future__ import annotations

from functools import partial

from coffre.catalog.deposit import Deposit
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import CountDead
from coffre.config import Settings
from coffre.s3.keyring import Keyring
from coffre.service.layout import DataFolder
from coffre.service.zone import World, ZoneFacts, open_root_keys
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveSet
from coffre.vault.interface import Vault
from coffre.vault.keys import RootKeys
from coffre.vault.records import Extent
from coffre.vault.store import DriveChunkStore


def deposits(
    reader: Reader,
    committer: Committer,
    vault: Vault,
    root_keys: RootKeys,
    world: World,
    facts: ZoneFacts,
) -> Deposit:
    """Puts objects of the service's own into buckets."""
    open_key = partial(Keyring(root_keys).data_key, reader)
    return Deposit(
        reader, committer, vault, open_key, world.clock, world.entropy, facts.zone_number
    )


def inline_deposits(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    reader: Reader,
    committer: Committer,
    drives: DriveSet,
) -> Deposit:
    """`deposits` of objects so small that each travels with its mutation: for a process that has
    no chunk of its own to write into."""

    async def count_dead(extents: tuple[Extent, ...]) -> None:
        await committer.commit(CountDead(extents))

    vault = FramedVault(
        DriveChunkStore(drives, world.disk, reader, world.clock),
        world.clock,
        world.entropy,
        facts.zone_number,
        count_dead=count_dead,
        inline_limit=settings.inline_limit,
    )
    return deposits(reader, committer, vault, open_root_keys(folder), world, facts)
