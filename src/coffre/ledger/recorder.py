"""A process's way into the audit: what must stand before an answer, and what may follow it.

Records that may follow wait at most half a second, and as many as `most_bytes` allow: while the
committer takes none, requests are refused before they could leave one (`admit`), so none is lost
but by the end of this process. What a commit may or may not have taken is sent again: a record may
be there twice, never not at all. With `drop`, records that do not fit on the drives are counted
instead; the next that fits says how many are missing, and since when.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal

from msgspec import json

from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import AuditRecord, Source, encode_record
from coffre.catalog.interface import CommitterBusy, CommitUnknown, RecordingCommitter
from coffre.catalog.mutations import Refusal
from coffre.system.clock import Clock

log = logging.getLogger("coffre.audit")

EVERY_S: Final = 0.5
MOST_BYTES: Final = 8 * 1024 * 1024
# Of one mutation: few enough that a group with it stays small.
MOST_RECORDS: Final = 2048
GAP: Final = "audit.gap"
STARTED: Final = "process.start"
STOPPED: Final = "process.stop"
_FULL: Final = "InsufficientStorage"
WhenFull = Literal["refuse", "drop"]


class Recorder:
    """The audit of one process; `process` names it in records of its own."""

    def __init__(
        self,
        committer: RecordingCommitter,
        clock: Clock,
        process: str,
        *,
        when_full: WhenFull = "refuse",
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.committer = committer
        self._clock = clock
        self._process = process
        self._when_full = when_full
        self._most_bytes = most_bytes
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._dropped = 0
        self._dropped_since_ms = 0
        self._reads = 0
        self._complained = float("-inf")

    # What `coffre.s3.auditing.Audit` asks for.

    def admit(self) -> None:
        """Raises CommitterBusy while as many records wait as may."""
        if self._bytes >= self._most_bytes:
            raise CommitterBusy("too many records wait to be committed")

    def note(self, record: bytes) -> None:
        """A record that may follow the answer."""
        self._waiting.append(record)
        self._bytes += len(record)
        self._reads += 1
        if self._timer is None and self._sending is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._send)

    async def keep(self, records: Sequence[bytes]) -> None:
        """Return once the records are committed. Raises CommitterBusy, CommitUnknown, Refusal
        (InsufficientStorage where `refuse` is what is wanted then)."""
        try:
            await self._commit(tuple(records))
        except Refusal as refusal:
            if not self._drops(refusal, len(records)):
                self._complain(refusal)
                raise
        except (CommitUnknown, CommitterBusy) as away:
            self._complain(away)
            raise

    # A process's own.

    def started(self, follows: str = "") -> None:
        """This process serves from now on, in the place of `follows`: the first that is noted."""
        self.note(self._own(STARTED, follows=follows))

    async def stop(self) -> None:
        """Commit what waits and say that this process stopped: without that, records of its last
        half second may be missing. What cannot be committed is left, with a line in the log."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            await asyncio.wait((self._sending,))
        try:
            await self.flush()
            await self.keep((self._own(STOPPED, followed=self._reads),))
        except (CommitUnknown, CommitterBusy, Refusal) as error:
            log.error("%d records of the audit are lost: %s", len(self._waiting), error)

    def _own(self, operation: str, **said: object) -> bytes:
        return own_record(self._clock.now_ms(), self._process, operation, "process", **said)

    def _send(self) -> None:
        self._timer = None
        self._sending = asyncio.get_running_loop().create_task(self._try())
        self._sending.add_done_callback(self._sent)

    def _sent(self, _: asyncio.Task[None]) -> None:
        self._sending = None
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._send)

    async def _try(self) -> None:
        with suppress(CommitUnknown, CommitterBusy, Refusal):
            await self.flush()

    async def flush(self) -> None:
        """Commit what waits, some at a time; the rest still waits. Raises as `keep`."""
        async with self._turn:
            while self._waiting:
                some = tuple(self._waiting[:MOST_RECORDS])
                await self.keep(some)
                del self._waiting[: len(some)]
                self._bytes -= sum(map(len, some))

    async def _commit(self, records: tuple[bytes, ...]) -> None:
        dropped, since_ms = self._dropped, self._dropped_since_ms
        if dropped:
            gap = self._own(GAP, records=dropped, since_ms=since_ms)
            records = (gap, *records)
        await self.committer.commit(RecordAudit(records))
        self._dropped -= dropped

    def _complain(self, failure: Exception) -> None:
        """One line a second, however many records cannot be committed."""
        now = self._clock.monotonic()
        if now >= self._complained + 1:
            self._complained = now
            log.error("the audit cannot be written; what must stand in it is refused: %s", failure)

    def _drops(self, refusal: Refusal, count: int) -> bool:
        """Count what does not fit, where that is what is wanted."""
        if self._when_full != "drop" or refusal.code != _FULL:
            return False
        if not self._dropped:
            self._dropped_since_ms = self._clock.now_ms()
            log.error("the drives are full: records of the audit are dropped, and counted")
        self._dropped += count
        return True


def own_record(at_ms: int, process: str, operation: str, source: Source, **said: object) -> bytes:
    """The record of what a process did by itself; `said` is its detail."""
    detail = json.encode({name: value for name, value in said.items() if value != ""}).decode()
    return encode_record(
        AuditRecord(
            at_ms,
            source=source,
            via=process,
            principal=f"process:{process}",
            operation=operation,
            detail="" if detail == "{}" else detail,
        )
    )
