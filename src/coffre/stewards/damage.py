"""What is known to be bad on drives that are there: found by a scrub, a check, a read or a recount.

A damaged file counts as not held until it was rebuilt. The list outlives a restart (`Memory`); the
findings beside it are for people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from os.path import basename
from typing import Protocol

from msgspec import Struct

from coffre.system.clock import Clock
from coffre.vault.drives import Drive
from coffre.vault.inspection import file_of
from coffre.vault.records import Chunk

log = logging.getLogger("coffre.damage")


class Place(Struct, frozen=True):
    """Member `index` of a chunk, on the drive that was to hold it."""

    chunk: bytes
    index: int
    drive: bytes


class Finding(Struct, frozen=True):
    """Something bad that was found: when, by whom, on which drive (hex id), in which file (its
    name), what it is."""

    at_ms: int
    found_by: str
    drive: str
    file: str
    what: str


class Memory(Protocol):
    """Where damage and findings outlive a restart."""

    def damaged(self) -> list[tuple[bytes, int, bytes]]: ...

    def add_damaged(self, chunk: bytes, index: int, drive: bytes) -> None: ...

    def remove_damaged(self, chunk: bytes, index: int, drive: bytes) -> None: ...

    def add_finding(self, finding: Finding) -> None: ...


def _nobody() -> None:
    """Where nobody waits for damage."""


class Damage:
    """The list. `found` is told of every new entry."""

    def __init__(self, memory: Memory, clock: Clock, found: Callable[[], None] = _nobody) -> None:
        self.found = found
        self._memory = memory
        self._clock = clock
        self._places = {Place(*row) for row in memory.damaged()}

    def __contains__(self, place: object) -> bool:
        return place in self._places

    def __len__(self) -> int:
        return len(self._places)

    def places(self) -> list[Place]:
        return list(self._places)

    def add(self, chunk: Chunk, index: int, drive: Drive, found_by: str, what: str) -> None:
        """Member `index` of a chunk is bad on this drive. Nothing new is told twice."""
        place = Place(chunk.id, index, drive.id)
        if place in self._places:
            return
        self._places.add(place)
        self._memory.add_damaged(place.chunk, place.index, place.drive)
        self.tell(drive, file_of(drive, chunk, index), found_by, what)
        self.found()

    def tell(self, drive: Drive, path: str, found_by: str, what: str) -> None:
        """Record a finding that is not a segment to be rebuilt."""
        log.warning("%s found %s: %s", found_by, path, what)
        self._memory.add_finding(
            Finding(self._clock.now_ms(), found_by, drive.id.hex(), basename(path), what)
        )

    def mended(self, place: Place) -> None:
        """It was rebuilt, or no row asks for it any more."""
        if place in self._places:
            self._places.discard(place)
            self._memory.remove_damaged(place.chunk, place.index, place.drive)
