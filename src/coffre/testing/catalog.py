"""The contract that every catalog keeps, whatever holds its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import apsw
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from coffre.catalog import mutations as m
from coffre.catalog.people_mutations import CreatePerson
from coffre.catalog.records import Bucket, Encryption, PartIndex, Secret
from coffre.catalog.schema import LOGGED_TABLES
from coffre.system.entropy import SeededEntropy, new_id
from coffre.testing.catalog_collection import CollectingMachine
from coffre.testing.catalog_machine import OWNER, Catalog, Make
from coffre.vault.records import Blob, ChunkKind, ChunkState, Extent, ciphertext_bytes

__all__ = ["Catalog", "Make", "check_catalog", "dump"]

_entropy = SeededEntropy(1)
_SECRET = Secret(b"wrapped", b"root")
Rows = list[tuple[Any, ...]]


def check_catalog(make: Make, *, examples: int = 30, steps: int = 40) -> None:
    """Raise AssertionError where the catalogs that `make` makes (each empty) break the contract.

    `examples` random walks of up to `steps` mutations follow the fixed scenarios.
    """
    for scenario in (
        _stores_and_keys,
        _buckets_and_their_limit,
        _chunks_and_their_states,
        _versions_of_every_state,
        _what_is_said_of_buckets_and_versions,
        _a_long_upload,
        _many_at_once,
    ):
        asyncio.run(_run(make, scenario))
    machine = type("MadeCatalogMachine", (CollectingMachine,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def dump(db: apsw.Connection) -> dict[str, Rows]:
    """Every row of every logged table: equal for databases of equal content."""
    tables: dict[str, Rows] = {}
    for table in LOGGED_TABLES:
        key = db.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
        ).fetchall()
        names = ", ".join(str(name) for (name,) in key)
        tables[table] = db.execute(f"SELECT * FROM {table} ORDER BY {names}").fetchall()  # noqa: S608
    return tables


async def _run(make: Make, scenario: Callable[[Catalog], Awaitable[None]]) -> None:
    async with make() as catalog:
        await scenario(catalog)


async def _refused(catalog: Catalog, mutation: m.Mutation, code: str) -> None:
    refused = ""
    try:
        await catalog.commit(mutation, _body(mutation))
    except m.Refusal as refusal:
        refused = refusal.code
    assert refused == code, mutation


def _id() -> bytes:
    return new_id(_entropy, 1, 0)


def _blob(size: int, extents: tuple[Extent, ...] = ()) -> Blob:
    return Blob(_id(), size, b"store key", b"wrapped", extents)


def _body(mutation: m.Mutation) -> Sequence[bytes]:
    if not isinstance(mutation, m.PutVersion | m.PutPart) or mutation.blob.extents:
        return ()
    return (bytes(ciphertext_bytes(mutation.blob.size)),)


async def _bucket(catalog: Catalog) -> Bucket:
    """A tenant, a store, a user and an empty bucket."""
    tenant, store = _id(), _id()
    await catalog.commit(m.CreateTenant(tenant, "tenant"))
    await catalog.commit(m.CreateStore(store, "store", tenant, _id(), b"root", b"wrapped"))
    await catalog.commit(m.CreateUser(OWNER, store, "owner", "object", "AK", _SECRET))
    await catalog.commit(m.CreateBucket(_id(), store, "bucket", OWNER, "us-east-1"))
    bucket = catalog.bucket(store, "bucket")
    assert bucket is not None
    return bucket


def _put(bucket: Bucket, key: bytes, blob: Blob) -> m.PutVersion:
    return m.PutVersion(bucket.id, key, _id(), blob, m.ObjectFacts("etag", OWNER))


async def _stores_and_keys(catalog: Catalog) -> None:
    bucket = await _bucket(catalog)
    store = catalog.store(bucket.store_id)
    assert store is not None
    assert (catalog.store_named("store"), catalog.stores()) == (store, [store])
    tenant = catalog.tenant(store.tenant_id)
    assert tenant is not None
    assert tenant == catalog.tenant_named("tenant")
    key = catalog.store_key(store.key_id)
    assert key is not None
    assert (key.root_key_id, key.wrapped) == (b"root", b"wrapped")
    assert [user.id for user in catalog.users(store.id)] == [OWNER]
    assert [key.access_key for key in catalog.keys(OWNER)] == ["AK"]
    person = CreatePerson(_id(), "operator", "operator", "hash")
    await catalog.commit(person)
    await _refused(catalog, person, "PersonAlreadyExists")
    found = catalog.person("operator")
    assert found is not None
    assert (found.id, found.password_hash) == (person.id, "hash")
    assert catalog.user("nobody") is None
    assert (bucket.owner_label, catalog.identity("nobody")) == ("owner", None)

    again = m.CreateStore(_id(), "store", tenant.id, _id(), b"root", b"wrapped")
    await _refused(catalog, again, "StoreAlreadyExists")
    await _refused(catalog, m.CreateTenant(_id(), "tenant"), "TenantAlreadyExists")
    user = m.CreateUser("f" * 64, store.id, "other", "iam", "AK", _SECRET)
    await _refused(catalog, user, "AccessKeyAlreadyExists")

    second, third = Secret(b"second", b"root"), Secret(b"third", b"root")
    await catalog.commit(m.RotateKey("AK", second, 5))
    identity = catalog.identity("AK")
    assert identity is not None
    assert (identity.user.id, identity.store) == (OWNER, store)
    assert identity.key.secrets == (second, Secret(b"wrapped", b"root", 5))
    await catalog.commit(m.RotateKey("AK", third, None))
    identity = catalog.identity("AK")
    assert identity is not None
    assert identity.key.secrets == (third,)
    await _refused(catalog, m.RotateKey("nobody", third, None), "InvalidAccessKeyId")


async def _buckets_and_their_limit(catalog: Catalog) -> None:
    """The limit is the tenant's: two stores share it."""
    tenant, stores = _id(), (_id(), _id())
    await catalog.commit(m.CreateTenant(tenant, "tenant", bucket_limit=3))
    for index, store in enumerate(stores):
        create = m.CreateStore(store, f"store{index}", tenant, _id(), b"root", b"wrapped")
        await catalog.commit(create)
    names = ("aa", "ab", "b")
    for name in names[:2]:
        await catalog.commit(m.CreateBucket(_id(), stores[0], name, OWNER, "r"))
    await catalog.commit(m.CreateBucket(_id(), stores[1], names[2], OWNER, "r"))
    mine = m.CreateBucket(_id(), stores[0], "aa", OWNER, "r")
    await _refused(catalog, mine, "BucketAlreadyOwnedByYou")
    theirs = m.CreateBucket(_id(), stores[0], "aa", "somebody", "r")
    await _refused(catalog, theirs, "BucketAlreadyExists")
    fourth = m.CreateBucket(_id(), stores[1], "new", OWNER, "r")
    await _refused(catalog, fourth, "TooManyBuckets")

    def found(prefix: str, after: str, limit: int, owner: str | None = OWNER) -> list[str]:
        page = catalog.buckets(stores[0], owner, prefix=prefix, after=after, limit=limit)
        return [bucket.name for bucket in page]

    assert found("", "", 10) == found("a", "", 10, None) == ["aa", "ab"]
    assert (found("", "aa", 10), found("", "", 1), found("", "", 10, "x")) == (["ab"], ["aa"], [])

    bucket = catalog.bucket(stores[0], "aa")
    assert bucket is not None
    upload = m.CreateUpload(_id(), bucket.id, b"key", _id(), OWNER)
    await catalog.commit(upload)
    await _refused(catalog, m.DeleteBucket(bucket.id), "BucketNotEmpty")
    await catalog.commit(m.AbortUpload(upload.id))
    await catalog.commit(m.SetVersioning(bucket.id, "enabled"))
    deleted = await catalog.commit(m.DeleteVersion(bucket.id, b"key"))
    assert isinstance(deleted, m.Deleted)
    await _refused(catalog, m.DeleteBucket(bucket.id), "BucketNotEmpty")
    await catalog.commit(m.DeleteVersion(bucket.id, b"key", deleted.marker_version_id))
    await catalog.commit(m.DeleteBucket(bucket.id))
    await _refused(catalog, m.DeleteBucket(bucket.id), "NoSuchBucket")
    await _refused(catalog, _put(bucket, b"key", _blob(1)), "NoSuchBucket")
    only = catalog.only_bucket_named("ab")
    assert only == catalog.bucket(stores[0], "ab") is not None
    assert catalog.only_bucket_named("aa") is None
    await catalog.commit(fourth)
    await catalog.commit(m.DeleteBucket(fourth.id))
    await catalog.commit(m.CreateBucket(_id(), stores[1], "ab", OWNER, "r"))
    assert catalog.only_bucket_named("ab") is None


