"""This process's open striped chunk: whole rows over k+m drives, synced before they count.

Concurrent appends share the chunk: each has its own position in every segment, writes go on side
by side, and one round of syncs serves all appends whose writes ended before it began. An append
returns when all k+m segments have synced, so that any m drives, and any rack, may go.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from weakref import WeakSet

from msgspec import structs

from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.system.starved import Starved
from coffre.vault.blocks import split_row, unit_for
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.erasure import encode
from coffre.vault.headers import ChunkHeader, Origin
from coffre.vault.interface import Reserve
from coffre.vault.records import (
    CHUNK_BYTES,
    GEOMETRIES,
    STRIPE_UNIT,
    Chunk,
    ChunkKind,
    ChunkState,
    Extent,
    Geometry,
)
from coffre.vault.segments import SegmentFile

T = TypeVar("T")
SYNC_DEADLINE = 2.0
# When more segments are late than may be lost, it is the machine that stalls, not the drives.
STALL_DEADLINE = 30.0
# How long a chunk that is full stays open after the last of its holders is gone.
LINGER = 60.0
# The same, of one that stands on a drive which takes nothing any more: it is to be repaired soon.
HURRIED_LINGER = 3.0
# Appends that are encoded and written at a time: one copies into the page cache while another is
# coded. With more the threads only fight for the interpreter (measured: 8 make 4 appends a third
# slower than 2 do).
_WRITING = 2
# What one append holds in memory at most, beside its coding units.
_PART_BYTES = 48 * STRIPE_UNIT


class _Broken(Exception):
    """A segment of the chunk failed or is late: its rows are to be written elsewhere."""


class _Rows(NamedTuple):
    """`rows` rows of one unit from `position` in every segment; `length` bytes of data."""

    position: int
    unit: int
    rows: int
    length: int


_journal = logging.getLogger(__name__)


@dataclass(eq=False)
class _OpenChunk:
    chunk: Chunk
    files: Sequence[SegmentFile]
    position: int = 0
    busy: int = 0
    broken: bool = False
    idle_sweeps: int = 0
    holders: WeakSet[object] = field(default_factory=WeakSet)
    # Rounds of syncs: the one that runs, and the one that waits for it.
    running: asyncio.Task[None] | None = None
    waiting: asyncio.Task[None] | None = None

    def take(self, length: int) -> list[_Rows]:
        """Positions for `length` bytes: full rows, then the smallest row that holds the rest."""
        k = self.chunk.k
        full, rest = divmod(length, k * STRIPE_UNIT)
        rows: list[_Rows] = []
        if full:
            rows.append(_Rows(self.position, STRIPE_UNIT, full, length - rest))
            self.position += full * STRIPE_UNIT
        if rest:
            rows.append(_Rows(self.position, unit_for(rest, k), 1, rest))
            self.position += rows[-1].unit
        return rows

    @property
    def full(self) -> bool:
        return self.position * self.chunk.k >= CHUNK_BYTES


def _seen(opening: asyncio.Task[None]) -> None:
    """Who waits for it hears why it failed; all who did may be gone."""
    if not opening.cancelled():
        opening.exception()


def _tell_failure(closing: asyncio.Task[None]) -> None:
    """What is not closed is tried again at the next sweep: worth a line, and no more."""
    error = None if closing.cancelled() else closing.exception()
    if error is not None:
        _journal.warning("striped chunks stay open for now: %s", error)


class StripedWriter:
    """Appends rows for one process, `owner`, in one `epoch`. All methods on one event loop.

    `reserve` makes the chunk known before its first byte; `close` says that no commit will refer
    to it any more. A drive that fails a write or sync, or is late, is marked failed.
    """

    def __init__(
        self,
        drives: DriveSet,
        reserve: Reserve,
        close: Callable[[bytes], Awaitable[None]],
        *,
        owner: str,
        epoch: int,
        origin: Origin,
        entropy: Entropy,
        clock: Clock,
        wanted: Geometry = GEOMETRIES[0],
        sync_deadline: float = SYNC_DEADLINE,
        stall_deadline: float = STALL_DEADLINE,
        linger: float = LINGER,
        pool: Executor | None = None,
    ) -> None:
        self._drives = drives
        self._reserve = reserve
        self._close = close
        self._owner = owner
        self._epoch = epoch
        self._origin = origin
        self._entropy = entropy
        self._clock = clock
        self._wanted = wanted
        self._sync_deadline = sync_deadline
        self._stall_deadline = stall_deadline
        self._linger = linger
        self._pool = pool or ThreadPoolExecutor(32, thread_name_prefix="write")
        self._writing = asyncio.Semaphore(_WRITING)
        self._current: _OpenChunk | None = None
        self._opening: asyncio.Task[None] | None = None
        self._retired: list[_OpenChunk] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def append(self, pieces: Sequence[Buffer], holder: object = None) -> tuple[Extent, ...]:
        """See `ChunkStore.append_rows`. Raises StorageFull, Starved, and what `reserve` raises."""
        data = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        extents: list[Extent] = []
        for at in range(0, len(data), _PART_BYTES):
            extents += await self._append(data[at : at + _PART_BYTES], holder)
        return tuple(extents)

    async def drain(self) -> None:
        """Close this process's chunks. Call when no append runs and no commit is to come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closing is not None:
            await asyncio.wait((self._closing,))
        if self._current is not None:
            self._retire(self._current)
        await self._close_all(list(self._retired))

    def renew(self) -> None:
        """Go on in a new chunk: laid as drives and settings are now."""
        if self._current is not None:
            self._retire(self._current)

    def heed(self) -> None:
        """Drives changed: what stands on one that takes nothing any more (it is gone, or is to be
        emptied) gets no more rows, and is closed soon, so that it can be repaired or moved. What
        was laid narrower than a new chunk would be now is left for one."""
        current = self._current
        if current is not None and (self._is_hurried(current) or self._is_narrow(current)):
            self._retire(current)
        if self._timer is not None and any(map(self._is_hurried, self._retired)):
            self._timer.cancel()
            self._timer = self._next_sweep()

    def _is_narrow(self, open_chunk: _OpenChunk) -> bool:
        possible = self._drives.possible(self._wanted)
        return possible is not None and possible.width > open_chunk.chunk.geometry.width

    def _is_hurried(self, open_chunk: _OpenChunk) -> bool:
        return not self._drives.take(open_chunk.chunk.members)

    async def _append(self, data: memoryview, holder: object) -> list[Extent]:
        """Rows in one chunk. Every turn of the loop after the first has a drive less."""
        while True:
            open_chunk = await self._open_chunk()
            rows = open_chunk.take(len(data))
            if open_chunk.full:
                self._retire(open_chunk)
            if holder is not None:
                open_chunk.holders.add(holder)
            open_chunk.busy += 1
            try:
                async with self._writing:
                    await self._write(open_chunk, rows, data)
                await asyncio.shield(self._next_round(open_chunk))
            except _Broken:
                continue
            finally:
                open_chunk.busy -= 1
            chunk = open_chunk.chunk.id
            return [Extent(chunk, row.position, row.length, row.unit) for row in rows]

    # Opening and closing

    async def _open_chunk(self) -> _OpenChunk:
        if self._current is not None and not self._drives.take(self._current.chunk.members):
            self._retire(self._current)
        while self._current is None:
            # A task of its own: an upload that goes away must not leave a chunk half open.
            if self._opening is None:
                self._opening = asyncio.create_task(self._open_next())
                self._opening.add_done_callback(_seen)
            await asyncio.shield(self._opening)
        return self._current

    async def _open_next(self) -> None:
        try:
            while self._current is None:
                self._current = await self._try_to_open()
        finally:
            self._opening = None

    async def _try_to_open(self) -> _OpenChunk | None:
        """A new chunk with its segment files; None when a drive failed meanwhile."""
        loop = asyncio.get_running_loop()
        geometry, drives = await loop.run_in_executor(
            self._pool, self._drives.choose_segments, self._wanted
        )
        now_ms = self._clock.now_ms()
        chunk = Chunk(
            id=new_id(self._entropy, self._origin.zone_number, now_ms),
            kind=ChunkKind.STRIPED,
            state=ChunkState.OPEN,
            owner=self._owner,
            epoch=self._epoch,
            k=geometry.k,
            m=geometry.m,
            members=tuple(drive.id for drive in drives),
            created_ms=now_ms,
        )
        await self._reserve(chunk)
        header = self._header(chunk)
        made = {
            loop.run_in_executor(self._pool, self._create, drive, header, index): drive
            for index, drive in enumerate(drives)
        }
        try:
            failed = await self._outcome(made, geometry.m)
        except Starved:
            await self._close(chunk.id)
            raise
        if not failed:
            return _OpenChunk(chunk, [future.result() for future in made])
        self._fail(failed)
        await self._close(chunk.id)
        return None

    def _create(self, drive: Drive, header: ChunkHeader, index: int) -> SegmentFile:
        own = structs.replace(header, index=index)
        return SegmentFile(self._drives.disk, drive, own, temporary=False)

    def _header(self, chunk: Chunk) -> ChunkHeader:
        return ChunkHeader(
            region=self._origin.region,
            zone=self._origin.zone,
            chunk=chunk.id,
            kind=chunk.kind,
            role="segment",
            index=0,
            k=chunk.k,
            m=chunk.m,
            members=chunk.members,
            epoch=chunk.epoch,
            key_id=self._origin.key_id,
        )

    def _retire(self, open_chunk: _OpenChunk) -> None:
        """No more appends; to be closed once nothing can refer to it any more."""
        if open_chunk in self._retired:
            return
        if self._current is open_chunk:
            self._current = None
        self._retired.append(open_chunk)
        if self._timer is None:
            self._timer = self._next_sweep()

    def _next_sweep(self) -> asyncio.TimerHandle:
        hurried = any(map(self._is_hurried, self._retired))
        linger = min(self._linger, HURRIED_LINGER) if hurried else self._linger
        return asyncio.get_running_loop().call_later(linger, self._sweep)

    def _sweep(self) -> None:
        """Close what was unused at this sweep and the one before."""
        unused: list[_OpenChunk] = []
        for open_chunk in self._retired:
            in_use = open_chunk.busy or len(open_chunk.holders)
            open_chunk.idle_sweeps = 0 if in_use else open_chunk.idle_sweeps + 1
            if open_chunk.idle_sweeps >= 2:
                unused.append(open_chunk)
        if unused and (self._closing is None or self._closing.done()):
            self._closing = asyncio.create_task(self._close_all(unused))
            self._closing.add_done_callback(_tell_failure)
        self._timer = self._next_sweep() if self._retired else None

    async def _close_all(self, unused: Sequence[_OpenChunk]) -> None:
        """What cannot be closed now (no committer) is tried again at the next sweep."""
        for open_chunk in unused:
            for file in open_chunk.files:
                file.close()
            await self._close(open_chunk.chunk.id)
            self._retired.remove(open_chunk)

    # Writing and syncing

    async def _write(self, open_chunk: _OpenChunk, rows: Sequence[_Rows], data: memoryview) -> None:
        """Encode, checksum and write in one thread. Raises _Broken."""
        progress = _Progress()
        job = asyncio.get_running_loop().run_in_executor(
            self._pool, _write_rows, open_chunk, rows, data, progress
        )
        before: Drive | None = None
        while not (await asyncio.wait((job,), timeout=self._sync_deadline))[0]:
            if progress.drive is not None and progress.drive is before:
                self._break(open_chunk, {before: "late to write"})
            before = progress.drive
        with self._giving_up(open_chunk):
            failed = job.result()
        if failed:
            self._break(open_chunk, failed)

    def _next_round(self, open_chunk: _OpenChunk) -> asyncio.Task[None]:
        """The round of syncs that covers all that is written by now."""
        if open_chunk.waiting is None:
            before = open_chunk.running
            open_chunk.waiting = asyncio.create_task(self._round(open_chunk, before))
        return open_chunk.waiting

    async def _round(self, open_chunk: _OpenChunk, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        open_chunk.running, open_chunk.waiting = open_chunk.waiting, None
        if open_chunk.broken:
            raise _Broken
        loop = asyncio.get_running_loop()
        synced = {
            loop.run_in_executor(self._pool, file.sync): file.drive for file in open_chunk.files
        }
        with self._giving_up(open_chunk):
            failed = await self._outcome(synced, open_chunk.chunk.m)
        if failed:
            self._break(open_chunk, failed)

    @contextmanager
    def _giving_up(self, open_chunk: _OpenChunk) -> Iterator[None]:
        """What could not be written or synced is not tried again in the same files, whoever is to
        blame."""
        try:
            yield
        except Starved:
            open_chunk.broken = True
            self._retire(open_chunk)
            raise

    async def _outcome(
        self, futures: Mapping[asyncio.Future[T], Drive], m: int
    ) -> dict[Drive, OSError | str]:
        """Drives whose call failed or is late, and why."""
        _, late = await asyncio.wait(futures, timeout=self._sync_deadline)
        if len(late) > m:
            _, late = await asyncio.wait(late, timeout=self._stall_deadline)
        failed: dict[Drive, OSError | str] = {}
        for future, drive in futures.items():
            if future in late:
                failed[drive] = "late to sync"
            elif isinstance(error := future.exception(), OSError):
                failed[drive] = error
            elif error is not None:
                raise error
        return failed

    def _break(self, open_chunk: _OpenChunk, failed: Mapping[Drive, OSError | str]) -> None:
        """Give the chunk up for appends. What was synced in it stays good. Raises _Broken."""
        self._fail(failed)
        open_chunk.broken = True
        self._retire(open_chunk)
        raise _Broken

    def _fail(self, failed: Mapping[Drive, OSError | str]) -> None:
        for drive, reason in failed.items():
            if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT):
                self._drives.fill(drive.id)
            else:
                self._drives.fail(drive.id, str(reason))


class _Progress:
    """Which drive a writing thread is at: what it is stuck at, if it is."""

    drive: Drive | None = None


def _write_rows(
    open_chunk: _OpenChunk, rows: Sequence[_Rows], data: memoryview, progress: _Progress
) -> dict[Drive, OSError | str]:
    """Write rows that follow each other into every segment: one write a file. What failed."""
    chunk = open_chunk.chunk
    columns: list[list[Buffer]] = [[] for _ in open_chunk.files]
    at = 0
    for group in rows:
        size = chunk.k * group.unit
        for _ in range(group.rows):
            units = split_row(data[at : at + size], chunk.k, group.unit)
            for column, unit in zip(
                columns, (*units, *encode(chunk.k, chunk.m, units)), strict=True
            ):
                column.append(unit)
            at += size
    failed: dict[Drive, OSError | str] = {}
    for file, column in zip(open_chunk.files, columns, strict=True):
        progress.drive = file.drive
        try:
            file.write(column, rows[0].position)
        except OSError as error:
            failed[file.drive] = error
    progress.drive = None
    return failed
