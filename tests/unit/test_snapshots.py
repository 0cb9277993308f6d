"""Snapshots: taken while groups go on, proved before they count, enough for a rebuild."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from os.path import dirname
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from coffre.catalog import mutations as m
from coffre.catalog.log_state import KeptSnapshots
from coffre.catalog.rebuilding import Source
from coffre.catalog.recovery import RecoveryRefused, Way
from coffre.catalog.schema import open_any, read_position
from coffre.catalog.snapshots import SnapshotWorld, copy_rows, restore, take
from coffre.stewards.snapshotter import Snapshotter
from coffre.testing.catalog import dump
from coffre.testing.committing import ROOT, ZONE, Node, RecordedZone, put, stored_body
from coffre.vault.archive import (
    FRAME_BYTES,
    archive_dir,
    archive_path,
    bad_segments,
    compressed,
    expanded,
    find_archive,
    read_archive,
    write_archive,
)
from coffre.vault.drives import DriveState, mirror_path, segment_path
from coffre.vault.headers import Origin
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.records import ChunkState, Geometry
from coffre.vault.seal import remove_mirrors, seal
from coffre.vault.superblock import SnapshotRef, SuperblockNotWritten

EVERY = 3600.0
ORIGIN = Origin("test", "one", ZONE, ROOT.id)


@pytest.fixture
async def zone(tmp_path: Path) -> AsyncIterator[RecordedZone]:
    zone = RecordedZone(tmp_path)
    yield zone
    for node in zone.nodes:
        if not node.task.done():
            await node.kill()


class Keeping:
    """A snapshotter beside a node, and the committer as its namer."""

    def __init__(self, zone: RecordedZone, node: Node, *, keep: int = 3) -> None:
        self.node = node
        self.world = SnapshotWorld(
            node.drives,
            ORIGIN,
            node.writer.epoch,
            ROOT,
            Geometry(12, 4),
            zone.clock,
            zone.entropy,
            f"{zone.catalog}.scratch",
        )

        async def source(at_least: int) -> str:
            self.at_least = at_least
            return zone.catalog

        self.steward = Snapshotter(
            self.world,
            node.reader,
            self,
            source,
            lambda: read_position(node.rows),
            every=EVERY,
            keep=keep,
        )

    async def kept(self) -> KeptSnapshots:
        return self.node.committer.kept_snapshots

    async def name(self, snapshots: Sequence[SnapshotRef]) -> None:
        named = tuple(snapshots)
        await self.node.committer.amend(lambda zone: replace(zone, snapshots=named))

    @property
    def named(self) -> tuple[SnapshotRef, ...]:
        return self.node.committer.kept_snapshots.snapshots


def segments(zone: RecordedZone, node: Node) -> set[str]:
    """Snapshot ids that have any file on any drive."""
    found: set[str] = set()
    for drive in node.drives.all():
        if zone.disk.exists(archive_dir(drive)):
            found |= {name.split(".")[0] for name in zone.disk.listdir(archive_dir(drive))}
    return found


async def seal_all(node: Node) -> None:
    """Seal the log as it is."""
    chunks = await node.committer.close_all()
    seals = [seal(chunk, node.drives) for chunk in chunks]
    await node.committer.record_sealed(
        [m.SealChunk(s.id, s.k, s.m, s.members, s.length) for s in seals]
    )
    for chunk in chunks:
        remove_mirrors(node.drives, chunk.id)
    await node.committer.commit(*put(b"says that they are sealed", b"x"))


async def forget_sealed_log(zone: RecordedZone, node: Node) -> None:
    """Take away every sealed landing chunk, as though all of it had been collected."""
    sealed = [chunk for chunk in node.reader.chunks() if chunk.state is ChunkState.SEALED]
    assert sealed
    for chunk in sealed:
        for index, member in enumerate(chunk.members):
            drive = node.drives.by_id(member)
            assert drive is not None
            zone.disk.unlink(segment_path(drive, chunk.id, index))


async def test_a_snapshot_holds_the_rows_as_its_record_left_them(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(50):
        await node.committer.commit(*put(b"%d" % n, b"x" * 3000))
    rows = dump(node.recovered.db)
    ref = take(Keeping(zone, node).world, zone.catalog)
    await node.committer.commit(*put(b"later", b"y"))
    restore(node.drives, ref, ROOT, f"{zone.catalog}.again")
    db = open_any(f"{zone.catalog}.again")
    assert dump(db) == rows
    assert (ref.sequence, ref.hash) == (read_position(db).sequence, read_position(db).hash)
    db.close()


@pytest.mark.parametrize("size", [0, 1, 17, FRAME_BYTES - 17, FRAME_BYTES - 16, 3_000_000])
def test_any_stream_comes_back_also_from_any_k_segments(zone: RecordedZone, size: int) -> None:
    drives = zone.drives()
    body = random.Random(size).randbytes(size)
    ref = SnapshotRef(b"s" * 16, 7, 1, bytes(32), 1, 0)
    archive = write_archive(drives, ORIGIN, ref, [body], ROOT, Geometry(4, 2))
    ref = archive.header.snapshot
    assert b"".join(read_archive(drives, archive, ROOT)) == body
    for index in (0, 5):
        zone.disk.unlink(archive_path(archive.places[index], ref.id, index))
    found = find_archive(drives, ref)
    assert found is not None
    assert not found.whole
    assert b"".join(read_archive(drives, found, ROOT)) == body
    zone.disk.unlink(archive_path(archive.places[1], ref.id, 1))
    assert find_archive(drives, ref) is None


def test_a_flipped_bit_is_gone_round_and_found(zone: RecordedZone) -> None:
    drives = zone.drives()
    ref = SnapshotRef(b"s" * 16, 7, 1, bytes(32), 1, 0)
    body = random.Random(1).randbytes(200_000)
    archive = write_archive(drives, ORIGIN, ref, [body], ROOT, Geometry(4, 2))
    zone.disk.corrupt(archive_path(archive.places[2], ref.id, 2), 5000, 1)
    assert b"".join(read_archive(drives, archive, ROOT)) == body
    assert bad_segments(drives, archive) == {2}


def test_a_snapshot_stops_at_the_reserve_and_leaves_nothing(zone: RecordedZone) -> None:
    drives = zone.drives()
    ref = SnapshotRef(b"s" * 16, 7, 1, bytes(32), 1, 0)

    def stream() -> Iterator[bytes]:
        yield bytes(FRAME_BYTES)
        for drive in drives.all():
            zone.disk.full(drive.path, drives.reserve_bytes)
        for _ in range(200):
            yield bytes(FRAME_BYTES)

    with pytest.raises(StorageFull):
        write_archive(drives, ORIGIN, ref, stream(), ROOT, Geometry(4, 2))
    assert not [path for path in zone.disk.paths("/drives") if "snapshots" in path]


async def test_where_little_is_free_beside_the_catalog_no_copy_is_begun(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    zone.disk.full(dirname(zone.catalog), 100_000)
    with pytest.raises(StorageFull):
        await keeping.steward.take_now()
    zone.disk.heal(dirname(zone.catalog))
    await keeping.steward.take_now()


def test_what_was_cut_or_bent_does_not_expand() -> None:
    whole = b"".join(compressed([b"row " * 500_000]))
    assert b"".join(expanded([whole])) == b"row " * 500_000
    assert all(len(piece) <= FRAME_BYTES for piece in expanded([whole]))
    with pytest.raises(DataLost):
        b"".join(expanded([whole[:-5]]))
    with pytest.raises(DataLost):
        b"".join(expanded([b"\0" + whole]))


async def test_a_damaged_catalog_gives_no_snapshot(zone: RecordedZone) -> None:
    node = await zone.founded()
    for n in range(200):
        await node.committer.commit(*put(b"%d" % n, b"x"))
    node.recovered.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await node.kill()
    zone.flip_a_bit_of_the_catalog()
    with pytest.raises(apsw.Error):
        copy_rows(zone.catalog, f"{zone.catalog}.copy")


async def test_one_is_taken_when_it_is_time_and_the_log_moved(zone: RecordedZone) -> None:
    zone.settings = replace(zone.settings, seal_after=1e9)  # An idle log does not move by itself.
    node = await zone.founded()
    keeping = Keeping(zone, node)
    await keeping.steward.round()
    assert keeping.named == ()
    zone.clock.advance(EVERY)
    await keeping.steward.round()
    assert len(keeping.named) == 1
    zone.clock.advance(EVERY)
    await keeping.steward.round()
    assert len(keeping.named) == 1
    await node.committer.commit(*put(b"a", b"x"))
    await keeping.steward.round()
    assert [one.sequence for one in keeping.named][-1] == node.writer.position.sequence


async def test_none_is_taken_of_rows_that_are_older_than_the_newest(zone: RecordedZone) -> None:
    """As a follower's are, which began anew and has not caught up."""
    node = await zone.founded()
    keeping = Keeping(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    newest = await keeping.steward.take_now()
    await node.committer.commit(*put(b"b", b"x"))
    zone.clock.advance(EVERY)
    await keeping.steward.round()
    assert keeping.at_least == newest.sequence + 1


async def test_only_so_many_are_kept_and_the_floor_is_the_oldest(zone: RecordedZone) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node, keep=2)
    assert node.committer.log_floor == 0
    taken = []
    for n in range(4):
        await node.committer.commit(*put(b"%d" % n, b"x"))
        taken.append(await keeping.steward.take_now())
        assert keeping.named == tuple(taken[-2:])
        assert node.committer.log_floor == keeping.named[0].sequence
    await keeping.steward.round()
    assert segments(zone, node) == {one.id.hex() for one in taken[-2:]}
    await node.kill()
    again = await zone.node()
    assert again.committer.kept_snapshots.snapshots == tuple(taken[-2:])


