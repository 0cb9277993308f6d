"""Targets of the audit's forwarding as the operator configured them: syslog, webhooks, files."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from coffre.catalog.trail_records import AuditTarget
from coffre.config import ForwardTarget
from coffre.ledger.placed import Placed
from coffre.ledger.shown import json_lines, syslog_message
from coffre.ledger.trail import AuditTrail, Cursor
from coffre.service.posting import PATIENCE_S, post
from coffre.stewards.outages import Undelivered

# What a datagram surely has room for.
_DATAGRAM: Final = 60_000
_TAIL: Final = 64 * 1024


class Targets:
    """Those of a node, by name."""

    def __init__(self, configured: Sequence[ForwardTarget]) -> None:
        self._by_name = {one.name: one for one in configured}
        self._host = socket.gethostname()

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    async def send(self, name: str, rows: Sequence[Placed]) -> None:
        """Give records to a target, all of them or none that counts. Raises Undelivered."""
        one = self._by_name[name]
        try:
            await asyncio.to_thread(self._send, one, rows)
        except (OSError, HTTPException) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def _send(self, one: ForwardTarget, rows: Sequence[Placed]) -> None:
        scheme = urlsplit(one.url).scheme
        if scheme in ("http", "https"):
            _post(one, json_lines(rows))
        elif scheme == "file":
            _append(unquote(urlsplit(one.url).path), json_lines(rows))
        else:
            messages = [syslog_message(row, self._host) for row in rows]
            _SYSLOG[scheme](one, messages)


async def behind(
    trail: AuditTrail, target: AuditTarget, limit: int
) -> tuple[Sequence[Placed], AuditTarget]:
    """What `forwarder.Read` is."""
    rows, cursor = await trail.in_order(Cursor(target.sequence, target.place), limit)
    return rows, AuditTarget(target.name, cursor.batch, cursor.place)


def _post(one: ForwardTarget, body: bytes) -> None:
    """Lines of JSON, signed: whoever has the secret can tell that they are ours, and how old."""
    headers = {"Content-Type": "application/x-ndjson"}
    if one.secret_file:
        stamp = str(int(time.time()))
        headers["X-Coffre-Timestamp"] = stamp
        headers["X-Coffre-Signature"] = signature(
            Path(one.secret_file).read_bytes().strip(), stamp, body
        )
    status = post(one.url, body, headers, one.ca_file)
    if not 200 <= status < 300:
        raise Undelivered(f"it answers {status}")


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body."""
    digest = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _append(path: str, body: bytes) -> None:
    """At the file's end, synced. A line that a crash cut is taken away: it is written again."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        tail = os.pread(file, _TAIL, max(0, size - _TAIL))
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            os.ftruncate(file, size - torn)
        view = memoryview(body)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)


def _datagrams(one: ForwardTarget, messages: Sequence[bytes]) -> None:
    """One a message. Nobody says whether they arrive."""
    with _connected(one, socket.SOCK_DGRAM) as sending:
        for message in messages:
            sending.sendall(message[:_DATAGRAM])


def _stream(one: ForwardTarget, messages: Sequence[bytes]) -> None:
    """Octet counting (RFC 6587). Syslog acknowledges nothing: the other side's end of the
    connection, after ours, is taken for it."""
    with _connected(one, socket.SOCK_STREAM) as sending:
        sending.sendall(_counted(messages))
        sending.shutdown(socket.SHUT_WR)
        _wait_for_end(sending)


def _secure_stream(one: ForwardTarget, messages: Sequence[bytes]) -> None:
    """RFC 5425."""
    context = ssl.create_default_context(cafile=one.ca_file or None)
    with (
        _connected(one, socket.SOCK_STREAM) as plain,
        context.wrap_socket(plain, server_hostname=urlsplit(one.url).hostname) as sending,
    ):
        sending.sendall(_counted(messages))
        # Its close_notify comes after all that it read.
        sending.unwrap()


def _counted(messages: Sequence[bytes]) -> bytes:
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def _wait_for_end(connection: socket.socket) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while connection.recv(4096):
        if time.monotonic() >= deadline:
            raise TimeoutError("it does not end the connection")


def _connected(one: ForwardTarget, kind: socket.SocketKind) -> socket.socket:
    parts = urlsplit(one.url)
    error: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(parts.hostname, parts.port, type=kind):
        connection = socket.socket(family, kind)
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(address)
        except OSError as failure:
            connection.close()
            error = failure
        else:
            return connection
    raise error or OSError("it has no address")


_SYSLOG: Final[dict[str, Callable[[ForwardTarget, Sequence[bytes]], None]]] = {
    "udp": _datagrams,
    "tcp": _stream,
    "tls": _secure_stream,
}
