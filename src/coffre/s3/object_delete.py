"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from coffre.catalog.mutations import Deleted, DeleteVersion, Refused, Result
from coffre.s3 import locks, parameters
from coffre.s3.context import Context
from coffre.s3.parameters import show_version_id, stored_version_id
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire import documents
from coffre.wire.conditions import delete_conditions
from coffre.wire.documents import DELETE_LIMIT, DeleteEntry, DeleteFailure
from coffre.wire.errors import CATALOGUE, S3Error
from coffre.wire.names import check_key


async def delete_object(context: Context) -> Response:
    """DeleteObject; a key that is not there is no error."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    condition = delete_conditions(head)
    wanted = parameters.version_id(head)
    mutation = DeleteVersion(
        bucket.id,
        context.key,
        wanted,
        condition.if_match,
        _marker_owner(context),
        condition.modified_s,
        condition.size,
        locks.may_bypass(context, context.key, wanted),
    )
    done = _deleted(await context.committer.commit(mutation))
    told: list[Header] = []
    if done.marker:
        told.append((b"x-amz-delete-marker", b"true"))
    shown = done.marker_version_id if done.marker else wanted
    if shown is not None and bucket.versioning != "never":
        told.append((b"x-amz-version-id", show_version_id(shown).encode()))
    return Response(204, told)


async def delete_objects(context: Context) -> Response:
    """DeleteObjects: up to 1000 keys, each on its own terms."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    body = await context.body.document(DELETE_LIMIT, must_declare=True)
    quiet, entries = documents.parse_delete(body)
    failures: list[DeleteFailure] = []
    wanted: list[tuple[DeleteEntry, DeleteVersion]] = []
    for entry in entries:
        try:
            wanted.append((entry, _mutation(context, entry)))
        except S3Error as error:
            failures.append(_failure(entry, error))
            context.refused(entry.key, entry.version_id or "", error)
    results = await context.committer.commit_all([mutation for _, mutation in wanted])
    done: list[documents.Deleted] = []
    for (entry, _), result in zip(wanted, results, strict=True):
        if isinstance(result, Refused):
            refused = _known(result)
            failures.append(_failure(entry, refused))
        else:
            done.append(_report(entry, _deleted(result)))
    return xml(documents.render_deletes(done, failures, quiet=quiet))


def _mutation(context: Context, entry: DeleteEntry) -> DeleteVersion:
    """What deletes an entry. Raises S3Error for one that is not permitted or cannot be."""
    check_key(entry.key)
    permission = "s3:DeleteObject" if entry.version_id is None else "s3:DeleteObjectVersion"
    version_id = None if entry.version_id is None else stored_version_id(entry.version_id)
    context.authorize(permission, context.bucket, entry.key, version_id)
    modified_ms = entry.last_modified_ms
    return DeleteVersion(
        context.bucket.id,
        entry.key,
        version_id,
        entry.etag,
        _marker_owner(context),
        None if modified_ms is None else modified_ms // 1000,
        entry.size,
        version_id is not None and locks.may_bypass(context, entry.key, version_id),
    )


def _marker_owner(context: Context) -> str:
    """Who deletes; the bucket's owner for a stranger."""
    return context.principal.owner_id or context.bucket.owner_id


def _deleted(result: Result) -> Deleted:
    assert isinstance(result, Deleted), "the committer answers a delete with what it deleted"
    return result


def _report(entry: DeleteEntry, done: Deleted) -> documents.Deleted:
    marker = done.marker_version_id if done.marker else None
    return documents.Deleted(
        entry.key,
        entry.version_id,
        done.marker,
        None if marker is None else show_version_id(marker),
    )


def _known(refused: Refused) -> S3Error:
    """A refusal as a client may see it."""
    return S3Error(refused.code if refused.code in CATALOGUE else "InternalError", refused.message)


def _failure(entry: DeleteEntry, error: S3Error) -> DeleteFailure:
    return DeleteFailure(entry.key, error.code, error.message, entry.version_id)
