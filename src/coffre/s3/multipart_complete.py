"""CompleteMultipartUpload: what the client lists, held against the parts that stand.

Order of checks, as on AWS: the upload exists, the list is well-formed, ascends, names parts that
stand, and no part but the last is too small. The commit itself is one small step however many
parts there are.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from urllib.parse import quote_from_bytes

from coffre.catalog.mutations import ChosenPart, CompleteUpload, ObjectFacts, Written
from coffre.catalog.records import Checksum, Part, PartIndex, Upload
from coffre.s3 import lifecycle, versions
from coffre.s3.content import too_large
from coffre.s3.context import Context
from coffre.s3.encryption import check_completion, told_of
from coffre.s3.object_write import condition_of, written
from coffre.s3.parameters import MAX_PART_NUMBER, object_size, show_upload_id, upload_id
from coffre.s3.response import Header, Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.s3.uploads import algorithm_of, named_upload, no_such_upload
from coffre.wire.checksums import (
    Algorithm,
    ChecksumType,
    Declared,
    combine_full,
    composite,
    declared,
    multipart_type,
)
from coffre.wire.documents import COMPLETE_LIMIT, CompletedPart, parse_complete, render_completed
from coffre.wire.errors import S3Error


async def complete_multipart_upload(context: Context) -> Response:
    """CompleteMultipartUpload."""
    head = context.head
    refuse_unbuilt(head)
    check_expected_owner(head, context.bucket)
    stated = declared(head, composite=True)
    about_body = Declared(content_md5=stated.content_md5)
    upload = named_upload(context)
    listed = parse_complete(await context.body.document(COMPLETE_LIMIT, about_body))
    if upload is None:
        return _answer(context, *await _repeat(context, listed))
    protection = await check_completion(context, upload)
    try:
        parts = _choose(context, upload, listed)
    except S3Error as error:
        # Parts go when their upload ends: another completion or an abort came first.
        if error.code == "InvalidPart" and named_upload(context) is None:
            return _answer(context, *await _repeat(context, listed))
        raise
    size = sum(part.size for part in parts)
    if size > context.limits.object_bytes:
        raise too_large(size, context.limits.object_bytes)
    if object_size(head) not in (None, size):
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header does not match the upload's {size} bytes",
        )
    mutation = CompleteUpload(
        upload_id=upload.id,
        chosen=tuple(ChosenPart(part.number, part.blob.id) for part in parts),
        index=tuple(
            PartIndex(part.number, part.size, part.checksum.value if part.checksum else "")
            for part in parts
        ),
        facts=ObjectFacts(
            etag=_etag(parts),
            owner_id=upload.owner_id,
            metadata=upload.metadata,
            storage_class=upload.storage_class,
            checksum=_checksum(upload, parts, stated),
            tags=upload.tags,
            encryption=upload.encryption,
            acl=upload.acl,
            ecs=upload.ecs,
            lock=upload.lock,
        ),
        condition=condition_of(context),
    )
    done = written(await context.committer.commit(mutation))
    return _answer(context, done, upload.tags, protection.headers)


async def _repeat(
    context: Context, listed: Sequence[CompletedPart]
) -> tuple[Written, dict[str, str], tuple[Header, ...]]:
    """The result of a completion that was answered before, perhaps to nobody, the object's tags,
    and the headers that tell with what it is encrypted.

    Its object must still be the current one: its parts say what the finished upload was made of,
    and the committer whether it was this upload. NoSuchUpload otherwise.
    """
    found = context.reader.current(context.bucket, context.key)
    if found is None or found.manifest is None or found.parts_count != len(listed):
        raise no_such_upload(context)
    rows = context.reader.manifest_parts(found.manifest.id, 1, MAX_PART_NUMBER)
    if [(row.number, row.etag) for row in rows] != [(part.number, part.etag) for part in listed]:
        raise no_such_upload(context)
    mutation = CompleteUpload(
        upload_id=upload_id(context.head),
        chosen=tuple(ChosenPart(row.number, row.blob.id) for row in rows),
        index=found.manifest.parts,
        facts=ObjectFacts(etag=found.etag, owner_id=found.owner_id),
    )
    done = written(await context.committer.commit(mutation))
    return done, found.tags, told_of(context, found.encryption)


def _answer(
    context: Context, done: Written, tags: dict[str, str], encrypted: tuple[Header, ...]
) -> Response:
    bucket, key = context.bucket.name, context.key
    body = render_completed(
        f"{context.bucket_url}/{quote_from_bytes(key, safe='/')}",
        bucket,
        key,
        "00" if context.ecs else done.etag,
        versions.checksum_values(done.checksum),
        None if done.checksum is None else done.checksum.type,
    )
    told = (
        *encrypted,
        *versions.version_header(context.bucket, done.version_id),
        *lifecycle.expiration(context, tags, done.size, done.modified_ms),
    )
    return xml(body, *told)


def _choose(context: Context, upload: Upload, listed: Sequence[CompletedPart]) -> list[Part]:
    """The parts that the client lists. Raises InvalidPartOrder, InvalidPart, EntityTooSmall."""
    shown = show_upload_id(upload.id)
    last = 0
    for one in listed:
        if one.number <= last:
            raise S3Error("InvalidPartOrder", UploadId=shown)
        last = one.number
    stands = {
        part.number: part
        for part in context.reader.parts(upload.id, after=0, limit=MAX_PART_NUMBER)
    }
    chosen = []
    for one in listed:
        part = stands.get(one.number)
        if part is None or part.etag != one.etag or not _same_checksum(upload, part, one):
            raise S3Error("InvalidPart", UploadId=shown, PartNumber=str(one.number), ETag=one.etag)
        chosen.append(part)
    least = context.limits.least_part_bytes
    for part in chosen[:-1]:
        if part.size < least:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.size),
                MinSizeAllowed=str(least),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return chosen


def _same_checksum(upload: Upload, part: Part, listed: CompletedPart) -> bool:
    """Whether the checksums that the client lists are the part's.

    Raises InvalidRequest for a composite upload whose list leaves one out.
    """
    if upload.checksum_type == ChecksumType.COMPOSITE and not listed.checksums:
        algorithm = (upload.checksum_algorithm or "").lower()
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using a {algorithm} checksum. The complete request must "
            f"include the checksum for each part. It was missing for part {listed.number} in the "
            "request.",
        )
    if upload.checksum_algorithm is None or part.checksum is None:
        return True
    return all(
        (algorithm, value) == (part.checksum.algorithm, part.checksum.value)
        for algorithm, value in listed.checksums.items()
    )


def _etag(parts: Sequence[Part]) -> str:
    """MD5 of the parts' MD5s, and how many they are."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _checksum(upload: Upload, parts: Sequence[Part], stated: Declared) -> Checksum:
    """The object's checksum from its parts', held against what the request says it must be."""
    algorithm = algorithm_of(upload)
    asked = None if upload.checksum_type is None else ChecksumType(upload.checksum_type)
    kind = multipart_type(algorithm, asked)
    if stated.checksum_type not in (None, kind):
        raise S3Error(
            "BadDigest",
            f"The checksum type {kind.value} of the upload is not the one you specified.",
        )
    if stated.algorithm not in (None, algorithm):
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {kind.value} checksum mode of "
            f"{algorithm.value}. The complete request must use the same checksum mode.",
        )
    value = _combined(algorithm, kind, parts)
    digest, _, count = value.partition("-")
    if stated.expected is not None and (
        b64decode(digest) != stated.expected or stated.parts not in (None, int(count or 0))
    ):
        raise S3Error(
            "BadDigest",
            f"The {algorithm.value} you specified did not match the calculated checksum.",
        )
    return Checksum(algorithm.value, value, kind.value)


def _combined(algorithm: Algorithm, kind: ChecksumType, parts: Sequence[Part]) -> str:
    digests = [
        (b64decode(part.checksum.value), part.size) for part in parts if part.checksum is not None
    ]
    assert len(digests) == len(parts), "every part keeps the checksum of its upload"
    if kind is ChecksumType.COMPOSITE:
        return composite(algorithm, [digest for digest, _ in digests])
    return b64encode(combine_full(algorithm, digests)).decode()