async def _chunks_and_their_states(catalog: Catalog) -> None:
    bucket = await _bucket(catalog)
    members = tuple(bytes([index]) * 16 for index in range(16))
    extent = Extent(_id(), 0, ciphertext_bytes(1000), 16384)
    put = _put(bucket, b"key", _blob(1000, (extent,)))
    await catalog.commit(m.ReserveChunk(extent.chunk, "worker", 1, 12, 4, members))
    await catalog.commit(put)
    await _refused(catalog, put, "InternalError")
    short = _put(bucket, b"key", _blob(1001, (extent,)))
    await _refused(catalog, short, "InternalError")
    await catalog.commit(m.CountDead((Extent(extent.chunk, 16384, 50, 16384),)))
    stale = m.ReplaceMember(extent.chunk, 3, b"another".ljust(16), b"new".ljust(16))
    await _refused(catalog, stale, "OperationAborted")
    await catalog.commit(m.ReplaceMember(extent.chunk, 3, members[3], b""))
    for _ in range(2):
        await catalog.commit(m.CloseChunk(extent.chunk))
    chunk = catalog.chunk(extent.chunk)
    assert chunk is not None
    assert (chunk.kind, chunk.state) == (ChunkKind.STRIPED, ChunkState.SEALED)
    assert (chunk.length, chunk.dead) == (extent.length + 50, 50)
    assert chunk.members == (*members[:3], b"", *members[4:])
    late = _put(bucket, b"late", _blob(1000, (extent,)))
    await _refused(catalog, late, "InternalError")

    landing = _id()
    await catalog.commit(m.OpenLanding(landing, 1, members[:3]))
    seal = m.SealChunk(landing, 12, 4, members, 16384)
    await _refused(catalog, seal, "InternalError")
    await catalog.commit(m.CloseChunk(landing))
    await catalog.commit(seal)
    sealed = catalog.chunk(landing)
    assert sealed is not None
    assert (sealed.state, sealed.k, sealed.m, sealed.length) == (ChunkState.SEALED, 12, 4, 16384)


