"""The catalog audited against itself: every counter and reference worked out again from the rows.

All of it is one read transaction, so it is exact while others write; SQLite's write-ahead log
cannot begin anew as long. Memory: a few numbers a chunk; what has to be sorted is sorted by SQLite,
which goes to temporary files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apsw
from msgspec import Struct
from xxhash import xxh3_64_intdigest

from coffre.catalog.packing import (
    unpack_blob,
    unpack_encryption,
    unpack_index,
    unpack_pieces,
    unpack_restoration,
)
from coffre.catalog.reader import SqliteReader
from coffre.catalog.records import BlobName, KmsEncryption
from coffre.catalog.usage_records import Level
from coffre.vault.records import Blob, Chunk, ChunkKind, ChunkState

_BUCKETS = "SELECT id, name, objects, bytes FROM buckets ORDER BY id"
_OBJECTS = "SELECT bucket_id, count(*), sum(size) FROM versions WHERE marker = 0 GROUP BY bucket_id"
# An annotation is encrypted as its version; of one that is gone nobody knows how it was.
_REFERENCES = (
    "SELECT manifest_id, count(*), max(own), max(encryption) FROM ("
    "SELECT manifest_id, encryption IS NOT NULL AS own, encryption FROM versions"
    " WHERE manifest_id IS NOT NULL"
    " UNION ALL SELECT restored_id, 0, NULL FROM versions WHERE restored_id IS NOT NULL"
    " UNION ALL SELECT a.manifest_id, v.bucket_id IS NULL OR v.encryption IS NOT NULL, v.encryption"
    " FROM annotations a LEFT JOIN versions v USING (bucket_id, sort_key, ord, zone)"
    ") GROUP BY manifest_id ORDER BY manifest_id"
)
_LOST_ANNOTATIONS = (
    "SELECT DISTINCT bucket_id, sort_key FROM annotations a WHERE NOT EXISTS (SELECT 1"
    " FROM versions v WHERE v.bucket_id = a.bucket_id AND v.sort_key = a.sort_key"
    " AND v.ord = a.ord AND v.zone = a.zone AND v.marker = 0) AND NOT EXISTS (SELECT 1"
    " FROM orphan_annotations o WHERE o.bucket_id = a.bucket_id AND o.sort_key = a.sort_key"
    " AND o.ord = a.ord AND o.zone = a.zone)"
)
_MANIFESTS = "SELECT id, refs, parts_count, blob, parts FROM manifests ORDER BY id"
_PIECES = (
    "SELECT m.pieces, v.encryption FROM manifests m"
    " LEFT JOIN versions v ON v.manifest_id = m.id WHERE m.pieces IS NOT NULL GROUP BY m.id"
)
_ORPHANS = "SELECT manifest_id FROM orphans WHERE manifest_id = ?"
_PARTS = "SELECT manifest_id, number, size, blob FROM parts ORDER BY manifest_id, number"
_UPLOADS = "SELECT manifest_id, encryption FROM uploads"
# Copies of archived versions that are on their way may have parts already.
_RESTORING = "SELECT restore FROM versions WHERE restore IS NOT NULL AND restored_id IS NULL"
_CLASSES = (
    "SELECT bucket_id, storage_class, objects, bytes FROM bucket_classes"
    " ORDER BY bucket_id, storage_class"
)
_CLASSIFIED = (
    "SELECT bucket_id, storage_class, count(*), sum(size) FROM ("
    "SELECT bucket_id, storage_class, size FROM versions"
    " WHERE marker = 0 AND storage_class <> 'STANDARD'"
    " UNION ALL SELECT bucket_id, 'RESTORED', size FROM versions WHERE restored_id IS NOT NULL"
    ") GROUP BY bucket_id, storage_class ORDER BY bucket_id, storage_class"
)
# What stands, as meters have it. Copies of archived versions count as bytes of their own class.
_METERED = (
    "SELECT scope_id, storage_class, objects, versions, bytes, parts, part_bytes FROM usage_meters"
    " WHERE storage_class <> '' AND (objects OR versions OR bytes OR parts OR part_bytes)"
)
_RECOUNTED = (
    "SELECT bucket_id, storage_class, sum(objects), sum(versions), sum(bytes), sum(parts),"
    " sum(part_bytes) AS open_bytes FROM ("
    "SELECT bucket_id, storage_class, latest = 1 AND marker = 0 AS objects, 1 AS versions,"
    " size AS bytes, 0 AS parts, 0 AS part_bytes FROM versions"
    " UNION ALL SELECT bucket_id, 'RESTORED', 0, 0, size, 0, 0 FROM versions"
    " WHERE restored_id IS NOT NULL AND size > 0"
    " UNION ALL SELECT u.bucket_id, u.storage_class, 0, 0, 0, 1, p.size FROM uploads u"
    " JOIN parts p ON p.manifest_id = u.manifest_id"
    ") GROUP BY bucket_id, storage_class"
)
_LISTED = "SELECT chunk_id, manifest_id, number FROM striped_blobs"
_Report = Callable[[str, str, str], None]


class Finding(Struct, frozen=True):
    """What is not as it must be: `kind` names the rule, `about` what breaks it, `detail` how.

    `severity`: `damage`: something is wrong or lost; `reduced`: all can be read, with less to
    spare than promised; `leftover`: space that is not given back yet.
    """

    severity: str
    kind: str
    about: str
    detail: str


@dataclass
class Held:
    """What rows say of one chunk. `end`: the last position of any extent, of a segment's payload in
    a striped chunk, of the chunk's own bytes in a landing chunk."""

    live: int = 0
    end: int = 0
    listed: int = 0


