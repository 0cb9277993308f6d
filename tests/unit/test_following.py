"""The follower: behind the catalog, from the log alone, and compared with it row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.comparing import Comparison
from coffre.catalog.following import Follower
from coffre.catalog.rebuilding import Source
from coffre.catalog.recovery import Way
from coffre.catalog.schema import open_any, open_writer, read_position
from coffre.catalog.snapshots import SnapshotWorld, discard_rows, take
from coffre.testing.catalog import dump
from coffre.testing.committing import ROOT, ZONE, Node, RecordedZone, put
from coffre.vault.drives import DriveState
from coffre.vault.headers import Origin
from coffre.vault.interface import DataLost
from coffre.vault.records import ChunkState, Geometry
from coffre.vault.seal import remove_mirrors, seal
from coffre.vault.superblock import SnapshotRef


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


def follower_of(
    zone: RecordedZone, node: Node, snapshots: tuple[SnapshotRef, ...] = ()
) -> Follower:
    path = f"{zone.catalog}.follower"
    return Follower(path, zone.catalog, node.drives, ROOT, zone.clock, lambda: snapshots)


def flip_a_bit_of_every_page(path: str) -> None:
    data = bytearray(Path(path).read_bytes())
    for at in range(4096 + 2000, len(data), 4096):
        data[at] ^= 1
    Path(path).write_bytes(data)


async def caught_up(follower: Follower) -> None:
    while (done := await follower.step()).behind or done.replayed:
        pass


def rows_of(zone: RecordedZone) -> object:
    db = open_any(f"{zone.catalog}.follower")
    try:
        return dump(db)
    finally:
        db.close()


async def test_it_follows_what_is_committed_across_chunks_and_seals(zone: RecordedZone) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    for n in range(40):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
        if n % 7 == 0:
            await caught_up(follower)
            assert rows_of(zone) == dump(node.recovered.db)
        for chunk in node.reader.chunks():
            if chunk.state is ChunkState.SEALING:
                done = seal(chunk, node.drives)
                await node.committer.commit(
                    m.SealChunk(done.id, done.k, done.m, done.members, done.length)
                )
                remove_mirrors(node.drives, chunk.id)
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    assert follower.position.sequence == node.writer.position.sequence
    follower.close()


async def test_what_is_logged_but_not_committed_is_not_followed(zone: RecordedZone) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    await caught_up(follower)
    zone.disk.fail("/drives/r1n1d1/chunks", "sync", 5, times=1)
    await node.committer.commit(*put(b"a", b"x"))  # Given up on one mirror, logged again elsewhere.
    await node.committer.commit(*put(b"b", b"x"))
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    follower.close()


async def test_it_goes_on_where_it_was_after_a_restart(zone: RecordedZone) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    await caught_up(follower)
    before = follower.position
    follower.close()
    await node.committer.commit(*put(b"b", b"x"))
    follower = follower_of(zone, node)
    assert follower.position == before
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    follower.close()


async def test_rows_of_another_history_begin_anew_from_a_snapshot(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"x"))
    world = SnapshotWorld(
        node.drives,
        Origin("test", "one", ZONE, ROOT.id),
        1,
        ROOT,
        Geometry(12, 4),
        zone.clock,
        zone.entropy,
        f"{zone.catalog}.scratch",
    )
    ref = take(world, zone.catalog)
    await node.committer.commit(*put(b"b", b"x"))
    db = open_writer(f"{zone.catalog}.follower")
    db.execute("INSERT INTO log_position VALUES (0, 1, 2, x'77', 0)")
    db.close()
    follower = follower_of(zone, node, (ref,))
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    follower.close()


async def test_a_seal_that_the_rows_have_yet_to_hear_of_is_found_on_the_drives(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"x"))
    chunks = await node.committer.close_all()
    seals = [seal(chunk, node.drives) for chunk in chunks]
    await node.committer.record_sealed(
        [m.SealChunk(s.id, s.k, s.m, s.members, s.length) for s in seals]
    )
    for chunk in chunks:
        remove_mirrors(node.drives, chunk.id)
    follower = follower_of(zone, node)
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    follower.close()


async def test_rows_stay_while_the_log_behind_them_cannot_be_read(zone: RecordedZone) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    await caught_up(follower)
    here = follower.position
    await node.committer.commit(*put(b"b", b"x"))
    away = [drive for chunk in node.reader.chunks() for drive in chunk.members]
    for one in away:
        node.drives.mark(one, DriveState.MISSING)
    with pytest.raises(DataLost):
        await follower.step()
    assert follower.position == here
    for one in away:
        node.drives.mark(one, DriveState.PRESENT)
    await caught_up(follower)
    assert rows_of(zone) == dump(node.recovered.db)
    follower.close()


async def test_rows_that_could_not_be_rolled_forward_are_not_compared(
    zone: RecordedZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are behind the catalog, so of course they differ from it."""
    node = await zone.founded()
    follower = follower_of(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    await caught_up(follower)
    await node.committer.commit(*put(b"b", b"x"))
    zone.clock.advance(301)

    async def gone(*arguments: object) -> None:
        raise DataLost("its mirrors went between the look and the read")

    with monkeypatch.context() as patched:
        patched.setattr("coffre.catalog.following.replay_found", gone)
        for _ in range(20):
            assert not (await follower.step()).compared
        assert follower.difference is None
        with pytest.raises(DataLost):
            await follower.compare_all()
    assert await follower.compare_all() is None
    follower.close()


async def test_a_row_that_differs_is_found_and_named(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(30):
        await node.committer.commit(*put(b"%03d" % n, b"x"))
    follower = follower_of(zone, node)
    assert await follower.compare_all() is None
    db = open_writer(f"{zone.catalog}.follower")
    db.execute("UPDATE versions SET size = size + 1 WHERE sort_key = x'303237'")
    db.close()
    found = await follower.compare_all()
    assert found is not None
    assert found.table == "versions"
    assert b"027".hex() in found.key
    follower.close()


async def test_pieces_cover_every_row_whatever_their_size(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(25):
        await node.committer.commit(*put(b"%03d" % (n // 4), b"%d" % n))
    other = open_writer(":memory:")
    rows = sum(len(table) for table in dump(node.recovered.db).values())
    for size in (1, 2, 7, 1000):
        seen, comparison = 0, Comparison()
        while not comparison.over:
            looked, difference = comparison.next(node.recovered.db, node.recovered.db, size)
            assert difference is None
            seen += looked
        assert seen == rows
    comparison = Comparison()
    differences = []
    while not comparison.over:
        differences.append(comparison.next(node.recovered.db, other)[1])
    assert {one.table for one in differences if one} >= {"tenants", "versions", "manifests"}
    other.close()


@pytest.mark.parametrize("behind", [0, 5])
async def test_a_lost_catalog_is_taken_over_from_the_follower(
    zone: RecordedZone, behind: int
) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    for n in range(20):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 5000))
    await caught_up(follower)
    follower.close()
    for n in range(behind):
        await node.committer.commit(*put(b"more %d" % n, b"x"))
    rows, position = dump(node.recovered.db), read_position(node.recovered.db)
    await node.kill()
    zone.lose_catalog()
    zone.followers = [f"{zone.catalog}.follower"]
    again = await zone.node()
    recovered = again.recovered
    assert (recovered.way, recovered.source) == (Way.REBUILT, Source.FOLLOWER)
    assert recovered.replayed == behind
    assert dump(recovered.db) == rows
    assert read_position(recovered.db).hash == position.hash
    assert recovered.last_order > 0


async def test_a_damaged_follower_is_passed_over(zone: RecordedZone) -> None:
    node = await zone.founded()
    follower = follower_of(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    await caught_up(follower)
    follower.close()
    rows = dump(node.recovered.db)
    await node.kill()
    zone.lose_catalog()
    path = f"{zone.catalog}.follower"
    flip_a_bit_of_every_page(path)
    zone.followers = [path, f"{zone.catalog}.none"]
    again = await zone.node()
    assert again.recovered.source is Source.LOG
    assert dump(again.recovered.db) == rows
    discard_rows(path)
