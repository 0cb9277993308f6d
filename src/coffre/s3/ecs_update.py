"""Writing into an object: `PUT` with `Range: bytes=10-14`, `bytes=10-` or `bytes=-1-` (append).

What is written becomes a blob of its own; the object is from then on pieces of it and of what it
was, so a write costs what it brings, whatever the object's size. It is atomic: where somebody else
wrote in between, the pieces are worked out again on what stands then. Pieces that became many and
small are joined afterwards, each byte a logarithmic number of times (`ecs_joining`).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from coffre.catalog.ecs_mutations import Composition
from coffre.catalog.mutations import ObjectFacts, PutVersion, Refusal, Written
from coffre.catalog.records import Checksum, EcsFacts, Piece, Version
from coffre.s3 import archive, ecs_joining, locks, object_write, versions
from coffre.s3.content import Taken, commit, incoming, new_blob, take_body, too_large
from coffre.s3.context import Context
from coffre.s3.ecs_pieces import MOST_PIECES, cut, pieces_of
from coffre.s3.encryption import open_protected
from coffre.s3.object_write import condition_of, headers_of, written
from coffre.s3.parameters import byte_range
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.checksums import Algorithm, combine_full, declared
from coffre.wire.ecs_ranges import PutRange, put_range
from coffre.wire.errors import S3Error

_TRIES = 64
_FULL = frozenset({Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME})


async def put_object(context: Context) -> Response:
    """PutObject, which in stores of the `ecs` dialect may write into an object."""
    if context.ecs and byte_range(context.head) is not None:
        return await update_object(context)
    return await object_write.put_object(context)


async def update_object(context: Context) -> Response:
    """204, where the write began and how long the object was. Raises NoSuchKey, InvalidRange for a
    write that would leave a hole, InvalidArgument, ObjectUnderRetention, and as PutObject."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    wanted = put_range(byte_range(head) or "")
    limit = context.limits.put_bytes
    decoder, stated = incoming(context, limit), declared(head)
    if wanted.length is not None and decoder.expected not in (None, wanted.length):
        raise _other_length(wanted.length)
    locks.of_new_object(context, stated)
    version = versions.find(context, bucket, context.key, None)
    archive.check_not_archived(version)
    protection = await open_protected(context, version.encryption)
    async with new_blob(context, decoder.expected, protection.data_key) as writer:
        taken = await take_body(context, writer, decoder, stated, limit)
        size = taken.staged.blob.size
        if wanted.length not in (None, size):
            raise _other_length(wanted.length or 0)
        start, before = _start(wanted, version), version.size
        if not size:
            await writer.abandon()
            done = Written(version.version_id, version.modified_ms, version.etag, before)
        else:
            version, start, done = await _compose(context, version, wanted, taken)
            before = version.size
    if size:
        await ecs_joining.join_pieces(context, protection.data_key)
    told = headers_of(bucket, done, protection.headers)
    told.append((b"x-emc-previous-object-size", b"%d" % before))
    if wanted.start is None:
        told.append((b"x-emc-append-offset", b"%d" % start))
    return Response(204, told)


async def _compose(
    context: Context, version: Version, wanted: PutRange, taken: Taken
) -> tuple[Version, int, Written]:
    """The version that was written to, where, and what came of it."""
    for _ in range(_TRIES):
        start = _start(wanted, version)
        mutation = _mutation(context, version, start, taken)
        try:
            return version, start, written(await commit(context, taken, mutation))
        except Refusal as refusal:
            if refusal.code != "OperationAborted":
                raise
        before, version = version, versions.find(context, context.bucket, context.key, None)
        archive.check_not_archived(version)
        if version.encryption != before.encryption:
            # What was taken in opens with the key that the object had.
            break
    raise S3Error("OperationAborted")


def _mutation(context: Context, version: Version, start: int, taken: Taken) -> PutVersion:
    manifest, blob = versions.manifest(version), taken.staged.blob
    blob_manifest, composed = context.new_id(), context.new_id()
    end = start + blob.size
    old = pieces_of(manifest)
    pieces = (
        *cut(old, 0, start),
        Piece(blob_manifest, 0, blob.size),
        *cut(old, end, max(end, version.size)),
    )
    size = max(end, version.size)
    if size > context.limits.object_bytes:
        raise too_large(size, context.limits.object_bytes)
    if len(pieces) > MOST_PIECES:
        raise S3Error("InvalidRequest", "The object is in too many pieces; write it anew")
    facts = version.ecs or EcsFacts()
    created_ms = facts.created_ms or version.modified_ms
    return PutVersion(
        bucket_id=context.bucket.id,
        key=context.key,
        manifest_id=blob_manifest,
        blob=blob,
        facts=ObjectFacts(
            etag=_etag(composed, len(pieces)),
            owner_id=version.owner_id,
            metadata=version.metadata,
            storage_class=version.storage_class,
            checksum=_checksum(version, start, taken),
            tags=version.tags,
            acl=version.acl,
            encryption=version.encryption,
            ecs=EcsFacts(created_ms, facts.retention_s, facts.retention_policy),
            lock=locks.of_new_object(context),
        ),
        condition=condition_of(context),
        composition=Composition(composed, pieces, version.order, manifest.id),
    )


def _start(wanted: PutRange, version: Version) -> int:
    start = version.size if wanted.start is None else wanted.start
    if start > version.size:
        raise S3Error(
            "InvalidRange",
            RangeRequested=f"bytes={start}-",
            ActualObjectSize=str(version.size),
        )
    return start


def _etag(composed: bytes, pieces: int) -> str:
    """One that no client takes for an MD5."""
    return f"{hashlib.md5(composed, usedforsecurity=False).hexdigest()}-{pieces}"


def _checksum(version: Version, start: int, taken: Taken) -> Checksum | None:
    """Of an object that only grew, from the checksums of both; None where nothing tells it."""
    before, added = version.checksum, taken.checksum
    if before is None or start != version.size or before.algorithm != added.algorithm:
        return None
    algorithm = Algorithm(before.algorithm)
    if algorithm not in _FULL or before.type != "FULL_OBJECT":
        return None
    blob = taken.staged.blob
    parts = [(b64decode(before.value), version.size), (b64decode(added.value), blob.size)]
    return Checksum(before.algorithm, b64encode(combine_full(algorithm, parts)).decode())


def _other_length(length: int) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"The range is {length} bytes long, the body is not",
        ArgumentName="Range",
    )
