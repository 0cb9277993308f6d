"""How fast lost segments are made anew, and what clients notice of it: with the cap and without.

Twenty drives in five racks, one rack of which goes for good: the other sixteen have a place for all
that it held. Clients get and put objects of 4 KiB and of 1 MiB, all at once: first beside nothing,
then beside repair. When they have gone, repair goes on alone until its recount finds nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.scenarios import KIB, MIB, Operation, size_text
from bench.servers import Coffre, coffre
from bench.signing import Request, Signer
from bench.transfers import Refused, connect, exchange, fill
from coffre.cli.client import SocketDoor, running
from coffre.config import Settings

_RACKS = 5
# Two clients for each of them, all at once.
_LOADS: tuple[tuple[Operation, int], ...] = (
    ("GET", 4 * KIB),
    ("PUT", 4 * KIB),
    ("GET", MIB),
    ("PUT", MIB),
)
_CLIENTS = 2
_READ = 256
_NO_CAP = 1 << 40
_LOOK_S = 0.05
_PATIENCE_S = 600.0


@dataclass(frozen=True)
class Latency:
    """Of one kind of request: how many a second, milliseconds."""

    load: str
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class RepairRun:
    """`cap`: bytes a second, None: none. Rates in MiB a second of rebuilt segments; `alone` is None
    if repair was over before the clients were."""

    cap: int | None
    lost_mib: float
    alone: float | None
    beside: float
    quiet: list[Latency]
    disturbed: list[Latency]


def repairs(folder: Path, mib: int, seconds: float) -> list[RepairRun]:
    """Put `mib` MiB, seal, lose a rack, repair; each load lasts so many seconds. Raises
    RuntimeError when the last recount does not find everything where it must be."""
    caps = (Settings().repair_rate, None)
    return [_run(folder / f"repair-{number}", cap, mib, seconds) for number, cap in enumerate(caps)]


def _run(folder: Path, cap: int | None, mib: int, seconds: float) -> RepairRun:
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "coffre.toml").write_text(_configuration(data, cap))
    with coffre(data, folder / "log") as node:
        _Clients(node).prepare(mib)
        node.seal()
    # What stood open for more is closed by a start.
    with coffre(data, folder / "log", node) as node:
        clients = _Clients(node)
        with clients.at_work() as quiet:
            time.sleep(seconds)
        lost = [drive for drive in (data / "drives").iterdir() if drive.name.startswith("r1")]
        size = sum(path.stat().st_size for drive in lost for path in drive.rglob("*.segment"))
        for drive in lost:
            drive.rename(folder / drive.name)
        with _door(data) as door:
            begun = _until(door, lambda left: left > 0)
            with clients.at_work() as disturbed:
                began = time.monotonic()
                left = _until(door, lambda left: left == 0, seconds)
                beside = (begun - left) / (time.monotonic() - began)
            alone = _alone(door) if left else None
            _is_whole(door)
    return RepairRun(
        cap,
        size / MIB,
        alone,
        beside / MIB,
        quiet.latencies(),
        disturbed.latencies(),
    )


def _configuration(data: Path, cap: int | None) -> str:
    places = [(f"r{rack}n{node}", f"r{rack}") for rack in range(1, _RACKS + 1) for node in (1, 2)]
    tables = [
        f'[[drives]]\npath = "{data}/drives/{node}d{drive}"\nnode = "{node}"\nrack = "{rack}"\n'
        for node, rack in places
        for drive in (1, 2)
    ]
    return f"repair_rate = {cap or _NO_CAP}\n" + "".join(tables)


@contextmanager
def _door(data: Path) -> Iterator[SocketDoor]:
    with running(Settings(data=str(data))) as door:
        if door is None:
            raise RuntimeError("the node does not run")
        yield door


def _until(door: SocketDoor, holds: Callable[[int], bool], longest: float = _PATIENCE_S) -> int:
    """Bytes that repair has left, once that holds or the time is over."""
    give_up = time.monotonic() + longest
    while True:
        left = int(_status(door)["left"]["bytes"])
        if holds(left) or time.monotonic() > give_up:
            return left
        time.sleep(_LOOK_S)


def _status(door: SocketDoor) -> dict[str, Any]:
    status: dict[str, Any] = door.call("repair.status", {})
    return status


def _alone(door: SocketDoor) -> float | None:
    """MiB a second from now to the end; None if it is over already."""
    began, left = time.monotonic(), int(_status(door)["left"]["bytes"])
    rest = _until(door, lambda left: left == 0)
    return (left - rest) / MIB / (time.monotonic() - began) if left else None


def _is_whole(door: SocketDoor) -> None:
    """What the clients put last lies in chunks that stay open a while: then these are repaired."""
    give_up = time.monotonic() + _PATIENCE_S
    while (status := _status(door))["below_target"]["chunks"] or not status["recount"]["clean"]:
        if time.monotonic() > give_up:
            raise RuntimeError(f"repair did not come to its end: {status}")
        time.sleep(1)


class _Seen:
    """Milliseconds that each kind of request took, and how long all went on."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {f"{op} {size_text(size)}": [] for op, size in _LOADS}
        self.seconds = 0.0
        self.errors: list[Exception] = []

    def latencies(self) -> list[Latency]:
        """Raises what a client met."""
        if self.errors:
            raise self.errors[0]
        return [self._latency(load, took) for load, took in self.took.items()]

    def _latency(self, load: str, took: list[float]) -> Latency:
        cuts = quantiles(took, n=100)
        return Latency(load, len(took) / self.seconds, cuts[49], cuts[98])


