"""UpdateObjectEncryption: an object that stands is put under a key of the key service.

No byte of it moves: the keys of its blobs, and of its annotations', are wrapped by a new data key
that the key service seals; where it has one already, that one is sealed anew. What a copy holds too
cannot be wrapped for one of them alone: then the object gets bytes of its own first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from coffre.catalog.annotation_mutations import OwnBytes, SetEncryption, WrappedBlob
from coffre.catalog.records import (
    Annotation,
    BlobName,
    Encryption,
    KmsEncryption,
    KmsKey,
    Manifest,
    Version,
)
from coffre.s3 import archive, parameters, versions
from coffre.s3.content import new_blob, read_content
from coffre.s3.context import Context
from coffre.s3.encryption import is_v4
from coffre.s3.object_annotations import all_annotations
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.vault.keys import unwrap_key, wrap_key
from coffre.vault.records import Blob
from coffre.wire.errors import S3Error
from coffre.wire.kms import account_of, full_context, parse_object_encryption

DOCUMENT_LIMIT: Final = 16 * 1024
# Parts whose rows are read at a time.
_PARTS_AT_ONCE: Final = 1000


async def update_object_encryption(context: Context) -> Response:
    """UpdateObjectEncryption."""
    head, bucket = context.head, context.bucket
    refuse_unbuilt(head)
    check_expected_owner(head, bucket)
    if not is_v4(context):
        raise S3Error(
            "InvalidRequest",
            "Requests that modify an object encryption configuration require AWS Signature "
            "Version 4.",
        )
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    arn, bucket_key = parse_object_encryption(body)
    wanted = parameters.version_id(head)
    version = versions.find(context, bucket, context.key, wanted)
    archive.check_not_archived(version)
    before = version.encryption
    if before is not None and before.kms is None:
        raise S3Error(
            "InvalidRequest",
            "The UpdateObjectEncryption operation doesn't support source objects with the "
            "encryption type SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are "
            "supported.",
        )
    key = await _key(context, arn)
    if before is None or before.kms is None:
        await _wrap(context, version, key, bucket_key=bucket_key)
    else:
        await _seal(context, version, before.kms, key, bucket_key=bucket_key)
    return Response(200)


async def _key(context: Context, arn: str) -> KmsKey:
    store = context.store
    if account_of(arn) != store.name:
        raise S3Error(
            "AccessDenied",
            "The AWS KMS key in the request must be owned by the same account as the bucket.",
        )
    return await context.services.keys.usable(store, arn)


async def _seal(
    context: Context, version: Version, kept: KmsEncryption, key: KmsKey, *, bucket_key: bool
) -> None:
    """The object's data key stays, another key seals it."""
    service, store = context.services.keys, context.store
    data_key = await service.open(store, kept)
    sealed = await service.seal(store, key, data_key, kept.context)
    after = KmsEncryption(key.id, sealed, kept.context, bucket_key)
    await _set(context, version, after)


async def _wrap(context: Context, version: Version, key: KmsKey, *, bucket_key: bool) -> None:
    """A new data key wraps the keys of all of the object's blobs, in place of the store's."""
    service, store = context.services.keys, context.store
    version = await _with_own_bytes(context, version)
    bound = full_context(None, context.bucket.name, context.key)
    data_key, sealed = await service.new_data_key(store, key, bound)
    wrapped = tuple(
        WrappedBlob(name, blob.id, wrap_key(data_key, _key_of(context, blob)))
        for name, blob in _blobs(context, version)
    )
    await _set(context, version, KmsEncryption(key.id, sealed, bound, bucket_key), wrapped)


async def _set(
    context: Context,
    version: Version,
    after: KmsEncryption,
    blobs: tuple[WrappedBlob, ...] = (),
) -> None:
    mutation = SetEncryption(
        context.bucket.id,
        context.key,
        version.version_id,
        version.order,
        version.encryption,
        Encryption(b"", b"", after),
        blobs,
    )
    await context.committer.commit(mutation)


def _key_of(context: Context, blob: Blob) -> bytes:
    return unwrap_key(context.data_key(blob.key_id), blob.wrapped_key)


def _blobs(context: Context, version: Version) -> Iterator[tuple[BlobName, Blob]]:
    """Every blob of a version and of its annotations."""
    manifest = versions.manifest(version)
    if manifest.blob is not None:
        yield BlobName(manifest.id, 0), manifest.blob
    else:
        numbers = [part.number for part in manifest.parts]
        for at in range(0, len(numbers), _PARTS_AT_ONCE):
            some = numbers[at : at + _PARTS_AT_ONCE]
            for part in context.reader.manifest_parts(manifest.id, some[0], some[-1]):
                yield BlobName(manifest.id, part.number), part.blob
    for one in all_annotations(context, context.bucket, version):
        yield BlobName(one.manifest_id, 0), one.blob


async def _with_own_bytes(context: Context, version: Version) -> Version:
    """The version, once no other holds its bytes or its annotations'."""
    bucket, manifest = context.bucket, versions.manifest(version)
    shared = context.reader.is_shared(manifest.id) or bool(manifest.pieces)
    if shared:
        await _copy_own(context, version, manifest, None)
    for one in all_annotations(context, bucket, version):
        if one.shared:
            await _copy_own(context, version, Manifest(one.manifest_id, one.size, one.blob), one)
    if not shared:
        return version
    found = context.reader.version(bucket, context.key, version.version_id)
    if found is None or found.order != version.order:
        raise S3Error("OperationAborted")
    return found


async def _copy_own(
    context: Context, version: Version, source: Manifest, about: Annotation | None
) -> None:
    async with new_blob(context, source.size, None) as writer:
        async for piece in read_content(context, source, 0, source.size):
            await writer.write(piece)
        staged = await writer.finish()
        mutation = OwnBytes(
            bucket_id=context.bucket.id,
            key=context.key,
            version_id=version.version_id,
            order=version.order,
            source_id=source.id,
            manifest_id=context.new_id(),
            blob=staged.blob,
            name=None if about is None else about.name,
        )
        await context.committer.commit(mutation, staged.body)
