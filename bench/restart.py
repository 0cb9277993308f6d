"""How long a node with many objects takes to serve again: after a crash, and without its catalog.

The objects are committed by the node's own committer in this machine's own file system, by a child
process that ends without any goodbye, as a crash would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from coffre.catalog.mutations import CreateBucket, ObjectFacts, PutVersion
from coffre.config import load
from coffre.service.engine import Engine, open_engine
from coffre.service.zone import real_world
from coffre.system.entropy import new_id
from coffre.vault.records import Blob, ciphertext_bytes

_COMMAND = Path(sys.executable).with_name("coffre")
_SIZE = 100
_IN_FLIGHT = 4096


@dataclass(frozen=True)
class Restart:
    """`seconds` from the command to the ready line; `recovery` as the node itself reports it."""

    objects: int
    after: str
    seconds: float
    way: str
    records: int
    recovery_seconds: float


def restarts(folder: Path, objects: int) -> list[Restart]:
    """Fill a node, crash it, start it; delete its catalog, start it again."""
    data = folder / "restart"
    subprocess.run([_COMMAND, "init", "--data", data, "--json"], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "bench.restart", str(data), str(objects)], check=True)
    found = [_start(data, objects, "kill -9")]
    for left in data.glob("catalog.sqlite*"):
        left.unlink()
    found.append(_start(data, objects, "kill -9 and the loss of the catalog"))
    return found


def _start(data: Path, objects: int, after: str) -> Restart:
    began = time.monotonic()
    process = subprocess.Popen(
        [_COMMAND, "serve", "--data", data, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COFFRE_PORT": "0"},
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError("Coffre did not start again")
    seconds = time.monotonic() - began
    said = subprocess.run(
        [_COMMAND, "status", "--data", data, "--json"], check=True, capture_output=True
    )
    recovery = json.loads(said.stdout)["recovery"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    return Restart(
        objects, after, seconds, recovery["way"], recovery["records"], recovery["seconds"]
    )


async def _fill(engine: Engine, objects: int) -> None:
    node, entropy = engine.node, engine.node.entropy
    store = node.reader.stores()[0]
    owner = node.reader.users(store.id)[0]
    bucket_id = _id(engine)
    await node.committer.commit(
        CreateBucket(bucket_id, store.id, "many-objects", owner.id, "us-east-1")
    )
    facts = ObjectFacts(etag="0" * 32, owner_id=owner.id)
    body = entropy.bytes(ciphertext_bytes(_SIZE))
    for first in range(0, objects, _IN_FLIGHT):
        waiting = []
        for number in range(first, min(first + _IN_FLIGHT, objects)):
            blob = Blob(_id(engine), _SIZE, store.key_id, b"\0" * 40)
            key = b"folder-%03d/object-%09d" % (number % 1000, number)
            put = PutVersion(bucket_id, key, _id(engine), blob, facts)
            waiting.append(node.committer.submit(put, [body]))
        await asyncio.gather(*waiting)


def _id(engine: Engine) -> bytes:
    node = engine.node
    return new_id(node.entropy, node.zone_number, node.clock.now_ms())


async def _main(data: str, objects: int) -> None:
    engine = await open_engine(load({"data": data}, {}), real_world())
    running = asyncio.ensure_future(engine.run())
    await _fill(engine, objects)
    assert not running.done()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
