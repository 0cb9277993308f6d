"""A bucket's configurations: kept where there is something to keep, else AWS's own answer for none.

What is kept lies as one document of its kind with the bucket. What we would have to act on and do
not is refused when it is put, never kept and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument
from coffre.s3 import control
from coffre.s3.context import Context
from coffre.s3.control import ENCRYPTION, OWNERSHIP, PUBLIC_ACCESS_BLOCK
from coffre.s3.operation import Handler
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire import bucket_settings as documents
from coffre.wire.acl import private
from coffre.wire.bucket_settings import DOCUMENT_LIMIT, BucketEncryption, Ownership
from coffre.wire.configurations import parse_acceleration
from coffre.wire.errors import S3Error

ACCELERATION: Final = "accelerate"


async def get_bucket_encryption(context: Context) -> Response:
    """GetBucketEncryption: AES256 in every bucket, as on AWS since 2023."""
    return xml(_kept(context, ENCRYPTION) or documents.render_encryption(BucketEncryption()))


async def put_bucket_encryption(context: Context) -> Response:
    """PutBucketEncryption."""
    kept = documents.parse_encryption(await _sent(context))
    return await _keep(context, ENCRYPTION, documents.render_encryption(kept))


async def put_bucket_ownership_controls(context: Context) -> Response:
    """PutBucketOwnershipControls. ACLs can be switched off once the bucket's own says nothing."""
    kept = documents.parse_ownership(await _sent(context))
    if kept is Ownership.BUCKET_OWNER_ENFORCED:
        bucket = context.bucket
        if control.bucket_acl(context.reader, bucket) != private(bucket.owner_id):
            raise S3Error("InvalidBucketAclWithObjectOwnership")
    return await _keep(context, OWNERSHIP, documents.render_ownership(kept))


async def put_public_access_block(context: Context) -> Response:
    """PutPublicAccessBlock."""
    kept = documents.parse_public_access_block(await _sent(context))
    return await _keep(context, PUBLIC_ACCESS_BLOCK, documents.render_public_access_block(kept))


def getting(kind: str, code: str) -> Handler:
    """The handler that answers with a bucket's document of a kind; with error `code` for none."""

    async def get(context: Context) -> Response:
        found = _kept(context, kind)
        if found is None:
            raise S3Error(code, BucketName=context.bucket.name)
        return xml(found)

    return get


def deleting(kind: str) -> Handler:
    """The handler that deletes a bucket's document of a kind; none to delete is no error."""

    async def delete(context: Context) -> Response:
        check_expected_owner(context.head, context.bucket)
        await context.committer.commit(DeleteBucketDocument(context.bucket.id, kind))
        return Response(204)

    return delete


def answering(body: bytes) -> Handler:
    """The handler of a configuration that is the same in all buckets."""

    async def get(context: Context) -> Response:
        check_expected_owner(context.head, context.bucket)
        return xml(body)

    return get


def checking(check: Callable[[bytes], None]) -> Handler:
    """The handler that takes the configuration which every bucket has anyway, and no other."""

    async def put(context: Context) -> Response:
        check(await _sent(context))
        return Response(200)

    return put


def kept_or(kind: str, default: bytes) -> Handler:
    """The handler that answers with a bucket's document of a kind, or with what holds without."""

    async def get(context: Context) -> Response:
        return xml(_kept(context, kind) or default)

    return get


def keeping(kind: str, parse: Callable[[bytes], bytes]) -> Handler:
    """The handler that keeps what `parse` makes of the body."""

    async def put(context: Context) -> Response:
        return await _keep(context, kind, parse(await _sent(context)))

    return put


async def put_acceleration(context: Context) -> Response:
    """PutBucketAccelerateConfiguration: kept and told; there are no endpoints further away."""
    kept = parse_acceleration(await _sent(context))
    if "." in context.bucket.name:
        raise S3Error(
            "InvalidRequest",
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        )
    return await _keep(context, ACCELERATION, kept)


def lacking(code: str) -> Handler:
    """The handler of a configuration that no bucket has."""

    async def get(context: Context) -> Response:
        check_expected_owner(context.head, context.bucket)
        raise S3Error(code, BucketName=context.bucket.name)

    return get


async def delete_nothing(context: Context) -> Response:
    """Deletes a configuration that no bucket has, which is no error."""
    check_expected_owner(context.head, context.bucket)
    return Response(204)


def _kept(context: Context, kind: str) -> bytes | None:
    check_expected_owner(context.head, context.bucket)
    return context.reader.bucket_document(context.bucket.id, kind)


async def _sent(context: Context) -> bytes:
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    return await context.body.document(DOCUMENT_LIMIT)


async def _keep(context: Context, kind: str, document: bytes) -> Response:
    await context.committer.commit(PutBucketDocument(context.bucket.id, kind, document))
    return Response(200)
