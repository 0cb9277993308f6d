"""Multipart uploads: create, upload part, abort, list parts, list uploads."""

from __future__ import annotations

from coffre.catalog.mutations import AbortUpload, CreateUpload, PutPart
from coffre.catalog.records import Part, Upload
from coffre.s3 import archive, ecs_retention, lifecycle, locks, parameters
from coffre.s3.acls import of_new_object
from coffre.s3.content import commit, incoming, new_blob, take_body
from coffre.s3.context import Context
from coffre.s3.encryption import protect, protect_part
from coffre.s3.parameters import parse_upload_id, show_upload_id
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_partial_write, refuse_unbuilt
from coffre.s3.uploads import algorithm_of, check_part_algorithm, find_upload, require_upload
from coffre.s3.versions import checksum_values
from coffre.wire import metadata
from coffre.wire.checksums import declared, multipart_type
from coffre.wire.documents import Owner, render_initiated
from coffre.wire.listings import (
    ListedPart,
    ListedUpload,
    PartPage,
    UploadPage,
    render_parts,
    render_uploads,
)


async def create_multipart_upload(context: Context) -> Response:
    """CreateMultipartUpload."""
    head = context.head
    refuse_unbuilt(head)
    check_expected_owner(head, context.bucket)
    stated = declared(head)
    algorithm, checksum_type = stated.algorithm, None
    if algorithm is not None:
        checksum_type = multipart_type(algorithm, stated.checksum_type)
    elif stated.checksum_type is not None:
        raise parameters.invalid(
            "x-amz-checksum-type",
            stated.checksum_type.value,
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
            "header.",
        )
    protection = await protect(context)
    owner_id, acl = of_new_object(context)
    mutation = CreateUpload(
        id=context.new_id(),
        bucket_id=context.bucket.id,
        key=context.key,
        manifest_id=context.new_id(),
        owner_id=owner_id,
        metadata=metadata.read(head),
        storage_class=archive.class_of_new_object(context),
        checksum_algorithm=None if algorithm is None else algorithm.value,
        checksum_type=None if checksum_type is None else checksum_type.value,
        tags=parameters.tags(head),
        encryption=protection.kept,
        acl=acl,
        ecs=ecs_retention.of_new_object(context),
        lock=locks.of_new_object(context),
    )
    await context.committer.commit(mutation)
    told: list[Header] = [*protection.headers, *lifecycle.abortion(context, context.now_ms)]
    if algorithm is not None and checksum_type is not None:
        told.append((b"x-amz-checksum-algorithm", algorithm.encode()))
        told.append((b"x-amz-checksum-type", checksum_type.encode()))
    body = render_initiated(context.bucket.name, context.key, show_upload_id(mutation.id))
    return xml(body, *told)


async def upload_part(context: Context) -> Response:
    """UploadPart."""
    head = context.head
    refuse_unbuilt(head)
    refuse_partial_write(head)
    check_expected_owner(head, context.bucket)
    number, upload = find_upload(context)
    stated = declared(head)
    check_part_algorithm(upload, stated)
    protection = await protect_part(context, upload)
    limit = context.limits.part_bytes
    decoder = incoming(context, limit)
    async with new_blob(context, decoder.expected, protection.data_key) as writer:
        taken = await take_body(
            context, writer, decoder, stated, limit, algorithm=algorithm_of(upload)
        )
        etag = protection.etag(taken)
        mutation = PutPart(
            upload_id=upload.id,
            number=number,
            etag=etag,
            blob=taken.staged.blob,
            checksum=taken.checksum,
        )
        await commit(context, taken, mutation)
    checksum = taken.checksum
    name = f"x-amz-checksum-{checksum.algorithm.lower()}".encode()
    told = ((b"etag", b'"%s"' % etag.encode()), (name, checksum.value.encode()))
    return Response(200, [*told, *protection.headers])


async def abort_multipart_upload(context: Context) -> Response:
    """AbortMultipartUpload."""
    check_expected_owner(context.head, context.bucket)
    refuse_unbuilt(context.head)
    upload = require_upload(context)
    await context.committer.commit(AbortUpload(upload.id))
    return Response(204)


async def list_parts(context: Context) -> Response:
    """ListParts."""
    head = context.head
    check_expected_owner(head, context.bucket)
    upload = require_upload(context)
    most = parameters.count(head, "max-parts", context.limits.page)
    marker = parameters.part_number_marker(head)
    found = context.reader.parts(upload.id, after=marker, limit=most + 1) if most else []
    page = found[:most]
    owner = Owner(upload.owner_id, upload.owner_label)
    return xml(
        render_parts(
            PartPage(
                bucket=context.bucket.name,
                key=context.key,
                upload_id=show_upload_id(upload.id),
                owner=owner,
                initiator=owner,
                parts=[_listed_part(upload, part) for part in page],
                max_parts=most,
                truncated=len(found) > most > 0,
                marker=marker,
                next_marker=page[-1].number if page else 0,
                storage_class=upload.storage_class,
                checksum_algorithm=upload.checksum_algorithm,
                checksum_type=upload.checksum_type,
            )
        ),
        *lifecycle.abortion(context, upload.initiated_ms),
    )


def _listed_part(upload: Upload, part: Part) -> ListedPart:
    """A part; its checksum only where the upload's creator asked for one, as on AWS."""
    checksums = checksum_values(part.checksum) if upload.checksum_algorithm is not None else {}
    return ListedPart(part.number, part.modified_ms, part.etag, part.size, checksums)


async def list_multipart_uploads(context: Context) -> Response:
    """ListMultipartUploads."""
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    most = parameters.count(head, "max-uploads", context.limits.page)
    prefix = parameters.raw(head, "prefix") or b""
    delimiter = parameters.raw(head, "delimiter") or b""
    encoding = parameters.encoding_type(head)
    key_marker = parameters.raw(head, "key-marker") or b""
    upload_marker = head.query.get("upload-id-marker", "") if key_marker else ""
    after_upload = parse_upload_id(upload_marker) if upload_marker else b""
    if after_upload is None:
        raise parameters.invalid("upload-id-marker", upload_marker, "Invalid uploadId marker")
    found = context.reader.list_uploads(
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        after_key=key_marker,
        after_upload=after_upload,
        limit=max(most, 1),
    )
    uploads = found.uploads if most else ()
    truncated = found.truncated and most > 0
    return xml(
        render_uploads(
            UploadPage(
                bucket=bucket.name,
                uploads=[_listed_upload(upload) for upload in uploads],
                common_prefixes=found.common_prefixes if most else (),
                max_uploads=most,
                truncated=truncated,
                key_marker=key_marker,
                upload_id_marker=upload_marker,
                next_key_marker=found.next_key if truncated else None,
                next_upload_id_marker=(
                    show_upload_id(found.next_upload) if truncated and found.next_upload else None
                ),
                prefix=prefix,
                delimiter=delimiter or None,
                encoding_type=encoding,
            )
        )
    )


def _listed_upload(upload: Upload) -> ListedUpload:
    owner = Owner(upload.owner_id, upload.owner_label)
    return ListedUpload(
        upload.key,
        show_upload_id(upload.id),
        upload.initiated_ms,
        owner,
        owner,
        upload.storage_class,
        upload.checksum_algorithm,
        upload.checksum_type,
    )
