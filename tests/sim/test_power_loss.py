"""Power loss at random moments of recorded runs: what was acknowledged is there, byte for byte.

A run is writers with a bucket each, a sealer, mirrors that fail, committers that are killed, on
sixteen recorded drives. An image is what those drives may hold when power goes at some moment:
un-synced writes are kept, dropped or torn, drive by drive; up to two drives or a rack may be gone
with it; the catalog file is the newest, an earlier one, absent or garbage. The node that starts on
an image must show each writer the state after its last acknowledged step, or after the step that
was under way, whole; also when that start is itself cut and made again.

A failure names seed and moment: `COFFRE_TEST_SEED=n` runs that seed alone. `COFFRE_LONG=1`: more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.log_state import LogSettings
from coffre.catalog.mutations import Mutation
from coffre.catalog.records import PartIndex
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.committing import LABELS, Node, folders, initialize
from coffre.testing.disk import RecordingDisk, draw_policy
from coffre.vault.records import Blob, ChunkState, ciphertext_bytes
from coffre.vault.seal import remove_mirrors, seal

LONG = bool(os.environ.get("COFFRE_LONG"))
ONE = os.environ.get("COFFRE_TEST_SEED")
SEEDS = [int(ONE)] if ONE else list(range(120 if LONG else 12))
IMAGES = 40 if LONG else 26
STEPS = 40
DRIVES = "/drives"
STORE = b"store".ljust(16, b".")
CATALOG_STATES = ("newest", "newest", "earlier", "absent", "garbage")


@dataclass(frozen=True)
class State:
    """What a writer's bucket holds: stored bytes by key, and by upload and part number."""

    objects: dict[bytes, bytes] = field(default_factory=dict)
    uploads: dict[bytes, dict[int, bytes]] = field(default_factory=dict)

    def with_object(self, key: bytes, body: bytes | None) -> State:
        objects = {k: v for k, v in self.objects.items() if k != key}
        return State(objects if body is None else {**objects, key: body}, self.uploads)

    def with_upload(self, upload: bytes, parts: dict[int, bytes] | None) -> State:
        uploads = {k: v for k, v in self.uploads.items() if k != upload}
        return State(self.objects, uploads if parts is None else {**uploads, upload: parts})


@dataclass
class Step:
    """A change that was asked for when `asked` events were on record, and answered at `acked`."""

    asked: int
    after: State
    acked: int | None = None


class Writer:
    """One client: its steps follow each other, so one at most is under way."""

    def __init__(self, run: Run, number: int) -> None:
        self.run = run
        self.name = f"bucket-{number}"
        self.bucket = self.name.encode().ljust(16, b".")
        self.state = State()
        self.steps: list[Step] = []

    async def work(self) -> None:
        for _ in range(STEPS):
            mutation, body, after = self.choose()
            step = Step(self.run.now, after)
            self.steps.append(step)
            try:
                await self.run.node.committer.commit(mutation, body)
            except (CommitUnknown, CommitterBusy):
                await self.run.restarted.wait()
                seen = await observe(self.run.node, self)
                assert seen in (self.state, after), "half a step is there after a kill"
                self.state = seen
                self.steps.append(Step(step.asked, seen, self.run.now))
            else:
                self.state = after
                step.acked = self.run.now
                self.run.answered()

    def allowed(self, moment: int) -> list[State]:
        """The states that may be found after power went when `moment` events had happened."""
        states = [State()]
        for step in self.steps:
            if step.acked is not None and step.acked <= moment:
                states = [step.after]
            elif step.asked <= moment:
                states.append(step.after)
        return states

    def choose(self) -> tuple[Mutation, list[bytes], State]:
        rng, state = self.run.rng, self.state
        way = rng.random()
        if state.uploads and way < 0.4:
            return self.go_on_with(rng.choice(list(state.uploads)))
        key = b"key %d" % rng.randrange(8)
        if way < 0.5:
            upload = self.run.id()
            create = m.CreateUpload(upload, self.bucket, key, self.run.id(), "owner")
            return create, [], state.with_upload(upload, {})
        if way < 0.65:
            return m.DeleteVersion(self.bucket, key), [], state.with_object(key, None)
        blob, body = self.run.blob()
        put = m.PutVersion(self.bucket, key, self.run.id(), blob, m.ObjectFacts("etag", "owner"))
        return put, [body], state.with_object(key, body)

    def go_on_with(self, upload: bytes) -> tuple[Mutation, list[bytes], State]:
        rng, parts = self.run.rng, self.state.uploads[upload]
        way = rng.random()
        if way < 0.15:
            return m.AbortUpload(upload), [], self.state.with_upload(upload, None)
        if way < 0.65 or not parts:
            number = rng.randint(1, 5)
            blob, body = self.run.blob()
            after = self.state.with_upload(upload, {**parts, number: body})
            return m.PutPart(upload, number, "etag", blob), [body], after
        reader = self.run.node.reader
        found, stored = reader.upload(upload), reader.parts(upload, after=0, limit=1000)
        assert found is not None
        complete = m.CompleteUpload(
            upload,
            tuple(m.ChosenPart(part.number, part.blob.id) for part in stored),
            tuple(PartIndex(part.number, part.size) for part in stored),
            m.ObjectFacts("etag", "owner"),
        )
        body = b"".join(parts[number] for number in sorted(parts))
        after = self.state.with_upload(upload, None).with_object(found.key, body)
        return complete, [], after