async def _versions_of_every_state(catalog: Catalog) -> None:
    """A null version from before versioning stays beneath, and is what suspension replaces."""
    bucket = await _bucket(catalog)

    async def put(size: int) -> bytes:
        mutation = _put(bucket, b"key", _blob(size))
        written = await catalog.commit(mutation, _body(mutation))
        assert isinstance(written, m.Written)
        return written.version_id

    def size_of(version_id: bytes) -> int | None:
        version = catalog.version(bucket, b"key", version_id)
        return None if version is None else version.size

    def current() -> tuple[bytes, bool]:
        version = catalog.current(bucket, b"key")
        assert version is not None
        assert version.latest
        return version.version_id, version.marker

    assert await put(1) == await put(2) == b""
    await catalog.commit(m.SetVersioning(bucket.id, "enabled"))
    second = await put(3)
    assert (len(second), size_of(b""), size_of(second)) == (16, 2, 3)
    await catalog.commit(m.SetVersioning(bucket.id, "suspended"))
    assert await put(4) == b""
    assert (size_of(b""), size_of(second), current()) == (4, 3, (b"", False))
    marked = await catalog.commit(m.DeleteVersion(bucket.id, b"key"))
    assert (marked, current()) == (m.Deleted(None, True, b""), (b"", True))
    await catalog.commit(m.SetVersioning(bucket.id, "enabled"))
    third = await put(5)
    await catalog.commit(m.SetVersioning(bucket.id, "suspended"))
    await catalog.commit(m.DeleteVersion(bucket.id, b"key"))
    await catalog.commit(m.DeleteVersion(bucket.id, b"key", b""))
    assert (current(), size_of(b""), size_of(third)) == ((third, False), None, 5)
    gone = await catalog.commit(m.DeleteVersion(bucket.id, b"key", third, if_match="etag"))
    assert (gone, current()) == (m.Deleted(third), (second, False))
    found = catalog.bucket(bucket.store_id, bucket.name)
    assert found is not None
    assert (found.versioning, found.objects, found.bytes) == ("suspended", 1, 3)
    assert _live(catalog) == ciphertext_bytes(3)


