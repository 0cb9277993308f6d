"""What clients do: operations drawn by the seed, each with what it changes once acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitUnknown
from coffre.catalog.records import Bucket as BucketRow
from coffre.catalog.records import PartIndex, Version
from coffre.testing.simulation.model import (
    MARKER,
    Bucket,
    Change,
    Entry,
    Holdings,
    Parts,
    Versioning,
    Versions,
)
from coffre.testing.simulation.node import Node
from coffre.testing.simulation.records import Records, record_of_put
from coffre.vault.interface import BlobWriter, Staged
from coffre.vault.records import FRAME_BYTES, STRIPE_UNIT, Blob

STORE = b"store".ljust(16, b".")
KEY_ID = b"store key".ljust(16, b".")
DATA_KEY = bytes(range(100, 132))
OWNER = "0123456789abcdef" * 4
KEYS = [b"key %d" % number for number in range(12)]
# What a client is told when there is no room or too few drives answer; nothing happened then.
UNAVAILABLE = ("InsufficientStorage", "ServiceUnavailable")


class Wrong(AssertionError):
    """Something that must never be seen was seen."""


@dataclass(eq=False)
class Operation:
    """One call of a client, or (`background`) an operator. `acked`: it was answered, well or with
    the refusal that is right. `leaves_after`: so many seconds after it began, the client is gone;
    `left`: that was before its answer."""

    what: str
    run: Callable[[Node], Awaitable[None]]
    change: Change | None = None
    background: bool = False
    leaves_after: float | None = None
    left: bool = False
    acked: bool = False
    refused: bool = False

    def __str__(self) -> str:
        waited = "left" if self.left else "unanswered"
        outcome = "refused" if self.refused else "" if self.acked else waited
        return f"{self.what} {outcome}".rstrip()


@dataclass
class Clients:
    """Draws operations. `bodies` has the bytes of every ETag that was ever sent."""

    random: Random
    inline_limit: int
    buckets: list[Bucket] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    records: Records = field(default_factory=Records)

    def id(self) -> bytes:
        return self.random.randbytes(16)

    def body(self) -> tuple[str, bytes]:
        """An ETag and its bytes; sizes lie around every border there is."""
        way = self.random.random()
        inline, row = self.inline_limit, 12 * STRIPE_UNIT
        if way < 0.55:
            size = self.random.choice((0, 1, 100, self.random.randrange(5000)))
        elif way < 0.85:
            border = self.random.choice((FRAME_BYTES, inline, inline - 16, 12 * 16384))
            size = max(0, border + self.random.choice((-1, 0, 1)))
        elif way < 0.97:
            size = self.random.randrange(row // 2)
        else:
            size = self.random.choice((row, row + self.random.randrange(FRAME_BYTES)))
        etag = f"e{len(self.bodies)}"
        self.bodies[etag] = self.random.randbytes(size)
        return etag, self.bodies[etag]

    # Drawing

    def draw(self, taken: set[tuple[str, bytes]]) -> Operation | None:
        """An operation on a key that none of `taken` concerns, which it joins; None if that is hard
        to find."""
        bucket = self.random.choice(self.buckets)
        way = self.random.random()
        uploads = list(bucket.holdings.uploads.items())
        if uploads and way < 0.3:
            upload, parts = self.random.choice(uploads)
            if not _take(taken, bucket, parts.key):
                return None
            return self._go_on_with(bucket, upload, parts)
        key = self.random.choice(KEYS)
        if way > 0.85:
            return self.get(bucket, key)
        if not _take(taken, bucket, key):
            return None
        if way < 0.38:
            return self._create_upload(bucket, key)
        if way < 0.5:
            return self._copy(bucket, key, taken)
        if way < 0.62:
            return self._delete(bucket, key)
        if way < 0.65:
            return self._put_abandoned(bucket, key)
        return self.put(bucket, key)

    def put(self, bucket: Bucket, key: bytes) -> Operation:
        """A new object of any size; now and then only if there is none."""
        etag, body = self.body()
        manifest, chance = self.id(), self.random.random()
        new = chance < 0.1
        refused = new and bucket.current(key) != MARKER
        size_hint = None if chance > 0.8 else len(body)
        pieces = self._pieces(body)

        async def run(node: Node) -> None:
            try:
                async with _new_blob(node, size_hint) as writer:
                    for piece in pieces:
                        await writer.write(piece)
                    staged = await writer.finish()
                    put = m.PutVersion(
                        bucket.id,
                        key,
                        manifest,
                        staged.blob,
                        m.ObjectFacts(etag, OWNER),
                        m.WriteCondition(if_none_match=new),
                    )
                    record = record_of_put(node.engine.clock.now_ms(), etag)
                    before = node.reader.audit_head().sequence
                    await node.committer.commit(put, staged.body, record)
                    self.records.acknowledge(etag, before)
            except m.Refusal as refusal:
                if refused and refusal.code == "PreconditionFailed":
                    return
                raise
            if refused:
                raise Wrong(f"a put that must not replace {key!r} was taken")

        what = f"put {bucket.name}/{key.decode()} {etag} of {len(body)}{' if new' if new else ''}"
        change = None if refused else Change(bucket, key, bucket.written(key, etag))
        return Operation(what, run, change)

    def _put_abandoned(self, bucket: Bucket, key: bytes) -> Operation:
        _, body = self.body()
        pieces = self._pieces(body)[:-1]

        async def run(node: Node) -> None:
            writer = node.vault.writer(KEY_ID, DATA_KEY, size_hint=len(body))
            for piece in pieces:
                await writer.write(piece)
            await writer.abandon()

        return Operation(f"give up a put {bucket.name}/{key.decode()} of {len(body)}", run)

    def _copy(self, bucket: Bucket, key: bytes, taken: set[tuple[str, bytes]]) -> Operation | None:
        source = self.random.choice(self.buckets)
        keys = sorted(
            one
            for one in source.holdings.keys
            if source.current(one) != MARKER and (source.name, one) not in taken
        )
        if not keys:
            return None
        source_key = self.random.choice(keys)
        taken.add((source.name, source_key))
        etag = f"e{len(self.bodies)}"
        self.bodies[etag] = self.bodies[source.current(source_key)]

        async def run(node: Node) -> None:
            version = node.reader.current(bucket_row(node, source), source_key)
            assert version is not None
            assert version.manifest is not None
            copy = m.CopyVersion(
                bucket.id,
                key,
                version.manifest.id,
                version.size,
                version.parts_count,
                m.ObjectFacts(etag, OWNER),
            )
            await node.committer.commit(copy)

        what = f"copy {source.name}/{source_key.decode()} to {bucket.name}/{key.decode()} {etag}"
        return Operation(what, run, Change(bucket, key, bucket.written(key, etag)))

    def _delete(self, bucket: Bucket, key: bytes) -> Operation:
        versions = bucket.versions(key)
        if bucket.versioning == "never" or self.random.random() < 0.5 or not versions:
            after = bucket.written(key, MARKER)
            delete = m.DeleteVersion(bucket.id, key, owner_id=OWNER)

            async def run(node: Node) -> None:
                await node.committer.commit(delete)

            return Operation(
                f"delete {bucket.name}/{key.decode()}", run, Change(bucket, key, after)
            )
        place = self.random.randrange(len(versions))

        async def run_one(node: Node) -> None:
            version = listed(node, bucket, key)[place][0]
            await node.committer.commit(m.DeleteVersion(bucket.id, key, version, owner_id=OWNER))

        what = f"delete {bucket.name}/{key.decode()} version {place}"
        after = versions[:place] + versions[place + 1 :]
        return Operation(what, run_one, Change(bucket, key, after))

    def _create_upload(self, bucket: Bucket, key: bytes) -> Operation:
        upload = self.id()
        create = m.CreateUpload(upload, bucket.id, key, self.id(), OWNER)

        async def run(node: Node) -> None:
            await node.committer.commit(create)

        change = Change(bucket, key, upload=upload, parts=Parts(key))
        return Operation(f"upload {bucket.name}/{key.decode()} {upload.hex()[:6]}", run, change)

    def _go_on_with(self, bucket: Bucket, upload: bytes, parts: Parts) -> Operation:
        way = self.random.random()
        name = f"{bucket.name}/{parts.key.decode()} {upload.hex()[:6]}"
        if way < 0.12:

            async def abort(node: Node) -> None:
                await node.committer.commit(m.AbortUpload(upload))

            return Operation(f"abort {name}", abort, Change(bucket, parts.key, upload=upload))
        if way < 0.65 or not parts.etags:
            return self._put_part(bucket, upload, parts, name)
        chosen = sorted(self.random.sample(parts.etags, self.random.randint(1, len(parts.etags))))
        etag = f"e{len(self.bodies)}"
        self.bodies[etag] = b"".join(self.bodies[part] for _, part in chosen)

        async def complete(node: Node) -> None:
            stored = {p.number: p for p in node.reader.parts(upload, after=0, limit=1000)}
            wanted = [stored[number] for number, _ in chosen]
            completion = m.CompleteUpload(
                upload,
                tuple(m.ChosenPart(part.number, part.blob.id) for part in wanted),
                tuple(PartIndex(part.number, part.size) for part in wanted),
                m.ObjectFacts(etag, OWNER),
            )
            await node.committer.commit(completion)

        after = bucket.written(parts.key, etag)
        what = f"complete {name} {etag} from {[number for number, _ in chosen]}"
        return Operation(what, complete, Change(bucket, parts.key, after, upload))

    def _put_part(self, bucket: Bucket, upload: bytes, parts: Parts, name: str) -> Operation:
        number = self.random.randint(1, 4)
        etag, body = self.body()
        pieces = self._pieces(body)

        async def run(node: Node) -> None:
            async with _new_blob(node, len(body)) as writer:
                for piece in pieces:
                    await writer.write(piece)
                staged: Staged = await writer.finish()
                put = m.PutPart(upload, number, etag, staged.blob)
                await node.committer.commit(put, staged.body)

        change = Change(bucket, parts.key, upload=upload, parts=parts.with_part(number, etag))
        return Operation(f"part {number} of {name} {etag} of {len(body)}", run, change)

    def get(self, bucket: Bucket, key: bytes) -> Operation:
        """Read what the key holds when the read begins, whatever happens to it meanwhile."""
        whole, where = self.random.random() < 0.5, self.random.random()

        async def run(node: Node) -> None:
            version = node.reader.current(bucket_row(node, bucket), key)
            if version is None or version.marker:
                return
            start = 0 if whole else int(where * version.size)
            end = version.size if whole else min(version.size, start + 5000)
            await self.check_bytes(node, version, start, end)

        return Operation(f"get {bucket.name}/{key.decode()}", run)

    def set_versioning(self, bucket: Bucket, state: Versioning) -> Operation:
        async def run(node: Node) -> None:
            assert state != "never"
            await node.committer.commit(m.SetVersioning(bucket.id, state))
            bucket.versioning = state

        return Operation(f"versioning of {bucket.name} {state}", run)

    def _pieces(self, body: bytes) -> list[bytes]:
        cut = self.random.randint(0, len(body))
        return [body[:cut], body[cut:]]

    # Checking

    async def check_bytes(self, node: Node, version: Version, start: int, end: int) -> None:
        """Read a version and compare. Raises Wrong."""
        expected = self.bodies[version.etag]
        if version.size != len(expected):
            raise Wrong(f"{version.key!r} {version.etag} has {version.size}, not {len(expected)}")
        assert version.manifest is not None
        if version.manifest.blob is not None:
            blobs = [version.manifest.blob]
        else:
            parts = node.reader.manifest_parts(version.manifest.id, 1, 10_000)
            blobs = [part.blob for part in parts]
        at = 0
        for blob in blobs:
            low, high = max(start - at, 0), min(end - at, blob.size)
            if low < high and await _read(node, blob, low, high) != expected[at + low : at + high]:
                raise Wrong(f"{version.key!r} {version.etag}: bytes {at + low}.. are wrong")
            at += blob.size
        if at != version.size:
            raise Wrong(f"{version.key!r} {version.etag}: {at} of {version.size} bytes are there")


@asynccontextmanager
async def _new_blob(node: Node, size_hint: int | None) -> AsyncIterator[BlobWriter]:
    """As `s3.content.new_blob` does it: what is not committed, for sure, is given up."""
    writer = node.vault.writer(KEY_ID, DATA_KEY, size_hint=size_hint)
    try:
        yield writer
    except CommitUnknown:
        raise
    except BaseException as error:
        if not (isinstance(error, asyncio.CancelledError) and writer.finished):
            await writer.abandon()
        raise


async def _read(node: Node, blob: Blob, start: int, end: int) -> bytes:
    return b"".join([bytes(p) async for p in node.vault.read(blob, DATA_KEY, start, end)])


def _take(taken: set[tuple[str, bytes]], bucket: Bucket, key: bytes) -> bool:
    if (bucket.name, key) in taken:
        return False
    taken.add((bucket.name, key))
    return True


def bucket_row(node: Node, bucket: Bucket) -> BucketRow:
    row = node.reader.bucket(STORE, bucket.name)
    if row is None:
        raise Wrong(f"bucket {bucket.name} is gone")
    return row


def listed(node: Node, bucket: Bucket, key: bytes = b"") -> list[tuple[bytes, Entry]]:
    """(version id, entry) of a key's versions, the newest first."""
    return [(version, entry) for at, version, entry in _all_versions(node, bucket) if at == key]


