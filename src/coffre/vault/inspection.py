"""Looking at chunks' files for their own sake: is what the rows name there, and is it whole?

A chunk's segments are looked at side by side: in a striped chunk a block that is whole nowhere was
never written, and only its fellows tell. All calls block; memory: a row.
"""

from __future__ import annotations

from contextlib import suppress

from coffre.system.disk import Disk
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive, DriveSet, mirror_path, segment_path
from coffre.vault.headers import BadHeader
from coffre.vault.landing import scan
from coffre.vault.rebuild import SegmentSource, segment_payload, sources
from coffre.vault.records import BLOCK_BYTES, STRIPE_UNIT, Chunk, ChunkKind
from coffre.vault.segments import find_sealed, read_header
from coffre.vault.superblock import superblock_path


class Inspection:
    """One chunk in segments, verified to the last block: `step` until it says 0.

    Then `bad` has what is wrong with each segment that is to be rebuilt, by index; `failed` drives
    that did not let themselves be read; `lost` the blocks that are whole in fewer than k segments
    (in a striped chunk: perhaps of an append that was never acknowledged).
    `only`: judge just these segments, but read the others where theirs has bad blocks.
    """

    def __init__(self, drives: DriveSet, chunk: Chunk, only: frozenset[int] | None = None) -> None:
        self.bad: dict[int, str] = {}
        self.failed: dict[bytes, str] = {}
        self.lost: list[int] = []
        self._chunk = chunk
        self._only = only
        self._drives = drives
        everything = range(chunk.k + chunk.m)
        self._sources = sources(drives, chunk, everything if only is None else sorted(only))
        self._position = 0
        self._end = segment_payload(chunk, self._sources)

    def step(self) -> int:
        """Verify the next row at most; stored bytes read, 0 at the end."""
        length = min(STRIPE_UNIT, self._end - self._position)
        if length <= 0:
            self._close()
            return 0
        there = [one for one in self._sources if one.readable]
        doubtful = [one for one in there if one.whole(self._position, length) is None]
        if doubtful:
            self._judge(self._position, length, doubtful)
        self._position += length
        return length * max(1, len(there))

    def run(self) -> None:
        """All steps at once."""
        while self.step():
            pass

    def _judge(self, position: int, length: int, doubtful: list[SegmentSource]) -> None:
        extra: list[SegmentSource] = []
        if self._only is not None:
            rest = [at for at in range(self._chunk.k + self._chunk.m) if at not in self._only]
            extra = sources(self._drives, self._chunk, rest)
        good = {one.index: one.good_blocks(position, length) for one in (*self._sources, *extra)}
        for one in extra:
            one.close()
        for block in range(position // BLOCK_BYTES, (position + length) // BLOCK_BYTES):
            holders = [at for at, blocks in good.items() if block in blocks]
            if len(holders) >= self._chunk.k:
                for source in doubtful:
                    if source.index not in holders:
                        self.bad.setdefault(source.index, f"block {block} is bad")
            elif holders or self._chunk.kind is ChunkKind.LANDING:
                self.lost.append(block)

    def _close(self) -> None:
        for source in self._sources:
            if source.failed:
                self.bad.pop(source.index, None)
                self.failed[source.drive.id] = source.wrong
            elif source.wrong:
                self.bad[source.index] = source.wrong
            source.close()


def missing_segments(drives: DriveSet, chunk: Chunk) -> dict[int, str]:
    """Segments whose file is not there, too short or not theirs, on drives that are present: a
    look at names and headers, not at blocks."""
    wrong: dict[int, str] = {}
    found = sources(drives, chunk, range(chunk.k + chunk.m))
    blocks = -(-segment_payload(chunk, found) // BLOCK_BYTES)
    for source in found:
        if source.wrong:
            wrong[source.index] = source.wrong
        elif chunk.kind is ChunkKind.LANDING and source.blocks < blocks:
            wrong[source.index] = "the file is too short"
        source.close()
    return wrong


def bad_mirrors(drives: DriveSet, chunk: Chunk) -> dict[bytes, str]:
    """Mirrors of an unsealed landing chunk that lack groups which others have, by drive."""
    ends: dict[bytes, int] = {}
    wrong: dict[bytes, str] = {}
    for member in chunk.members:
        drive = drives.member(member)
        if drive is not None:
            try:
                ends[member] = _whole_end(drives.disk, drive, chunk)
            except (OSError, BadHeader) as error:
                wrong[member] = str(error)
    expected = max(ends.values(), default=0)
    for member, end in ends.items():
        drive = drives.member(member)
        if end < expected and drive is not None:
            # A group may have come meanwhile: what was there a while ago must be there by now.
            with suppress(OSError, BadHeader):
                end = _whole_end(drives.disk, drive, chunk)
            if end < expected:
                wrong[member] = f"the group at byte {end} is bad"
    # Mirrors go when a chunk is sealed; its row may not say so yet.
    return {} if wrong and find_sealed(drives, chunk.id) is not None else wrong


def _whole_end(disk: Disk, drive: Drive, chunk: Chunk) -> int:
    path = mirror_path(drive, chunk.id)
    end = 0
    for group in scan(disk, path, read_header(disk, path)):
        end = group.end
    return end


def is_there(disk: Disk, drive: Drive) -> bool:
    """Does the drive's folder still hold a superblock? Without it, what is missing in it tells of
    the drive, not of the file."""
    return disk.exists(superblock_path(drive.path))


def file_of(drive: Drive, chunk: Chunk, index: int) -> str:
    """The path of member `index`, whether it is a mirror or a segment."""
    if relaid(chunk):
        return segment_path(drive, chunk.id, index)
    return mirror_path(drive, chunk.id)
