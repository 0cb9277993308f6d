"""An object's bytes: streamed out of its blobs, streamed into a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from coffre.catalog.interface import CommitUnknown
from coffre.catalog.mutations import Mutation, Result
from coffre.catalog.records import Checksum, Manifest
from coffre.s3.context import Context
from coffre.s3.ecs_pieces import placed
from coffre.system.buffer import Buffer
from coffre.vault.interface import BlobWriter, Staged
from coffre.vault.keys import WrongKey
from coffre.wire.checksums import Algorithm, Declared, Running, check
from coffre.wire.errors import S3Error
from coffre.wire.payload import BodyDecoder

# Parts whose rows are read at a time: bounded, whatever the range.
_PARTS_AT_ONCE = 64
DEFAULT_ALGORITHM = Algorithm.CRC64NVME


class Replaced(S3Error):
    """The object was replaced or deleted since it was looked at: what it was made of is gone."""

    def __init__(self) -> None:
        super().__init__("ServiceUnavailable", "The object was replaced meanwhile. Try again.")


class Taken(Struct, frozen=True):
    """A body that was taken in and agrees with all that was declared of it."""

    staged: Staged
    md5: bytes
    checksum: Checksum

    @property
    def etag(self) -> str:
        return self.md5.hex()


def read_content(
    context: Context, manifest: Manifest, start: int, end: int, data_key: bytes | None = None
) -> AsyncIterator[Buffer]:
    """Bytes start..end (end exclusive) of an object, in pieces; with the store's key, unless
    another `data_key` is given. Raises Replaced."""
    blob = manifest.blob
    if blob is not None:
        return context.vault.read(blob, data_key or context.data_key(blob.key_id), start, end)
    read = _read_pieces if manifest.pieces else _read_parts
    return read(context, manifest, start, end, data_key)


async def whole_content(
    context: Context, manifest: Manifest, start: int, end: int, data_key: bytes | None
) -> Buffer:
    """Few bytes start..end of an object, at once. Raises Replaced."""
    blob = manifest.blob
    if blob is not None:
        key = data_key or context.data_key(blob.key_id)
        return await context.vault.read_whole(blob, key, start, end)
    return b"".join([some async for some in read_content(context, manifest, start, end, data_key)])


async def begun(pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """The same pieces, the first of them read already: its failure comes before the answer."""
    first = await anext(pieces)

    async def all_of_them() -> AsyncIterator[Buffer]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


async def _read_pieces(
    context: Context, manifest: Manifest, start: int, end: int, data_key: bytes | None
) -> AsyncIterator[Buffer]:
    for piece, _ in placed(manifest.pieces, start, end):
        source = context.reader.manifest(piece.manifest_id)
        if source is None:
            raise Replaced
        last = piece.start + piece.size
        async for some in read_content(context, source, piece.start, last, data_key):
            yield some


async def _read_parts(
    context: Context, manifest: Manifest, start: int, end: int, data_key: bytes | None
) -> AsyncIterator[Buffer]:
    at = 0
    wanted: list[tuple[int, int, int]] = []  # number, first and last byte within the part
    for part in manifest.parts:
        if at < end and at + part.size > start:
            wanted.append((part.number, max(start - at, 0), min(end - at, part.size)))
        at += part.size
    for index in range(0, len(wanted), _PARTS_AT_ONCE):
        some = wanted[index : index + _PARTS_AT_ONCE]
        rows = context.reader.manifest_parts(manifest.id, some[0][0], some[-1][0])
        blobs = {row.number: row.blob for row in rows}
        for number, low, high in some:
            blob = blobs.get(number)
            if blob is None:
                raise Replaced
            key = data_key or context.data_key(blob.key_id)
            try:
                async for piece in context.vault.read(blob, key, low, high):
                    yield piece
            except WrongKey as error:
                if data_key is not None:
                    raise
                # The object was put under a key of the key service meanwhile.
                raise Replaced from error


class new_blob:  # noqa: N801  (a context manager, used like a function)
    """A writer in the store's key, or in `data_key`. What it wrote is abandoned if the block fails,
    but not when it is unknown whether the commit took place: nobody told, or nobody waited."""

    __slots__ = ("_writer",)

    def __init__(self, context: Context, size: int | None, data_key: bytes | None) -> None:
        key_id = context.store.key_id
        key = data_key or context.data_key(key_id)
        self._writer = context.vault.writer(key_id, key, size_hint=size)

    async def __aenter__(self) -> BlobWriter:
        return self._writer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        unknown = isinstance(error, CommitUnknown) or (
            isinstance(error, asyncio.CancelledError) and self._writer.finished
        )
        if error is not None and not unknown:
            await self._writer.abandon()


def incoming(context: Context, limit: int) -> BodyDecoder:
    """The decoder for a body of at most `limit` bytes. Raises EntityTooLarge when its length says
    that it is larger, MissingContentLength when nothing says its length.

    In the `ecs` dialect a body in HTTP's own chunks needs no length, and a length that is missing,
    blank or no number is InvalidContentLength.
    """
    decoder = _ecs_decoder(context) if context.ecs else context.body.decoder()
    if decoder.expected is not None and decoder.expected > limit:
        raise too_large(decoder.expected, limit)
    return decoder


def _ecs_decoder(context: Context) -> BodyDecoder:
    head = context.head
    if b"content-length" not in head.by_name and b"transfer-encoding" not in head.by_name:
        raise S3Error("InvalidContentLength")
    try:
        return context.body.decoder(require_length=False)
    except S3Error as error:
        about = error.fields.get("ArgumentName", "")
        if error.code == "MissingContentLength" or about.endswith("content-length"):
            raise S3Error("InvalidContentLength") from error
        raise


async def take_body(
    context: Context,
    writer: BlobWriter,
    decoder: BodyDecoder,
    stated: Declared,
    limit: int,
    *,
    algorithm: Algorithm | None = None,
) -> Taken:
    """Stream the request's body into a blob, checking it on the way.

    `algorithm` is the checksum to keep (the declared one, or CRC64NVME, when None). Raises
    EntityTooLarge over `limit` bytes, and all that a body can be wrong in.
    """
    kept = algorithm or stated.algorithm or DEFAULT_ALGORITHM
    running = Running(kept)
    other = None
    if stated.algorithm not in (None, kept):
        other = Running(stated.algorithm, md5=stated.content_md5 is not None)
    size = 0

    async def take(piece: bytes | memoryview) -> None:
        nonlocal size
        size += len(piece)
        if size > limit:
            raise too_large(size, limit)
        running.update(piece)
        if other is not None:
            other.update(piece)
        await writer.write(piece)

    await context.body.feed(decoder, take)
    check(stated, other or running, decoder.finish())
    staged = await writer.finish()
    return Taken(staged, running.md5_digest, Checksum(kept.value, running.value_b64()))


async def copy_bytes(
    context: Context,
    writer: BlobWriter,
    manifest: Manifest,
    start: int,
    end: int,
    algorithm: Algorithm,
    data_key: bytes | None,
) -> Taken:
    """Copy bytes start..end of an object, which `data_key` opens, into a new blob."""
    running = Running(algorithm)
    async for piece in read_content(context, manifest, start, end, data_key):
        running.update(piece)
        await writer.write(piece)
    staged = await writer.finish()
    return Taken(staged, running.md5_digest, Checksum(algorithm.value, running.value_b64()))


async def checksum_of(context: Context, manifest: Manifest, algorithm: Algorithm) -> Checksum:
    """A checksum over a whole object that is kept without it."""
    running = Running(algorithm, md5=False)
    async for piece in read_content(context, manifest, 0, manifest.size):
        running.update(piece)
    return Checksum(algorithm.value, running.value_b64())


async def commit(context: Context, taken: Taken, mutation: Mutation) -> Result:
    return await context.committer.commit(mutation, taken.staged.body)


def too_large(size: int, limit: int) -> S3Error:
    return S3Error("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(limit))


def too_small(size: int, least: int) -> S3Error:
    return S3Error("EntityTooSmall", ProposedSize=str(size), MinSizeAllowed=str(least))
