"""The `drives` chunk store: reads from mirrors and segments, decoding around what is not there.

A read costs no thread when the page cache has the bytes; else a thread waits, at most
`read_deadline`, and a drive that lets it wait longer is gone round until it answers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.disk import Disk, File
from coffre.vault.blocks import (
    BadBlock,
    Run,
    relaid,
    runs,
    segment_seed,
    stored_range,
    verified_pieces,
)
from coffre.vault.drives import Drive, DriveSet, mirror_path, segment_path
from coffre.vault.erasure import decode
from coffre.vault.headers import HEADER_BYTES
from coffre.vault.interface import DataLost, Placement, StorageFull
from coffre.vault.records import BLOCK_BYTES, Chunk, Extent
from coffre.vault.segments import sealed_ways
from coffre.vault.striped import StripedWriter

READ_DEADLINE = 2.0
OPEN_FILES = 1024
# How long an answer of the catalog is believed, and an unused file is kept open. A removed mirror
# takes up its space as long as a file is open.
_PLACEMENT_SECONDS = 1.0
_FILE_SECONDS = 10.0
_MIRROR = -1
T = TypeVar("T")
# Told of what a read could not use: chunk, segment (-1: a mirror), drive, why.
Notice = Callable[[bytes, int, bytes, str], None]
_Key = tuple[bytes, bytes, int]
# The bytes of a run, in order.
_Pieces = Sequence[Buffer]


class _Unreadable(Exception):
    """One file did not give the bytes: the drive is away or late, or the bytes are bad."""


def _ignore(chunk: bytes, segment: int, drive: bytes, reason: str) -> None:
    """For those who only read."""


class _OpenFiles:
    """Files by (drive, chunk, segment), at most `most`: the ones opened first go first, and every
    one that was not used from one look to the next. Letting go of one closes it, as soon as no
    thread reads from it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[_Key, File] = {}
        self._used: set[_Key] = set()
        self._timer: asyncio.TimerHandle | None = None

    def get(self, key: _Key) -> File | None:
        found = self._files.get(key)
        if found is not None:
            self._used.add(key)
        return found

    def add(self, key: _Key, file: File) -> None:
        self._files[key] = file
        if len(self._files) > self._most:
            del self._files[next(iter(self._files))]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FILE_SECONDS, self._let_go)

    def drop(self, key: _Key) -> None:
        self._files.pop(key, None)

    def clear(self) -> None:
        self._files.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_go(self) -> None:
        self._files = {key: file for key, file in self._files.items() if key in self._used}
        self._used.clear()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_FILE_SECONDS, self._let_go) if self._files else None