async def _what_is_said_of_buckets_and_versions(catalog: Catalog) -> None:
    """Tags and ACLs belong to one version; documents go with their bucket."""
    bucket = await _bucket(catalog)
    await catalog.commit(m.SetVersioning(bucket.id, "enabled"))
    encryption, ids = Encryption(b"salt", b"proof"), []
    for size, acl in ((1, b"first"), (2, b"")):
        facts = m.ObjectFacts(
            "etag", OWNER, tags={"n": str(size)}, acl=acl, encryption=encryption if acl else None
        )
        put = m.PutVersion(bucket.id, b"key", _id(), _blob(size), facts)
        written = await catalog.commit(put, _body(put))
        assert isinstance(written, m.Written)
        ids.append(written.version_id)

    def order_of(version_id: bytes) -> int:
        version = catalog.version(bucket, b"key", version_id)
        assert version is not None
        return version.order

    first, second = map(order_of, ids)
    await catalog.commit(m.SetTags(bucket.id, b"key", ids[0], first, {"a": "b"}))
    await catalog.commit(m.SetAcl(bucket.id, b"key", ids[1], second, b"second"))
    stale = m.SetAcl(bucket.id, b"key", ids[1], first, b"stale")
    await _refused(catalog, stale, "OperationAborted")

    def told(version_id: bytes) -> tuple[dict[str, str], bytes, str]:
        version = catalog.version(bucket, b"key", version_id)
        assert version is not None
        return version.tags, version.acl, version.etag

    assert told(ids[0]) == ({"a": "b"}, b"first", "etag")
    assert told(ids[1]) == ({"n": "2"}, b"second", "etag")
    await catalog.commit(m.SetTags(bucket.id, b"key", ids[0], first, {}))
    await catalog.commit(m.SetAcl(bucket.id, b"key", ids[0], first, b""))
    assert told(ids[0]) == ({}, b"", "etag")
    found = [catalog.version(bucket, b"key", one) for one in ids]
    assert [one and one.encryption for one in found] == [encryption, None]
    for version_id in (b"", bytes(16)):
        await _refused(catalog, m.SetTags(bucket.id, b"key", version_id, first, {}), "NoSuchKey")
    marked = await catalog.commit(m.DeleteVersion(bucket.id, b"key", owner_id="deleter"))
    assert isinstance(marked, m.Deleted)
    assert marked.marker_version_id is not None
    marker = catalog.version(bucket, b"key", marked.marker_version_id)
    assert marker is not None
    assert marker.owner_id == "deleter"
    on_marker = m.SetAcl(bucket.id, b"key", marked.marker_version_id, marker.order, b"x")
    await _refused(catalog, on_marker, "NoSuchKey")

    made = m.CreateBucket(_id(), bucket.store_id, "other", OWNER, "r", {"acl": b"a", "tags": b"t"})
    await catalog.commit(made)
    for document in (b"one", b"two"):
        await catalog.commit(m.PutBucketDocument(made.id, "tags", document))
    assert catalog.bucket_document(made.id, "tags") == b"two"
    assert catalog.bucket_document(made.id, "acl") == b"a"
    for _ in range(2):
        await catalog.commit(m.DeleteBucketDocument(made.id, "tags"))
    assert catalog.bucket_document(made.id, "tags") is None
    await catalog.commit(m.DeleteBucket(made.id))
    assert catalog.bucket_document(made.id, "acl") is None
    await _refused(catalog, m.PutBucketDocument(made.id, "acl", b""), "NoSuchBucket")
    await _refused(catalog, m.DeleteBucketDocument(made.id, "acl"), "NoSuchBucket")


