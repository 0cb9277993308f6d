"""Group commit on sixteen recorded drives: what is answered, what is logged, what failure does."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from coffre.catalog import mutations as m
from coffre.catalog.group import Limits
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.log_state import LogSettings
from coffre.catalog.mutations import Refusal, Refused
from coffre.catalog.recovery import RecoveryRefused, Way
from coffre.catalog.schema import read_position
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.committing import Node, folders, initialize
from coffre.testing.disk import RecordingDisk
from coffre.vault.drives import Drive, mirror_path
from coffre.vault.landing import Landing
from coffre.vault.records import Blob, ChunkState, ciphertext_bytes
from coffre.vault.seal import remove_mirrors, seal

BUCKET = b"bucket".ljust(16, b".")


def put(
    key: bytes, body: bytes, *, if_none_match: bool = False
) -> tuple[m.PutVersion, list[bytes]]:
    """A put whose ciphertext is `body` and as many bytes more as its tags would be."""
    name = (key + body)[:16].ljust(16, b"#")
    blob = Blob(name, len(body), b"key id".ljust(16), b"wrapped")
    tags = b"t" * (ciphertext_bytes(len(body)) - len(body))
    condition = m.WriteCondition(if_none_match=if_none_match)
    facts = m.ObjectFacts("etag", "owner")
    return m.PutVersion(BUCKET, key, name, blob, facts, condition), [body, tags]


class Zone:
    """A recorded zone that nodes come and go on."""

    def __init__(self, tmp_path: Path) -> None:
        self.disk = RecordingDisk(folders("/drives"))
        self.clock = ManualClock()
        self.entropy = SeededEntropy(1)
        self.catalog = str(tmp_path / "catalog.sqlite")
        self.settings = LogSettings(capacity=64 * 1024, ahead=4096, sync_deadline=1.0)
        self.limits = Limits()
        self.nodes: list[Node] = []
        initialize(self.disk, "/drives", self.entropy)

    async def node(self) -> Node:
        node = await Node.start(
            self.disk,
            "/drives",
            self.catalog,
            self.clock,
            self.entropy,
            settings=self.settings,
            limits=self.limits,
        )
        self.nodes.append(node)
        return node

    async def founded(self) -> Node:
        """A node whose zone has the bucket."""
        node = await self.node()
        commit = node.committer.commit
        store, tenant = b"store".ljust(16), b"tenant".ljust(16)
        await commit(m.CreateTenant(tenant, "tenant"))
        await commit(
            m.CreateStore(store, "store", tenant, b"key id".ljust(16), b"root", b"wrapped")
        )
        await commit(m.CreateBucket(BUCKET, store, "bucket", "owner", "us-east-1"))
        return node

    def lose_catalog(self) -> None:
        for name in (self.catalog, f"{self.catalog}-wal", f"{self.catalog}-shm"):
            Path(name).unlink(missing_ok=True)

    def flip_a_bit_of_the_catalog(self) -> None:
        path = Path(self.catalog)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def catalog_bytes(self) -> bytes:
        return Path(self.catalog).read_bytes()


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[Zone]:
    zone = Zone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


async def body(node: Node, key: bytes) -> bytes | None:
    """The plain part of an object's stored bytes; None where there is none."""
    bucket = node.reader.bucket(b"store".ljust(16), "bucket")
    assert bucket is not None
    version = node.reader.current(bucket, key)
    if version is None:
        return None
    assert version.manifest is not None
    assert version.manifest.blob is not None
    blob = version.manifest.blob
    parts = [await node.store.read(one, 0, one.length) for one in blob.extents]
    return b"".join(parts)[: blob.size]


def syncs_of_groups(disk: RecordingDisk, since: int) -> int:
    return sum(
        event.operation == "sync" and event.path.endswith(".mirror")
        for event in disk.journal[since:]
    )


async def open_mirrors(node: Node) -> list[Drive]:
    (chunk,) = [c for c in node.reader.chunks() if c.state is ChunkState.OPEN]
    return [drive for one in chunk.members if (drive := node.drives.by_id(one))]


