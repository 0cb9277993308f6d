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
from coffre.catalog.log_state import LogSettings
from coffre.catalog.recovery import RecoveryRefused, Way
from coffre.system.entropy import SeededEntropy
from coffre.testing.committing import (
    RecordedZone,
    folders,
    open_mirrors,
    put,
    stored_body,
)
from coffre.vault.drives import DriveState, mirror_path
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.landing import Landing, scan
from coffre.vault.records import ChunkState
from coffre.vault.seal import remove_mirrors, seal
from coffre.vault.segments import read_header


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


async def test_what_rotted_on_the_only_trusted_mirror_is_copied_from_drives_yet_to_be_checked(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    for key in (b"a", b"b", b"c"):
        await node.committer.commit(*put(key, b"hello"))
    trusted, *others = await open_mirrors(node)
    chunk = node.writer.chunk
    await node.kill()
    path = mirror_path(trusted, chunk)
    *_, rotten, _ = scan(zone.disk, path, read_header(zone.disk, path))
    zone.disk.corrupt(path, HEADER_BYTES + rotten.offset, 1)
    zone.unchecked = [drive.id for drive in others]
    again = await zone.node()
    for key in (b"a", b"b", b"c"):
        assert await stored_body(again, key) == b"hello"
    (ref,) = again.recovered.start.superblock.log.unsealed
    assert len(ref.members) == 3
    assert not set(ref.members) & set(zone.unchecked)
    await again.kill()
    zone.lose_catalog()
    zone.unchecked = []
    for drive in others:
        zone.disk.lose(drive.path)
    assert await stored_body(await zone.node(), b"c") == b"hello"


async def test_a_full_zone_starts_with_the_mirrors_there_are_and_fails_no_drive(
    zone: RecordedZone,
) -> None:
    zone.settings = LogSettings(capacity=64 * 1024, ahead=0, sync_deadline=1.0)
    node = await zone.founded()
    for key in (b"a", b"b"):
        await node.committer.commit(*put(key, b"hello"))
    cut, *whole = await open_mirrors(node)
    chunk = node.writer.chunk
    await node.kill()
    path = mirror_path(cut, chunk)
    *_, last = scan(zone.disk, path, read_header(zone.disk, path))
    zone.disk.open(path, "edit").truncate(HEADER_BYTES + last.offset)
    for folder in folders("/drives"):
        zone.disk.full(folder, 0)
    zone.lose_catalog()
    again = await zone.node()
    assert {drive.state for drive in again.drives.all()} == {DriveState.PRESENT}
    (ref,) = again.recovered.start.superblock.log.unsealed
    assert set(ref.members) == {drive.id for drive in whole}
    assert not [name for name in zone.disk.paths("/drives") if name.endswith(".tmp")]
    assert await stored_body(again, b"b") == b"hello"
