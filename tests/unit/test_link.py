"""The link between workers and the committer, over a real Unix socket."""

from __future__ import annotations

import asyncio
import os
import stat
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog import link
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.link import CommitterAway, CommitterClient, LinkServer, serve_link
from coffre.catalog.mutations import (
    AbortUpload,
    DeleteBucket,
    Done,
    Mutation,
    PartWritten,
    PutPart,
    Refusal,
    Refused,
    Result,
    SealChunk,
)
from coffre.system.buffer import Buffer
from coffre.vault.records import Blob, Chunk, ChunkKind, ChunkState
from coffre.vault.superblock import SuperblockNotWritten

Answers = list[Result | Refused]


class Recorder:
    """A committer that keeps what it was sent and answers when told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.mutations: list[Mutation] = []
        self.waiting: list[asyncio.Future[Result | Refused]] = []
        self.sealed: list[SealChunk] = []
        self.fails: Exception | None = None
        self.hold = False
        self.busy = False
        self.records: list[bytes] = []
        self.arrived = asyncio.Event()

    def submit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> asyncio.Future[Result | Refused]:
        if self.busy:
            raise CommitterBusy
        self.mutations.append(mutation)
        self.records.append(record)
        self.bodies.append(b"".join(body))
        future: asyncio.Future[Result | Refused] = asyncio.get_running_loop().create_future()
        self.arrived.set()
        if self.hold:
            self.waiting.append(future)
        elif isinstance(mutation, DeleteBucket):
            future.set_result(Refused("BucketNotEmpty", None, {"Bucket": "b"}))
        elif isinstance(mutation, AbortUpload):
            future.set_exception(CommitUnknown("stopped"))
        else:
            future.set_result(PartWritten(len(self.bodies[-1])))
        return future

    def submit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> asyncio.Future[Answers]:
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        told = records or (b"",) * len(mutations)
        pairs = zip(mutations, told, strict=True)
        future.set_result([self.submit(m, (), record).result() for m, record in pairs])
        return future

    async def close_all(self) -> tuple[Chunk, ...]:
        if self.fails is not None:
            raise self.fails
        return (
            Chunk(b"c" * 16, ChunkKind.LANDING, ChunkState.SEALING, "", 1, 1, 0, (b"d" * 16,), 9),
        )

    async def record_sealed(self, seals: Sequence[SealChunk]) -> None:
        if self.fails is not None:
            raise self.fails
        self.sealed.extend(seals)


def part(number: int) -> PutPart:
    return PutPart(b"u" * 16, number, "etag", Blob(b"b" * 16, 1, b"k", b"w"))


@pytest.fixture
async def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


@pytest.fixture
async def committer() -> Recorder:
    return Recorder()


@pytest.fixture
async def server(committer: Recorder, path: str) -> AsyncIterator[LinkServer]:
    server = await serve_link(committer, path)
    yield server
    server.close()


@pytest.fixture
async def client(path: str) -> AsyncIterator[CommitterClient]:
    client = CommitterClient(path, patience=5)
    yield client
    client.close()


async def test_the_socket_is_for_its_owner_only(server: LinkServer, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_a_mutation_and_its_body_arrive_and_its_answer_returns(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    big = os.urandom(1_200_000)
    sizes = [0, 1, 70_000, link.RECEIVE_BYTES - 10, link.RECEIVE_BYTES, len(big)]
    answers = await asyncio.gather(
        *(
            client.commit(part(n + 1), (big[:5], big[5:size]) if size > 5 else (big[:size],))
            for n, size in enumerate(sizes)
        )
    )
    assert answers == [PartWritten(size) for size in sizes]
    assert committer.bodies == [big[:size] for size in sizes]
    assert committer.mutations == [part(n + 1) for n in range(len(sizes))]


async def test_records_of_changes_travel_beside_them(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    await client.commit(part(1), (b"body",), b"one")
    await client.commit_all([part(2), part(3)], [b"", b"three"])
    assert committer.records == [b"one", b"", b"three"]


async def test_a_refusal_is_raised_as_the_committer_said_it(
    server: LinkServer, client: CommitterClient
) -> None:
    with pytest.raises(Refusal) as caught:
        await client.commit(DeleteBucket(b"b"))
    assert (caught.value.code, caught.value.fields) == ("BucketNotEmpty", {"Bucket": "b"})


async def test_several_mutations_are_answered_each_on_its_own_terms(
    server: LinkServer, client: CommitterClient
) -> None:
    answers = await client.commit_all([part(1), DeleteBucket(b"b")])
    assert answers == [PartWritten(0), Refused("BucketNotEmpty", None, {"Bucket": "b"})]


async def test_a_committer_that_failed_leaves_the_outcome_unknown(
    server: LinkServer, client: CommitterClient
) -> None:
    with pytest.raises(CommitUnknown):
        await client.commit(AbortUpload(b"u"))


async def test_a_committer_with_too_much_queued_says_busy(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    committer.busy = True
    with pytest.raises(CommitterBusy):
        await client.commit(part(1))


async def test_answers_may_come_in_another_order(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    committer.hold = True
    calls = [asyncio.ensure_future(client.commit(part(n))) for n in (1, 2)]
    while len(committer.waiting) < 2:
        committer.arrived.clear()
        await committer.arrived.wait()
    committer.waiting[1].set_result(PartWritten(2))
    assert await calls[1] == PartWritten(2)
    committer.waiting[0].set_result(Done())
    assert await calls[0] == Done()


async def test_a_broken_connection_makes_outstanding_calls_unknown_and_never_resends(
    committer: Recorder, path: str, client: CommitterClient
) -> None:
    committer.hold = True
    server = await serve_link(committer, path)
    call = asyncio.ensure_future(client.commit(part(1)))
    await committer.arrived.wait()
    server.close()
    with pytest.raises(CommitUnknown):
        await call
    again = Recorder()
    other = await serve_link(again, path)
    assert await client.commit(part(2), (b"xyz",)) == PartWritten(3)
    assert again.mutations == [part(2)]
    other.close()


async def test_a_call_waits_for_a_committer_that_is_still_starting(
    committer: Recorder, path: str, client: CommitterClient
) -> None:
    call = asyncio.ensure_future(client.commit(part(1), (b"ab",)))
    await asyncio.sleep(0)
    server = await serve_link(committer, path)
    assert await call == PartWritten(2)
    server.close()


async def test_without_a_committer_nothing_was_sent_and_that_is_said(path: str) -> None:
    client = CommitterClient(path, patience=0.01)
    with pytest.raises(CommitterAway):
        await client.commit(part(1))
    client.close()


async def test_a_worker_bounds_what_is_under_way(
    server: LinkServer, committer: Recorder, path: str
) -> None:
    committer.hold = True
    client = CommitterClient(path, most_calls=3, most_bytes=100)
    calls = [asyncio.ensure_future(client.commit(part(1), (bytes(50),))) for _ in range(2)]
    await committer.arrived.wait()
    assert client.busy
    with pytest.raises(CommitterBusy):
        await client.commit(part(2))
    while len(committer.waiting) < 2:
        committer.arrived.clear()
        await committer.arrived.wait()
    for waiting in committer.waiting:
        waiting.set_result(Done())
    assert await asyncio.gather(*calls) == [Done(), Done()]
    assert not client.busy
    client.close()


async def test_a_caller_that_gave_up_does_not_disturb_the_others(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    committer.hold = True
    call = asyncio.ensure_future(client.commit(part(1)))
    await committer.arrived.wait()
    call.cancel()
    committer.hold = False
    committer.waiting[0].set_result(Done())
    assert await client.commit(part(2), (b"x",)) == PartWritten(1)


async def test_closing_and_sealing_travel_too(
    server: LinkServer, committer: Recorder, client: CommitterClient
) -> None:
    (chunk,) = await client.close_all()
    assert (chunk.length, chunk.members) == (9, (b"d" * 16,))
    seal = SealChunk(chunk.id, 12, 4, (b"m" * 16,) * 16, 9)
    await client.record_sealed([seal])
    assert committer.sealed == [seal]


@pytest.mark.parametrize(
    ("failure", "heard"),
    [
        (Refusal("InternalError", "sealed without its end"), Refusal),
        (SuperblockNotWritten(11, 12, {}), Refusal),
        (CommitUnknown("stopped"), CommitUnknown),
        (CommitterBusy("full"), CommitterBusy),
        (KeyError("a fault of ours"), CommitUnknown),
    ],
)
async def test_closing_and_sealing_that_fail_are_answered(
    server: LinkServer,
    committer: Recorder,
    client: CommitterClient,
    failure: Exception,
    heard: type[Exception],
) -> None:
    committer.fails = failure
    with pytest.raises(heard):
        await client.close_all()
    with pytest.raises(heard):
        await client.record_sealed([])


@pytest.mark.parametrize(
    "noise",
    [
        struct.pack(">I", link.MAX_FRAME_BYTES + 1),
        struct.pack(">II", 1, 1),
        struct.pack(">II", 6, 40) + b"xx",
        struct.pack(">II", 6, 2) + b"\xc1\xc1",
    ],
)
async def test_noise_breaks_only_its_own_connection(
    server: LinkServer, path: str, client: CommitterClient, noise: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(noise)
    assert await reader.read() == b""
    writer.close()
    assert await client.commit(part(1), (b"x",)) == PartWritten(1)


@given(
    bodies=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 5000), max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_frames_arrive_whole_however_the_stream_is_cut(bodies: list[int], cuts: list[int]) -> None:
    asyncio.run(_feed(bodies, cuts))


async def _feed(bodies: list[int], cuts: list[int]) -> None:
    got: list[tuple[Mutation, bytes]] = []

    class Side(link._Framed):
        def receive(self, message: memoryview, body: memoryview) -> None:
            request = link._decode_request(message)
            assert isinstance(request, link.Commit)
            got.append((request.mutation, bytes(body)))

    old = link.RECEIVE_BYTES
    link.RECEIVE_BYTES = 1000
    try:
        side = Side()
    finally:
        link.RECEIVE_BYTES = old
    sent = [(part(n), bytes([n]) * size) for n, size in enumerate(bodies)]
    stream = b"".join(_frame(mutation, body) for mutation, body in sent)
    position, sizes = 0, iter(cuts)
    while position < len(stream):
        room = side.get_buffer(-1)
        count = min(len(room), next(sizes, 700), len(stream) - position)
        room[:count] = stream[position : position + count]
        side.buffer_updated(count)
        position += count
    assert got == sent


def _frame(mutation: Mutation, body: bytes) -> bytes:
    packed = link._encode(link.Commit(1, mutation))
    return struct.pack(">II", 4 + len(packed) + len(body), len(packed)) + packed + body