async def test_until_superblocks_are_written_neither_the_floor_nor_files_go(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node, keep=2)
    for n in range(2):
        await node.committer.commit(*put(b"%d" % n, b"x"))
        await keeping.steward.take_now()
    before = keeping.named
    await node.committer.commit(*put(b"more", b"x"))
    for drive in node.drives.all()[:8]:
        zone.disk.fail(f"{drive.path}/superblock", "write", 5)
    with pytest.raises(SuperblockNotWritten):
        await keeping.steward.take_now()
    assert node.committer.log_floor == before[0].sequence
    assert {one.id for one in before} < set(node.committer.kept_snapshots.ids)
    assert len(node.committer.kept_snapshots.ids) == 3


async def test_a_rebuild_takes_the_newest_snapshot_and_the_log_after_it(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    for n in range(30):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
        if n in (10, 20):
            await keeping.steward.take_now()
    rows = dump(node.recovered.db)
    await node.kill()
    zone.lose_catalog()
    again = await zone.node()
    recovered = again.recovered
    assert (recovered.way, recovered.source) == (Way.REBUILT, Source.SNAPSHOT)
    assert recovered.replayed == node.writer.position.sequence - keeping.named[-1].sequence
    assert dump(recovered.db) == rows
    assert await stored_body(again, b"29") == bytes([29]) * 10_000


@pytest.mark.parametrize("gone", [1, 2])
async def test_without_the_newest_an_older_one_or_the_whole_log_will_do(
    zone: RecordedZone, gone: int
) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    for n in range(20):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
        if n in (8, 14):
            await keeping.steward.take_now()
    rows = dump(node.recovered.db)
    await node.kill()
    zone.lose_catalog()
    for ref in keeping.named[-gone:]:
        for drive in node.drives.all()[:5]:
            for index in range(16):
                if zone.disk.exists(archive_path(drive, ref.id, index)):
                    zone.disk.unlink(archive_path(drive, ref.id, index))
    again = await zone.node()
    assert again.recovered.source is (Source.SNAPSHOT if gone == 1 else Source.LOG)
    assert dump(again.recovered.db) == rows


async def test_the_log_before_the_oldest_snapshot_may_be_gone(zone: RecordedZone) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    for n in range(10):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
    await seal_all(node)
    await keeping.steward.take_now()
    await forget_sealed_log(zone, node)
    await node.committer.commit(*put(b"after", b"x"))
    rows = dump(node.recovered.db)
    await node.kill()
    zone.lose_catalog()
    again = await zone.node()
    assert again.recovered.source is Source.SNAPSHOT
    assert dump(again.recovered.db) == rows


async def test_without_snapshot_and_log_the_start_says_which_record_is_missing(
    zone: RecordedZone,
) -> None:
    node = await zone.founded()
    for n in range(10):
        await node.committer.commit(*put(b"%d" % n, bytes([n]) * 10_000))
    await seal_all(node)
    await forget_sealed_log(zone, node)
    await node.committer.commit(*put(b"after", b"x"))
    await node.kill()
    zone.lose_catalog()
    with pytest.raises(RecoveryRefused, match="is on no drive"):
        await zone.node()


async def test_a_snapshot_that_lost_members_is_written_anew(zone: RecordedZone) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    old = await keeping.steward.take_now()
    for drive in node.drives.all()[:2]:
        node.drives.mark(drive.id, DriveState.MISSING)
    done = await keeping.steward.round()
    assert done.did == 1
    (new,) = keeping.named
    assert new.id != old.id
    assert (new.sequence, new.hash) == (old.sequence, old.hash)
    archive = find_archive(node.drives, new)
    assert archive is not None
    assert archive.whole
    await keeping.steward.round()
    assert keeping.named == (new,)


async def test_rot_is_found_before_an_older_snapshot_goes(zone: RecordedZone) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node, keep=2)
    for n in range(2):
        await node.committer.commit(*put(b"%d" % n, b"x"))
        await keeping.steward.take_now()
    older, rotten = keeping.named
    archive = find_archive(node.drives, rotten)
    assert archive is not None
    for index in range(5):
        zone.disk.corrupt(archive_path(archive.places[index], rotten.id, index), 4200, 1)
    await node.committer.commit(*put(b"more", b"x"))
    new = await keeping.steward.take_now()
    assert keeping.named == (older, new)