class DriveChunkStore:
    """The `ChunkStore` of drives. One per process; all methods on its event loop.

    `striped` is this process's writer (None where nothing is written); `notice` hears of every
    file that a read could not use, for repair.
    """

    def __init__(
        self,
        drives: DriveSet,
        disk: Disk,
        placement: Placement,
        clock: Clock,
        *,
        striped: StripedWriter | None = None,
        notice: Notice = _ignore,
        read_deadline: float = READ_DEADLINE,
        open_files: int = OPEN_FILES,
        pool: Executor | None = None,
    ) -> None:
        self._drives = drives
        self._disk = disk
        self._placement = placement
        self._clock = clock
        self._striped = striped
        self._notice = notice
        self._read_deadline = read_deadline
        self._pool = pool or ThreadPoolExecutor(16, thread_name_prefix="read")
        self._files = _OpenFiles(open_files)
        self._chunks: dict[bytes, tuple[Chunk, float]] = {}
        self._late: Counter[bytes] = Counter()

    async def append_rows(
        self, pieces: Sequence[Buffer], holder: object = None
    ) -> tuple[Extent, ...]:
        if self._striped is None:
            raise StorageFull("this process only reads")
        return await self._striped.append(pieces, holder)

    async def read(self, extent: Extent, start: int, length: int, attempt: int = 0) -> Buffer:
        """See `ChunkStore.read`. Raises ValueError for bytes outside the extent."""
        if start < 0 or length < 0 or start + length > extent.length:
            raise ValueError(f"bytes {start}..{start + length} of {extent.length}")
        if not length:
            return b""
        chunk = self._chunk(extent.chunk)
        if chunk is None:
            raise DataLost(f"chunk {extent.chunk.hex()} is not in the catalog")
        tried = [chunk]
        while True:
            try:
                return await self._read(tried[-1], extent, start, length, attempt)
            except DataLost:
                # While it is read it may be closed, then sealed, then repaired.
                moved = await self._moved(tried)
                if moved is None:
                    raise
                tried.append(moved)

    def close(self) -> None:
        """Let go of files and threads."""
        self._files.clear()
        self._pool.shutdown(wait=False)

    # Where a chunk is

    def _chunk(self, chunk_id: bytes) -> Chunk | None:
        cached = self._chunks.get(chunk_id)
        if cached is not None and cached[1] > self._clock.monotonic():
            return cached[0]
        return self._resolve(chunk_id)

    def _resolve(self, chunk_id: bytes) -> Chunk | None:
        chunk = self._placement.chunk(chunk_id)
        if chunk is not None:
            self._believe(chunk)
        return chunk

    def _believe(self, chunk: Chunk) -> None:
        self._chunks.pop(chunk.id, None)
        if len(self._chunks) >= OPEN_FILES:
            del self._chunks[next(iter(self._chunks))]
        self._chunks[chunk.id] = (chunk, self._clock.monotonic() + _PLACEMENT_SECONDS)

    async def _moved(self, tried: Sequence[Chunk]) -> Chunk | None:
        """Where a chunk is that could not be read as `tried` say: what the catalog says by now, or
        the segments of one whose seal it does not know yet. None: there is no other place."""
        chunk = self._resolve(tried[0].id)
        if chunk is None:
            return None
        places = {_place(one) for one in tried}
        if _place(chunk) not in places:
            return chunk
        if relaid(chunk):
            return None
        loop = asyncio.get_running_loop()
        ways = await loop.run_in_executor(self._pool, sealed_ways, self._drives, chunk.id)
        found = next((way for way in ways if _place(way) not in places), None)
        if found is not None:
            self._believe(found)
        return found

    # Mirrors and segments

    async def _read(
        self, chunk: Chunk, extent: Extent, start: int, length: int, attempt: int
    ) -> Buffer:
        if relaid(chunk):
            return await self._read_rows(chunk, extent, start, length, attempt)
        offset = HEADER_BYTES + extent.offset + start
        members = [drive for one in chunk.members if (drive := self._drives.member(one))]
        if self._late:
            members.sort(key=lambda drive: self._late[drive.id])
        # The last resort: frames prove themselves, whatever a drive that was away missed.
        members += [drive for one in chunk.members if (drive := self._drives.checked(one))]
        for drive in members[attempt:]:
            data = self._cached((drive.id, chunk.id, _MIRROR), offset, length)
            if data is not None:
                return data
            try:
                return await self._pread(drive, chunk.id, _MIRROR, offset, length)
            except _Unreadable as error:
                self._notice(chunk.id, _MIRROR, drive.id, str(error))
        raise DataLost(f"chunk {chunk.id.hex()}: no mirror is left to read")

    async def _read_rows(
        self, chunk: Chunk, extent: Extent, start: int, length: int, attempt: int
    ) -> Buffer:
        """From segments; attempt n makes up for the n-th run as though it were missing."""
        rows = list(runs(chunk, extent, start, length))
        suspect: Run | None = None
        if attempt:
            tried = [run for row in rows for run in row]
            if attempt > len(tried):
                raise DataLost(f"chunk {chunk.id.hex()}: every way to these bytes was tried")
            suspect = tried[attempt - 1]
        parts: list[Buffer] = []
        for row in rows:
            wanted = [run for run in row if run is not suspect]
            got = await self._segments(chunk, wanted)
            missing = [run for run in row if run.segment not in got]
            if missing:
                got.update(await self._decoded(chunk, missing, wanted, got))
            for run in row:
                parts += got[run.segment]
        return b"".join(parts)

    async def _segments(self, chunk: Chunk, wanted: Sequence[Run]) -> dict[int, _Pieces]:
        """What can be read of `wanted`, by segment; several that are not cached side by side."""
        got: dict[int, _Pieces] = {}
        waiting: list[Run] = []
        for run in wanted:
            data = self._cached_segment(chunk, run)
            if data is None:
                waiting.append(run)
            else:
                got[run.segment] = data
        if len(waiting) == 1:
            answers = [await self._segment(chunk, waiting[0])]
        else:
            answers = await asyncio.gather(*(self._segment(chunk, run) for run in waiting))
        for run, answer in zip(waiting, answers, strict=True):
            if answer is not None:
                got[run.segment] = answer
        return got

    def _cached_segment(self, chunk: Chunk, run: Run) -> _Pieces | None:
        drive = self._drives.member(chunk.members[run.segment])
        if drive is None:
            return None
        offset, stored = stored_range(run.position, run.length)
        data = self._cached((drive.id, chunk.id, run.segment), offset, stored)
        if data is None:
            return None
        try:
            seed = segment_seed(chunk.id, run.segment, chunk.epoch)
            return verified_pieces(data, seed, run.position, run.length)
        except BadBlock:
            return None  # The read for good says so.

    async def _segment(self, chunk: Chunk, run: Run) -> _Pieces | None:
        """A run of one segment, verified; None where it cannot be had."""
        drive = self._drives.member(chunk.members[run.segment])
        if drive is None:
            return None
        key = (drive.id, chunk.id, run.segment)
        try:
            return await self._verified(drive, chunk, run)
        except (_Unreadable, BadBlock) as error:
            self._notice(chunk.id, run.segment, drive.id, str(error))
            # It may have been repaired, here or elsewhere: look again next time.
            self._files.drop(key)
            self._chunks.pop(chunk.id, None)
            return None

    async def _doubtful(self, chunk: Chunk, run: Run) -> _Pieces | None:
        """The last resort: a run from a drive that is yet to be checked. Blocks prove themselves,
        whatever the drive missed."""
        drive = self._drives.checked(chunk.members[run.segment])
        if drive is None:
            return None
        try:
            return await self._verified(drive, chunk, run)
        except (_Unreadable, BadBlock):
            self._files.drop((drive.id, chunk.id, run.segment))
            return None

    async def _verified(self, drive: Drive, chunk: Chunk, run: Run) -> _Pieces:
        """A run as a drive holds it. Raises _Unreadable, BadBlock."""
        offset, stored = stored_range(run.position, run.length)
        data = await self._pread(drive, chunk.id, run.segment, offset, stored)
        seed = segment_seed(chunk.id, run.segment, chunk.epoch)
        return verified_pieces(data, seed, run.position, run.length)

    async def _decoded(
        self, chunk: Chunk, missing: Sequence[Run], row: Sequence[Run], got: dict[int, _Pieces]
    ) -> dict[int, _Pieces]:
        """The missing runs of a row, made from k other segments. Raises DataLost."""
        low = min(run.position for run in missing)
        high = max(run.position + run.length for run in missing)
        lost = [run.segment for run in missing]
        have: dict[int, Buffer] = {}
        for run in row:
            if run.segment in got and run.position <= low and high <= run.position + run.length:
                view = memoryview(b"".join(got[run.segment]))
                have[run.segment] = view[low - run.position : high - run.position]
        others = [i for i in range(chunk.k + chunk.m) if i not in lost and i not in have]
        others.sort(key=lambda i: self._late[chunk.members[i]])
        while len(have) < chunk.k and others:
            batch = [Run(i, low, high - low) for i in others[: chunk.k - len(have)]]
            others = others[len(batch) :]
            for segment, pieces in (await self._segments(chunk, batch)).items():
                have[segment] = b"".join(pieces)
        if len(have) < chunk.k:
            doubtful = [Run(i, low, high - low) for i in range(chunk.k + chunk.m) if i not in have]
            answers = await asyncio.gather(*(self._doubtful(chunk, run) for run in doubtful))
            for run, answer in zip(doubtful, answers, strict=True):
                if answer is not None:
                    have[run.segment] = b"".join(answer)
        if len(have) < chunk.k:
            if low // BLOCK_BYTES != (high - 1) // BLOCK_BYTES:
                return {run.segment: await self._by_blocks(chunk, run) for run in missing}
            raise DataLost(
                f"chunk {chunk.id.hex()}: {len(have)} segments of {chunk.k}+{chunk.m} can be read"
            )
        loop = asyncio.get_running_loop()
        units = await loop.run_in_executor(self._pool, decode, chunk.k, chunk.m, have, lost)
        return {
            run.segment: [memoryview(unit)[run.position - low :][: run.length]]
            for run, unit in zip(missing, units, strict=True)
        }

    async def _by_blocks(self, chunk: Chunk, run: Run) -> _Pieces:
        """A run block by block: where each of many segments has a bad block, but not the same.
        Raises DataLost."""
        pieces: list[Buffer] = []
        at, end = run.position, run.position + run.length
        while at < end:
            stop = min(end, (at // BLOCK_BYTES + 1) * BLOCK_BYTES)
            part = Run(run.segment, at, stop - at)
            whole = await self._segment(chunk, part)
            pieces += whole or (await self._decoded(chunk, [part], [], {}))[run.segment]
            at = stop
        return pieces

    # Files

    def _cached(self, key: _Key, offset: int, length: int) -> Buffer | None:
        """Bytes of an open file if the page cache has them all."""
        file = self._files.get(key)
        nowait = getattr(file, "pread_nowait", None)
        return None if nowait is None else nowait(length, offset)

    async def _pread(
        self, drive: Drive, chunk_id: bytes, segment: int, offset: int, length: int
    ) -> bytes:
        """Bytes of a mirror or segment file, by a thread. Raises _Unreadable."""
        key = (drive.id, chunk_id, segment)
        held = self._files.get(key)

        def read() -> tuple[File, bytes]:
            file = held
            if file is None:
                file = self._disk.open(_path(drive, chunk_id, segment), "read")
            return file, file.pread(length, offset)

        try:
            file, data = await self._in_time(drive, read)
        except OSError as error:
            self._files.drop(key)
            raise _Unreadable(str(error)) from error
        if len(data) < length:
            raise _Unreadable(f"the file ends before byte {offset + length}")
        if held is None:
            self._files.add(key, file)
        return data

    async def _in_time(self, drive: Drive, call: Callable[[], T]) -> T:
        """Let a thread make a call. Raises _Unreadable when the drive is late; until the call
        ends at last the drive comes after others."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        done, _ = await asyncio.wait((future,), timeout=self._read_deadline)
        if done:
            return future.result()
        self._late[drive.id] += 1
        future.add_done_callback(lambda ended: self._answered(drive, ended))
        raise _Unreadable(f"no answer in {self._read_deadline} s")

    def _answered(self, drive: Drive, ended: asyncio.Future[T]) -> None:
        self._late[drive.id] -= 1
        if not self._late[drive.id]:
            del self._late[drive.id]
        if not ended.cancelled():
            ended.exception()


def _place(chunk: Chunk) -> tuple[bool, int, tuple[bytes, ...]]:
    """What decides which files a chunk is read from."""
    return relaid(chunk), chunk.k, chunk.members


def _path(drive: Drive, chunk_id: bytes, segment: int) -> str:
    if segment == _MIRROR:
        return mirror_path(drive, chunk_id)
    return segment_path(drive, chunk_id, segment)
