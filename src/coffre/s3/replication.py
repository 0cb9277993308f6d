"""PutBucketReplication: refused, until a store has several sites to replicate between."""

from __future__ import annotations

from coffre.s3.context import Context
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.bucket_settings import DOCUMENT_LIMIT
from coffre.wire.errors import S3Error
from coffre.wire.xml import malformed, parse


async def put_bucket_replication(context: Context) -> Response:
    """PutBucketReplication. As on AWS MalformedXML, and InvalidRequest without versioning; then
    NotImplemented: a rule that nobody follows would be a lie."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    root = parse(await context.body.document(DOCUMENT_LIMIT), "ReplicationConfiguration")
    if not {"Role", "Rule"} <= {child.tag for child in root}:
        raise malformed()
    if context.bucket.versioning != "enabled":
        raise S3Error(
            "InvalidRequest",
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
        )
    raise S3Error("NotImplemented", "Replication to another bucket or site is not implemented")
