"""What a client is told when something behind the gateway fails."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from http.client import IncompleteRead
from typing import Any

import pytest

from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.mutations import CreateBucket, Mutation, Refusal, Result
from coffre.s3.services import Services
from coffre.system.buffer import Buffer
from coffre.testing.server import MemoryServer
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.records import Blob
from tests.protocol.wire_client import WireClient, read_answer, render, until


class FailingCommitter:
    """Commits buckets, and fails with what `failure` makes at everything else."""

    def __init__(self, services: Services, failure: Callable[[], Exception]) -> None:
        self._committer = services.committer
        self._failure = failure

    async def commit(self, mutation: Mutation, body: Sequence[Buffer] = ()) -> Result:
        if isinstance(mutation, CreateBucket):
            return await self._committer.commit(mutation, body)
        raise self._failure()

    async def commit_all(self, mutations: Sequence[Mutation]) -> list[Any]:
        raise self._failure()


class FailingVault:
    """Reads `served` bytes of an object and then meets lost data; writers are the real ones."""

    def __init__(self, services: Services, served: int) -> None:
        self._vault = services.vault
        self._served = served

    def writer(self, key_id: bytes, data_key: bytes, *, size_hint: int | None) -> Any:
        return self._vault.writer(key_id, data_key, size_hint=size_hint)

    async def read(self, blob: Blob, data_key: bytes, start: int, end: int) -> AsyncIterator[bytes]:
        if self._served:
            yield bytes(self._served)
        raise DataLost("5 of 16 segments are gone")

    async def read_whole(self, blob: Blob, data_key: bytes, start: int, end: int) -> bytes:
        return b"".join([piece async for piece in self.read(blob, data_key, start, end)])


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (CommitUnknown, 503, "ServiceUnavailable"),
        (CommitterBusy, 503, "SlowDown"),
        (lambda: StorageFull("no drive has room"), 507, "InsufficientStorage"),
        (lambda: Refusal("NoSuchBucket"), 404, "NoSuchBucket"),
        (lambda: Refusal("SomethingNew"), 500, "InternalError"),
        (lambda: RuntimeError("a secret detail"), 500, "InternalError"),
    ],
)
def test_a_failed_commit_is_answered(
    failure: Callable[[], Exception], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "coffre.s3")

    def change(services: Services) -> Services:
        return replace(services, committer=FailingCommitter(services, failure), audit=None)

    with MemoryServer(change=change) as server:
        wire = WireClient(server.port, server.user)
        assert wire.send("PUT", "/bucket").status == 200
        answer = wire.send("PUT", "/bucket/k", b"x")
        assert (answer.status, answer.code) == (status, code)
        assert b"secret detail" not in answer.body
        if code == "SlowDown":
            assert answer.headers["retry-after"] == "1"
        if code == "InternalError":
            assert answer.headers["x-amz-request-id"] in caplog.text
        assert wire.send("HEAD", "/bucket/k").status == 404


def lost(served: int) -> MemoryServer:
    return MemoryServer(
        change=lambda services: replace(services, vault=FailingVault(services, served))
    )


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_lost_data_is_an_outage_and_says_which(size: int) -> None:
    with lost(0) as server:
        wire = WireClient(server.port, server.user)
        wire.send("PUT", "/bucket")
        wire.send("PUT", "/bucket/k", bytes(size))
        answer = wire.send("GET", "/bucket/k")
        assert (answer.status, answer.code) == (503, "ServiceUnavailable")
        assert "drives" in answer.field("Message")
        assert wire.send("DELETE", "/bucket/k").status == 204


def test_an_answer_that_breaks_off_ends_short() -> None:
    with lost(1 << 20) as server:
        wire = WireClient(server.port, server.user)
        wire.send("PUT", "/bucket")
        wire.send("PUT", "/bucket/k", bytes(3 << 20))
        with pytest.raises(IncompleteRead):
            wire.send("GET", "/bucket/k")
        wire.send("GET", "/")
        broken = next(event for event in server.events if event.operation == "GetObject")
        assert (broken.status, broken.error) == (200, "ResponseInterrupted")


def test_a_busy_committer_is_known_before_the_body_is_read() -> None:
    def refuse(operation: str, client: str, bucket: str | None) -> None:
        if operation == "PutObject":
            raise CommitterBusy

    with MemoryServer(change=lambda services: replace(services, admit=refuse)) as server:
        wire = WireClient(server.port, server.user)
        wire.send("PUT", "/bucket")
        headers = {"Content-Length": "1000000", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        head = render("PUT", "/bucket/k", wire.signed("PUT", "/bucket/k", b"", headers))
        with wire.connect() as connection:
            connection.sendall(head)
            answer = read_answer(connection)
        assert (answer.status, answer.code) == (503, "SlowDown")
        assert wire.send("GET", "/bucket").status == 200


def test_a_client_that_leaves_stops_its_download(server: MemoryServer, s3: Any) -> None:
    s3.create_bucket(Bucket="left-alone")
    s3.put_object(Bucket="left-alone", Key="k", Body=bytes(64 << 20))
    wire = WireClient(server.port, server.user)
    with wire.connect() as connection:
        head = render("GET", "/left-alone/k", wire.signed("GET", "/left-alone/k"))
        connection.sendall(head)
        connection.recv(1000)
    left = until(lambda: [one for one in server.events if one.error == "ClientDisconnected"])
    assert left[0].operation == "GetObject"
    assert left[0].bytes_out < 64 << 20
