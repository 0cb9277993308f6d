"""For tests of what stands on chunk stores: their contract, and a zone of drives in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from coffre.system.buffer import Buffer
from coffre.system.clock import ManualClock
from coffre.system.disk import Disk
from coffre.system.entropy import SeededEntropy, new_id
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.headers import ChunkHeader, Origin
from coffre.vault.interface import ChunkStore, DataLost
from coffre.vault.landing import Landing, frame_group, offset_of_first_blob
from coffre.vault.records import (
    GEOMETRIES,
    STRIPE_UNIT,
    Chunk,
    ChunkKind,
    ChunkState,
    Extent,
    Geometry,
)
from coffre.vault.seal import remove_mirrors, seal
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter

ORIGIN = Origin(region="here", zone="EB4", zone_number=1, key_id=b"rootkey1")


async def check_chunk_store(make: Callable[[], Awaitable[ChunkStore]]) -> None:
    """What every `ChunkStore` owes its callers. `make` gives a new, empty one each time."""
    await _check_that_rows_read_back(await make())
    await _check_that_appends_may_run_side_by_side(await make())
    await _check_that_ways_end(await make())


async def _check_that_rows_read_back(store: ChunkStore) -> None:
    entropy = SeededEntropy(7)
    for size in (1, 16384, 100_000, 12 * STRIPE_UNIT - 1, 12 * STRIPE_UNIT + 70_000):
        body = entropy.bytes(size)
        buffer = bytearray(body)
        view = memoryview(buffer)
        extents = await store.append_rows([view[: size // 3], view[size // 3 :]])
        buffer[:] = bytes(size)  # The pieces are ours again.
        assert sum(extent.length for extent in extents) == size
        parts = [await store.read(extent, 0, extent.length) for extent in extents]
        assert b"".join(parts) == body
        first = parts[0]
        for start in {0, len(first) // 2, len(first) - 1}:
            length = min(70_000, len(first) - start)
            read = await store.read(extents[0], start, length)
            assert read == first[start : start + length]
        assert await store.read(extents[0], 0, 0) == b""


async def _check_that_appends_may_run_side_by_side(store: ChunkStore) -> None:
    bodies = [SeededEntropy(seed).bytes(50_000 * seed) for seed in range(1, 12)]
    all_extents = await asyncio.gather(*(store.append_rows([body]) for body in bodies))
    for body, extents in zip(bodies, all_extents, strict=True):
        parts = [await store.read(extent, 0, extent.length) for extent in extents]
        assert b"".join(parts) == body


async def _check_that_ways_end(store: ChunkStore) -> None:
    """A reader that is never content hears DataLost in the end, and right bytes until then."""
    (extent,) = await store.append_rows([b"frame" * 1000])
    for attempt in range(100):
        try:
            assert await store.read(extent, 5, 10, attempt) == b"frameframe"
        except DataLost:
            break
    else:
        raise AssertionError("a chunk store has an end of ways to the same bytes")
    try:
        await store.read(Extent(b"\0" * 16, 0, 10, extent.unit), 0, 10)
    except DataLost:
        return
    raise AssertionError("a chunk that nobody knows is DataLost")


class DriveZone:
    """Drives in folders under `root`, chunk rows in memory, a store and a writer on them.

    It plays the catalog and the committer: `land` is a group of the log, `seal` a steward's work.
    """

    def __init__(
        self,
        disk: Disk,
        root: str,
        *,
        racks: int = 4,
        drives_per_rack: int = 4,
        wanted: Geometry = GEOMETRIES[0],
        sync_deadline: float = 20.0,
        stall_deadline: float = 20.0,
        read_deadline: float = 20.0,
        linger: float = 60.0,
    ) -> None:
        self.disk = disk
        self.clock = ManualClock()
        self.entropy = SeededEntropy(1)
        self.wanted = wanted
        self.rows: dict[bytes, Chunk] = {}
        self.noticed: list[tuple[bytes, int, bytes, str]] = []
        self.drives = DriveSet(disk, list(self._folders(root, racks, drives_per_rack)))
        self.writer = StripedWriter(
            self.drives,
            self._reserve,
            self._close,
            owner="worker-1",
            epoch=1,
            origin=ORIGIN,
            entropy=self.entropy,
            clock=self.clock,
            wanted=wanted,
            sync_deadline=sync_deadline,
            stall_deadline=stall_deadline,
            linger=linger,
        )
        self.store = self.new_store(read_deadline)
        self._landing: Landing | None = None
        self._landing_id = b""
        self._sequence = 0

    def new_store(self, read_deadline: float = 20.0) -> DriveChunkStore:
        """A store of another process: it has no file open."""
        return DriveChunkStore(
            self.drives,
            self.disk,
            self,
            self.clock,
            striped=self.writer,
            notice=lambda *what: self.noticed.append(what),
            read_deadline=read_deadline,
        )

    def chunk(self, chunk_id: bytes) -> Chunk | None:
        return self.rows.get(chunk_id)

    def rack(self, name: str) -> list[Drive]:
        return [drive for drive in self.drives.all() if drive.rack == name]

    async def land(self, *bodies: Buffer) -> list[Extent]:
        """One group of the log with these bodies, in the open landing chunk."""
        landing = self._landing or await self._open_landing()
        self._sequence += 1
        record = b"record %d" % self._sequence
        at = offset_of_first_blob(landing.end)
        await landing.append(frame_group(self._landing_id, 1, 1, self._sequence, bodies, record))
        extents: list[Extent] = []
        for body in bodies:
            extents.append(Extent(self._landing_id, at, len(body)))
            at += len(body)
        return extents

    def close_landing(self) -> Chunk:
        """The landing chunk takes no more; the next group opens another."""
        assert self._landing is not None
        self._landing.close()
        self._landing = None
        return self._set(self._landing_id, state=ChunkState.SEALING)

    async def seal(self, chunk: Chunk, *, keep_mirrors: bool = False) -> Chunk:
        sealed = await asyncio.to_thread(seal, chunk, self.drives, wanted=self.wanted)
        row = self._set(
            chunk.id,
            state=ChunkState.SEALED,
            k=sealed.k,
            m=sealed.m,
            members=sealed.members,
            length=sealed.length,
        )
        if not keep_mirrors:
            remove_mirrors(self.drives, chunk.id)
        return row

    async def _open_landing(self) -> Landing:
        self._landing_id = new_id(self.entropy, ORIGIN.zone_number, self.clock.now_ms())
        members = self.drives.choose_mirrors(3)
        header = ChunkHeader(
            region=ORIGIN.region,
            zone=ORIGIN.zone,
            chunk=self._landing_id,
            kind=ChunkKind.LANDING,
            role="mirror",
            index=0,
            k=1,
            m=len(members) - 1,
            members=(),
            epoch=1,
            key_id=ORIGIN.key_id,
            first_sequence=self._sequence + 1,
        )
        self._landing = await Landing.create(
            self.drives, header, members, self.clock, sync_deadline=20.0
        )
        self.rows[self._landing_id] = Chunk(
            id=self._landing_id,
            kind=ChunkKind.LANDING,
            state=ChunkState.OPEN,
            owner="committer",
            epoch=1,
            k=1,
            m=len(members) - 1,
            members=tuple(drive.id for drive in members),
        )
        return self._landing

    def _folders(self, root: str, racks: int, drives_per_rack: int) -> Sequence[Drive]:
        drives: list[Drive] = []
        for rack in range(1, racks + 1):
            for at in range(drives_per_rack):
                node, number = at // 2 + 1, at % 2 + 1
                name = f"r{rack}n{node}d{number}"
                if not self.disk.exists(f"{root}/{name}"):
                    self.disk.mkdir(f"{root}/{name}")
                    self.disk.sync_dir(root)
                drive_id = name.encode().ljust(16, b"\0")
                drives.append(Drive(drive_id, f"{root}/{name}", f"r{rack}n{node}", f"r{rack}"))
        return drives

    async def _reserve(self, chunk: Chunk) -> None:
        self.rows[chunk.id] = chunk

    async def _close(self, chunk_id: bytes) -> None:
        self._set(chunk_id, state=ChunkState.SEALED)

    def _set(self, chunk_id: bytes, **changes: object) -> Chunk:
        row = structs.replace(self.rows[chunk_id], **changes)
        self.rows[chunk_id] = row
        return row
