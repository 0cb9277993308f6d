"""Rows of the catalog as values. Times are milliseconds since 1970 (UTC); keys are UTF-8 bytes."""

from __future__ import annotations

import hashlib
from enum import IntFlag
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from coffre.vault.records import Blob

KeyOrder = Literal["utf-8", "utf-16be"]
NULL_VERSION = b""
Profile = Literal["full", "spec"]
StoreStatus = Literal["active", "locked", "deleting"]
ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects are restored before they are read."""
LockMode = Literal["GOVERNANCE", "COMPLIANCE"]


class Trait(IntFlag):
    """What writes in a bucket must heed, and what a steward has to do in it."""

    ECS = 1
    """Made in a store of the `ecs` dialect."""
    FILE_SYSTEM = 2
    INDEXED = 4
    """Its document `search-keys` says what `search_values` keeps of each version."""
    EMPTYING = 8
    STALE_ALLOWED = 16
    UNINDEXING = 32
    """Its search values wait to be removed."""
    LIFECYCLE = 64
    """Its document `lifecycle` says what expires."""
    JUDGING = 128
    """Its versions wait to be judged by rules that are new."""
    LOGGED = 256
    """Its document `logging` says where its access log goes."""
    NOTIFYING = 512
    """Its document `notification` says who is told of changes."""
    INVENTORIED = 1024
    """It has documents `inventory:…`."""
    LIMITED = 1048576
    """Its store has a quota that refuses writes."""
    CAPPED = 2097152
    """It has a quota of its own, its document `quota`."""
    ANNOTATED = 8192
    """Versions in it may have annotations."""
    ARCHIVING = 16384
    """Objects of which nothing else is said are archived."""
    OBJECT_LOCK = 32768
    """Versions in it may be locked; its document `object-lock` says how new ones are."""


class Tenant(Struct, frozen=True):
    """`buckets` counts those of all of its stores."""

    id: bytes
    name: str
    bucket_limit: int = 999
    buckets: int = 0


class StoreKey(Struct, frozen=True):
    """A store's data key, wrapped by the root key named `root_key_id`."""

    id: bytes
    root_key_id: bytes
    wrapped: bytes


class Quota(Struct, frozen=True, array_like=True):
    """Bounds of what a store holds, all versions counted; None: none. The hard ones refuse writes,
    the others warn."""

    hard_bytes: int | None = None
    hard_objects: int | None = None
    warn_bytes: int | None = None
    warn_objects: int | None = None

    @property
    def refuses(self) -> bool:
        """Whether writes must ask."""
        return self.hard_bytes is not None or self.hard_objects is not None


class StoreLimits(Struct, frozen=True, array_like=True):
    """What a store has of the machine. `rate`: bytes a second that are its own while all stores
    want more than there is. The others cap it in any case (0: they do not): requests a second,
    requests at once, bytes of bodies a second."""

    rate: float = 125_000_000.0
    cap_requests: float = 0.0
    cap_connections: int = 0
    cap_bandwidth: float = 0.0

    @property
    def capped(self) -> bool:
        """Whether any cap is set."""
        return bool(self.cap_requests or self.cap_connections or self.cap_bandwidth)


class StoreSettings(Struct, frozen=True, array_like=True):
    """`network` is the rule of its buckets that have none of their own, in the form of their
    document `network` (empty: public). `defaults`: documents that new buckets get, by kind."""

    quota: Quota = Quota()
    network: bytes = b""
    defaults: dict[str, bytes] = {}
    limits: StoreLimits = StoreLimits()


class Store(Struct, frozen=True):
    """An object store (namespace). `key_id` names the store key for new blobs. `profile` `spec`:
    operations outside the service's published list are refused. `retention_policies`: seconds by
    name, -1 for ever."""

    id: bytes
    name: str
    tenant_id: bytes
    key_id: bytes
    created_ms: int
    key_order: KeyOrder = "utf-8"
    dialect: Literal["aws", "ecs"] = "aws"
    allow_v2: bool = True
    profile: Profile = "full"
    retention_policies: dict[str, int] = {}
    label: str = ""
    status: StoreStatus = "active"
    settings: StoreSettings = StoreSettings()


def store_owner_id(store_id: bytes) -> str:
    """The Owner ID of buckets that are the store's own: nobody's who signs."""
    return hashlib.sha256(b"coffre store " + store_id).hexdigest()


class User(Struct, frozen=True):
    """An object user (storage account). `id` is the 64-hex Owner ID of S3 answers.
    `create_buckets`: it may, without a policy that says so."""

    id: str
    store_id: bytes
    label: str
    kind: Literal["object", "iam"]
    locked: bool
    created_ms: int
    create_buckets: bool = True


