"""PutObject."""

from __future__ import annotations

from coffre.catalog.mutations import (
    ObjectFacts,
    PutVersion,
    Result,
    WriteCondition,
    Written,
)
from coffre.catalog.records import Bucket, Trait
from coffre.s3 import archive, ecs_headers, ecs_retention, lifecycle, locks, parameters, versions
from coffre.s3.acls import of_new_object
from coffre.s3.content import commit, incoming, new_blob, take_body, too_small
from coffre.s3.context import Context
from coffre.s3.encryption import protect
from coffre.s3.response import Header, Response
from coffre.s3.unbuilt import check_expected_owner, refuse_partial_write, refuse_unbuilt
from coffre.wire import metadata
from coffre.wire.checksums import declared
from coffre.wire.conditions import write_conditions
from coffre.wire.errors import S3Error


async def put_object(context: Context) -> Response:
    """PutObject."""
    head = context.head
    refuse_partial_write(head)
    if head.raw_query and "partNumber" in head.query:
        raise parameters.invalid(
            "partNumber", head.query["partNumber"], "partNumber is only valid with an uploadId"
        )
    _, told = await write_object(context, context.limits.put_bytes)
    return Response(200, told)


async def write_object(
    context: Context, limit: int, *, least: int = 0
) -> tuple[Written, list[Header]]:
    """A new version from the request's body, of `least` to `limit` bytes, with what its head says;
    and the headers that tell of it.

    Raises EntityTooSmall, EntityTooLarge, and all that a PutObject can be wrong in.
    """
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    storage_class = archive.class_of_new_object(context)
    kept, tags = metadata.read(head), parameters.tags(head)
    owner_id, acl = of_new_object(context)
    condition, protection = condition_of(context), await protect(context)
    decoder, stated = incoming(context, limit), declared(head)
    # The form of a browser has no header that could declare a digest.
    lock = locks.of_new_object(context, stated if head.method == "PUT" else None)
    async with new_blob(context, decoder.expected, protection.data_key) as writer:
        taken = await take_body(context, writer, decoder, stated, limit)
        if taken.staged.blob.size < least:
            raise too_small(taken.staged.blob.size, least)
        mutation = PutVersion(
            bucket_id=bucket.id,
            key=context.key,
            manifest_id=context.new_id(),
            blob=taken.staged.blob,
            facts=ObjectFacts(
                etag=protection.etag(taken),
                owner_id=owner_id,
                metadata=kept,
                storage_class=storage_class,
                checksum=taken.checksum,
                tags=tags,
                encryption=protection.kept,
                acl=acl,
                ecs=ecs_retention.of_new_object(context),
                lock=lock,
            ),
            condition=condition,
        )
        done = written(await commit(context, taken, mutation))
    told = headers_of(bucket, done, protection.headers)
    told += lifecycle.expiration(context, tags, done.size, done.modified_ms)
    return done, [*told, *versions.checksum_headers(done.checksum)]


def condition_of(context: Context) -> WriteCondition:
    """What the request demands of the key's current version.

    The writing transaction decides; a demand that fails already now is refused before the body.
    """
    asked = write_conditions(context.head)
    if asked.if_match is None and not asked.if_none_match:
        return WriteCondition()
    current = context.reader.current(context.bucket, context.key)
    stands = current is not None and not current.marker
    if asked.if_none_match and stands:
        raise S3Error("PreconditionFailed", Condition="If-None-Match")
    if asked.if_match is not None:
        if current is None or not stands:
            if context.ecs:
                raise S3Error("PreconditionFailed", Condition="If-Match")
            raise S3Error("NoSuchKey", Key=context.key.decode())
        if asked.if_match not in ("*", current.etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")
    return WriteCondition(asked.if_match, asked.if_none_match)


def written(result: Result) -> Written:
    assert isinstance(result, Written), "the committer answers a write with what it wrote"
    return result


def headers_of(bucket: Bucket, done: Written, encrypted: tuple[Header, ...]) -> list[Header]:
    """Headers of an answer that tells of a new version; `encrypted` tell with what it is."""
    told: list[Header] = [
        (b"etag", b'"%s"' % done.etag.encode()),
        *encrypted,
        *versions.version_header(bucket, done.version_id),
    ]
    if bucket.traits & Trait.ECS:
        told.append(ecs_headers.modified(done.modified_ms))
    return told
