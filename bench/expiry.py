"""How fast what is due expires, and what clients notice of it:
`python -m bench.expiry FOLDER [OBJECTS]`.

A node is filled through its own committer (`bench.filling`), serves, and is given a rule by which
all of its objects are due at once. Beside it two clients put and get small objects of another
bucket at a steady pace, before and meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.filling import COMMAND, fill
from coffre.cli.client import running
from coffre.config import Settings

_SIZE = 100
_IN_FLIGHT = 4096
_BEFORE_S = 20.0
_PAUSE_S = 0.02
_FILLED = "many-objects"
_BESIDE = "beside"
LONG_AGO = "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Expiry:
    """`judged_s` from the rule until all objects are due, `seconds` until all are gone; p99 of
    clients beside it in ms, before and meanwhile."""

    objects: int
    judged_s: float
    seconds: float
    p99_before: float
    p99_meanwhile: float
    requests: int

    def __str__(self) -> str:
        rate = self.objects / self.seconds
        return (
            f"| {self.objects} | {self.judged_s:.0f} | {self.seconds:.0f} | {rate:.0f} |"
            f" {self.p99_before:.1f} | {self.p99_meanwhile:.1f} |"
        )


def expiry(folder: Path, objects: int) -> Expiry:
    """Fill a node, let all of it expire."""
    data = folder / "expiry"
    made = _made(data)
    fill(data, objects, _SIZE, _IN_FLIGHT)
    process = subprocess.Popen(
        [COMMAND, "serve", "--data", data, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COFFRE_PORT": "0"},
    )
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        return _measure(data, facts["endpoint"], made, objects)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _made(data: Path) -> dict[str, Any]:
    made = subprocess.run(
        [COMMAND, "init", "--data", data, "--json"], check=True, capture_output=True
    )
    facts: dict[str, Any] = json.loads(made.stdout)
    return facts


def _measure(data: Path, endpoint: str, made: dict[str, Any], objects: int) -> Expiry:
    def client() -> Any:
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=made["access_key"],
            aws_secret_access_key=made["secret_key"],
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    s3 = client()
    s3.create_bucket(Bucket=_BESIDE)
    load = _Load([client(), client()])
    time.sleep(_BEFORE_S)
    before = load.take()
    rule = {"Filter": {}, "Status": "Enabled", "Expiration": {"Date": LONG_AGO}}
    began = time.monotonic()
    s3.put_bucket_lifecycle_configuration(
        Bucket=_FILLED, LifecycleConfiguration={"Rules": [{"ID": "all", **rule}]}
    )
    while _count(data) == objects:
        time.sleep(0.2)
    judged = time.monotonic() - began
    while _count(data):
        time.sleep(0.5)
    seconds = time.monotonic() - began
    meanwhile = load.take()
    load.stop()
    return Expiry(objects, judged, seconds, _p99(before), _p99(meanwhile), len(meanwhile))


def _count(data: Path) -> int:
    # At the node's door, for a command's start would cost the clients' time.
    with running(Settings(data=str(data))) as door:
        assert door is not None, "the node serves"
        found: list[int] = [
            one["objects"] for one in door.call("bucket.list", {}) if one["name"] == _FILLED
        ]
    return found[0]


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99)] * 1000


class _Load:
    """Clients that put and get at a steady pace; what each request took."""

    def __init__(self, clients: list[Any]) -> None:
        self._taken: list[float] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(client, f"key-{at}"))
            for at, client in enumerate(clients)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> list[float]:
        """What requests took since the last call, in seconds."""
        taken, self._taken = self._taken, []
        return taken

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, s3: Any, key: str) -> None:
        while not self._stopped.wait(_PAUSE_S):
            began = time.monotonic()
            s3.put_object(Bucket=_BESIDE, Key=key, Body=bytes(4096))
            put = time.monotonic()
            s3.get_object(Bucket=_BESIDE, Key=key)["Body"].read()
            self._taken += [put - began, time.monotonic() - put]


if __name__ == "__main__":
    print(expiry(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
