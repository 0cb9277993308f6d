"""What ECS buckets have beside S3's: made with `x-emc-` headers, searched, read while a site is
away, emptied by the service; and the service's own `?ping` and `?endpoint`."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from coffre import __version__
from coffre.catalog.ecs_mutations import SetTraits
from coffre.catalog.emptying import EMPTY_BUCKET, Emptying, unpack_emptying
from coffre.catalog.packing import pack, unpack_search_keys
from coffre.catalog.records import Bucket, SearchKey, Trait
from coffre.catalog.search_values import MOST_KEYS, SEARCH_KEYS, SYSTEM_KEYS
from coffre.s3 import control
from coffre.s3.context import Context
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import ecs_documents
from coffre.wire.ecs_documents import EmptyingStatus
from coffre.wire.errors import S3Error

_FILE_SYSTEM: Final = "x-emc-file-system-access-enabled"
_STALE: Final = "x-emc-is-stale-allowed"
_RETENTION: Final = "x-emc-retention-period"
_SEARCH: Final = "x-emc-metadata-search"
_EMPTY: Final = "x-emc-empty-bucket"
_LOCK: Final = b"x-amz-bucket-object-lock-enabled"
_FAILED: Final = "Some versions are retained; delete the bucket again when they are not."


class NewBucket(Struct, frozen=True):
    """What the headers ask of a bucket that is made."""

    traits: int = 0
    retention_s: int = 0
    documents: dict[str, bytes] = {}


def of_new_bucket(context: Context) -> NewBucket:
    """Read CreateBucket's `x-emc-` headers. Raises InvalidArgument, InvalidRequest,
    NotImplemented."""
    if not context.ecs:
        return NewBucket()
    head, traits, documents = context.head, Trait.ECS, dict[str, bytes]()
    if ecs_documents.switch(head, _FILE_SYSTEM):
        traits |= Trait.FILE_SYSTEM
        if (head.header(_LOCK) or "").lower() == "true":
            raise S3Error("InvalidRequest", "A bucket with file-system access has no Object Lock")
    if ecs_documents.switch(head, _STALE):
        traits |= Trait.STALE_ALLOWED
    # Whatever is stored is encrypted: "true" asks for what is so anyway, "false" for what is not.
    if ecs_documents.switch(head, "x-emc-server-side-encryption-enabled") is False:
        raise S3Error("NotImplemented", Header="x-emc-server-side-encryption-enabled")
    if ecs_documents.switch(head, "x-emc-compliance-enabled"):
        raise S3Error("NotImplemented", Header="x-emc-compliance-enabled")
    listed = head.header(_SEARCH.encode())
    if listed:
        traits |= Trait.INDEXED
        keys = ecs_documents.parse_search_keys(listed, SYSTEM_KEYS, MOST_KEYS)
        documents[SEARCH_KEYS] = pack(tuple(SearchKey(*one) for one in keys))
    return NewBucket(traits, ecs_documents.seconds(head, _RETENTION) or 0, documents)


def headers_of(bucket: Bucket) -> list[Header]:
    """What HeadBucket tells of an ECS bucket."""
    if not bucket.traits & Trait.ECS:
        return []
    told = [(_FILE_SYSTEM, Trait.FILE_SYSTEM), (_STALE, Trait.STALE_ALLOWED)]
    return [
        *((name.encode(), b"true" if bucket.traits & trait else b"false") for name, trait in told),
        (_RETENTION.encode(), b"%d" % bucket.retention_s),
    ]


def search_keys(context: Context, bucket: Bucket) -> tuple[SearchKey, ...]:
    """What a bucket indexes, in order; nothing where it is not searched (any more)."""
    if not bucket.traits & Trait.INDEXED:
        return ()
    packed = context.reader.bucket_document(bucket.id, SEARCH_KEYS)
    return () if packed is None else unpack_search_keys(packed)


def check_copied_types(context: Context, source: Bucket, metadata: dict[str, str]) -> None:
    """InternalError for a copy whose metadata both buckets index, as values of different types."""
    here = {one.name: one.kind for one in search_keys(context, context.bucket)}
    there = search_keys(context, source) if here else ()
    for one in there:
        if one.name in metadata and here.get(one.name, one.kind) != one.kind:
            raise S3Error(
                "InternalError", f"Server Error: {one.name} is indexed with another type there"
            )


async def list_search_keys(context: Context) -> Response:
    """GET ?searchmetadata of a bucket: what it indexes."""
    check_expected_owner(context.head, context.bucket)
    keys = search_keys(context, context.bucket)
    pairs = [(one.name, one.kind) for one in keys]
    return xml(ecs_documents.render_search_keys(pairs, enabled=bool(keys)))


async def list_system_keys(context: Context) -> Response:
    """GET ?searchmetadata of the service: what any bucket may index without users' metadata."""
    return xml(ecs_documents.render_search_keys(SYSTEM_KEYS.items()))


