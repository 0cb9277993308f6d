"""A node as its operator has it: processes on a folder, started, killed, started again."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from coffre.cli.client import running
from coffre.config import Settings

COFFRE = Path(sys.executable).with_name("coffre")
START_S = 60.0
STOP_S = 45.0
COMMAND_S = 60.0
# What a start may leave although it was refused: claims on the folder, which say nothing.
_NO_CONTENT = (".lock", ".sock", ".page", "metrics")


class Keys(Struct, frozen=True):
    """What a first start shows once."""

    access_key: str
    secret_key: str
    password: str


class Refusal(Struct, frozen=True):
    """How a start ended that was refused."""

    code: int
    said: str


# What comes at all comes sooner, on a machine under any load.
PATIENCE_S = 120.0


def wait_until(
    holds: Callable[[], object], what: str, patience: float = PATIENCE_S, every: float = 0.005
) -> None:
    """Look every so many seconds until something holds; AssertionError when it never does."""
    give_up = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < give_up, f"{what}: not within {patience:.0f} s"
        time.sleep(every)


class Node:
    """A data folder and, from `start` to `stop` or `kill`, the processes that serve it.

    `settings` are the node's own (`seal_after="2"`); the log of all its starts is one file. It has
    a console only where a test asks for it (`console="true"`): each start would pay for it.
    """

    def __init__(self, data: Path, keys: Keys | None = None, **settings: str) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self.facts: dict[str, Any] = {}
        self.starts = 0
        self.port = 0
        self._keys = keys
        self._settings = {"workers": "2", "log_level": "info", "console": "false", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def keys(self) -> Keys:
        assert self._keys is not None, "the node was never started"
        return self._keys

    def adopt(self, keys: Keys) -> None:
        """Use these keys from now on."""
        self._keys = keys

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the node was never started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def environment(self, port: int) -> dict[str, str]:
        settings = {f"COFFRE_{key.upper()}": value for key, value in self._settings.items()}
        return {**os.environ, **settings, "COFFRE_PORT": str(port)}

    # Starting and ending

    def launch(self, port: int = 0) -> subprocess.Popen[bytes]:
        """Begin a start without waiting for it."""
        assert not self.running
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [COFFRE, "serve", "--data", self.data, "--json"],
                env=self.environment(port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        return self._process

    def start(self, port: int = 0) -> Node:
        """Serve, and return once the node says that it is ready."""
        process = self.launch(port)
        line = _first_line(process)
        if not line:
            self.kill()
            raise AssertionError(f"the node did not start:\n{self.tail()}")
        self.facts = json.loads(line)
        self.port = int(self.facts["endpoint"].rsplit(":", 1)[1])
        if "secret_key" in self.facts:
            self._keys = Keys(
                self.facts["access_key"], self.facts["secret_key"], self.facts["password"]
            )
        self.starts += 1
        return self

    def refused(self, port: int = 0) -> Refusal:
        """A start that is expected to be refused: how it ended, and its standard error."""
        done = subprocess.run(
            [COFFRE, "serve", "--data", self.data, "--json"],
            env=self.environment(port),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_S,
            check=False,
        )
        assert done.stdout == b"", f"a refused start said {done.stdout!r}"
        return Refusal(done.returncode, done.stderr.decode())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask for a clean stop; the exit code."""
        os.killpg(self.process.pid, number)
        return self.ended(STOP_S)

    def ended(self, patience: float) -> int:
        """Wait for the node's own end; the exit code."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {patience:.0f} s:\n{self.tail()}") from None
        _let_go(self.process)
        return code

    def kill(self) -> None:
        """SIGKILL the supervisor: everything that it started must end by itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            _let_go(self._process)

    def signal(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one of the children; one that is gone already is no error."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def kill_next(self, before: list[int], delay: float) -> None:
        """SIGKILL the next child that is started, so many seconds after its birth."""
        wait_until(lambda: set(self.children()) - set(before), "a child is started again")
        born = set(self.children()) - set(before)
        time.sleep(delay)
        for pid in born:
            self.signal(pid)

    def command(self, *arguments: str, patience: float = COMMAND_S) -> Any:
        """A `coffre` command on this node's folder; its JSON answer, within so many seconds."""
        done = subprocess.run(
            [COFFRE, *arguments, "--data", self.data, "--json"],
            env=self.environment(0),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
        said = done.stderr.decode()
        assert done.returncode == 0, f"coffre {arguments}: {done.returncode}: {said}{self.tail()}"
        return json.loads(done.stdout)

    def ask(self, operation: str, /, **arguments: Any) -> Any:
        """An operation of the running node, at its door."""
        with running(Settings(data=str(self.data))) as door:
            assert door is not None, "the node does not run"
            return door.call(operation, arguments)

    def tail(self, size: int = 6000) -> str:
        """The end of the node's log, for whoever asks why."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    # Processes

    def children(self) -> list[int]:
        """The processes that the supervisor started."""
        pid = self.process.pid
        found: list[int] = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return found

    def roles(self) -> dict[str, list[int]]:
        """Pids by what they do. A child that does not yet do anything is left out."""
        doors = _unix_sockets()
        listeners = _listening(self.port)
        found: dict[str, list[int]] = {"committer": [], "worker": [], "steward": []}
        for pid in self.children():
            inodes = _sockets_of(pid)
            names = {doors[inode] for inode in inodes if inode in doors}
            if "committer.sock" in names:
                found["committer"].append(pid)
            elif "steward.sock" in names:
                found["steward"].append(pid)
            elif listeners & inodes:
                found["worker"].append(pid)
        return found

    # Drives

    def drive_folders(self) -> list[Path]:
        return sorted((self.data / "drives").iterdir())

    def forget_catalog(self) -> None:
        for path in self.data.glob("catalog.sqlite*"):
            path.unlink()


def copy_of(template: Path, data: Path) -> None:
    """Another folder with the same region."""
    shutil.copytree(template, data, ignore=shutil.ignore_patterns("*.sock", "ballast"))


def tree(root: Path) -> Mapping[str, str]:
    """Every file of a folder with its hash and mode, every folder with its mode; what may come
    and go with a process that claims the folder is left out."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        if path.name.endswith(_NO_CONTENT):
            continue
        what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(root))] = f"{path.stat().st_mode:o} {what}"
    return found


def alive(pids: list[int]) -> list[int]:
    """Those that still run (a process that waits to be reaped does not)."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.append(pid)
    return found


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_S)
    return process.stdout.readline() if readable else b""


def _let_go(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()


def _unix_sockets() -> dict[str, str]:
    """Inode → path of the Unix sockets that have one."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    fields = (line.split(maxsplit=7) for line in lines)
    return {each[6]: each[7] for each in fields if len(each) == 8}


def _listening(port: int) -> set[str]:
    """The inodes of the sockets that listen on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {
        each[9] for each in fields if each[3] == "0A" and int(each[1].rsplit(":", 1)[1], 16) == port
    }


def _sockets_of(pid: int) -> set[str]:
    inodes: set[str] = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:
        pass  # It ended while we looked.
    return inodes
