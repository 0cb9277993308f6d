"""The PROXY protocol in front of the HTTP server: connections of trusted proxies, with the client's
address read off their first bytes, go on to a socket of this process's own.

The HTTP server knows nothing of the protocol, so each connection is taken here, and its bytes (TLS
among them) pass to and fro. Who the client is stands in `Relay.clients`, by the address and port
from which the relay speaks to the HTTP server: that is what the server sees as its peer. Source:
"The PROXY protocol, versions 1 & 2", HAProxy.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, cast

from coffre.access.networks import Network

log = logging.getLogger("coffre.relay")

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD: Final = 16
# Address blocks are short; what follows them (TLVs) we skip.
_V2_MOST: Final = 4096
_V1_MOST: Final = 107
_V1: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+)"
    rb" ([0-9]{1,5}) ([0-9]{1,5}))\r\n"
)
_LOCAL, _PROXIED = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_BACKLOG: Final = 1024


class BadHeader(ValueError):
    """A connection that does not begin as the PROXY protocol says."""


def read_header(data: bytes) -> tuple[int, str] | None:
    """(length of the header, client's address: empty if the proxy speaks for itself); None while
    more bytes must come. Raises BadHeader."""
    if data.startswith(_SIGNATURE[: len(data)]):
        return _read_v2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _read_v1(data)
    raise BadHeader("neither version 1 nor 2")


def _read_v1(data: bytes) -> tuple[int, str] | None:
    end = data.find(b"\r\n", 0, _V1_MOST)
    if end < 0:
        if len(data) >= _V1_MOST:
            raise BadHeader("version 1 without an end of line")
        return None
    found = _V1.fullmatch(data[: end + 2])
    if found is None:
        raise BadHeader("version 1, malformed")
    if found[1] is None:
        return end + 2, ""
    kind = IPv4Address if found[1] == b"4" else IPv6Address
    try:
        client, _ = (kind(text.decode()) for text in found.group(2, 3))
    except ValueError as error:
        raise BadHeader("version 1, no address") from error
    return end + 2, str(client)


def _read_v2(data: bytes) -> tuple[int, str] | None:
    if len(data) < _V2_HEAD:
        return None
    command, family = data[12], data[13]
    size = _V2_HEAD + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXIED) or size > _V2_MOST:
        raise BadHeader("version 2, malformed")
    if len(data) < size:
        return None
    if command == _LOCAL:
        return size, ""
    width = {_TCP4: 4, _TCP6: 16}.get(family)
    if width is None or size < _V2_HEAD + 2 * width + 4:
        raise BadHeader("version 2, not TCP over IPv4 or IPv6")
    return size, str(ip_address(data[_V2_HEAD : _V2_HEAD + width]))


class Relay:
    """Takes connections on a listening socket and passes them on to another."""

    def __init__(self, trusted: Sequence[Network], patience_s: float) -> None:
        """`patience_s`: until the header has come."""
        self.trusted = trusted
        self.patience_s = patience_s
        self.clients: dict[tuple[str, int], str] = {}
        self._servers: list[asyncio.Server] = []

    async def stand_before(self, listener: socket.socket | None) -> socket.socket | None:
        """Take over a listening socket; what the HTTP server shall listen on instead."""
        if listener is None:
            return None
        inner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        inner.bind(("127.0.0.1", 0))
        inner.listen(_BACKLOG)
        inner.setblocking(False)
        loop = asyncio.get_running_loop()
        address = inner.getsockname()
        self._servers.append(
            # The backlog is set anew where it listens already.
            await loop.create_server(
                lambda: _FromProxy(self, address), sock=listener, backlog=_BACKLOG
            )
        )
        return inner

    def close(self) -> None:
        """Accept no more. Connections end when the HTTP server ends them."""
        for server in self._servers:
            server.close()

    def admits(self, peer: str) -> bool:
        address = ip_address(peer)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self.trusted)


class _End(asyncio.Protocol):
    """One end of a connection that passes through: each stops the other while it is full."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        other = self.other.transport if self.other is not None else None
        if other is None or other.is_closing() or not other.can_write_eof():
            return False
        other.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _ToServer(_End):
    """The end that speaks to the HTTP server, known to it by this end's address."""

    def __init__(self, relay: Relay, client: str) -> None:
        super().__init__()
        self._relay = relay
        self._client = client
        self._name: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self._name = (host, port)
        self._relay.clients[self._name] = self._client

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._name is not None:
            self._relay.clients.pop(self._name, None)


class _FromProxy(_End):
    """The end that the proxy opened: its first bytes say who the client is."""

    def __init__(self, relay: Relay, server: tuple[str, int]) -> None:
        super().__init__()
        self._relay = relay
        self._server = server
        self._peer = ""
        self._begun = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer = transport.get_extra_info("peername")[0]
        if not self._relay.admits(self._peer):
            self._refuse("it is no trusted proxy")
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._relay.patience_s, self._refuse, "no header came")

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        self._begun += data
        if self._opening is not None or self.transport is None:
            return
        try:
            found = read_header(bytes(self._begun[:_V2_MOST]))
        except BadHeader as bad:
            self._refuse(str(bad))
            return
        if found is None:
            return
        length, client = found
        del self._begun[:length]
        self.transport.pause_reading()
        self._opening = asyncio.ensure_future(self._open(client or self._peer))

    async def _open(self, client: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, inner = await loop.create_connection(
                lambda: _ToServer(self._relay, client), *self._server
            )
        except OSError as error:
            self._refuse(f"the HTTP server takes none: {error.strerror}")
            return
        inner.other, self.other = self, inner
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is None or self.transport.is_closing():
            self.connection_lost(None)
            return
        if inner.transport is not None:
            inner.transport.write(bytes(self._begun))
        self._begun.clear()
        self.transport.resume_reading()

    def eof_received(self) -> bool:
        return super().eof_received() if self.other is not None else False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _refuse(self, why: str) -> None:
        log.warning("a connection from %s is closed: %s", self._peer, why)
        if self.transport is not None:
            self.transport.abort()