async def _a_long_upload(catalog: Catalog) -> None:
    """Deleting a long object is one small step; its parts are freed later, and counted once."""
    bucket = await _bucket(catalog)
    numbers = range(1, 101)
    upload = m.CreateUpload(
        _id(),
        bucket.id,
        b"key",
        _id(),
        OWNER,
        {"a": "b"},
        tags={"t": "u"},
        acl=b"z",
        encryption=Encryption(b"salt", b"proof"),
    )
    await catalog.commit(upload)
    chosen = []
    for number in (*numbers, 1, 7777):
        part = m.PutPart(upload.id, number, f"etag{number}", _blob(number))
        await catalog.commit(part, _body(part))
        chosen.append(m.ChosenPart(number, part.blob.id))
    chosen[0] = chosen.pop(100)
    chosen.pop()
    found = catalog.upload(upload.id)
    assert found is not None
    assert (found.key, found.metadata, found.tags) == (b"key", {"a": "b"}, {"t": "u"})
    assert (found.acl, found.encryption) == (b"z", upload.encryption)
    assert [p.number for p in catalog.parts(upload.id, after=98, limit=3)] == [99, 100, 7777]

    index = tuple(PartIndex(number, number) for number in numbers)
    facts = m.ObjectFacts("etag-100", OWNER)
    complete = m.CompleteUpload(upload.id, tuple(chosen), index, facts)
    stale = (m.ChosenPart(1, _id()), *chosen[1:])
    await _refused(catalog, m.CompleteUpload(upload.id, stale, index, facts), "InvalidPart")
    written = await catalog.commit(complete)
    assert await catalog.commit(complete) == written
    fewer = m.CompleteUpload(upload.id, complete.chosen[1:], index[1:], facts)
    await _refused(catalog, fewer, "InvalidPart")
    version = catalog.current(bucket, b"key")
    assert version is not None
    assert version.manifest is not None
    assert (version.parts_count, version.manifest.parts) == (100, index)
    parts = catalog.manifest_parts(version.manifest.id, 5, 7)
    assert [(part.number, part.blob.size) for part in parts] == [(5, 5), (6, 6), (7, 7)]

    live = sum(ciphertext_bytes(number) for number in numbers)
    assert _live(catalog) == live
    await catalog.commit(m.DeleteVersion(bucket.id, b"key"))
    rounds = 0
    more = True
    while more:
        reaped = await catalog.commit(m.ReapOrphans(30))
        assert isinstance(reaped, m.Reaped)
        assert reaped.rows <= 30
        more = reaped.more
        rounds += 1
    assert (_live(catalog), rounds) == (0, 4)
    assert await catalog.commit(m.ReapOrphans()) == m.Reaped(0, False)
    assert await catalog.commit(complete) == written
    assert isinstance(written, m.Written)
    forgotten = await catalog.commit(m.ForgetCompletions(written.modified_ms + 1))
    assert forgotten == m.Reaped(1, False)
    await _refused(catalog, complete, "NoSuchUpload")


async def _many_at_once(catalog: Catalog) -> None:
    """Each on its own terms: what one is refused, the next does not notice."""
    bucket = await _bucket(catalog)
    results = await catalog.commit_all(
        [
            m.DeleteVersion(bucket.id, b"a"),
            m.AbortUpload(_id()),
            m.CreateUpload(_id(), bucket.id, b"a", _id(), OWNER),
        ]
    )
    assert results[0] == m.Deleted()
    assert isinstance(results[1], m.Refused)
    assert (results[1].code, results[2]) == ("NoSuchUpload", m.Done())


def _live(catalog: Catalog) -> int:
    return sum(chunk.length - chunk.dead for chunk in catalog.chunks())
