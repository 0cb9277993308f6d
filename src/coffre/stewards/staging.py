"""Blobs that a steward writes into chunks of its own: written and named by one commit, or nothing
of them is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from coffre.catalog.interface import Committer, CommitUnknown, Reader
from coffre.catalog.mutations import CloseChunk, Mutation, Refusal
from coffre.vault.interface import BlobWriter, Staged
from coffre.vault.records import Blob, ChunkKind, ChunkState


async def commit_written(
    committer: Committer,
    writer: BlobWriter,
    writing: Awaitable[Staged],
    committed: Callable[[Blob], Mutation],
    renew: Callable[[], None],
) -> None:
    """Write a blob and commit what names it, or leave nothing of it. `renew` begins new chunks: a
    committer that started anew has closed those of this process."""
    try:
        staged = await writing
        await committer.commit(committed(staged.blob), staged.body)
    except CommitUnknown:
        raise
    except BaseException as error:
        await writer.abandon()
        if isinstance(error, Refusal):
            renew()
        raise


async def close_left(
    reader: Reader, committer: Committer, prefixes: tuple[str, ...], owners: Collection[str]
) -> None:
    """Close striped chunks that processes before this one left open: those whose owners begin with
    one of the prefixes and are not this one's `owners`."""
    for chunk in reader.unsealed_chunks():
        left = chunk.owner.startswith(prefixes) and chunk.owner not in owners
        if left and chunk.kind is ChunkKind.STRIPED and chunk.state is ChunkState.OPEN:
            await committer.commit(CloseChunk(chunk.id))
