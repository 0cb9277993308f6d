"""What every process of a zone opens alike: root key, drives, the catalog's reader, chunks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from coffre.catalog.cached import CachedReader
from coffre.catalog.generation import Generation
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import CloseChunk, Refusal
from coffre.catalog.schema import open_reader
from coffre.service.layout import DataFolder, StartRefused
from coffre.system.clock import Clock, SystemClock
from coffre.system.disk import Disk, LocalDisk
from coffre.system.entropy import Entropy, SystemEntropy
from coffre.vault.drives import RESERVE_BYTES, Drive, DriveSet, DriveState, Intent
from coffre.vault.headers import Origin
from coffre.vault.keys import RootKeyFile, RootKeys, WrongKey
from coffre.vault.records import ChunkKind, ChunkState

log = logging.getLogger("coffre.zone")


class DriveFacts(Struct, frozen=True):
    """A drive as the committer sees it."""

    id: bytes
    path: str
    node: str
    rack: str
    state: DriveState
    reason: str = ""
    intent: Intent = ""


class ZoneFacts(Struct, frozen=True):
    """What the committer found and decided at its start; the other processes are told."""

    epoch: int
    region: str
    zone: str
    zone_number: int
    drives: tuple[DriveFacts, ...]
    drive_reserve: int = RESERVE_BYTES
    rebuilt: bool = False
    recovery: dict[str, Any] = {}


@dataclass(frozen=True)
class World:
    """The machine as an argument."""

    clock: Clock
    entropy: Entropy
    disk: Disk


def real_world() -> World:
    return World(SystemClock(), SystemEntropy(), LocalDisk())


def open_root_keys(folder: DataFolder) -> RootKeyFile:
    """The zone's root keys. Raises StartRefused naming what to do."""
    try:
        return RootKeyFile(str(folder.root_key))
    except FileNotFoundError:
        raise StartRefused(
            f"{folder.root_key} is missing: put back the copy that you keep; "
            "without it nothing in this folder can be read"
        ) from None
    except WrongKey as error:
        raise StartRefused(f"{error}: put back the copy that you keep") from None


def origin(facts: ZoneFacts, root_keys: RootKeys) -> Origin:
    return Origin(facts.region, facts.zone, facts.zone_number, root_keys.current.id)


def drive_set(facts: ZoneFacts, world: World) -> DriveSet:
    return DriveSet(
        world.disk,
        (
            Drive(
                *(one.id, one.path, one.node, one.rack, one.state, one.reason, one.intent),
                founded=True,
            )
            for one in facts.drives
        ),
        reserve_bytes=facts.drive_reserve,
    )


def catalog_reader(folder: DataFolder) -> Reader:
    """A reader of the committed rows, on a connection of this process's own."""
    generation = Generation(str(folder.generation))
    return CachedReader(open_reader(str(folder.catalog)), generation)


async def close_left_chunks(
    reader: Reader, committer: Committer, is_gone: Callable[[str], bool]
) -> None:
    """Seal, as they stand, the striped chunks of owners that are gone. Where even that finds no
    room, reads go on, and the next start closes them."""
    for chunk in reader.unsealed_chunks():
        striped = chunk.kind is ChunkKind.STRIPED and chunk.state is ChunkState.OPEN
        if striped and is_gone(chunk.owner):
            try:
                await committer.commit(CloseChunk(chunk.id))
            except Refusal as refusal:
                log.warning("striped chunks stay open: %s", refusal)
                return