async def test_what_was_put_is_read_back_from_the_chunk(zone: Zone) -> None:
    node = await zone.founded()
    result = await node.committer.commit(*put(b"a", b"hello"))
    assert isinstance(result, m.Written)
    assert result.size == 5
    assert await body(node, b"a") == b"hello"


async def test_what_waits_together_is_synced_once_a_mirror(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"warm", b"up"))
    since = len(zone.disk.journal)
    await asyncio.gather(*(node.committer.commit(*put(b"%d" % n, b"x" * n)) for n in range(100)))
    # The first one alone, then, while it syncs, all others.
    assert syncs_of_groups(zone.disk, since) <= 2 * 3 + 3
    for n in range(100):
        assert await body(node, b"%d" % n) == b"x" * n


async def test_a_refused_put_leaves_no_bytes_and_harms_no_neighbour(zone: Zone) -> None:
    node = await zone.founded()
    first, refused, last = await asyncio.gather(
        node.committer.commit(*put(b"a", b"one")),
        node.committer.commit(*put(b"a", b"two", if_none_match=True)),
        node.committer.commit(*put(b"b", b"three")),
        return_exceptions=True,
    )
    assert isinstance(first, m.Written)
    assert isinstance(refused, Refusal)
    assert refused.code == "PreconditionFailed"
    assert isinstance(last, m.Written)
    assert (await body(node, b"a"), await body(node, b"b")) == (b"one", b"three")
    assert not any(b"two" + b"t" * 16 in event.data for event in zone.disk.journal)


async def test_a_group_that_changes_nothing_is_not_logged(zone: Zone) -> None:
    node = await zone.founded()
    position, events = node.writer.position, len(zone.disk.journal)
    assert isinstance(await node.committer.commit(m.DeleteVersion(BUCKET, b"missing")), m.Deleted)
    with pytest.raises(Refusal):
        await node.committer.commit(m.DeleteBucket(b"nowhere".ljust(16)))
    assert node.writer.position == position
    groups = [e for e in zone.disk.journal[events:] if e.path.endswith(".mirror") and e.offset]
    assert groups == []


async def test_a_body_of_another_length_than_its_blob_is_refused(zone: Zone) -> None:
    node = await zone.founded()
    mutation, pieces = put(b"a", b"hello")
    with pytest.raises(Refusal):
        await node.committer.commit(mutation, pieces[:1])
    with pytest.raises(Refusal):
        await node.committer.commit(mutation)
    assert await body(node, b"a") is None


async def test_several_mutations_share_one_group_each_on_its_own_terms(zone: Zone) -> None:
    node = await zone.founded()
    sequence = node.writer.position.sequence
    answers = await node.committer.commit_all(
        [
            m.CreateTenant(b"t1".ljust(16), "one"),
            m.DeleteBucket(b"nowhere".ljust(16)),
            m.CreateTenant(b"t2".ljust(16), "two"),
        ]
    )
    assert [type(answer) for answer in answers] == [m.Done, Refused, m.Done]
    assert node.writer.position.sequence == sequence + 1


async def test_too_much_waiting_is_said_at_once(zone: Zone) -> None:
    zone.limits = Limits(queued_mutations=3)
    node = await zone.founded()
    waiting = [node.committer.submit(*put(b"%d" % n, b"x")) for n in range(3)]
    with pytest.raises(CommitterBusy):
        node.committer.submit(*put(b"more", b"x"))
    assert not any(isinstance(answer, Refused) for answer in await asyncio.gather(*waiting))


async def test_a_full_chunk_is_rolled_closed_with_its_length_and_stays_readable(zone: Zone) -> None:
    node = await zone.founded()
    for n in range(20):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
    states = [chunk.state for chunk in node.reader.chunks()]
    assert states.count(ChunkState.OPEN) == 1
    assert states.count(ChunkState.SEALING) >= 2
    for chunk in node.reader.chunks():
        if chunk.state is ChunkState.SEALING:
            done = seal(chunk, node.drives)
            assert done.length == chunk.length
            short = m.SealChunk(done.id, done.k, done.m, done.members, done.length - 1)
            with pytest.raises(Refusal, match="InternalError"):
                await node.committer.commit(short)
    for n in range(20):
        assert await body(node, b"%d" % n) == bytes([n]) * 10_000


