"""Rebuilding one segment of a chunk: from what is left of it where it was, else from k others.

Every block that is used was verified. The new file is written under a temporary name, synced, read
back, renamed, its folder synced; only then may the catalog say where it is, and only then the old
file goes. A rebuild that is cut leaves a temporary file, or a whole segment that no row names; the
next one replaces either. All calls block; memory: a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from os.path import dirname

from msgspec import structs

from coffre.system.buffer import Buffer
from coffre.system.disk import Disk, File
from coffre.vault.blocks import (
    STORED_BLOCK_BYTES,
    BadBlock,
    payload_bytes,
    segment_seed,
    stored_range,
    verified,
)
from coffre.vault.drives import Drive, DriveSet, segment_path
from coffre.vault.erasure import decode
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader, decode_header
from coffre.vault.interface import DataLost
from coffre.vault.records import BLOCK_BYTES, STRIPE_UNIT, Chunk, ChunkKind
from coffre.vault.segments import SegmentFile


class TargetFailed(Exception):
    """The drive that the segment was to go to failed; the segment is to go elsewhere."""

    def __init__(self, drive: Drive, error: OSError | BadBlock) -> None:
        self.drive = drive
        self.error = error
        super().__init__(f"{drive.path}: {error}")


def choose_target(drives: DriveSet, chunk: Chunk, index: int) -> Drive | None:
    """The drive for segment `index` of a chunk; None when none may take it.

    Where it was, if that drive is there and takes data; else a drive that holds nothing of the
    chunk. No rack gets more than m segments (drives that are away count: they may come back), but
    where the chunk stands in fewer than three racks, or a rack holds more already, it must only not
    get worse. Racks with fewest segments first, then nodes, then free space.
    """
    home = drives.by_id(chunk.members[index])
    if home is not None and drives.have_room((home.id,)):
        return home
    others = [one for at, one in enumerate(chunk.members) if at != index]
    placed = [drive for one in others if (drive := drives.by_id(one)) is not None]
    racks = Counter(drive.rack for drive in placed)
    nodes = Counter((drive.rack, drive.node) for drive in placed)
    most = chunk.m or 1
    if len({drive.rack for drive in drives.all()}) < 3:
        most = len(chunk.members)

    def fits(drive: Drive) -> bool:
        before = racks[drive.rack] + (home is not None and drive.rack == home.rack)
        keeps_rule = racks[drive.rack] + 1 <= max(most, before)
        return keeps_rule and drive not in placed and drives.have_room((drive.id,))

    found = [drive for drive in drives.present() if fits(drive)]
    free = {drive.id: _free_gib(drives.disk, drive) for drive in found}
    return min(
        found,
        key=lambda d: (racks[d.rack], nodes[d.rack, d.node], -free[d.id], _turn(chunk, d)),
        default=None,
    )


def _free_gib(disk: Disk, drive: Drive) -> int:
    try:
        return disk.free_bytes(drive.path) >> 30
    except OSError:
        return 0


def _turn(chunk: Chunk, drive: Drive) -> int:
    """An order of equals that differs from chunk to chunk, so that all take their share."""
    return segment_seed(chunk.id + drive.id, 0, 0)


class SegmentSource:
    """A segment file that is read from. Errors of its drive are kept in `error`."""

    def __init__(self, disk: Disk, drive: Drive, chunk: Chunk, index: int) -> None:
        self.drive = drive
        self.index = index
        self.header: ChunkHeader | None = None
        self.wrong = ""
        self.failed = False
        self.blocks = 0
        self._seed = segment_seed(chunk.id, index, chunk.epoch)
        self._file: File | None = None
        try:
            self._file = disk.open(segment_path(drive, chunk.id, index), "read")
            size = self._file.size()
            self.blocks = max(0, size - HEADER_BYTES) // STORED_BLOCK_BYTES
            self.header = decode_header(self._file.pread(HEADER_BYTES, 0))
            if not _belongs(self.header, chunk, index):
                self.header, self.wrong = None, "the header is another file's"
        except FileNotFoundError:
            self.wrong = "the file is missing"
        except BadHeader as error:
            self.wrong = str(error)
        except OSError as error:
            self._fail(error)

    @property
    def readable(self) -> bool:
        """Is there a file to read from?"""
        return self._file is not None

    def whole(self, position: int, length: int) -> bytes | None:
        """Payload position..position+length; None where a block of it is bad or unreadable."""
        stored = self._stored(position, length)
        if stored is None or len(stored) < stored_range(position, length)[1]:
            return None
        try:
            return verified(stored, self._seed, position, length)
        except BadBlock:
            return None

    def good_blocks(self, position: int, length: int) -> dict[int, bytes]:
        """The blocks of a range that are whole, by number."""
        stored = self._stored(position, length)
        good: dict[int, bytes] = {}
        if stored is not None:
            first = position // BLOCK_BYTES
            for at in range(0, len(stored) - STORED_BLOCK_BYTES + 1, STORED_BLOCK_BYTES):
                block = first + at // STORED_BLOCK_BYTES
                with suppress(BadBlock):
                    piece = memoryview(stored)[at : at + STORED_BLOCK_BYTES]
                    good[block] = verified(piece, self._seed, block * BLOCK_BYTES, BLOCK_BYTES)
        return good

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stored(self, position: int, length: int) -> bytes | None:
        if self._file is None:
            return None
        offset, stored = stored_range(position, length)
        try:
            return self._file.pread(stored, offset)
        except OSError as error:
            self._fail(error)
            return None

    def _fail(self, error: OSError) -> None:
        self.wrong = str(error)
        self.failed = True
        self.close()


def _belongs(header: ChunkHeader, chunk: Chunk, index: int) -> bool:
    """Is it the header that segment `index` of this chunk must have?"""
    told = header.chunk, header.role, header.index, header.epoch, header.k, header.m
    return told == (chunk.id, "segment", index, chunk.epoch, chunk.k, chunk.m)


def sources(drives: DriveSet, chunk: Chunk, indexes: Iterable[int]) -> list[SegmentSource]:
    """The segments with these indexes whose drives are present; every one is to be closed."""
    return [
        SegmentSource(drives.disk, drive, chunk, index)
        for index in indexes
        if (drive := drives.member(chunk.members[index])) is not None
    ]


def segment_payload(chunk: Chunk, found: Iterable[SegmentSource]) -> int:
    """Payload bytes of every segment of a chunk: what a re-laid one says, else what its longest
    file holds (an append that was cut may be missing in others)."""
    if chunk.kind is ChunkKind.LANDING:
        return payload_bytes(chunk.length, chunk.k)
    return max((source.blocks for source in found), default=0) * BLOCK_BYTES


class SegmentRebuild:
    """One segment on its way to `target`: `step` until it says 0, then `finish`.

    `bad` has the other segments that turned out to be damaged, by index. Raises TargetFailed;
    DataLost when bytes that count are in fewer than k segments.
    """

    def __init__(self, drives: DriveSet, chunk: Chunk, index: int, target: Drive) -> None:
        self.target = target
        self.bad: dict[int, str] = {}
        self.failed: dict[bytes, str] = {}
        self._drives = drives
        self._chunk = chunk
        self._index = index
        self._position = 0
        self._runs: list[tuple[int, int]] = []
        self._file: SegmentFile | None = None
        count = chunk.k + chunk.m
        first = chunk.id[-1] % count  # Let every drive have its share of the reads.
        order = [at % count for at in range(first, first + count) if at % count != index]
        self._others = sources(drives, chunk, order)
        # A drive that is emptied, or holds some bad blocks, still has the rest.
        self._own = next(iter(sources(drives, chunk, (index,))), None)
        try:
            readable = [*self._others, *filter(None, (self._own,))]
            self._end = segment_payload(chunk, readable)
            header = next((one.header for one in readable if one.header is not None), None)
            if header is None:
                raise DataLost(f"chunk {chunk.id.hex()}: no segment of it can be read")
            members = list(chunk.members)
            members[index] = target.id
            own = structs.replace(header, index=index, members=tuple(members))
            try:
                self._file = SegmentFile(drives.disk, target, own, temporary=True)
            except OSError as error:
                raise TargetFailed(target, error) from error
        except BaseException:
            self.discard()
            raise

    @property
    def left(self) -> int:
        """Payload bytes that are still to be written."""
        return self._end - self._position

    def step(self) -> int:
        """Write the next row at most; payload bytes done, 0 at the end."""
        length = min(STRIPE_UNIT, self._end - self._position)
        if length <= 0:
            return 0
        for position, payload in self._pieces(self._position, length):
            self._write(position, payload)
        self._position += length
        return length

    def finish(self) -> None:
        """Sync, read back, give it its name: durable and whole when this returns."""
        assert self._file is not None, "finish comes once"
        try:
            self._file.sync()
            for position, length in self._runs:
                for at in range(position, position + length, STRIPE_UNIT):
                    self._file.read(at, min(STRIPE_UNIT, position + length - at))
            self._file.publish()
        except (OSError, BadBlock) as error:
            raise TargetFailed(self.target, error) from error
        self._note_sources()
        self._file.close()
        self._file = None
        self._close_sources()

    def discard(self) -> None:
        """Give up: no temporary file is left, unless its drive fails. Nothing after `finish`."""
        self._note_sources()
        self._close_sources()
        if self._file is not None:
            with suppress(OSError):
                self._file.discard()
            self._file = None

    def _write(self, position: int, payload: Buffer) -> None:
        assert self._file is not None, "steps come before the end"
        try:
            self._file.write([payload], position)
        except OSError as error:
            raise TargetFailed(self.target, error) from error
        if self._runs and sum(self._runs[-1]) == position:
            start, length = self._runs[-1]
            self._runs[-1] = start, length + len(payload)
        else:
            self._runs.append((position, len(payload)))

    def _pieces(self, position: int, length: int) -> Iterator[tuple[int, Buffer]]:
        """What is to be written of a range. One piece, unless blocks of it must be sought."""
        if self._own is not None:
            payload = self._own.whole(position, length)
            if payload is not None:
                yield position, payload
                return
        have: dict[int, Buffer] = {}
        suspects: list[SegmentSource] = []
        for source in self._others:
            if len(have) == self._chunk.k:
                break
            payload = source.whole(position, length)
            if payload is None:
                suspects.append(source)
            else:
                have[source.index] = payload
        if len(have) < self._chunk.k:
            yield from self._blocks(position, length)
            return
        for source in suspects:
            self.bad.setdefault(source.index, source.wrong or "blocks are bad")
        yield position, decode(self._chunk.k, self._chunk.m, have, [self._index])[0]

    def _blocks(self, position: int, length: int) -> Iterator[tuple[int, Buffer]]:
        """Block by block: for rot in many segments, and for rows that were never whole."""
        k, m = self._chunk.k, self._chunk.m
        own = {} if self._own is None else self._own.good_blocks(position, length)
        good = {one.index: one.good_blocks(position, length) for one in self._others}
        for block in range(position // BLOCK_BYTES, (position + length) // BLOCK_BYTES):
            have: dict[int, Buffer] = {
                at: blocks[block] for at, blocks in good.items() if block in blocks
            }
            if block in own:
                yield block * BLOCK_BYTES, own[block]
            elif len(have) >= k:
                yield block * BLOCK_BYTES, decode(k, m, have, [self._index])[0]
            elif (
                self._chunk.kind is ChunkKind.LANDING
                or not self._can_tell()
                or (have and len(have) + self._away >= k)
            ):
                raise DataLost(
                    f"chunk {self._chunk.id.hex()}: block {block} is whole in {len(have)} segments,"
                    f" {k} are needed"
                )
            # Else no append that wrote it was ever acknowledged, or it is lost: a hole either way.
            if len(have) + (block in own) >= k:
                for at in good.keys() - have.keys():
                    self.bad.setdefault(at, "blocks are bad")

    @property
    def _away(self) -> int:
        """Segments on drives that may come back: a block that is whole in few may be in these."""
        known = sum(self._drives.by_id(member) is not None for member in self._chunk.members)
        return known - len(self._others) - (self._own is not None)

    def _can_tell(self) -> bool:
        """Can enough segments be read to say of a block that it is whole nowhere? Drives that are
        away may hold it: what stands in for theirs must not be a hole."""
        if self._own is not None and self._own.readable:
            return True
        return sum(one.readable for one in self._others) >= self._chunk.k

    def _note_sources(self) -> None:
        for source in self._others:
            if source.failed:
                self.failed[source.drive.id] = source.wrong
            elif source.wrong:
                self.bad.setdefault(source.index, source.wrong)

    def _close_sources(self) -> None:
        for source in (*self._others, *filter(None, (self._own,))):
            source.close()


def remove_segment(disk: Disk, drive: Drive, chunk_id: bytes, index: int) -> None:
    """Remove a segment that no row names any more. Raises OSError; gone already is no error."""
    path = segment_path(drive, chunk_id, index)
    if disk.exists(path):
        disk.unlink(path)
        disk.sync_dir(dirname(path))
