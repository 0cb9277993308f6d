"""Large bodies: what comes back is what went in, and no process grows with them.

256 MiB each way; 5 GiB with `COFFRE_LONG=1`.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from .material import some_bytes
from .server import Server, needs_drives, running

MIB = 1024 * 1024
SIZE = 5 * 1024 * MIB if os.environ.get("COFFRE_LONG") == "1" else 256 * MIB
PARTS_AT_ONCE = 4
IDLE_LIMIT = 150 * MIB
GROWTH_LIMIT = 64 * MIB
SAMPLE_S = 0.02
REST_S, REST_LOOKS = 1.0, 60


class Body(io.RawIOBase):
    """`size` bytes, each MiB of them different, hashed as they are read."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = some_bytes(MIB)
        self._count = 0
        self._rest = b""
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        pieces = []
        missing = wanted
        while missing:
            if not self._rest:
                self._count += 1
                self._rest = self._count.to_bytes(8, "big") + self._block[8:]
            piece, self._rest = self._rest[:missing], self._rest[missing:]
            missing -= len(piece)
            pieces.append(piece)
        self._left -= wanted
        body = b"".join(pieces)
        self.hash.update(body)
        return body


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies now; 0: it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def come_to_rest(pids: list[int]) -> None:
    """Wait until processes stand still that start beside those that the ready line waits for."""
    before: list[int] = []
    for _ in range(REST_LOOKS):
        now = [resident(pid) // MIB for pid in pids]
        if now == before:
            return
        before = now
        time.sleep(REST_S)
    raise AssertionError(f"{pids} never come to rest: {before} MiB")


class Memory:
    """Resident memory of each process: before anything happened, and the most since."""

    def __init__(self, pids: list[int]) -> None:
        come_to_rest(pids)
        self.idle = {pid: resident(pid) for pid in pids}
        self.peak = dict(self.idle)

    def sample(self) -> None:
        for pid, peak in self.peak.items():
            self.peak[pid] = max(peak, resident(pid))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample all the time."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(SAMPLE_S):
                self.sample()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.sample()

    @property
    def growth(self) -> dict[int, int]:
        return {pid: self.peak[pid] - idle for pid, idle in self.idle.items()}

    def __str__(self) -> str:
        rows = (
            f"{Path(f'/proc/{pid}/comm').read_text().strip()} {pid}:"
            f" idle {idle // MIB} MiB, at most {self.peak[pid] // MIB} MiB"
            for pid, idle in self.idle.items()
        )
        return "; ".join(rows)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server that has served nothing yet: what it weighs is its idle weight."""
    needs_drives("keeps bodies in memory")
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def client(fresh: Server) -> Any:
    s3 = boto3.client(
        "s3",
        endpoint_url=fresh.endpoint,
        region_name=fresh.region,
        aws_access_key_id=fresh.access_key,
        aws_secret_access_key=fresh.secret_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=300),
    )
    s3.create_bucket(Bucket="large")
    return s3


def hash_of(s3: Any, key: str) -> str:
    """SHA-256 of an object, read as a stream."""
    digest = hashlib.sha256()
    for piece in s3.get_object(Bucket="large", Key=key)["Body"].iter_chunks(MIB):
        digest.update(piece)
    return digest.hexdigest()


def test_an_upload_in_parts_comes_back_equal_in_bounded_memory(
    fresh: Server, client: Any, record_property: Any
) -> None:
    memory = Memory(fresh.processes())
    in_parts = TransferConfig(multipart_chunksize=16 * MIB, max_concurrency=PARTS_AT_ONCE)
    body = Body(SIZE)
    with memory.watched():
        client.upload_fileobj(body, "large", "in-parts", Config=in_parts)
        told = client.head_object(Bucket="large", Key="in-parts")
        assert (told["ContentLength"], told["ETag"][-4:]) == (SIZE, f'-{SIZE // (16 * MIB)}"'[-4:])
        assert hash_of(client, "in-parts") == body.hash.hexdigest()
    check(memory, PARTS_AT_ONCE, record_property)


@pytest.mark.parametrize("transfers", [1, 2])
def test_single_requests_come_back_equal_in_bounded_memory(
    fresh: Server, client: Any, record_property: Any, transfers: int
) -> None:
    memory = Memory(fresh.processes())
    keys = [f"{number}" for number in range(transfers)]
    # The client holds these bodies in memory, so they do not grow to many GiB.
    body = Body(min(SIZE, 1024 * MIB) // transfers).read()
    with memory.watched(), ThreadPoolExecutor(transfers) as threads:
        for future in [
            threads.submit(client.put_object, Bucket="large", Key=key, Body=body) for key in keys
        ]:
            future.result()
        hashes = [threads.submit(hash_of, client, key) for key in keys]
        assert {future.result() for future in hashes} == {hashlib.sha256(body).hexdigest()}
    check(memory, transfers, record_property)


def check(memory: Memory, transfers: int, record_property: Any) -> None:
    """Compare with the promise, and keep the figures in the report."""
    record_property("memory", str(memory))
    print(memory)
    assert max(memory.idle.values()) <= IDLE_LIMIT, str(memory)
    assert max(memory.growth.values()) <= GROWTH_LIMIT * transfers, str(memory)