async def delete_search_keys(context: Context) -> Response:
    """DELETE ?searchmetadata: the bucket is not searched any more; a steward removes the index."""
    bucket = context.bucket
    check_expected_owner(context.head, bucket)
    if bucket.traits & Trait.INDEXED:
        await context.committer.commit(SetTraits(bucket.id, on=Trait.UNINDEXING, off=Trait.INDEXED))
    return Response(204)


async def get_stale_allowed(context: Context) -> Response:
    """GET ?isstaleallowed."""
    check_expected_owner(context.head, context.bucket)
    allowed = bool(context.bucket.traits & Trait.STALE_ALLOWED)
    told = (_STALE.encode(), b"true" if allowed else b"false")
    return xml(ecs_documents.render_stale_allowed(allowed), told)


async def put_stale_allowed(context: Context) -> Response:
    """PUT ?isstaleallowed: whether the bucket is read while the site that owns it is away."""
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    allowed = ecs_documents.switch(head, _STALE)
    if allowed is None:
        raise S3Error("InvalidArgument", f"{_STALE} is required", ArgumentName=_STALE)
    flag = Trait.STALE_ALLOWED
    change = SetTraits(bucket.id, on=flag) if allowed else SetTraits(bucket.id, off=flag)
    await context.committer.commit(change)
    return Response(200)


async def ping(context: Context) -> Response:
    """GET /?ping, which anybody may ask: the node takes requests."""
    return xml(ecs_documents.render_ping())


async def list_endpoints(context: Context) -> Response:
    """GET /?endpoint: this node, by the name that it was asked under."""
    host = context.head.header(b"host") or ""
    return xml(ecs_documents.render_endpoints([host], __version__))


def wants_emptying(context: Context) -> bool:
    """Whether a DeleteBucket asks to empty the bucket first. Raises InvalidArgument."""
    return context.ecs and bool(ecs_documents.switch(context.head, _EMPTY))


_DELETES: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion")


async def start_emptying(context: Context) -> Response:
    """202: from now on nothing is written to the bucket; a steward empties and deletes it.

    AccessDenied but for the bucket's owner, and where a policy denies anybody to delete anything:
    nobody asks it key by key.
    """
    bucket = context.bucket
    rules = control.policy(context.reader, bucket)
    denials = (
        []
        if rules is None
        else [one for action in _DELETES for one in rules[0].covering(action) if not one.allows]
    )
    if denials or context.principal.user_id != bucket.owner_id:
        raise S3Error("AccessDenied")
    if not bucket.traits & Trait.EMPTYING:
        now_ms = context.now_ms
        begun = Emptying(now_ms, now_ms, bucket.objects, bucket.bytes)
        await context.committer.commit(
            SetTraits(bucket.id, on=Trait.EMPTYING, documents={EMPTY_BUCKET: pack(begun)})
        )
    return Response(202)


def _why_failed(context: Context) -> str:
    locks = context.reader.last_release(context.bucket.id, context.now_ms)
    return _FAILED if locks is None else f"{_FAILED} They are {locks}."


async def get_emptying(context: Context) -> Response:
    """GET ?empty-bucket-status. NoSuchResource for a bucket that nobody asked to empty."""
    check_expected_owner(context.head, context.bucket)
    packed = context.reader.bucket_document(context.bucket.id, EMPTY_BUCKET)
    if packed is None:
        raise S3Error("NoSuchResource", "The bucket is not being emptied")
    found = unpack_emptying(packed)
    return xml(
        ecs_documents.render_emptying(
            EmptyingStatus(
                found.state,
                found.created_ms,
                found.updated_ms,
                found.deleted,
                found.retained,
                found.objects,
                found.size,
                _why_failed(context) if found.state == "FAILED" else None,
            )
        )
    )
