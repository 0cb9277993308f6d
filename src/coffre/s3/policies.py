"""A bucket's policy: put, told, deleted, and whether it makes the bucket public."""

from __future__ import annotations

from coffre.access.policy import POLICY_BYTES, BadPolicy, read_policy
from coffre.access.public import is_public
from coffre.catalog.mutations import PutBucketDocument
from coffre.s3 import control
from coffre.s3.context import Context
from coffre.s3.control import POLICY
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire.bucket_settings import render_policy_status
from coffre.wire.errors import S3Error

# A larger body is read no further than this: the policy in it is too long by then.
BODY_LIMIT = 2 * POLICY_BYTES


async def put_bucket_policy(context: Context) -> Response:
    """PutBucketPolicy. MalformedPolicy names the element that cannot be meant; AccessDenied for a
    public policy where the bucket blocks such."""
    bucket = context.bucket
    check_expected_owner(context.head, bucket)
    document = await context.body.document(BODY_LIMIT)
    try:
        policy = read_policy(document, bucket=bucket.name, ecs=context.ecs)
    except BadPolicy as error:
        raise S3Error("MalformedPolicy", error.message, Detail=error.field) from error
    if is_public(policy) and control.public_access_block(context.reader, bucket).block_policy:
        raise S3Error("AccessDenied", "The bucket blocks public policies (BlockPublicPolicy)")
    await context.committer.commit(PutBucketDocument(bucket.id, POLICY, document))
    return Response(204)


async def get_bucket_policy(context: Context) -> Response:
    """GetBucketPolicy: the bytes that were put."""
    check_expected_owner(context.head, context.bucket)
    found = context.reader.bucket_document(context.bucket.id, POLICY)
    if found is None:
        raise S3Error("NoSuchBucketPolicy", BucketName=context.bucket.name)
    return Response(200, [(b"content-type", b"application/json")], found)


async def get_bucket_policy_status(context: Context) -> Response:
    """GetBucketPolicyStatus."""
    check_expected_owner(context.head, context.bucket)
    found = control.policy(context.reader, context.bucket)
    if found is None:
        raise S3Error("NoSuchBucketPolicy", BucketName=context.bucket.name)
    return xml(render_policy_status(found[1]))
