"""One query in a process of its own: what it is fed, what comes back, and its end.

The process knows nothing of the service: it is given a job and the object's bytes by a pipe and
answers by another (`select_worker` says how). It is killed when the client leaves.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from struct import pack, unpack
from typing import Final

import msgspec

from coffre.s3.select_job import Job
from coffre.system.buffer import Buffer
from coffre.wire.errors import CATALOGUE, S3Error
from coffre.wire.event_stream import CONTINUATION, END, counters, failure, records

log = logging.getLogger("coffre.s3.select")

AT_ONCE: Final = 4
"""Queries that one process of the service runs at a time."""
_WORKER: Final = "coffre.s3.select_worker"
_SILENCE_S: Final = 5.0
_COUNTERS: Final = {b"P": "Progress", b"S": "Stats"}
_running = 0


class RunningQuery:
    """A query whose first frame has come: what is wrong with it before that is an S3Error."""

    def __init__(self, process: Process, feeding: asyncio.Task[None]) -> None:
        self._process = process
        self._feeding = feeding
        self._first: tuple[bytes, bytes] = (b"", b"")

    @classmethod
    async def start(cls, job: Job, content: AsyncIterator[Buffer]) -> RunningQuery:
        """Start it. Raises Busy while too many run, and the query's own early errors."""
        global _running  # noqa: PLW0603  (a count of this process's children)
        if _running >= AT_ONCE:
            raise S3Error("Busy")
        _running += 1
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-m", _WORKER, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={}
            )
        except BaseException:
            _running -= 1
            raise
        query = cls(process, asyncio.create_task(_feed(process, job, content)))
        try:
            query._first = await query._frame()
            if query._first[0] == b"E":
                raise _error(query._first[1])
        except BaseException:
            await query.close()
            raise
        return query

    async def events(self) -> AsyncIterator[Buffer]:
        """The event stream, up to its end or the error that ends it."""
        try:
            async for event in self._events():
                yield event
        finally:
            await self.close()

    async def _events(self) -> AsyncIterator[Buffer]:
        letter, payload = self._first
        while True:
            if letter == b"R":
                yield records(payload)
            elif letter == b"E":
                error = _error(payload)
                yield failure(error.code, error.message)
                return
            else:
                yield counters(_COUNTERS[letter], *unpack(">QQQ", payload))
            if letter == b"S":
                yield END
                return
            waiting = asyncio.ensure_future(self._frame())
            try:
                while not (await asyncio.wait({waiting}, timeout=_SILENCE_S))[0]:
                    yield CONTINUATION
                letter, payload = waiting.result()
            finally:
                waiting.cancel()

    async def _frame(self) -> tuple[bytes, bytes]:
        """The next frame; an error where the process ended without one, or could not be fed."""
        output = self._process.stdout
        assert output is not None, "the process was started with a pipe"
        try:
            head = await output.readexactly(5)
            return head[:1], await output.readexactly(unpack(">I", head[1:])[0])
        except asyncio.IncompleteReadError:
            if self._feeding.done() and not self._feeding.cancelled():
                broken = self._feeding.exception()
                if broken is not None:
                    raise broken from None
            errors = self._process.stderr
            assert errors is not None, "the process was started with a pipe"
            with suppress(TimeoutError):
                said = await asyncio.wait_for(errors.read(4096), 1)
                log.error("a query's process ended: %s", said.decode(errors="replace").strip())
            return b"E", b"InternalError\0The query took too much time or memory."

    async def close(self) -> None:
        """End the process and what feeds it."""
        global _running  # noqa: PLW0603
        self._feeding.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._feeding
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        _running -= 1


async def _feed(process: Process, job: Job, content: AsyncIterator[Buffer]) -> None:
    """Give the process its job and the object; it may have enough before the end."""
    pipe = process.stdin
    assert pipe is not None, "the process was started with a pipe"
    text = msgspec.json.encode(job)
    try:
        pipe.write(pack(">I", len(text)) + text)
        async for piece in content:
            pipe.write(piece)
            await pipe.drain()
    except (BrokenPipeError, ConnectionResetError):
        return
    except BaseException:
        # What is missing must not look like the object's end.
        with suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        pipe.close()


def _error(payload: bytes) -> S3Error:
    code, _, message = payload.decode(errors="replace").partition("\0")
    return S3Error(code if code in CATALOGUE else "InternalError", message)