class _Clients:
    """Two threads for each load, each with a connection; what they send was signed before."""

    def __init__(self, node: Coffre) -> None:
        self._node = node
        self._signer = Signer(node.endpoint, node.access_key, node.secret_key, node.region)
        self._bodies = {size: bytes(range(256)) * (size // 256) for _, size in _LOADS}

    def prepare(self, mib: int) -> None:
        """What is read, and enough beside it to be lost."""
        exchange(connect(self._node.endpoint), self._signer.sign("PUT", "/repair"))
        for size, body in self._bodies.items():
            keys = [f"/repair/read-{size}-{number}" for number in range(_READ)]
            self._put(keys, body)
        large = bytes(range(256)) * (64 * MIB // 256)
        self._put([f"/repair/large-{number}" for number in range(mib // 64)], large)

    def _put(self, keys: Sequence[str], body: bytes) -> None:
        requests = [self._signer.sign("PUT", key, length=len(body)) for key in keys]
        fill(self._node.endpoint, requests, body, 4)

    @contextmanager
    def at_work(self) -> Iterator[_Seen]:
        """All of them, for the time of a `with`."""
        seen, stop = _Seen(), threading.Event()
        threads = [
            threading.Thread(target=self._client, args=(*load, seen, stop), daemon=True)
            for load in _LOADS
            for _ in range(_CLIENTS)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            seen.seconds = time.monotonic() - began

    def _client(self, operation: Operation, size: int, seen: _Seen, stop: threading.Event) -> None:
        took = seen.took[f"{operation} {size_text(size)}"]
        body = self._bodies[size] if operation == "PUT" else b""
        connection = connect(self._node.endpoint)
        try:
            for request in cycle(self._requests(operation, size)):
                if stop.is_set():
                    return
                began = time.perf_counter()
                exchange(connection, request, body)
                took.append((time.perf_counter() - began) * 1000)
        except (Refused, OSError, HTTPException) as error:
            seen.errors.append(error)
        finally:
            connection.close()

    def _requests(self, operation: Operation, size: int) -> list[Request]:
        if operation == "GET":
            keys = [f"/repair/read-{size}-{number}" for number in range(_READ)]
            return [self._signer.sign("GET", key) for key in keys]
        mark = f"{threading.get_ident()}-{time.monotonic_ns()}"
        keys = [f"/repair/put-{size}-{mark}-{number}" for number in range(_READ)]
        return [self._signer.sign("PUT", key, length=size) for key in keys]
