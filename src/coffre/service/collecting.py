"""Collection as a running node does it: collector and sweeper with what they work on."""

from __future__ import annotations

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.log import RecordCipher
from coffre.config import Settings, coding_of
from coffre.service.board import hear_changes
from coffre.service.door import ask
from coffre.service.layout import DataFolder
from coffre.service.readers import AllRequests
from coffre.service.striping import striped_writer
from coffre.service.zone import World, ZoneFacts, open_root_keys
from coffre.stewards.collector import OWNER, RATE, Collecting, Collector
from coffre.stewards.pace import Pace
from coffre.stewards.shape import Steward
from coffre.stewards.sweeper import Sweeper
from coffre.vault.drives import DriveSet, mirror_path, segment_path
from coffre.vault.headers import BadHeader
from coffre.vault.interface import ChunkStore, DataLost
from coffre.vault.keys import RootKeys
from coffre.vault.records import Chunk, Geometry, ciphertext_bytes
from coffre.vault.segments import read_header
from coffre.vault.store import DriveChunkStore


def collection(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    reader: Reader,
    committer: Committer,
    drives: DriveSet,
    cold: ChunkStore,
) -> list[Steward]:
    """The stewards of this file, for the one process that runs them; `cold` appends to chunks of
    archived bytes."""
    root_keys = open_root_keys(folder)
    requests = AllRequests(folder.readers.name, world.clock.monotonic)
    owner = OWNER + world.entropy.bytes(4).hex()
    wanted = settings.coding
    striped = striped_writer(owner, settings, facts, world, committer, drives, root_keys, wanted)
    hear_changes(drives, striped.heed)
    door = folder.socket.name

    async def log_floor() -> int:
        return int((await ask(door, "log.floor", {}))["floor"])

    collector = Collector(
        reader,
        committer,
        drives,
        DriveChunkStore(drives, world.disk, reader, world.clock, striped=striped),
        requests,
        Pace(world.clock, RATE, requests.count).take,
        world.clock,
        Collecting(
            wanted,
            ciphertext_bytes(settings.inline_limit),
            at=settings.collect_at,
            wanted_cold=cold_coding(settings),
        ),
        cold=cold,
        owner=owner,
        renew=striped.renew,
        cipher=lambda chunk: log_cipher(drives, root_keys, chunk),
        log_floor=log_floor,
    )
    sweeper = Sweeper(
        reader, drives, world.clock, epoch=facts.epoch, named=lambda: named_chunks(door)
    )
    return [collector, sweeper]


def cold_coding(settings: Settings) -> Geometry:
    """How chunks of archived bytes are laid: as all are, unless they are to be laid otherwise."""
    return coding_of(settings.archive_geometry) if settings.archive_geometry else settings.coding


async def named_chunks(door: str) -> frozenset[bytes]:
    """The log's chunks that superblocks name as unsealed, or may name. Raises as `door.ask`."""
    answer = await ask(door, "log.unsealed", {})
    return frozenset(bytes.fromhex(one) for one in answer["chunks"])


def log_cipher(drives: DriveSet, root_keys: RootKeys, chunk: Chunk) -> RecordCipher:
    """What opens the log in a landing chunk: any of its files names the root key. Raises DataLost,
    UnknownRootKey."""
    for index, member in enumerate(chunk.members):
        drive = drives.member(member)
        if drive is None:
            continue
        for path in (segment_path(drive, chunk.id, index), mirror_path(drive, chunk.id)):
            try:
                header = read_header(drives.disk, path)
            except (OSError, BadHeader):
                continue
            return RecordCipher(root_keys.by_id(header.key_id), chunk.id)
    raise DataLost(f"chunk {chunk.id.hex()}: no file of it has a header that can be read")