async def test_a_group_larger_than_a_chunk_gets_one_of_its_own(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"big", b"x" * 200_000))
    await node.committer.commit(*put(b"small", b"y"))
    assert await body(node, b"big") == b"x" * 200_000


async def test_a_chunk_is_closed_in_time_and_an_idle_node_closes_no_more(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    zone.clock.advance(61)
    await node.committer.close_all()  # Any call wakes the committer; nothing is left open.
    node.committer.submit(*put(b"b", b"x"))
    await node.committer.commit(m.DeleteVersion(BUCKET, b"b"))
    zone.clock.advance(61)
    await node.committer.commit(m.CloseChunk(node.reader.chunks()[0].id))
    (before,) = [c for c in node.reader.chunks() if c.state is ChunkState.OPEN]
    for _ in range(5):
        zone.clock.advance(61)
        await node.committer.commit(m.CloseChunk(node.reader.chunks()[0].id))
    (after,) = [c for c in node.reader.chunks() if c.state is ChunkState.OPEN]
    assert after == before


async def test_the_timer_closes_a_chunk_without_any_caller(zone: Zone) -> None:
    zone.settings = LogSettings(seal_after=0.05)
    node = await zone.founded()
    closed = asyncio.Event()

    def committing() -> bool:
        closed.set()
        return False

    node.recovered.db.set_commit_hook(committing)
    zone.clock.advance(0.06)
    await closed.wait()
    assert [c.state for c in node.reader.chunks()].count(ChunkState.SEALING) == 1


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("moment", [0, 3])
async def test_a_failed_mirror_is_ejected_and_the_group_goes_elsewhere(
    zone: Zone, operation: str, moment: int
) -> None:
    node = await zone.founded()
    for n in range(moment):
        await node.committer.commit(*put(b"before %d" % n, b"old"))
    victim = (await open_mirrors(node))[1]
    epoch = node.writer.epoch
    zone.disk.fail(f"{victim.path}/chunks", operation, errno.EIO, times=1)  # type: ignore[arg-type]
    await asyncio.gather(*(node.committer.commit(*put(b"k%d" % n, b"new")) for n in range(5)))
    assert node.writer.epoch == epoch + 1
    assert victim.id not in (drive.id for drive in await open_mirrors(node))
    for chunk in node.reader.chunks():
        assert victim.id not in chunk.members
    for n in range(5):
        assert await body(node, b"k%d" % n) == b"new"
    await node.kill()
    again = await zone.node()
    assert again.recovered.way is Way.EQUAL
    assert again.writer.epoch == epoch + 2
    assert await body(again, b"k4") == b"new"


async def test_a_late_mirror_is_ejected_too(zone: Zone) -> None:
    zone.settings = LogSettings(sync_deadline=0.05)
    node = await zone.founded()
    victim = (await open_mirrors(node))[0]
    zone.disk.slow(f"{victim.path}/chunks", 0.3)
    await node.committer.commit(*put(b"a", b"hello"))
    assert victim.id not in (drive.id for drive in await open_mirrors(node))
    assert await body(node, b"a") == b"hello"


async def test_when_all_mirrors_fail_at_once_nothing_acknowledged_is_lost(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"old", b"old"))
    for drive in await open_mirrors(node):
        zone.disk.fail(f"{drive.path}/chunks", "sync", errno.EIO, times=1)
    await node.committer.commit(*put(b"new", b"new"))
    await node.kill()
    again = await zone.node()
    assert await body(again, b"old") == b"old"
    assert await body(again, b"new") == b"new"


