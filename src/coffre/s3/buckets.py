"""Buckets: list, create, head, delete, location."""

from __future__ import annotations

from coffre.catalog.mutations import CreateBucket, DeleteBucket, Refusal
from coffre.catalog.records import Bucket
from coffre.s3 import acls, archive, control, ecs_buckets, locks, parameters
from coffre.s3.context import Context
from coffre.s3.control import TAGGING
from coffre.s3.response import Response, xml
from coffre.s3.settings import DEFAULT_REGION
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire import names, tokens
from coffre.wire.bucket_settings import render_ownership
from coffre.wire.documents import parse_create_bucket, render_location
from coffre.wire.errors import S3Error
from coffre.wire.listings import BucketPage, ListedBucket, render_buckets
from coffre.wire.tags import render_tagging

CREATE_LIMIT = 64 * 1024
_KIND = "list-buckets"


async def list_buckets(context: Context) -> Response:
    """ListBuckets: what the signer owns or has a role on, by name; paged by AWS's token or by ECS's
    marker."""
    query = context.head.query
    by_marker = context.ecs and ("marker" in query or "max-keys" in query or "limit" in query)
    most, after = _by_marker(context) if by_marker else _by_token(context)
    prefix = query.get("prefix", "")
    region = query.get("bucket-region")
    rows = []
    if most and region in (None, context.services.settings.region):
        rows = _visible(context, prefix, after, most + 1)
    shown = rows[:most]
    truncated = len(rows) > len(shown)
    last = shown[-1].name if truncated else None
    page = BucketPage(
        owner=context.owner,
        buckets=[ListedBucket(one.name, one.created_ms, one.region) for one in shown],
        prefix=prefix or None,
        continuation_token=(
            tokens.encode(_KIND, last.encode()) if last is not None and not by_marker else None
        ),
        marker=after if by_marker else "",
        next_marker=last if by_marker else None,
        max_keys=most if by_marker else None,
        truncated=truncated,
    )
    return xml(render_buckets(page))


def _visible(context: Context, prefix: str, after: str, limit: int) -> list[Bucket]:
    """What the signer owns or has a role on, by name; all of the account's for whom a policy of its
    own lets list them."""
    owner_id = None if context.principal.identity is not None else context.owner_id
    owned = context.reader.buckets(
        context.store.id, owner_id, prefix=prefix, after=after, limit=limit
    )
    signer = context.principal.user_id or ""
    shared = context.reader.buckets_by_role(
        context.store.id, signer, prefix=prefix, after=after, limit=limit
    )
    by_name = {one.name: one for one in (*owned, *shared)}
    return [by_name[name] for name in sorted(by_name)[:limit]]


def _by_marker(context: Context) -> tuple[int, str]:
    head = context.head
    name = "max-keys" if "max-keys" in head.query else "limit"
    marker = parameters.raw(head, "marker") or b""
    return parameters.count(head, name, context.limits.page), marker.decode(errors="replace")


def _by_token(context: Context) -> tuple[int, str]:
    head = context.head
    most = parameters.count(head, "max-buckets", context.limits.bucket_page)
    if not most:
        raise parameters.invalid("max-buckets", "0", "max-buckets must be between 1 and 10000")
    token = head.query.get("continuation-token")
    after = tokens.decode(_KIND, token).decode(errors="replace") if token else ""
    return most, after


async def create_bucket(context: Context) -> Response:
    """CreateBucket."""
    head, name, region = context.head, context.named_bucket, context.services.settings.region
    refuse_unbuilt(head)
    names.check_bucket(name, context.store.dialect)
    constraint, tags = parse_create_bucket(await context.body.document(CREATE_LIMIT))
    _check_location(constraint, region)
    documents = {**context.store.settings.defaults, **acls.of_new_bucket(context)}
    rule = parameters.object_ownership(head)
    if rule is not None:
        documents[control.OWNERSHIP] = render_ownership(rule)
    if tags:
        documents[TAGGING] = render_tagging(tags)
    asked = ecs_buckets.of_new_bucket(context)
    mutation = CreateBucket(
        context.new_id(),
        context.store.id,
        name,
        context.owner_id,
        region,
        documents | asked.documents,
        asked.traits | archive.type_of_new_bucket(head) | locks.of_new_bucket(context),
        asked.retention_s,
    )
    try:
        await context.committer.commit(mutation)
    except Refusal as refusal:
        if not await _made_again(context, refusal):
            raise
    return Response(200, [(b"location", b"/" + name.encode())])


async def _made_again(context: Context, refusal: Refusal) -> bool:
    """Whether making a bucket that is there is no error: then its ACL is made anew, and nothing
    else. So it is for its owner in AWS's oldest region and on ECS, there also for those who may put
    its ACL."""
    ecs = context.store.dialect == "ecs"
    match refusal.code:
        case "BucketAlreadyOwnedByYou":
            lenient = ecs or context.services.settings.region == DEFAULT_REGION
        case "BucketAlreadyExists":
            bucket = context.find_bucket(context.named_bucket)
            lenient = ecs and context.permits("s3:PutBucketAcl", bucket, None)
        case _:
            lenient = False
    if lenient:
        await acls.reset(context, context.find_bucket(context.named_bucket))
    return lenient


def _check_location(constraint: str | None, region: str) -> None:
    """`EU` is the old name of eu-west-1 (AWS, CreateBucket)."""
    if constraint is None or constraint == region or (constraint, region) == ("EU", "eu-west-1"):
        return
    if region == DEFAULT_REGION:
        raise S3Error("InvalidLocationConstraint", LocationConstraint=constraint)
    raise S3Error(
        "IllegalLocationConstraintException",
        f"The {constraint} location constraint is incompatible for the region specific endpoint "
        "this request was sent to.",
    )


async def head_bucket(context: Context) -> Response:
    """HeadBucket."""
    check_expected_owner(context.head, context.bucket)
    told = (b"x-amz-bucket-region", context.bucket.region.encode())
    kind = archive.type_of(context.bucket)
    return Response(200, [told, *kind, *ecs_buckets.headers_of(context.bucket)])


async def delete_bucket(context: Context) -> Response:
    """DeleteBucket; it must be empty."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    if ecs_buckets.wants_emptying(context):
        return await ecs_buckets.start_emptying(context)
    await context.committer.commit(DeleteBucket(context.bucket.id))
    return Response(204)


async def get_bucket_location(context: Context) -> Response:
    """GetBucketLocation; the default region has an empty constraint."""
    check_expected_owner(context.head, context.bucket)
    region = context.bucket.region
    return xml(render_location(None if region == DEFAULT_REGION else region))
