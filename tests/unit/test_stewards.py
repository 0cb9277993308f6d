"""The stewards, on the memory engine."""

from __future__ import annotations

from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    AbortUpload,
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUpload,
    CreateUser,
    PutPart,
)
from coffre.catalog.records import Secret
from coffre.stewards.reaper import Reaper
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

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
