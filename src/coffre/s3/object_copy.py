"""CopyObject and UploadPartCopy: sources, and copies that move no byte where none must move.

Where a customer's key is on either side the bytes are encrypted anew, so they are copied.
"""

from __future__ import annotations

from msgspec.structs import replace

from coffre.catalog.mutations import (
    CopyVersion,
    ObjectFacts,
    PartWritten,
    PutPart,
    PutVersion,
    Written,
)
from coffre.catalog.records import Bucket, Checksum, Upload, Version
from coffre.s3 import (
    archive,
    ecs_buckets,
    ecs_retention,
    lifecycle,
    locks,
    object_annotations,
    parameters,
    versions,
)
from coffre.s3.acls import of_new_object
from coffre.s3.content import DEFAULT_ALGORITHM, checksum_of, commit, copy_bytes, new_blob
from coffre.s3.context import Context
from coffre.s3.encryption import Protection, open_protected, protect, protect_part
from coffre.s3.object_write import condition_of, written
from coffre.s3.parameters import CopySource
from coffre.s3.request_payment import is_charged
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.s3.uploads import algorithm_of, find_upload
from coffre.wire import metadata
from coffre.wire.checksums import Algorithm, declared
from coffre.wire.conditions import check_copy_source, copy_source_conditions
from coffre.wire.documents import render_copy
from coffre.wire.errors import S3Error
from coffre.wire.ranges import copy_range


async def copy_object(context: Context) -> Response:
    """CopyObject. The copy shares the source's bytes and keeps its ETag, a multipart one's too,
    unless it is encrypted otherwise."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    source, source_bucket, version = _source(context)
    remeta = parameters.replaces_metadata(head)
    retag = parameters.replaces_tags(head)
    storage_class = archive.class_of_new_object(context)
    wanted = declared(head).algorithm
    same = source_bucket.id == bucket.id and source.key == context.key
    if same and source.version_id is None and not (remeta or retag or wanted):
        _require_a_change(context)
    if version.size > context.limits.copy_bytes:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {context.limits.copy_bytes}",
        )
    kept = metadata.read(head) if remeta else _kept_metadata(context, version)
    ecs_buckets.check_copied_types(context, source_bucket, kept)
    owner_id, acl = of_new_object(context)
    facts = ObjectFacts(
        etag=version.etag,
        owner_id=owner_id,
        metadata=kept,
        storage_class=storage_class,
        checksum=version.checksum,
        tags=parameters.tags(head) if retag else _kept_tags(context, source_bucket, version),
        acl=acl,
        ecs=ecs_retention.of_new_object(context),
        lock=locks.of_new_object(context),
    )
    annotated = object_annotations.taken_over(context, source_bucket, version)
    opened = await open_protected(context, version.encryption, source=True)
    protection = await protect(context)
    if opened.kept is None and protection.kept is None:
        done = await _share(context, version, facts, wanted, annotated=bool(annotated))
    else:
        object_annotations.check_copied(annotated, protection)
        done = await _encrypt_anew(context, version, facts, wanted, opened, protection)
        await object_annotations.write_anew(context, annotated, done, opened, protection)
    checksum = done.checksum
    body = render_copy(
        done.etag,
        done.modified_ms,
        versions.checksum_values(checksum),
        None if checksum is None else checksum.type,
    )
    told = (
        *protection.headers,
        *versions.version_header(bucket, done.version_id),
        *lifecycle.expiration(context, facts.tags, done.size, done.modified_ms),
    )
    return xml(body, *told, *_source_version(source_bucket, version))


async def _share(
    context: Context,
    version: Version,
    facts: ObjectFacts,
    wanted: Algorithm | None,
    *,
    annotated: bool,
) -> Written:
    """The copy has the source's blobs; no byte moves."""
    condition = condition_of(context)
    mutation = CopyVersion(
        bucket_id=context.bucket.id,
        key=context.key,
        source_manifest_id=versions.manifest(version).id,
        size=version.size,
        parts_count=version.parts_count,
        facts=replace(facts, checksum=await _checksum(context, version, wanted)),
        condition=condition,
        annotations_of=object_annotations.source_of(version) if annotated else None,
    )
    return written(await context.committer.commit(mutation))


