"""Processes end together, come back alone, and stop when told to, finishing what is under way."""

from __future__ import annotations

import random
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from .client import Client, target_of
from .ledger import BUCKET, Ledger, check
from .load import Load
from .node import Node, alive, wait_until


def test_what_a_killed_supervisor_started_ends_and_leaves_everything_free(
    make_node: Callable[..., Node], seed: int
) -> None:
    node = make_node(console="true").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    for _ in range(3):
        port = node.port
        with load.running():
            load.goes_on(20)
            children = node.children()
            assert len(children) >= 4, "a committer, a steward and two workers"
            node.kill()
        wait_until(lambda ids=children: not alive(ids), "children end")  # type: ignore[misc]
        # The port, the folder's locks and its sockets: the next start takes them as they are.
        node.start(port)
        assert node.port == port
        assert node.command("status")["engine"] == "drives"
        check(node, ledger)


def test_the_next_start_need_not_wait_for_what_the_killed_supervisor_started(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(console="true").start()
    for _ in range(3):
        node.kill()
        node.start(node.port)
    assert Client(node).put(BUCKET, "after", b"all that").status == 200


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_ends_is_started_again_and_service_goes_on(
    make_node: Callable[..., Node], seed: int, how: signal.Signals
) -> None:
    """SIGTERM, too, when it is not the supervisor that says it."""
    node = make_node(console="true", seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    for role, count in (("committer", 1), ("worker", 2), ("steward", 1)):
        wait_until(lambda r=role, n=count: len(node.roles()[r]) == n, f"{role} runs")  # type: ignore[misc]
        before = set(node.roles()[role])
        with load.running():
            load.goes_on(20)
            for pid in before:
                node.signal(pid, how)
            wait_until(
                lambda r=role, b=before, n=count: len(set(node.roles()[r]) - b) == n,  # type: ignore[misc]
                f"every {role} is started again",
            )
            load.goes_on(60)
        assert node.running, node.tail()
        check(node, ledger)
    # The steward's work goes on too: what was written gets sealed, now by request.
    wait_until(lambda: node.roles()["steward"], "a steward runs")
    node.command("seal", "--now")
    check(node, ledger)


def test_a_committer_that_is_killed_as_it_starts_is_started_again(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node(console="true").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(20)
        for _ in range(2):
            before = node.children()
            node.signal(node.roles()["committer"][0])
            node.kill_next(before, chance.uniform(0, 0.3))
            load.goes_on(40)
    assert node.running, node.tail()
    check(node, ledger)


def test_workers_come_back_to_serve_reads_though_the_committer_does_not_answer(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(console="true").start()
    body = chance.randbytes(3 << 20)
    for turn in range(8):  # So many connections reach every worker: each leaves a chunk open.
        assert Client(node).put(BUCKET, f"large {turn}", body).status == 200
    roles = node.roles()
    (committer,) = roles["committer"]
    node.signal(committer, signal.SIGSTOP)
    for pid in roles["worker"]:
        node.signal(pid)
    for turn in range(8):
        assert Client(node).get(BUCKET, f"large {turn}").body == body
    node.signal(committer, signal.SIGCONT)
    assert Client(node).put(BUCKET, "after", b"the pause").status == 200
    assert node.stop() == 0, node.tail()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_finishes_the_uploads_under_way_and_ends_with_zero(
    make_node: Callable[..., Node], chance: random.Random, how: signal.Signals
) -> None:
    node = make_node(console="true").start()
    bodies = {"small": chance.randbytes(300_000), "large": chance.randbytes(6 << 20)}
    uploads = [_SlowUpload(node, key, body) for key, body in bodies.items()]
    for upload in uploads:
        upload.begin()
    with ThreadPoolExecutor() as pool:
        code = pool.submit(node.stop, how)
        answers = list(pool.map(_SlowUpload.go_on, uploads))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers), (answers, node.tail())
    assert code.result() == 0, node.tail()
    assert "Traceback" not in node.tail()
    node.start()
    for key, body in bodies.items():
        assert Client(node).get(BUCKET, key).body == body


def test_a_stop_under_load_loses_nothing_and_ends_with_zero(
    make_node: Callable[..., Node], seed: int
) -> None:
    node = make_node(console="true", seal_after="1").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    with load.running():
        load.goes_on(100)
        code = node.stop()
    assert code == 0, node.tail()
    node.start()
    check(node, ledger)


def test_an_upload_that_never_ends_does_not_hold_up_a_stop_for_ever(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(console="true", drain_timeout="2").start()
    upload = _SlowUpload(node, "never", bytes(100_000))
    upload.begin()
    assert node.stop() == 0, node.tail()
    upload.close()
    node.start()
    assert Client(node).get(BUCKET, "never").status == 404


class _SlowUpload:
    """A PUT of which half was sent before the stop, the rest in pieces after it."""

    def __init__(self, node: Node, key: str, body: bytes) -> None:
        self._node = node
        self._body = body
        self._target = target_of(BUCKET, key)
        self._connection = socket.create_connection(("127.0.0.1", node.port), timeout=60)

    def begin(self) -> None:
        headers = Client(self._node).signed("PUT", self._target, self._body)
        lines = [f"PUT {self._target} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        half = len(self._body) // 2
        self._connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._connection.sendall(self._body[:half])
        # On this host's one kernel the worker has it once it has read it all.
        wait_until(lambda: _unread(self._connection) == 0, "the worker takes the first half")

    def go_on(self) -> bytes:
        rest = memoryview(self._body)[len(self._body) // 2 :]
        size = len(rest) // 10 + 1
        for start in range(0, len(rest), size):
            time.sleep(0.1)  # A slow client: it is still sending when everything else has stopped.
            self._connection.sendall(rest[start : start + size])
        answer = self._connection.recv(65536)
        self.close()
        return answer

    def close(self) -> None:
        self._connection.close()


def _unread(connection: socket.socket) -> int:
    """Bytes that the other side has not read yet, from the kernel's table of connections."""
    port = connection.getsockname()[1]
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if int(fields[2].rsplit(":", 1)[1], 16) == port:
                return int(fields[4].split(":")[1], 16)
    return 0