@dataclass
class Audited:
    """Outcome of an audit, and what a look at the drives goes on with. `customer_keys` are the
    manifests whose blobs' keys only a customer can open, `sealed_keys` what the key service sealed
    of others."""

    findings: list[Finding] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    held: dict[bytes, Held] = field(default_factory=lambda: defaultdict(Held))
    customer_keys: set[bytes] = field(default_factory=set)
    sealed_keys: dict[bytes, KmsEncryption] = field(default_factory=dict)
    buckets: int = 0
    objects: int = 0
    blobs: int = 0
    _ks: dict[bytes, int] = field(default_factory=dict)

    def note_keys(self, encryption: bytes | None, manifests: Iterable[bytes]) -> None:
        """Who has the key of these manifests, by their version's packed encryption (None: nobody
        can tell any more)."""
        kept = unpack_encryption(encryption)
        if kept is None or kept.kms is None:
            self.customer_keys.update(manifests)
        else:
            self.sealed_keys.update(dict.fromkeys(manifests, kept.kms))

    def k_of(self, chunk_id: bytes) -> int:
        """Data segments of a chunk; 1 for one that does not exist."""
        if not self._ks:
            self._ks = {chunk.id: chunk.k for chunk in self.chunks}
        return self._ks.get(chunk_id, 1)


def audit(db: apsw.Connection) -> Audited:
    """Audit every row over `db`, a connection of its own. Raises apsw.Error."""
    found = Audited()

    def report(kind: str, about: str, detail: str) -> None:
        found.findings.append(Finding("damage", kind, about, detail))

    with db:
        found.chunks = SqliteReader(db).chunks()
        _audit_buckets(db, found, report)
        _audit_manifests(db, found, report)
        _audit_parts(db, found, report)
        _audit_chunks(db, found, report)
    return found


def _audit_buckets(db: apsw.Connection, found: Audited, report: _Report) -> None:
    counted = {bucket: (count, size) for bucket, count, size in db.execute(_OBJECTS)}
    for bucket, name, objects, size in db.execute(_BUCKETS):
        rows = counted.pop(bucket, (0, 0))
        found.buckets += 1
        found.objects += rows[0]
        if rows != (objects, size):
            report(
                "bucket-counters",
                name,
                f"counts {objects} objects of {size} bytes, its rows are {rows[0]} of {rows[1]}",
            )
    for bucket in counted:
        report("versions-without-bucket", bucket.hex(), "versions of a bucket that does not exist")
    classes = set(db.execute(_CLASSES))
    for bucket, name, objects, size in classes ^ set(db.execute(_CLASSIFIED)):
        about = f"{bucket.hex()}/{name}"
        report("class-counters", about, f"{objects} objects of {size} bytes are on one side only")
    meters = set(db.execute(_METERED))
    for bucket, name, *level in sorted(meters ^ set(db.execute(_RECOUNTED))):
        about = f"{bucket.hex()}/{name}"
        report("meters", about, f"{Level(*level)} is on one side only")
    for bucket, key in db.execute(_LOST_ANNOTATIONS):
        about = f"{bucket.hex()}/{key.hex()}"
        report("annotations-without-version", about, "nothing frees them either")


def _audit_manifests(db: apsw.Connection, found: Audited, report: _Report) -> None:
    """Reference counts, both ways; extents of objects that are one blob."""
    referring = iter(db.execute(_REFERENCES))
    next_one: tuple[bytes, int, int, bytes | None] | None = next(referring, None)
    in_pieces = _held_by_pieces(db, found)
    for manifest, refs, parts_count, packed, index in db.execute(_MANIFESTS):
        while next_one is not None and next_one[0] < manifest:
            report("version-without-manifest", next_one[0].hex(), "a version names it in vain")
            next_one = next(referring, None)
        count = 0
        if next_one is not None and next_one[0] == manifest:
            count = next_one[1]
            if next_one[2]:
                found.note_keys(next_one[3], (manifest,))
            next_one = next(referring, None)
        count += in_pieces.pop(manifest, 0)
        if refs != count:
            report("references", manifest.hex(), f"counts {refs}, {count} versions refer to it")
        if not count and db.execute(_ORPHANS, (manifest,)).get is None:
            report("manifest-without-version", manifest.hex(), "nothing refers to it or frees it")
        if packed is not None:
            _take(found, BlobName(manifest, 0), unpack_blob(packed), report)
        elif parts_count != len(unpack_index(index)):
            report("parts", manifest.hex(), f"counts {parts_count} parts, names others")
    for left in (next_one, *referring):
        if left is not None:
            report("version-without-manifest", left[0].hex(), "a version names it in vain")
    for source in in_pieces:
        report("references", source.hex(), "an object has pieces of it, and it does not exist")


