"""Random walks over a catalog, each step compared with a model of dicts (Hypothesis)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coffre.catalog import mutations as m
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import Bucket, KeyOrder, ListedVersion, PartIndex, Secret
from coffre.catalog.usage_records import NO_LEVEL
from coffre.system.entropy import SeededEntropy, new_id
from coffre.testing.catalog_model import (
    ModelBucket,
    ModelManifest,
    ModelPart,
    ModelUpload,
    ModelVersion,
    in_order,
    model_listing,
)
from coffre.vault.records import Blob, ciphertext_bytes


class Catalog(Reader, Committer, Protocol):
    """A catalog's two doors."""


Make = Callable[[], AbstractAsyncContextManager[Catalog]]

OWNER = "0123456789abcdef" * 4
ORDERS: tuple[KeyOrder, KeyOrder] = ("utf-8", "utf-16be")

# Characters at the seams of both orders: U+FFFF sorts below U+10000 in UTF-8, above in UTF-16.
_CHARACTERS = "ab/-\0é\ud7ff\uffff\U00010000\U0010ffff"
_TEXTS = st.text(_CHARACTERS, max_size=4).map(str.encode)
KEYS = st.text(_CHARACTERS, min_size=1, max_size=4).map(str.encode)
_FEW_KEYS = st.sampled_from([b"a", b"a/b", b"a/", "\U0010ffff/x".encode()])
_SIZES = st.sampled_from([0, 1, 100, 65536, 70000])
_WHICH = st.sampled_from([0, 1])
_INDEX = st.integers(0, 7)


