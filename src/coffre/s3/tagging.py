"""Tags of objects, of any version, and of buckets."""

from __future__ import annotations

from coffre.catalog.mutations import (
    DeleteBucketDocument,
    PutBucketDocument,
    SetTags,
)
from coffre.catalog.records import Version
from coffre.s3 import parameters, versions
from coffre.s3.context import Context
from coffre.s3.control import TAGGING, by_tags
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.errors import S3Error
from coffre.wire.tags import (
    BUCKET_TAGS,
    DOCUMENT_LIMIT,
    OBJECT_TAGS,
    parse_tagging,
    render_tagging,
)


async def get_object_tagging(context: Context) -> Response:
    """GetObjectTagging."""
    version = _version(context)
    return xml(render_tagging(version.tags), *_shown(context, version))


async def put_object_tagging(context: Context) -> Response:
    """PutObjectTagging: all tags of the version are replaced, nothing else of it changes."""
    refuse_unbuilt(context.head)
    body = await context.body.document(DOCUMENT_LIMIT)
    tags, malformed = _read_tags(body)
    _require_permission(context, tags)
    if malformed is not None:
        raise malformed
    version = _version(context)
    await _set(context, version, tags)
    return Response(200, [*_shown(context, version)])


def _read_tags(body: bytes) -> tuple[dict[str, str], S3Error | None]:
    """The tags of a body, or none and what is wrong with it: who may not ask is not told that."""
    try:
        return parse_tagging(body, OBJECT_TAGS), None
    except S3Error as malformed:
        return {}, malformed


def _require_permission(context: Context, tags: dict[str, str]) -> None:
    """AccessDenied unless these tags may be put: nobody knew them before the body was read."""
    wanted = parameters.version_id(context.head)
    permission = "s3:PutObjectTagging" if wanted is None else "s3:PutObjectVersionTagging"
    about = (permission, context.bucket, context.key, wanted)
    if not context.permits(*about, new_tags=tags):
        raise S3Error("AccessDenied")


async def delete_object_tagging(context: Context) -> Response:
    """DeleteObjectTagging."""
    version = _version(context)
    await _set(context, version, {})
    return Response(204, [*_shown(context, version)])


def _version(context: Context) -> Version:
    check_expected_owner(context.head, context.bucket)
    wanted = parameters.version_id(context.head)
    return versions.find(context, context.bucket, context.key, wanted)


async def _set(context: Context, version: Version, tags: dict[str, str]) -> None:
    mutation = SetTags(context.bucket.id, context.key, version.version_id, version.order, tags)
    await context.committer.commit(mutation)


def _shown(context: Context, version: Version) -> tuple[Header, ...]:
    return versions.version_header(context.bucket, version.version_id)


async def get_bucket_tagging(context: Context) -> Response:
    """GetBucketTagging."""
    check_expected_owner(context.head, context.bucket)
    found = context.reader.bucket_document(context.bucket.id, TAGGING)
    if found is None:
        raise S3Error("NoSuchTagSet", BucketName=context.bucket.name)
    return xml(found)


async def put_bucket_tagging(context: Context) -> Response:
    """PutBucketTagging: all tags are replaced; none at all is as good as deleting them."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    _refuse_while_decisive(context)
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    tags = parse_tagging(body, BUCKET_TAGS)
    bucket_id = context.bucket.id
    await context.committer.commit(
        PutBucketDocument(bucket_id, TAGGING, render_tagging(tags))
        if tags
        else DeleteBucketDocument(bucket_id, TAGGING)
    )
    return Response(204)


async def delete_bucket_tagging(context: Context) -> Response:
    """DeleteBucketTagging."""
    check_expected_owner(context.head, context.bucket)
    _refuse_while_decisive(context)
    await context.committer.commit(DeleteBucketDocument(context.bucket.id, TAGGING))
    return Response(204)


def _refuse_while_decisive(context: Context) -> None:
    """MethodNotAllowed while policies decide by the bucket's tags, as AWS takes these two
    operations away then (its TagResource and UntagResource are another service's)."""
    if by_tags(context.reader, context.bucket):
        raise S3Error(
            "MethodNotAllowed",
            "Attribute-based access control is enabled for this bucket: its tags cannot be changed "
            "by this operation.",
            Method=context.head.method,
            ResourceType="BUCKET",
        )
