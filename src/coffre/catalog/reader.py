"""Reads of the catalog's rows over one SQLite connection (`catalog.interface.Reader`).

Every method is one statement, or several inside one read transaction, and leaves none open.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import apsw

from coffre.catalog import queries as q
from coffre.catalog.access_reads import AccessReads
from coffre.catalog.annotation_reads import AnnotationReads
from coffre.catalog.archive_reads import ArchiveReads
from coffre.catalog.audit_reads import AuditReads
from coffre.catalog.blob_reader import BlobReader
from coffre.catalog.chunk_reads import ChunkReads
from coffre.catalog.event_reads import EventReads
from coffre.catalog.iam_reads import IamReads
from coffre.catalog.key_order import decode_key, encode_key, next_key
from coffre.catalog.kms_reads import KmsReads
from coffre.catalog.lifecycle_reads import LifecycleReads
from coffre.catalog.listed_rows import listed, listed_version
from coffre.catalog.lock_reads import LockReads, object_lock
from coffre.catalog.packing import (
    unpack_blob,
    unpack_checksum,
    unpack_ecs,
    unpack_encryption,
    unpack_index,
    unpack_lock,
    unpack_pieces,
    unpack_restore,
    unpack_seconds,
    unpack_secrets,
    unpack_store_settings,
    unpack_strings,
)
from coffre.catalog.paging import Row, Rows, fill_page, range_after
from coffre.catalog.people_reads import PeopleReads
from coffre.catalog.records import (
    NULL_VERSION,
    Bucket,
    Identity,
    Key,
    Listing,
    Manifest,
    Part,
    Searched,
    Store,
    StoreKey,
    Tenant,
    Upload,
    UploadListing,
    User,
    Version,
    VersionListing,
)
from coffre.catalog.search_reader import SearchReader
from coffre.catalog.stamp import version_order
from coffre.catalog.trail_reads import TrailReads
from coffre.catalog.usage_reads import UsageReads
from coffre.vault.records import Blob

_AFTER_ALL_NAMES = "\U0010ffff"


class SqliteReader(
    TrailReads,
    SearchReader,
    KmsReads,
    IamReads,
    AuditReads,
    EventReads,
    BlobReader,
    ChunkReads,
    LifecycleReads,
    LockReads,
    AnnotationReads,
    AccessReads,
    ArchiveReads,
    UsageReads,
    PeopleReads,
):
    """Reads over `db`, one thread at a time."""

    def __init__(self, db: apsw.Connection) -> None:
        # Else SQLite, once it has held a parameter against a partial index's condition, prepares
        # the statement anew whenever that parameter changes: 20 µs a read instead of 4.
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self._db = db

    def identity(self, access_key: str) -> Identity | None:
        row = self._one(q.IDENTITY, access_key)
        if row is None:
            return None
        return Identity(_key(row[:6]), _user(row[6:13]), _store(row[13:]))

    def tenant(self, tenant_id: bytes) -> Tenant | None:
        row = self._one(q.TENANT_BY_ID, tenant_id)
        return row and Tenant(*row)

    def tenant_named(self, name: str) -> Tenant | None:
        row = self._one(q.TENANT_BY_NAME, name)
        return row and Tenant(*row)

    def store(self, store_id: bytes) -> Store | None:
        row = self._one(q.STORE_BY_ID, store_id)
        return row and _store(row)

    def store_named(self, name: str) -> Store | None:
        row = self._one(q.STORE_BY_NAME, name)
        return row and _store(row)

    def stores(self, *, hidden: bool = False) -> list[Store]:
        return [_store(row) for row in self._all(q.ALL_STORES if hidden else q.STORES)]

    def store_key(self, key_id: bytes) -> StoreKey | None:
        row = self._one(q.STORE_KEY, key_id)
        return row and StoreKey(*row)

    def store_keys(self, *, after: bytes, limit: int) -> list[StoreKey]:
        return [StoreKey(*row) for row in self._all(q.STORE_KEYS, after, limit)]

    def user(self, user_id: str) -> User | None:
        row = self._one(q.USER_BY_ID, user_id)
        return row and _user(row)

    def users(self, store_id: bytes) -> list[User]:
        return [_user(row) for row in self._all(q.USERS_OF_STORE, store_id)]

    def keys(self, user_id: str) -> list[Key]:
        return [_key(row) for row in self._all(q.KEYS_OF_USER, user_id)]

    def access_keys(self, *, after: str, limit: int) -> list[Key]:
        return [_key(row) for row in self._all(q.ACCESS_KEYS, after, limit)]

    def bucket(self, store_id: bytes, name: str) -> Bucket | None:
        row = self._one(q.BUCKET_BY_NAME, store_id, name)
        return row and Bucket(*row)

    def only_bucket_named(self, name: str) -> Bucket | None:
        found = self._all(q.BUCKETS_NAMED, name)
        return Bucket(*found[0]) if len(found) == 1 else None

    def buckets(
        self, store_id: bytes, owner_id: str | None, *, prefix: str, after: str, limit: int
    ) -> list[Bucket]:
        bounds = (store_id, max(prefix, after + "\0"), prefix + _AFTER_ALL_NAMES)
        if owner_id is None:
            rows = self._all(q.BUCKETS, *bounds, max(limit, 0))
        else:
            rows = self._all(q.BUCKETS_OF_OWNER, *bounds, owner_id, max(limit, 0))
        return [Bucket(*row) for row in rows]

    def bucket_document(self, bucket_id: bytes, kind: str) -> bytes | None:
        found: bytes | None = self._one(q.BUCKET_DOCUMENT, bucket_id, kind)
        return found

    def bucket_documents(
        self, bucket_id: bytes, family: str, *, after: str, limit: int
    ) -> list[tuple[str, bytes]]:
        start = f"{family}:"
        rows = self._all(
            q.BUCKET_DOCUMENTS, bucket_id, start + after, start + _AFTER_ALL_NAMES, max(limit, 0)
        )
        return [(kind.removeprefix(start), document) for kind, document in rows]

    def current(self, bucket: Bucket, key: bytes) -> Version | None:
        row = self._one(q.CURRENT_VERSION, bucket.id, encode_key(bucket.key_order, key))
        return row and _version(bucket, row)

    def version(self, bucket: Bucket, key: bytes, version_id: bytes) -> Version | None:
        sort_key = encode_key(bucket.key_order, key)
        if version_id == NULL_VERSION:
            return self._null_version(bucket, sort_key)
        order = version_order(version_id)
        if order is None:
            return None
        row = self._one(q.EXACT_VERSION, bucket.id, sort_key, *order, version_id)
        return row and _version(bucket, row)

    def list_current(
        self, bucket: Bucket, *, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        order = bucket.key_order
        wanted = range_after(order, prefix, delimiter, after)
        if limit <= 0 or wanted.lower is None:
            return Listing((), (), False)

        def seek(lower: bytes, upper: bytes | None) -> Rows:
            if upper is None:
                return self._db.execute(q.LIST_FROM, (bucket.id, lower))
            return self._db.execute(q.LIST_BETWEEN, (bucket.id, lower, upper))

        with self._db:
            page = fill_page(
                seek(wanted.lower, wanted.upper),
                seek,
                wanted.upper,
                order=order,
                prefix=prefix,
                delimiter=delimiter,
                limit=limit,
            )
            labels = self._labels({row[4] for _, row in page.rows})
        objects = tuple(listed(key, row, labels) for key, row in page.rows)
        return Listing(
            objects, tuple(page.prefixes), page.truncated, page.last if page.truncated else b""
        )

    def list_versions(
        self,
        bucket: Bucket,
        *,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_version: bytes | None,
        limit: int,
    ) -> VersionListing:
        order = bucket.key_order
        wanted = range_after(order, prefix, delimiter, after_key)
        if limit <= 0 or wanted.lower is None:
            return VersionListing((), (), False)

        def seek(lower: bytes, upper: bytes | None) -> Rows:
            if upper is None:
                return self._db.execute(q.VERSIONS_FROM, (bucket.id, lower))
            return self._db.execute(q.VERSIONS_BETWEEN, (bucket.id, lower, upper))

        with self._db:
            lower: bytes = wanted.lower
            older: Iterable[Row] = ()
            marker = encode_key(order, after_key)
            inside = lower == next_key(marker) and after_key.startswith(prefix)
            if after_version is not None and inside:
                place = self._place(bucket, marker, after_version)
                if place is None:
                    # A null version that is gone has no place any more: then its key is listed
                    # again rather than passed over.
                    lower = marker
                else:
                    older = self._db.execute(q.OLDER_VERSIONS, (bucket.id, marker, *place))
            page = fill_page(
                _chained(older, seek(lower, wanted.upper)),
                seek,
                wanted.upper,
                order=order,
                prefix=prefix,
                delimiter=delimiter,
                limit=limit,
            )
            labels = self._labels({row[7] for _, row in page.rows})
        versions = tuple(listed_version(key, row, labels) for key, row in page.rows)
        if not page.truncated:
            return VersionListing(versions, tuple(page.prefixes), False)
        last = None if page.ends_in_prefix else versions[-1].version_id
        return VersionListing(versions, tuple(page.prefixes), True, page.last, last)

    def upload(self, upload_id: bytes) -> Upload | None:
        with self._db:
            row = self._one(q.UPLOAD_BY_ID, upload_id)
            labels = {} if row is None else self._labels({row[4]})
        return row and _upload(decode_key(row[15], row[0]), row, labels)

    def list_uploads(
        self,
        bucket: Bucket,
        *,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload: bytes,
        limit: int,
    ) -> UploadListing:
        order = bucket.key_order
        wanted = range_after(order, prefix, delimiter, after_key)
        if limit <= 0 or wanted.lower is None:
            return UploadListing((), (), False)

        def seek(lower: bytes, upper: bytes | None, after_ord: int = -1) -> Rows:
            if upper is None:
                return self._db.execute(q.UPLOADS_FROM, (bucket.id, lower, after_ord))
            return self._db.execute(q.UPLOADS_BETWEEN, (bucket.id, lower, after_ord, upper))

        with self._db:
            lower, after_ord = wanted.lower, -1
            marker = encode_key(order, after_key)
            if after_upload and lower == next_key(marker):
                # An upload that ended since the last page has no order any more: then its key's
                # uploads are listed again rather than passed over.
                lower = marker
                found = self._one(q.UPLOAD_ORDER, after_upload, bucket.id, marker)
                after_ord = -1 if found is None else found
            page = fill_page(
                seek(lower, wanted.upper, after_ord),
                seek,
                wanted.upper,
                order=order,
                prefix=prefix,
                delimiter=delimiter,
                limit=limit,
            )
            labels = self._labels({row[4] for _, row in page.rows})
        uploads = tuple(_upload(key, row, labels) for key, row in page.rows)
        if not page.truncated:
            return UploadListing(uploads, tuple(page.prefixes), False)
        last_upload = b"" if page.ends_in_prefix else uploads[-1].id
        return UploadListing(uploads, tuple(page.prefixes), True, page.last, last_upload)

    def parts(self, upload_id: bytes, *, after: int, limit: int) -> list[Part]:
        return [_part(row) for row in self._all(q.PARTS_OF_UPLOAD, upload_id, after, max(limit, 0))]

    def manifest_parts(self, manifest_id: bytes, first: int, last: int) -> list[Part]:
        return [_part(row) for row in self._all(q.PARTS_OF_MANIFEST, manifest_id, first, last)]

    def searched_version(self, bucket: Bucket, found: Searched) -> Version | None:
        at = (bucket.id, found.sort_key, found.order, found.zone)
        row = self._one(q.VERSION_AT, *at)
        return row and _version(bucket, row)

    def has_orphans(self) -> bool:
        return bool(self._one(q.HAS_ORPHANS))

    def has_completions(self, before_ms: int) -> bool:
        return bool(self._one(q.HAS_COMPLETIONS, before_ms))

    def current_manifests(
        self, bucket: Bucket, *, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes, Blob | None]]:
        rows = self._all(q.CURRENT_MANIFESTS, bucket.id, after, limit)
        return [
            (key, manifest, None if blob is None else unpack_blob(blob))
            for key, manifest, blob in rows
        ]

    def _null_version(self, bucket: Bucket, sort_key: bytes) -> Version | None:
        with self._db:
            row = self._one(q.CURRENT_VERSION, bucket.id, sort_key)
            if row is not None and row[3] != NULL_VERSION:
                row = self._one(q.OLD_NULL_VERSION, bucket.id, sort_key)
        return row and _version(bucket, row)

    def _place(self, bucket: Bucket, sort_key: bytes, version_id: bytes) -> tuple[int, int] | None:
        """(order, zone) of a version: what its id says, even of one that is gone."""
        if version_id != NULL_VERSION:
            return version_order(version_id)
        null = self._null_version(bucket, sort_key)
        return None if null is None else (null.order, null.zone)

    def _labels(self, owners: set[str]) -> dict[str, str]:
        """Display names of a page's owners: few, so not joined to every row."""
        return {owner: self._one(q.LABEL, owner) or "" for owner in owners}

    def _one(self, statement: str, *bindings: bytes | str | int) -> Any:
        """The one row as a tuple (its value, where it is one column), or None. The statement is
        run to its end: an unfinished one would hold its read transaction open."""
        return self._db.execute(statement, bindings).get

    def _all(self, statement: str, *bindings: bytes | str | int) -> list[Row]:
        return self._db.execute(statement, bindings).fetchall()