def _held_by_pieces(db: apsw.Connection, found: Audited) -> Counter[bytes]:
    """How many manifests have pieces of another; what a customer's key protects among these."""
    held: Counter[bytes] = Counter()
    for packed, encryption in db.execute(_PIECES):
        sources = {piece.manifest_id for piece in unpack_pieces(packed)}
        held.update(sources)
        if encryption is not None:
            found.note_keys(encryption, sources)
    return held


def _audit_parts(db: apsw.Connection, found: Audited, report: _Report) -> None:
    """Every part belongs to an object, an upload or an orphan; every object has its parts."""
    uploads: dict[bytes, bool] = {}
    for manifest, encryption in db.execute(_UPLOADS):
        uploads[manifest] = encryption is not None
        if encryption is not None:
            found.note_keys(encryption, (manifest,))
    for (packed,) in db.execute(_RESTORING):
        uploads[unpack_restoration(packed).manifest_id] = False
    wanted = iter(
        db.execute("SELECT id, parts FROM manifests WHERE parts_count > 0 AND refs > 0 ORDER BY id")
    )
    index: Any = next(wanted, None)
    for manifest, rows in _by_manifest(db, found, report):
        while index is not None and index[0] < manifest:
            report("parts", index[0].hex(), "an object has none of its parts")
            index = next(wanted, None)
        if index is not None and index[0] == manifest:
            if [(part.number, part.size) for part in unpack_index(index[1])] != rows:
                report("parts", manifest.hex(), "an object's parts are not those that it names")
            index = next(wanted, None)
        elif manifest not in uploads and db.execute(_ORPHANS, (manifest,)).get is None:
            report("parts", manifest.hex(), "parts of nothing")
    for left in (index, *wanted):
        if left is not None:
            report("parts", left[0].hex(), "an object has none of its parts")


def _by_manifest(
    db: apsw.Connection, found: Audited, report: _Report
) -> Iterator[tuple[bytes, list[tuple[int, int]]]]:
    """(manifest id, its parts' numbers and sizes), in order; their extents are taken on the way."""
    current: bytes | None = None
    rows: list[tuple[int, int]] = []
    for manifest, number, size, packed in db.execute(_PARTS):
        if manifest != current:
            if current is not None:
                yield current, rows
            current, rows = manifest, []
        rows.append((number, size))
        blob = unpack_blob(packed)
        if blob.size != size:
            report("parts", manifest.hex(), f"part {number} has {size} bytes, its blob {blob.size}")
        _take(found, BlobName(manifest, number), blob, report)
    if current is not None:
        yield current, rows


def _take(found: Audited, name: BlobName, blob: Blob, report: _Report) -> None:
    """Add a blob's extents to what its chunks hold."""
    found.blobs += 1
    if sum(extent.length for extent in blob.extents) != blob.stored_bytes:
        report("extents", blob.id.hex(), "they do not hold the blob's bytes")
    for extent in blob.extents:
        held = found.held[extent.chunk]
        held.live += extent.length
        if extent.unit:
            rows = -(-extent.length // (found.k_of(extent.chunk) * extent.unit))
            held.end = max(held.end, extent.offset + rows * extent.unit)
        else:
            held.end = max(held.end, extent.offset + extent.length)
    for chunk in {extent.chunk for extent in blob.extents if extent.unit}:
        found.held[chunk].listed ^= _mark(name)


def _mark(name: BlobName) -> int:
    """What a name adds to a set's checksum, whatever the order."""
    return xxh3_64_intdigest(name.manifest_id + name.number.to_bytes(8, "big"))


def _audit_chunks(db: apsw.Connection, found: Audited, report: _Report) -> None:
    listed: defaultdict[bytes, int] = defaultdict(int)
    for chunk_id, manifest, number in db.execute(_LISTED):
        listed[chunk_id] ^= _mark(BlobName(manifest, number))
    known = {chunk.id for chunk in found.chunks}
    for chunk_id in set(found.held) - known:
        report("blob-without-chunk", chunk_id.hex(), "blobs lie in a chunk that does not exist")
    for chunk_id in set(listed) - known:
        report("striped-list", chunk_id.hex(), "blobs are listed in a chunk that does not exist")
    for chunk in found.chunks:
        held = found.held[chunk.id]
        name = chunk.id.hex()
        if chunk.appended - chunk.dead != held.live or not 0 <= chunk.dead <= chunk.appended:
            report(
                "chunk-counters",
                name,
                f"counts {chunk.appended} bytes and {chunk.dead} of them dead; {held.live} live",
            )
        if chunk.listed and listed[chunk.id] != held.listed:
            report("striped-list", name, "the blobs listed in it are not those that lie in it")
        closed = chunk.kind is ChunkKind.LANDING and chunk.state is not ChunkState.OPEN
        if closed and held.end > chunk.length:
            report("extents", name, f"a blob ends at {held.end} of {chunk.length} bytes")
        if chunk.state is ChunkState.CONDEMNED and held.live:
            report("condemned", name, f"{held.live} bytes live in it")
