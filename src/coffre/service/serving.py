"""HTTP and HTTPS in our own processes: granian's workers on listening sockets that were opened
before.

The sockets listen before any worker runs, so "ready" needs no probing; granian stops accepting and
finishes what it has when told to stop. A certificate that changes has a second server take over the
same socket: see `_Secure`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from coffre.access.networks import read_networks
from coffre.config import Settings
from coffre.service import tls
from coffre.service.child import Doors
from coffre.service.layout import StartRefused
from coffre.service.proxies import ClientAddress
from coffre.service.relay import Relay

log = logging.getLogger("coffre.serving")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[None]]

# How often the certificate's files are looked at; SIGHUP has them looked at now.
LOOK_S: Final = 1.0
_LEAST_CONNECTIONS: Final = 128
_MOST_CONNECTIONS: Final = 16_384
_LAST_ANSWER: Final = (b"connection", b"close")
_VERSIONS: Final = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}


def most_connections() -> int:
    """Connections that a process takes at once: half of the descriptors that it may have."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_LEAST_CONNECTIONS, min(_MOST_CONNECTIONS, descriptors // 2))


class _OnSocket(Server):
    """Granian's embedded server on a socket that we hold, with TLS if there is a pair."""

    def __init__(
        self,
        app: Application,
        listener: socket.socket,
        settings: Settings,
        pair: tls.Pair | None = None,
    ) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(settings.header_timeout * 1000), keep_alive=True
            ),
            websockets=False,
            log_enabled=False,
            # Granian takes no connection beyond this while those that it has stay open: far more
            # than one client's idle ones, so that nobody is shut out by them.
            backpressure=most_connections(),
        )
        self._listener = listener
        self._memory: list[int] = []
        if pair is not None:
            # Exactly the bytes that were found to belong together, whatever the files hold now.
            try:
                chain, key = self._in_memory(pair.chain), self._in_memory(pair.key)
            except OSError:
                self._let_go()
                raise
            version = str(_VERSIONS[settings.tls_minimum])
            self.ssl_ctx = (True, chain, key, None, version, None, [], False)  # type: ignore[assignment]

    def _in_memory(self, content: bytes) -> str:
        descriptor = os.memfd_create("coffre-tls")
        self._memory.append(descriptor)
        os.write(descriptor, content)
        return f"/proc/self/fd/{descriptor}"

    def _init_shared_socket(self) -> None:
        # Granian closes the descriptor that it is given: it gets one of its own.
        descriptor = os.dup(self._listener.fileno())
        self._shd = SocketHolder(descriptor, False, self.backlog)  # type: ignore
        self._sfd = descriptor  # type: ignore[assignment]

    def accept_no_more(self) -> None:
        """Leave the listening socket, and what waits in its queue, to others; connections that
        were accepted go on."""
        with socket.socket(socket.AF_UNIX) as nobodys:
            nobodys.bind("")  # an abstract name that the kernel chooses, and nobody is told
            nobodys.listen()
            nobodys.setblocking(False)
            # Granian can only stop whole: its descriptor is made to name a socket without callers.
            os.dup2(nobodys.fileno(), self._sfd, inheritable=False)  # type: ignore[arg-type]

    async def run(self) -> None:
        """Serve until `stop`."""
        try:
            await self.serve()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        while self._memory:
            os.close(self._memory.pop())


async def serve_http(
    app: Application,
    settings: Settings,
    stop: asyncio.Event,
    *,
    plain: socket.socket | None = None,
    secure: socket.socket | None = None,
) -> None:
    """Serve an ASGI application until `stop` is set, then drain within the drain timeout.

    `plain` and `secure` listen for HTTP and HTTPS. Raises BadCertificate before anything serves.
    """
    https = None if secure is None else _Secure(app, secure, settings)
    running = [] if https is None else [asyncio.ensure_future(https.run(stop))]
    if plain is not None:
        running.append(asyncio.ensure_future(_serve_plain(app, plain, settings, stop)))
    # One that ends by itself ends the process, which is then started again.
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(*running)


async def serve_clients(
    app: Application, settings: Settings, stop: asyncio.Event, doors: Doors
) -> None:
    """As `serve_http`, for an application that is told who the client is behind proxies."""
    if settings.proxy_header != "PROXY":
        app = ClientAddress(app, settings)
        await serve_http(app, settings, stop, plain=doors.plain, secure=doors.secure)
        return
    relay = Relay(read_networks(settings.trusted_proxies), settings.header_timeout)
    app = ClientAddress(app, settings, relay.clients)
    inner = [await relay.stand_before(one) for one in doors]
    closing = asyncio.ensure_future(_close_at(stop, relay))
    await serve_http(app, settings, stop, plain=inner[0], secure=inner[1])
    await closing