def _all_versions(node: Node, bucket: Bucket) -> list[tuple[bytes, bytes, Entry]]:
    page = node.reader.list_versions(
        bucket_row(node, bucket),
        prefix=b"",
        delimiter=b"",
        after_key=b"",
        after_version=None,
        limit=10_000,
    )
    return [
        (one.key, one.version_id, Entry(MARKER if one.marker else one.etag, not one.version_id))
        for one in page.versions
    ]


def observe(node: Node, bucket: Bucket) -> Holdings:
    """What a bucket's listings say that it holds. Raises Wrong where they contradict each other."""
    row = bucket_row(node, bucket)
    keys: dict[bytes, Versions] = {}
    for key, _, entry in _all_versions(node, bucket):
        keys[key] = (*keys.get(key, ()), entry)
    listing = node.reader.list_current(row, prefix=b"", delimiter=b"", after=b"", limit=10_000)
    current = {one.key: one.etag for one in listing.objects}
    expected = {key: one[0].etag for key, one in keys.items() if one[0].etag != MARKER}
    if current != expected:
        raise Wrong(f"{bucket.name}: current objects {current}, versions {keys}")
    found = Holdings(keys)
    uploads = node.reader.list_uploads(
        row, prefix=b"", delimiter=b"", after_key=b"", after_upload=b"", limit=10_000
    )
    for upload in uploads.uploads:
        parts = node.reader.parts(upload.id, after=0, limit=1000)
        etags = tuple((part.number, part.etag) for part in parts)
        found.uploads[upload.id] = Parts(upload.key, etags)
    return found
