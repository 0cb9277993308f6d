"""The catalog's two doors: reads that anyone makes, and the one committer that writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from coffre.catalog.archive_reads import Archived
from coffre.catalog.audit_records import AuditBatch, ChainHead
from coffre.catalog.clock_mutations import ClockChange
from coffre.catalog.event_mutations import BucketEvent, EventPlace
from coffre.catalog.foresight import Foreseen
from coffre.catalog.iam_records import IamDocument, IamEntity, IamKind, IamPolicies, Relation
from coffre.catalog.lock_guard import LastRelease
from coffre.catalog.mutations import Mutation, Refused, Result
from coffre.catalog.people_records import ApiToken, Person
from coffre.catalog.records import (
    Annotation,
    BlobName,
    Bucket,
    DefaultRetention,
    Identity,
    Key,
    KmsKey,
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
from coffre.catalog.release_clock import ReleaseClock
from coffre.catalog.trail_records import AuditHorizon, AuditSegment, AuditTarget, Trail
from coffre.catalog.usage_records import Flow, Kind, Meter, Price, Scope, Usage
from coffre.system.buffer import Buffer
from coffre.vault.records import Blob, Chunk


class Reader(Protocol):
    """Reads of committed state. Each call is one short read transaction that spans no await.

    Cost: what the answer holds, never what the bucket holds.
    """

    def identity(self, access_key: str) -> Identity | None: ...

    def tenant(self, tenant_id: bytes) -> Tenant | None: ...

    def tenant_named(self, name: str) -> Tenant | None: ...

    def tenants(self) -> list[Tenant]: ...

    def store(self, store_id: bytes) -> Store | None: ...

    def store_named(self, name: str) -> Store | None: ...

    def stores(self, *, hidden: bool = False) -> list[Store]:
        """By name; with `hidden` also the zone's own (`trail_records`), which no name finds."""
        ...

    def store_key(self, key_id: bytes) -> StoreKey | None: ...

    def store_keys(self, *, after: bytes, limit: int) -> list[StoreKey]:
        """Of every store, by id, those behind `after`."""
        ...

    def kms_key(self, store_id: bytes, key_id: str) -> KmsKey | None: ...

    def kms_key_by_alias(self, store_id: bytes, alias: str) -> KmsKey | None: ...

    def kms_keys(self, store_id: bytes) -> list[KmsKey]:
        """A store's keys of the key service, by alias."""
        ...

    def iam_root(self, store_id: bytes) -> str | None:
        """The Owner ID of the root user of a store's account; None once it is deleted."""
        ...

    def iam_entity(self, store_id: bytes, kind: IamKind, name: str) -> IamEntity | None:
        """By name, whatever its case."""
        ...

    def iam_entity_by_id(self, entity_id: str) -> IamEntity | None: ...

    def iam_entities(
        self, store_id: bytes, kind: IamKind, *, after: str, path: str, limit: int
    ) -> list[IamEntity]:
        """Those of a kind whose path begins with `path`, by name without case, names > `after`."""
        ...

    def iam_documents(self, entity_id: str) -> list[IamDocument]:
        """An entity's inline policies, or a managed policy's versions, by name."""
        ...

    def iam_targets(self, member_id: str, relation: Relation) -> list[str]:
        """Ids of what an entity is tied to (`LinkIam`)."""
        ...

    def iam_members(self, target_id: str, relation: Relation) -> list[str]:
        """Ids of the entities that are tied to it."""
        ...

    def iam_policies(self, entity_id: str) -> IamPolicies:
        """All that speaks for a user or role, its groups' policies too."""
        ...

    def user(self, user_id: str) -> User | None: ...

    def users(self, store_id: bytes) -> list[User]: ...

    def keys(self, user_id: str) -> list[Key]:
        """A user's access keys, the oldest first."""
        ...

    def access_keys(self, *, after: str, limit: int) -> list[Key]:
        """Of every user, by access key, those behind `after`."""
        ...

    def person(self, name: str) -> Person | None: ...

    def person_by_id(self, person_id: bytes) -> Person | None: ...

    def people(self) -> list[Person]:
        """Everybody who signs in, by name."""
        ...

    def api_tokens(self, person_id: bytes) -> list[ApiToken]:
        """A person's tokens, the oldest first."""
        ...

    def api_token(self, digest: bytes) -> ApiToken | None:
        """By its SHA-256."""
        ...

    def bucket(self, store_id: bytes, name: str) -> Bucket | None: ...

    def store_usage(self, store_id: bytes) -> tuple[int, int, int]:
        """What a store holds: buckets, objects (all versions), bytes. Costs its buckets."""
        ...

    def bucket_roles(self, bucket_id: bytes) -> dict[str, str]:
        """Roles on a bucket by user."""
        ...

    def buckets_by_role(
        self, store_id: bytes, user_id: str, *, prefix: str, after: str, limit: int
    ) -> list[Bucket]:
        """Buckets on which a user has a role, as in `buckets`. Costs all of its roles."""
        ...

    def was_access_key(self, access_key: str) -> bool:
        """Whether an access key that is gone had this id."""
        ...

    def only_bucket_named(self, name: str) -> Bucket | None:
        """The bucket of this name, if only one of all stores has one. Costs a search for each
        store."""
        ...

    def buckets(
        self, store_id: bytes, owner_id: str | None, *, prefix: str, after: str, limit: int
    ) -> list[Bucket]:
        """Buckets by name in binary order, names > `after`; `owner_id` None: all of the store."""
        ...

    def bucket_document(self, bucket_id: bytes, kind: str) -> bytes | None:
        """A bucket's document of a kind (`PutBucketDocument`)."""
        ...

    def bucket_documents(
        self, bucket_id: bytes, family: str, *, after: str, limit: int
    ) -> list[tuple[str, bytes]]:
        """A bucket's documents of the kinds `family:name`, by name in binary order, names >
        `after`."""
        ...

    def current(self, bucket: Bucket, key: bytes) -> Version | None:
        """The newest version, which may be a delete marker; None if the key has no version."""
        ...

    def version(self, bucket: Bucket, key: bytes, version_id: bytes) -> Version | None: ...

    def list_current(
        self, bucket: Bucket, *, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Current objects (no markers) with keys > `after`, in the bucket's order.

        With a delimiter, keys that share a common prefix count as one entry and are skipped by
        seeking. A common prefix is listed if it is > `after` and `after` does not start with it.
        """
        ...

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
        """Versions and markers by (key, newest first), behind `after_version` of `after_key`;
        None: behind all versions of `after_key`. Common prefixes as in `list_current`."""
        ...

    def annotation(self, bucket: Bucket, version: Version, name: str) -> Annotation | None: ...

    def annotations(
        self, bucket: Bucket, version: Version, *, prefix: str, after: str, limit: int
    ) -> list[Annotation]:
        """A version's annotations by name in binary order, names > `after`."""
        ...

    def is_shared(self, manifest_id: bytes) -> bool:
        """Does more than one version hold the manifest?"""
        ...

    def upload(self, upload_id: bytes) -> Upload | None: ...

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
        """Uploads by (key, initiation); `after_upload` b"" skips all uploads of `after_key`."""
        ...

    def parts(self, upload_id: bytes, *, after: int, limit: int) -> list[Part]:
        """Uploaded parts of an upload with numbers > `after`, by number."""
        ...

    def manifest_parts(self, manifest_id: bytes, first: int, last: int) -> list[Part]:
        """Parts of a finished multipart object with first <= number <= last, by number."""
        ...

    def manifest(self, manifest_id: bytes) -> Manifest | None:
        """A manifest that pieces of another lie in."""
        ...

    def buckets_at_work(self, limit: int) -> list[Bucket]:
        """Buckets that are emptied (`EmptyBucket`) or lose their search values (`RemoveSearch`)."""
        ...

    def search(
        self,
        bucket: Bucket,
        number: int,
        lower: bytes,
        upper: bytes,
        *,
        after: tuple[bytes, bytes, int, int],
        older: bool,
        limit: int,
    ) -> list[Searched]:
        """Versions whose value of search key `number` is lower <= value < upper, by (value, sort
        key, order, zone), behind `after`; without `older` the current ones alone."""
        ...

    def searched_version(self, bucket: Bucket, found: Searched) -> Version | None: ...

    def events(self, *, after: EventPlace, limit: int) -> list[tuple[EventPlace, BucketEvent]]:
        """Events that wait to be delivered, by place, places > `after`."""
        ...

    def audit_batches(self, *, after: int, limit: int) -> list[AuditBatch]:
        """The audit's batches that are not packed, by sequence, sequences > `after`."""
        ...

    def audit_head(self) -> ChainHead:
        """The end of the audit's chain."""
        ...

    def audit_trail(self) -> Trail:
        """Where every record of the audit is."""
        ...

    def audit_segments(self) -> list[AuditSegment]:
        """The audit's packed records, by sequence."""
        ...

    def audit_batch(self, sequence: int) -> AuditBatch | None:
        """A batch of the audit; None once it is packed."""
        ...

    def audit_horizon(self) -> AuditHorizon:
        """What retention removed of the audit."""
        ...

    def audit_targets(self) -> list[AuditTarget]:
        """How far each target of the audit's forwarding is."""
        ...

    def bucket_by_id(self, bucket_id: bytes) -> Bucket | None: ...

    def inventoried(self, *, after: bytes, limit: int) -> list[Bucket]:
        """Buckets that have inventories, by id, ids > `after`."""
        ...

    def release_clock(self) -> ReleaseClock | None:
        """The clock that releases locks, as the last group left it; None before the first."""
        ...

    def clock_changes(self, limit: int) -> list[ClockChange]:
        """What changed that clock beside time, the newest first."""
        ...

    def oldest_due_ms(self) -> int | None:
        """From when on a rule of a lifecycle may act on something (`ExpireDue`); None: never."""
        ...

    def buckets_to_judge(self, limit: int) -> list[bytes]:
        """Ids of buckets whose versions wait for `JudgeVersions`."""
        ...

    def foreseen(
        self, bucket: Bucket, now_ms: int, *, after: bytes, limit: int
    ) -> tuple[list[Foreseen], bytes | None]:
        """What the bucket's lifecycle will do to its next `limit` keys, by sort key, those >
        `after`; and the last of them, None when there was none."""
        ...

    def default_retention(self, bucket_id: bytes) -> DefaultRetention | None:
        """How long a bucket with Object Lock retains new versions of which nothing is said."""
        ...

    def last_release(self, bucket_id: bytes, now_ms: int) -> LastRelease | None:
        """When the last lock of a bucket ends; None where nothing in it is locked."""
        ...

    def foreseen_uploads(self, bucket: Bucket) -> list[Foreseen]:
        """What the bucket's lifecycle will do to its uploads."""
        ...

    def archive_due(self, now_ms: int, limit: int) -> list[Archived]:
        """Versions for which the archivist has something to do by `now_ms`, the earliest first."""
        ...

    def next_archive_due_ms(self) -> int | None:
        """From when on it has something to do; None: never."""
        ...

    def blobs_of(self, manifest_id: bytes) -> list[BlobName]:
        """The blobs of an object that is one, or parts; none of one in pieces."""
        ...

    def part_numbers(self, manifest_id: bytes) -> set[int]:
        """Numbers of the parts that lie under a manifest's id."""
        ...

    def bucket_classes(self, bucket_id: bytes) -> dict[str, tuple[int, int]]:
        """Objects and bytes by storage class; what is in none of them is STANDARD. `RESTORED`:
        copies of archived objects that can be read for a while."""
        ...

    def usage(
        self, kind: Kind, store_id: bytes, scope_id: bytes | None, since_ms: int, until_ms: int
    ) -> Usage:
        """What is metered of a store, or of one bucket of it, in periods of a kind that begin in
        some time; buckets that are gone too."""
        ...

    def month_usage(
        self, store_id: bytes, scope_id: bytes | None, month_ms: int
    ) -> tuple[dict[str, tuple[int, Flow]], Usage]:
        """A month of `usage`: the rows of that month summed by class (bytes times ms, and what
        happened), and what tells of the meters that have none."""
        ...

    def meters_of(self, scope_id: bytes) -> list[Meter]:
        """The meters of a bucket, or of what is asked of a store beside any."""
        ...

    def open_bytes(self, store_id: bytes) -> int:
        """Bytes of the parts of a store's unfinished uploads."""
        ...

    def usage_closed_ms(self) -> int:
        """What ended by then is final; 0: nothing yet."""
        ...

    def usage_due_ms(self) -> int | None:
        """When the next period with anything in it is over; None: there is none."""
        ...

    def has_meters(self) -> bool: ...

    def first_usage_ms(self, now_ms: int) -> int:
        """In which month anything was metered first; `now_ms` before that."""
        ...

    def metered_after(self, kind: Kind, after: tuple[bytes, str]) -> tuple[bytes, str] | None:
        """The next scope and class with rows of a kind."""
        ...

    def gone_scopes(self, store_id: bytes | None) -> list[Scope]:
        """Buckets (of one store) and stores that are gone, by id."""
        ...

    def capped_buckets(self) -> list[Bucket]:
        """Buckets that have a quota of their own."""
        ...

    def prices(self) -> list[Price]: ...

    def has_orphans(self) -> bool:
        """Are there parts or annotations that wait to be freed (`ReapOrphans`)?"""
        ...

    def has_completions(self, before_ms: int) -> bool:
        """Are there completions older than `before_ms` (`ForgetCompletions`)?"""
        ...

    def chunk(self, chunk_id: bytes) -> Chunk | None: ...

    def chunks(self) -> list[Chunk]:
        """All of them: for who has the time, and no loop to hold up."""
        ...

    def unsealed_chunks(self) -> list[Chunk]:
        """Those that are open, wait to be sealed or are condemned: few, and found by an index."""
        ...

    def chunks_after(self, after: bytes, *, limit: int) -> list[Chunk]:
        """Chunks by id, those behind `after`."""
        ...

    def blob(self, name: BlobName) -> Blob | None:
        """A blob as it stands now: what its extents are after a move, None once it is gone."""
        ...

    def striped_blobs(self, chunk_id: bytes, *, after: BlobName, limit: int) -> list[BlobName]:
        """Blobs with rows in a striped chunk, by name, behind `after`; only of chunks that are
        `listed`."""
        ...

    def whole_blobs(self, *, after: bytes, limit: int) -> list[tuple[BlobName, Blob]]:
        """Blobs that are a whole object each, by manifest id, ids > `after`."""
        ...

    def part_blobs(self, *, after: BlobName, limit: int) -> list[tuple[BlobName, Blob]]:
        """Blobs that are a part each, of finished objects, open uploads and orphans, by name."""
        ...

    def current_manifests(
        self, bucket: Bucket, *, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes, Blob | None]]:
        """Current objects by sort key, those > `after`: sort key, manifest id, and the manifest's
        own blob (None: it has parts)."""
        ...


class Committer(Protocol):
    """The one writer. What `commit` returned survives everything the vault promises."""

    async def commit(self, mutation: Mutation, body: Sequence[Buffer] = ()) -> Result:
        """Apply one mutation in the next group; `body` is the ciphertext of its blob, if the blob
        has no extents yet. Raises `Refusal`; raises `CommitUnknown` when the answer was lost."""
        ...

    async def commit_all(self, mutations: Sequence[Mutation]) -> list[Result | Refused]:
        """Apply several, in order, each on its own terms; none carries a body."""
        ...


class RecordingCommitter(Committer, Protocol):
    """A committer that takes the records of changes beside them: encoded (`audit_records`), b""
    where there is none. A record is committed with its mutation, or not at all."""

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        """See `Committer`."""
        ...

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        """See `Committer`. `records`: one for each mutation, or none at all."""
        ...


class CommitUnknown(Exception):
    """The committer went away before it answered: the mutation may or may not have happened."""


class CommitterBusy(Exception):
    """Too much is queued: ask again later (SlowDown), before reading the body."""
