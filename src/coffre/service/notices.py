"""What a read could not use, told to the stewards: datagrams to a socket in the data folder.

A notice costs a request next to nothing and never makes it wait: it is dropped when nobody listens,
when the socket is full, and when the same was told a moment ago.

A datagram: chunk id (16 bytes), segment (signed, 2 bytes, big-endian; -1: a mirror), drive id (16).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from coffre.stewards.read_repair import Notice
from coffre.system.clock import Clock

_NOTICE = struct.Struct(">16sh16s")
# The same file is told of once in this time, and so many files at most.
QUIET_S = 5.0
MOST_A_TIME = 256


class Teller:
    """A worker's end: `vault.store.Notice`."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._told: set[Notice] = set()
        self._quiet_until = 0.0

    def __call__(self, chunk: bytes, segment: int, drive: bytes, reason: str) -> None:
        """Tell of a file that a read could not use."""
        now = self._clock.monotonic()
        if now >= self._quiet_until:
            self._told.clear()
            self._quiet_until = now + QUIET_S
        notice = Notice(chunk, segment, drive)
        if notice in self._told or len(self._told) >= MOST_A_TIME or len(drive) != len(chunk):
            return
        self._told.add(notice)
        with contextlib.suppress(OSError):
            self._socket.sendto(_NOTICE.pack(*notice), self._path)

    def close(self) -> None:
        self._socket.close()


class _Receiving(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[Notice], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) == _NOTICE.size:
            self._take(Notice(*_NOTICE.unpack(data)))


async def receive_notices(path: str, take: Callable[[Notice], None]) -> asyncio.BaseTransport:
    """Listen at `path` (mode 0600, replacing what a killed process left), until it is closed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # Before the bind, so that the socket never stands there with a wider mode.
    os.fchmod(listening.fileno(), 0o600)
    listening.bind(path)
    listening.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Receiving(take), sock=listening)
    return transport
