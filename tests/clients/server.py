"""A running server for the clients, and the programs that speak to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CLIENTS = REPOSITORY / ".clients"
COFFRE = Path(sys.executable).with_name("coffre")
# Where programs are found: ours first, so that a system's older aws does not stand in.
PATH = os.pathsep.join(
    (str(CLIENTS / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
)
ENGINE = os.environ.get("COFFRE_TEST_ENGINE", "drives")
START_S = 60
STOP_S = 60
PROGRAM_S = 120


@dataclass(frozen=True)
class Server:
    """What the server's first line says of it, and where it runs."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    owner_id: str
    owner_name: str
    data: Path
    pid: int

    @property
    def address(self) -> str:
        """Host and port, as clients that want no scheme take it."""
        return urlsplit(self.endpoint).netloc

    @property
    def port(self) -> int:
        port = urlsplit(self.endpoint).port
        assert port is not None
        return port

    def environment(self, home: Path) -> dict[str, str]:
        """Variables for a client program: its own home, these keys, nothing of the caller's.

        `AWS_CA_BUNDLE` and its like stay out: some clients fail on them even without TLS.
        """
        return {
            "PATH": PATH,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
        }

    def processes(self) -> list[int]:
        """The server's processes, the supervisor first, then what it started."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]


def coffre(*arguments: str | Path, data: Path, errors: Path) -> subprocess.Popen[bytes]:
    """Start `coffre serve` on any free port; its log goes to the file `errors`."""
    environment = {**os.environ, "PATH": PATH, "COFFRE_PORT": "0"}
    with errors.open("ab") as log:
        return subprocess.Popen(
            [COFFRE, "serve", "--data", data, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask for a clean stop and wait for it: the exit code."""
    process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def first_lines(process: subprocess.Popen[bytes], last: str) -> list[str]:
    """Standard output up to the line that starts with `last`; fails if it never comes."""
    assert process.stdout is not None
    # A server that hangs is ended, which ends its output, which ends the reading.
    guard = threading.Timer(START_S, process.kill)
    guard.start()
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.decode().rstrip("\n"))
            if lines[-1].startswith(last):
                return lines
    finally:
        guard.cancel()
    pytest.fail(f"the server did not start: it said {lines}")


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server on an empty data folder in `folder`, stopped cleanly at the end.

    `COFFRE_TEST_ENGINE=memory` takes the memory engine; the log is `folder/stderr`.
    """
    errors = folder / "stderr"
    process = coffre("--json", "--engine", ENGINE, data=folder / "data", errors=errors)
    try:
        try:
            facts = json.loads(first_lines(process, "{")[-1])
        except pytest.fail.Exception as failure:
            raise pytest.fail.Exception(f"{failure}\n{errors.read_text()}") from None
        yield Server(
            **{
                name: facts[name]
                for name in (
                    "endpoint",
                    "region",
                    "access_key",
                    "secret_key",
                    "owner_id",
                    "owner_name",
                )
            },
            data=folder / "data",
            pid=process.pid,
        )
    finally:
        code = stop(process)
    assert code == 0, f"the server ended with {code}:\n{errors.read_text()}"


@dataclass(frozen=True)
class Program:
    """A client program: what it is called with, its environment, the folder that it runs in."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run it; its standard output. A failure fails the test with all that it said."""
        return self.raw(*arguments, stdin=stdin).decode()

    def raw(self, *arguments: str | Path, stdin: bytes = b"") -> bytes:
        """As a call, with the output's bytes as they are."""
        done = self._run(arguments, stdin)
        assert done.returncode == 0, _told(done)
        return done.stdout

    def refused(self, *arguments: str | Path) -> str:
        """Run what must fail; everything that it said."""
        done = self._run(arguments, b"")
        assert done.returncode != 0, _told(done)
        return (done.stdout + done.stderr).decode()

    def _run(
        self, arguments: tuple[str | Path, ...], stdin: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            env=dict(self.environment),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=PROGRAM_S,
            check=False,
        )


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    return (
        f"{' '.join(map(str, done.args))}: exit code {done.returncode}\n"
        f"{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}"
    )


def find(name: str) -> str:
    """The program's path; skips the test where it is not installed."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def find_sdk_for_javascript() -> Path:
    """The folder where node finds the SDK; skips the test where it is not installed."""
    folder = CLIENTS / "js"
    if not (folder / "node_modules" / "@aws-sdk").is_dir():
        pytest.skip("the AWS SDK for JavaScript is not installed")
    return folder


def needs_drives(why: str) -> None:
    """Skip what the memory engine is not made for."""
    if ENGINE == "memory":
        pytest.skip(f"the memory engine {why}")
