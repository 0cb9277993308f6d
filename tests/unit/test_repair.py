"""The stewards that keep data whole, on a recorded zone: what they repair, in which order, and what
they say of it."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable

import pytest
from msgspec import structs

from coffre.catalog.mutations import Mutation, ReplaceMember, Result
from coffre.service.local import LocalStore
from coffre.stewards.damage import Place
from coffre.stewards.read_repair import MIRROR, Notice
from coffre.stewards.repairer import NO_PLACE
from coffre.stewards.survey import survey
from coffre.testing.repair import BODY, DAY_S, House
from coffre.vault.drives import Drive, DriveState, segment_path
from coffre.vault.interface import StorageFull
from coffre.vault.records import Chunk, ChunkState


@pytest.fixture
def make_house(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Callable[..., House]]:
    made: list[LocalStore] = []

    def make(racks: int = 5) -> House:
        made.append(LocalStore(tmp_path_factory.mktemp("local") / "local.db"))
        return House(made[-1], racks)

    yield make
    for local in made:
        local.close()


async def test_what_a_lost_drive_held_stands_elsewhere_and_a_recount_says_so(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(6)
    gone = house.drive(house.rows.chunks()[0].members[0])
    house.take_away(gone)
    assert house.below() >= 1
    await house.repair()
    assert house.below() == 0
    assert house.repairer.recounted.clean
    assert house.all_there()
    assert all(gone.id not in chunk.members for chunk in house.rows.chunks())
    for chunk in house.rows.chunks():
        racks = [house.drive(one).rack for one in chunk.members]
        assert max(racks.count(rack) for rack in racks) <= 4
    assert await house.reads_whole()


async def test_the_most_endangered_chunks_come_first_and_drains_last(
    make_house: Callable[..., House],
) -> None:
    house = await make_house(6).fill(8)
    chunks = house.rows.chunks()
    for drive in house.zone.drives.all()[:3]:
        house.take_away(drive)
    house.zone.drives.intend(house.zone.drives.all()[-1].id, "drain")
    look = survey(chunks, house.zone.drives, house.damage)
    spares = [job.spare for job in look.jobs if job.why != "drain"]
    assert spares == sorted(spares)
    assert len(set(spares)) > 1
    whys = [job.why == "drain" for job in look.jobs]
    assert whys == sorted(whys)
    assert any(whys)
    assert look.below == {job.chunk.id for job in look.jobs if job.why != "drain"}


async def test_without_a_place_it_says_so_and_does_not_try_hot(
    make_house: Callable[..., House],
) -> None:
    house = await make_house(4).fill(3)
    gone = house.zone.drives.all()[0]
    house.take_away(gone)
    await house.repair()
    assert house.below() == 3
    assert [one.reason for one in house.repairer.stuck] == [NO_PLACE] * 3
    assert not house.repairer.recounted.clean
    done = await house.repairer.round()
    assert (done.did, done.again > 0) == (0, True)
    # The drive is replaced by an empty one: everything is made anew on it.
    house.bring_back(gone)
    for chunk in house.rows.chunks():
        at = chunk.members.index(gone.id)
        house.disk.unlink(segment_path(gone, chunk.id, at))
    for _ in range(9):
        await house.checker.round()
    assert house.admitted == [gone.id]
    await house.repair()
    assert house.below() == 0
    assert house.repairer.recounted.clean
    assert house.all_there()
    assert await house.reads_whole()


async def test_a_drained_drive_is_emptied_and_its_files_go(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(5)
    drained = house.drive(house.rows.chunks()[0].members[0])
    house.zone.drives.intend(drained.id, "drain")
    await house.repair()
    assert all(drained.id not in chunk.members for chunk in house.rows.chunks())
    assert not [n for n in house.disk._names if n.startswith(drained.path) and ".segment" in n]
    assert house.below() == 0
    assert house.all_there()
    assert await house.reads_whole()


async def test_a_target_that_fails_is_reported_and_another_takes_the_segment(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(1)
    (chunk,) = house.rows.chunks()
    house.take_away(house.drive(chunk.members[2]))
    spare = [d for d in house.zone.drives.present() if d.id not in chunk.members]
    for drive in spare[:-1]:
        house.disk.fail(drive.path, "sync", errno.EIO)
    await house.repair()
    assert house.below() == 0
    assert await house.reads_whole()


async def test_of_two_repairs_of_one_segment_the_later_changes_nothing(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(1)
    (chunk,) = house.rows.chunks()
    gone = house.drive(chunk.members[0])
    house.take_away(gone)
    commit, spare = house.rows.commit, [d for d in house.zone.drives.all() if d.rack == gone.rack]
    sooner = next(d for d in spare if d.id not in chunk.members)

    async def overtaken(mutation: Mutation, body: object = ()) -> Result:
        # Another repair of the same segment ends while this one is under way.
        if house.rows.chunk(chunk.id) == chunk:
            await commit(ReplaceMember(chunk.id, 0, gone.id, sooner.id))
        return await commit(mutation, body)

    house.rows.commit = overtaken  # type: ignore[method-assign]
    await house.repairer.round()
    after = house.rows.chunk(chunk.id)
    assert after is not None
    assert after.members[0] == sooner.id


async def test_a_commit_that_is_not_known_is_made_again(make_house: Callable[..., House]) -> None:
    house = await make_house().fill(2)
    gone = house.drive(house.rows.chunks()[0].members[0])
    house.take_away(gone)
    house.rows.fails = OSError("the committer is away")
    with pytest.raises(OSError):
        await house.repair()
    house.rows.fails = None
    house.restart()
    await house.repair()
    assert house.below() == 0
    assert house.all_there()


async def test_a_recount_finds_a_file_that_nobody_missed(make_house: Callable[..., House]) -> None:
    house = await make_house().fill(2)
    chunk = house.rows.chunks()[1]
    drive = house.drive(chunk.members[9])
    house.disk.unlink(segment_path(drive, chunk.id, 9))
    await house.repair()
    assert house.below() == 0, "rows alone do not tell"
    house.repairer.hasten()
    await house.repair()
    assert house.repairer.answered == house.repairer.asked
    assert house.repairer.recounted.clean
    assert house.all_there()
    assert [one.what for one in house.local.findings(9)] == ["the file is missing"]


async def test_an_unsealed_chunk_that_lost_a_mirror_is_sealed_at_once(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.extents += await house.zone.land(BODY)
    (chunk,) = house.rows.chunks()
    house.take_away(house.drive(chunk.members[0]))
    await house.repair()
    assert house.seals == 1
    assert house.below() == 0
    assert await house.reads_whole()


async def test_what_cannot_be_sealed_is_told_and_not_tried_at_once_again(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.extents += await house.zone.land(BODY)
    (chunk,) = house.rows.chunks()
    house.take_away(house.drive(chunk.members[0]))
    house.seal_fails = StorageFull("no drive has room for a chunk")
    house.repairer.hasten()
    for _ in range(3):
        with pytest.raises(StorageFull):  # The runner waits, ever longer.
            await house.repairer.round()
    house.seal_fails = None
    await house.repair()
    assert house.repairer.answered == house.repairer.asked
    assert house.below() == 0


@pytest.mark.parametrize("said", [ChunkState.OPEN, ChunkState.SEALING])
async def test_rows_that_lag_behind_a_seal_hide_neither_a_loss_nor_rot(
    make_house: Callable[..., House], said: ChunkState
) -> None:
    """Superblocks alone know of a seal until the next group; mirrors are gone by then."""
    house = make_house()
    house.extents += await house.zone.land(BODY)
    closed = structs.replace(house.zone.close_landing(), state=said)
    sealed = await house.zone.seal(closed)
    house.rows.lag(closed)
    gone = next(one for one in sealed.members if one not in closed.members)
    house.take_away(house.drive(gone))
    house.flip(sealed, (sealed.members.index(gone) + 1) % 16)
    await house.repair()
    assert house.repairer.recounted.clean
    house.rows.lag(closed)
    await house.scrub()
    await house.repair()
    assert house.below() == 0
    assert house.all_there()
    assert not house.rows.lagging
    assert await house.reads_whole()


async def test_a_scrub_finds_rot_and_it_is_repaired(make_house: Callable[..., House]) -> None:
    house = await make_house().fill(4)
    chosen = random.Random(3)
    for chunk in house.rows.chunks():
        for index in chosen.sample(range(16), 4):
            house.flip(chunk, index)
    await house.scrub()
    assert house.scrubber.current.found == 16
    assert house.below() == 4
    await house.repair()
    assert house.below() == 0
    await house.scrub()
    assert house.scrubber.current.found == 0
    assert len(house.local.findings(100)) == 16
    assert await house.reads_whole()


async def test_a_scrub_goes_on_where_it_was_after_a_restart(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(5)
    done = [await house.scrubber.round() for _ in range(2)]
    assert done[0].again == pytest.approx(30 * DAY_S / 5)
    assert (house.scrubber.current.chunks, done[1].left) == (2, 3)
    house.restart()
    await house.scrubber.round()
    assert house.scrubber.current.chunks == 3
    house.zone.clock.advance(31 * DAY_S)
    while not house.scrubber.current.ended_ms:
        await house.scrubber.round()
    assert house.scrubber.current.chunks == 5
    await house.scrubber.round()
    assert (house.scrubber.current.chunks, house.scrubber.current.ended_ms) == (1, 0)


async def test_damage_is_known_after_a_restart(make_house: Callable[..., House]) -> None:
    house = await make_house().fill(1)
    (chunk,) = house.rows.chunks()
    house.flip(chunk, 3)
    await house.scrub()
    house.restart()
    assert Place(chunk.id, 3, chunk.members[3]) in house.damage
    await house.repair()
    assert len(house.damage) == 0
    house.restart()
    assert len(house.damage) == 0


async def test_a_mirror_that_rotted_and_a_bad_superblock_are_found_by_a_scrub(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.extents += await house.zone.land(BODY)
    await house.zone.land(BODY)
    (chunk,) = house.rows.chunks()
    drive = house.drive(chunk.members[1])
    path = f"{drive.path}/chunks/{chunk.id[-1]:02x}/{chunk.id.hex()}.mirror"
    house.disk.corrupt(path, 4096 + 1000, 1)
    house.bad_superblocks.add(drive.path)
    await house.scrub()
    assert house.scrubber.current.found >= 1
    assert house.seals >= 1
    assert await house.reads_whole()


async def test_a_drive_that_is_back_is_checked_before_it_is_trusted(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(6)
    gone = next(d for d in house.zone.drives.all() if _held(house, d) >= 4)
    held = [c for c in house.rows.chunks() if gone.id in c.members]
    house.take_away(gone)
    # Two chunks move away meanwhile; of those that stay one is bad.
    spare = {c.id: _free_drive(house, c) for c in held[:2]}
    for chunk in held[:2]:
        members = [spare[chunk.id] if one == gone.id else one for one in chunk.members]
        house.zone._set(chunk.id, members=tuple(members))
    house.bring_back(gone)
    bad = held[2]
    house.flip(bad, bad.members.index(gone.id))
    for _ in range(100):
        await house.checker.round()
    assert house.admitted == [gone.id]
    assert gone.state is DriveState.PRESENT
    assert house.damage.places() == [Place(bad.id, bad.members.index(gone.id), gone.id)]
    stale = [n for n in house.disk._names if n.startswith(gone.path) and ".segment" in n]
    assert len(stale) == len(held) - 2


def _held(house: House, drive: Drive) -> int:
    return sum(drive.id in chunk.members for chunk in house.rows.chunks())


def _free_drive(house: House, chunk: Chunk) -> bytes:
    return next(d.id for d in house.zone.drives.present() if d.id not in chunk.members)


async def test_a_drive_being_checked_is_waited_for_unless_nothing_is_spare(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(2)
    back = house.drive(house.rows.chunks()[0].members[0])
    house.zone.drives.mark(back.id, DriveState.CHECKING)
    await house.repair()
    assert not house.rows.committed
    assert house.below() >= 1
    while not house.admitted:
        await house.checker.round()
    await house.repair()
    assert not house.rows.committed
    assert house.below() == 0


async def test_a_notice_of_a_read_is_looked_at_before_it_is_believed(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(2)
    good, bad = house.rows.chunks()
    house.flip(bad, 4)
    for chunk in (good, bad):
        house.read_repair.receive(Notice(chunk.id, 4, chunk.members[4]))
        house.read_repair.receive(Notice(chunk.id, MIRROR, chunk.members[4]))
    house.read_repair.receive(Notice(b"?" * 16, 4, bad.members[4]))
    while (await house.read_repair.round()).again == 0.0:
        pass
    assert house.damage.places() == [Place(bad.id, 4, bad.members[4])]
    await house.repair()
    assert not house.damage.places()
    await house.scrub()
    assert house.scrubber.current.found == 0


async def test_a_drive_that_cannot_be_read_is_reported_not_its_files(
    make_house: Callable[..., House],
) -> None:
    house = await make_house().fill(1)
    (chunk,) = house.rows.chunks()
    drive = house.drive(chunk.members[4])
    house.disk.fail(drive.path, "read", errno.EIO)
    house.read_repair.receive(Notice(chunk.id, 4, drive.id))
    await house.read_repair.round()
    assert [one for one, _ in house.reports] == [drive.id]
    assert not house.damage.places()


async def test_a_scrub_comes_back_to_what_it_could_not_read_and_says_what_it_never_could(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await make_house().fill(3)
    first, second, _ = house.rows.chunks()
    scrub, fails = house.scrubber._scrub, {first.id: 1, second.id: 2}

    async def failing(chunk_id: bytes) -> int:
        if fails.get(chunk_id, 0):
            fails[chunk_id] -= 1
            raise OSError("too many open files")
        return await scrub(chunk_id)

    monkeypatch.setattr(house.scrubber, "_scrub", failing)
    house.scrubber.hasten()
    results: list[str] = []
    while not house.scrubber.current.ended_ms or not results:
        try:
            results.append((await house.scrubber.round()).result)
        except OSError:
            results.append("failed")
    now = house.scrubber.current
    assert results.count("failed") == 3
    assert (now.chunks, now.unread, now.again) == (2, 1, ())
    assert "1 could not be read" in results[-1]


async def test_a_scrub_remembers_over_a_restart_what_it_comes_back_to(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await make_house().fill(2)

    async def failing(chunk_id: bytes) -> int:
        raise OSError("too many open files")

    with monkeypatch.context() as without:
        without.setattr(house.scrubber, "_scrub", failing)
        house.scrubber.hasten()
        with pytest.raises(OSError):
            await house.scrubber.round()
    house.restart()
    while not house.scrubber.current.ended_ms:
        await house.scrubber.round()
    now = house.scrubber.current
    assert (now.chunks, now.unread, now.again) == (2, 0, ())
