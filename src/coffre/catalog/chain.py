"""The log as it lies on drives: records found in landing chunks, and the one chain through them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from coffre.catalog.log import Position, Record, RecordCipher, RecordDamaged
from coffre.system.disk import Disk
from coffre.vault.headers import HEADER_BYTES, ChunkHeader
from coffre.vault.interface import ChunkStore
from coffre.vault.keys import RootKey, RootKeys
from coffre.vault.landing import GROUP_HEADER_BYTES, GroupHeader, decode_group_header, scan
from coffre.vault.records import Chunk, Extent

ScannedHead = tuple[int, GroupHeader]


class Source(Protocol):
    """One place where a chunk's logical bytes can be read, and the cipher of its records."""

    cipher: RecordCipher

    async def read(self, offset: int, length: int) -> bytes:
        """Raises OSError, DataLost."""
        ...


class FoundRecord(Struct, frozen=True):
    """A record that was opened once: its place in the chain and in its chunk. Its group begins at
    `start` and ends at `end`; `source` is where it was read."""

    chunk: bytes
    epoch: int
    previous: bytes
    position: Position
    start: int
    offset: int
    stored_bytes: int
    source: Source

    @property
    def follows(self) -> Position:
        return Position(self.position.sequence - 1, self.previous)

    @property
    def end(self) -> int:
        return self.offset + self.stored_bytes


class MirrorSource:
    """A landing chunk's mirror."""

    def __init__(self, disk: Disk, path: str, header: ChunkHeader, roots: RootKeys) -> None:
        """Raises UnknownRootKey."""
        self._disk = disk
        self._path = path
        self._header = header
        self.cipher = RecordCipher(roots.by_id(header.key_id), header.chunk)

    def records(self, seen: dict[ScannedHead, FoundRecord], start: int = 0) -> list[FoundRecord]:
        """The records of its valid prefix, from the group at `start`. Raises OSError, GroupTooNew,
        RecordTooNew.

        `seen`: what other mirrors of the chunk were found to hold, added to. The same group in the
        same place need not be opened again.
        """
        found: list[FoundRecord] = []
        for group in scan(self._disk, self._path, self._header, start=start, verify_blobs=False):
            head = group.header
            record = seen.get((group.offset, head))
            if record is None:
                try:
                    link = self.cipher.link(group.record, head.epoch, head.sequence)
                except RecordDamaged:
                    break
                at = group.blobs_offset + head.blob_bytes
                place = (group.offset, at, len(group.record))
                record = _found(self._header.chunk, head.epoch, link, place, self)
                seen[group.offset, head] = record
            found.append(record)
        return found

    async def read(self, offset: int, length: int) -> bytes:
        file = self._disk.open(self._path, "read")
        try:
            return file.pread(length, HEADER_BYTES + offset)
        finally:
            file.close()


class SealedSource:
    """A landing chunk that was re-laid, read through a chunk store."""

    def __init__(self, store: ChunkStore, chunk: Chunk, root: RootKey) -> None:
        """`root` is the key that the chunk's headers name."""
        self._store = store
        self._extent = Extent(chunk.id, 0, chunk.length)
        self.cipher = RecordCipher(root, chunk.id)

    async def records(self, start: int = 0) -> list[FoundRecord]:
        """Its records, from the group at `start`. Raises DataLost, RecordDamaged, GroupTooNew,
        RecordTooNew."""
        chunk, length = self._extent.chunk, self._extent.length
        found: list[FoundRecord] = []
        while start + GROUP_HEADER_BYTES <= length:
            head = decode_group_header(await self.read(start, GROUP_HEADER_BYTES), chunk)
            if head is None:
                raise RecordDamaged(f"chunk {chunk.hex()} holds no group at {start}")
            at = start + GROUP_HEADER_BYTES + head.blob_bytes
            sealed = await self.read(at, head.record_bytes)
            link = self.cipher.link(sealed, head.epoch, head.sequence)
            place = (start, at, len(sealed))
            found.append(_found(chunk, head.epoch, link, place, self))
            start += head.group_bytes
        return found

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(await self._store.read(self._extent, offset, length))


def _found(
    chunk: bytes,
    epoch: int,
    link: tuple[bytes, Position],
    place: tuple[int, int, int],
    source: Source,
) -> FoundRecord:
    return FoundRecord(chunk, epoch, *link, *place, source)


def chain_from(anchor: Position, records: Iterable[FoundRecord]) -> list[FoundRecord]:
    """The one chain that follows `anchor`: at equal sequence the higher epoch wins."""
    following: dict[bytes, list[FoundRecord]] = defaultdict(list)
    for record in records:
        following[record.previous].append(record)
    chain: list[FoundRecord] = []
    here = anchor
    while True:
        candidates = [
            record
            for record in following.get(here.hash, ())
            if record.position.sequence == here.sequence + 1
        ]
        if not candidates:
            return chain
        chain.append(max(candidates, key=lambda record: record.epoch))
        here = chain[-1].position


def chain_to(end: Position, records: Iterable[FoundRecord]) -> list[FoundRecord]:
    """The records that lead to `end` (its own is the last), as far back as they are all there."""
    by_position = {record.position: record for record in records}
    chain: list[FoundRecord] = []
    while (record := by_position.get(end)) is not None:
        chain.append(record)
        end = record.follows
    return chain[::-1]


async def fetch(found: FoundRecord) -> tuple[Record, Position]:
    """Read a found record again, whole. Raises RecordDamaged, OSError, DataLost."""
    sealed = await found.source.read(found.offset, found.stored_bytes)
    return found.source.cipher.open(sealed, found.epoch, found.position.sequence)
