"""Superblocks: what a zone is and where its log stands, on every drive.

File `superblock` in each drive folder: two slots of 4096 bytes, written alternately, so that a torn
write costs only the slot that it was meant for. All integers are big-endian. One slot:

    offset  bytes  what
         0      8  magic "COFFRESB"
         8      2  version (2)
        10      2  zeros
        12      4  length of the body, its tag included
        16      8  epoch
        24      8  generation
        32      8  root key id
        40     12  nonce
        52     12  zeros
        64  <=4016  body: AES-256-GCM under the root key's "superblock" key, AAD = bytes 0..64
         -      -  zeros
      4080     16  xxh3-128 of bytes 0..4080

Every version keeps magic, version, epoch, generation, root key id and checksum in these places. The
body is a msgpack array, to which later versions only append:

    region, zone, zone number, id of the drive that holds it, [[id, node, rack] of every drive],
    [k, m], landing copies, clean stop?, unsealed landing chunks of the log [[id, members, epoch,
    first sequence, hash of the record before]], seals that the log does not hold yet
    [[id, k, m, members, length]], last sequence, hash of the last record,
    since version 2: [[drive, intent] of every drive that the operator wants away],
    [[id, epoch, sequence, hash, schema version, length] of every snapshot that counts, the oldest
    first], [every drive that is not trusted before it is checked]

where a member is its position in the list of drives (an id if it is not listed, an empty one if
the segment was never written). Newest is the highest (epoch, generation): every start raises the
epoch, so that what an earlier run left on a drive that was away never wins.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from enum import StrEnum
from errno import ENOENT
from functools import partial
from threading import Lock
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct, structs
from xxhash import xxh3_128_digest

from coffre.system.disk import Disk
from coffre.system.entropy import Entropy
from coffre.system.starved import Starved
from coffre.system.threads import call_apart
from coffre.vault.drives import Drive, DriveState, temporary_path
from coffre.vault.identity import is_drive
from coffre.vault.keys import RootKeys, UnknownRootKey
from coffre.vault.records import Geometry

SLOT_BYTES = 4096
VERSION = 2
DEADLINE = 2.0
REPLACED = "replaced"
_MAGIC = b"COFFRESB"
_HEAD = struct.Struct(">8sH2xIQQ8s12s12x")
_CHECKED_BYTES = SLOT_BYTES - 16
_BODY_BYTES = _CHECKED_BYTES - _HEAD.size
_TAG_BYTES = 16
T = TypeVar("T")


class DriveLabel(Struct, frozen=True, array_like=True):
    id: bytes
    node: str
    rack: str


class LandingRef(Struct, frozen=True, array_like=True):
    """An unsealed landing chunk of the log; `previous_hash` is that of the record before it."""

    chunk: bytes
    members: tuple[bytes, ...]
    epoch: int
    first_sequence: int
    previous_hash: bytes


class SealedRef(Struct, frozen=True, array_like=True):
    """A landing chunk that was sealed, which no record of the log says yet."""

    chunk: bytes
    k: int
    m: int
    members: tuple[bytes, ...]
    length: int


class LogState(Struct, frozen=True):
    """Where the log is; `tail_hash` is the SHA-256 chain's value at `tail_sequence`."""

    unsealed: tuple[LandingRef, ...] = ()
    sealed: tuple[SealedRef, ...] = ()
    tail_sequence: int = 0
    tail_hash: bytes = b""


class SnapshotRef(Struct, frozen=True, array_like=True):
    """A verified snapshot of the rows as record `sequence` (with `hash`) left them. `id` names its
    segments, `length` counts their payload's bytes, `epoch` seeds their checksums."""

    id: bytes
    epoch: int
    sequence: int
    hash: bytes
    schema_version: int
    length: int


