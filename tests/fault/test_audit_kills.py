"""Whatever is killed, and when: no record of an answered change or refusal is missing, and of reads
only those of the last moment."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coffre.cli.complaint import Complaint

from .client import Client, Lost, Unsent
from .conftest import LONG
from .ledger import BUCKET
from .node import Node, alive, wait_until

KILLS = 40 if LONG else 4
CLIENTS = 3
VICTIMS = ("committer", "worker", "supervisor", "all children")
# Half a second until they are sent, a committer's start, and a slow machine.
READS_FOLLOW_S = 60.0


class Asked:
    """What clients were answered: request ids, of reads with the moment of their answer."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._end = threading.Event()
        self.changed: set[str] = set()
        self.refused: set[str] = set()
        self.read: dict[str, float] = {}

    def run(self, number: int) -> None:
        client, turn = Client(self._node), 0
        while not self._end.is_set():
            turn += 1
            try:
                key = f"{number}-{turn}"
                answer = client.put(BUCKET, key, b"x" * 64)
                if answer.status == 200:
                    self.changed.add(answer.headers["x-amz-request-id"])
                    answer = client.get(BUCKET, key)
                    if answer.status == 200:
                        self.read[answer.headers["x-amz-request-id"]] = time.monotonic()
                answer = client.get(BUCKET, f"{key}-never")
                # What could not be recorded is answered with 503, and may be.
                if answer.status == 404:
                    self.refused.add(answer.headers["x-amz-request-id"])
            except (Lost, Unsent):
                time.sleep(0.02)
        client.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._end.clear()
        threads = [threading.Thread(target=self.run, args=(n,)) for n in range(CLIENTS)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._end.set()
            for one in threads:
                one.join()

    def goes_on(self, changes: int) -> None:
        wanted = len(self.changed) + changes
        wait_until(lambda: len(self.changed) >= wanted, "clients are answered")


def test_no_record_of_an_answered_change_or_refusal_is_lost(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node().start()
    asked = Asked(node)
    killed: list[float] = []
    for turn in range(KILLS):
        victim = VICTIMS[turn % len(VICTIMS)]
        with asked.running():
            asked.goes_on(20)
            time.sleep(chance.uniform(0, 0.4))
            _kill(node, victim, chance)
            killed.append(time.monotonic())
            if victim != "supervisor":
                asked.goes_on(20)
        if victim == "supervisor":
            # All of it comes back with the log.
            node.forget_catalog()
            node.start()
    assert node.stop() == 0, node.tail()
    records = _records(node.start())
    told = {one["request_id"] for one in records if one["status"] < 400}
    refused = {one["request_id"] for one in records if one["status"] == 404}
    assert len(asked.changed) > 20 * KILLS
    assert asked.changed - told == set()
    assert asked.refused - refused == set()
    missing = [at for request_id, at in asked.read.items() if request_id not in told]
    # While a committer comes back, reads wait for it: what is killed then takes them with it.
    assert all(any(at <= kill <= at + READS_FOLLOW_S for kill in killed) for at in missing)
    assert len(missing) < len(asked.read)
    # Every process that came says so; those that were killed never said that they stopped.
    told_of = Counter(one["operation"] for one in records)
    assert told_of["process.start"] > told_of["process.stop"]


def _kill(node: Node, victim: str, chance: random.Random) -> None:
    if victim == "supervisor":
        children = node.children()
        node.kill()
        wait_until(lambda: not alive(children), "children end with their supervisor", 10)
        return
    if victim == "all children":
        pids = node.children()
    else:
        wait_until(lambda: node.roles()[victim], f"a {victim} runs")
        pids = [chance.choice(node.roles()[victim])]
    for pid in pids:
        node.signal(pid)


def _records(node: Node) -> list[dict[str, Any]]:
    """All records of the audit, whose chain is whole."""
    wait_until(lambda: _answers(node), "the audit is read", every=0.1)
    found = node.ask("audit.verify")
    assert (found["verdict"], found["problems"]) == ("whole", [])
    records: list[dict[str, Any]] = []
    after = None
    while True:
        page = node.ask("audit.export_page", after=after)
        records += page["records"]
        after = page["next"]
        if after is None:
            return records


def _answers(node: Node) -> bool:
    """Does the process that reads the audit run by now?"""
    try:
        node.ask("audit.status")
    except Complaint:
        return False
    return True
