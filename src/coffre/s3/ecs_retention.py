"""Retention as ECS has it: a period of the object's own, a policy of its store, a period of its
bucket; the longest counts, and what is retained is neither overwritten nor deleted."""

from __future__ import annotations

from coffre.catalog.ecs_mutations import SetRetention
from coffre.catalog.records import EcsFacts
from coffre.s3 import parameters, versions
from coffre.s3.context import Context
from coffre.s3.ecs_headers import PERIOD, POLICY
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import ecs_documents
from coffre.wire.errors import S3Error


def of_new_object(context: Context) -> EcsFacts | None:
    """What the headers of a PUT ask for; None where they ask for nothing. Raises InvalidArgument,
    also for a policy that the store does not have."""
    head = context.head
    if not context.ecs:
        return None
    period, policy = ecs_documents.seconds(head, PERIOD), head.header(POLICY.encode())
    if period is None and policy is None:
        return None
    if policy is not None and policy not in context.store.retention_policies:
        raise ecs_documents.invalid_header(POLICY, policy, "The store has no such retention policy")
    return EcsFacts(retention_s=period or 0, retention_policy=policy or "")


async def update_retention(context: Context) -> Response:
    """PUT ?retentionUpdate: a longer period, counted from when the object was made."""
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    period = ecs_documents.seconds(head, PERIOD)
    if period is None:
        raise S3Error("InvalidArgument", f"{PERIOD} is required", ArgumentName=PERIOD)
    version = versions.find(context, bucket, context.key, parameters.version_id(head))
    await context.committer.commit(
        SetRetention(bucket.id, context.key, version.version_id, version.order, period)
    )
    return Response(200, [*versions.version_header(bucket, version.version_id)])
