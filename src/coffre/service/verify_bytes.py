"""`coffre verify --deep`: every byte that counts is read, checksums and frame tags proved.

Checksums first, on every member by itself, so that what one drive holds wrong shows although the
others make up for it: of sealed landing chunks all blocks, of mirrors all groups, of striped chunks
the rows that blobs have in them (what nothing refers to may be torn). Then each blob is read as a
client would have it, and every frame opened, with the key service's help where it has the key; but
not where only a customer has it, or the key service does not give it: these are counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

from coffre.catalog.audit import Audited, Finding
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import BlobName
from coffre.config import Settings
from coffre.s3.key_service import KeyServiceAway
from coffre.s3.keyring import Keyring
from coffre.service.key_services import key_service
from coffre.service.zone import World
from coffre.vault.blocks import BadBlock, payload_bytes, relaid, segment_seed
from coffre.vault.drives import DriveSet, mirror_path, segment_path
from coffre.vault.frames import SEALED_FRAME_BYTES, BadFrame, FrameCipher
from coffre.vault.headers import BadHeader
from coffre.vault.interface import DataLost
from coffre.vault.keys import RootKeys, UnknownRootKey, WrongKey, unwrap_key
from coffre.vault.landing import scan
from coffre.vault.records import (
    FRAME_BYTES,
    STRIPE_UNIT,
    TAG_BYTES,
    Blob,
    Chunk,
    ChunkKind,
    ChunkState,
    Extent,
)
from coffre.vault.segments import read_header, read_payload
from coffre.vault.store import DriveChunkStore
from coffre.wire.errors import S3Error

log = logging.getLogger("coffre.verify")

Pace = Callable[[int], Awaitable[object]]
# What is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
_PAGE = 500
_FRAMES = 64
_TRIES = 3


class _Unsound(Exception):
    """Bytes are not what they must be."""


class Deep:
    """One reading of everything."""

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        world: World,
        root_keys: RootKeys,
        audited: Audited,
        pace: Pace,
        progress: Progress,
        *,
        chunk: Callable[[bytes], Chunk | None],
        settings: Settings,
    ) -> None:
        """`chunk`: one as it is by now."""
        self.bytes_read = 0
        self.opened = self.of_customers = self.without_key = 0
        self._reader = reader
        self._chunk = chunk
        self._drives = drives
        self._audited = audited
        self._pace = pace
        self._progress = progress
        self._keyring = Keyring(root_keys)
        # Nothing is sealed or made here: there is nothing to commit.
        nobody = cast(Committer, None)
        self._service = key_service(settings, reader, nobody, self._keyring, world.entropy)
        self._store = DriveChunkStore(drives, world.disk, reader, world.clock)
        self._findings: list[Finding] = []

    async def all_bytes(self) -> list[Finding]:
        """Read everything; what is wrong."""
        try:
            chunks = [chunk for chunk in self._audited.chunks if chunk.kind is ChunkKind.LANDING]
            for at, chunk in enumerate(chunks):
                await self._landing(chunk)
                self._progress("landing chunks", at + 1, len(chunks))
            for at, (name, blob) in enumerate(_blobs(self._reader)):
                await self._blob(name, blob)
                self._progress("blobs", at + 1, max(at + 1, self._audited.blobs))
        finally:
            self._store.close()
        return self._findings

    # Members, each by itself

    async def _landing(self, chunk: Chunk) -> None:
        for index in range(len(chunk.members)):
            await self._member(chunk, index, self._landing_member)

    async def _member(self, chunk: Chunk, index: int, check: Callable[[Chunk, int], int]) -> None:
        """Check one member's file; the chunk is looked up anew where that fails: it may have been
        sealed, moved or collected meanwhile."""
        for attempt in range(_TRIES):
            now = self._chunk(chunk.id) if attempt else chunk
            if now is None or now.state is ChunkState.CONDEMNED or index >= len(now.members):
                return
            try:
                size = await asyncio.to_thread(check, now, index)
            except (OSError, BadHeader, BadBlock, _Unsound) as error:
                problem = str(error) or type(error).__name__
                await asyncio.sleep(0)
                continue
            self.bytes_read += size
            await self._pace(size)
            return
        self._find("reduced", "bytes", f"{chunk.id.hex()}.{index}", problem)

    def _landing_member(self, chunk: Chunk, index: int) -> int:
        drive = self._drives.member(chunk.members[index])
        if drive is None:
            return 0  # That it is away is told elsewhere.
        if relaid(chunk):
            return self._blocks(chunk, index, 0, payload_bytes(chunk.length, chunk.k))
        path = mirror_path(drive, chunk.id)
        end = 0
        for group in scan(self._drives.disk, path, read_header(self._drives.disk, path)):
            end = group.end
        held = self._audited.held.get(chunk.id)
        closed = chunk.length if chunk.state is ChunkState.SEALING else 0
        least = max(closed, held.end if held is not None else 0)
        if end < least:
            raise _Unsound(f"the group at byte {end} of {least} is not whole")
        return end

    def _blocks(self, chunk: Chunk, index: int, start: int, length: int) -> int:
        """Payload of one segment, verified. Raises BadBlock, OSError."""
        drive = self._drives.member(chunk.members[index])
        if drive is None:
            return 0
        seed = segment_seed(chunk.id, index, chunk.epoch)
        file = self._drives.disk.open(segment_path(drive, chunk.id, index), "read")
        try:
            for at in range(start, start + length, STRIPE_UNIT):
                read_payload(file, seed, at, min(STRIPE_UNIT, start + length - at))
        finally:
            file.close()
        return length

    # Blobs

    async def _blob(self, name: BlobName, blob: Blob) -> None:
        """Rows on every member, then frames; with the blob as it is by then where that fails."""
        problem = ""
        for attempt in range(_TRIES):
            now = self._reader.blob(name) if attempt else blob
            if now is None:
                return
            try:
                await self._frames(name, now)
            except (DataLost, BadFrame, WrongKey, UnknownRootKey, LookupError) as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            for extent in now.extents:
                await self._rows(extent)
            return
        self._find("damage", "blob", f"{name.manifest_id.hex()}/{name.number}", problem)

    async def _rows(self, extent: Extent) -> None:
        chunk = self._reader.chunk(extent.chunk)
        if chunk is None or chunk.kind is not ChunkKind.STRIPED:
            return
        rows = -(-extent.length // (chunk.k * extent.unit))

        def check(now: Chunk, index: int) -> int:
            return self._blocks(now, index, extent.offset, rows * extent.unit)

        for index in range(len(chunk.members)):
            await self._member(chunk, index, check)

    async def _frames(self, name: BlobName, blob: Blob) -> None:
        """Read the blob as a client would; open its frames if the key can be had."""
        data_key = await self._data_key(name.manifest_id, blob)
        cipher = None
        if data_key is not None:
            key = unwrap_key(data_key, blob.wrapped_key)
            cipher = FrameCipher(blob.id, blob.key_id, key)
        frames = -(-blob.framed_bytes // FRAME_BYTES)
        for first in range(0, frames, _FRAMES):
            low = first * SEALED_FRAME_BYTES
            high = min((first + _FRAMES) * SEALED_FRAME_BYTES, blob.stored_bytes)
            sealed = await self._ciphertext(blob, low, high)
            if cipher is not None:
                await asyncio.to_thread(_open, cipher, sealed, first, frames)
            await self._pace(high - low)
            self.bytes_read += high - low
        self.opened += cipher is not None
        if cipher is None and name.manifest_id in self._audited.customer_keys:
            self.of_customers += 1
        elif cipher is None:
            self.without_key += 1

    async def _data_key(self, manifest_id: bytes, blob: Blob) -> bytes | None:
        """What the blob's key is wrapped by; None where it cannot be had."""
        if manifest_id in self._audited.customer_keys:
            return None
        kept = self._audited.sealed_keys.get(manifest_id)
        if kept is None:
            return self._keyring.data_key(self._reader, blob.key_id)
        stores = self._reader.stores()
        store = next((one for one in stores if self._reader.kms_key(one.id, kept.key_id)), None)
        try:
            return None if store is None else await self._service.open(store, kept)
        except (KeyServiceAway, S3Error) as error:
            log.warning("key %s cannot be had: %s", kept.key_id, error)
            return None

    async def _ciphertext(self, blob: Blob, low: int, high: int) -> memoryview:
        parts, at = [], 0
        for extent in blob.extents:
            start, stop = max(low - at, 0), min(high - at, extent.length)
            if start < stop:
                parts.append(await self._store.read(extent, start, stop - start))
            at += extent.length
        return memoryview(b"".join(parts))

    def _find(self, severity: str, kind: str, about: str, detail: str) -> None:
        self._findings.append(Finding(severity, kind, about, detail))


def _open(cipher: FrameCipher, sealed: memoryview, first: int, frames: int) -> None:
    """Raises BadFrame."""
    out = memoryview(bytearray(FRAME_BYTES))
    for at in range(0, len(sealed), SEALED_FRAME_BYTES):
        frame = sealed[at : at + SEALED_FRAME_BYTES]
        number = first + at // SEALED_FRAME_BYTES
        cipher.open_into(number, frame, number == frames - 1, out[: len(frame) - TAG_BYTES])


def _blobs(reader: Reader) -> Iterator[tuple[BlobName, Blob]]:
    """Every blob, read in pages, each a transaction of its own."""
    after = b""
    while page := reader.whole_blobs(after=after, limit=_PAGE):
        yield from page
        after = page[-1][0].manifest_id
    name = BlobName(b"", 0)
    while parts := reader.part_blobs(after=name, limit=_PAGE):
        yield from parts
        name = parts[-1][0]
