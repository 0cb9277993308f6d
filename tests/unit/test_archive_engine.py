"""Archived versions in the catalog and by the archivist: a plain model against random histories,
and what a cut in the middle leaves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.archive_mutations import CompressBlob, RestoreVersion, Restoring
from coffre.catalog.audit import audit
from coffre.catalog.lifecycle_rules import end_of
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    ChosenPart,
    CompleteUpload,
    CopyVersion,
    CountDead,
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUpload,
    CreateUser,
    DeleteVersion,
    ObjectFacts,
    PutPart,
    PutVersion,
    Refusal,
    SetVersioning,
)
from coffre.catalog.records import ARCHIVED, Bucket, Encryption, PartIndex, Secret, Version
from coffre.stewards.archivist import Archivist
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.blobs import FramedVault
from coffre.vault.interface import Staged
from coffre.vault.memory import MemoryChunkStore

TENANT, STORE, KEY_ID, BUCKET = (bytes([n]) * 16 for n in range(1, 5))
DATA_KEY = b"K" * 32
HOUR_S = 3600
TEXT = b"all of this is the same over and over. " * 500


class World:
    """A catalog in memory, a vault, and the archivist over both."""

    def __init__(self) -> None:
        self.clock, self.entropy = ManualClock(1_700_000_000_000), SeededEntropy(5)
        self.chunks = MemoryChunkStore()
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, self.chunks.land)
        self.vault = FramedVault(
            self.chunks, self.clock, self.entropy, 1, count_dead=self._dead, inline_limit=1 << 16
        )
        self.archivist = self.new_archivist()
        for mutation in (
            CreateTenant(TENANT, "t"),
            CreateStore(STORE, "s", TENANT, KEY_ID, b"root", b"wrapped"),
            CreateUser("u", STORE, "u", "object", "AK", Secret(b"w", b"root")),
            CreateBucket(BUCKET, STORE, "bucket", "u", "us-east-1"),
        ):
            self.do(mutation)

    async def _dead(self, extents: Any) -> None:
        await self.catalog.commit(CountDead(extents))

    def new_archivist(self) -> Archivist:
        async def unhurried(size: int) -> None:
            """Lets everything pass."""

        return Archivist(
            self.catalog,
            self.catalog,
            self.vault,
            self.chunks,
            self.vault,
            lambda key_id: DATA_KEY,
            unhurried,
            self.clock,
            owners=frozenset({"memory"}),
            renew=lambda: None,
            inline_limit=1 << 16,
        )

    def do(self, mutation: Any, body: tuple[bytes, ...] = ()) -> Any:
        return asyncio.run(self.catalog.commit(mutation, body))

    @property
    def bucket(self) -> Bucket:
        found = self.catalog.bucket(STORE, "bucket")
        assert found is not None
        return found

    def stage(self, content: bytes) -> Staged:
        async def write() -> Staged:
            writer = self.vault.writer(KEY_ID, DATA_KEY, size_hint=len(content))
            await writer.write(content)
            return await writer.finish()

        return asyncio.run(write())

    def put(self, key: bytes, content: bytes, kind: str, own_key: bool = False) -> None:
        staged = self.stage(content)
        encryption = Encryption(b"salt", b"proof") if own_key else None
        facts = ObjectFacts("e", "u", storage_class=kind, encryption=encryption)
        manifest_id = self.entropy.bytes(16)
        self.do(PutVersion(BUCKET, key, manifest_id, staged.blob, facts), staged.body)

    def upload(self, key: bytes, parts: list[bytes], kind: str) -> None:
        upload_id = self.entropy.bytes(16)
        facts = ObjectFacts("e", "u", storage_class=kind)
        self.do(CreateUpload(upload_id, BUCKET, key, self.entropy.bytes(16), "u"))
        staged = [self.stage(part) for part in parts]
        for number, one in enumerate(staged, 1):
            self.do(PutPart(upload_id, number, "e", one.blob), one.body)
        chosen = tuple(ChosenPart(number, one.blob.id) for number, one in enumerate(staged, 1))
        index = tuple(PartIndex(number, one.blob.size) for number, one in enumerate(staged, 1))
        self.do(CompleteUpload(upload_id, chosen, index, facts))

    def version(self, key: bytes) -> Version | None:
        return self.catalog.current(self.bucket, key)

    def restore(self, key: bytes, days: int, delay_s: int, tier: Any = "Standard") -> Restoring:
        version = self.version(key)
        assert version is not None
        about = (BUCKET, key, version.version_id, version.order, days, tier, delay_s * 1000)
        done = self.do(RestoreVersion(*about, self.entropy.bytes(16)))
        assert isinstance(done, Restoring)
        return done

    def work(self, *, hasten: bool = False) -> None:
        if hasten:
            self.archivist.hasten()
        while asyncio.run(self.archivist.round()).did:
            pass

    def read(self, version: Version) -> bytes:
        manifest = version.manifest
        assert manifest is not None
        blobs = [self.catalog.blob(name) for name in self.catalog.blobs_of(manifest.id)]

        async def read() -> bytes:
            pieces = [
                bytes(piece)
                for blob in blobs
                if blob is not None
                async for piece in self.vault.read(blob, DATA_KEY, 0, blob.size)
            ]
            return b"".join(pieces)

        return asyncio.run(read())

    def check(self) -> None:
        found = audit(self.catalog._db).findings
        assert found == []

    def check_all_is_dead(self) -> None:
        """Of a bucket that is empty nothing lives."""
        self.check()
        assert self.catalog.bucket_classes(BUCKET) == {}
        assert [
            chunk.appended - chunk.dead for chunk in self.catalog.chunks() if chunk.appended
        ] == [0 for chunk in self.catalog.chunks() if chunk.appended]


@dataclass
class Model:
    """An object as a person would write it down. A copy is `ready_ms` at the earliest, and there
    until `expires_ms`."""

    content: bytes
    kind: str
    days: int = 0
    ready_ms: int = 0
    expires_ms: int = 0


KEYS = st.sampled_from([b"a", b"b", b"c"])
KINDS = st.sampled_from(["STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"])
CONTENTS = st.sampled_from([b"", b"short", TEXT, TEXT * 5, SeededEntropy(2).bytes(90_000)])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, CONTENTS, KINDS),
    st.tuples(st.just("put"), KEYS, CONTENTS, st.just("GLACIER")),
    st.tuples(st.just("copy"), KEYS, KEYS, KINDS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("restore"), KEYS, st.integers(1, 2), st.sampled_from([0, 0, 5 * HOUR_S])),
    st.tuples(st.just("wait"), st.sampled_from([60, HOUR_S, 6 * HOUR_S, 30 * HOUR_S])),
    st.tuples(st.just("gather")),
)


class History:
    """The engine and the model, step by step."""

    def __init__(self) -> None:
        self.world = World()
        self.models: dict[bytes, Model] = {}

    def readable(self, key: bytes) -> bool:
        model = self.models.get(key)
        return model is not None and (model.kind not in ARCHIVED or model.expires_ms > 0)

    def put(self, key: bytes, content: bytes, kind: str) -> None:
        self.world.put(key, content, kind)
        self.models[key] = Model(content, kind)

    def copy(self, source: bytes, key: bytes, kind: str) -> None:
        if not self.readable(source):
            return
        version = self.world.version(source)
        assert version is not None
        assert version.manifest is not None
        facts = ObjectFacts("e", "u", storage_class=kind)
        about = (version.manifest.id, version.size, version.parts_count)
        self.world.do(CopyVersion(BUCKET, key, *about, facts))
        self.models[key] = Model(self.models[source].content, kind)

    def delete(self, key: bytes) -> None:
        self.world.do(DeleteVersion(BUCKET, key))
        self.models.pop(key, None)

    def restore(self, key: bytes, days: int, delay_s: int) -> None:
        model = self.models.get(key)
        if model is None or model.kind not in ARCHIVED or (model.ready_ms and not model.expires_ms):
            return
        again = self.world.restore(key, days, delay_s).again
        now_ms = self.world.clock.now_ms()
        assert again == (model.expires_ms > 0)
        model.days = days
        if again:
            model.expires_ms = end_of(now_ms, days)
        else:
            model.ready_ms = now_ms + delay_s * 1000

    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.world.work()
        self._pass()

    def gather(self) -> None:
        self.world.work(hasten=True)
        self._pass()

    def _pass(self) -> None:
        now_ms = self.world.clock.now_ms()
        for model in self.models.values():
            if model.ready_ms and not model.expires_ms and model.ready_ms <= now_ms:
                model.expires_ms = end_of(now_ms, model.days)
            if model.expires_ms and model.expires_ms <= now_ms:
                model.ready_ms = model.expires_ms = 0

    def check(self) -> None:
        self.world.check()
        for key, model in self.models.items():
            version = self.world.version(key)
            assert version is not None
            restoration = version.restoration
            assert (restoration.expires_ms if restoration else 0) == model.expires_ms
            assert version.storage_class == model.kind
            assert self.world.read(version) == model.content
            manifest = version.manifest
            assert manifest is not None
            if self.readable(key) and manifest.blob is not None and model.expires_ms:
                assert not manifest.blob.compressed
        for kind in ("GLACIER_IR", *sorted(ARCHIVED)):
            sizes = [len(one.content) for one in self.models.values() if one.kind == kind]
            counted = self.world.catalog.bucket_classes(BUCKET).get(kind, (0, 0))
            assert counted == (len(sizes), sum(sizes))


@settings(deadline=None, max_examples=2000 if os.environ.get("COFFRE_LONG") else 80)
@given(st.lists(STEPS, max_size=25))
def test_what_is_archived_is_read_as_the_model_says_and_no_byte_is_lost(
    steps: list[tuple[Any, ...]],
) -> None:
    history = History()
    for name, *arguments in steps:
        getattr(history, name)(*arguments)
        history.check()
    for key in list(history.models):
        history.delete(key)
    history.world.check_all_is_dead()


def cut_after(world: World, commits: int) -> None:
    """A round of an archivist whose committer takes so many commits and no more."""
    archivist, left = world.new_archivist(), commits

    async def commit(mutation: Any, body: Any = ()) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return await world.catalog.commit(mutation, body)

    class Cut:
        def __init__(self) -> None:
            self.commit = commit

    archivist._committer = Cut()  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(archivist.round())


PARTS = [TEXT * 9, TEXT * 8, SeededEntropy(3).bytes(70_000), b"end"]


def restoring_parts() -> World:
    world = World()
    world.upload(b"key", PARTS, "GLACIER")
    world.work(hasten=True)
    world.restore(b"key", 1, 0)
    return world


@pytest.mark.parametrize("commits", range(5))
def test_a_restoration_that_is_cut_goes_on_where_it_was(commits: int) -> None:
    world = restoring_parts()
    cut_after(world, commits)
    world.check()
    version = world.version(b"key")
    assert version is not None
    assert version.restoration is not None
    there = world.catalog.part_numbers(version.restoration.manifest_id)
    assert len(there) == commits
    kept = {
        name.number: world.catalog.blob(name)
        for name in world.catalog.blobs_of(version.restoration.manifest_id)
    }
    world.work()
    version = world.version(b"key")
    assert version is not None
    assert version.manifest is not None
    assert version.parts_count == len(PARTS)
    assert world.read(version) == b"".join(PARTS)
    assert all(
        world.catalog.blob(name) == kept.get(name.number, world.catalog.blob(name))
        for name in world.catalog.blobs_of(version.manifest.id)
    )
    world.check()


@pytest.mark.parametrize("commits", range(5))
def test_what_is_deleted_in_the_middle_of_it_leaves_nothing(commits: int) -> None:
    world = restoring_parts()
    cut_after(world, commits)
    world.do(DeleteVersion(BUCKET, b"key"))
    world.work()
    world.check_all_is_dead()


@pytest.mark.parametrize("commits", range(4))
def test_gathering_that_is_cut_goes_on(commits: int) -> None:
    world = World()
    world.upload(b"key", PARTS, "GLACIER")
    world.clock.advance(2 * HOUR_S)
    cut_after(world, commits)
    world.check()
    world.work()
    version = world.version(b"key")
    assert version is not None
    assert version.manifest is not None
    blobs = [world.catalog.blob(name) for name in world.catalog.blobs_of(version.manifest.id)]
    assert [bool(blob and blob.compressed) for blob in blobs] == [True, True, False, False]
    assert world.read(version) == b"".join(PARTS)
    world.check()


def compression(world: World, key: bytes) -> CompressBlob:
    version = world.version(key)
    assert version is not None
    assert version.manifest is not None
    assert version.manifest.blob is not None
    place = (BUCKET, key, version.order, version.zone)
    staged = world.stage(b"x" * version.size)
    blob = staged.blob if staged.blob.extents else None
    assert blob is not None
    return CompressBlob(place, 0, version.manifest.blob, blob)


@pytest.mark.parametrize("what", ["warm", "shared", "own key", "moved", "gone"])
def test_nothing_is_compressed_that_somebody_needs_as_it_is(what: str) -> None:
    world = World()
    kind = "STANDARD" if what == "warm" else "GLACIER"
    world.put(b"key", TEXT * 9, kind, own_key=what == "own key")
    mutation = compression(world, b"key")
    version = world.version(b"key")
    assert version is not None
    assert version.manifest is not None
    if what == "shared":
        about = (version.manifest.id, version.size, 0)
        world.do(CopyVersion(BUCKET, b"copy", *about, ObjectFacts("e", "u")))
    elif what == "moved":
        world.do(DeleteVersion(BUCKET, b"key"))
        world.put(b"key", TEXT * 9, "GLACIER")
    elif what == "gone":
        world.do(DeleteVersion(BUCKET, b"key"))
    with pytest.raises(Refusal) as refused:
        world.do(mutation)
    assert refused.value.code == "OperationAborted"


def test_a_null_version_that_was_replaced_is_not_restored() -> None:
    world = World()
    world.do(SetVersioning(BUCKET, "suspended"))
    world.put(b"key", b"one", "GLACIER")
    before = world.version(b"key")
    assert before is not None
    world.put(b"key", b"two", "GLACIER")
    with pytest.raises(Refusal) as refused:
        world.do(
            RestoreVersion(
                BUCKET, b"key", before.version_id, before.order, 1, "Standard", 0, b"m" * 16
            )
        )
    assert refused.value.code == "OperationAborted"
