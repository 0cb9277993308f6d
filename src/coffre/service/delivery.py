"""What the service itself puts into buckets, and whom it tells of changes in them."""

from __future__ import annotations

from functools import partial

from coffre.catalog.deposit import Deposit
from coffre.catalog.interface import Committer, Reader
from coffre.s3.keyring import Keyring
from coffre.service.zone import World, ZoneFacts
from coffre.vault.interface import Vault
from coffre.vault.keys import RootKeys


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