async def test_a_drive_that_fails_meanwhile_is_left_out(zone: RecordedZone) -> None:
    node = await zone.founded()
    keeping = Keeping(zone, node)
    await node.committer.commit(*put(b"a", b"x"))
    broken = node.drives.all()[3]
    zone.disk.fail(f"{broken.path}/snapshots", "sync", 5)
    ref = await keeping.steward.take_now()
    archive = find_archive(node.drives, ref)
    assert archive is not None
    assert archive.whole
    assert broken.id not in archive.header.members


async def test_nothing_of_the_rows_can_be_read_in_the_segments(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a-very-secret-key", b"x"))
    ref = await Keeping(zone, node).steward.take_now()
    archive = find_archive(node.drives, ref)
    assert archive is not None
    for index, drive in archive.places.items():
        file = zone.disk.open(archive_path(drive, ref.id, index), "read")
        assert b"a-very-secret-key" not in file.pread(file.size(), 0)
    assert not [name for name in os.listdir(os.path.dirname(zone.catalog)) if "scratch" in name]


async def test_mirrors_named_beside_snapshots_are_still_there(zone: RecordedZone) -> None:
    node = await zone.founded()
    await node.committer.commit(*put(b"a", b"x"))
    await Keeping(zone, node).steward.take_now()
    for ref in node.writer.zone.log.unsealed:
        assert any(zone.disk.exists(mirror_path(drive, ref.chunk)) for drive in node.drives.all())