async def test_full_drives_refuse_bodies_but_not_deletes(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.committer.close_all()
    for folder in folders("/drives"):
        zone.disk.full(folder, 1 << 20)
    refused, done = await asyncio.gather(
        node.committer.commit(*put(b"b", b"x")),
        node.committer.commit(m.DeleteVersion(BUCKET, b"a")),
        return_exceptions=True,
    )
    assert isinstance(refused, Refusal)
    assert refused.code == "InsufficientStorage"
    assert isinstance(done, m.Deleted)
    assert await body(node, b"a") is None


async def test_without_enough_superblocks_a_new_chunk_is_refused_and_nothing_happened(
    zone: Zone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.committer.close_all()
    for folder in folders("/drives")[:5]:
        zone.disk.fail(f"{folder}/superblock", "write", errno.EIO)
    with pytest.raises(Refusal, match="ServiceUnavailable"):
        await node.committer.commit(*put(b"b", b"x"))
    for folder in folders("/drives")[:5]:
        zone.disk.heal(f"{folder}/superblock")
    await node.committer.commit(*put(b"c", b"again"))
    await node.kill()
    again = await zone.node()
    found = [await body(again, key) for key in (b"a", b"b", b"c")]
    assert found == [b"hello", None, b"again"]


async def test_a_failed_commit_after_the_log_is_rolled_forward(zone: Zone) -> None:
    node = await zone.founded()
    db = node.recovered.db
    failing = [True]
    db.set_commit_hook(lambda: failing.pop() if failing else False)
    await node.committer.commit(*put(b"a", b"hello"))
    assert not failing
    assert await body(node, b"a") == b"hello"
    position = read_position(db)
    assert (position.sequence, position.hash) == (
        node.writer.position.sequence,
        node.writer.position.hash,
    )
    await node.committer.commit(*put(b"b", b"more"))
    assert await body(node, b"b") == b"more"


async def test_killed_between_the_logs_sync_and_commit_the_next_start_rolls_forward(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"old"))
    synced = asyncio.Event()
    append = Landing.append

    async def append_and_hang(self: Landing, pieces: list[bytes]) -> None:
        await append(self, pieces)
        synced.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Landing, "append", append_and_hang)
    lost = node.committer.submit(*put(b"a", b"new"))
    queued = node.committer.submit(*put(b"b", b"queued"))
    await synced.wait()
    await node.kill()
    monkeypatch.undo()
    with pytest.raises(CommitUnknown):
        await lost
    with pytest.raises(CommitUnknown):
        await queued
    again = await zone.node()
    assert (again.recovered.way, again.recovered.replayed) == (Way.REPLAYED, 1)
    assert await body(again, b"a") == b"new"


async def test_a_lost_catalog_comes_back_from_the_log_sealed_or_not(zone: Zone) -> None:
    node = await zone.founded()
    for n in range(12):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
    for chunk in node.reader.chunks():
        if chunk.state is ChunkState.SEALING:
            done = seal(chunk, node.drives)
            await node.committer.commit(
                m.SealChunk(done.id, done.k, done.m, done.members, done.length)
            )
            remove_mirrors(node.drives, chunk.id)
    await node.committer.commit(*put(b"last", b"one"))
    before = node.reader.chunks()
    await node.kill()
    zone.lose_catalog()
    again = await zone.node()
    assert again.recovered.way is Way.REBUILT
    assert again.reader.chunks() == before
    for n in range(12):
        assert await body(again, b"%d" % n) == bytes([n]) * 10_000
    assert await body(again, b"last") == b"one"


async def test_after_seal_now_any_four_drives_and_the_catalog_may_go(zone: Zone) -> None:
    node = await zone.founded()
    for n in range(8):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
    chunks = await node.committer.close_all()
    seals = [seal(chunk, node.drives) for chunk in chunks]
    await node.committer.record_sealed(
        [m.SealChunk(s.id, s.k, s.m, s.members, s.length) for s in seals]
    )
    for chunk in chunks:
        remove_mirrors(node.drives, chunk.id)
    assert await node.committer.close_all() == ()
    assert await body(node, b"3") == bytes([3]) * 10_000
    await node.kill()
    zone.lose_catalog()
    for folder in folders("/drives")[:4]:
        zone.disk.lose(folder)
    again = await zone.node()
    for n in range(8):
        assert await body(again, b"%d" % n) == bytes([n]) * 10_000
    await again.committer.commit(*put(b"next", b"x"))
    states = {c.id: c.state for c in again.reader.chunks()}
    assert all(states[chunk.id] is ChunkState.SEALED for chunk in chunks)
    assert len(states) == len(chunks) + 1


