"""A start: what is read from the drives, what becomes of the rows, what is refused."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.recovery import RecoveryRefused, Way
from coffre.system.entropy import SeededEntropy
from coffre.testing.committing import (
    RecordedZone,
    folders,
    open_mirrors,
    put,
    stored_body,
)
from coffre.vault.drives import mirror_path
from coffre.vault.landing import Landing
from coffre.vault.records import ChunkState
from coffre.vault.seal import remove_mirrors, seal


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


async def test_killed_between_the_logs_sync_and_commit_the_next_start_rolls_forward(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
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
    assert await stored_body(again, b"a") == b"new"


async def test_a_lost_catalog_comes_back_from_the_log_sealed_or_not(zone: RecordedZone) -> None:
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
        assert await stored_body(again, b"%d" % n) == bytes([n]) * 10_000
    assert await stored_body(again, b"last") == b"one"


async def test_after_seal_now_any_four_drives_and_the_catalog_may_go(zone: RecordedZone) -> None:
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
    assert await stored_body(node, b"3") == bytes([3]) * 10_000
    await node.kill()
    zone.lose_catalog()
    for folder in folders("/drives")[:4]:
        zone.disk.lose(folder)
    again = await zone.node()
    for n in range(8):
        assert await stored_body(again, b"%d" % n) == bytes([n]) * 10_000
    await again.committer.commit(*put(b"next", b"x"))
    states = {c.id: c.state for c in again.reader.chunks()}
    assert all(states[chunk.id] is ChunkState.SEALED for chunk in chunks)
    assert len(states) == len(chunks) + 1


async def test_damage_in_the_catalog_is_noticed_and_it_is_rebuilt(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(50):
        await node.committer.commit(*put(b"%d" % n, b"x"))
    node.recovered.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await node.kill()
    zone.flip_a_bit_of_the_catalog()
    again = await zone.node()
    assert again.recovered.way is Way.REBUILT
    assert zone.catalog.split("/")[-1] + ".set-aside" in os.listdir(os.path.dirname(zone.catalog))
    assert await stored_body(again, b"49") == b"x"


async def test_a_catalog_of_another_history_is_rebuilt(zone: RecordedZone, tmp_path: Path) -> None:
    other = RecordedZone(tmp_path)
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
    assert await stored_body(again, b"a") == b"hello"


async def test_a_catalog_ahead_of_the_log_is_left_alone_and_the_operator_asked(
    zone: RecordedZone,
) -> None:
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


async def test_a_catalog_of_a_newer_version_is_refused(zone: RecordedZone) -> None:
    node = await zone.founded()
    node.recovered.db.pragma("user_version", 99)
    node.recovered.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await node.kill()
    with pytest.raises(RecoveryRefused, match="schema 99"):
        await zone.node()


async def test_without_any_mirror_of_the_logs_end_the_start_is_refused_by_drive(
    zone: RecordedZone,
) -> None:
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
    assert await stored_body(again, b"a") == b"hello"
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


async def test_a_clean_stop_is_marked_and_the_next_start_has_nothing_to_do(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"hello"))
    await node.stop()
    again = await zone.node()
    assert (again.recovered.way, again.recovered.replayed) == (Way.EQUAL, 0)
    assert await stored_body(again, b"a") == b"hello"


async def test_a_drive_that_comes_back_with_a_stale_mirror_is_not_read(zone: RecordedZone) -> None:
    node = await zone.founded()
    stale = (await open_mirrors(node))[0]
    await node.kill()
    zone.disk.lose(stale.path)
    node = await zone.node()
    await node.kill()
    zone.disk.heal(stale.path)
    again = await zone.node()
    assert not any(
        zone.disk.exists(mirror_path(stale, ref.chunk))
        for ref in again.recovered.start.superblock.log.unsealed
    )
    await again.committer.commit(*put(b"a", b"hello"))
    for chunk in again.reader.chunks():
        named = again.recovered.start.superblock.log.unsealed[0]
        assert chunk.id != named.chunk or stale.id not in chunk.members
