"""Mutations of annotations, and of what a version is encrypted with.

They are part of `coffre.catalog.mutations`, which says what a mutation is. `order` says which
version is meant: a null version may have been replaced since it was read.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.records import BlobName, Checksum, Encryption
from coffre.vault.records import Blob

MAX_ANNOTATIONS = 1000
"""Annotations of one version."""


class AnnotatedVersion(Struct, frozen=True, array_like=True):
    """A version whose annotations a copy takes over."""

    bucket_id: bytes
    key: bytes
    order: int
    zone: int


class PutAnnotation(Struct, frozen=True, tag=True):
    """A text beside a version, in place of an earlier one of that name. `encryption` is that of the
    version, as it was read. Refused: NoSuchBucket, NoSuchKey (there is no such version, or it is a
    delete marker), OperationAborted (it is another, or encrypted otherwise by now),
    PreconditionFailed (`if_match` and another ETag of the version), AnnotationLimitExceeded,
    EmptyBucketInProgress, and as a deletion of the version where one is replaced."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    name: str
    manifest_id: bytes
    blob: Blob
    etag: str
    checksum: Checksum
    encryption: Encryption | None = None
    if_match: str | None = None


class DeleteAnnotation(Struct, frozen=True, tag=True):
    """None of that name is no error. Refused as `PutAnnotation`, and as a deletion of the
    version."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    name: str
    if_match: str | None = None


class OwnBytes(Struct, frozen=True, tag=True):
    """The bytes of a version, or of its annotation `name`, lie in a blob of their own from now on,
    and not in the manifest `source_id`, which others hold too; nothing else of them changes.
    Refused: NoSuchBucket, NoSuchKey, OperationAborted (it is another version, its bytes lie
    elsewhere, or it is not encrypted by the store's key alone by now), and as `SetEncryption`."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    source_id: bytes
    manifest_id: bytes
    blob: Blob
    name: str | None = None


class WrappedBlob(Struct, frozen=True, array_like=True):
    """The key of a blob, wrapped anew."""

    name: BlobName
    blob_id: bytes
    wrapped_key: bytes


class SetEncryption(Struct, frozen=True, tag=True):
    """A version, with its annotations, is encrypted with `after` from now on; no byte of theirs
    changes. Where the store's key alone wrapped their blobs' keys (`before` None), `blobs` are all
    of these. Refused: NoSuchBucket, NoSuchKey, OperationAborted (what was read has changed, or
    something else holds the bytes too), InvalidRequest (Object Lock keeps it), and as a deletion of
    the version."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    before: Encryption | None
    after: Encryption
    blobs: tuple[WrappedBlob, ...] = ()


AnnotationMutation = PutAnnotation | DeleteAnnotation | OwnBytes | SetEncryption
