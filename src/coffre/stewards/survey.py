"""Which members of which chunks are not held as they must be: from rows, drives and known damage.

A pure look: it opens no file. What files themselves say comes in through `Damage`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Literal

from msgspec import Struct

from coffre.stewards.damage import Place
from coffre.vault.blocks import relaid
from coffre.vault.drives import DriveSet, DriveState
from coffre.vault.records import Chunk, ChunkKind, ChunkState

Why = Literal["lost", "bad", "checked", "drain"]


class Job(Struct, frozen=True):
    """Member `index` of a chunk is to be made anew. `spare`: how many more of the chunk's segments
    may go before bytes are lost (negative: some are). `size`: payload bytes, about.

    lost: its drive is away, or it was never written. bad: its file is. checked: its drive is back
    and may turn out to hold it. drain: it is whole, but is to leave its drive."""

    chunk: Chunk
    index: int
    spare: int
    why: Why
    size: int

    @property
    def key(self) -> tuple[bytes, int]:
        return self.chunk.id, self.index


class Survey(Struct, frozen=True):
    """`jobs` with the most endangered chunks first; `below`: ids of chunks with fewer members than
    they must have, and `bytes_below` what these chunks hold; `exposed`: chunks that are not sealed
    yet and lost a mirror, or have one on a drive that is to be emptied."""

    jobs: tuple[Job, ...]
    below: frozenset[bytes]
    bytes_below: int
    exposed: tuple[bytes, ...]


def survey(chunks: Iterable[Chunk], drives: DriveSet, damage: Container[Place]) -> Survey:
    """Look at every row. A condemned chunk needs nothing any more; a striped chunk that its owner
    may still append to is counted, but left to the owner."""
    jobs: list[Job] = []
    below: set[bytes] = set()
    exposed: list[bytes] = []
    size = 0
    for chunk in chunks:
        if chunk.state is ChunkState.CONDEMNED:
            continue
        states = [_why(chunk, index, drives, damage) for index in range(len(chunk.members))]
        missing = sum(why is not None and why != "drain" for why in states)
        if missing:
            below.add(chunk.id)
            size += stored_bytes(chunk)
        if not any(states):
            continue
        if not relaid(chunk):
            exposed.append(chunk.id)
        elif chunk.state is ChunkState.SEALED:
            spare = len(states) - missing - chunk.k
            payload = stored_bytes(chunk) // chunk.k
            jobs += [
                Job(chunk, index, spare, why, payload)
                for index, why in enumerate(states)
                if why is not None
            ]
    jobs.sort(key=_danger)
    return Survey(tuple(jobs), frozenset(below), size, tuple(exposed))


def stored_bytes(chunk: Chunk) -> int:
    """Bytes of data that a chunk holds."""
    if chunk.kind is ChunkKind.LANDING and chunk.state is ChunkState.SEALED:
        return chunk.length
    return chunk.appended


def _danger(job: Job) -> tuple[bool, int, bytes, int]:
    """What is held somewhere comes after what is not; then the fewest spares."""
    return job.why == "drain", job.spare, job.chunk.id, job.index


def _why(chunk: Chunk, index: int, drives: DriveSet, damage: Container[Place]) -> Why | None:
    """What is wrong with a member; None when it is as it must be."""
    member = chunk.members[index]
    drive = drives.by_id(member)
    if drive is None:
        return "lost"
    if drive.state is DriveState.CHECKING:
        return "bad" if Place(chunk.id, index, member) in damage else "checked"
    if drive.state is not DriveState.PRESENT:
        return "lost"
    if Place(chunk.id, index, member) in damage:
        return "bad"
    return "drain" if drive.intent == "drain" else None
