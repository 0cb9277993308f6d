"""Landing chunks: where groups of the log and small bodies come to rest first, mirrored.

A mirror is `<drive>/chunks/<xx>/<chunk>.mirror`: a chunk header of 4096 bytes
(`coffre.vault.headers`), then groups back to back, then perhaps zeros. All members of a chunk hold
the same groups at the same place. Offsets here count from the first byte after the chunk header.
A group, all integers big-endian:

    offset  bytes  what
         0      4  magic "CFGR"
         4      1  version (1)
         5      1  kind, the writer's own
         6      2  zeros
         8      8  epoch
        16      8  sequence
        24      4  b: bytes of all blobs
        28      4  r: bytes of the record
        32     16  xxh3-128 of the blobs
        48      8  xxh3-64 of the record
        56      8  xxh3-64 of bytes 0..56 of this group header
        64      b  blobs: ciphertext, back to back
      64+b      r  record (`coffre.catalog.log`)

The three checksums are seeded with xxh3-64 of (chunk id, epoch as 8 bytes), so that what another
chunk left in a reused file is never taken for a group. Every version keeps magic, version, epoch
and the last checksum in these places.

Zeros are written `ahead` of the end in steps, and synced with the group that needs them: a sync
that finds blocks and size as they are writes no file system journal. Three mirrors on ext4, median
of 300 groups of 8 / 128 KiB: appended 290 / 450 us, preallocated with fallocate 270 / 365, zeros
1 MiB ahead 170 / 215, whole file written before 170 / 240.
"""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from os.path import dirname
from queue import SimpleQueue
from threading import Lock, Thread
from weakref import finalize

from msgspec import Struct, structs
from xxhash import xxh3_64_digest, xxh3_64_intdigest, xxh3_128

from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.disk import Disk, File
from coffre.system.starved import Starved
from coffre.vault.drives import Drive, DriveSet, ensure_chunk_dir, mirror_path
from coffre.vault.headers import HEADER_BYTES, ChunkHeader
from coffre.vault.interface import StorageFull
from coffre.vault.records import CHUNK_BYTES

GROUP_HEADER_BYTES = 64
VERSION = 1
SYNC_DEADLINE = 2.0
AHEAD = 1024 * 1024
_MAGIC = b"CFGR"
_FIXED = struct.Struct(">4sBB2xQQII16s8s")
_PIECE = 1024 * 1024
_ZEROS = bytes(AHEAD)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class MembersFailed(Exception):
    """Members that failed or were late, by drive id. What they hold of the last append is not
    known, and neither file nor landing chunk may be written again. `starved`: those of them that
    are not to blame for it."""

    def __init__(self, reasons: dict[bytes, str], starved: frozenset[bytes] = frozenset()) -> None:
        self.ids = tuple(reasons)
        self.reasons = reasons
        self.starved = starved
        super().__init__("; ".join(f"{one.hex()}: {why}" for one, why in reasons.items()))


class MembersFull(StorageFull):
    """Members that had no space left, by drive id; no other error was seen."""

    def __init__(self, ids: Sequence[bytes]) -> None:
        self.ids = tuple(ids)
        super().__init__("no space left on " + ", ".join(one.hex() for one in ids))


class LandingDead(Exception):
    """An append failed, was abandoned, or is still running: this chunk takes no other."""


class GroupTooNew(Exception):
    """A group of a later format: a newer Coffre wrote it, and this one must not guess."""


class GroupHeader(Struct, frozen=True):
    """What stands before a group. `kind` is 0..255; sizes are bytes."""

    kind: int
    epoch: int
    sequence: int
    blob_bytes: int
    record_bytes: int
    blobs_checksum: bytes
    record_checksum: bytes

    @property
    def group_bytes(self) -> int:
        return GROUP_HEADER_BYTES + self.blob_bytes + self.record_bytes

    def encode(self, chunk: bytes) -> bytes:
        """The 64 bytes, for a group in `chunk`."""
        fixed = _FIXED.pack(
            _MAGIC,
            VERSION,
            self.kind,
            self.epoch,
            self.sequence,
            self.blob_bytes,
            self.record_bytes,
            self.blobs_checksum,
            self.record_checksum,
        )
        return fixed + xxh3_64_digest(fixed, _seed(chunk, self.epoch))


def decode_group_header(data: Buffer, chunk: bytes) -> GroupHeader | None:
    """The header that the first 64 bytes are; None if they are none of `chunk`'s.

    Raises GroupTooNew.
    """
    fixed = bytes(data[: _FIXED.size])
    if len(data) < GROUP_HEADER_BYTES or fixed[:4] != _MAGIC:
        return None
    _, version, kind, epoch, sequence, blob_bytes, record_bytes, blobs, record = _FIXED.unpack(
        fixed
    )
    if xxh3_64_digest(fixed, _seed(chunk, epoch)) != data[_FIXED.size : GROUP_HEADER_BYTES]:
        return None
    if version > VERSION:
        raise GroupTooNew(f"a group of version {version}: this Coffre reads up to {VERSION}")
    return GroupHeader(kind, epoch, sequence, blob_bytes, record_bytes, blobs, record)


