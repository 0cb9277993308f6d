"""Coffre and the bare answer as running servers, each gone when its `with` block ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffre.config import load

_STOP_S = 40
_COMMAND = Path(sys.executable).with_name("coffre")


@dataclass(frozen=True)
class Coffre:
    """A node that serves, and the key of its first user."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    data: Path
    workers: int
    supervisor: int

    def seal(self) -> None:
        """Lay every open chunk out as segments, as time would. Raises CalledProcessError."""
        subprocess.run(
            [_COMMAND, "seal", "--now", "--data", self.data],
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def coffre(
    data: Path,
    log: Path,
    before: Coffre | None = None,
    *,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Coffre]:
    """A fresh node in the folder `data`, or the one that was there `before`, with `settings` by
    their variables. Raises RuntimeError when it does not start."""
    environment = {**os.environ, "COFFRE_PORT": str(_free_port()), **(settings or {})}
    with log.open("wb") as complaints:
        process = subprocess.Popen(
            [_COMMAND, "serve", "--data", data, "--json"],
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
        )
    with _ended(process):
        line = _first_line(process)
        if not line:
            raise RuntimeError(f"Coffre did not start; it said: {log.read_text()[-2000:]}")
        said: dict[str, Any] = json.loads(line)
        yield Coffre(
            endpoint=said["endpoint"],
            region=said["region"],
            access_key=before.access_key if before else said["access_key"],
            secret_key=before.secret_key if before else said["secret_key"],
            data=data,
            workers=load({"data": str(data)}, os.environ).worker_count,
            supervisor=process.pid,
        )


@contextmanager
def bare_answer(processes: int) -> Iterator[str]:
    """As many bare servers as Coffre has workers, sharing a port: their base URL."""
    with socket.socket() as reserved, ExitStack() as running:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        for _ in range(processes):
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.bare", str(port)], stdout=subprocess.PIPE
            )
            running.enter_context(_ended(process))
            if not _first_line(process):
                raise RuntimeError("the bare server did not start")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ask the process to end when the block does; kill it if it does not."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None:
        raise ValueError("started without a pipe")
    return process.stdout.readline()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
