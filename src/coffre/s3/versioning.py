"""GetBucketVersioning and PutBucketVersioning."""

from __future__ import annotations

from typing import Final, Literal

from coffre.catalog.mutations import SetVersioning
from coffre.s3.context import Context
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.errors import S3Error
from coffre.wire.xml import document, leaves, malformed, parse, tag

DOCUMENT_LIMIT: Final = 64 * 1024
_ROOT: Final = "VersioningConfiguration"
_STATES: Final[dict[str, Literal["enabled", "suspended"]]] = {
    "Enabled": "enabled",
    "Suspended": "suspended",
}
_SHOWN: Final[dict[str, str]] = {state: shown for shown, state in _STATES.items()}


async def get_bucket_versioning(context: Context) -> Response:
    """GetBucketVersioning; empty for a bucket that never had it."""
    check_expected_owner(context.head, context.bucket)
    shown = _SHOWN.get(context.bucket.versioning)
    return xml(document(_ROOT, "" if shown is None else tag("Status", shown)))


async def put_bucket_versioning(context: Context) -> Response:
    """PutBucketVersioning; once enabled it can only be suspended."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    asked = leaves(
        parse(await context.body.document(DOCUMENT_LIMIT), _ROOT), ("Status", "MfaDelete")
    )
    if asked.get("MfaDelete", "Disabled") != "Disabled":
        raise S3Error("NotImplemented", "MFA delete is not implemented")
    if "Status" not in asked:
        raise S3Error("IllegalVersioningConfigurationException")
    state = _STATES.get(asked["Status"])
    if state is None:
        raise malformed()
    await context.committer.commit(SetVersioning(context.bucket.id, state))
    return Response(200)
