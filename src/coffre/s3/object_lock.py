"""Object Lock's own operations: a bucket's configuration, retention and legal hold of versions.

What may happen is decided by the catalog's guard (`catalog.lock_guard`), in the transaction that
does it. Here it is decided who may ask, by what the body asks for.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.lock_mutations import PutLegalHold, PutObjectLock, PutRetention
from coffre.catalog.records import DefaultRetention, ObjectLock, Retention, Trait, Version
from coffre.s3 import locks, parameters, versions
from coffre.s3.context import Context
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import object_lock as documents
from coffre.wire.dates import iso
from coffre.wire.errors import S3Error
from coffre.wire.object_lock import DOCUMENT_LIMIT

_MODE: Final = "s3:object-lock-mode"
_UNTIL: Final = "s3:object-lock-retain-until-date"
_HELD: Final = "s3:object-lock-legal-hold"


async def get_object_lock(context: Context) -> Response:
    """GetObjectLockConfiguration."""
    _check(context)
    bucket = context.bucket
    if not bucket.traits & Trait.OBJECT_LOCK:
        raise S3Error("ObjectLockConfigurationNotFoundError", BucketName=bucket.name)
    kept = context.reader.default_retention(bucket.id)
    default = None if kept is None else documents.DefaultRetention(kept.mode, kept.days, kept.years)
    return xml(documents.render_configuration(default))


async def put_object_lock(context: Context) -> Response:
    """PutObjectLockConfiguration: new versions are retained by it, others stay as they are."""
    _check(context)
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    asked = documents.parse_configuration(body)
    default = None if asked is None else DefaultRetention(asked.mode, asked.days, asked.years)
    await context.committer.commit(PutObjectLock(context.bucket.id, default))
    return Response(200)


async def get_object_retention(context: Context) -> Response:
    """GetObjectRetention."""
    version, lock = _find(context)
    if lock is None or lock.retention is None:
        raise _has_none(version)
    kept = documents.Retention(lock.retention.mode, lock.retention.until_ms)
    return xml(documents.render_retention(kept), *_shown(context, version))


async def put_object_retention(context: Context) -> Response:
    """PutObjectRetention. It makes no version and keeps Last-Modified."""
    _check(context)
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    asked, malformed = None, None
    try:
        asked = documents.parse_retention(body)
    except S3Error as error:
        malformed = error
    # What the headers say is not asked for: what the body does not say, nobody said.
    _authorize(
        context,
        "s3:PutObjectRetention",
        {
            _MODE: None if asked is None else asked.mode,
            _UNTIL: None if asked is None else iso(asked.until_ms),
            _HELD: None,
        },
    )
    if malformed is not None:
        raise malformed
    version, _ = _find(context)
    await context.committer.commit(
        PutRetention(
            context.bucket.id,
            context.key,
            version.version_id,
            version.order,
            None if asked is None else Retention(asked.mode, asked.until_ms),
            locks.may_bypass(context, context.key, parameters.version_id(context.head)),
        )
    )
    return Response(200, [*_shown(context, version)])


async def get_object_legal_hold(context: Context) -> Response:
    """GetObjectLegalHold."""
    version, lock = _find(context)
    if lock is None or lock.held is None:
        raise _has_none(version)
    return xml(documents.render_legal_hold(lock.held), *_shown(context, version))


async def put_object_legal_hold(context: Context) -> Response:
    """PutObjectLegalHold. It makes no version and keeps Last-Modified."""
    _check(context)
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    held, malformed = None, None
    try:
        held = documents.parse_legal_hold(body)
    except S3Error as error:
        malformed = error
    said = None if held is None else "ON" if held else "OFF"
    _authorize(context, "s3:PutObjectLegalHold", {_MODE: None, _UNTIL: None, _HELD: said})
    if malformed is not None:
        raise malformed
    assert held is not None, "a body that says nothing is malformed"
    version, _ = _find(context)
    await context.committer.commit(
        PutLegalHold(context.bucket.id, context.key, version.version_id, version.order, held)
    )
    return Response(200, [*_shown(context, version)])


def _check(context: Context) -> None:
    check_expected_owner(context.head, context.bucket)
    locks.check_kind(context)


def _authorize(context: Context, permission: str, said: dict[str, str | None]) -> None:
    """AccessDenied unless the signer may do what the body says."""
    wanted = parameters.version_id(context.head)
    if not context.permits(permission, context.bucket, context.key, wanted, said):
        raise S3Error("AccessDenied")


def _find(context: Context) -> tuple[Version, ObjectLock | None]:
    """The version that is meant. Raises InvalidRequest in a bucket without Object Lock, and as
    `versions.find`."""
    _check(context)
    if not context.bucket.traits & Trait.OBJECT_LOCK:
        raise locks.missing()
    wanted = parameters.version_id(context.head)
    version = versions.find(context, context.bucket, context.key, wanted)
    return version, version.lock


def _has_none(version: Version) -> S3Error:
    return S3Error("NoSuchObjectLockConfiguration", Key=version.key.decode())


def _shown(context: Context, version: Version) -> tuple[Header, ...]:
    return versions.version_header(context.bucket, version.version_id)
