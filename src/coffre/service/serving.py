"""HTTP in our own processes: granian's workers on a listening socket that was opened before.

The socket listens before any worker runs, so "ready" needs no probing; granian stops accepting and
finishes what it has when told to stop.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from coffre.config import Settings


class _OnSocket(Server):
    """Granian's embedded server on a socket that we hold."""

    def __init__(self, app: Callable[..., Any], descriptor: int, settings: Settings) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(settings.header_timeout * 1000), keep_alive=True
            ),
            websockets=False,
            log_enabled=False,
        )
        self._descriptor = descriptor

    def _init_shared_socket(self) -> None:
        # Granian closes the descriptor that it is given: it gets one of its own.
        descriptor = os.dup(self._descriptor)
        self._shd = SocketHolder(descriptor, False, self.backlog)  # type: ignore
        self._sfd = descriptor  # type: ignore[assignment]


async def serve_http(
    app: Callable[..., Any], listener: socket.socket, settings: Settings, stop: asyncio.Event
) -> None:
    """Serve an ASGI application until `stop` is set, then drain within the drain timeout."""
    server = _OnSocket(app, listener.fileno(), settings)
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=settings.drain_timeout)
    if serving.done():
        serving.result()
