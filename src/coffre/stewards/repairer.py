"""The repairer: what is not held where it must be is made anew elsewhere, then counted again.

It looks at all rows when drives change, when damage is found and every few seconds; rebuilds
several segments at a time, the most endangered chunks first; and calls itself done only after a
recount: a pass over every row with a look at every member's file that found nothing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import CountDead, Refusal, ReplaceMember
from coffre.stewards.damage import Damage, Place
from coffre.stewards.pace import Pace
from coffre.stewards.shape import Round, Steward
from coffre.stewards.survey import Job, Survey, survey
from coffre.system.clock import Clock
from coffre.system.starved import Starved
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.inspection import file_of, is_there, missing_segments
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.rebuild import SegmentRebuild, TargetFailed, choose_target, remove_segment
from coffre.vault.records import Chunk, ChunkState, Extent
from coffre.vault.segments import find_sealed, sealed_at_once

log = logging.getLogger("coffre.repairer")

AT_ONCE = 4
ROUND_S = 0.5
# How often rows are looked at although nothing is known to have changed, and how long what found
# no place, or too little to be made from, is left alone.
LOOK_S = 5.0
# Looks at all rows take this part of the time at most, however many rows there are.
LOOK_SHARE = 0.05
STUCK_S = 60.0
_PROGRESS = "repair"
_FULL = (errno.ENOSPC, errno.EDQUOT)
T = TypeVar("T")


class Progress(Protocol):
    """Where a steward's own progress outlives a restart."""

    def progress(self, name: str) -> bytes | None: ...

    def set_progress(self, name: str, value: bytes) -> None: ...


class Recount(Struct, frozen=True):
    """The last recount: when it ended, how many chunks it looked at, whether it found nothing."""

    at_ms: int = 0
    chunks: int = 0
    clean: bool = False


class Stuck(Struct, frozen=True):
    """A job that cannot be done now: `no place`, or why what is left does not suffice."""

    job: Job
    reason: str


NO_PLACE = "no place"
Report = Callable[[bytes, str], Awaitable[None]]