async def test_a_write_between_closing_and_recording_is_no_obstacle(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    chunks = await node.committer.close_all()
    await node.committer.commit(*put(b"b", b"between"))
    done = [seal(chunk, node.drives) for chunk in chunks]
    await node.committer.record_sealed(
        [m.SealChunk(s.id, s.k, s.m, s.members, s.length) for s in done]
    )
    states = {c.id: c.state for c in node.reader.chunks()}
    assert all(states[chunk.id] is ChunkState.SEALED for chunk in chunks)


async def test_damage_in_the_catalog_is_noticed_and_it_is_rebuilt(zone: Zone) -> None:
    node = await zone.founded()
    for n in range(50):
        await node.committer.commit(*put(b"%d" % n, b"x"))
    node.recovered.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await node.kill()
    zone.flip_a_bit_of_the_catalog()
    again = await zone.node()
    assert again.recovered.way is Way.REBUILT
    assert zone.catalog.split("/")[-1] + ".set-aside" in os.listdir(os.path.dirname(zone.catalog))
    assert await body(again, b"49") == b"x"


async def test_a_catalog_of_another_history_is_rebuilt(zone: Zone, tmp_path: Path) -> None:
    other = Zone(tmp_path)
    other.catalog = str(tmp_path / "other.sqlite")
    other.entropy = SeededEntropy(2)
    strange = await other.founded()
    await strange.stop()
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.stop()
    shutil.copy(other.catalog, zone.catalog)
    again = await zone.node()
    assert again.recovered.way is Way.REBUILT
    assert await body(again, b"a") == b"hello"


async def test_a_catalog_ahead_of_the_log_is_left_alone_and_the_operator_asked(zone: Zone) -> None:
    node = await zone.founded()
    await node.stop()
    image = zone.disk.image(len(zone.disk.journal), random.Random(1))
    node = await zone.node()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.stop()
    before = zone.catalog_bytes()
    zone.disk = image
    with pytest.raises(RecoveryRefused, match="move"):
        await zone.node()
    assert zone.catalog_bytes() == before


async def test_a_catalog_of_a_newer_version_is_refused(zone: Zone) -> None:
    node = await zone.founded()
    node.recovered.db.pragma("user_version", 99)
    node.recovered.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await node.kill()
    with pytest.raises(RecoveryRefused, match="schema 99"):
        await zone.node()


async def test_without_any_mirror_of_the_logs_end_the_start_is_refused_by_drive(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await asyncio.sleep(0)
    mirrors = await open_mirrors(node)
    await node.kill()
    for drive in mirrors:
        zone.disk.lose(drive.path)
    with pytest.raises(RecoveryRefused, match=mirrors[0].path):
        await zone.node()
    zone.disk.heal(mirrors[2].path)
    again = await zone.node()
    assert await body(again, b"a") == b"hello"
    assert not again.drives.member(mirrors[0].id)
    (chunk, *_) = again.reader.chunks()
    named = again.recovered.start.superblock.log.unsealed[0].members
    assert len(named) == 3
    for member in named:
        found = again.drives.member(member)
        assert found is not None
        assert zone.disk.exists(mirror_path(found, chunk.id))
    await again.committer.commit(*put(b"b", b"x"))
    rows = {c.id: c for c in again.reader.chunks()}
    assert set(rows[chunk.id].members) == set(named)


async def test_a_clean_stop_is_marked_and_the_next_start_has_nothing_to_do(zone: Zone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.stop()
    again = await zone.node()
    assert (again.recovered.way, again.recovered.replayed) == (Way.EQUAL, 0)
    assert await body(again, b"a") == b"hello"


async def test_a_fault_of_ours_in_one_mutation_stays_its_own(zone: Zone) -> None:
    node = await zone.founded()
    broken = m.CreateTenant(b"t".ljust(16), 5)  # type: ignore[arg-type]
    sound = put(b"a", b"hello")
    answers = await asyncio.gather(
        node.committer.submit(broken), node.committer.submit(*sound), return_exceptions=True
    )
    assert isinstance(answers[1], m.Written)


async def test_after_the_end_calls_are_refused(zone: Zone) -> None:
    node = await zone.founded()
    await node.stop()
    with pytest.raises(CommitterBusy):
        node.committer.submit(*put(b"a", b"x"))
    with pytest.raises(CommitUnknown):
        await node.committer.close_all()
