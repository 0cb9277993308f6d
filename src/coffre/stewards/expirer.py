"""The expirer: what is due by buckets' lifecycles goes, and versions are judged by rules that are
new. The committer decides both, by the release clock; nothing is asked for while nothing is due."""

from __future__ import annotations

import logging
from collections.abc import Callable

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.lifecycle_mutations import Expiration, Expired, ExpireDue, JudgeVersions
from coffre.catalog.mutations import Reaped, Refused
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock

# How often it looks for what is due.
ROUND_S = 5.0
# Few enough that clients' writes behind a step wait some milliseconds.
ROWS = 50
# Rows that are only judged cost less than those that go.
JUDGED_ROWS = 200
# While there is more to do, it rests for a third of the time that a step took, and for that long at
# least: clients' writes get their groups in between.
REST = 1 / 3
LEAST_REST_S = 0.02
_journal = logging.getLogger("coffre.lifecycle")


def write_down(done: Expiration) -> None:
    """One line of the log for each thing that a rule did, or would have done."""
    _journal.info(
        "%s %s%s key=%r version=%s bucket=%s rule=%r bytes=%d",
        "held:" if done.held else "done:",
        done.act,
        f" to {done.storage_class}" if done.storage_class else "",
        done.key.decode(errors="backslashreplace"),
        done.version_id.hex() or "null",
        done.bucket_id.hex(),
        done.rule_id,
        done.size,
    )


class Expirer(Steward):
    """Lets what is due expire. `told` hears of each thing that a rule did, after it is done."""

    name = "expirer"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        clock: Clock,
        told: Callable[[Expiration], None] = write_down,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock
        self._told = told
        self._singly = False

    async def round(self) -> Round:
        """One step of each kind, and a rest."""
        began = self._clock.monotonic()
        judged, more = await self._judge()
        gone, due = await self._expire()
        if not (more or due):
            result = f"expired {gone}" if gone else ""
            return Round(did=gone + judged, unit="versions", result=result, again=ROUND_S)
        took = self._clock.monotonic() - began
        result = f"expired {gone}, judged {judged} by new rules"
        again = max(LEAST_REST_S, took * REST)
        return Round(did=gone + judged, left=None, unit="versions", result=result, again=again)

    async def _judge(self) -> tuple[int, bool]:
        """Judge some versions of a bucket whose rules are new; (how many, are there more)."""
        waiting = self._reader.buckets_to_judge(2)
        if not waiting:
            return 0, False
        done = await self._committer.commit(JudgeVersions(waiting[0], JUDGED_ROWS))
        assert isinstance(done, Reaped), "the committer answers with its count"
        return done.rows, done.more or len(waiting) > 1

    async def _expire(self) -> tuple[int, bool]:
        """Let some of what is due go; (how many, may there be more)."""
        oldest_ms = self._reader.oldest_due_ms()
        if oldest_ms is None or oldest_ms > released_ms(self._reader, self._clock):
            return 0, False
        # Where a bucket notifies, a step ends with an event: then many small ones share a group.
        steps = [ExpireDue(1)] * ROWS if self._singly else [ExpireDue(ROWS)]
        rows = gone = 0
        more = False
        for done in await self._committer.commit_all(steps):
            if isinstance(done, Refused):
                raise done.error()
            assert isinstance(done, Expired), "the committer answers with what it did"
            for one in done.done:
                self._told(one)
            rows += done.rows
            gone += sum(not one.held for one in done.done)
            more = done.more
        self._singly = rows == ROWS if self._singly else more and rows < ROWS
        # What went may have left a marker alone, which is due too.
        return gone, rows > 0


def lag_s(reader: Reader, clock: Clock) -> float:
    """How long what has been due the longest has been, in seconds."""
    oldest_ms = reader.oldest_due_ms()
    return 0.0 if oldest_ms is None else max(0.0, (released_ms(reader, clock) - oldest_ms) / 1000)


def released_ms(reader: Reader, clock: Clock) -> int:
    """What the release clock says now."""
    noted = reader.release_clock()
    return clock.now_ms() if noted is None else noted.at(clock.boot()).trusted_ms


def behind_s(reader: Reader, clock: Clock) -> float:
    """By how much the release clock is behind the wall clock, in seconds; negative: ahead."""
    # Adding zero makes -0.0 a plain one.
    return round((clock.now_ms() - released_ms(reader, clock)) / 1000, 1) + 0.0
