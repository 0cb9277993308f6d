"""`coffre rebuild`: the catalog made again from what is on the drives, while no node runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uvloop
from msgspec.structs import replace

from coffre.catalog.rebuilding import Progress, Rebuild, Source
from coffre.config import Settings
from coffre.service.engine import DrivesNode, open_engine, with_engine
from coffre.service.layout import DataFolder, FolderLock, StartRefused
from coffre.service.zone import real_world
from coffre.vault.blocks import relaid
from coffre.vault.drives import Drive, DriveState, mirror_path, segment_path
from coffre.vault.records import Chunk, ChunkState
from coffre.vault.segments import find_sealed

# What the operator may ask for, and what is tried then, in this order.
SOURCES: dict[str | None, tuple[Source, ...]] = {
    None: (Source.SNAPSHOT, Source.LOG, Source.FOLLOWER),
    "snapshot": (Source.SNAPSHOT, Source.LOG),
    "log": (Source.LOG,),
    "follower": (Source.FOLLOWER,),
}
_NAMED = 8


class RebuildFailed(Exception):
    """The catalog could not be made again: what is missing. What stood there stands there still."""


def rebuild(settings: Settings, source: str | None, progress: Progress) -> dict[str, Any]:
    """Make the catalog again; what came of it.

    `complete`: the bytes of every chunk can be read, though some drives may be away. Raises
    StartRefused when nothing was begun, RebuildFailed.
    """
    folder = DataFolder(Path(settings.data))
    if folder.state() != "ours":
        raise StartRefused(f"{folder.root} is not initialized: drives and root.key belong there")
    locks = [FolderLock(folder, "node")]
    try:
        locks.append(FolderLock(folder, "committer"))
        return uvloop.run(_rebuild(settings, Rebuild(SOURCES[source], progress)))
    finally:
        for lock in locks:
            lock.release()


async def _rebuild(settings: Settings, wanted: Rebuild) -> dict[str, Any]:
    progress = wanted.progress
    total = 0

    def counted(done: int, of: int) -> None:
        nonlocal total
        total = of
        progress(done, of)

    try:
        engine = await open_engine(settings, real_world(), wanted=replace(wanted, progress=counted))
    except StartRefused as refused:
        raise RebuildFailed(str(refused)) from refused

    async def look() -> dict[str, Any]:
        return {**engine.node.facts.recovery, **_state_of_chunks(engine.node)}

    facts: dict[str, Any] = await with_engine(engine, look)
    rate = facts["records"] / facts["seconds"] if facts["seconds"] else 0.0
    return {**facts, "records_per_second": round(rate, 1)}


def _state_of_chunks(node: DrivesNode) -> dict[str, Any]:
    """Which chunks have all their files, fewer, or too few."""
    degraded = 0
    lost: list[Chunk] = []
    for row in node.reader.chunks():
        if row.state is ChunkState.CONDEMNED:
            continue
        # Superblocks may know of a seal that the rows have yet to hear of.
        chunk = row if relaid(row) else find_sealed(node.drives, row.id) or row
        there = _files(node, chunk)
        if there < (chunk.k if relaid(chunk) else 1):
            lost.append(chunk)
        elif there < len(chunk.members):
            degraded += 1
    members = {one for chunk in lost for one in chunk.members}
    away = [drive for drive in node.drives.all() if drive.id in members and not _is_here(drive)]
    return {
        "complete": not lost,
        "degraded_chunks": degraded,
        "unreadable_chunks": len(lost),
        "bring_back": [drive.path or drive.id.hex() for drive in away][:_NAMED],
    }


def _is_here(drive: Drive) -> bool:
    return drive.state is DriveState.PRESENT


def _files(node: DrivesNode, chunk: Chunk) -> int:
    """How many of a chunk's files are there."""
    found = 0
    for index, member in enumerate(chunk.members):
        drive = node.drives.member(member)
        if drive is not None:
            at = drive, chunk.id
            path = segment_path(*at, index) if relaid(chunk) else mirror_path(*at)
            found += node.drives.disk.exists(path)
    return found
