"""The drives chunk store: what may be lost, and what is read all the same."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from coffre.system.disk import LocalDisk, LocalFile, Mode
from coffre.system.entropy import SeededEntropy
from coffre.system.starved import Starved
from coffre.testing.disk import RecordingDisk
from coffre.testing.vault import DriveZone, check_chunk_store
from coffre.vault.blobs import FramedVault
from coffre.vault.blocks import physical
from coffre.vault.drives import Drive, DriveState, mirror_path, segment_path
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.interface import ChunkStore, DataLost
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import STRIPE_UNIT, Chunk, Extent, Geometry
from coffre.vault.store import DriveChunkStore

ROW = 12 * STRIPE_UNIT


def content(size: int, seed: int = 3) -> bytes:
    return SeededEntropy(seed).bytes(size)


@pytest.fixture
def zone(tmp_path: Path) -> DriveZone:
    return DriveZone(LocalDisk(), str(tmp_path))


async def read_all(zone: DriveZone, extents: Sequence[Extent]) -> bytes:
    """By a store that has nothing open and nothing cached."""
    store = zone.new_store()
    parts = [await store.read(extent, 0, extent.length) for extent in extents]
    store.close()
    return b"".join(parts)


def lose(drives: Sequence[Drive]) -> None:
    for drive in drives:
        drive.state = DriveState.MISSING


def find(drives: Sequence[Drive]) -> None:
    for drive in drives:
        drive.state = DriveState.PRESENT


def segment_file(zone: DriveZone, chunk: Chunk, index: int) -> Path:
    drive = zone.drives.by_id(chunk.members[index])
    assert drive is not None
    return Path(segment_path(drive, chunk.id, index))


def files_under(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


async def test_the_memory_store_keeps_the_contract() -> None:
    async def make() -> ChunkStore:
        return MemoryChunkStore()

    await check_chunk_store(make)


@pytest.mark.parametrize("shape", [(4, 4), (3, 4), (3, 1), (1, 1)], ids=str)
async def test_the_drives_store_keeps_the_contract(tmp_path: Path, shape: tuple[int, int]) -> None:
    zones = iter(range(100))

    async def make() -> ChunkStore:
        root = tmp_path / str(next(zones))
        root.mkdir()
        zone = DriveZone(LocalDisk(), str(root), racks=shape[0], drives_per_rack=shape[1])
        return zone.store

    await check_chunk_store(make)


@pytest.fixture(params=["striped", "sealed"])
async def stored(request: pytest.FixtureRequest, zone: DriveZone) -> tuple[bytes, Sequence[Extent]]:
    """A body on 16 drives: in an open striped chunk, or in a landing chunk that was sealed."""
    if request.param == "striped":
        body = content(ROW + 300_000)
        return body, await zone.store.append_rows([body])
    bodies = [content(size, size) for size in (4112, 70_000, 900_000, 1, 1 << 20, 5_000_000)]
    extents: list[Extent] = []
    for first in range(0, 6, 2):
        extents += await zone.land(*bodies[first : first + 2])
    await zone.seal(zone.close_landing())
    return b"".join(bodies), extents


Stored = tuple[bytes, Sequence[Extent]]


async def test_any_four_drives_may_be_lost(zone: DriveZone, stored: Stored) -> None:
    body, extents = stored
    choose = random.Random(1)
    for _ in range(6):
        lost = choose.sample(zone.drives.all(), 4)
        lose(lost)
        assert await read_all(zone, extents) == body
        find(lost)


async def test_any_rack_may_be_lost(zone: DriveZone, stored: Stored) -> None:
    body, extents = stored
    for name in ("r1", "r2", "r3", "r4"):
        lose(zone.rack(name))
        assert await read_all(zone, extents) == body
        find(zone.rack(name))


async def test_five_lost_drives_are_data_lost_never_wrong_bytes(
    zone: DriveZone, stored: Stored
) -> None:
    _, extents = stored
    lose(zone.rack("r1"))
    lose(zone.rack("r2")[:1])
    with pytest.raises(DataLost, match="11 segments of"):
        await read_all(zone, extents)


async def test_drives_that_are_yet_to_be_checked_are_the_last_resort(
    zone: DriveZone, stored: Stored
) -> None:
    """A start that was cut leaves more of them than may be lost, and all they hold is whole."""
    body, extents = stored
    drives = random.Random(2).sample(zone.drives.all(), 7)
    for drive in drives:
        zone.drives.mark(drive.id, DriveState.CHECKING)
    assert await read_all(zone, extents) == body
    # Of one that was away, what is stale or missing does not pass.
    lose(drives[:3])
    for drive in drives[3:]:
        for path in (Path(drive.path) / "chunks").rglob("*.segment"):
            flip(path, physical(0) + 9)
    with pytest.raises(DataLost):
        await read_all(zone, extents)


async def test_a_mirror_that_is_yet_to_be_checked_is_the_last_resort(zone: DriveZone) -> None:
    extents = await zone.land(content(5000))
    members = zone.rows[extents[0].chunk].members
    drives = [drive for drive in zone.drives.all() if drive.id in members]
    lose(drives[:2])
    zone.drives.mark(drives[2].id, DriveState.CHECKING)
    assert await read_all(zone, extents) == content(5000)


async def test_files_that_are_gone_are_decoded_around(zone: DriveZone, stored: Stored) -> None:
    body, extents = stored
    chunk = zone.rows[extents[0].chunk]
    for index in (0, 5, 11, 15):
        segment_file(zone, chunk, index).unlink()
    assert await read_all(zone, extents) == body
    assert {index for _, index, _, _ in zone.noticed} >= {0, 5}


async def test_a_flipped_bit_anywhere_is_noticed_and_decoded_around(
    zone: DriveZone, stored: Stored
) -> None:
    body, extents = stored
    chunk = zone.rows[extents[0].chunk]
    for index in range(0, 12, 3):
        path = segment_file(zone, chunk, index)
        flip(path, random.Random(index).randrange(HEADER_BYTES, path.stat().st_size))
    assert await read_all(zone, extents) == body
    assert any("block" in reason for _, _, _, reason in zone.noticed)


async def test_a_file_cut_short_is_decoded_around(zone: DriveZone, stored: Stored) -> None:
    body, extents = stored
    path = segment_file(zone, zone.rows[extents[0].chunk], 2)
    path.write_bytes(path.read_bytes()[:-1])
    assert await read_all(zone, extents) == body


async def test_misdirected_and_stale_blocks_do_not_pass(zone: DriveZone) -> None:
    """Blocks with right checksums, in the wrong segment, place, chunk or time."""
    one, two = content(ROW, 1), content(ROW, 2)
    extents = [*await zone.store.append_rows([one]), *await zone.store.append_rows([two])]
    chunk = zone.rows[extents[0].chunk]
    first, second = segment_file(zone, chunk, 0), segment_file(zone, chunk, 1)
    original = first.read_bytes()
    block = slice(physical(0), physical(16384))
    for wrong in (
        second.read_bytes()[block],
        original[physical(16384) : physical(32768)],
        original[physical(STRIPE_UNIT) : physical(STRIPE_UNIT + 16384)],
        bytes(16392),
    ):
        altered = bytearray(original)
        altered[block] = wrong
        first.write_bytes(altered)
        zone.noticed.clear()
        assert await read_all(zone, extents) == one + two
        assert [index for _, index, _, _ in zone.noticed] == [0]


async def test_an_attempt_makes_up_for_the_segment_first_read(zone: DriveZone) -> None:
    body = content(3 * STRIPE_UNIT)
    (extent,) = await zone.store.append_rows([body])
    for attempt in range(3):
        assert await zone.store.read(extent, 0, 300_000, attempt) == body[:300_000]
    with pytest.raises(DataLost, match="every way"):
        await zone.store.read(extent, 0, 300_000, 3)


async def test_two_of_three_mirrors_may_be_lost(zone: DriveZone) -> None:
    (extent,) = await zone.land(b"a small body")
    members = [zone.drives.by_id(one) for one in zone.rows[extent.chunk].members]
    mirrors = [drive for drive in members if drive is not None]
    assert len({drive.rack for drive in mirrors}) == 3
    for kept in mirrors:
        lose([drive for drive in mirrors if drive is not kept])
        assert await read_all(zone, [extent]) == b"a small body"
        find(mirrors)
    lose(mirrors)
    with pytest.raises(DataLost):
        await read_all(zone, [extent])


async def test_a_rotten_mirror_is_passed_over_by_the_frame_tags(zone: DriveZone) -> None:
    async def count_dead(extents: tuple[Extent, ...]) -> None:
        raise AssertionError

    vault = FramedVault(zone.store, zone.clock, SeededEntropy(1), 1, count_dead=count_dead)
    writer = vault.writer(b"key", b"k" * 32, size_hint=None)
    await writer.write(content(200_000))
    staged = await writer.finish()
    (extent,) = await zone.land(b"".join(staged.body))
    members = [zone.drives.by_id(one) for one in zone.rows[extent.chunk].members]
    for drive in members[:2]:
        assert drive is not None
        flip(Path(mirror_path(drive, extent.chunk)), HEADER_BYTES + extent.offset + 100_000)
    blob = type(staged.blob)(
        staged.blob.id, staged.blob.size, staged.blob.key_id, staged.blob.wrapped_key, (extent,)
    )
    pieces = [piece async for piece in vault.read(blob, b"k" * 32, 0, blob.size)]
    assert b"".join(pieces) == content(200_000)


async def test_a_reader_follows_a_chunk_that_is_sealed_under_it(
    zone: DriveZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [content(100_000, seed) for seed in range(5)]
    extents = await zone.land(*bodies)
    chunk = zone.close_landing()
    store = zone.new_store()
    assert await store.read(extents[0], 0, 100) == bodies[0][:100]
    await zone.seal(chunk)
    # The mirror that it has open goes away; the catalog is asked, not every drive.
    lose([drive for drive in zone.drives.all() if drive.id == chunk.members[0]])
    monkeypatch.setattr("coffre.vault.store.sealed_ways", lambda *_: [])
    for body, extent in zip(bodies, extents, strict=True):
        assert await store.read(extent, 0, extent.length) == body


async def test_a_reader_follows_a_chunk_that_moves_again_and_again_under_it(
    zone: DriveZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost a mirror when the reader began, and is sealed while the others are looked for."""
    body = content(100_000)
    extents = await zone.land(body)
    closed = zone.close_landing()
    await zone.seal(closed)
    # What the catalog answers, one time after the other.
    answers = [closed, structs.replace(closed, members=closed.members[1:]), zone.rows[closed.id]]

    class Moving:
        def chunk(self, chunk_id: bytes) -> Chunk | None:
            return answers.pop(0)

    monkeypatch.setattr("coffre.vault.store.sealed_ways", lambda *_: [])
    store = DriveChunkStore(zone.drives, zone.disk, Moving(), zone.clock)
    assert await store.read(extents[0], 0, len(body)) == body
    store.close()


