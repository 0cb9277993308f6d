"""Load of many small requests, by wrk: prebuilt in its memory, sent over and over.

wrk waits for ever for the body that a HEAD answer announces: it is not for HEAD.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Measured
from bench.signing import Request

_SCRIPT = """\
local requests, count, turn = {}, 0, 0

function init(args)
  local heads = assert(io.open(args[1], "rb"))
  local body = assert(io.open(args[2], "rb")):read("*a")
  while true do
    local length = heads:read("*n")
    if not length then break end
    heads:read(1)
    count = count + 1
    requests[count] = heads:read(length) .. body
  end
end

function request()
  turn = turn % count + 1
  return requests[turn]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\nbench {"requests":%d,"microseconds":%d,"p50":%d,"p95":%d,"p99":%d,"max":%d,' ..
    '"refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), latency.max, e.status, e.connect, e.read, e.write, e.timeout))
end
"""


class NoWrk(Exception):
    """wrk is not installed."""


def require_wrk() -> str:
    """Where wrk is. Raises NoWrk."""
    found = shutil.which("wrk")
    if found is None:
        raise NoWrk("the benchmarks need wrk as load generator: apt-get install -y wrk")
    return found


def write_requests(folder: Path, requests: Sequence[Request], body: bytes) -> None:
    """Lay down what a run of wrk sends, and the script that sends it."""
    with (folder / "heads").open("wb") as file:
        for request in requests:
            head = request.head()
            file.write(b"%d\n%s" % (len(head), head))
    (folder / "body").write_bytes(body)
    (folder / "send.lua").write_text(_SCRIPT)


def run_wrk(folder: Path, url: str, clients: int, seconds: float) -> Measured:
    """Send what `write_requests` laid down. One thread: it is enough, and leaves the cores to the
    server. Raises subprocess.CalledProcessError."""
    finished = subprocess.run(
        [
            require_wrk(),
            "--threads=1",
            f"--connections={clients}",
            f"--duration={max(1, round(seconds))}s",
            "--timeout=30s",
            f"--script={folder / 'send.lua'}",
            url,
            str(folder / "heads"),
            str(folder / "body"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return parse_wrk(finished.stdout)


def parse_wrk(output: str) -> Measured:
    """What the script's last line says. Errors: ValueError without one."""
    line = next((line for line in output.splitlines() if line.startswith("bench ")), None)
    if line is None:
        raise ValueError(f"wrk did not say what it counted: {output!r}")
    said = json.loads(line.removeprefix("bench "))
    faults = {
        name: said[name]
        for name in ("refused", "connect", "read", "write", "timeout")
        if said[name]
    }
    # An error status is answered quickly: it must not count as work done.
    done = said["requests"] - said["refused"]
    return Measured(
        rate=done / (said["microseconds"] / 1e6),
        p50_ms=said["p50"] / 1000,
        p99_ms=said["p99"] / 1000,
        faults=faults,
    )
