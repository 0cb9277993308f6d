"""Annotations: named texts beside a version of an object, encrypted as it is.

They go with their version, and a copy takes them over. They count neither as objects nor to a
bucket's bytes.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.annotation_mutations import (
    MAX_ANNOTATIONS,
    AnnotatedVersion,
    DeleteAnnotation,
    PutAnnotation,
)
from coffre.catalog.mutations import Refusal, Written
from coffre.catalog.records import Annotation, Bucket, Manifest, Version
from coffre.s3 import parameters, versions
from coffre.s3.content import (
    commit,
    copy_bytes,
    incoming,
    new_blob,
    take_body,
    too_small,
    whole_content,
)
from coffre.s3.context import Context
from coffre.s3.encryption import Protection, open_protected
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.system.buffer import Buffer
from coffre.vault.interface import BlobWriter, Staged
from coffre.wire import tokens
from coffre.wire.annotations import (
    PAGE,
    PAYLOAD_LIMIT,
    AnnotationEntry,
    AnnotationPage,
    TextCheck,
    check_name,
    check_prefix,
    render_page,
    render_put,
)
from coffre.wire.checksums import Algorithm, declared
from coffre.wire.dates import http_date
from coffre.wire.errors import S3Error

_ENCRYPTION: Final = b"x-amz-server-side-encryption"
_TOKEN: Final = "annotations"  # noqa: S105  (the kind of a listing, no secret)
# The version that was copied onto was replaced or deleted since.
_GONE: Final = frozenset({"NoSuchBucket", "NoSuchKey", "OperationAborted"})


class _Text:
    """A blob's writer that takes nothing but text."""

    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer
        self._check = TextCheck()

    @property
    def finished(self) -> bool:
        return self._writer.finished

    async def write(self, piece: Buffer) -> None:
        self._check.feed(bytes(piece))
        await self._writer.write(piece)

    async def finish(self) -> Staged:
        self._check.finish()
        return await self._writer.finish()

    async def abandon(self) -> None:
        await self._writer.abandon()


async def put_object_annotation(context: Context) -> Response:
    """PutObjectAnnotation: in place of an earlier one of that name."""
    head, bucket = context.head, context.bucket
    name, version = _named(context)
    _check_match(context, version)
    protection = await _opened(context, version)
    decoder, stated = incoming(context, PAYLOAD_LIMIT), declared(head)
    async with new_blob(context, decoder.expected, protection.data_key) as writer:
        taken = await take_body(context, _Text(writer), decoder, stated, PAYLOAD_LIMIT)
        blob = taken.staged.blob
        if not blob.size:
            raise too_small(0, 1)
        mutation = PutAnnotation(
            bucket_id=bucket.id,
            key=context.key,
            version_id=version.version_id,
            order=version.order,
            name=name,
            manifest_id=context.new_id(),
            blob=blob,
            etag=protection.etag(taken),
            checksum=taken.checksum,
            encryption=version.encryption,
            if_match=_if_match(context),
        )
        await commit(context, taken, mutation)
    return xml(
        render_put(context.key, name),
        (b"etag", b'"%s"' % mutation.etag.encode()),
        *_shown(context, version),
        *_encrypted(protection),
        *versions.checksum_headers(taken.checksum),
    )


async def get_object_annotation(context: Context) -> Response:
    """GetObjectAnnotation."""
    name, version = _named(context)
    found = context.reader.annotation(context.bucket, version, name)
    if found is None:
        raise S3Error("NoSuchAnnotation", AnnotationName=name)
    protection = await _opened(context, version)
    body = await whole_content(context, _manifest(found), 0, found.size, protection.data_key)
    told: list[Header] = [
        (b"last-modified", http_date(found.modified_ms).encode()),
        (b"etag", b'"%s"' % found.etag.encode()),
        *_shown(context, version),
        *_encrypted(protection),
    ]
    if parameters.wants_checksum(context.head):
        told += versions.checksum_headers(found.checksum)
    return Response(200, told, body)


async def list_object_annotations(context: Context) -> Response:
    """ListObjectAnnotations: by name, a page at a time."""
    query, bucket = context.head.query, context.bucket
    version = _version(context)
    prefix, token = query.get("annotation-prefix"), query.get("continuation-token")
    check_prefix(prefix or "")
    most = parameters.count(context.head, "max-annotation-results", PAGE)
    if not most:
        raise parameters.invalid(
            "max-annotation-results", "0", "max-annotation-results is between 1 and 1000"
        )
    after = "" if token is None else tokens.decode(_TOKEN, token).decode(errors="replace")
    found = context.reader.annotations(
        bucket, version, prefix=prefix or "", after=after, limit=most + 1
    )
    shown = found[:most]
    last = shown[-1].name if len(found) > most else None
    page = AnnotationPage(
        bucket=bucket.name,
        key=context.key,
        entries=[_entry(one) for one in shown],
        most=most,
        prefix=prefix,
        token=token,
        next_token=None if last is None else tokens.encode(_TOKEN, last.encode()),
    )
    return xml(render_page(page), *_shown(context, version))


