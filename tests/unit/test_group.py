"""Group commit on sixteen recorded drives: what is answered, what is logged, what failure does."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from coffre.catalog import mutations as m
from coffre.catalog.group import Limits
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.log_state import MANY_UNSEALED, MOST_UNSEALED, LogSettings
from coffre.catalog.mutations import Refusal, Refused
from coffre.catalog.recovery import Way
from coffre.catalog.schema import read_position
from coffre.testing.committing import (
    BUCKET,
    Node,
    RecordedZone,
    folders,
    open_mirrors,
    put,
    stored_body,
)
from coffre.testing.disk import RecordingDisk
from coffre.vault.records import ChunkState
from coffre.vault.seal import seal
from coffre.vault.superblock import LandingRef, SuperblockTooLarge


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


def syncs_of_groups(disk: RecordingDisk, since: int) -> int:
    return sum(
        event.operation == "sync" and event.path.endswith(".mirror")
        for event in disk.journal[since:]
    )


async def test_what_was_put_is_read_back_from_the_chunk(zone: RecordedZone) -> None:
    node = await zone.founded()
    result = await node.committer.commit(*put(b"a", b"hello"))
    assert isinstance(result, m.Written)
    assert result.size == 5
    assert await stored_body(node, b"a") == b"hello"


async def test_what_waits_together_is_synced_once_a_mirror(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"warm", b"up"))
    since = len(zone.disk.journal)
    await asyncio.gather(*(node.committer.commit(*put(b"%d" % n, b"x" * n)) for n in range(100)))
    # The first one alone, then, while it syncs, all others.
    assert syncs_of_groups(zone.disk, since) <= 2 * 3 + 3
    for n in range(100):
        assert await stored_body(node, b"%d" % n) == b"x" * n


async def test_a_refused_put_leaves_no_bytes_and_harms_no_neighbour(zone: RecordedZone) -> None:
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
    assert (await stored_body(node, b"a"), await stored_body(node, b"b")) == (b"one", b"three")
    assert not any(b"two" + b"t" * 16 in event.data for event in zone.disk.journal)


async def test_a_group_that_changes_nothing_is_not_logged(zone: RecordedZone) -> None:
    node = await zone.founded()
    position, events = node.writer.position, len(zone.disk.journal)
    assert isinstance(await node.committer.commit(m.DeleteVersion(BUCKET, b"missing")), m.Deleted)
    with pytest.raises(Refusal):
        await node.committer.commit(m.DeleteBucket(b"nowhere".ljust(16)))
    assert node.writer.position == position
    groups = [e for e in zone.disk.journal[events:] if e.path.endswith(".mirror") and e.offset]
    assert groups == []


async def test_a_body_of_another_length_than_its_blob_is_refused(zone: RecordedZone) -> None:
    node = await zone.founded()
    mutation, pieces = put(b"a", b"hello")
    with pytest.raises(Refusal):
        await node.committer.commit(mutation, pieces[:1])
    with pytest.raises(Refusal):
        await node.committer.commit(mutation)
    assert await stored_body(node, b"a") is None


async def test_several_mutations_share_one_group_each_on_its_own_terms(zone: RecordedZone) -> None:
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


async def test_too_much_waiting_is_said_at_once(zone: RecordedZone) -> None:
    zone.limits = Limits(queued_mutations=3)
    node = await zone.founded()
    waiting = [node.committer.submit(*put(b"%d" % n, b"x")) for n in range(3)]
    with pytest.raises(CommitterBusy):
        node.committer.submit(*put(b"more", b"x"))
    assert not any(isinstance(answer, Refused) for answer in await asyncio.gather(*waiting))


async def test_a_full_chunk_is_rolled_closed_with_its_length_and_stays_readable(
    zone: RecordedZone,
) -> None:
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
        assert await stored_body(node, b"%d" % n) == bytes([n]) * 10_000


async def test_a_group_larger_than_a_chunk_gets_one_of_its_own(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"big", b"x" * 200_000))
    await node.committer.commit(*put(b"small", b"y"))
    assert await stored_body(node, b"big") == b"x" * 200_000


async def test_a_chunk_is_closed_in_time_and_an_idle_node_closes_no_more(
    zone: RecordedZone,
) -> None:
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


async def test_the_timer_closes_a_chunk_without_any_caller(zone: RecordedZone) -> None:
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
    zone: RecordedZone, operation: str, moment: int
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
        assert await stored_body(node, b"k%d" % n) == b"new"
    await node.kill()
    again = await zone.node()
    assert again.recovered.way is Way.EQUAL
    assert again.writer.epoch == epoch + 2
    assert await stored_body(again, b"k4") == b"new"


async def test_a_late_mirror_is_ejected_too(zone: RecordedZone) -> None:
    zone.settings = LogSettings(sync_deadline=0.05)
    node = await zone.founded()
    victim = (await open_mirrors(node))[0]
    zone.disk.slow(f"{victim.path}/chunks", 0.3)
    await node.committer.commit(*put(b"a", b"hello"))
    assert victim.id not in (drive.id for drive in await open_mirrors(node))
    assert await stored_body(node, b"a") == b"hello"


async def test_when_all_mirrors_fail_at_once_nothing_acknowledged_is_lost(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"old", b"old"))
    for drive in await open_mirrors(node):
        zone.disk.fail(f"{drive.path}/chunks", "sync", errno.EIO, times=1)
    await node.committer.commit(*put(b"new", b"new"))
    await node.kill()
    again = await zone.node()
    assert await stored_body(again, b"old") == b"old"
    assert await stored_body(again, b"new") == b"new"


async def test_full_drives_refuse_bodies_but_not_deletes(zone: RecordedZone) -> None:
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
    assert await stored_body(node, b"a") is None


async def test_without_enough_superblocks_a_new_chunk_is_refused_and_nothing_happened(
    zone: RecordedZone,
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
    found = [await stored_body(again, key) for key in (b"a", b"b", b"c")]
    assert found == [b"hello", None, b"again"]


async def test_a_failed_commit_after_the_log_is_rolled_forward(zone: RecordedZone) -> None:
    node = await zone.founded()
    db = node.recovered.db
    failing = [True]
    db.set_commit_hook(lambda: failing.pop() if failing else False)
    await node.committer.commit(*put(b"a", b"hello"))
    assert not failing
    assert await stored_body(node, b"a") == b"hello"
    position = read_position(db)
    assert (position.sequence, position.hash) == (
        node.writer.position.sequence,
        node.writer.position.hash,
    )
    await node.committer.commit(*put(b"b", b"more"))
    assert await stored_body(node, b"b") == b"more"


async def test_a_write_between_closing_and_recording_is_no_obstacle(zone: RecordedZone) -> None:
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


async def test_seals_that_no_superblock_can_name_are_not_remembered(zone: RecordedZone) -> None:
    """Else none could be written any more, and no group would find a chunk."""
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.committer.close_all()
    strangers = tuple(b"drive %d" % n + bytes(8) for n in range(16))
    seals = [m.SealChunk(b"chunk %d" % n + bytes(8), 12, 4, strangers, 1) for n in range(30)]
    with pytest.raises(SuperblockTooLarge):
        await node.committer.record_sealed(seals)
    await node.committer.commit(*put(b"b", b"more"))
    assert await stored_body(node, b"a") == b"hello"


async def test_a_fault_of_ours_in_one_mutation_stays_its_own(zone: RecordedZone) -> None:
    node = await zone.founded()
    broken = m.CreateTenant(b"t".ljust(16), 5)  # type: ignore[arg-type]
    sound = put(b"a", b"hello")
    answers = await asyncio.gather(
        node.committer.submit(broken), node.committer.submit(*sound), return_exceptions=True
    )
    assert isinstance(answers[1], m.Written)


async def test_after_the_end_calls_are_refused(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.stop()
    with pytest.raises(CommitterBusy):
        node.committer.submit(*put(b"a", b"x"))
    with pytest.raises(CommitUnknown):
        await node.committer.close_all()


async def test_a_kill_leaves_nobody_waiting(zone: RecordedZone) -> None:
    node = await zone.founded()
    waiting = [
        asyncio.ensure_future(node.committer.close_all()),
        asyncio.ensure_future(node.committer.commit(*put(b"a", b"x"))),
        asyncio.ensure_future(node.committer.commit_all([m.CreateTenant(b"t".ljust(16), "t")])),
    ]
    await asyncio.sleep(0)
    await node.kill()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, CommitUnknown)


async def test_a_put_refused_in_its_middle_takes_back_all_of_itself_alone(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    broken, body = put(b"a", b"hello")
    # Its metadata cannot be packed, which shows only after its manifest was written.
    broken = replace(broken, facts=m.ObjectFacts("etag", "owner", {"key": object()}))  # type: ignore[dict-item]
    answers = await asyncio.gather(
        node.committer.submit(*put(b"before", b"one")),
        node.committer.submit(broken, body),
        node.committer.submit(*put(b"behind", b"three")),
    )
    assert [type(answer) for answer in answers] == [m.Written, Refused, m.Written]
    found = [await stored_body(node, key) for key in (b"before", b"a", b"behind")]
    assert found == [b"one", None, b"three"]
    bucket = node.reader.bucket(b"store".ljust(16), "bucket")
    assert bucket is not None
    assert (bucket.objects, bucket.bytes) == (2, 8)
    assert node.recovered.db.execute("SELECT count(*) FROM manifests").get == 2


def unsealed(node: Node) -> tuple[LandingRef, ...]:
    """The chunks of the log that superblocks name."""
    return node.superblocks.load(folders("/drives")).best.log.unsealed


async def test_while_sealing_is_behind_bodies_are_slowed_and_the_rest_goes_on(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    full = b"x" * 50_000  # a chunk's worth
    slowed: Refusal | None = None
    for n in range(MOST_UNSEALED + 2):
        try:
            await node.committer.commit(*put(b"%d" % n, full))
        except Refusal as refusal:
            slowed = refusal
    assert slowed is not None
    assert slowed.code == "SlowDown"
    await node.committer.commit(m.DeleteVersion(BUCKET, b"0"))
    waiting = [one for one in node.reader.chunks() if one.state is ChunkState.SEALING]
    for chunk in waiting[:4]:
        sealed = seal(chunk, node.drives)
        books = m.SealChunk(sealed.id, sealed.k, sealed.m, sealed.members, sealed.length)
        await node.committer.commit(books)
    await node.committer.commit(*put(b"after", full))


async def test_a_chunk_is_not_closed_for_its_age_while_many_wait(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(MANY_UNSEALED):
        await node.committer.commit(*put(b"%d" % n, b"x" * 50_000))
    before = len(unsealed(node))
    for n in range(5):
        zone.clock.advance(zone.settings.seal_after + 1)
        await node.committer.commit(*put(b"small %d" % n, b"y"))
    assert len(unsealed(node)) <= before + 1