class Run:
    """One recorded run."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.entropy = SeededEntropy(seed)
        self.clock = ManualClock()
        self.disk = RecordingDisk(folders(DRIVES))
        self.folder = folder
        self.catalog = str(folder / "catalog.sqlite")
        self.writers = [Writer(self, number) for number in range(5)]
        self.restarted = asyncio.Event()
        self.more = asyncio.Event()
        self.acks = 0
        self.ejected = 0
        # Committed states of the catalog file: (events on record, file, WAL).
        self.catalogs: list[tuple[int, bytes, bytes]] = []
        self.began = 0
        self.node: Node

    @property
    def now(self) -> int:
        return len(self.disk.journal)

    def id(self) -> bytes:
        return self.entropy.bytes(16)

    def blob(self) -> tuple[Blob, bytes]:
        size = self.rng.choice((0, 1, 400, self.rng.randrange(4000), 70_000))
        blob = Blob(self.id(), size, b"key id".ljust(16), b"wrapped")
        return blob, self.entropy.bytes(ciphertext_bytes(size))

    async def record(self) -> None:
        initialize(self.disk, DRIVES, self.entropy)
        self.node = await self.start(self.disk, self.catalog)
        commit, tenant = self.node.committer.commit, b"tenant".ljust(16)
        await commit(m.CreateTenant(tenant, "tenant"))
        await commit(m.CreateStore(STORE, "store", tenant, b"key id".ljust(16), b"root", b"w"))
        for writer in self.writers:
            await commit(m.CreateBucket(writer.bucket, STORE, writer.name, "owner", "us-east-1"))
        self.keep_catalog()
        self.restarted.set()
        self.began = self.now
        trouble = asyncio.create_task(self.trouble())
        await asyncio.gather(*(writer.work() for writer in self.writers))
        trouble.cancel()
        await asyncio.wait((trouble,))
        if not trouble.cancelled():
            trouble.result()
        await self.end(self.node)

    async def start(self, disk: RecordingDisk, catalog: str) -> Node:
        settings = LogSettings(capacity=96 * 1024, ahead=8192, sync_deadline=3600)
        return await Node.start(
            disk,
            DRIVES,
            catalog,
            self.clock,
            self.entropy,
            settings=settings,
            superblock_deadline=20,
        )

    async def end(self, node: Node) -> None:
        """kill -9: what the process had begun to write is in the page cache, or not."""
        await node.kill()
        for thread in threading.enumerate():
            if thread.name in ("landing", "superblock") and thread.ident is not None:
                await asyncio.to_thread(thread.join, 30)
                assert not thread.is_alive()

    def answered(self) -> None:
        self.acks += 1
        self.more.set()
        if self.acks % 3 == 0:
            self.keep_catalog()

    def keep_catalog(self) -> None:
        files = (Path(self.catalog), Path(f"{self.catalog}-wal"))
        main, wal = (file.read_bytes() if file.exists() else b"" for file in files)
        self.catalogs.append((self.now, main, wal))

    async def trouble(self) -> None:
        """Sealing, time, failing mirrors and kills, while the writers work."""
        while True:
            for _ in range(self.rng.randint(2, 12)):
                self.more.clear()
                await self.more.wait()
            way = self.rng.random()
            if way < 0.35:
                await self.seal_closed()
            elif way < 0.5:
                await self.seal_now()
            elif way < 0.65:
                self.clock.advance(61)
            elif way < 0.85 and self.ejected < 2:
                self.ejected += 1
                self.let_a_mirror_fail()
            elif way >= 0.85:
                await self.kill()

    async def seal_closed(self) -> None:
        for chunk in self.node.reader.chunks():
            if chunk.state is ChunkState.SEALING:
                s = seal(chunk, self.node.drives)
                change = m.SealChunk(s.id, s.k, s.m, s.members, s.length)
                await self.node.committer.commit(change)
                remove_mirrors(self.node.drives, chunk.id)

    async def seal_now(self) -> None:
        chunks = await self.node.committer.close_all()
        seals = [seal(chunk, self.node.drives) for chunk in chunks]
        await self.node.committer.record_sealed(
            [m.SealChunk(s.id, s.k, s.m, s.members, s.length) for s in seals]
        )
        for chunk in chunks:
            remove_mirrors(self.node.drives, chunk.id)

    def let_a_mirror_fail(self) -> None:
        for chunk in self.node.reader.chunks():
            drive = self.node.drives.member(self.rng.choice(chunk.members))
            if chunk.state is ChunkState.OPEN and drive is not None:
                operation = self.rng.choice(("write", "sync"))
                folder = f"{drive.path}/chunks"
                self.disk.fail(folder, operation, errno.EIO, times=1)  # type: ignore[arg-type]

    async def kill(self) -> None:
        """And start again, in the middle of syncs half of the time: what they were to make sure
        is in the page cache, where the next start finds it, and may never be on a drive."""
        self.restarted.clear()
        unfinished = self.rng.random() < 0.5
        if unfinished:
            self.disk.fail(DRIVES, "sync", errno.EIO)
        await self.end(self.node)
        if unfinished:
            self.disk.heal(DRIVES)
        self.node = await self.start(self.disk, self.catalog)
        self.restarted.set()


async def observe(node: Node, writer: Writer) -> State:
    """What a writer's bucket holds, every byte of it read; the bucket's counters must agree."""
    bucket = node.reader.bucket(STORE, writer.name)
    assert bucket is not None
    state = State()
    listing = node.reader.list_current(bucket, prefix=b"", delimiter=b"", after=b"", limit=1000)
    for listed in listing.objects:
        version = node.reader.current(bucket, listed.key)
        assert version is not None
        assert version.manifest is not None
        blobs = (
            [part.blob for part in node.reader.manifest_parts(version.manifest.id, 1, 10_000)]
            if version.manifest.blob is None
            else [version.manifest.blob]
        )
        assert sum(blob.size for blob in blobs) == version.size
        state = state.with_object(listed.key, b"".join([await read(node, b) for b in blobs]))
    assert bucket.objects == len(state.objects)
    assert bucket.bytes == sum(listed.size for listed in listing.objects)
    uploads = node.reader.list_uploads(
        bucket, prefix=b"", delimiter=b"", after_key=b"", after_upload=b"", limit=1000
    )
    for upload in uploads.uploads:
        parts = node.reader.parts(upload.id, after=0, limit=1000)
        bodies = {part.number: await read(node, part.blob) for part in parts}
        state = state.with_upload(upload.id, bodies)
    return state


async def read(node: Node, blob: Blob) -> bytes:
    pieces = [await node.store.read(extent, 0, extent.length) for extent in blob.extents]
    assert sum(map(len, pieces)) == blob.stored_bytes
    return b"".join(pieces)


def put_catalog(run: Run, path: Path, moment: int, rng: random.Random) -> str:
    """Leave a catalog file as it may be found; how."""
    before = [kept for kept in run.catalogs if kept[0] <= moment]
    way = rng.choice(CATALOG_STATES)
    if way == "absent":
        return way
    _, main, wal = before[-1] if way == "newest" else rng.choice(before)
    if way == "garbage":
        main, wal = rng.choice(((rng.randbytes(8192), b""), (main[: len(main) // 2], wal[:100])))
    path.write_bytes(main)
    Path(f"{path}-wal").write_bytes(wal)
    return way


def lose_drives(disk: RecordingDisk, rng: random.Random) -> list[str]:
    """Up to two drives, or a rack."""
    if rng.random() < 0.5:
        gone = rng.sample(folders(DRIVES), rng.randint(1, 2))
    else:
        rack = rng.choice(LABELS).rack
        labelled = zip(folders(DRIVES), LABELS, strict=True)
        gone = [folder for folder, label in labelled if label.rack == rack]
    for folder in gone:
        disk.lose(folder)
    return gone


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def restore(folder: Path, files: dict[Path, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for path, data in files.items():
        path.write_bytes(data)


async def examine(run: Run, moment: int, seed: int, folder: Path) -> None:
    """Start a node on one image, look, go on, and do so again with the start cut."""
    rng = random.Random(seed)
    disk = run.disk.image(moment, rng, policy_by_prefix=draw_policy(folders(DRIVES), rng))
    gone = lose_drives(disk, rng) if not run.ejected and rng.random() < 0.4 else []
    catalog = folder / "catalog.sqlite"
    way = put_catalog(run, catalog, moment, rng)
    cut = rng.random() < 0.4
    if cut:
        before = read_files(folder)
        node = await run.start(disk, str(catalog))
        await run.end(node)
        until = rng.randrange(len(disk.journal) + 1)
        disk = disk.image(until, rng, policy_by_prefix=draw_policy(folders(DRIVES), rng))
        for path in gone:
            disk.lose(path)
        restore(folder, before)
    node = await run.start(disk, str(catalog))
    for writer in run.writers:
        found, allowed = await observe(node, writer), writer.allowed(moment)
        assert found in allowed, f"{writer.name}, catalog {way}, gone {gone}, cut {cut}"
    writer = run.writers[0]
    blob, body = run.blob()
    facts = m.ObjectFacts("etag", "owner")
    change = m.PutVersion(writer.bucket, b"after", run.id(), blob, facts)
    await node.committer.commit(change, [body])
    assert (await observe(node, writer)).objects[b"after"] == body
    await run.end(node)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_acknowledged_survives_power_loss(seed: int, folder: Path) -> None:
    run = Run(seed, folder)
    await run.record()
    rng = random.Random(seed + 1_000_000)
    for number in range(IMAGES):
        moment = rng.randint(run.began, run.now)
        place = folder / str(number)
        place.mkdir()
        try:
            await examine(run, moment, rng.randrange(1 << 32), place)
        except BaseException as error:
            error.add_note(f"COFFRE_TEST_SEED={seed}, image {number}, moment {moment}")
            raise
