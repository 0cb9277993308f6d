"""What recovery hands to the log's writer, and how the writer behaves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec import Struct

from coffre.catalog.log import (
    EncodedRecord,
    Membership,
    Position,
    Record,
    RecordCipher,
    RecordKind,
    encode,
    encode_membership,
)
from coffre.catalog.mutations import OpenLanding, ReplaceMember
from coffre.system.starved import Starved
from coffre.vault.drives import DriveSet, mirror_path
from coffre.vault.headers import ChunkHeader
from coffre.vault.interface import StorageFull
from coffre.vault.landing import AHEAD, SYNC_DEADLINE, Landing, MembersFailed, MembersFull
from coffre.vault.records import CHUNK_BYTES, Chunk, ChunkKind, ChunkState
from coffre.vault.superblock import (
    LandingRef,
    SnapshotRef,
    Superblock,
    SuperblockNotWritten,
    SuperblockTooLarge,
)

# A superblock has room to name some 37 chunks beside 40 drives. From the first number on no chunk
# is closed for its age alone, from the second on none is opened for bodies: the rest is kept for
# what must go on, seals and deletes among it.
MANY_UNSEALED = 24
MOST_UNSEALED = 32

_journal = logging.getLogger(__name__)


class SealingBehind(StorageFull):
    """So many chunks wait to be sealed that none can be opened for bodies now."""


# Why what was to be said is not: nothing of it happened, or it may show after the next start.
NOT_WRITTEN = (StorageFull, SuperblockNotWritten, SuperblockTooLarge, Starved)


class ChunkGivenUp(Exception):
    """The group is not in the log and its transaction must be rolled back; plan and apply again.

    `superseding`: it may lie on some mirror, so `LogWriter.supersede` comes before anything else.
    """

    def __init__(self, reason: str, *, superseding: bool) -> None:
        self.superseding = superseding
        super().__init__(reason)


class LogSettings(Struct, frozen=True):
    """Seconds and bytes. `ahead`: zeros written before the end (see `coffre.vault.landing`)."""

    seal_after: float = 60.0
    capacity: int = CHUNK_BYTES
    sync_deadline: float = SYNC_DEADLINE
    ahead: int = AHEAD


class KeptSnapshots(Struct, frozen=True):
    """Which snapshots superblocks are to name, the oldest first, and the ids of all that one may
    name after a write that failed."""

    snapshots: tuple[SnapshotRef, ...] = ()
    ids: tuple[bytes, ...] = ()


class Closing(Struct, frozen=True):
    """What the rows have yet to hear of a chunk that takes no more groups."""

    chunk: bytes
    length: int
    opened: OpenLanding | None = None
    replaced: tuple[ReplaceMember, ...] = ()


class LogStart(Struct, frozen=True):
    """Where a writer takes over, as recovery found it.

    `superblock` is the one that was just written, with this run's epoch; `lengths` are those of
    the chunks that it names as unsealed.
    """

    superblock: Superblock
    position: Position
    lengths: dict[bytes, int] = {}
    closing: tuple[Closing, ...] = ()


@dataclass(eq=False)
class Target:
    """A chunk that groups go to, by its stages: its files are made (`landing`), superblocks name
    it, a committed group says that it is open (`logged`)."""

    ref: LandingRef
    cipher: RecordCipher
    landing: Landing | None = None
    named: bool = False
    logged: bool = False

    @property
    def end(self) -> int:
        return self.landing.end if self.landing else 0

    def opening(self) -> OpenLanding:
        """What the rows are to hear of it first."""
        return OpenLanding(self.ref.chunk, self.ref.epoch, self.ref.members)

    def header(self, zone: Superblock) -> ChunkHeader:
        """What the mirrors' files begin with, in this zone."""
        return ChunkHeader(
            region=zone.region,
            zone=zone.zone,
            chunk=self.ref.chunk,
            kind=ChunkKind.LANDING,
            role="mirror",
            index=0,
            k=1,
            m=0,
            members=self.ref.members,
            epoch=self.ref.epoch,
            key_id=self.cipher.key_id,
            first_sequence=self.ref.first_sequence,
        )


def blame(drives: DriveSet, error: MembersFailed | MembersFull) -> None:
    """Mark the drives that failed an append, or had no room for it; not those that this process
    could not write to for want of its own."""
    if isinstance(error, MembersFull):
        for drive in error.ids:
            drives.fill(drive)
        return
    for drive, reason in error.reasons.items():
        _journal.error("drive %s failed: %s", drive.hex(), reason)
        if drive not in error.starved:
            drives.fail(drive, reason)


def log_floor(superblock: Superblock) -> int:
    """The last record that every kept snapshot covers: 0 while there is none."""
    return min((snapshot.sequence for snapshot in superblock.snapshots), default=0)


def membership(
    given_up: bytes,
    ejected: Sequence[bytes],
    successor: bytes,
    *,
    epoch: int,
    after: Position,
    schema_version: int,
) -> EncodedRecord:
    """The record behind `after` that says which chunk was given up for which, and why."""
    said = Membership(given_up.hex(), successor.hex(), tuple(one.hex() for one in ejected))
    return encode(
        Record(
            epoch,
            after.sequence + 1,
            after.hash,
            schema_version,
            RecordKind.MEMBERSHIP,
            body=encode_membership(said),
        )
    )


def closed_chunk(ref: LandingRef, length: int) -> Chunk:
    """A landing chunk of the log that takes no more groups, as the sealer is told of it."""
    return Chunk(
        id=ref.chunk,
        kind=ChunkKind.LANDING,
        state=ChunkState.SEALING,
        owner="",
        epoch=ref.epoch,
        k=1,
        m=len(ref.members) - 1,
        members=ref.members,
        length=length,
    )


def remove_mirrors(drives: DriveSet, refs: Sequence[LandingRef]) -> None:
    """Unlink mirrors that no superblock names. What cannot be removed is only space."""
    for ref in refs:
        for member in ref.members:
            drive = drives.member(member)
            if drive is not None:
                with suppress(OSError):
                    drives.disk.unlink(mirror_path(drive, ref.chunk))
