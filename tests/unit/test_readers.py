"""Open requests in shared memory: told at once, forgotten with their process, never waited for
without end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coffre.service.readers import STALLED_LOOKS, AllRequests
from coffre.system.clock import ManualClock

# A process with a slot that does as it is told, line by line.
_PROCESS = """
import sys
from coffre.service.readers import OwnRequests
own = OwnRequests(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == "begin":
        own.begin(rest[0], float(rest[1]))
    elif word == "end":
        own.end(rest[0])
    elif word == "beat":
        own.beat()
    print("done", flush=True)
"""


class Process:
    def __init__(self, path: Path) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def __call__(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{line}\n")
        self.child.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self.child.stdout is not None
        assert self.child.stdout.readline()


@contextmanager
def processes(path: Path, count: int) -> Iterator[list[Process]]:
    made = [Process(path) for _ in range(count)]
    try:
        yield made
    finally:
        for process in made:
            process.child.kill()
            process.child.communicate()


def test_the_oldest_open_request_of_all_processes_is_known(tmp_path: Path) -> None:
    path = tmp_path / "readers"
    with processes(path, 2) as (one, other):
        everybody = AllRequests(str(path), ManualClock().monotonic)
        assert everybody.oldest() is None
        one("begin a 5")
        one("begin b 6")
        other("begin c 4")
        assert everybody.oldest() == 4
        other("end c")
        assert everybody.oldest() == 5
        one("end a")
        assert everybody.oldest() == 6
        one("end b")
        assert everybody.oldest() is None
        everybody.close()


def test_a_process_that_ended_however_it_did_has_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "readers"
    with processes(path, 1) as (one,):
        everybody = AllRequests(str(path), ManualClock().monotonic)
        one("begin a 5")
        assert everybody.oldest() == 5
        one.child.kill()
        one.child.wait()
        assert everybody.oldest() is None
        with processes(path, 1) as (successor,):
            successor("begin b 7")
            assert everybody.oldest() == 7
        everybody.close()


def test_a_process_that_stands_still_is_killed_and_one_that_is_slow_is_not(tmp_path: Path) -> None:
    path = tmp_path / "readers"
    clock = ManualClock()
    killed: list[int] = []
    with processes(path, 2) as (stuck, slow):
        everybody = AllRequests(str(path), clock.monotonic, lambda pid, number: killed.append(pid))
        stuck("begin a 1")
        slow("begin b 1")
        for look in range(STALLED_LOOKS + 1):
            assert not killed
            assert everybody.oldest() == 1
            clock.advance(1.0)
            if look % 20 == 0:
                slow("beat")
        everybody.oldest()
        assert killed == [stuck.child.pid]
        everybody.close()


def test_looks_in_quick_succession_are_one_look(tmp_path: Path) -> None:
    path = tmp_path / "readers"
    killed: list[int] = []
    with processes(path, 1) as (one,):
        everybody = AllRequests(
            str(path), ManualClock().monotonic, lambda pid, number: killed.append(pid)
        )
        one("begin a 1")
        for _ in range(STALLED_LOOKS * 3):
            everybody.oldest()
        assert not killed
        everybody.close()
