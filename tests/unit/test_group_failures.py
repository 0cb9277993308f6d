"""Group commit where the rows, this process or we ourselves fail: who is told, and what goes on."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from coffre.catalog import apply
from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.mutations import Refusal, Refused
from coffre.testing.committing import (
    Node,
    RecordedZone,
    folders,
    open_mirrors,
    put,
    stored_body,
)
from coffre.testing.disk import Operation
from coffre.vault.drives import DriveState
from coffre.vault.records import ChunkState
from coffre.vault.seal import seal
from coffre.vault.superblock import Superblock, SuperblockTooLarge


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


async def test_what_the_rows_do_not_take_of_a_closed_chunk_stops_nobody(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    db = node.recovered.db
    db.execute("DELETE FROM chunks")  # A fault of ours: no row is left to be closed.
    zone.clock.advance(zone.settings.seal_after + 1)
    for key in (b"a", b"b"):
        await node.committer.commit(*put(key, b"hello"))
        assert await stored_body(node, key) == b"hello"
    assert [chunk.state for chunk in node.reader.chunks()] == [ChunkState.OPEN]


async def test_a_chunk_that_the_rows_do_not_take_refuses_its_group_alone(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    if node.writer._making_spare is not None:
        await asyncio.wait((node.writer._making_spare,))
    spare = node.writer._spare
    assert spare is not None
    taken = m.ReserveChunk(spare.ref.chunk, "worker", 1, 12, 4, tuple(bytes(16) for _ in range(16)))
    await node.committer.commit(taken)
    zone.clock.advance(zone.settings.seal_after + 1)
    with pytest.raises(Refusal) as refused:
        await node.committer.commit(*put(b"b", b"lost"))
    assert refused.value.code == "ServiceUnavailable"
    await node.committer.commit(*put(b"c", b"more"))
    bodies = [await stored_body(node, key) for key in (b"a", b"b", b"c")]
    assert bodies == [b"hello", None, b"more"]


async def test_rows_without_space_refuse_a_group_until_there_is_some(zone: RecordedZone) -> None:
    node = await zone.founded()
    db = node.recovered.db
    large = [m.CreateTenant(b"%d" % n + bytes(15), f"{n}" + "x" * 100_000) for n in range(10, 12)]
    db.pragma("max_page_count", db.pragma("page_count"))
    answers = await node.committer.commit_all(large)
    assert [a.code for a in answers if isinstance(a, Refused)] == ["ServiceUnavailable"] * 2
    asked: list[bool] = []

    def make_room() -> None:
        asked.append(True)
        db.pragma("max_page_count", 1 << 30)

    node.committer._make_room = make_room
    assert await node.committer.commit_all(large) == [m.Done(), m.Done()]
    assert asked


async def test_a_change_of_superblocks_that_fails_is_its_asker_s_alone(zone: RecordedZone) -> None:
    node = await zone.founded()

    def change(_: Superblock) -> Superblock:
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError):
        await node.committer.amend(change)
    await node.committer.commit(*put(b"a", b"hello"))


async def test_a_statement_that_is_wrong_is_its_mutation_s_alone(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await zone.founded()

    def wrong(db: apsw.Connection, *_: object) -> None:
        db.execute("SELECT no_such_column FROM tenants")

    monkeypatch.setitem(apply._STEPS, m.CreateTenant, wrong)
    answers = await asyncio.gather(
        node.committer.submit(m.CreateTenant(b"t".ljust(16), "t")),
        node.committer.submit(*put(b"a", b"hello")),
    )
    assert [type(answer) for answer in answers] == [Refused, m.Written]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("operation", ["create", "sync", "write"])
async def test_what_the_process_lacks_is_no_fault_of_a_drive(
    zone: RecordedZone, operation: Operation, number: int
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.committer.close_all()
    zone.disk.fail("/drives", operation, number, times=2)
    answer = await node.committer.submit(*put(b"b", b"more"))
    if isinstance(answer, Refused):
        assert answer.code == "ServiceUnavailable"
        await node.committer.commit(*put(b"b", b"more"))
    assert {drive.state for drive in node.drives.all()} == {DriveState.PRESENT}
    assert [await stored_body(node, key) for key in (b"a", b"b")] == [b"hello", b"more"]


@pytest.mark.parametrize("operation", ["sync", "write"])
async def test_a_mirror_that_the_process_cannot_write_to_is_left_and_its_drive_is_not(
    zone: RecordedZone, operation: Operation
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    epoch, victim = node.writer.epoch, (await open_mirrors(node))[0]
    zone.disk.fail(f"{victim.path}/chunks", operation, errno.ENOMEM, times=1)
    await node.committer.commit(*put(b"b", b"more"))
    assert node.writer.epoch == epoch + 1
    assert victim.state is DriveState.PRESENT
    await node.kill()
    again = await zone.node()
    assert [await stored_body(again, key) for key in (b"a", b"b")] == [b"hello", b"more"]


def named(node: Node) -> set[bytes]:
    """The log's chunks that superblocks name as unsealed."""
    return {ref.chunk for ref in node.superblocks.load(folders("/drives")).best.log.unsealed}


async def test_what_superblocks_may_still_name_is_needed_until_they_do_not(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    zone.clock.advance(zone.settings.seal_after + 1)
    await node.committer.commit(*put(b"b", b"more"))
    (chunk,) = [one for one in node.reader.chunks() if one.state is ChunkState.SEALING]
    done = seal(chunk, node.drives)
    if node.writer._making_spare is not None:
        await asyncio.wait((node.writer._making_spare,))
    for folder in folders("/drives"):
        zone.disk.fail(f"{folder}/superblock", "write", errno.ENOMEM, times=1)
    with pytest.raises(CommitUnknown):
        await node.committer.commit(m.SealChunk(done.id, done.k, done.m, done.members, done.length))
    assert chunk.id in named(node)
    assert chunk.id in node.writer._unsealed
    await node.committer.follow_drives()
    assert chunk.id not in named(node)
    assert chunk.id not in node.writer._unsealed


async def test_seals_that_cannot_be_named_bring_nothing_back_that_left_meanwhile(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    (chunk,) = await node.committer.close_all()
    strangers = tuple(b"drive %d" % n + bytes(8) for n in range(16))
    seals = [m.SealChunk(b"chunk %d" % n + bytes(8), 12, 4, strangers, 1) for n in range(30)]
    began, go_on = asyncio.Event(), threading.Event()
    loop, write = asyncio.get_running_loop(), node.superblocks.write

    def slowly(*args: Any, **named: Any) -> dict[bytes, str]:
        loop.call_soon_threadsafe(began.set)
        go_on.wait(10)
        return write(*args, **named)

    monkeypatch.setattr(node.superblocks, "write", slowly)
    dropping = asyncio.create_task(node.writer.drop_sealed([chunk.id]))
    await began.wait()
    recording = asyncio.create_task(node.writer.record_sealed(seals))
    await asyncio.sleep(0)
    go_on.set()
    await dropping
    with pytest.raises(SuperblockTooLarge):
        await recording
    assert chunk.id not in node.writer._unsealed
