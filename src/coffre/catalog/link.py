"""The link between a worker and the committer: mutations one way, answers the other.

A stream of frames over a Unix socket (mode 0600), pipelined; both ends speak the same framing:

| bytes | field                                                    |
|-------|----------------------------------------------------------|
| 4     | bytes that follow, big-endian                            |
| 4     | n: bytes of the message, big-endian                      |
| n     | the message, msgpack: a `Request`, or a list of `Reply`  |
| rest  | raw ciphertext of the mutation's body (`Commit` only)    |

Every request has an id, which its answer repeats; answers come in any order, those of one turn of
the loop (of a group, that is) in one frame. A call that was sent and has no answer when the
connection breaks is `CommitUnknown` and is never sent again: mutations are not all idempotent. A
call that was never sent is `CommitterAway`.

Memory: a frame larger than the receive buffer is received straight into its own buffer, and the
body goes from there to the drives without a copy. The worker's side bounds calls and bytes under
way (`CommitterBusy`); the committer's side stops reading from a worker that does not take answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.log_state import NOT_WRITTEN
from coffre.catalog.mutations import Mutation, Refusal, Refused, Result, SealChunk
from coffre.system.buffer import Buffer
from coffre.vault.records import Chunk

_journal = logging.getLogger(__name__)

MAX_FRAME_BYTES = 32 * 1024 * 1024
RECEIVE_BYTES = 256 * 1024
T = TypeVar("T")
_LENGTHS = struct.Struct(">II")


class CommitterAway(CommitterBusy):
    """There is no committer to send to: nothing was sent, so nothing happened."""


class Commit(Struct, frozen=True, array_like=True, tag=0):
    id: int
    mutation: Mutation
    record: bytes = b""


class CommitAll(Struct, frozen=True, array_like=True, tag=1):
    id: int
    mutations: tuple[Mutation, ...]
    records: tuple[bytes, ...] = ()


class CloseAll(Struct, frozen=True, array_like=True, tag=2):
    """Close the open landing chunk and open no other until the next write."""

    id: int


class RecordSealed(Struct, frozen=True, array_like=True, tag=3):
    """After CloseAll: the chunks that it named are re-laid and in place."""

    id: int
    seals: tuple[SealChunk, ...]


class Answer(Struct, frozen=True, array_like=True, tag=0):
    id: int
    results: list[Result | Refused]


class Closed(Struct, frozen=True, array_like=True, tag=1):
    id: int
    chunks: tuple[Chunk, ...]


class Failed(Struct, frozen=True, array_like=True, tag=2):
    id: int
    reason: Literal["busy", "unknown"]


Request = Commit | CommitAll | CloseAll | RecordSealed
Reply = Answer | Closed | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(Request).decode
_decode_replies = msgspec.msgpack.Decoder(list[Reply]).decode


class Accepts(Protocol):
    """The committer as the link sees it: see `coffre.catalog.group.GroupCommitter`."""

    def submit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> asyncio.Future[Result | Refused]:
        """Raises CommitterBusy; the future may fail with CommitUnknown."""
        ...

    def submit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> asyncio.Future[list[Result | Refused]]: ...

    async def close_all(self) -> tuple[Chunk, ...]: ...

    async def record_sealed(self, seals: Sequence[SealChunk]) -> None: ...


class _Framed(asyncio.BufferedProtocol, ABC):
    """Frames in; what is written in one turn of the loop leaves together."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._large: memoryview | None = None
        self._large_filled = 0

    @abstractmethod
    def receive(self, message: memoryview, body: memoryview) -> None:
        """One frame. Raises msgspec.DecodeError to break the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large is not None:
            return self._large[self._large_filled :]
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self._large is None:
                self._filled += nbytes
                self._parse()
                return
            self._large_filled += nbytes
            if self._large_filled == len(self._large):
                frame, self._large = self._large, None
                self._take(frame)
        except (msgspec.DecodeError, struct.error):
            self.break_off()

    def break_off(self) -> None:
        """Drop the connection: what the other side sent is not of this protocol."""
        if self._transport is not None:
            self._transport.abort()

    def _parse(self) -> None:
        start = 0
        while self._filled - start >= 4:
            total = 4 + int.from_bytes(self._view[start : start + 4], "big")
            if total > MAX_FRAME_BYTES or total < _LENGTHS.size:
                raise msgspec.DecodeError("a frame of an impossible length")
            here = self._filled - start
            if here >= total:
                self._take(memoryview(bytes(self._view[start : start + total])))
                start += total
            elif total > len(self._buffer):
                self._large = memoryview(bytearray(total))
                self._large[:here] = self._view[start : self._filled]
                self._large_filled = here
                start = self._filled
            else:
                break
        rest = self._filled - start
        if start and rest:
            self._view[:rest] = bytes(self._view[start : self._filled])
        self._filled = rest

    def _take(self, frame: memoryview) -> None:
        _, message = _LENGTHS.unpack_from(frame)
        end = _LENGTHS.size + message
        if end > len(frame):
            raise msgspec.DecodeError("a message longer than its frame")
        self.receive(frame[_LENGTHS.size : end], frame[end:])

    def write(self, pieces: list[Buffer]) -> None:
        """Send, unless the connection is gone."""
        if self._transport is not None:
            self._transport.writelines(pieces)


def _head(packed: bytes, body_bytes: int) -> bytes:
    """A frame's first bytes: the lengths and the message."""
    return _LENGTHS.pack(4 + len(packed) + body_bytes, len(packed)) + packed


