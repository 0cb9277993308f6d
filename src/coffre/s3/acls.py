"""ACLs of buckets and objects: put, told, and given to what is made."""

from __future__ import annotations

from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument, SetAcl
from coffre.catalog.records import Bucket
from coffre.s3 import control, parameters, versions
from coffre.s3.context import Context
from coffre.s3.control import ACL
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire import acl as wire
from coffre.wire.acl import DOCUMENT_LIMIT, GROUPS, Acl, header_acl, pack, parse_acl, render_acl
from coffre.wire.bucket_settings import (
    Ownership,
    parse_ownership,
    parse_public_access_block,
)
from coffre.wire.documents import Owner
from coffre.wire.errors import S3Error


async def get_bucket_acl(context: Context) -> Response:
    """GetBucketAcl. Where ACLs do not count, all is the owner's."""
    check_expected_owner(context.head, context.bucket)
    bucket = context.bucket
    owner = Owner(bucket.owner_id, bucket.owner_label)
    shown = control.bucket_acl(context.reader, bucket)
    if control.ownership(context.reader, bucket) is Ownership.BUCKET_OWNER_ENFORCED:
        shown = wire.private(owner.id)
    return xml(render_acl(owner, shown, _labels(context, shown)))


async def put_bucket_acl(context: Context) -> Response:
    """PutBucketAcl."""
    bucket = context.bucket
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, bucket)
    await _keep(context, bucket, await _asked(context, bucket.owner_id))
    return Response(200)


async def get_object_acl(context: Context) -> Response:
    """GetObjectAcl, of any version."""
    bucket = context.bucket
    check_expected_owner(context.head, bucket)
    version = versions.find(context, bucket, context.key, parameters.version_id(context.head))
    owner = Owner(version.owner_id, version.owner_label)
    shown = wire.unpack(version.acl, version.owner_id)
    if control.ownership(context.reader, bucket) is Ownership.BUCKET_OWNER_ENFORCED:
        owner = Owner(bucket.owner_id, bucket.owner_label)
        shown = wire.private(owner.id)
    return xml(
        render_acl(owner, shown, _labels(context, shown)),
        *versions.version_header(bucket, version.version_id),
    )


async def put_object_acl(context: Context) -> Response:
    """PutObjectAcl, of any version."""
    bucket = context.bucket
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, bucket)
    version = versions.find(context, bucket, context.key, parameters.version_id(context.head))
    asked = await _asked(context, version.owner_id)
    stored = pack(asked, version.owner_id)
    await context.committer.commit(
        SetAcl(bucket.id, context.key, version.version_id, version.order, stored)
    )
    return Response(200, [*versions.version_header(bucket, version.version_id)])


def of_new_object(context: Context) -> tuple[str, bytes]:
    """Who owns the object that the request makes, and its ACL in stored form.

    Raises AccessControlListNotSupported, AccessDenied (a public ACL that the bucket blocks), and as
    `wire.acl.header_acl`.
    """
    bucket, head = context.bucket, context.head
    writer = context.principal.owner_id
    if writer == bucket.owner_id and not wire.names_acl(head):
        return writer, b""
    rule = control.ownership(context.reader, bucket)
    given = wire.asks_full_control_for_bucket_owner(head)
    # What strangers put has no other owner than the bucket's.
    if (
        writer is None
        or rule is Ownership.BUCKET_OWNER_ENFORCED
        or (rule is Ownership.BUCKET_OWNER_PREFERRED and given)
    ):
        writer = bucket.owner_id
    asked = header_acl(head, writer, bucket.owner_id)
    if asked is None:
        return writer, b""
    context.authorize_acl(bucket, context.key)
    return writer, pack(_permitted(context, bucket, rule, asked, writer), writer)


def of_new_bucket(context: Context) -> dict[str, bytes]:
    """The documents that a bucket's headers ask for when it is made.

    Raises InvalidBucketAclWithObjectOwnership, AccessDenied (a public ACL that the store blocks for
    new buckets), InvalidArgument, and as `wire.acl.header_acl`.
    """
    head, owner_id = context.head, context.owner_id
    rule = parameters.object_ownership(head)
    defaults = context.store.settings.defaults
    if rule is None and control.OWNERSHIP in defaults:
        rule = parse_ownership(defaults[control.OWNERSHIP])
    asked = header_acl(head, owner_id, owner_id) or wire.private(owner_id)
    _check_grantees(context, asked)
    stored = pack(asked, owner_id)
    if stored and rule is Ownership.BUCKET_OWNER_ENFORCED:
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    block = defaults.get(control.PUBLIC_ACCESS_BLOCK)
    blocked = block is not None and parse_public_access_block(block).block_acls
    if blocked and wire.is_public(asked):
        raise S3Error("AccessDenied")
    return {ACL: stored} if stored else {}


async def reset(context: Context, bucket: Bucket) -> None:
    """The ACL of a bucket that is made again: the one that the headers ask for now, or private."""
    owner_id = bucket.owner_id
    asked = header_acl(context.head, owner_id, owner_id) or wire.private(owner_id)
    rule = control.ownership(context.reader, bucket)
    await _keep(context, bucket, _permitted(context, bucket, rule, asked, owner_id))


async def _keep(context: Context, bucket: Bucket, asked: Acl) -> None:
    if asked == control.bucket_acl(context.reader, bucket):
        return
    stored = pack(asked, bucket.owner_id)
    await context.committer.commit(
        PutBucketDocument(bucket.id, ACL, stored)
        if stored
        else DeleteBucketDocument(bucket.id, ACL)
    )


async def _asked(context: Context, owner_id: str) -> Acl:
    """The ACL that a request to put one asks for, in its headers or its body."""
    bucket, head = context.bucket, context.head
    body = await context.body.document(DOCUMENT_LIMIT)
    asked = header_acl(head, owner_id, bucket.owner_id)
    if asked is None:
        if not body.strip():
            raise S3Error("MissingSecurityHeader", MissingHeaderName="x-amz-acl")
        named, asked = parse_acl(body)
        if named != owner_id:
            raise S3Error("AccessDenied")
    elif body.strip():
        raise S3Error("UnexpectedContent")
    rule = control.ownership(context.reader, bucket)
    return _permitted(context, bucket, rule, asked, owner_id)


def _permitted(context: Context, bucket: Bucket, rule: Ownership, asked: Acl, owner_id: str) -> Acl:
    """The ACL, where the bucket takes it and all users in it exist."""
    if rule is Ownership.BUCKET_OWNER_ENFORCED:
        harmless = ("private", "bucket-owner-full-control")
        if asked not in [wire.canned(name, owner_id, bucket.owner_id) for name in harmless]:
            raise S3Error("AccessControlListNotSupported")
        return wire.private(owner_id)
    if wire.is_public(asked) and control.public_access_block(context.reader, bucket).block_acls:
        raise S3Error("AccessDenied")
    _check_grantees(context, asked)
    return asked


def _check_grantees(context: Context, asked: Acl) -> None:
    """InvalidArgument for a user who is none of the store's."""
    for grantee in {grant.grantee for grant in asked} - GROUPS:
        user = context.reader.user(grantee)
        if user is None or user.store_id != context.store.id:
            raise wire.invalid_grantee("CanonicalUser/ID", grantee)


def _labels(context: Context, shown: Acl) -> dict[str, str]:
    users = (context.reader.user(grant.grantee) for grant in shown)
    return {user.id: user.label for user in users if user is not None}
