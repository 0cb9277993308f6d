"""What is taken away is gone when the command has answered: in every worker, in the middle of a
stream of requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from coffre.cli.client import running
from coffre.config import Settings
from coffre.testing.server import Credentials
from tests.fault.node import Node, wait_until
from tests.protocol.wire_client import WireClient

STREAMS = 6
ENOUGH = 10
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "ann"},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::box/*",
        }
    ],
}


class Served:
    """A node of two workers with a bucket of the store, and `ann`, who has no right yet."""

    def __init__(self, node: Node) -> None:
        self._settings = Settings(data=str(node.data))
        self._node = node
        self.operator("store.create", name="shop")
        self.operator("bucket.create", name="box", store="shop")
        writer = self._user("writer")
        self.operator("bucket.role.grant", bucket="box", user="writer", role="writer")
        assert WireClient(self.port, writer).send("PUT", "/box/k", b"bytes").status == 200
        self.ann = self._user("ann")

    @property
    def port(self) -> int:
        return self._node.port

    def start_again(self) -> None:
        assert self._node.stop() == 0, self._node.tail()
        self._node.start()

    def operator(self, operation: str, **arguments: Any) -> Any:
        with running(self._settings) as door:
            assert door is not None, "the node runs"
            return door.call(operation, arguments)

    def _user(self, label: str) -> Credentials:
        made = self.operator("user.create", store="shop", label=label)
        return Credentials("shop", made["id"], label, made["access_key"], made["secret_key"])

    def status(self, user: Credentials | None = None) -> int:
        return WireClient(self.port, user or self.ann).send("GET", "/box/k").status


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    node = Node(tmp_path_factory.mktemp("revocation") / "data", workers="2").start()
    try:
        yield Served(node)
    finally:
        node.kill()


class Stream:
    """One client that asks again and again on one connection: when each request began, and its
    status."""

    def __init__(self, port: int, user: Credentials) -> None:
        self._port = port
        self._headers = WireClient(port, user).signed("GET", "/box/k")
        self._ended = threading.Event()
        self.answers: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ended.is_set():
            began = time.monotonic()
            connection.request("GET", "/box/k", headers=self._headers)
            response = connection.getresponse()
            response.read()
            self.answers.append((began, response.status))
        connection.close()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def streams(served: Served, user: Credentials) -> Iterator[list[Stream]]:
    with ExitStack() as held:
        made = [Stream(served.port, user) for _ in range(STREAMS)]
        for one in made:
            held.callback(one.end)
        yield made


def taken_away(served: Served, user: Credentials, take: Callable[[], Any]) -> None:
    """Assert that no request that began after `take` had answered was served."""
    with streams(served, user) as made:
        wait_until(lambda: all(len(one.answers) >= ENOUGH for one in made), "all are served")
        take()
        answered = time.monotonic()
        before = [len(one.answers) for one in made]
        wait_until(
            lambda: all(
                len(one.answers) >= seen + ENOUGH for one, seen in zip(made, before, strict=True)
            ),
            "all asked again",
        )
    statuses = [status for one in made for began, status in one.answers if began > answered]
    assert len(statuses) >= STREAMS
    assert set(statuses) == {403}
    assert all(one.answers[0][1] == 200 for one in made)


RIGHTS: dict[str, tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, dict[str, Any]]]]] = {
    "a role": (
        [("bucket.role.grant", {"bucket": "box", "user": "ann", "role": "reader"})],
        [("bucket.role.revoke", {"bucket": "box", "user": "ann"})],
    ),
    "a policy": (
        [("policy.set", {"bucket": "box", "policy": json.dumps(POLICY)})],
        [("policy.remove", {"bucket": "box"})],
    ),
    "an unlocked user": (
        [
            ("user.unlock", {"user": "ann"}),
            ("bucket.role.grant", {"bucket": "box", "user": "ann", "role": "reader"}),
        ],
        [("user.lock", {"user": "ann"})],
    ),
    "an open store": (
        [("store.unlock", {"name": "shop"}), ("user.unlock", {"user": "ann"})],
        [("store.lock", {"name": "shop"})],
    ),
    "a network": (
        [
            ("store.unlock", {"name": "shop"}),
            ("bucket.network", {"name": "box", "network": "private"}),
        ],
        [("bucket.network", {"name": "box", "network": "custom", "addresses": ["192.0.2.1"]})],
    ),
}


@pytest.fixture
def named(served: Served) -> str:
    """The policy names ann by her access key."""
    return served.ann.access_key


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_is_taken_away_serves_no_request_that_begins_later(
    served: Served, named: str, right: str
) -> None:
    give, take = RIGHTS[right]

    def all_of(operations: list[tuple[str, dict[str, Any]]]) -> None:
        for operation, arguments in operations:
            told = {**arguments}
            if "policy" in told:
                told["policy"] = told["policy"].replace('"ann"', f'"{named}"')
            served.operator(operation, **told)

    all_of(give)
    assert served.status() == 200
    taken_away(served, served.ann, lambda: all_of(take))


def test_a_secret_whose_grace_is_ended_signs_no_request_that_begins_later(served: Served) -> None:
    served.operator("bucket.network", name="box", network="private")
    key = served.ann.access_key
    made = served.operator("user.rotate", access_key=key, grace_seconds=3600)
    old = served.ann
    served.ann = Credentials("shop", old.id, old.label, key, made["secret_key"])
    assert served.status() == served.status(old) == 200
    ends = {"access_key": key, "end_grace": True}
    taken_away(served, old, lambda: served.operator("user.rotate", **ends))
    assert served.status() == 200


def test_a_key_that_is_deactivated_or_deleted_signs_no_request_that_begins_later(
    served: Served,
) -> None:
    key = served.ann.access_key
    taken_away(
        served, served.ann, lambda: served.operator("user.key.set", access_key=key, active=False)
    )
    served.operator("user.key.set", access_key=key, active=True)
    taken_away(served, served.ann, lambda: served.operator("user.key.delete", access_key=key))


def test_a_worker_that_ends_writes_down_which_keys_it_saw(served: Served) -> None:
    made = served.operator("user.create", store="shop", label="late")
    late = Credentials("shop", made["id"], "late", made["access_key"], made["secret_key"])
    assert served.status(late) == 403  # It may not, but who it is was verified.
    served.start_again()
    (key,) = served.operator("user.show", user="late")["keys"]
    # Rows are stamped by a clock that may be a moment ahead of the wall's.
    assert key["last_used_ms"] >= key["created_ms"] - 1000