async def test_segments_are_found_although_the_catalog_knows_only_mirrors(
    zone: DriveZone,
) -> None:
    bodies = [content(100_000, seed) for seed in range(5)]
    extents = await zone.land(*bodies)
    chunk = zone.close_landing()
    await zone.seal(chunk)
    zone.rows[chunk.id] = chunk
    lose(zone.rack("r2"))
    assert await read_all(zone, extents) == b"".join(bodies)


async def test_a_slow_drive_is_decoded_around(tmp_path: Path) -> None:
    release = threading.Event()

    class SlowFile:
        def __init__(self, file: object) -> None:
            self._file = file

        def pread(self, length: int, offset: int) -> bytes:
            release.wait(30)
            data: bytes = self._file.pread(length, offset)  # type: ignore[attr-defined]
            return data

    class SlowDisk(LocalDisk):
        slow = ""

        def open(self, path: str, mode: Mode) -> LocalFile:
            file = super().open(path, mode)
            return SlowFile(file) if self.slow and path.startswith(self.slow) else file  # type: ignore[return-value]

    disk = SlowDisk()
    zone = DriveZone(disk, str(tmp_path))
    body = content(2 * STRIPE_UNIT)
    (extent,) = await zone.store.append_rows([body])
    first = zone.drives.by_id(zone.rows[extent.chunk].members[0])
    assert first is not None
    disk.slow = first.path
    store = zone.new_store(read_deadline=0.05)
    try:
        assert await store.read(extent, 0, extent.length) == body
        assert [reason for _, _, _, reason in zone.noticed] == ["no answer in 0.05 s"]
    finally:
        release.set()