async def delete_object_annotation(context: Context) -> Response:
    """DeleteObjectAnnotation; one that is not there is no error."""
    name, version = _named(context)
    _check_match(context, version)
    mutation = DeleteAnnotation(
        context.bucket.id,
        context.key,
        version.version_id,
        version.order,
        name,
        _if_match(context),
    )
    await context.committer.commit(mutation)
    return Response(204, [*_shown(context, version)])


def all_annotations(context: Context, bucket: Bucket, version: Version) -> list[Annotation]:
    """Every annotation of a version."""
    return context.reader.annotations(bucket, version, prefix="", after="", limit=MAX_ANNOTATIONS)


def taken_over(context: Context, bucket: Bucket, version: Version) -> list[Annotation]:
    """The annotations of a source that a copy takes over: the signer must be permitted to read them
    there and to put them here. Raises AccessDenied."""
    if not parameters.copies_annotations(context.head):
        return []
    found = all_annotations(context, bucket, version)
    if found:
        named = parameters.copy_source(context.head).version_id
        context.authorize("s3:GetObjectAnnotation", bucket, version.key, named)
        context.authorize("s3:PutObjectAnnotation", context.bucket, context.key)
    return found


def check_copied(found: list[Annotation], protection: Protection) -> None:
    """InvalidRequest where annotations would go to a copy under its customer's key."""
    kept = protection.kept
    if found and kept is not None and kept.kms is None:
        raise _no_annotations()


def source_of(version: Version) -> AnnotatedVersion:
    """A version, for a copy that shares its annotations' bytes."""
    return AnnotatedVersion(version.bucket_id, version.key, version.order, version.zone)


async def write_anew(
    context: Context,
    found: list[Annotation],
    done: Written,
    opened: Protection,
    protection: Protection,
) -> None:
    """Put a source's annotations beside its copy, which is encrypted otherwise: one after another,
    as long as the copy stands."""
    bucket = context.bucket
    copy = context.reader.version(bucket, context.key, done.version_id) if found else None
    for one in found:
        if copy is None or copy.modified_ms != done.modified_ms:
            return
        async with new_blob(context, one.size, protection.data_key) as writer:
            algorithm = Algorithm(one.checksum.algorithm)
            source = _manifest(one)
            taken = await copy_bytes(
                context, writer, source, 0, one.size, algorithm, opened.data_key
            )
            mutation = PutAnnotation(
                bucket_id=bucket.id,
                key=context.key,
                version_id=copy.version_id,
                order=copy.order,
                name=one.name,
                manifest_id=context.new_id(),
                blob=taken.staged.blob,
                etag=protection.etag(taken),
                checksum=taken.checksum,
                encryption=copy.encryption,
            )
            try:
                await commit(context, taken, mutation)
            except Refusal as refusal:
                if refusal.code not in _GONE:
                    raise
                await writer.abandon()
                return


def _named(context: Context) -> tuple[str, Version]:
    """The annotation's name and its version. Raises InvalidRequest where none is named."""
    version = _version(context)
    name = context.head.query.get("annotationName")
    if name is None:
        raise S3Error("InvalidRequest", "Missing required parameter: annotationName")
    check_name(name)
    return name, version


def _version(context: Context) -> Version:
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    wanted = parameters.version_id(context.head)
    return versions.find(context, context.bucket, context.key, wanted)


def _if_match(context: Context) -> str | None:
    text = context.head.header(b"x-amz-object-if-match")
    return None if text is None else text.strip().strip('"')


def _check_match(context: Context, version: Version) -> None:
    """PreconditionFailed where it fails already now; the writing transaction decides."""
    if _if_match(context) not in (None, "*", version.etag):
        raise S3Error("PreconditionFailed", Condition="x-amz-object-if-match")


async def _opened(context: Context, version: Version) -> Protection:
    """InvalidRequest for an object under its customer's key, which has no annotations."""
    kept = version.encryption
    if kept is not None and kept.kms is None:
        raise _no_annotations()
    return await open_protected(context, kept)


def _no_annotations() -> S3Error:
    return S3Error(
        "InvalidRequest",
        "Objects encrypted with customer-provided keys (SSE-C) cannot have annotations.",
    )


def _encrypted(protection: Protection) -> tuple[Header, ...]:
    return tuple(one for one in protection.headers if one[0] == _ENCRYPTION)


def _shown(context: Context, version: Version) -> tuple[Header, ...]:
    """`x-amz-object-version-id`, as `x-amz-version-id` is shown."""
    told = versions.version_header(context.bucket, version.version_id)
    return tuple((b"x-amz-object-version-id", value) for _, value in told)


def _manifest(one: Annotation) -> Manifest:
    return Manifest(one.manifest_id, one.size, one.blob)


def _entry(one: Annotation) -> AnnotationEntry:
    return AnnotationEntry(one.name, one.modified_ms, one.etag, one.checksum.algorithm, one.size)