def _store(row: Row) -> Store:
    (store_id, name, tenant_id, key_id, created_ms, key_order, dialect, allow_v2) = row[:8]
    return Store(
        store_id,
        name,
        tenant_id,
        key_id,
        created_ms,
        key_order,
        dialect,
        bool(allow_v2),
        row[8],
        unpack_seconds(row[9]),
        row[10],
        row[11],
        unpack_store_settings(row[12]),
    )


def _key(row: Row) -> Key:
    (access_key, user_id, store_id, created_ms, secrets, active) = row
    return Key(access_key, user_id, store_id, created_ms, unpack_secrets(secrets), bool(active))


def _user(row: Row) -> User:
    (user_id, store_id, label, kind, locked, created_ms, create_buckets) = row
    return User(user_id, store_id, label, kind, bool(locked), created_ms, bool(create_buckets))


def _version(bucket: Bucket, row: Row) -> Version:
    (sort_key, order, zone, version_id, marker, latest, modified_ms, size, etag) = row[:9]
    (owner_id, label, metadata, storage_class, checksum, parts_count, tags) = row[9:16]
    (manifest_id, manifest_size, blob, parts, acl, encryption, ecs, pieces, restore) = row[16:25]
    manifest = None
    if manifest_id is not None:
        opened = None if blob is None else unpack_blob(blob)
        manifest = Manifest(
            manifest_id, manifest_size, opened, unpack_index(parts), unpack_pieces(pieces)
        )
    return Version(
        bucket.id,
        decode_key(bucket.key_order, sort_key),
        order,
        zone,
        version_id,
        bool(marker),
        bool(latest),
        modified_ms,
        size,
        etag,
        owner_id,
        label,
        unpack_strings(metadata),
        storage_class,
        unpack_checksum(checksum),
        parts_count,
        manifest,
        unpack_strings(tags),
        acl or b"",
        unpack_encryption(encryption),
        unpack_ecs(ecs),
        unpack_restore(restore),
        object_lock(*row[25:28]),
    )


def _chained(first: Iterable[Row], then: Iterable[Row]) -> Generator[Row, None, None]:
    """The rows of one cursor, then another's; closing it closes the one that is being read."""
    yield from first
    yield from then


def _upload(key: bytes, row: Row, labels: dict[str, str]) -> Upload:
    (upload_id, bucket_id, initiated_ms, owner_id, metadata, storage_class) = row[1:7]
    (algorithm, checksum_type, manifest_id, tags, acl, encryption) = row[7:13]
    return Upload(
        upload_id,
        bucket_id,
        key,
        initiated_ms,
        owner_id,
        labels[owner_id],
        unpack_strings(metadata),
        storage_class,
        algorithm,
        checksum_type,
        manifest_id,
        unpack_strings(tags),
        acl or b"",
        unpack_encryption(encryption),
        unpack_ecs(row[13]),
        unpack_lock(row[14]),
    )


def _part(row: Row) -> Part:
    number, size, etag, modified_ms, blob, checksum = row
    return Part(number, size, etag, modified_ms, unpack_blob(blob), unpack_checksum(checksum))
