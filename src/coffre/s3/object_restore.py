"""RestoreObject: nothing is archived, so there is nothing to restore."""

from __future__ import annotations

from coffre.s3 import parameters, versions
from coffre.s3.context import Context
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.configurations import RESTORE_LIMIT, parse_restore
from coffre.wire.errors import S3Error


async def restore_object(context: Context) -> Response:
    """RestoreObject: AWS's refusal for an object that is readable as it is."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    parse_restore(await context.body.document(RESTORE_LIMIT))
    version = versions.find(context, bucket, context.key, parameters.version_id(head))
    if version.storage_class == "INTELLIGENT_TIERING":
        raise S3Error("ObjectAlreadyInActiveTierError")
    raise S3Error(
        "InvalidObjectState",
        "Restore is not allowed for the object's current storage class",
        StorageClass=version.storage_class,
    )
