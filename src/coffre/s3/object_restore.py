"""RestoreObject: an archived object is to be readable for some days."""

from __future__ import annotations

from coffre.catalog.archive_mutations import RestoreVersion, Restoring
from coffre.s3 import archive, parameters, versions
from coffre.s3.context import Context
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.errors import S3Error
from coffre.wire.restore import RESTORE_LIMIT, check_tier, parse_restore
from coffre.wire.storage_classes import ARCHIVED

_NOT_ARCHIVED = "Restore is not allowed for the object's current storage class"


async def restore_object(context: Context) -> Response:
    """RestoreObject: 202 where a copy will be made, 200 where there is one, whose days count anew
    from now on."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    asked = parse_restore(await context.body.document(RESTORE_LIMIT))
    version = versions.find(context, bucket, context.key, parameters.version_id(head))
    if version.storage_class == "INTELLIGENT_TIERING":
        raise S3Error("ObjectAlreadyInActiveTierError")
    if version.storage_class not in ARCHIVED:
        raise archive.not_in_state(version, _NOT_ARCHIVED)
    check_tier(asked, version.storage_class)
    delay_s = context.services.settings.restore_delays[asked.tier]
    done = await context.committer.commit(
        RestoreVersion(
            bucket_id=bucket.id,
            key=context.key,
            version_id=version.version_id,
            order=version.order,
            days=asked.days,
            tier=asked.tier,
            delay_ms=int(delay_s * 1000),
            manifest_id=context.new_id(),
        )
    )
    assert isinstance(done, Restoring), "the committer answers with how the copy stands"
    return Response(200 if done.again else 202)
