"""The bare answer: Coffre's own HTTP embedding with an application that does nothing.

`python -m bench.bare PORT` takes any body and answers as many bytes as `Bench-Answer` says, in
pieces of 1 MiB: the most that a Python S3 service on this server could give here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from coffre.config import Settings
from coffre.service.lineage import die_with_parent
from coffre.service.serving import serve_http

_PIECE = bytes(1024 * 1024)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """ASGI: 200, with a body of the length asked for."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    left = next((int(value) for name, value in scope["headers"] if name == b"bench-answer"), 0)
    headers = [(b"content-length", b"%d" % left)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while left > len(_PIECE):
        await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
        left -= len(_PIECE)
    await send({"type": "http.response.body", "body": _PIECE[:left], "more_body": False})


async def _serve(port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    print("ready", flush=True)
    try:
        await serve_http(answer, Settings(), stop, plain=listener)
    finally:
        listener.detach()  # granian has closed the descriptor itself


if __name__ == "__main__":
    die_with_parent(os.getppid())
    uvloop.run(_serve(int(sys.argv[1])))
