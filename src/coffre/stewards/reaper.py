"""The reaper: rows that nothing refers to any more are freed, a few at a time, their bytes counted
dead; completions are forgotten when nobody will repeat them."""

from __future__ import annotations

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import ForgetCompletions, Mutation, Reaped, ReapOrphans
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock

# How long a repeated CompleteMultipartUpload is answered as the first was.
REMEMBERED_MS = 7 * 24 * 3600 * 1000
# How often it looks for rows that nothing refers to.
ROUND_S = 1.0


class Reaper(Steward):
    """Frees orphaned parts and old completions."""

    name = "reaper"

    def __init__(self, reader: Reader, committer: Committer, clock: Clock) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock

    async def round(self) -> Round:
        """Free everything that waits."""
        rows = 0
        if self._reader.has_orphans():
            rows += await self._until_done(ReapOrphans())
        before_ms = self._clock.now_ms() - REMEMBERED_MS
        if self._reader.has_completions(before_ms):
            rows += await self._until_done(ForgetCompletions(before_ms))
        result = f"freed {rows} rows" if rows else ""
        return Round(did=rows, unit="rows", result=result, again=ROUND_S)

    async def _until_done(self, step: Mutation) -> int:
        rows, more = 0, True
        while more:
            done = await self._committer.commit(step)
            assert isinstance(done, Reaped), "the committer answers a reaping with its count"
            rows, more = rows + done.rows, done.more
        return rows