class _ServerSide(_Framed):
    """One worker's connection, in the committer."""

    def __init__(self, committer: Accepts, connections: set[_ServerSide]) -> None:
        super().__init__()
        self._committer = committer
        self._connections = connections
        self._replies: list[Reply] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.discard(self)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def receive(self, message: memoryview, body: memoryview) -> None:
        request = _decode_request(message)
        try:
            self._start(request, body)
        except CommitterBusy:
            self.send(Failed(request.id, "busy"))

    def send(self, reply: Reply) -> None:
        """Queue one answer; it leaves at the end of this turn of the loop."""
        if not self._replies:
            self._loop.call_soon(self._flush)
        self._replies.append(reply)

    def _flush(self) -> None:
        replies, self._replies = self._replies, []
        self.write([_head(_encode(replies), 0)])

    def _start(self, request: Request, body: memoryview) -> None:
        call = request.id
        if isinstance(request, Commit):
            pieces = (body,) if len(body) else ()
            one = self._committer.submit(request.mutation, pieces, request.record)
            one.add_done_callback(lambda done: self._answer(call, done, lambda result: [result]))
        elif isinstance(request, CommitAll):
            several = self._committer.submit_all(request.mutations, request.records)
            several.add_done_callback(lambda done: self._answer(call, done, list))
        else:
            task = self._loop.create_task(self._control(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _answer(
        self,
        call: int,
        done: asyncio.Future[T],
        results: Callable[[T], list[Result | Refused]],
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            self.send(Failed(call, "unknown"))
        else:
            self.send(Answer(call, results(done.result())))

    async def _control(self, request: CloseAll | RecordSealed) -> None:
        try:
            if isinstance(request, CloseAll):
                self.send(Closed(request.id, await self._committer.close_all()))
            else:
                await self._committer.record_sealed(request.seals)
                self.send(Closed(request.id, ()))
        except CommitterBusy:
            self.send(Failed(request.id, "busy"))
        except CommitUnknown:
            self.send(Failed(request.id, "unknown"))
        except Refusal as refusal:
            refused = Refused(refusal.code, refusal.message, refusal.fields)
            self.send(Answer(request.id, [refused]))
        except NOT_WRITTEN as error:
            self.send(Answer(request.id, [Refused("ServiceUnavailable", str(error), {})]))
        except Exception:
            _journal.exception("%s failed", type(request).__name__)
            self.send(Failed(request.id, "unknown"))


class LinkServer:
    """The committer's listening end. `close` breaks every connection: their calls are unknown."""

    def __init__(self, server: asyncio.Server, connections: set[_ServerSide], path: str) -> None:
        self._server = server
        self._connections = connections
        self._path = path

    def close(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.break_off()
        _remove(self._path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


async def serve_link(committer: Accepts, path: str) -> LinkServer:
    """Listen at `path` (mode 0600; what stands there is replaced: the caller holds the lock of the
    data folder, so it is a dead committer's). Raises OSError."""
    _remove(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before the bind, so that the socket never stands there with a wider mode.
    os.fchmod(listening.fileno(), 0o600)
    listening.bind(path)
    connections: set[_ServerSide] = set()
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: _ServerSide(committer, connections), sock=listening, backlog=128
    )
    return LinkServer(server, connections, path)


class _ClientSide(_Framed):
    def __init__(self, client: CommitterClient) -> None:
        super().__init__()
        self._client = client
        self._out: list[Buffer] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._client.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._client.lost()

    def receive(self, message: memoryview, body: memoryview) -> None:
        for reply in _decode_replies(message):
            self._client.received(reply)

    def send(self, request: Request, body: Sequence[Buffer] = ()) -> None:
        """Queue one frame; it leaves at the end of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(_head(_encode(request), sum(len(piece) for piece in body)))
        self._out.extend(body)

    def _flush(self) -> None:
        out, self._out = self._out, []
        self.write(out)


def _closed(reply: Reply) -> Closed:
    """Raises Refusal."""
    if isinstance(reply, Answer):
        refused = reply.results[0]
        assert isinstance(refused, Refused), "a control has no other result"
        raise refused.error()
    return cast(Closed, reply)


class CommitterClient:
    """A worker's end: a `Committer` that reconnects by itself.

    `patience`: seconds that a call waits for a connection before it is `CommitterAway`.
    `most_calls`, `most_bytes`: what may be under way before calls are refused (CommitterBusy).
    """

    def __init__(
        self,
        path: str,
        *,
        patience: float = 10.0,
        most_calls: int = 4096,
        most_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._path = path
        self._patience = patience
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self._calls: dict[int, tuple[asyncio.Future[Reply], int]] = {}
        self._bytes = 0
        self._next = 0
        self._protocol: _ClientSide | None = None
        self._connected = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Would a call be refused now? Ask before a request's body is read."""
        return len(self._calls) >= self._most_calls or self._bytes >= self._most_bytes

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        """See `interface.RecordingCommitter`. Raises CommitterBusy and CommitterAway too."""
        size = sum(len(piece) for piece in body)
        reply = await self._call(lambda call: Commit(call, mutation, record), body, size)
        result = cast(Answer, reply).results[0]
        if isinstance(result, Refused):
            raise result.error()
        return result

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        """See `coffre.catalog.interface.RecordingCommitter`."""
        chosen, told = tuple(mutations), tuple(records)
        reply = await self._call(lambda call: CommitAll(call, chosen, told))
        return cast(Answer, reply).results

    async def close_all(self) -> tuple[Chunk, ...]:
        """See `GroupCommitter.close_all`. Raises Refusal where superblocks cannot be written."""
        return _closed(await self._call(CloseAll)).chunks

    async def record_sealed(self, seals: Sequence[SealChunk]) -> None:
        """See `GroupCommitter.record_sealed`. Raises Refusal as `close_all` does."""
        _closed(await self._call(lambda call: RecordSealed(call, tuple(seals))))

    def close(self) -> None:
        """Break the connection; what is under way is unknown."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._protocol is not None:
            self._protocol.break_off()

    async def _call(
        self, request: Callable[[int], Request], body: Sequence[Buffer] = (), size: int = 0
    ) -> Reply:
        if self.busy:
            raise CommitterBusy("too many calls to the committer are under way")
        protocol = await self._connection()
        call = self._next
        self._next += 1
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls[call] = future, size
        self._bytes += size
        protocol.send(request(call), body)
        reply = await future
        if isinstance(reply, Failed):
            if reply.reason == "busy":
                raise CommitterBusy("the committer has too much queued")
            raise CommitUnknown("the committer stopped before it could tell")
        return reply

    async def _connection(self) -> _ClientSide:
        if self._protocol is None:
            if self._connecting is None and not self._closed:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            try:
                await asyncio.wait_for(self._connected.wait(), self._patience)
            except TimeoutError:
                raise CommitterAway("the committer does not answer at its socket") from None
        if self._protocol is None:
            raise CommitterAway("the committer went away again")
        return self._protocol

    async def _connect(self) -> None:
        pause = 0.005
        loop = asyncio.get_running_loop()
        while not self._closed:
            try:
                await loop.create_unix_connection(lambda: _ClientSide(self), self._path)
            except OSError:
                # Nothing tells when a socket appears: look again, ever less often.
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.25)
            else:
                break
        self._connecting = None

    def made(self, protocol: _ClientSide) -> None:
        """A connection stands (called by it)."""
        self._protocol = protocol
        self._connected.set()

    def received(self, reply: Reply) -> None:
        """An answer came (called by the connection)."""
        future, size = self._calls.pop(reply.id)
        self._bytes -= size
        if not future.done():
            future.set_result(reply)

    def lost(self) -> None:
        """The connection broke (called by the connection): every call under way is unknown."""
        self._protocol = None
        self._connected.clear()
        calls, self._calls, self._bytes = self._calls, {}, 0
        for future, _ in calls.values():
            if not future.done():
                future.set_exception(CommitUnknown("the connection to the committer broke"))
