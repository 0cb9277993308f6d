"""The emptier: buckets whose owner asked to empty and delete them, and search indexes that nobody
asks any more, a few rows at a time."""

from __future__ import annotations

from coffre.catalog.ecs_mutations import EmptyBucket, RemoveSearch
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import Reaped
from coffre.catalog.records import Trait
from coffre.stewards.shape import Round, Steward

# How often it looks for such a bucket.
ROUND_S = 1.0
# Groups of rows in a round: others write in between.
_GROUPS = 32


class Emptier(Steward):
    """Empties buckets, and removes search indexes."""

    name = "emptier"

    def __init__(self, reader: Reader, committer: Committer) -> None:
        self._reader = reader
        self._committer = committer

    async def round(self) -> Round:
        """Some rows of one bucket after the other."""
        rows = groups = 0
        for bucket in self._reader.buckets_at_work(_GROUPS):
            emptying = bucket.traits & Trait.EMPTYING
            step = EmptyBucket(bucket.id) if emptying else RemoveSearch(bucket.id)
            more = True
            while more and groups < _GROUPS:
                done = await self._committer.commit(step)
                assert isinstance(done, Reaped), "the committer answers with its count"
                rows, more, groups = rows + done.rows, done.more, groups + 1
        result = f"removed {rows} rows" if rows else ""
        again = 0.0 if groups == _GROUPS else ROUND_S
        return Round(did=rows, unit="rows", result=result, again=again)
