"""The collector, on a whole committer and recorded drives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from coffre.catalog import mutations as m
from coffre.catalog.audit import audit as audit_rows
from coffre.catalog.log import RecordCipher
from coffre.catalog.schema import open_reader
from coffre.stewards.collector import OWNER, Collecting, Collector
from coffre.stewards.sealer import Sealer
from coffre.stewards.sweeper import Sweeper
from coffre.testing.catalog_collection import audit
from coffre.testing.committing import BUCKET, ROOT, Node, RecordedZone, put, stored_body
from coffre.vault.drives import DriveState, temporary_path
from coffre.vault.headers import Origin
from coffre.vault.interface import DataLost
from coffre.vault.records import GEOMETRIES, Blob, Chunk, ChunkKind, ChunkState, Geometry
from coffre.vault.store import DriveChunkStore
from coffre.vault.striped import StripedWriter
from coffre.vault.superblock import SnapshotRef

ORIGIN = Origin("test", "one", 1, ROOT.id)
WANTED = GEOMETRIES[0]
INLINE = 20_000


class Requests:
    """What is open, as the test says."""

    began: float | None = None

    def oldest(self) -> float | None:
        return self.began


async def nothing() -> frozenset[bytes]:
    return frozenset()


async def unhurried(size: int) -> None:
    """No pace to keep."""


class Scene:
    """A node on its zone, a worker's chunk store, and a collector that is asked by hand."""

    def __init__(self, zone: RecordedZone, node: Node) -> None:
        self.zone = zone
        self.node = node
        self.requests = Requests()
        self.bodies: dict[bytes, bytes] = {}
        self.collectors = 0
        self.worker, self.worker_store = self.appending("worker-1")
        self.sealer = Sealer(node.reader, node.committer, node.drives, WANTED)
        self.collector = self.another_collector()

    def another_collector(self) -> Collector:
        """As the next process would have it."""
        self.collectors += 1
        owner = f"{OWNER}{self.collectors}"
        writer, store = self.appending(owner)
        return Collector(
            self.node.reader,
            self.node.committer,
            self.node.drives,
            store,
            self.requests,
            unhurried,
            self.zone.clock,
            Collecting(WANTED, INLINE),
            owner=owner,
            renew=writer.renew,
            cipher=lambda chunk: RecordCipher(ROOT, chunk.id),
            log_floor=self.log_floor,
        )

    def cover_log(self) -> None:
        """As though a snapshot of all rows had been taken now."""
        position = self.node.writer.position
        snapshot = SnapshotRef(b"snapshot".ljust(16), 1, position.sequence, position.hash, 1, 1)
        said = self.node.writer.said
        said.zone = replace(said.zone, snapshots=(snapshot,))

    async def log_floor(self) -> int:
        return self.node.writer.said.log_floor

    async def put(self, key: bytes, size: int) -> None:
        body = self.zone.entropy.bytes(size)
        mutation, pieces = put(key, body)
        if size > INLINE:
            extents = await self.worker_store.append_rows(pieces)
            mutation = m.PutVersion(
                BUCKET,
                key,
                mutation.manifest_id,
                Blob(mutation.blob.id, size, b"key id".ljust(16), b"wrapped", extents),
                mutation.facts,
            )
            pieces = []
        await self.node.committer.commit(mutation, pieces)
        self.bodies[key] = body

    async def delete(self, *keys: bytes) -> None:
        for key in keys:
            await self.node.committer.commit(m.DeleteVersion(BUCKET, key))
            del self.bodies[key]

    async def close_chunks(self) -> None:
        """All that was written is in closed chunks."""
        await self.worker.drain()
        await self.sealer.seal_now()
        # What was sealed beside the log is in the rows with the next group.
        await self.node.committer.commit(m.PutBucketDocument(BUCKET, "any", b"x"))

    async def collect(self) -> None:
        """Rounds until nothing is left to do."""
        idle = 0
        while idle < 4:
            done = await self.collector.round()
            await self.pass_time(3.0)
            idle = 0 if done.moved_bytes or done.did else idle + 1

    async def pass_time(self, seconds: float) -> None:
        """Between two things that are done, not during one: its deadline would be over."""
        await self.node.committer.commit(m.PutBucketDocument(BUCKET, "any", b"x"))
        while (spare := self.node.writer._making_spare) is not None:
            await asyncio.wait((spare,))
        self.zone.clock.advance(seconds)

    def chunks(self, *states: ChunkState) -> list[Chunk]:
        return [chunk for chunk in self.node.reader.chunks() if chunk.state in states]

    def striped(self) -> list[Chunk]:
        return [one for one in self.node.reader.chunks() if one.kind is ChunkKind.STRIPED]

    def files(self, chunk: Chunk) -> list[str]:
        return [path for path in self.zone.disk._names if chunk.id.hex() in path]

    async def check(self) -> None:
        """All is there, and every counter is right."""
        audit(self.node.reader)
        rows = open_reader(self.zone.catalog)
        assert audit_rows(rows).findings == []
        rows.close()
        for key, body in self.bodies.items():
            assert await stored_body(self.node, key) == body

    def appending(
        self, owner: str, wanted: Geometry = WANTED
    ) -> tuple[StripedWriter, DriveChunkStore]:
        node, zone = self.node, self.zone

        async def reserve(chunk: Chunk) -> None:
            await node.committer.commit(
                m.ReserveChunk(chunk.id, chunk.owner, 1, chunk.k, chunk.m, chunk.members)
            )

        async def close(chunk_id: bytes) -> None:
            await node.committer.commit(m.CloseChunk(chunk_id))

        writer = StripedWriter(
            node.drives,
            reserve,
            close,
            owner=owner,
            epoch=1,
            origin=ORIGIN,
            entropy=zone.entropy,
            clock=zone.clock,
            wanted=wanted,
        )
        store = DriveChunkStore(node.drives, zone.disk, node.reader, zone.clock, striped=writer)
        return writer, store


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    zone = RecordedZone(folder)
    scene = Scene(zone, await zone.founded())
    yield scene
    await scene.node.stop()