def offset_of_first_blob(end: int) -> int:
    """Where the first blob of a group will lie that is appended at `end`."""
    return end + GROUP_HEADER_BYTES


def frame_group(
    chunk: bytes, kind: int, epoch: int, sequence: int, blobs: Sequence[Buffer], record: bytes
) -> list[Buffer]:
    """The pieces of a group, in order, for `Landing.append`."""
    seed = _seed(chunk, epoch)
    checksum = xxh3_128(seed=seed)
    for blob in blobs:
        checksum.update(blob)
    header = GroupHeader(
        kind,
        epoch,
        sequence,
        sum(len(blob) for blob in blobs),
        len(record),
        checksum.digest(),
        xxh3_64_digest(record, seed),
    )
    return [header.encode(chunk), *blobs, record]


def _seed(chunk: bytes, epoch: int) -> int:
    return xxh3_64_intdigest(chunk + epoch.to_bytes(8, "big"))


class _Lane:
    """A thread that does one member's work in order; a daemon, for a stuck drive must not hold up
    the process's exit. It ends when the lane is closed, or when nobody has it any more."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.file: File | None = None
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        thread = Thread(target=_work_off, args=(self._tasks,), daemon=True, name="landing")
        try:
            thread.start()
        except RuntimeError as error:
            raise Starved(str(error)) from error
        finalize(self, self._tasks.put, None)

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)

    def close(self) -> None:
        """Close the file once what runs is over, and end."""
        self._tasks.put(self._let_go)
        self._tasks.put(None)

    def _let_go(self) -> None:
        if self.file is not None:
            self.file.close()


def _work_off(tasks: SimpleQueue[Callable[[], None] | None]) -> None:
    while (task := tasks.get()) is not None:
        task()
        del task  # It may be what keeps its lane.


class _Round:
    """One task on every lane at once; `errors` has why each failed that is through (None: done)."""

    def __init__(self, lanes: Sequence[_Lane], work: Callable[[_Lane], None], clock: Clock) -> None:
        self.errors: dict[bytes, Exception | None] = {}
        self.began = clock.monotonic()
        self.ended: dict[bytes, float] = {}
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._through = asyncio.Event()
        self._lock = Lock()
        self._left = len(lanes)
        for lane in lanes:
            lane.put(partial(self._do, lane, work))

    async def wait(self, deadline: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._through.wait()

    def _do(self, lane: _Lane, work: Callable[[_Lane], None]) -> None:
        error: Exception | None = None
        try:
            work(lane)
        except Exception as caught:
            error = caught
        with self._lock:
            self.ended[lane.drive.id] = self._clock.monotonic()
            self.errors[lane.drive.id] = error
            self._left -= 1
            last = self._left == 0
        if last:
            # The loop may be closed by the time that a stuck drive answers.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._through.set)


class Landing:
    """An open landing chunk. One append at a time; after a failure it is dead (`LandingDead`)."""

    def __init__(
        self, lanes: Sequence[_Lane], clock: Clock, sync_deadline: float, ahead: int, capacity: int
    ) -> None:
        self._lanes = lanes
        self._clock = clock
        self._sync_deadline = sync_deadline
        self._ahead = ahead
        self._capacity = capacity
        self._dead = False
        self._written = self.end = 0

    @classmethod
    async def create(
        cls,
        drives: DriveSet,
        header: ChunkHeader,
        members: Sequence[Drive],
        clock: Clock,
        *,
        sync_deadline: float = SYNC_DEADLINE,
        ahead: int = AHEAD,
        capacity: int = CHUNK_BYTES,
    ) -> Landing:
        """A new chunk, `header.chunk`, with an empty mirror on every member, file and name synced.

        `header`'s members and index are filled in here. `ahead`: bytes of zeros to write ahead (at
        most `AHEAD`; 0: none). Raises MembersFailed, MembersFull; the files then left behind hold
        nothing, and the chunk id is not to be used again.
        """
        landing = cls([_Lane(drive) for drive in members], clock, sync_deadline, ahead, capacity)
        ids = tuple(drive.id for drive in members)

        def make(lane: _Lane) -> None:
            own = structs.replace(header, members=ids, index=ids.index(lane.drive.id))
            path = mirror_path(lane.drive, header.chunk)
            ensure_chunk_dir(drives.disk, lane.drive, header.chunk)
            lane.file = drives.disk.open(path, "create")
            lane.file.pwritev([own.encode()], 0)
            lane.file.sync()
            drives.disk.sync_dir(dirname(path))

        try:
            await landing._on_every_member(make)
        except BaseException:
            landing.close()
            raise
        return landing

    @property
    def members(self) -> tuple[bytes, ...]:
        return tuple(lane.drive.id for lane in self._lanes)

    @property
    def room(self) -> int:
        """Bytes that can still be appended."""
        return self._capacity - self.end

    async def append(self, pieces: Sequence[Buffer]) -> None:
        """Write `pieces` at `end` on every member and sync them; then `end` moves on.

        When it returns, every member has synced. Raises MembersFailed or MembersFull, and is dead
        from then on (as it is if the caller is cancelled); LandingDead; ValueError on more bytes
        than `room`.
        """
        length = sum(len(piece) for piece in pieces)
        if self._dead:
            raise LandingDead
        if length > self.room:
            raise ValueError(f"{length} bytes do not fit in the {self.room} that are left")
        offset, end = HEADER_BYTES + self.end, self.end + length
        zeros: list[Buffer] = []
        if end > self._written:
            ahead = min(self._ahead, self._capacity - end)
            if ahead:
                zeros.append(memoryview(_ZEROS)[:ahead])
            self._written = end + ahead

        def write(lane: _Lane) -> None:
            assert lane.file is not None
            try:
                lane.file.pwritev([*pieces, *zeros], offset)
            except OSError as error:
                if not zeros or error.errno not in _NO_SPACE:
                    raise
                # There may still be space for the group itself, which is all that counts.
                lane.file.pwritev(pieces, offset)
            lane.file.sync()

        await self._on_every_member(write)
        self.end = end

    def close(self) -> None:
        """Let go of the files; what was appended stays."""
        self._dead = True
        for lane in self._lanes:
            lane.close()

    async def _on_every_member(self, work: Callable[[_Lane], None]) -> None:
        self._dead = True
        work_round = _Round(self._lanes, work, self._clock)
        await work_round.wait(self._sync_deadline)
        failed: dict[bytes, str] = {}
        full: list[bytes] = []
        starved: set[bytes] = set()
        for member in self.members:
            if member not in work_round.errors:
                failed[member] = "late"
                continue
            error = work_round.errors[member]
            if isinstance(error, OSError) and error.errno in _NO_SPACE:
                full.append(member)
            elif error is not None:
                failed[member] = str(error)
                if isinstance(error, Starved):
                    starved.add(member)
            elif work_round.ended[member] - work_round.began > self._sync_deadline:
                failed[member] = "late"
        if failed:
            raise MembersFailed(failed, frozenset(starved))
        if full:
            raise MembersFull(full)
        self._dead = False


class ScannedGroup(Struct, frozen=True):
    """A valid group at `offset`; its blobs are `header.blob_bytes` from `blobs_offset`."""

    offset: int
    header: GroupHeader
    record: bytes

    @property
    def blobs_offset(self) -> int:
        return offset_of_first_blob(self.offset)

    @property
    def end(self) -> int:
        return self.offset + self.header.group_bytes


def scan(
    disk: Disk, path: str, header: ChunkHeader, *, start: int = 0, verify_blobs: bool = True
) -> Iterator[ScannedGroup]:
    """The groups of a mirror from `start` until the first that is not wholly valid.

    `verify_blobs` False leaves the blobs of all groups but the last unread: an append starts only
    after the one before is synced, so only the last can be torn (bits can rot anywhere). Memory: a
    record and 1 MiB. Raises OSError, GroupTooNew.
    """
    file = disk.open(path, "read")
    try:
        limit = file.size() - HEADER_BYTES
        last: ScannedGroup | None = None
        while (group := _group_at(file, header.chunk, start, limit)) is not None:
            if verify_blobs and not _blobs_are_whole(file, header.chunk, group):
                return
            if verify_blobs:
                yield group
            elif last is not None:
                yield last
            last, start = group, group.end
        if last is not None and not verify_blobs and _blobs_are_whole(file, header.chunk, last):
            yield last
    finally:
        file.close()


def _group_at(file: File, chunk: bytes, offset: int, limit: int) -> ScannedGroup | None:
    data = file.pread(GROUP_HEADER_BYTES, HEADER_BYTES + offset)
    header = decode_group_header(data, chunk)
    if header is None or offset + header.group_bytes > limit:
        return None
    at = HEADER_BYTES + offset_of_first_blob(offset) + header.blob_bytes
    record = file.pread(header.record_bytes, at)
    if xxh3_64_digest(record, _seed(chunk, header.epoch)) != header.record_checksum:
        return None
    return ScannedGroup(offset, header, record)


def _blobs_are_whole(file: File, chunk: bytes, group: ScannedGroup) -> bool:
    checksum = xxh3_128(seed=_seed(chunk, group.header.epoch))
    start = HEADER_BYTES + group.blobs_offset
    end = start + group.header.blob_bytes
    for at in range(start, end, _PIECE):
        checksum.update(file.pread(min(_PIECE, end - at), at))
    return checksum.digest() == group.header.blobs_checksum
