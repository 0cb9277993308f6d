"""The stewards, on the memory engine, and on drives where only they show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    AbortUpload,
    CountDead,
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUpload,
    CreateUser,
    PutPart,
)
from coffre.catalog.records import Secret
from coffre.stewards.reaper import Reaper
from coffre.stewards.sealer import Sealer
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.committing import RecordedZone, put
from coffre.vault.interface import StorageFull
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import GEOMETRIES, Blob, ChunkKind, ChunkState, Extent

PARTS = 300


async def test_what_an_abort_leaves_is_freed_and_counted_dead_by_the_reaper() -> None:
    clock, entropy, chunks = ManualClock(), SeededEntropy(7), MemoryChunkStore()
    catalog = MemoryCatalog(clock, entropy, 1, chunks.land)
    ids = [bytes([n]) * 16 for n in range(6)]
    await catalog.commit(CreateTenant(ids[0], "t"))
    await catalog.commit(CreateStore(ids[1], "s", ids[0], ids[2], b"root", b"wrapped"))
    await catalog.commit(CreateUser("u", ids[1], "u", "object", "AK", Secret(b"w", b"root")))
    await catalog.commit(CreateBucket(ids[3], ids[1], "bucket", "u", "us-east-1"))
    await catalog.commit(CreateUpload(ids[4], ids[3], b"key", ids[5], "u"))
    for number in range(1, PARTS + 1):
        blob = Blob(entropy.bytes(16), 1, ids[2], b"k")
        await catalog.commit(PutPart(ids[4], number, "etag", blob), [b"x" * 17])
    await catalog.commit(AbortUpload(ids[4]))
    assert catalog.has_orphans()

    done = await Reaper(catalog, catalog, clock).round()
    assert done.did > 200  # more than one step takes

    assert not catalog.has_orphans()
    assert sum(chunk.dead for chunk in catalog.chunks()) == PARTS * 17
    assert (await Reaper(catalog, catalog, clock).round()).did == 0


async def test_what_was_sealed_before_a_stop_does_not_trouble_the_sealer_after_it(
    tmp_path: Path,
) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    mutation, body = put(b"key", b"body")
    await node.committer.commit(mutation, body)
    await node.stop()
    node = await zone.node()  # It logs that the chunk of before is closed.
    zone.clock.advance(zone.settings.seal_after)
    mutation, body = put(b"key", b"another")
    await node.committer.commit(mutation, body)
    assert await Sealer(node.reader, node.committer, node.drives, GEOMETRIES[0]).seal_now()
    await node.stop()

    node = await zone.node()
    assert [c for c in node.reader.chunks() if c.state is ChunkState.SEALING]
    done = await Sealer(node.reader, node.committer, node.drives, GEOMETRIES[0]).round()
    assert done.did == 0
    await node.stop()


async def test_what_cannot_be_sealed_is_tried_again_without_closing_more_and_more(
    tmp_path: Path,
) -> None:
    """Superblocks name every chunk that waits, and have room for some dozens."""
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    mutation, body = put(b"key", b"body")
    await node.committer.commit(mutation, body)
    room, node.drives.reserve_bytes = node.drives.reserve_bytes, 1 << 60
    sealer = Sealer(node.reader, node.committer, node.drives, GEOMETRIES[0])
    for _ in range(6):
        with pytest.raises(StorageFull):
            await sealer.seal_now()
        (first, *_) = landed = [c for c in node.reader.chunks() if c.kind is ChunkKind.LANDING]
        await node.committer.commit(CountDead((Extent(first.id, 0, 0),)))
    assert len(landed) <= 2

    node.drives.reserve_bytes = room
    assert await sealer.seal_now() == 2
    assert not node.writer.zone.log.unsealed
    await node.stop()
