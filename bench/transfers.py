"""Load by connections of our own: large bodies, filling a bucket, reading back.

A thread per client: sending from and receiving into large buffers leaves the GIL alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from bench.measure import Measured
from bench.scenarios import MIB
from bench.signing import Request

_PIECE = MIB
_TIMEOUT_S = 120


class Refused(Exception):
    """The server did not answer 2xx: its status and the beginning of what it said."""


def connect(url: str) -> HTTPConnection:
    """A connection to a server's base URL."""
    parts = urlsplit(url)
    return HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT_S)


def exchange(connection: HTTPConnection, request: Request, body: bytes = b"") -> bytes:
    """One request; the answer's whole body. Raises Refused, OSError."""
    connection.request(request.method, request.target, body or None, request.headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status // 100 != 2:
        raise Refused(f"{request.method} {request.target}: {answer.status} {said[:500]!r}")
    return said


def move(connection: HTTPConnection, request: Request, body: bytes, into: memoryview) -> int:
    """One large request; how many bytes of body went either way, of which none is kept."""
    connection.request(request.method, request.target, body or None, request.headers)
    answer = connection.getresponse()
    if answer.status // 100 != 2:
        raise Refused(f"{request.method} {request.target}: {answer.status} {answer.read(500)!r}")
    received = 0
    while count := answer.readinto(into):
        received += count
    return len(body) or received


def run_transfers(url: str, requests: Sequence[Request], body: bytes, clients: int) -> Measured:
    """All requests, dealt out to `clients` at once; MiB a second from the first byte to the last
    client's last answer. The body is sent with each (empty: received)."""
    moved: list[int] = []
    faults: dict[str, int] = {}

    def client(own: Sequence[Request]) -> None:
        connection, into = connect(url), memoryview(bytearray(_PIECE))
        try:
            for request in own:
                moved.append(move(connection, request, body, into))
        except (Refused, OSError, HTTPException) as error:
            faults[type(error).__name__] = faults.get(type(error).__name__, 0) + 1
            print(f"  {error}")
        finally:
            connection.close()

    started = time.perf_counter()
    _together([_bind(client, requests[number::clients]) for number in range(clients)])
    seconds = time.perf_counter() - started
    return Measured(rate=sum(moved) / MIB / seconds, faults=faults)


def fill(url: str, requests: Sequence[Request], body: bytes, clients: int = 16) -> None:
    """Send every request once. Raises the first error."""
    errors: list[Exception] = []

    def client(own: Sequence[Request]) -> None:
        connection = connect(url)
        try:
            for request in own:
                exchange(connection, request, body)
        except (Refused, OSError, HTTPException) as error:
            errors.append(error)
        finally:
            connection.close()

    _together([_bind(client, requests[number::clients]) for number in range(clients)])
    if errors:
        raise errors[0]


def _bind(
    client: Callable[[Sequence[Request]], None], own: Sequence[Request]
) -> Callable[[], None]:
    return lambda: client(own)


def _together(jobs: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