class Secret(Struct, frozen=True):
    """One secret of an access key: wrapped; valid until `expires_ms` (None: for ever)."""

    wrapped: bytes
    root_key_id: bytes
    expires_ms: int | None = None


class Key(Struct, frozen=True):
    """An access key: the current secret first, then one in grace. A key whose first secret expires
    ends with it."""

    access_key: str
    user_id: str
    store_id: bytes
    created_ms: int
    secrets: tuple[Secret, ...]
    active: bool = True


class Identity(Struct, frozen=True):
    """What a worker needs to authenticate a request: one read."""

    key: Key
    user: User
    store: Store


class Bucket(Struct, frozen=True):
    id: bytes
    store_id: bytes
    name: str
    owner_id: str
    owner_label: str
    created_ms: int
    region: str
    key_order: KeyOrder = "utf-8"
    versioning: Literal["never", "enabled", "suspended"] = "never"
    objects: int = 0
    bytes: int = 0
    traits: int = 0
    retention_s: int = 0


class Checksum(Struct, frozen=True, array_like=True):
    """`value` as the client sees it (base64, '-N' for composite); `type` as AWS words it."""

    algorithm: str
    value: str
    type: Literal["FULL_OBJECT", "COMPOSITE"] = "FULL_OBJECT"


class KmsEncryption(Struct, frozen=True, array_like=True):
    """The data key of an object under a key of the key service (SSE-KMS): sealed by it, bound to
    `context` (JSON in one form). `key_id` is the key's id, `bucket_key` what the client said."""

    key_id: str
    sealed: bytes
    context: str
    bucket_key: bool = False


class Encryption(Struct, frozen=True, array_like=True):
    """With what an object is encrypted beside the store's key.

    What is kept of the key that a customer brings with every request (SSE-C), in place of the
    key: a random salt, and what salt and key prove each other by. The blobs' keys are then wrapped
    by a key derived from both, not by the store's. Under a key of the key service (`kms`) they are
    wrapped by the data key that it sealed; salt and proof are empty."""

    salt: bytes
    proof: bytes
    kms: KmsEncryption | None = None


class KmsVersion(Struct, frozen=True, array_like=True):
    """One version of a key: its secret wrapped by the store key `key_id` (both empty: it lies in
    somebody else's key service)."""

    key_id: bytes = b""
    wrapped: bytes = b""
    created_ms: int = 0


class KmsKey(Struct, frozen=True):
    """A key of a store's key service, its versions the oldest first. `backend` says where its
    secret lies."""

    store_id: bytes
    id: str
    alias: str
    backend: str
    enabled: bool
    created_ms: int
    versions: tuple[KmsVersion, ...]


class EcsFacts(Struct, frozen=True, array_like=True):
    """What the `ecs` dialect keeps of a version beside what S3 knows: when the object was made
    (0: when the version was), how long it is retained from then on (seconds, -1 for ever), and a
    policy of its store that may retain it longer."""

    created_ms: int = 0
    retention_s: int = 0
    retention_policy: str = ""


class Restoration(Struct, frozen=True, array_like=True):
    """A copy of an archived version that can be read for a while: on its way until `expires_ms` is
    known, and not before `ready_ms`. `manifest_id` is the copy's."""

    tier: Literal["Expedited", "Standard", "Bulk"]
    days: int
    ready_ms: int
    manifest_id: bytes
    expires_ms: int = 0


class Retention(Struct, frozen=True, array_like=True):
    """Object Lock keeps a version until a date (ms since 1970)."""

    mode: LockMode
    until_ms: int


class ObjectLock(Struct, frozen=True, array_like=True):
    """What Object Lock says of a version. `held` None: it never had a legal hold."""

    retention: Retention | None = None
    held: bool | None = None


class DefaultRetention(Struct, frozen=True, array_like=True):
    """How long a bucket retains new versions: `days`, or else `years`."""

    mode: LockMode
    days: int = 0
    years: int = 0


class SearchKey(Struct, frozen=True, array_like=True):
    """Metadata that a bucket indexes: a system key, or `x-amz-meta-…`."""

    name: str
    kind: Literal["string", "integer", "datetime", "decimal"]


class PartIndex(Struct, frozen=True, array_like=True):
    """One part of a finished multipart object, in order."""

    number: int
    size: int
    checksum: str = ""


class BlobName(NamedTuple):
    """Whose a blob is: part `number` under a manifest's id, or the manifest's own (0)."""

    manifest_id: bytes
    number: int