async def _close_at(stop: asyncio.Event, relay: Relay) -> None:
    await stop.wait()
    relay.close()


async def _serve_plain(
    app: Application, listener: socket.socket, settings: Settings, stop: asyncio.Event
) -> None:
    server = _OnSocket(app, listener, settings)
    serving = asyncio.ensure_future(server.run())
    await _either(serving, stop)
    await _end(server, serving, settings.drain_timeout)


async def _either(serving: asyncio.Future[None], stop: asyncio.Event) -> None:
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def _end(server: _OnSocket, serving: asyncio.Future[None], patience_s: float) -> None:
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=patience_s)
    if serving.done():
        serving.result()


class _UnderOnePair:
    """What serves under one certificate, and which requests are open under it."""

    def __init__(
        self, app: Application, listener: socket.socket, settings: Settings, pair: tls.Pair
    ) -> None:
        self.pair = pair
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._open = 0
        self._used = self._loop.time()
        self._retired = False
        self._changed = asyncio.Event()
        self.server = _OnSocket(self, listener, settings, pair)
        self.serving = asyncio.ensure_future(self.server.run())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._open += 1
        try:
            await self._app(scope, receive, self._with_farewell(send) if self._retired else send)
        finally:
            self._open -= 1
            self._used = self._loop.time()
            self._changed.set()

    async def retire(self, quiet_s: float) -> None:
        """Accept no more; return once every request is answered and all connections were quiet for
        so long. Each answer from now on is the last of its connection, and says so: no client
        loses a request to a connection that closes under it."""
        self.server.accept_no_more()
        self._retired = True
        self._used = self._loop.time()
        while self._open or self._loop.time() < self._used + quiet_s:
            self._changed.clear()
            left = None if self._open else self._used + quiet_s - self._loop.time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue

    @staticmethod
    def _with_farewell(send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [one for one in message["headers"] if one[0] != _LAST_ANSWER[0]]
                message = {**message, "headers": [*kept, _LAST_ANSWER]}
            await send(message)

        return sending


class _Secure:
    """HTTPS whose certificate changes while it serves.

    Another pair in the files (looked at every second, and at SIGHUP) starts a server beside the
    one before it, on the same socket; that one accepts no more and ends when its connections have.
    What does not fit together or cannot be read is logged, and the pair before it goes on.
    """

    def __init__(self, app: Application, listener: socket.socket, settings: Settings) -> None:
        self._app = app
        self._listener = listener
        self._settings = settings
        self._look = asyncio.Event()
        self._stamp = tls.stamp(settings)
        self._current = self._begin(tls.read_pair(settings))
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._look.set)
        watching = asyncio.ensure_future(self._watch())
        try:
            # The current server only ends by itself where another took over.
            while not stop.is_set():
                current = self._current
                await _either(current.serving, stop)
                if current is self._current and current.serving.done():
                    break
        finally:
            watching.cancel()
            for task in self._retiring:
                task.cancel()
            ending = (watching, *self._retiring, self._end(self._current))
            results = await asyncio.gather(*ending, return_exceptions=True)
        if isinstance(results[-1], BaseException):
            raise results[-1]

    async def _watch(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._look.wait(), LOOK_S)
            except TimeoutError:
                pass
            self._look.clear()
            self._reload()

    def _reload(self) -> None:
        found = tls.stamp(self._settings)
        if found is None or found == self._stamp:
            return
        self._stamp = found
        try:
            pair = tls.read_pair(self._settings)
        except StartRefused as refused:
            log.error("the certificate of before goes on: %s", refused)
            return
        before = self._current
        if pair == before.pair:
            return
        try:
            self._current = self._begin(pair)
        except OSError as error:
            # No descriptor just now: the next look tries again.
            self._stamp = None
            log.error("another certificate cannot serve yet: %s", error)
            return
        log.info("another certificate serves HTTPS")
        task = asyncio.ensure_future(self._retire(before))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _begin(self, pair: tls.Pair) -> _UnderOnePair:
        return _UnderOnePair(self._app, self._listener, self._settings, pair)

    async def _retire(self, before: _UnderOnePair) -> None:
        try:
            await before.retire(self._settings.header_timeout)
        finally:
            await self._end(before)

    async def _end(self, one: _UnderOnePair) -> None:
        await _end(one.server, one.serving, self._settings.drain_timeout)
