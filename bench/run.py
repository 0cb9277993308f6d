"""Runs scenarios: prepares what they need, then measures all sides in turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.disk import md5_rate, sync_loop
from bench.machine import cores
from bench.measure import COFFRE, Measured, Rounds, alternate
from bench.scenarios import Operation, Reference, Scale, Scenario, size_text
from bench.servers import Coffre
from bench.signing import Request, Signer
from bench.transfers import connect, exchange, fill, run_transfers
from bench.wrk import run_wrk, write_requests

_READ_BACK = 8
# wrk takes a request before it connects, to see how many are in it, and never sends that one.
_UNSENT = 1
_LISTED_BODY = 64

Load = Callable[[str], Measured]


class Bench:
    """One Coffre, one bare answer, one folder on their disk, and the scenarios between them."""

    def __init__(self, coffre: Coffre, bare: str, folder: Path, scale: Scale) -> None:
        self._coffre = coffre
        self._bare = bare
        self._folder = folder
        self._scale = scale
        self._signer = Signer(coffre.endpoint, coffre.access_key, coffre.secret_key, coffre.region)
        self._filled: dict[tuple[Operation, int], str] = {}
        self._body = random.Random(1).randbytes

    def measure(self, scenario: Scenario) -> Rounds:
        """All rounds of a scenario. Raises what servers and load generators raise."""
        body = self._body(scenario.body_bytes) if scenario.operation == "PUT" else b""
        bucket = self._bucket(scenario)
        load = self._transfers if scenario.streams else self._requests
        sides: dict[str, Callable[[], Measured]] = {
            COFFRE: lambda: load(scenario, bucket, body, self._coffre.endpoint)
        }
        for reference in scenario.references:
            sides[reference] = self._reference(
                reference, scenario, lambda: load(scenario, bucket, body, self._bare)
            )
        return alternate(sides, self._scale.rounds)

    def prepare(self, scenario: Scenario) -> None:
        """Have ready what a round reads."""
        self._bucket(scenario)

    def round(self, scenario: Scenario) -> Measured:
        """One round of a scenario of small bodies, of Coffre alone."""
        body = self._body(scenario.body_bytes) if scenario.operation == "PUT" else b""
        return self._requests(scenario, self._bucket(scenario), body, self._coffre.endpoint)

    def _reference(
        self, reference: Reference, scenario: Scenario, bare: Callable[[], Measured]
    ) -> Callable[[], Measured]:
        if reference == "bare answer":
            return bare
        seconds = self._scale.seconds
        if reference == "bare MD5":
            streams = min(scenario.clients, cores())
            return lambda: md5_rate(streams, seconds)
        size, group = scenario.body_bytes, scenario.clients
        return lambda: sync_loop(self._folder, size, group, seconds)

    def _requests(self, scenario: Scenario, bucket: str, body: bytes, url: str) -> Measured:
        """A round by wrk. New keys every round for a PUT, whose answers are then checked."""
        requests = self._signed(scenario, bucket, scenario.keys)
        write_requests(self._folder, requests, body)
        measured = run_wrk(self._folder, url, scenario.clients, self._scale.seconds)
        if url == self._coffre.endpoint:
            self._check(requests[_UNSENT : _UNSENT + _READ_BACK], body)
        return measured

    def _transfers(self, scenario: Scenario, bucket: str, body: bytes, url: str) -> Measured:
        """A round by our own connections, which move a fixed number of bodies."""
        requests = self._signed(scenario, bucket, self._scale.transfers * scenario.clients)
        return run_transfers(url, requests, body, scenario.clients)

    def _check(self, requests: Sequence[Request], body: bytes) -> None:
        """What was PUT reads back; what is read or listed is answered. Raises Refused,
        RuntimeError."""
        connection = connect(self._coffre.endpoint)
        for request in requests:
            read = self._signer.sign("GET", request.target)
            if (said := exchange(connection, read)) != body and body:
                raise RuntimeError(f"{request.target}: {len(said)} bytes that were not written")
        connection.close()

    def _signed(self, scenario: Scenario, bucket: str, count: int) -> list[Request]:
        sign = self._signer.sign
        if scenario.operation == "PUT":
            length, mark = scenario.body_bytes, random.randbytes(4).hex()
            return [
                sign("PUT", f"/{bucket}/{mark}/object-{n:06}", length=length) for n in range(count)
            ]
        if scenario.operation == "GET":
            return [
                sign(
                    "GET",
                    f"/{bucket}/object-{n % self._stored(scenario):06}",
                    answer=scenario.body_bytes,
                )
                for n in range(count)
            ]
        step = (scenario.body_bytes - 1000) // count
        answer = self._page_bytes(bucket)
        return [
            sign("GET", f"/{bucket}?list-type=2&start-after=object-{n * step:06}", answer=answer)
            for n in range(count)
        ]

    def _bucket(self, scenario: Scenario) -> str:
        """The scenario's bucket, holding what it reads; shared by scenarios of equal bodies."""
        kind = (scenario.operation, scenario.body_bytes)
        if kind not in self._filled:
            size = scenario.body_bytes
            what = str(size) if scenario.operation == "LIST" else size_text(size).lower()
            name = f"{scenario.operation.lower()}-{what}"
            exchange(connect(self._coffre.endpoint), self._signer.sign("PUT", f"/{name}"))
            if scenario.operation != "PUT":
                self._fill(scenario, name)
            self._filled[kind] = name
        return self._filled[kind]

    def _fill(self, scenario: Scenario, bucket: str) -> None:
        """Objects to read, sealed as they are a minute after any PUT."""
        listed = scenario.operation == "LIST"
        length = _LISTED_BODY if listed else scenario.body_bytes
        count = scenario.body_bytes if listed else self._stored(scenario)
        keys = (f"/{bucket}/object-{number:06}" for number in range(count))
        requests = [self._signer.sign("PUT", key, length=length) for key in keys]
        clients = 4 if scenario.streams else 16
        fill(self._coffre.endpoint, requests, self._body(length), clients)
        self._coffre.seal()

    def _stored(self, scenario: Scenario) -> int:
        """How many objects a GET goes through."""
        return 8 if scenario.streams else min(scenario.keys, 4096)

    def _page_bytes(self, bucket: str) -> int:
        request = self._signer.sign("GET", f"/{bucket}?list-type=2&start-after=object-001000")
        return len(exchange(connect(self._coffre.endpoint), request))