class Repairer(Steward):
    """Rebuilds segments; one object a zone.

    `snapshot` reads all rows (in a thread's time); `seal_now` closes and seals what is open;
    `report` tells the committer of a drive that fails.
    """

    name = "repairer"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        drives: DriveSet,
        damage: Damage,
        pace: Pace,
        clock: Clock,
        progress: Progress,
        *,
        snapshot: Callable[[], Awaitable[list[Chunk]]],
        seal_now: Callable[[], Awaitable[int]],
        report: Report,
        pool: Executor | None = None,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._drives = drives
        self._damage = damage
        self._pace = pace
        self._clock = clock
        self._progress = progress
        self._snapshot = snapshot
        self._seal_now = seal_now
        self._report = report
        self._pool = pool
        self._states: tuple[tuple[bytes, DriveState, str], ...] = ()
        self._known: frozenset[Place] = frozenset()
        self._looked_at = float("-inf")
        self._look_every = LOOK_S
        self._look: Survey | None = None
        self._queue: list[Job] = []
        self.left_bytes = 0
        self._stuck: dict[tuple[bytes, int], Stuck] = {}
        self._stuck_since = 0.0
        self._worked = False
        self.asked = 0
        self.answered = 0
        kept = progress.progress(_PROGRESS)
        self.recounted = Recount() if kept is None else msgspec.json.decode(kept, type=Recount)

    @property
    def look(self) -> Survey | None:
        """The last look at all rows."""
        return self._look

    @property
    def stuck(self) -> list[Stuck]:
        return list(self._stuck.values())

    def hasten(self) -> None:
        """Look now, try what was stuck again, and recount; `answered` reaches `asked` after it."""
        self.asked += 1
        self._stuck.clear()
        self._looked_at = float("-inf")

    async def round(self) -> Round:
        """Rebuild a few segments, or look whether there are any, or recount."""
        await self._look_again()
        unsealed = await self._seal_exposed()
        batch = self._batch()
        if batch:
            moved = await self._repair_all(batch)
            self._worked |= moved > 0
            return self._round(len(batch), moved, 0.0)
        if unsealed is not None:
            raise unsealed  # A recount would only find it again.
        waiting = any(job.why == "checked" for job in self._queue)
        due = self._worked or self.asked > self.answered
        if due and not waiting and await self._recount():
            return self._round(0, 0, 0.0)
        return self._round(0, 0, ROUND_S)

    def _round(self, did: int, moved: int, again: float) -> Round:
        if self._stuck:
            result = f"{len(self._stuck)} segments wait: {next(iter(self._stuck.values())).reason}"
        elif self._queue:
            result = f"{len(self._queue)} segments to go"
        else:
            result = "all is held as it must be" if self.recounted.clean else ""
        return Round(did, self.left_bytes, "bytes", moved, result, again)

    async def _seal_exposed(self) -> Exception | None:
        """While it is mirrored, one drive more may be one too many: in segments it is safe. What
        cannot be sealed now must not keep the rest from being repaired."""
        if self._look is None or not self._look.exposed:
            return None
        try:
            await self._seal_now()
            await self._catch_up()
        except (DataLost, StorageFull, Refusal, OSError, Starved) as error:
            return error
        self._looked_at = float("-inf")
        return None

    async def current_rows(self) -> list[Chunk]:
        """All rows, once they have heard of what was sealed at once (`Sealer.seal_now`): they do
        with the next group, and on an idle node this is the one."""
        await self._catch_up()
        return await self._snapshot()

    async def _catch_up(self) -> None:
        chunks = await self._snapshot()
        if (waiting := await self._in_thread(self._waiting, chunks)) is not None:
            # It counts nothing.
            await self._committer.commit(CountDead((Extent(waiting.id, 0, 0),)))

    def _waiting(self, chunks: list[Chunk]) -> Chunk | None:
        """One that may be sealed by now; its row may say that it is open, too."""
        for chunk in chunks:
            if chunk.state is ChunkState.SEALING or sealed_at_once(self._drives, chunk) is not None:
                return chunk
        return None

    # Looking

    async def _look_again(self) -> None:
        drives = self._drives.all()
        states = tuple((d.id, d.state, d.intent) for d in drives)
        damage = frozenset(self._damage.places())
        now = self._clock.monotonic()
        if states != self._states or now - self._stuck_since > STUCK_S:
            self._stuck.clear()  # With a drive more or less there may be a place by now.
        unchanged = (states, damage) == (self._states, self._known)
        if unchanged and now - self._looked_at < self._look_every:
            return
        troubled = damage or any(d.state is not DriveState.PRESENT or d.intent for d in drives)
        chunks = await (self.current_rows() if troubled else self._snapshot())
        self._take_up(await self._in_thread(survey, chunks, self._drives, self._damage))
        took = self._clock.monotonic() - now
        self._look_every = max(LOOK_S, took / LOOK_SHARE)
        self._states, self._known, self._looked_at = states, damage, now
        self._forget_mended(chunks)

    def _take_up(self, look: Survey) -> None:
        self._look, self._queue = look, list(look.jobs)
        self.left_bytes = sum(job.size for job in look.jobs)

    def _forget_mended(self, chunks: list[Chunk]) -> None:
        """Drop damage that no row asks about any more."""
        rows = {chunk.id: chunk for chunk in chunks} if len(self._damage) else {}
        for place in self._damage.places():
            chunk = rows.get(place.chunk)
            named = chunk is not None and place.index < len(chunk.members)
            if chunk is None or not named or chunk.members[place.index] != place.drive:
                self._damage.mended(place)

    def _batch(self) -> list[Job]:
        """The next jobs, one a chunk: its other members depend on where this one goes."""
        batch: dict[bytes, Job] = {}
        passed: list[Job] = []
        ahead = iter(self._queue)
        for job in ahead:
            if job.chunk.id not in batch and self._can_start(job):
                batch[job.chunk.id] = job
                self.left_bytes -= job.size
                if len(batch) == AT_ONCE:
                    break
            else:
                passed.append(job)
        self._queue = [*passed, *ahead]
        return list(batch.values())

    def _can_start(self, job: Job) -> bool:
        """A drive that is being checked may hold it: that is sooner known than rebuilt."""
        return job.key not in self._stuck and (job.why != "checked" or job.spare <= 0)

    # Rebuilding

    async def _repair_all(self, batch: list[Job]) -> int:
        done = await asyncio.gather(*(self._repair(job) for job in batch), return_exceptions=True)
        moved = 0
        for job, outcome in zip(batch, done, strict=True):
            if isinstance(outcome, int):
                moved += outcome
            elif isinstance(outcome, DataLost | StorageFull):
                log.error("segment %d of chunk %s: %s", job.index, job.chunk.id.hex(), outcome)
                self._give_up(job, str(outcome))
            else:
                raise outcome
        return moved

    def _give_up(self, job: Job, reason: str) -> None:
        if not self._stuck:
            self._stuck_since = self._clock.monotonic()
        self._stuck[job.key] = Stuck(job, reason)
        self._queue.append(job)
        self.left_bytes += job.size

    async def _repair(self, job: Job) -> int:
        """Make one member anew; bytes written. Raises DataLost, what the committer raises."""
        chunk = self._reader.chunk(job.chunk.id)
        if chunk is None or chunk.state is not ChunkState.SEALED or not relaid(chunk):
            return 0
        member = chunk.members[job.index]
        if member != job.chunk.members[job.index]:
            return 0  # It was moved since the look.
        target = await self._in_thread(choose_target, self._drives, chunk, job.index)
        if target is None:
            self._give_up(job, NO_PLACE)
            return 0
        size = await self._rebuild(chunk, job.index, target)
        if size is None:
            self._looked_at = float("-inf")
            return 0
        if target.id != member:
            try:
                await self._committer.commit(ReplaceMember(chunk.id, job.index, member, target.id))
            except Refusal:
                # The chunk was collected meanwhile, or another repair was sooner.
                now = self._reader.chunk(chunk.id)
                if now is None or target.id not in now.members:
                    await self._remove(target, chunk.id, job.index)
                return size
            old = self._drives.member(member)
            if old is not None:
                await self._remove(old, chunk.id, job.index)
        self._damage.mended(Place(chunk.id, job.index, member))
        log.info("segment %d of chunk %s stands on %s", job.index, chunk.id.hex(), target.path)
        return size

    async def _rebuild(self, chunk: Chunk, index: int, target: Drive) -> int | None:
        """Write, verify and publish; None when the target failed."""
        rebuild: SegmentRebuild | None = None
        moved = 0
        try:
            rebuild = await self._in_thread(SegmentRebuild, self._drives, chunk, index, target)
            while size := await self._in_thread(rebuild.step):
                moved += size
                await self._pace.take(size)
            await self._in_thread(rebuild.finish)
        except TargetFailed as failed:
            if isinstance(failed.error, OSError) and failed.error.errno in _FULL:
                self._drives.fill(target.id)
            else:
                await self._report(target.id, f"repair: {failed.error}")
            if rebuild is not None:
                await self._in_thread(rebuild.discard)
            return None
        except Exception:
            if rebuild is not None:
                await self._in_thread(rebuild.discard)
            raise
        await self._tell_sources(chunk, rebuild)
        return moved

    async def _tell_sources(self, chunk: Chunk, rebuild: SegmentRebuild) -> None:
        for index, what in rebuild.bad.items():
            drive = self._drives.member(chunk.members[index])
            if drive is not None and is_there(self._drives.disk, drive):
                self._damage.add(chunk, index, drive, self.name, what)
        for drive_id, why in rebuild.failed.items():
            await self._report(drive_id, f"read: {why}")

    async def _remove(self, drive: Drive, chunk_id: bytes, index: int) -> None:
        try:
            await self._in_thread(remove_segment, self._drives.disk, drive, chunk_id, index)
        except OSError as error:
            log.warning("%s keeps a segment of chunk %s: %s", drive.path, chunk_id.hex(), error)

    # Recounting

    async def _recount(self) -> bool:
        """Look at every member's file, then at all rows once more. Ends a pass, unless there is
        something to do again (True)."""
        asked = self.asked
        chunks = await self.current_rows()
        found = 0
        for chunk in chunks:
            wrong = await self._in_thread(_wrong_files, self._drives, chunk)
            again = self._reader.chunk(chunk.id) if wrong else None
            if again is None or (again.state, again.members) != (chunk.state, chunk.members):
                continue  # It was sealed, moved or collected while we looked.
            for index, what in wrong.items():
                drive = self._drives.member(chunk.members[index])
                if drive is not None and is_there(self._drives.disk, drive):
                    self._damage.add(chunk, index, drive, "recount", what)
                    found += 1
        if found:
            return True
        look = await self._in_thread(survey, await self._snapshot(), self._drives, self._damage)
        self._take_up(look)
        if look.exposed or any(map(self._can_start, look.jobs)):
            return True
        clean = not look.below and not look.jobs
        self.recounted = Recount(self._clock.now_ms(), len(chunks), clean)
        self._progress.set_progress(_PROGRESS, msgspec.json.encode(self.recounted))
        self._worked = False
        self.answered = asked
        if clean:
            log.info("recounted: %d chunks are held as they must be", len(chunks))
        return False

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))


def _wrong_files(drives: DriveSet, chunk: Chunk) -> dict[int, str]:
    """Members of a chunk on present drives whose file is not there, or is another's."""
    if chunk.state is ChunkState.CONDEMNED:
        return {}
    if relaid(chunk):
        return missing_segments(drives, chunk)
    wrong = {
        index: "the file is missing"
        for index, member in enumerate(chunk.members)
        if (drive := drives.member(member)) is not None
        and not drives.disk.exists(file_of(drive, chunk, index))
    }
    # Mirrors go when a chunk is sealed; its row may not say so yet.
    return {} if wrong and find_sealed(drives, chunk.id) is not None else wrong
