"""Joins small pieces of an object that was written to, so that reading it stays cheap."""

from __future__ import annotations

from typing import Final

from coffre.catalog.ecs_mutations import Composition
from coffre.catalog.mutations import ObjectFacts, PutVersion, Refusal
from coffre.catalog.records import Piece
from coffre.s3 import versions
from coffre.s3.content import commit, copy_bytes, new_blob
from coffre.s3.context import Context
from coffre.s3.ecs_pieces import run_to_join
from coffre.s3.settings import MIB
from coffre.wire.checksums import Algorithm

# So few pieces cost a reader nothing worth a copy.
_FEW: Final = 8
_MOST_BYTES: Final = 64 * MIB
# Somebody else wrote, or the version is locked already: it stays in its pieces.
_STAYS: Final = frozenset({"OperationAborted", "AccessDenied", "ObjectUnderRetention"})


async def join_pieces(context: Context, data_key: bytes | None) -> None:
    """Join one run of the current version's pieces, where it has many; `data_key` opens them if the
    store's does not. The version stays as it is. Somebody who writes meanwhile wins."""
    version = context.reader.current(context.bucket, context.key)
    if version is None or version.manifest is None or len(version.manifest.pieces) <= _FEW:
        return
    manifest = version.manifest
    run = run_to_join(manifest.pieces, _MOST_BYTES)
    if run is None:
        return
    first, last = run
    start = sum(piece.size for piece in manifest.pieces[:first])
    size = sum(piece.size for piece in manifest.pieces[first:last])
    async with new_blob(context, size, data_key) as writer:
        joined = context.new_id()
        taken = await copy_bytes(
            context, writer, manifest, start, start + size, Algorithm.CRC64NVME, data_key
        )
        pieces = (*manifest.pieces[:first], Piece(joined, 0, size), *manifest.pieces[last:])
        mutation = PutVersion(
            bucket_id=context.bucket.id,
            key=context.key,
            manifest_id=joined,
            blob=taken.staged.blob,
            facts=ObjectFacts(etag=version.etag, owner_id=version.owner_id),
            composition=Composition(
                context.new_id(), pieces, version.order, versions.manifest(version).id, amends=True
            ),
        )
        try:
            await commit(context, taken, mutation)
        except Refusal as refusal:
            if refusal.code not in _STAYS:
                raise
            await writer.abandon()
