"""Striped chunks whose owner is gone are closed at a start, which never fails for that."""

from __future__ import annotations

from pathlib import Path

from coffre.catalog.mutations import ReserveChunk
from coffre.service.zone import close_left_chunks
from coffre.testing.committing import LABELS, RecordedZone
from coffre.vault.records import ChunkState

CHUNK = b"chunk".ljust(16, b".")
MEMBERS = tuple(label.id for label in LABELS)


async def test_a_zone_without_any_room_starts_and_closes_them_another_time(tmp_path: Path) -> None:
    zone = RecordedZone(tmp_path)
    node = await zone.founded()
    await node.committer.commit(ReserveChunk(CHUNK, "worker", 1, 12, 4, MEMBERS))
    await node.kill()

    zone.disk.full("/drives", 0)
    node = await zone.node()
    await close_left_chunks(node.reader, node.committer, "worker".__eq__)
    assert (left := node.reader.chunk(CHUNK)) is not None
    assert left.state is ChunkState.OPEN

    zone.disk.heal("/drives")
    await close_left_chunks(node.reader, node.committer, "worker".__eq__)
    assert (closed := node.reader.chunk(CHUNK)) is not None
    assert closed.state is ChunkState.SEALED
    await node.stop()