def keys(count: int, prefix: str = "k") -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]


async def test_what_lives_moves_out_and_the_files_of_the_rest_go(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        for key in keys(8):
            await scene.put(key, 300_000)
        await scene.close_chunks()
        (old,) = scene.striped()
        await scene.delete(*keys(6))
        await scene.collect()
        assert scene.node.reader.chunk(old.id) is None
        assert scene.files(old) == []
        assert len(scene.striped()) == 1
        await scene.check()


async def test_a_chunk_that_is_mostly_alive_stays(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        for key in keys(8):
            await scene.put(key, 196_000)
        await scene.close_chunks()
        (old,) = scene.striped()
        await scene.delete(*keys(1))
        await scene.collect()
        assert scene.node.reader.chunk(old.id) is not None
        await scene.check()


async def test_a_chunk_stays_while_a_request_is_open_that_may_read_it(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.put(b"a", 300_000)
        await scene.put(b"b", 300_000)
        await scene.close_chunks()
        (old,) = scene.striped()
        bucket = scene.node.reader.bucket(b"store".ljust(16), "bucket")
        assert bucket is not None
        version = scene.node.reader.current(bucket, b"a")
        assert version is not None
        assert version.manifest is not None
        assert version.manifest.blob is not None
        was = version.manifest.blob.extents
        body = scene.bodies[b"a"]
        scene.requests.began = scene.zone.clock.monotonic()
        await scene.delete(b"a", b"b")
        for _ in range(100):
            await scene.collector.round()
            await scene.pass_time(10.0)
        assert [chunk.id for chunk in scene.chunks(ChunkState.CONDEMNED)] == [old.id]
        parts = [await scene.worker_store.read(one, 0, one.length) for one in was]
        assert b"".join(parts)[:300_000] == body
        # One that began later reads other rows.
        scene.requests.began = scene.zone.clock.monotonic()
        await scene.collect()
        assert scene.files(old) == []
        with pytest.raises(DataLost):
            await DriveChunkStore(
                scene.node.drives, scene.zone.disk, scene.node.reader, scene.zone.clock
            ).read(was[0], 0, 10)


async def test_a_landing_chunk_waits_until_its_log_is_covered(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        for key in keys(30):
            await scene.put(key, 7_000)
        await scene.close_chunks()
        before = scene.chunks(ChunkState.SEALED)
        await scene.delete(*keys(29))
        await scene.close_chunks()
        await scene.collect()
        assert {one.id for one in before} <= {one.id for one in scene.chunks(ChunkState.SEALED)}
        scene.cover_log()
        await scene.collect()
        for chunk in before:
            assert scene.node.reader.chunk(chunk.id) is None
            assert scene.files(chunk) == []
        await scene.check()


async def test_a_dead_chunk_that_cannot_be_read_does_not_keep_others_from_going(
    tmp_path: Path,
) -> None:
    async with scene_in(tmp_path) as scene:
        for turn in "ab":
            for key in keys(4, turn):
                await scene.put(key, 7_000)
            await scene.close_chunks()
        dead = [one for one in scene.chunks(ChunkState.SEALED) if one.appended]
        await scene.delete(*scene.bodies)
        await scene.close_chunks()
        scene.cover_log()
        unreadable, *others = dead
        for path in scene.files(unreadable):
            scene.zone.disk.unlink(path)
        await scene.collect()
        assert others
        assert [scene.node.reader.chunk(one.id) for one in others] == [None] * len(others)
        assert scene.node.reader.chunk(unreadable.id) is not None


async def test_what_was_moved_is_found_by_the_next_collection(tmp_path: Path) -> None:
    """A blob's second home knows it by the record of its move."""
    async with scene_in(tmp_path) as scene:
        for turn in range(4):
            for key in keys(8, f"{turn}-"):
                await scene.put(key, 7_000)
            await scene.close_chunks()
            await scene.delete(*keys(7, f"{turn}-"))
            scene.cover_log()
            await scene.collect()
            await scene.close_chunks()
            await scene.check()
        scene.cover_log()
        await scene.collect()
        live = sum(chunk.appended - chunk.dead for chunk in scene.node.reader.chunks())
        assert live == sum(len(body) + 16 for body in scene.bodies.values())


async def test_bytes_that_nothing_ever_referred_to_come_back(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.put(b"kept", 100_000)
        await scene.worker_store.append_rows([bytes(3_000_000)])  # An upload that was cut.
        await scene.close_chunks()
        (old,) = scene.striped()
        assert old.appended == old.length
        await scene.collect()
        assert scene.node.reader.chunk(old.id) is None
        await scene.check()


async def test_chunks_are_laid_wide_again_when_drives_are_back(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        rack = [drive for drive in scene.node.drives.all() if drive.rack == "r4"]
        for drive in rack:
            scene.node.drives.mark(drive.id, DriveState.MISSING)
        for key in keys(4):
            await scene.put(key, 300_000)
        await scene.put(b"small", 5_000)
        await scene.close_chunks()
        narrow = scene.chunks(ChunkState.SEALED)
        assert {chunk.geometry for chunk in narrow} == {Geometry(8, 4)}
        await scene.collect()
        assert {one.id for one in narrow} <= {one.id for one in scene.chunks(ChunkState.SEALED)}
        for drive in rack:
            scene.node.drives.mark(drive.id, DriveState.PRESENT)
        await scene.collect()
        for chunk in narrow:
            left = scene.node.reader.chunk(chunk.id)
            assert left is None or left.appended == left.dead
        await scene.close_chunks()
        living = [chunk for chunk in scene.node.reader.chunks() if chunk.appended > chunk.dead]
        assert {chunk.geometry for chunk in living} == {WANTED}
        await scene.check()


async def test_a_collector_that_is_cut_anywhere_is_followed_by_one_that_ends(
    tmp_path: Path,
) -> None:
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        choose = random.Random(seed)
        async with scene_in(folder) as scene:
            for key in keys(10):
                await scene.put(key, choose.choice((9_000, 300_000)))
            await scene.close_chunks()
            await scene.delete(*choose.sample(keys(10), 7))
            scene.cover_log()
            for _ in range(6):
                work = asyncio.ensure_future(scene.collector.round())
                for _ in range(choose.randrange(60)):
                    await asyncio.sleep(0)
                work.cancel()
                await asyncio.wait((work,))
                await scene.pass_time(3.0)
                scene.collector = scene.another_collector()
                await scene.check()
            await scene.collect()
            await scene.check()


async def test_a_blob_that_is_replaced_while_it_moves_stays_replaced(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.put(b"a", 300_000)
        await scene.put(b"dead", 600_000)
        await scene.close_chunks()
        await scene.delete(b"dead")
        work = asyncio.ensure_future(scene.collector.round())
        while not work.done():
            await scene.put(b"a", 100_000)
            await asyncio.sleep(0)
        await work
        await scene.collect()
        await scene.check()


async def test_a_committer_that_starts_anew_closes_the_collectors_chunk(tmp_path: Path) -> None:
    """The collector finds out by being refused, and goes on in another."""
    async with scene_in(tmp_path) as scene:
        for turn in range(2):
            for key in keys(8, f"{turn}-"):
                await scene.put(key, 300_000)
            await scene.close_chunks()
            await scene.delete(*keys(6, f"{turn}-"))
            await scene.collect()
            for chunk in scene.chunks(ChunkState.OPEN):
                if chunk.kind is ChunkKind.STRIPED:
                    await scene.node.committer.commit(m.CloseChunk(chunk.id))
        await scene.pass_time(1000.0)
        await scene.collect()
        await scene.check()


async def test_the_sweeper_removes_what_no_row_names_and_only_after_a_while(
    tmp_path: Path,
) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.put(b"a", 300_000)
        await scene.close_chunks()
        (chunk,) = scene.striped()
        disk, drives = scene.zone.disk, scene.node.drives
        there = set(disk._names)
        path = scene.files(chunk)[0]
        disk.open(temporary_path(path), "create").close()
        folder = path.rsplit("/", 1)[0]
        kept = f"{folder}/lost+found"  # Not ours.
        lost = f"{folder}/{bytes(16).hex()}.0.segment"
        for one in (kept, lost):
            disk.open(one, "create").close()

        sweeper = Sweeper(scene.node.reader, drives, scene.zone.clock, epoch=1, named=nothing)
        assert (await sweeper.round()).left == 2
        assert (await sweeper.round()).did == 0
        await scene.pass_time(10_000.0)
        assert (await sweeper.round()).did == 2
        assert {*there, kept} <= set(disk._names)
        assert not disk.exists(lost)
        assert not disk.exists(temporary_path(path))
        await scene.check()
