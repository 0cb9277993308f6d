"""How the command line reaches a node: its socket while it runs, its data folder otherwise.

Protocol (newline-delimited JSON over the 0600 Unix socket `DATA/coffre.sock`): a request is
`{"operation": …, "arguments": {…}, "caller": {…}}`, its answer `{"ok": true, "result": …}` or
`{"ok": false, "error": {"code": …, "message": …, "field": …}}`; until it comes, an empty line every
few seconds says that the node is at it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from coffre.cli.complaint import Complaint, Unusable
from coffre.config import Settings

# How long no line may come.
SILENCE_SECONDS: Final = 60.0
PIECE_BYTES: Final = 64 * 1024


class Door(Protocol):
    """Takes the operations of the management API."""

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """The operation's result as plain JSON values. Raises `Complaint` when refused."""
        ...


class Request(Struct, frozen=True):
    operation: str
    arguments: dict[str, Any]
    caller: dict[str, str]


class Fault(Struct, frozen=True):
    code: str
    message: str
    field: str | None = None

    def complaint(self) -> Complaint:
        """Refused by the node; `field` names the argument it is about."""
        about = f"{self.field}: " if self.field else ""
        return Complaint(f"{about}{self.message} ({self.code})")


class Answer(Struct, frozen=True):
    ok: bool
    result: Any = None
    error: Fault | None = None


class SocketDoor:
    """A connection to a running node; one request at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        try:
            caller = {"who": f"cli:uid-{os.getuid()}", "via": "cli"}
            line = msgspec.json.encode(Request(operation, dict(arguments), caller)) + b"\n"
        except UnicodeEncodeError as error:
            raise Unusable(f"{error.object!a} is no text in UTF-8") from error
        try:
            self._connection.sendall(line)
            line = self._line()
            while line == b"\n":
                line = self._line()
            answer = msgspec.json.decode(line, type=Answer)
        except TimeoutError as error:
            raise Complaint(
                f"the running node gives no sign of life ({operation}): its log may say why"
            ) from error
        except OSError as error:
            raise Complaint(
                f"the running node went away before it answered ({error.strerror or error}):"
                " see `coffre status`, then ask again"
            ) from error
        except msgspec.MsgspecError as error:
            raise Complaint(f"the running node's answer is not understood: {error}") from error
        if answer.ok:
            return answer.result
        raise (answer.error or Fault("InternalError", "the node gave no reason")).complaint()

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            piece = self._connection.recv(PIECE_BYTES)
            if not piece:
                raise ConnectionResetError("connection closed")
            self._received += piece
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line + b"\n"


@contextmanager
def running(settings: Settings) -> Iterator[SocketDoor | None]:
    """A door to the node that serves `settings.data`; None when none does."""
    connection = _connected(settings)
    if connection is None:
        yield None
    else:
        with connection:
            yield SocketDoor(connection)


@contextmanager
def opened(settings: Settings) -> Iterator[Door]:
    """A door to the node of `settings.data`, whether it runs or not."""
    connection = _connected(settings)
    if connection is not None:
        with connection:
            yield SocketDoor(connection)
        return
    if not os.path.isdir(settings.data):
        raise Unusable(
            f"{settings.data} does not exist: name the folder with --data,"
            " or make one with `coffre init`"
        )
    with _offline(settings) as door:
        yield door


def _connected(settings: Settings) -> socket.socket | None:
    """A connection to the node that serves this folder; None when none does."""
    try:
        folder = os.open(settings.data, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SILENCE_SECONDS)
    name = os.path.basename(settings.socket_path)
    try:
        # A socket's address holds 107 bytes: through the descriptor any folder is near enough.
        connection.connect(f"/proc/self/fd/{folder}/{name}")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except PermissionError as error:
        connection.close()
        raise Unusable(
            f"{settings.socket_path} belongs to another user: run this as the user that serves it"
        ) from error
    finally:
        os.close(folder)
    return connection


@contextmanager
def _offline(settings: Settings) -> Iterator[Door]:
    """The node opened in this process, under the data folder's lock."""
    from coffre.service import StartRefused, offline
    from coffre.service.administration import Invalid

    try:
        with offline(settings) as node:
            yield node
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
    except Invalid as invalid:
        raise Fault(invalid.code, invalid.message, invalid.field).complaint() from invalid
