"""Many objects put through a node's own committer, by a child process that ends as a crash would:
`python -m bench.filling DATA OBJECTS SIZE IN_FLIGHT`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from coffre.catalog.mutations import CreateBucket, ObjectFacts, PutVersion
from coffre.config import load
from coffre.service.engine import Engine, open_engine
from coffre.service.zone import real_world
from coffre.system.entropy import new_id
from coffre.vault.records import Blob, ciphertext_bytes

COMMAND = Path(sys.executable).with_name("coffre")
_BUCKET = "many-objects"


def make(data: Path) -> None:
    """An initialized node that does not run."""
    subprocess.run([COMMAND, "init", "--data", data, "--json"], check=True, capture_output=True)


def fill(data: Path, objects: int, size: int, in_flight: int) -> None:
    """Put `objects` of `size` bytes, `in_flight` at a time, and crash."""
    arguments = [str(data), str(objects), str(size), str(in_flight)]
    subprocess.run([sys.executable, "-m", "bench.filling", *arguments], check=True)


async def _fill(engine: Engine, objects: int, size: int, in_flight: int) -> None:
    node, entropy = engine.node, engine.node.entropy
    store = node.reader.stores()[0]
    owner = node.reader.users(store.id)[0]
    bucket = node.reader.bucket(store.id, _BUCKET)
    if bucket is None:
        await node.committer.commit(
            CreateBucket(_id(engine), store.id, _BUCKET, owner.id, "us-east-1")
        )
        bucket = node.reader.bucket(store.id, _BUCKET)
        assert bucket is not None
    body = entropy.bytes(ciphertext_bytes(size))
    begin = bucket.objects
    for first in range(begin, begin + objects, in_flight):
        waiting = []
        for number in range(first, min(first + in_flight, begin + objects)):
            # What does not compress in real rows does not compress here.
            blob = Blob(_id(engine), size, store.key_id, entropy.bytes(40))
            facts = ObjectFacts(etag=entropy.bytes(16).hex(), owner_id=owner.id)
            key = b"folder-%03d/object-%09d" % (number % 1000, number)
            put = PutVersion(bucket.id, key, _id(engine), blob, facts)
            waiting.append(node.committer.submit(put, [body]))
        await asyncio.gather(*waiting)


def _id(engine: Engine) -> bytes:
    node = engine.node
    return new_id(node.entropy, node.zone_number, node.clock.now_ms())


async def _main(data: str, objects: int, size: int, in_flight: int) -> None:
    engine = await open_engine(load({"data": data}, {}), real_world())
    running = asyncio.ensure_future(engine.run())
    await _fill(engine, objects, size, in_flight)
    assert not running.done()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