class Piece(Struct, frozen=True, array_like=True):
    """Bytes of an object that lie in another manifest, from `start` on."""

    manifest_id: bytes
    start: int
    size: int


class Manifest(Struct, frozen=True):
    """Where an object's bytes are: reference-counted, and immutable but for the place of its blobs.

    A plain object is one `blob`. A multipart object names its parts in `parts` (order and sizes);
    their blobs are read with `Reader.part_blobs`. One that was written to in places is `pieces` of
    manifests that have no pieces themselves.
    """

    id: bytes
    size: int
    blob: Blob | None = None
    parts: tuple[PartIndex, ...] = ()
    pieces: tuple[Piece, ...] = ()


class Version(Struct, frozen=True):
    """One version of a key, or a delete marker (`manifest` None, `marker` True). Of an archived
    version that is restored, `manifest` is the copy's.

    `order` is larger for newer: a hybrid logical clock (48 bits of ms, 15 of counter). `version_id`
    is what clients see, `b""` for the null version. `etag` has no quotes. `metadata` is the stored
    form of `wire.metadata` (user and system headers), `acl` of `wire.acl` (empty: private).
    `encryption` None: by the store's key alone.
    """

    bucket_id: bytes
    key: bytes
    order: int
    zone: int
    version_id: bytes
    marker: bool
    latest: bool
    modified_ms: int
    size: int
    etag: str
    owner_id: str
    owner_label: str
    metadata: dict[str, str]
    storage_class: str
    checksum: Checksum | None
    parts_count: int
    manifest: Manifest | None
    tags: dict[str, str] = {}
    acl: bytes = b""
    encryption: Encryption | None = None
    ecs: EcsFacts | None = None
    restoration: Restoration | None = None
    lock: ObjectLock | None = None


class Annotation(Struct, frozen=True):
    """A text beside a version, encrypted as that is. `shared`: a copy of the version holds the same
    bytes."""

    name: str
    manifest_id: bytes
    size: int
    etag: str
    modified_ms: int
    checksum: Checksum
    blob: Blob
    shared: bool = False


class Upload(Struct, frozen=True):
    """A multipart upload in progress."""

    id: bytes
    bucket_id: bytes
    key: bytes
    initiated_ms: int
    owner_id: str
    owner_label: str
    metadata: dict[str, str]
    storage_class: str
    checksum_algorithm: str | None
    checksum_type: Literal["FULL_OBJECT", "COMPOSITE"] | None
    manifest_id: bytes
    tags: dict[str, str] = {}
    acl: bytes = b""
    encryption: Encryption | None = None
    ecs: EcsFacts | None = None
    lock: ObjectLock | None = None


class Part(Struct, frozen=True):
    number: int
    size: int
    etag: str
    modified_ms: int
    blob: Blob
    checksum: Checksum | None = None


class Listed(Struct, frozen=True):
    """One object of a listing: what an S3 list answer shows, no more."""

    key: bytes
    modified_ms: int
    size: int
    etag: str
    owner_id: str
    owner_label: str
    storage_class: str
    checksum: Checksum | None
    restoration: Restoration | None = None


class Listing(Struct, frozen=True):
    """A page of current objects: entries in order; `next_after` resumes behind the last entry.

    `common_prefixes` and `objects` together never exceed the limit asked for.
    """

    objects: tuple[Listed, ...]
    common_prefixes: tuple[bytes, ...]
    truncated: bool
    next_after: bytes = b""


class ListedVersion(Struct, frozen=True):
    """One version or delete marker (`etag`, `size` and checksum empty) of a listing of versions."""

    key: bytes
    version_id: bytes
    latest: bool
    marker: bool
    modified_ms: int
    size: int
    etag: str
    owner_id: str
    owner_label: str
    storage_class: str
    checksum: Checksum | None
    restoration: Restoration | None = None


class VersionListing(Struct, frozen=True):
    """A page of versions: by key, the newest first. `next_key` and `next_version` resume behind
    the last entry; `next_version` is None where that is a common prefix."""

    versions: tuple[ListedVersion, ...]
    common_prefixes: tuple[bytes, ...]
    truncated: bool
    next_key: bytes = b""
    next_version: bytes | None = None


class UploadListing(Struct, frozen=True):
    uploads: tuple[Upload, ...]
    common_prefixes: tuple[bytes, ...]
    truncated: bool
    next_key: bytes = b""
    next_upload: bytes = b""


class Searched(Struct, frozen=True):
    """One version as a search index holds it: its place, and its encoded values by number."""

    value: bytes
    sort_key: bytes
    order: int
    zone: int
    values: dict[int, bytes]