class CatalogMachine(RuleBasedStateMachine):
    """Give it a `make` by subclassing. One bucket in each key order, everything else random."""

    make: Make

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = type(self).make()
        self.catalog = self.runner.run(_enter(self.context))
        self.entropy = SeededEntropy(0)
        self.models = [ModelBucket(order) for order in ORDERS]
        self.stores = [self.id(), self.id()]
        self.completed: list[tuple[m.CompleteUpload, m.Result]] = []
        self.gone_manifest = self.id()

    def teardown(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    def id(self) -> bytes:
        return new_id(self.entropy, 1, 0)

    @initialize()
    def set_up(self) -> None:
        tenant = self.id()
        self.commit(m.CreateTenant(tenant, "tenant"))
        for store, order in zip(self.stores, ORDERS, strict=True):
            self.commit(m.CreateStore(store, order, tenant, self.id(), b"root", b"key", order))
            self.commit(m.CreateBucket(self.id(), store, "bucket", OWNER, "us-east-1"))
        secret = Secret(b"wrapped", b"root")
        self.commit(m.CreateUser(OWNER, self.stores[0], "owner", "object", "AK", secret))

    def bucket(self, which: int) -> Bucket:
        bucket = self.catalog.bucket(self.stores[which], "bucket")
        assert bucket is not None
        return bucket

    def commit(self, mutation: m.Mutation) -> m.Result:
        body: tuple[bytes, ...] = ()
        if isinstance(mutation, m.PutVersion | m.PutPart) and not mutation.blob.extents:
            body = (bytes(ciphertext_bytes(mutation.blob.size)),)
        return self.runner.run(self.catalog.commit(mutation, body))

    def refused(self, mutation: m.Mutation, code: str) -> None:
        refused = ""
        try:
            self.commit(mutation)
        except m.Refusal as refusal:
            refused = refusal.code
        assert refused == code

    def blob(self, size: int) -> Blob:
        return Blob(self.id(), size, b"store key", b"wrapped")

    def write(
        self,
        which: int,
        key: bytes,
        mutation: m.PutVersion | m.CopyVersion | m.CompleteUpload,
        manifest: ModelManifest,
    ) -> m.Result | None:
        """Commit a write; None if it is refused as the model says it must be."""
        model = self.models[which]
        condition = mutation.condition
        code = model.refusal(key, condition.if_match, condition.if_none_match)
        if code is not None:
            self.refused(mutation, code)
            return None
        written = self.commit(mutation)
        assert isinstance(written, m.Written)
        assert (written.version_id == b"") == (model.versioning != "enabled")
        assert (written.etag, written.size) == (mutation.facts.etag, manifest.size)
        version = ModelVersion(
            written.version_id, mutation.facts.etag, manifest, mutation.facts.metadata
        )
        model.write(key, version)
        return written

    def facts(self) -> m.ObjectFacts:
        tag = self.id().hex()
        return m.ObjectFacts(hashlib.md5(tag.encode()).hexdigest(), OWNER, {"x-amz-meta-n": tag})  # noqa: S324

    def condition(self, which: int, key: bytes, kind: str) -> m.WriteCondition:
        current = self.models[which].current(key)
        etags = {"match": current.etag if current else "e", "any": "*", "other": "other"}
        return m.WriteCondition(etags.get(kind), kind == "new")

    _conditions = st.sampled_from(["", "", "", "match", "any", "other", "new"])

    @rule(which=_WHICH, key=KEYS | _FEW_KEYS, size=_SIZES, kind=_conditions)
    def put(self, which: int, key: bytes, size: int, kind: str) -> None:
        manifest = ModelManifest(self.id(), (size,))
        condition = self.condition(which, key, kind)
        bucket_id = self.bucket(which).id
        mutation = m.PutVersion(
            bucket_id, key, manifest.id, self.blob(size), self.facts(), condition
        )
        self.write(which, key, mutation, manifest)

    @rule(which=_WHICH, to=_WHICH, key=_FEW_KEYS, source=_INDEX, kind=_conditions)
    def copy(self, which: int, to: int, key: bytes, source: int, kind: str) -> None:
        objects = self.models[which].objects()
        if not objects:
            return
        manifest = objects[source % len(objects)].manifest
        assert manifest is not None
        mutation = m.CopyVersion(
            self.bucket(to).id,
            key,
            manifest.id,
            manifest.size,
            0,
            self.facts(),
            self.condition(to, key, kind),
        )
        self.write(to, key, mutation, manifest)

    @rule(which=_WHICH, key=KEYS)
    def copy_of_what_is_gone(self, which: int, key: bytes) -> None:
        bucket_id = self.bucket(which).id
        copy = m.CopyVersion(bucket_id, key, self.gone_manifest, 1, 0, self.facts())
        self.refused(copy, "NoSuchKey")

    @rule(which=_WHICH, key=_FEW_KEYS, pick=_INDEX, kind=st.sampled_from(["", "match", "other"]))
    def delete(self, which: int, key: bytes, pick: int, kind: str) -> None:
        model = self.models[which]
        if pick and model.keys:
            key = sorted(model.keys)[pick % len(model.keys)]
        current = model.current(key)
        if_match = {"match": current.etag if current else "e", "other": "other"}.get(kind)
        mutation = m.DeleteVersion(self.bucket(which).id, key, None, if_match)
        if current is not None and kind == "other":
            self.refused(mutation, "PreconditionFailed")
            return
        deleted = self.commit(mutation)
        assert isinstance(deleted, m.Deleted)
        if model.versioning == "never":
            model.remove(key, b"")
            assert deleted == m.Deleted()
        elif current is None and kind:
            assert deleted == m.Deleted()
        else:
            assert deleted.marker
            assert deleted.marker_version_id is not None
            model.write(key, ModelVersion(deleted.marker_version_id, "", None))

    @rule(which=_WHICH, pick=_INDEX, version=_INDEX, missing=st.booleans())
    def delete_version(self, which: int, pick: int, version: int, missing: bool) -> None:
        model = self.models[which]
        key = sorted(model.keys)[pick % len(model.keys)] if model.keys else b"none"
        versions = model.keys.get(key, [])
        known = versions and not missing
        version_id = versions[version % len(versions)].version_id if known else self.id()
        deleted = self.commit(m.DeleteVersion(self.bucket(which).id, key, version_id))
        found = model.remove(key, version_id)
        marker = found is not None and found.marker
        assert deleted == m.Deleted(version_id, marker, version_id if marker else None)

    @rule(which=_WHICH, state=st.sampled_from(["enabled", "suspended"]))
    def set_versioning(self, which: int, state: str) -> None:
        self.commit(m.SetVersioning(self.bucket(which).id, state))  # type: ignore[arg-type]
        self.models[which].versioning = state

    @rule(which=_WHICH, key=_FEW_KEYS)
    def create_upload(self, which: int, key: bytes) -> None:
        upload = ModelUpload(key, self.id())
        upload_id = self.id()
        bucket_id = self.bucket(which).id
        self.commit(m.CreateUpload(upload_id, bucket_id, key, upload.manifest_id, OWNER))
        self.models[which].uploads[upload_id] = upload

    def pick_upload(self, which: int, pick: int) -> tuple[bytes, ModelUpload]:
        uploads = list(self.models[which].uploads.items())
        return uploads[pick % len(uploads)]

    def has_uploads(self, which: int) -> bool:
        return bool(self.models[which].uploads)

    @precondition(lambda self: self.has_uploads(0) or self.has_uploads(1))
    @rule(pick=_INDEX, number=st.integers(1, 4), size=_SIZES)
    def put_part(self, pick: int, number: int, size: int) -> None:
        which = 0 if self.has_uploads(0) else 1
        upload_id, upload = self.pick_upload(which, pick)
        part = m.PutPart(upload_id, number, "etag", self.blob(size))
        self.commit(part)
        upload.parts[number] = ModelPart(part.blob.id, size)

    @precondition(lambda self: self.has_uploads(0) or self.has_uploads(1))
    @rule(pick=_INDEX, leave=st.sets(st.integers(1, 4), max_size=2), kind=_conditions, bad=_INDEX)
    def complete(self, pick: int, leave: set[int], kind: str, bad: int) -> None:
        which = 0 if self.has_uploads(0) else 1
        upload_id, upload = self.pick_upload(which, pick)
        numbers = sorted((set(upload.parts) - leave) | ({5} if bad == 7 else set()))
        parts = [upload.parts.get(number, ModelPart(self.id(), 1)) for number in numbers]
        mutation = m.CompleteUpload(
            upload_id,
            tuple(m.ChosenPart(n, p.blob_id) for n, p in zip(numbers, parts, strict=True)),
            tuple(PartIndex(n, p.size) for n, p in zip(numbers, parts, strict=True)),
            self.facts(),
            self.condition(which, upload.key, kind),
        )
        whole = bool(numbers) and set(numbers) <= set(upload.parts)
        manifest = ModelManifest(upload.manifest_id, tuple(part.size for part in parts))
        condition = mutation.condition
        refusal = self.models[which].refusal(
            upload.key, condition.if_match, condition.if_none_match
        )
        if not whole and refusal is None:
            self.refused(mutation, "InvalidPart")
            return
        written = self.write(which, upload.key, mutation, manifest)
        if written is not None:
            del self.models[which].uploads[upload_id]
            self.completed.append((mutation, written))

    @precondition(lambda self: self.completed)
    @rule(pick=_INDEX)
    def complete_again(self, pick: int) -> None:
        mutation, written = self.completed[pick % len(self.completed)]
        assert self.commit(mutation) == written
        others = (*mutation.chosen, m.ChosenPart(9, self.id()))
        changed = m.CompleteUpload(mutation.upload_id, others, mutation.index, mutation.facts)
        self.refused(changed, "InvalidPart")

    @precondition(lambda self: self.has_uploads(0) or self.has_uploads(1))
    @rule(pick=_INDEX)
    def abort(self, pick: int) -> None:
        which = 0 if self.has_uploads(0) else 1
        upload_id, _ = self.pick_upload(which, pick)
        self.commit(m.AbortUpload(upload_id))
        del self.models[which].uploads[upload_id]
        self.refused(m.AbortUpload(upload_id), "NoSuchUpload")
        self.refused(m.PutPart(upload_id, 1, "etag", self.blob(1)), "NoSuchUpload")

    @rule(which=_WHICH, prefix=_TEXTS, delimiter=_TEXTS | st.just(b"/"), after=_TEXTS, limit=_INDEX)
    def list_current(
        self, which: int, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> None:
        model = self.models[which]
        page = self.catalog.list_current(
            self.bucket(which), prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )
        expected = model_listing(
            model.current_keys(),
            model.order,
            prefix=prefix,
            delimiter=delimiter,
            after=after,
            limit=limit,
        )
        keys = [entry.key for entry in page.objects]
        assert (keys, list(page.common_prefixes), page.truncated, page.next_after) == expected
        for entry in page.objects:
            current = model.current(entry.key)
            assert current is not None
            assert (entry.etag, entry.owner_id) == (current.etag, OWNER)

    @rule(which=_WHICH, delimiter=st.sampled_from([b"", b"/"]), limit=st.integers(1, 3))
    def page_through_uploads(self, which: int, delimiter: bytes, limit: int) -> None:
        model = self.models[which]
        whole = self.catalog.list_uploads(
            self.bucket(which), prefix=b"", delimiter=delimiter, after_key=b"", after_upload=b"",
            limit=1000,
        )  # fmt: skip
        paged: list[bytes] = []
        key = upload = b""
        more = True
        while more:
            page = self.catalog.list_uploads(
                self.bucket(which), prefix=b"", delimiter=delimiter, after_key=key,
                after_upload=upload, limit=limit,
            )  # fmt: skip
            assert len(page.uploads) + len(page.common_prefixes) <= limit
            paged += [entry.id for entry in page.uploads]
            assert not page.truncated or (key, upload) != (page.next_key, page.next_upload)
            key, upload, more = page.next_key, page.next_upload, page.truncated
        assert paged == [entry.id for entry in whole.uploads]
        if not delimiter:
            by_key = sorted(
                model.uploads, key=lambda i: model.uploads[i].key.decode().encode("utf-16-be")
            )
            if model.order == "utf-8":
                by_key = sorted(model.uploads, key=lambda i: model.uploads[i].key)
            assert paged == by_key

    @rule(which=_WHICH, delimiter=st.sampled_from([b"", b"/"]), limit=st.integers(1, 3))
    def page_through_versions(self, which: int, delimiter: bytes, limit: int) -> None:
        model = self.models[which]
        entries: list[tuple[bytes, bytes | None]] = []
        key, version, more = b"", None, True
        while more:
            page = self.catalog.list_versions(
                self.bucket(which), prefix=b"", delimiter=delimiter, after_key=key,
                after_version=version, limit=limit,
            )  # fmt: skip
            assert len(page.versions) + len(page.common_prefixes) <= limit
            shown: list[tuple[bytes, bytes | None]] = [
                *((entry.key, entry.version_id) for entry in page.versions),
                *((prefix, None) for prefix in page.common_prefixes),
            ]
            entries += sorted(shown, key=lambda entry: in_order(model.order, entry[0]))
            for entry in page.versions:
                self.check_listed(model, entry)
            assert not page.truncated or (key, version) != (page.next_key, page.next_version)
            key, version, more = page.next_key, page.next_version, page.truncated
        assert entries == model.versions_in_order(delimiter)

    def check_listed(self, model: ModelBucket, entry: ListedVersion) -> None:
        versions = model.keys[entry.key]
        found = next(one for one in versions if one.version_id == entry.version_id)
        assert entry.latest == (found is versions[0])
        assert (entry.marker, entry.etag) == (found.marker, found.etag)

    @invariant()
    def reads_tell_what_was_written(self) -> None:
        for which, model in enumerate(self.models):
            bucket = self.catalog.bucket(self.stores[which], "bucket")
            if bucket is None:
                return  # Not set up yet.
            assert bucket.objects == len(model.objects())
            assert bucket.bytes == sum(v.manifest.size for v in model.objects() if v.manifest)
            levels = [meter.level for meter in self.catalog.meters_of(bucket.id)]
            assert levels in ([model.level()], [] if model.level() == NO_LEVEL else None)
            for key, versions in model.keys.items():
                current = self.catalog.current(bucket, key)
                assert current is not None
                assert (current.version_id, current.latest) == (versions[0].version_id, True)
                for version in versions:
                    self.check_version(bucket, key, version, version is versions[0])

    def check_version(
        self, bucket: Bucket, key: bytes, version: ModelVersion, latest: bool
    ) -> None:
        found = self.catalog.version(bucket, key, version.version_id)
        assert found is not None
        assert (found.key, found.marker, found.latest) == (key, version.marker, latest)
        assert (found.etag, found.metadata) == (version.etag, version.metadata)
        if version.manifest is None:
            assert found.manifest is None
            return
        assert found.manifest is not None
        assert (found.manifest.id, found.manifest.size) == (
            version.manifest.id,
            version.manifest.size,
        )

    @rule()
    def what_lives_is_what_chunks_count(self) -> None:
        reaped = m.Reaped(1, True)
        while reaped.more:
            result = self.commit(m.ReapOrphans(2))
            assert isinstance(result, m.Reaped)
            assert result.rows <= 2
            reaped = result
        live: dict[bytes, int] = {}
        for model in self.models:
            live |= model.stored()
        counted = sum(chunk.length - chunk.dead for chunk in self.catalog.chunks())
        assert counted == sum(live.values())


async def _enter(context: AbstractAsyncContextManager[Catalog]) -> Catalog:
    return await context.__aenter__()
