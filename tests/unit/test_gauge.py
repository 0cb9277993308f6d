"""The gauge: blobs, and objects of every bucket, that have bytes in chunks below target."""

from __future__ import annotations

from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    ChosenPart,
    CompleteUpload,
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUpload,
    CreateUser,
    DeleteVersion,
    ObjectFacts,
    PutPart,
    PutVersion,
    SetVersioning,
)
from coffre.catalog.records import PartIndex, Secret
from coffre.stewards.gauge import Gauge
from coffre.stewards.survey import Survey
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob, ciphertext_bytes

FACTS = ObjectFacts("etag", "u")


class Looking:
    """A repairer's last look."""

    look: Survey | None = None


class Scene:
    """A store with two buckets; every chunk is below target once `all_below` says so."""

    def __init__(self) -> None:
        self.clock, self.entropy, chunks = ManualClock(), SeededEntropy(7), MemoryChunkStore()
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, chunks.land)
        self.repairer = Looking()
        self.gauge = Gauge(self.catalog, self.repairer, self.clock)  # type: ignore[arg-type]

    async def found(self) -> None:
        commit, one = self.catalog.commit, b"1" * 16
        await commit(CreateTenant(one, "t"))
        await commit(CreateStore(one, "main", one, one, b"root", b"wrapped"))
        await commit(CreateUser("u", one, "u", "object", "AK", Secret(b"w", b"root")))
        for name in ("a", "b"):
            bucket = name.encode() * 16
            await commit(CreateBucket(bucket, one, name, "u", "us-east-1"))

    def blob(self, size: int) -> tuple[Blob, list[bytes]]:
        blob = Blob(self.entropy.bytes(16), size, b"1" * 16, b"k")
        return blob, [bytes(ciphertext_bytes(size))]

    async def put(self, bucket: str, key: str) -> None:
        blob, body = self.blob(100)
        put = PutVersion(bucket.encode() * 16, key.encode(), blob.id, blob, FACTS)
        await self.catalog.commit(put, body)

    async def put_in_parts(self, bucket: str, key: str, parts: int) -> None:
        upload, manifest = self.entropy.bytes(16), self.entropy.bytes(16)
        where = bucket.encode() * 16, key.encode()
        await self.catalog.commit(CreateUpload(upload, *where, manifest, "u"))
        chosen: list[ChosenPart] = []
        for number in range(1, parts + 1):
            blob, body = self.blob(50)
            await self.catalog.commit(PutPart(upload, number, "etag", blob), body)
            chosen.append(ChosenPart(number, blob.id))
        index = tuple(PartIndex(number, 50) for number in range(1, parts + 1))
        await self.catalog.commit(CompleteUpload(upload, tuple(chosen), index, FACTS))

    def all_below(self, below: bool = True) -> None:
        ids = frozenset(chunk.id for chunk in self.catalog.chunks()) if below else frozenset()
        self.repairer.look = Survey((), ids, 0, ())

    async def count(self) -> tuple[int, dict[str, int]]:
        while (await self.gauge.round()).again == 0.0:
            pass
        return self.gauge.count.blobs, self.gauge.count.objects


async def test_blobs_and_current_objects_of_every_bucket_are_counted() -> None:
    scene = Scene()
    await scene.found()
    for number in range(1203):
        await scene.put("a", f"key {number:05}")
    await scene.put_in_parts("b", "parts", 5)
    scene.all_below()
    assert await scene.count() == (1208, {"main/a": 1203, "main/b": 1})


async def test_old_versions_count_as_blobs_alone() -> None:
    scene = Scene()
    await scene.found()
    await scene.catalog.commit(SetVersioning(b"a" * 16, "enabled"))
    for _ in range(3):
        await scene.put("a", "one")
    await scene.put("a", "two")
    await scene.catalog.commit(DeleteVersion(b"a" * 16, b"two"))
    scene.all_below()
    assert await scene.count() == (4, {"main/a": 1})


async def test_chunks_that_are_whole_count_nothing_and_a_count_is_renewed() -> None:
    scene = Scene()
    await scene.found()
    await scene.put("a", "one")
    scene.repairer.look = Survey((), frozenset({b"another"}), 1, ())
    assert await scene.count() == (0, {})
    scene.all_below()
    assert await scene.count() == (0, {}), "it was counted a moment ago"
    scene.clock.advance(60)
    assert await scene.count() == (1, {"main/a": 1})
    scene.all_below(False)
    assert await scene.count() == (0, {})