async def test_bytes_outside_an_extent_are_refused(zone: DriveZone) -> None:
    (extent,) = await zone.land(b"0123456789")
    with pytest.raises(ValueError, match="of 10"):
        await zone.store.read(extent, 5, 6)


async def test_no_plaintext_and_no_key_is_in_any_file(zone: DriveZone, tmp_path: Path) -> None:
    async def count_dead(extents: tuple[Extent, ...]) -> None:
        raise AssertionError

    words = b"the quick brown fox jumps over the lazy dog; "
    store_key = b"store-key-of-32-bytes-0123456789"
    vault = FramedVault(zone.store, zone.clock, SeededEntropy(1), 1, count_dead=count_dead)
    for size in (1000, 3_000_000):
        writer = vault.writer(b"key", store_key, size_hint=size)
        await writer.write((words * (size // len(words) + 1))[:size])
        staged = await writer.finish()
        if staged.body:
            await zone.land(*staged.body)
    await zone.seal(zone.close_landing(), keep_mirrors=True)
    await zone.writer.drain()
    files = files_under(tmp_path)
    assert len(files) == 16 + 16 + 3
    blob_keys = SeededEntropy(1)
    secrets = [words[:20], store_key, blob_keys.bytes(32)]
    for path in files:
        data = path.read_bytes()
        assert not [secret for secret in secrets if secret in data]


async def test_geometry_follows_the_drives_that_are_there(tmp_path: Path) -> None:
    zone = DriveZone(RecordingDisk([str(tmp_path)]), str(tmp_path))
    lose(zone.rack("r1"))
    extents = await zone.store.append_rows([content(100_000)])
    assert zone.rows[extents[0].chunk].geometry == Geometry(8, 4)
    assert await read_all(zone, extents) == content(100_000)


async def test_bad_blocks_in_more_segments_than_may_be_lost_are_gone_round_block_by_block(
    tmp_path: Path,
) -> None:
    """Each of ten segments has another block that is bad: every block is whole in fifteen."""
    zone = DriveZone(LocalDisk(), str(tmp_path))
    body = content(12 * 12 * 16384)
    extents = await zone.store.append_rows([body])
    (chunk,) = zone.rows.values()
    for block, index in enumerate(range(0, 10)):
        with segment_file(zone, chunk, index).open("r+b") as file:
            file.seek(physical(block * 16384) + 3)
            file.write(b"rot")
    assert await read_all(zone, extents) == body


async def test_a_read_that_the_process_cannot_make_is_no_loss_of_data() -> None:
    disk = RecordingDisk(["/z"])
    zone = DriveZone(disk, "/z")
    extents = await zone.store.append_rows([b"x" * 100_000])
    store = zone.new_store()
    disk.fail("/z", "open", errno.EMFILE, times=1)
    with pytest.raises(Starved):
        await store.read(extents[0], 0, 1000)
    assert await store.read(extents[0], 0, 1000) == b"x" * 1000
    store.close()
