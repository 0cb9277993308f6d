"""What is stored for what was put: data, the log, and snapshots, after everything is sealed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.filling import COMMAND, fill, make
from bench.servers import coffre
from bench.signing import Signer
from bench.transfers import connect, exchange
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_reader
from coffre.vault.records import Chunk, ChunkKind

MIB = 1024 * 1024
_SNAPSHOTS = 3
_CLIENTS = 64


@dataclass(frozen=True)
class Overhead:
    """Bytes on drives for each byte that was put. `snapshots` are three, all of the whole bucket,
    which is the most that there can be; `snapshot_bytes` is one of them."""

    objects: int
    size: int
    data: float
    log: float
    snapshots: float
    snapshot_bytes: int


def overheads(folder: Path, small: int, large: int) -> list[Overhead]:
    """`large` objects of 1 MiB, put as clients do, and `small` ones of 4 KiB, by the committer."""
    return [_large(folder / "large", large), _small(folder / "small", small)]


def _large(data: Path, objects: int) -> Overhead:
    body = bytes(range(256)) * (MIB // 256)
    with coffre(data, data.with_suffix(".log")) as node:
        signer = Signer(node.endpoint, node.access_key, node.secret_key, node.region)
        connection = connect(node.endpoint)
        exchange(connection, signer.sign("PUT", "/large"))
        for number in range(objects):
            request = signer.sign("PUT", f"/large/{number:06d}", length=len(body))
            exchange(connection, request, body)
        connection.close()
    return _measured(data, objects, MIB)


def _small(data: Path, objects: int) -> Overhead:
    make(data)
    fill(data, objects, 4096, _CLIENTS)
    return _measured(data, objects, 4096)


def _measured(data: Path, objects: int, size: int) -> Overhead:
    for number in range(_SNAPSHOTS):
        # Each moves the log by a record, so that the next snapshot is another one.
        _command(data, "store", "create", f"s{number}")
        kept = _command(data, "snapshot", "--now")
    # Rows hear of a seal by the next record; what that one lies in is sealed too.
    _command(data, "seal", "--now")
    _command(data, "store", "create", "last")
    _command(data, "seal", "--now")
    put = objects * size
    chunk_bytes = _bytes(data, "drives/*/chunks/*/*")
    log_bytes = sum(map(_log_bytes, _chunks(data)))
    return Overhead(
        objects,
        size,
        (chunk_bytes - log_bytes) / put,
        log_bytes / put,
        _bytes(data, "drives/*/snapshots/*") / put,
        kept[-1]["bytes"],
    )


def _log_bytes(chunk: Chunk) -> float:
    """What of a landing chunk's segments is not clients' bytes."""
    if chunk.kind is not ChunkKind.LANDING or not chunk.length:
        return 0.0
    return (chunk.length - chunk.appended) * (chunk.k + chunk.m) / chunk.k


def _chunks(data: Path) -> list[Chunk]:
    db = open_reader(str(data / "catalog.sqlite"))
    try:
        return SqliteReader(db).chunks()
    finally:
        db.close()


def _bytes(data: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in data.glob(pattern))


def _command(data: Path, *arguments: str) -> list[dict[str, int]]:
    done = subprocess.run(
        [COMMAND, *arguments, "--data", data, "--json"], check=True, capture_output=True
    )
    answer: list[dict[str, int]] = json.loads(done.stdout)
    return answer
