"""The typed mutations that the one committer takes, and what it answers.

A mutation is a value with every id already in it; the committer adds only order and time, so that
applying it is a pure step from (rows, mutation, stamp) to rows. What it refuses is a `Refusal`
whose code is an S3 error code: it changes nothing.

A mutation whose `Blob` has no extents travels with the blob's ciphertext (`Committer.commit`'s
`body`); the committer lands the bytes in the group's own chunk and fills the extents in.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.catalog import access_mutations as access
from coffre.catalog import annotation_mutations as annotated
from coffre.catalog import archive_mutations as archived
from coffre.catalog import lifecycle_mutations as lifecycle
from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.clock_mutations import ClockMutation
from coffre.catalog.ecs_mutations import Composition, EcsMutation
from coffre.catalog.event_mutations import Caused, ForgetEvents
from coffre.catalog.iam_mutations import IamMutation
from coffre.catalog.kms_mutations import KmsMutation
from coffre.catalog.lock_mutations import LockMutation
from coffre.catalog.people_mutations import PeopleMutation
from coffre.catalog.records import (
    Checksum,
    EcsFacts,
    Encryption,
    KeyOrder,
    ObjectLock,
    PartIndex,
    Profile,
    Secret,
    StoreSettings,
)
from coffre.catalog.trail_mutations import PackAudit, TrailMutation
from coffre.catalog.usage_mutations import UsageMutation
from coffre.vault.records import Blob, Extent


class Refusal(Exception):
    """The catalog says no. `code` is an S3 error code, `fields` its extra elements."""

    def __init__(self, code: str, message: str | None = None, **fields: str) -> None:
        self.code = code
        self.message = message
        self.fields = fields
        super().__init__(code, message)


class WriteCondition(Struct, frozen=True, array_like=True):
    """If-Match / If-None-Match on a write, decided in the transaction that writes."""

    if_match: str | None = None
    if_none_match: bool = False


NO_CONDITION = WriteCondition()


class CreateTenant(Struct, frozen=True, tag=True):
    id: bytes
    name: str
    bucket_limit: int = 999


class CreateStore(Struct, frozen=True, tag=True):
    """A store with its own data key. Refused: StoreAlreadyExists."""

    id: bytes
    name: str
    tenant_id: bytes
    key_id: bytes
    root_key_id: bytes
    wrapped_key: bytes
    key_order: KeyOrder = "utf-8"
    dialect: Literal["aws", "ecs"] = "aws"
    profile: Profile = "full"
    label: str = ""
    settings: StoreSettings = StoreSettings()


class CreateUser(Struct, frozen=True, tag=True):
    """A user with its first access key (none where that is empty). Refused: NoSuchStore,
    UserAlreadyExists (its id, or its label in the store), AccessKeyAlreadyExists (now or ever)."""

    id: str
    store_id: bytes
    label: str
    kind: Literal["object", "iam"]
    access_key: str
    secret: Secret
    create_buckets: bool = True


class RotateKey(Struct, frozen=True, tag=True):
    """A new secret for an access key; the old one verifies until `old_expires_ms` (None: ends).
    Refused: InvalidAccessKeyId, KeyIsEnding (another took the key's place)."""

    access_key: str
    secret: Secret
    old_expires_ms: int | None


class CreateBucket(Struct, frozen=True, tag=True):
    """A bucket with its first documents, by kind. Refused: BucketAlreadyOwnedByYou,
    BucketAlreadyExists, TooManyBuckets."""

    id: bytes
    store_id: bytes
    name: str
    owner_id: str
    region: str
    documents: dict[str, bytes] = {}
    traits: int = 0
    retention_s: int = 0


class DeleteBucket(Struct, frozen=True, tag=True):
    """Refused: NoSuchBucket, BucketNotEmpty (versions, markers or uploads are in it)."""

    bucket_id: bytes


class SetVersioning(Struct, frozen=True, tag=True):
    """Once enabled, it can only be suspended; with Object Lock, not even that. Refused:
    NoSuchBucket, InvalidBucketState."""

    bucket_id: bytes
    state: Literal["enabled", "suspended"]


class PutBucketDocument(Struct, frozen=True, tag=True):
    """A bucket's one document of a kind (`tagging`, `acl`, …), replacing an earlier one. What it
    says is for those who read it. Refused: NoSuchBucket."""

    bucket_id: bytes
    kind: str
    document: bytes


class DeleteBucketDocument(Struct, frozen=True, tag=True):
    """No error where there is none. Refused: NoSuchBucket."""

    bucket_id: bytes
    kind: str


class ObjectFacts(Struct, frozen=True):
    """What a new version says of itself, whichever way it was made."""

    etag: str
    owner_id: str
    metadata: dict[str, str] = {}
    storage_class: str = "STANDARD"
    checksum: Checksum | None = None
    tags: dict[str, str] = {}
    acl: bytes = b""
    encryption: Encryption | None = None
    ecs: EcsFacts | None = None
    lock: ObjectLock | None = None


class PutVersion(Caused, frozen=True, tag=True):
    """A new current version from one blob. Refused: NoSuchBucket, PreconditionFailed, NoSuchKey
    (If-Match on a missing key), ObjectUnderRetention (what it would replace), OperationAborted (a
    composition whose base is not the current version any more), EmptyBucketInProgress. The version
    it replaces in a bucket without versioning is gone."""

    bucket_id: bytes
    key: bytes
    manifest_id: bytes
    blob: Blob
    facts: ObjectFacts
    condition: WriteCondition = NO_CONDITION
    composition: Composition | None = None


class CopyVersion(Caused, frozen=True, tag=True):
    """A new current version that shares the manifest of another (same store): no byte moves. It
    takes over the annotations of `annotations_of`.

    Refused beside PutVersion's: NoSuchKey when the source manifest is gone by now.
    """

    bucket_id: bytes
    key: bytes
    source_manifest_id: bytes
    size: int
    parts_count: int
    facts: ObjectFacts
    condition: WriteCondition = NO_CONDITION
    annotations_of: annotated.AnnotatedVersion | None = None


class DeleteVersion(Caused, frozen=True, tag=True):
    """Delete the current object (`version_id` None) or one version. A missing key is no error.
    `owner_id` owns the delete marker, if one is made. Refused: NoSuchBucket, PreconditionFailed
    (`if_match` and a different ETag; `if_modified_s`, seconds since 1970, and another
    Last-Modified; `if_size` and another size), and as `lock_guard.check` (`bypass` too)."""

    bucket_id: bytes
    key: bytes
    version_id: bytes | None = None
    if_match: str | None = None
    owner_id: str = ""
    if_modified_s: int | None = None
    if_size: int | None = None
    bypass: bool = False


class SetTags(Caused, frozen=True, tag=True):
    """Replace the tags of a version; nothing else of it changes. `order` says which one is meant:
    a null version may have been replaced since it was read. Refused: NoSuchBucket, NoSuchKey (there
    is no such version, or it is a delete marker), OperationAborted (it is another)."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    tags: dict[str, str]


class SetAcl(Caused, frozen=True, tag=True):
    """Replace the ACL of a version. Refused as `SetTags`."""

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    acl: bytes


class CreateUpload(Struct, frozen=True, tag=True):
    id: bytes
    bucket_id: bytes
    key: bytes
    manifest_id: bytes
    owner_id: str
    metadata: dict[str, str] = {}
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: Literal["FULL_OBJECT", "COMPOSITE"] | None = None
    tags: dict[str, str] = {}
    acl: bytes = b""
    encryption: Encryption | None = None
    ecs: EcsFacts | None = None
    lock: ObjectLock | None = None


class PutPart(Struct, frozen=True, tag=True):
    """A part, replacing an earlier one of the same number. Refused: NoSuchUpload."""

    upload_id: bytes
    number: int
    etag: str
    blob: Blob
    checksum: Checksum | None = None


class ChosenPart(Struct, frozen=True, array_like=True):
    """A part as the caller read and checked it: the committer refuses if it changed since."""

    number: int
    blob_id: bytes


class CompleteUpload(Caused, frozen=True, tag=True):
    """Make an upload's chosen parts the current version; the rest is counted dead.

    Refused: NoSuchUpload, InvalidPart (changed since read), and PutVersion's. Repeating a finished
    completion gives its result again.
    """

    upload_id: bytes
    chosen: tuple[ChosenPart, ...]
    index: tuple[PartIndex, ...]
    facts: ObjectFacts
    condition: WriteCondition = NO_CONDITION


class AbortUpload(Struct, frozen=True, tag=True):
    """Refused: NoSuchUpload. Its bytes are counted dead."""

    upload_id: bytes


class ReserveChunk(Struct, frozen=True, tag=True):
    """Name a striped chunk before its first byte is written."""

    id: bytes
    owner: str
    epoch: int
    k: int
    m: int
    members: tuple[bytes, ...]


class OpenLanding(Struct, frozen=True, tag=True):
    """The committer's own: the landing chunk that this and the next groups go to."""

    id: bytes
    epoch: int
    members: tuple[bytes, ...]


class CloseChunk(Struct, frozen=True, tag=True):
    """No more appends: a landing chunk waits to be re-laid, a striped one is sealed as is."""

    id: bytes


class ReplaceMember(Struct, frozen=True, tag=True):
    """A mirror or segment moved from drive `old` to another (`new` b"": lost, with no new place).
    Refused (OperationAborted) where another drive than `old` has it by now."""

    id: bytes
    index: int
    old: bytes
    new: bytes


class SealChunk(Struct, frozen=True, tag=True):
    """A landing chunk was re-laid as segments that are synced and in place."""

    id: bytes
    k: int
    m: int
    members: tuple[bytes, ...]
    length: int


class CountDead(Struct, frozen=True, tag=True):
    """Bytes that nothing will ever refer to (an upload that failed after its rows were written)."""

    extents: tuple[Extent, ...]


class MoveBlob(Struct, frozen=True, tag=True):
    """Bytes of a blob lie elsewhere now: of part `number`, or of the manifest's own blob (0).

    `old` are all its extents as they were read, `new` all that it has from now on: those in both
    stay. One of `new` may name no chunk (b""): then the mutation travels with that extent's bytes.
    Refused: OperationAborted when the blob is gone or has other extents by now.
    """

    manifest_id: bytes
    number: int
    old: tuple[Extent, ...]
    new: tuple[Extent, ...]


class MeasureChunk(Struct, frozen=True, tag=True):
    """How many bytes of data a closed striped chunk's files take: what nothing ever referred to of
    them (uploads that were cut, padding) is counted dead. Once a chunk; no error where it was."""

    id: bytes
    length: int


class CondemnChunk(Struct, frozen=True, tag=True):
    """Nothing that lives is in the chunk: its files may go as soon as no open request can read
    them. `last_sequence` is the last record of the log in a landing chunk, as its files say.

    Refused: OperationAborted when something in it lives, or is log that no snapshot covers.
    """

    id: bytes
    last_sequence: int = 0


class ForgetChunk(Struct, frozen=True, tag=True):
    """A condemned chunk's files are gone: so is its row. No error where there is none."""

    id: bytes


class ReapOrphans(Struct, frozen=True, tag=True):
    """Free parts of multipart objects and uploads that nothing refers to any more, at most
    `limit_rows` (and never more than a group may hold). Answers `Reaped`."""

    limit_rows: int = 200


class ForgetCompletions(Struct, frozen=True, tag=True):
    """Stop remembering completions older than `before_ms`, at most `limit_rows`: repeating one of
    them is NoSuchUpload from then on. Answers `Reaped`."""

    before_ms: int
    limit_rows: int = 200


Mutation = (
    CreateTenant
    | PeopleMutation
    | CreateStore
    | EcsMutation
    | access.AccessMutation
    | CreateUser
    | RotateKey
    | KmsMutation
    | IamMutation
    | CreateBucket
    | DeleteBucket
    | SetVersioning
    | lifecycle.LifecycleMutation
    | ClockMutation
    | PutBucketDocument
    | DeleteBucketDocument
    | PutVersion
    | CopyVersion
    | DeleteVersion
    | SetTags
    | SetAcl
    | annotated.AnnotationMutation
    | archived.ArchiveMutation
    | TrailMutation
    | LockMutation
    | CreateUpload
    | PutPart
    | CompleteUpload
    | AbortUpload
    | ReserveChunk
    | OpenLanding
    | CloseChunk
    | ReplaceMember
    | SealChunk
    | CountDead
    | MoveBlob
    | MeasureChunk
    | CondemnChunk
    | ForgetChunk
    | ReapOrphans
    | ForgetEvents
    | UsageMutation
    | ForgetCompletions
    | RecordAudit
)

# What may travel with the ciphertext of a blob.
WITH_BLOB = (
    *(PutVersion, PutPart, annotated.PutAnnotation, annotated.OwnBytes),
    *(archived.RestoreBlob, archived.CompressBlob, PackAudit),
)


class Done(Struct, frozen=True, tag=True):
    """The mutation took effect; it has nothing else to say."""


class Written(Struct, frozen=True, tag=True):
    """A version now stands: its id (b"" null), Last-Modified, ETag, size and checksum."""

    version_id: bytes
    modified_ms: int
    etag: str
    size: int
    checksum: Checksum | None = None


class Deleted(Struct, frozen=True, tag=True):
    """What a delete did: `marker` with its version id if one was made or removed."""

    version_id: bytes | None = None
    marker: bool = False
    marker_version_id: bytes | None = None


class PartWritten(Struct, frozen=True, tag=True):
    modified_ms: int


class Reaped(Struct, frozen=True, tag=True):
    """A steward's step removed `rows` rows; `more` are waiting."""

    rows: int
    more: bool


class Refused(Struct, frozen=True, tag=True):
    """A `Refusal` on the wire between a worker and the committer."""

    code: str
    message: str | None
    fields: dict[str, str]

    def error(self) -> Refusal:
        return Refusal(self.code, self.message, **self.fields)


Result = Done | Written | Deleted | PartWritten | Reaped | lifecycle.Expired | archived.Restoring
