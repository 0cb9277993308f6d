"""Random walks with collection in them: bytes that move, chunks that close and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from coffre.catalog import mutations as m
from coffre.catalog.interface import Reader
from coffre.catalog.records import BlobName
from coffre.testing.catalog_machine import CatalogMachine
from coffre.testing.catalog_model import ModelManifest, ModelPart
from coffre.vault.records import BLOCK_BYTES, Blob, ChunkKind, ChunkState, Extent

_KEYS = st.sampled_from([b"a", b"a/b", b"large"])
_WHICH = st.sampled_from([0, 1])
_INDEX = st.integers(0, 7)
_SIZES = st.sampled_from([1, 70000, 300000])
_PAGE = 3


def live_blobs(reader: Reader) -> Iterator[tuple[BlobName, Blob]]:
    """Every blob that has a row, read in small pages."""
    after = b""
    while page := reader.whole_blobs(after=after, limit=_PAGE):
        yield from page
        after = page[-1][0].manifest_id
    name = BlobName(b"", 0)
    while parts := reader.part_blobs(after=name, limit=_PAGE):
        yield from parts
        name = parts[-1][0]


def audit(reader: Reader) -> None:
    """AssertionError unless counters and lists of every chunk are what the blobs' rows say."""
    live: Counter[bytes] = Counter()
    listed: set[tuple[bytes, BlobName]] = set()
    for name, blob in live_blobs(reader):
        assert reader.blob(name) == blob
        for extent in blob.extents:
            live[extent.chunk] += extent.length
            if extent.unit:
                listed.add((extent.chunk, name))
    chunks = reader.chunks()
    assert set(live) <= {chunk.id for chunk in chunks}, "a blob lies in no chunk"
    found: set[tuple[bytes, BlobName]] = set()
    for chunk in chunks:
        assert chunk.appended - chunk.dead == live[chunk.id], chunk
        assert 0 <= chunk.dead <= chunk.appended, chunk
        after = BlobName(b"", 0)
        while page := reader.striped_blobs(chunk.id, after=after, limit=_PAGE):
            found |= {(chunk.id, name) for name in page}
            after = page[-1]
    assert found == listed


class CollectingMachine(CatalogMachine):
    """`CatalogMachine` with large blobs, moves and a collector that asks for everything."""

    def __init__(self) -> None:
        super().__init__()
        self.striped: list[bytes] = []
        self.positions: Counter[bytes] = Counter()

    def rows(self, length: int, pick: int) -> Extent:
        """Rows in one of the open striped chunks, of geometry 1+0."""
        if len(self.striped) <= pick % 2:
            self.striped.append(self.id())
            self.commit(m.ReserveChunk(self.striped[-1], "worker", 1, 1, 0, (b"drive",)))
        chunk = self.striped[pick % 2 if pick % 2 < len(self.striped) else -1]
        unit = -(-length // BLOCK_BYTES) * BLOCK_BYTES
        extent = Extent(chunk, self.positions[chunk], length, unit)
        self.positions[chunk] += unit
        return extent

    def large(self, size: int, pick: int, cut: int) -> Blob:
        """A blob in rows, perhaps in two extents of different chunks."""
        blob = self.blob(size)
        first = blob.stored_bytes * cut // 8
        lengths = [length for length in (first, blob.stored_bytes - first) if length]
        extents = tuple(self.rows(length, pick + at) for at, length in enumerate(lengths))
        return Blob(blob.id, size, blob.key_id, blob.wrapped_key, extents)

    @rule(which=_WHICH, key=_KEYS, size=_SIZES, pick=_INDEX, cut=_INDEX)
    def put_large(self, which: int, key: bytes, size: int, pick: int, cut: int) -> None:
        manifest = ModelManifest(self.id(), (size,))
        blob = self.large(size, pick, cut)
        bucket_id = self.bucket(which).id
        put = m.PutVersion(bucket_id, key, manifest.id, blob, self.facts())
        self.write(which, key, put, manifest)

    @rule(pick=_INDEX, number=st.integers(1, 4), size=_SIZES, cut=_INDEX)
    def put_large_part(self, pick: int, number: int, size: int, cut: int) -> None:
        which = 0 if self.has_uploads(0) else 1
        if not self.has_uploads(which):
            return
        upload_id, upload = self.pick_upload(which, pick)
        part = m.PutPart(upload_id, number, "etag", self.large(size, pick, cut))
        self.commit(part)
        upload.parts[number] = ModelPart(part.blob.id, size)

    @rule(pick=_INDEX, which=_INDEX, inline=st.booleans(), stale=st.booleans())
    def move(self, pick: int, which: int, inline: bool, stale: bool) -> None:
        """One extent of some blob goes elsewhere; a collector that read it too long ago does not
        get its way."""
        blobs = [(name, blob) for name, blob in live_blobs(self.catalog) if blob.extents]
        if not blobs:
            return
        name, blob = blobs[pick % len(blobs)]
        at = which % len(blob.extents)
        length = blob.extents[at].length
        place = Extent(b"", 0, length) if inline else self.rows(length, which)
        new = (*blob.extents[:at], place, *blob.extents[at + 1 :])
        old = (Extent(b"elsewhere", 0, blob.stored_bytes),) if stale else blob.extents
        move = m.MoveBlob(*name, old, new)
        if stale:
            self.refused(move, "OperationAborted")
            return
        self.runner.run(self.catalog.commit(move, (bytes(length),) if inline else ()))
        moved = self.catalog.blob(name)
        assert moved is not None
        assert moved.id == blob.id
        assert moved.extents[at] != blob.extents[at]
        self.refused(move, "OperationAborted")

    @rule(pick=_INDEX, beyond=_INDEX)
    def collect(self, pick: int, beyond: int) -> None:
        """Close a striped chunk and ask for its end: granted exactly when nothing in it lives."""
        if not self.striped:
            return
        chunk_id = self.striped.pop(pick % len(self.striped))
        self.refused(m.CondemnChunk(chunk_id), "OperationAborted")
        self.commit(m.CloseChunk(chunk_id))
        for length in (self.positions[chunk_id] + beyond, 1):
            self.commit(m.MeasureChunk(chunk_id, length))
        self.try_to_condemn(chunk_id)

    @rule()
    def collect_what_is_closed(self) -> None:
        for chunk in self.catalog.chunks():
            if chunk.kind is ChunkKind.STRIPED and chunk.state is ChunkState.SEALED:
                self.try_to_condemn(chunk.id)

    def try_to_condemn(self, chunk_id: bytes) -> None:
        lives = any(
            extent.chunk == chunk_id
            for _, blob in live_blobs(self.catalog)
            for extent in blob.extents
        )
        if lives:
            self.refused(m.CondemnChunk(chunk_id), "OperationAborted")
            self.refused(m.ForgetChunk(chunk_id), "OperationAborted")
            return
        for _ in range(2):
            self.commit(m.CondemnChunk(chunk_id))
        for _ in range(2):
            self.commit(m.ForgetChunk(chunk_id))
        assert self.catalog.chunk(chunk_id) is None
        self.commit(m.CountDead((Extent(chunk_id, 0, 1, BLOCK_BYTES),)))

    @invariant()
    def counters_are_what_rows_say(self) -> None:
        audit(self.catalog)