async def _encrypt_anew(
    context: Context,
    version: Version,
    facts: ObjectFacts,
    wanted: Algorithm | None,
    opened: Protection,
    protection: Protection,
) -> Written:
    """The copy has one new blob."""
    condition = condition_of(context)
    kept = DEFAULT_ALGORITHM if version.checksum is None else Algorithm(version.checksum.algorithm)
    manifest, size = versions.manifest(version), version.size
    async with new_blob(context, size, protection.data_key) as writer:
        taken = await copy_bytes(
            context, writer, manifest, 0, size, wanted or kept, opened.data_key
        )
        mutation = PutVersion(
            bucket_id=context.bucket.id,
            key=context.key,
            manifest_id=context.new_id(),
            blob=taken.staged.blob,
            facts=replace(
                facts,
                etag=protection.etag(taken),
                checksum=taken.checksum,
                encryption=protection.kept,
            ),
            condition=condition,
        )
        return written(await commit(context, taken, mutation))


def _source(context: Context) -> tuple[CopySource, Bucket, Version]:
    """The object to copy, when the signer may read it and it is as the request demands."""
    head = context.head
    source = parameters.copy_source(head)
    bucket = context.find_bucket(source.bucket)
    permission = "s3:GetObject" if source.version_id is None else "s3:GetObjectVersion"
    context.authorize(permission, bucket, source.key, source.version_id)
    check_expected_owner(head, bucket, source=True)
    is_charged(context.reader, context.principal, head, bucket)
    version = versions.find(context, bucket, source.key, source.version_id)
    check_copy_source(copy_source_conditions(head), version.etag, version.modified_ms)
    archive.check_readable(version)
    return source, bucket, version


def _kept_metadata(context: Context, version: Version) -> dict[str, str]:
    """The source's metadata. Where it redirects to as a website is not copied, but said anew."""
    named = metadata.REDIRECT
    kept = {name: value for name, value in version.metadata.items() if name != named}
    to = metadata.system_metadata(context.head).get(named)
    return kept if to is None else {**kept, named: to}


def _kept_tags(context: Context, bucket: Bucket, version: Version) -> dict[str, str]:
    """The source's tags, which the signer must be permitted to read and to put."""
    if version.tags:
        if not versions.may_see_tags(context, bucket, version):
            raise S3Error("AccessDenied")
        context.authorize("s3:PutObjectTagging", context.bucket, context.key)
    return version.tags


def _require_a_change(context: Context) -> None:
    if not parameters.names_attributes(context.head):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without"
            " changing the object's metadata, storage class, website redirect location or"
            " encryption attributes.",
        )


async def _checksum(
    context: Context, version: Version, wanted: Algorithm | None
) -> Checksum | None:
    """The source's checksum, or the one that the request wants computed."""
    kept = version.checksum
    if wanted is None or (kept is not None and kept.algorithm == wanted):
        return kept
    return await checksum_of(context, versions.manifest(version), wanted)


def _source_version(bucket: Bucket, version: Version) -> tuple[Header, ...]:
    return tuple(
        (b"x-amz-copy-source-version-id", value)
        for _, value in versions.version_header(bucket, version.version_id)
    )


async def upload_part_copy(context: Context) -> Response:
    """UploadPartCopy: the part's bytes are copied."""
    head = context.head
    refuse_unbuilt(head)
    check_expected_owner(head, context.bucket)
    number, upload = find_upload(context)
    _, source_bucket, version = _source(context)
    asked = parameters.copy_source_range(head)
    found = copy_range(asked, version.size) or (0, version.size - 1)
    start, end = found[0], found[1] + 1
    if end - start > context.limits.part_bytes:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {context.limits.part_bytes}",
        )
    protection = await protect_part(context, upload)
    written_part = await _copy_part(context, upload, number, version, (start, end), protection)
    body = render_copy(*written_part, part=True)
    return xml(body, *protection.headers, *_source_version(source_bucket, version))


async def _copy_part(
    context: Context,
    upload: Upload,
    number: int,
    version: Version,
    extent: tuple[int, int],
    protection: Protection,
) -> tuple[str, int, dict[str, str]]:
    """ETag, instant and checksum of the part that bytes `extent` of the source make."""
    start, end = extent
    manifest = versions.manifest(version)
    opened = await open_protected(context, version.encryption, source=True)
    async with new_blob(context, end - start, protection.data_key) as writer:
        taken = await copy_bytes(
            context, writer, manifest, start, end, algorithm_of(upload), opened.data_key
        )
        etag = protection.etag(taken)
        mutation = PutPart(
            upload_id=upload.id,
            number=number,
            etag=etag,
            blob=taken.staged.blob,
            checksum=taken.checksum,
        )
        done = await commit(context, taken, mutation)
    assert isinstance(done, PartWritten), "the committer answers a part with when it stood"
    return etag, done.modified_ms, versions.checksum_values(taken.checksum)
