"""Many clients at once on the same keys: one wins where one may, and no key is ever broken."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, local
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from .client import Answer, Client, target_of
from .ledger import BUCKET
from .node import Keys, Node, copy_of

LONG = os.environ.get("COFFRE_LONG") == "1"
CLIENTS = 32
ROUNDS = 1000 if LONG else 50
UPLOADS = 300 if LONG else 20
STEPS = 400 if LONG else 15
KEYS = [f"contested/{i}" for i in range(4)]
LOST = {409, 412}


class Crowd:
    """`CLIENTS` clients of one node, each with a connection of its own."""

    def __init__(self, node: Node) -> None:
        self._mine = local()
        self._node = node
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._start = Barrier(CLIENTS)

    def __call__(self, act: Callable[[Client, int], Answer]) -> list[Answer]:
        """All act at once; their answers in order."""
        return list(self._pool.map(lambda n: self._act(act, n), range(CLIENTS)))

    def each(self, act: Callable[[Client, int], None]) -> None:
        """All act, each on its own until it is done; the first failure is raised."""
        for _ in self._pool.map(lambda n: act(self._client(), n), range(CLIENTS)):
            pass

    def close(self) -> None:
        self._pool.shutdown()

    def _act(self, act: Callable[[Client, int], Answer], number: int) -> Answer:
        client = self._client()
        self._start.wait(60)
        return act(client, number)

    def _client(self) -> Client:
        if not hasattr(self._mine, "client"):
            self._mine.client = Client(self._node)
        client: Client = self._mine.client
        return client


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, template: tuple[Path, Keys]) -> Iterator[Node]:
    data = tmp_path_factory.mktemp("races") / "data"
    copy_of(template[0], data)
    node = Node(data, template[1], workers="4").start()
    yield node
    node.kill()


@pytest.fixture(scope="module")
def crowd(node: Node) -> Iterator[Crowd]:
    crowd = Crowd(node)
    yield crowd
    crowd.close()


def test_of_all_that_write_if_absent_one_wins(node: Node, crowd: Crowd) -> None:
    client = Client(node)
    absent = {"If-None-Match": "*"}
    for number in range(ROUNDS):
        target = target_of(BUCKET, f"once/{number}")
        answers = crowd(
            lambda client, n, target=target: client.send(  # type: ignore[misc]
                "PUT", target, f"client {n}".encode(), absent
            )
        )
        counted = Counter(answer.status for answer in answers)
        assert counted.pop(200) == 1
        assert counted.keys() <= LOST
        winner = next(n for n, answer in enumerate(answers) if answer.status == 200)
        found = client.send("GET", target)
        assert found.body == f"client {winner}".encode()
        assert found.etag == answers[winner].etag


def test_of_all_that_replace_what_they_saw_one_wins(node: Node, crowd: Crowd) -> None:
    client = Client(node)
    target = target_of(BUCKET, "seen")
    etag = client.send("PUT", target, b"first").etag
    for number in range(ROUNDS // 2):
        seen = {"If-Match": f'"{etag}"'}
        answers = crowd(
            lambda client, n, number=number, seen=seen: client.send(  # type: ignore[misc]
                "PUT", target, f"{number} {n}".encode(), seen
            )
        )
        won = [answer for answer in answers if answer.status == 200]
        assert len(won) == 1
        assert {answer.status for answer in answers} <= {200, *LOST}
        etag = client.send("GET", target).etag
        assert etag == won[0].etag


def test_an_upload_is_completed_or_aborted_and_never_both(node: Node, crowd: Crowd) -> None:
    client = Client(node)
    ends: Counter[str] = Counter()
    for number in range(UPLOADS):
        key = f"ended/{number}"
        body = random.Random(number).randbytes(1000)
        upload = Upload(client, key, body)
        answers = crowd(
            lambda client, n, upload=upload: (  # type: ignore[misc]
                upload.abort(client) if n % 8 == 7 else upload.complete(client)
            )
        )
        completed = [one for n, one in enumerate(answers) if n % 8 != 7 and not failed(one)]
        aborted = [one for n, one in enumerate(answers) if n % 8 == 7 and one.status == 204]
        found = client.get(BUCKET, key)
        if completed:
            assert found.body == body
            assert {etag_of(one) for one in completed} == {found.etag}
            ends["completed"] += 1
        else:
            assert aborted
            assert found.status == 404
            ends["aborted"] += 1
        for one in answers:
            assert one.status in {200, 204, 404} or one.code == "OperationAborted", one
    assert sum(ends.values()) == UPLOADS


def test_no_race_leaves_a_broken_key(node: Node, crowd: Crowd) -> None:
    def busy(client: Client, number: int) -> None:
        chance = random.Random(number)
        for _ in range(STEPS):
            key = chance.choice(KEYS)
            answer = one_of(client, chance, key)
            assert answer.status < 500 or answer.status == 503, answer
            check(client.get(BUCKET, chance.choice(KEYS)))

    crowd.each(busy)
    client = Client(node)
    for listed in client.listing(BUCKET):
        found = client.get(BUCKET, listed.key)
        assert found.status == 200
        assert (len(found.body), found.etag) == (listed.size, listed.etag)
        check(found)
    assert node.stop() == 0
    node.start()
    for listed in Client(node).listing(BUCKET):
        check(Client(node).get(BUCKET, listed.key))


class Upload:
    """A multipart upload with its one part sent."""

    def __init__(self, client: Client, key: str, body: bytes) -> None:
        self._target = target_of(BUCKET, key)
        begun = client.send("POST", f"{self._target}?uploads=")
        root = ElementTree.fromstring(begun.body)
        found = next(one.text for one in root if one.tag.endswith("UploadId"))
        assert found is not None
        self._id = f"uploadId={quote(found, safe='')}"
        sent = client.send("PUT", f"{self._target}?partNumber=1&{self._id}", body)
        self._document = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{sent.etag}</ETag></Part></CompleteMultipartUpload>"
        ).encode()

    def complete(self, client: Client) -> Answer:
        return client.send("POST", f"{self._target}?{self._id}", self._document)

    def abort(self, client: Client) -> Answer:
        return client.send("DELETE", f"{self._target}?{self._id}")


def one_of(client: Client, chance: random.Random, key: str) -> Answer:
    """Something that changes the key."""
    target = target_of(BUCKET, key)
    body = chance.randbytes(chance.choice([0, 100, 40_000, 2_000_000]))
    kind = chance.random()
    if kind < 0.35:
        return client.send("PUT", target, body)
    if kind < 0.5:
        return client.send("DELETE", target)
    if kind < 0.7:
        source = {"x-amz-copy-source": target_of(BUCKET, chance.choice(KEYS))}
        return client.send("PUT", target, b"", source)
    upload = Upload(client, key, body)
    return upload.complete(client) if kind < 0.9 else upload.abort(client)


def check(found: Answer) -> None:
    """What is there is whole, and its ETag is that of these bytes, sent at once or as one part."""
    if found.status == 404:
        return
    assert found.status == 200, found
    assert int(found.headers["content-length"]) == len(found.body)
    digest = hashlib.md5(found.body)
    parts = f"{hashlib.md5(digest.digest()).hexdigest()}-1"
    assert found.etag in {digest.hexdigest(), parts}


def failed(answer: Answer) -> bool:
    """A completion may fail behind a status of 200."""
    return answer.status != 200 or b"<Error>" in answer.body


def etag_of(completed: Answer) -> str:
    root = ElementTree.fromstring(completed.body)
    found: Any = next(one.text for one in root if one.tag.endswith("ETag"))
    return str(found).strip('"')