class Superblock(Struct, frozen=True):
    """`drive` and `generation` are filled in when it is written. `intents` is what the operator
    wants of drives that are to go, by drive id: `drain`, or `replaced` for one whose place another
    has taken. `unchecked` drives were away or failed: what they hold may be old."""

    region: str
    zone: str
    zone_number: int
    epoch: int
    drives: tuple[DriveLabel, ...]
    geometry: Geometry
    landing_copies: int
    log: LogState = LogState()
    clean: bool = False
    drive: bytes = b""
    generation: int = 0
    intents: tuple[tuple[bytes, str], ...] = ()
    snapshots: tuple[SnapshotRef, ...] = ()
    unchecked: tuple[bytes, ...] = ()

    @property
    def counted(self) -> frozenset[bytes]:
        """The drives of which a quorum must have a change: those that may come back."""
        gone = {drive for drive, intent in self.intents if intent == REPLACED}
        return frozenset(label.id for label in self.drives if label.id not in gone)

    @property
    def quorum(self) -> int:
        """A change counts when so many have it: all but m, or but the largest of three or more
        racks, as far as that leaves more than half."""
        here = self.counted
        racks = Counter(label.rack for label in self.drives if label.id in here)
        rack = max(racks.values()) if len(racks) >= 3 else 0
        return max(1, len(here) - max(self.geometry.m, min(rack, (len(here) - 1) // 2)))

    @property
    def enough(self) -> int:
        """Among so many is one that has every change that counted."""
        return len(self.counted) - self.quorum + 1


class SlotStatus(StrEnum):
    """absent: no superblock was ever wholly written. damaged: ours, but no slot is whole."""

    VALID = "valid"
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"
    NEWER = "newer format"
    WRONG_KEY = "wrong root key"
    DAMAGED = "damaged"


class SlotRead(Struct, frozen=True):
    """What a drive folder's superblock file says. `slot` is where the valid one stands."""

    status: SlotStatus
    superblock: Superblock | None = None
    slot: int = 0
    reason: str = ""


class Loaded(Struct, frozen=True):
    best: Superblock
    per_path: dict[str, SlotRead]


class TooFewSuperblocks(Exception):
    """So few superblocks are valid that the newest may not be among them."""

    def __init__(self, found: int, needed: int, per_path: dict[str, SlotRead]) -> None:
        self.found, self.needed, self.per_path = found, needed, per_path
        super().__init__(f"{found} valid superblocks found, {needed} needed")


class SuperblockNotWritten(Exception):
    """A change reached too few drives to count; it may show after the next start, or not."""

    def __init__(self, written: int, needed: int, failed: dict[bytes, str]) -> None:
        self.written, self.needed, self.failed = written, needed, failed
        super().__init__(f"superblock written to {written} drives, {needed} needed")


class SuperblockTooLarge(ValueError):
    """More drives or chunks of the log than a slot can name."""


class _Body(Struct, frozen=True, array_like=True):
    region: str
    zone: str
    zone_number: int
    drive: bytes
    drives: tuple[DriveLabel, ...]
    geometry: Geometry
    landing_copies: int
    clean: bool
    unsealed: tuple[tuple[bytes, tuple[int | bytes, ...], int, int, bytes], ...]
    sealed: tuple[tuple[bytes, int, int, tuple[int | bytes, ...], int], ...]
    tail_sequence: int
    tail_hash: bytes
    intents: tuple[tuple[int | bytes, str], ...] = ()
    snapshots: tuple[SnapshotRef, ...] = ()
    unchecked: tuple[int | bytes, ...] = ()


# Made once, by the importing thread: what msgspec learns of a type at its first use is not safe
# from threads that use it first at the same moment, as the threads of the drives do.
_DECODER: Final = msgspec.msgpack.Decoder(_Body)


def superblock_path(folder: str) -> str:
    return f"{folder}/superblock"


class SuperblockStore:
    """Reads and writes the superblocks of a zone's drive folders. All calls block.

    `deadline`: seconds until a drive that does not answer counts as failed; its thread is left to
    itself, and nothing more is written to that drive while it runs.
    """

    def __init__(
        self, disk: Disk, root_keys: RootKeys, entropy: Entropy, *, deadline: float = DEADLINE
    ) -> None:
        self._disk = disk
        self._root_keys = root_keys
        self._entropy = entropy
        self._deadline = deadline
        self._lock = Lock()
        self._generation = 0
        # Folders where a write failed: what the file's slots hold is not known for sure.
        self._doubtful: set[str] = set()
        # Folders whose newest slot is on the drive for sure, not only where it is read from.
        self._settled: set[str] = set()
        self._running: dict[str, Future[None]] = {}

    @property
    def generation(self) -> int:
        """The highest generation that was seen or tried: no number is ever used twice."""
        return self._generation

    def read(self, path: str) -> SlotRead:
        """The newest whole slot of the drive folder `path`. Raises Starved."""
        try:
            data = self._read_file(superblock_path(path))
        except FileNotFoundError:
            return SlotRead(SlotStatus.ABSENT)
        except OSError as error:
            return SlotRead(SlotStatus.UNREADABLE, reason=str(error))
        slots = (self._read_slot(data, slot) for slot in (0, 1))
        if whole := [found for found in slots if found is not None]:
            return max(whole, key=lambda found: found[0])[1]
        if not any(data):
            return SlotRead(SlotStatus.ABSENT)
        ours = _MAGIC in (data[:8], data[SLOT_BYTES : SLOT_BYTES + 8]) or is_drive(self._disk, path)
        return SlotRead(SlotStatus.DAMAGED if ours else SlotStatus.FOREIGN)

    def root_key_ids(self, path: str) -> set[bytes]:
        """The root keys that a drive folder's whole slots name. Raises OSError."""
        data = self._read_file(superblock_path(path))
        found: set[bytes] = set()
        for slot in (0, 1):
            piece = data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
            if self._read_slot(data, slot) is not None:
                found.add(_HEAD.unpack_from(piece)[5])
        return found

    def load(self, paths: Iterable[str]) -> Loaded:
        """Read all drive folders and take the newest superblock. Raises TooFewSuperblocks unless
        enough of the drives that it names hold a valid one, Starved."""
        tasks = {path: call_apart("superblock", partial(self.read, path)) for path in paths}
        wait(tasks.values(), timeout=self._deadline)
        per_path = {
            path: task.result() if task.done() else SlotRead(SlotStatus.UNREADABLE, reason="late")
            for path, task in tasks.items()
        }
        valid = [read.superblock for read in per_path.values() if read.superblock is not None]
        if not valid:
            raise TooFewSuperblocks(0, 1, per_path)
        with self._lock:
            self._generation = max(self._generation, *(one.generation for one in valid))
        best = max(valid, key=lambda one: (one.epoch, one.generation))
        named = best.counted & {one.drive for one in valid}
        if len(named) < best.enough:
            raise TooFewSuperblocks(len(named), best.enough, per_path)
        return Loaded(best, per_path)

    def write(
        self, superblock: Superblock, drives: Sequence[Drive], *, before: Superblock | None = None
    ) -> dict[bytes, str]:
        """Write the next generation to all of `drives`, which are those that can be reached.

        Returns why, by id, for those that failed or were late: they cannot be counted on until a
        later write reaches them. Raises SuperblockNotWritten when less than a quorum has it, of the
        zone's drives or of those of the zone as it was `before` (a start may find only these),
        SuperblockTooLarge (nothing is written), Starved (it may be on some, none is to blame).
        """
        with self._lock:
            number = max(self._generation, superblock.generation) + 1
            of = partial(structs.replace, superblock, generation=number)
            slots = {drive.path: self._encode(of(drive=drive.id)) for drive in drives}
            known = {label.id for label in (before or superblock).drives}
            there = (one for one in drives if one.state is DriveState.PRESENT)
            trusted = {drive.path for drive in there if drive.id in known}
            self._generation = number
            stuck = {path for path, task in self._running.items() if not task.done()}
            for path in slots.keys() - stuck:
                write = partial(self._write_slot, path, slots[path], path in trusted)
                self._running[path] = call_apart("superblock", write)
            wait([self._running[path] for path in slots.keys() - stuck], timeout=self._deadline)
            outcomes = {drive.id: self._outcome(drive.path, stuck) for drive in drives}
            failed = {drive_id: str(why) for drive_id, why in outcomes.items() if why is not None}
        if starved := next((why for why in outcomes.values() if isinstance(why, Starved)), None):
            raise starved
        written = {drive.id for drive in drives} - failed.keys()
        for zone in (superblock, before or superblock):
            if len(written & zone.counted) < zone.quorum:
                raise SuperblockNotWritten(len(written & zone.counted), zone.quorum, failed)
        return failed

    def _outcome(self, path: str, stuck: set[str]) -> BaseException | None:
        """Why the write to a drive folder failed; None if it did not."""
        task = self._running[path]
        late = path in stuck or not task.done()
        error = TimeoutError("late") if late else task.exception()
        if error is None:
            self._doubtful.discard(path)
            return None
        self._doubtful.add(path)
        return error

    def _read_file(self, path: str) -> bytes:
        file = self._disk.open(path, "read")
        try:
            return file.pread(2 * SLOT_BYTES, 0)
        finally:
            file.close()

    def _read_slot(self, data: bytes, slot: int) -> tuple[tuple[int, int], SlotRead] | None:
        """((epoch, generation), what it says) of one slot; None if it is not whole."""
        data = data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
        if len(data) < SLOT_BYTES or data[:8] != _MAGIC:
            return None
        if xxh3_128_digest(data[:_CHECKED_BYTES]) != data[_CHECKED_BYTES:]:
            return None
        _, version, length, epoch, generation, key_id, nonce = _HEAD.unpack_from(data)
        order = (epoch, generation)
        if version > VERSION:
            return order, SlotRead(SlotStatus.NEWER, reason=f"version {version}")
        try:
            aead = AESGCM(self._root_keys.by_id(key_id).derive("superblock"))
        except UnknownRootKey:
            return order, SlotRead(SlotStatus.WRONG_KEY, reason=f"root key {key_id.hex()}")
        head, sealed = data[: _HEAD.size], data[_HEAD.size : _HEAD.size + length]
        try:
            body = _DECODER.decode(aead.decrypt(nonce, sealed, head))
        except (InvalidTag, msgspec.DecodeError):
            return None
        return order, SlotRead(SlotStatus.VALID, _opened(body, epoch, generation), slot)

    def _encode(self, superblock: Superblock) -> bytes:
        body = msgspec.msgpack.encode(_body(superblock))
        length = len(body) + _TAG_BYTES
        if length > _BODY_BYTES:
            raise SuperblockTooLarge(f"a superblock of {length} bytes: {_BODY_BYTES} fit")
        nonce = self._entropy.bytes(12)
        root_key = self._root_keys.current
        head = _HEAD.pack(
            _MAGIC,
            VERSION,
            length,
            superblock.epoch,
            superblock.generation,
            root_key.id,
            nonce,
        )
        aead = AESGCM(root_key.derive("superblock"))
        checked = (head + aead.encrypt(nonce, body, head)).ljust(_CHECKED_BYTES, b"\0")
        return checked + xxh3_128_digest(checked)

    def _write_slot(self, folder: str, data: bytes, trusted: bool) -> None:
        """Put a slot beside the newest one, or replace a file in which none can be trusted."""
        path = superblock_path(folder)
        read = self.read(folder)
        if read.status is SlotStatus.VALID and folder not in self._doubtful:
            file = self._disk.open(path, "edit")
            try:
                if folder not in self._settled:
                    # It may be in the page cache alone, and is all there is in a moment.
                    at = read.slot * SLOT_BYTES
                    file.pwritev([file.pread(SLOT_BYTES, at)], at)
                    file.sync()
                    self._settled.add(folder)
                file.pwritev([data], (1 - read.slot) * SLOT_BYTES)
                file.sync()
            finally:
                file.close()
        elif trusted and read.status is SlotStatus.ABSENT and folder in self._settled:
            raise FileNotFoundError(ENOENT, "it is gone: the drive may be away", path)
        elif read.status in (SlotStatus.VALID, SlotStatus.ABSENT, SlotStatus.DAMAGED):
            self._replace(folder, path, data)
        else:
            raise OSError(f"{path} is not replaced: {read.status} {read.reason}")

    def _replace(self, folder: str, path: str, data: bytes) -> None:
        temporary = temporary_path(path)
        if self._disk.exists(temporary):
            self._disk.unlink(temporary)
        file = self._disk.open(temporary, "create")
        try:
            file.pwritev([data, bytes(SLOT_BYTES)], 0)
            file.sync()
        finally:
            file.close()
        self._disk.rename(temporary, path)
        self._disk.sync_dir(folder)


def _body(superblock: Superblock) -> _Body:
    place: dict[bytes, int] = {label.id: i for i, label in enumerate(superblock.drives)}

    def places(members: tuple[bytes, ...]) -> tuple[int | bytes, ...]:
        return tuple(place.get(member, member) for member in members)

    log = superblock.log
    return _Body(
        superblock.region,
        superblock.zone,
        superblock.zone_number,
        superblock.drive,
        superblock.drives,
        superblock.geometry,
        superblock.landing_copies,
        superblock.clean,
        tuple(
            (ref.chunk, places(ref.members), ref.epoch, ref.first_sequence, ref.previous_hash)
            for ref in log.unsealed
        ),
        tuple((ref.chunk, ref.k, ref.m, places(ref.members), ref.length) for ref in log.sealed),
        log.tail_sequence,
        log.tail_hash,
        tuple((place.get(drive, drive), intent) for drive, intent in superblock.intents),
        superblock.snapshots,
        places(superblock.unchecked),
    )


def _opened(body: _Body, epoch: int, generation: int) -> Superblock:
    def ids(members: tuple[int | bytes, ...]) -> tuple[bytes, ...]:
        return tuple(body.drives[one].id if isinstance(one, int) else one for one in members)

    log = LogState(
        tuple(
            LandingRef(chunk, ids(members), written, first, before)
            for chunk, members, written, first, before in body.unsealed
        ),
        tuple(
            SealedRef(chunk, k, m, ids(members), length)
            for chunk, k, m, members, length in body.sealed
        ),
        body.tail_sequence,
        body.tail_hash,
    )
    return Superblock(
        region=body.region,
        zone=body.zone,
        zone_number=body.zone_number,
        epoch=epoch,
        drives=body.drives,
        geometry=body.geometry,
        landing_copies=body.landing_copies,
        log=log,
        clean=body.clean,
        drive=body.drive,
        generation=generation,
        intents=tuple((ids((drive,))[0], intent) for drive, intent in body.intents),
        snapshots=body.snapshots,
        unchecked=ids(body.unchecked),
    )
