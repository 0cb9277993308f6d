"""Mutations of what the `ecs` dialect has beside S3, and of a store's dialect and profile.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.records import Piece, Profile


class SetStore(Struct, frozen=True, tag=True):
    """Change what is given of a store. Refused: NoSuchStore."""

    store_id: bytes
    profile: Profile | None = None
    retention_policies: dict[str, int] | None = None


class SetTraits(Struct, frozen=True, tag=True):
    """Set and clear traits of a bucket (`records.Trait`), put documents of it, and change how long
    everything in it is retained (None: as before). It neither sets nor clears Object Lock. Refused:
    NoSuchBucket, InvalidBucketState."""

    bucket_id: bytes
    on: int = 0
    off: int = 0
    documents: dict[str, bytes] = {}
    retention_s: int | None = None


class Composition(Struct, frozen=True):
    """How a blob becomes part of an object: `manifest_id` is what the object's bytes are called
    from now on, `pieces` are they in order, some in the blob's own manifest. `base_order` and
    `base_manifest_id` say what was read of the current version. `amends`: the current version stays
    as it is, only its bytes lie elsewhere; else the composition is a new version."""

    manifest_id: bytes
    pieces: tuple[Piece, ...]
    base_order: int
    base_manifest_id: bytes
    amends: bool = False


class SetRetention(Struct, frozen=True, tag=True):
    """Retain a version for longer (seconds since it was made, -1 for ever). Refused as `SetTags`,
    and InvalidRetentionPeriod where that would be shorter."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    retention_s: int


class EmptyBucket(Struct, frozen=True, tag=True):
    """Delete some uploads and versions of a bucket that is being emptied, `limit_rows` at most; the
    bucket itself after the last. What is retained stays: then the bucket stays too, and is written
    to again. Answers `Reaped`; nothing is left of a bucket that is not being emptied."""

    bucket_id: bytes
    limit_rows: int = 100


class RemoveSearch(Struct, frozen=True, tag=True):
    """Remove search values of a bucket that is not to be searched any more, `limit_rows` at most.
    Answers `Reaped`."""

    bucket_id: bytes
    limit_rows: int = 200


EcsMutation = SetStore | SetTraits | SetRetention | EmptyBucket | RemoveSearch
