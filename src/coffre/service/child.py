"""One supervised process: how it is started, says that it is ready, and is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any, NamedTuple

import msgspec

from coffre.service.layout import StartRefused

_BOOT_LIMIT = 1 << 20


class Doors(NamedTuple):
    """The sockets that a worker or the console accepts from: for HTTP, for HTTPS."""

    plain: socket.socket | None
    secure: socket.socket | None

    def ports(self) -> tuple[int | None, int | None]:
        """Both, None for none."""
        plain, secure = (None if one is None else one.getsockname()[1] for one in self)
        return plain, secure

    def descriptors(self) -> tuple[int, int]:
        """Both, -1 for none."""
        plain, secure = (-1 if one is None else one.fileno() for one in self)
        return plain, secure


NO_DOORS = Doors(None, None)


class Boot(msgspec.Struct, frozen=True):
    """What a child is told at birth, on its standard input.

    `zone` is what the committer found at its start (`zone.ZoneFacts`), for all but itself;
    `owner` names the process in what it owns (striped chunks); `live_owners` are the workers that
    run, and the console, so that a new committer knows whose chunks nobody will append to any more;
    `gone_owner` is the process that a new one takes the place of; `accept_less`: a changed geometry
    may promise what the drives cannot keep; `plain_fd` and `secure_fd` are the listening sockets
    that a worker or the console accepts HTTP and HTTPS from (-1: none).
    """

    role: str
    parent: int
    ready_fd: int
    settings: dict[str, Any]
    zone: dict[str, Any] = {}
    owner: str = ""
    live_owners: tuple[str, ...] = ()
    accept_less: bool = False
    gone_owner: str = ""
    plain_fd: int = -1
    secure_fd: int = -1

    def doors(self) -> Doors:
        """The listening sockets, in the child."""
        plain, secure = (
            None if descriptor < 0 else socket.socket(fileno=descriptor)
            for descriptor in (self.plain_fd, self.secure_fd)
        )
        return Doors(plain, secure)


class Ready(msgspec.Struct, frozen=True):
    """What a child answers, once: facts when it serves, or why it does not."""

    facts: dict[str, Any] = {}
    refused: str | None = None


class ChildDied(StartRefused):
    """A child ended before it said anything: killed, or a fault that may pass."""


class Child:
    """A running child process."""

    def __init__(self, process: asyncio.subprocess.Process, role: str, owner: str) -> None:
        self.process = process
        self.role = role
        self.owner = owner

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a child that is gone already is no error."""
        if self.process.returncode is None:
            try:
                self.process.send_signal(number)
            except ProcessLookupError:
                pass

    async def ended(self) -> int:
        """Wait for the end; the exit code (negative: the signal)."""
        return await self.process.wait()


async def start_child(
    role: str,
    settings: dict[str, Any],
    *,
    zone: dict[str, Any],
    owner: str = "",
    live_owners: tuple[str, ...] = (),
    accept_less: bool = False,
    gone_owner: str = "",
    doors: Doors = NO_DOORS,
) -> tuple[Child, Ready]:
    """Start a process of ours and wait until it is ready or refuses. Raises ChildDied."""
    read_fd, write_fd = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "coffre.service.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            # Else each thread's arena keeps the rows of large uploads that it has freed.
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            # A Ctrl-C at the terminal reaches the supervisor alone, which then drains the child:
            # from its first instruction on, for an import that is interrupted ends in a traceback.
            process_group=0,
            pass_fds=(write_fd, *(one for one in doors.descriptors() if one >= 0)),
        )
        boot = Boot(
            role=role,
            parent=os.getpid(),
            ready_fd=write_fd,
            settings=settings,
            zone=zone,
            owner=owner,
            live_owners=live_owners,
            accept_less=accept_less,
            gone_owner=gone_owner,
            plain_fd=doors.descriptors()[0],
            secure_fd=doors.descriptors()[1],
        )
    except OSError as error:
        # No memory, process or descriptor just now.
        os.close(read_fd)
        raise ChildDied(f"the {role} process cannot be started: {error.strerror}") from error
    finally:
        os.close(write_fd)
    child = Child(process, role, owner)
    if process.stdin is not None:
        process.stdin.write(msgspec.json.encode(boot))
        process.stdin.close()
    try:
        answer = await _read_all(read_fd)
    except BaseException:
        child.signal(signal.SIGKILL)  # Nobody waits for it any more.
        raise
    if not answer:
        code = await child.ended()
        raise ChildDied(f"the {role} process ended with code {code} while starting")
    return child, msgspec.json.decode(answer, type=Ready)


async def _read_all(descriptor: int) -> bytes:
    """Everything until the writer closes its end (by saying its piece, or by dying)."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_BOOT_LIMIT)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()


def say_ready(boot: Boot, ready: Ready) -> None:
    """Answer the supervisor, once."""
    os.write(boot.ready_fd, msgspec.json.encode(ready))
    os.close(boot.ready_fd)
