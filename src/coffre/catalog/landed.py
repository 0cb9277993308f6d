"""Which blobs ever lay in a sealed landing chunk: its own log says.

A group's record stands beside the group's blobs, so the records of a chunk name every row that
ever said of a blob that it is here: inserts, and updates where one was moved here. Whether it still
is, the catalog's rows say. Costs reads of what the chunk holds, never of what the catalog holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import apsw
from msgspec import Struct

from coffre.catalog.log import Record, RecordCipher, RecordDamaged, RecordKind
from coffre.catalog.packing import unpack_blob
from coffre.catalog.records import BlobName
from coffre.system.buffer import Buffer
from coffre.vault.interface import DataLost
from coffre.vault.landing import GROUP_HEADER_BYTES, decode_group_header
from coffre.vault.records import Chunk, Extent

Read = Callable[[Extent, int, int], Awaitable[Buffer]]
_WINDOW = 1024 * 1024
# Columns of version 1: the key comes first, `blob` is where it is there. Columns are only appended.
_BLOB_AT = {"manifests": 4, "parts": 7}


class Landed(Struct, frozen=True):
    """Names of blobs that a chunk held at some time, in order, and its last record's sequence."""

    names: tuple[BlobName, ...]
    last_sequence: int


async def landed(read: Read, chunk: Chunk, cipher: RecordCipher) -> Landed:
    """Read a sealed landing chunk's records. Raises DataLost where one cannot be read."""
    window = _Window(read, Extent(chunk.id, 0, chunk.length))
    names: set[BlobName] = set()
    at = last = 0
    while at < chunk.length:
        header = decode_group_header(await window.take(at, GROUP_HEADER_BYTES), chunk.id)
        if header is None or at + header.group_bytes > chunk.length:
            raise DataLost(f"chunk {chunk.id.hex()}: there is no whole group at byte {at}")
        start = at + GROUP_HEADER_BYTES + header.blob_bytes
        sealed = await window.take(start, header.record_bytes)
        try:
            record, _ = cipher.open(sealed, header.epoch, header.sequence)
        except RecordDamaged as error:
            raise DataLost(
                f"chunk {chunk.id.hex()}: the record at byte {start}: {error}"
            ) from error
        names.update(_names(record, chunk.id))
        last = header.sequence
        at += header.group_bytes
    return Landed(tuple(sorted(names)), last)


def _names(record: Record, chunk_id: bytes) -> Iterator[BlobName]:
    if record.kind != RecordKind.CHANGESET:
        return
    for change in apsw.Changeset.iter(record.body):
        column = _BLOB_AT.get(change.name)
        if column is None or change.new is None:
            continue
        packed = change.new[column]
        if not isinstance(packed, bytes):
            continue  # Nothing new of its blob.
        if any(extent.chunk == chunk_id for extent in unpack_blob(packed).extents):
            row = change.old if change.op == "UPDATE" else change.new
            assert row is not None, "an update names its row"
            number = row[1] if change.name == "parts" else 0
            yield BlobName(row[0], number)  # type: ignore[arg-type]


class _Window:
    """Bytes of a chunk in ascending order, fetched in large pieces."""

    def __init__(self, read: Read, whole: Extent) -> None:
        self._read = read
        self._whole = whole
        self._start = 0
        self._bytes = memoryview(b"")

    async def take(self, at: int, length: int) -> memoryview:
        if not self._start <= at <= at + length <= self._start + len(self._bytes):
            most = min(max(length, _WINDOW), self._whole.length - at)
            if most < length:
                raise DataLost(f"chunk {self._whole.chunk.hex()} ends inside a group")
            self._start = at
            self._bytes = memoryview(await self._read(self._whole, at, most))
        return self._bytes[at - self._start :][:length]
