"""A machine with drives: what is on them, how they fail, and how much may fail at a time.

The promise is any two drives or one rack while data is not sealed, any m drives or one rack after.
There is always something unsealed, so drives as a whole are impaired two or a rack at a time; what
rots or is forgotten in single chunks is counted for each chunk and must leave it what it needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.content import FATES, Fate
from coffre.testing.disk import RecordingDisk
from coffre.testing.simulation.loop import VirtualLoop
from coffre.vault.blocks import relaid
from coffre.vault.drives import DriveSet, DriveState
from coffre.vault.records import Chunk
from coffre.vault.superblock import DriveLabel, Superblock

# A chunk in one of its two forms: its id, and is it meant in segments, or in mirrors?
Form = tuple[bytes, bool]
# back: well again, but the process that runs may not use it yet.
Trouble = Literal["dead", "failing", "slow", "lying", "rotten superblock", "back"]


@dataclass(eq=False)
class Place:
    """A drive's place: its folder, and the labels of the drive that stands there now."""

    path: str
    label: DriveLabel


def places(racks: int) -> list[Place]:
    """Racks of two nodes of two drives."""
    found: list[Place] = []
    for rack in range(1, racks + 1):
        for node in (1, 2):
            for drive in (1, 2):
                name = f"r{rack}n{node}d{drive}"
                label = DriveLabel(name.encode().ljust(16, b"."), f"r{rack}n{node}", f"r{rack}")
                found.append(Place(f"/drives/{name}", label))
    return found


def form_in(path: str) -> Form:
    """Of which chunk this is a mirror or segment."""
    name = path.rsplit("/", 1)[1]
    return bytes.fromhex(name.split(".", 1)[0]), ".segment" in name


def form_of(chunk: Chunk) -> Form:
    """In which form a chunk is what it must be."""
    return chunk.id, relaid(chunk)


@dataclass
class Machine:
    """Drives, a clock and randomness, which outlive every process on them."""

    random: Random
    places: list[Place]
    clock: ManualClock = field(default_factory=ManualClock)
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(0))
    # What is the matter with a drive as a whole.
    troubles: dict[str, Trouble] = field(default_factory=dict)
    # Drives that do not hold what they should of a chunk.
    lost: defaultdict[Form, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    full: set[str] = field(default_factory=set)
    # Drives that were full or slow at any time: whoever sets one aside, late, has a reason.
    excused: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)
    starts_cut: int = 0
    # The first event after which a drive can have been what it is.
    founded: int = 0
    # Of the process that runs.
    loop: VirtualLoop | None = None

    def __post_init__(self) -> None:
        self.disk = RecordingDisk((place.path for place in self.places), wait=self._linger)

    # How much may fail

    def allows(self, more: Iterable[Place], chunks: Iterable[Chunk]) -> bool:
        """May these drives be impaired too, with all chunks kept within their promise?"""
        impaired = {place for place in self.places if place.path in self.troubles} | set(more)
        racks = {place.label.rack for place in impaired}
        if len(impaired) > 2 and len(racks) > 1:
            return False
        gone = {place.label.id for place in impaired}
        return all(self._survives(chunk, gone) for chunk in chunks)

    def allows_loss(self, chunk: Chunk, form: Form, drive: bytes) -> bool:
        """May one drive's file of this chunk go bad?"""
        if form != form_of(chunk):
            # Mirrors are worth nothing after the seal; whether segments are, before it, is known
            # when it counts.
            return relaid(chunk)
        gone = {place.label.id for place in self.places if place.path in self.troubles}
        return self._survives(chunk, gone | {drive})

    def _survives(self, chunk: Chunk, gone: set[bytes]) -> bool:
        here = {place.label.id for place in self.places}
        left = len(set(chunk.members) & here - gone - self.lost[form_of(chunk)])
        if relaid(chunk):
            return left >= chunk.k
        return left >= 1

    @property
    def excuses(self) -> bool:
        """Is there a reason for the engine to refuse writes?"""
        return bool(self.troubles or self.full)

    def noticed(self, drives: DriveSet, zone: Superblock) -> None:
        """How the running process sees its drives: what is well and in use again, as superblocks
        say too, is over; what is not in use without a reason is a fault of the engine's."""
        for drive in drives.all():
            trouble = self.troubles.get(drive.path)
            if not drive.path:
                continue  # It was replaced.
            if drive.state is DriveState.PRESENT:
                if trouble == "back" and drive.id not in zone.unchecked:
                    del self.troubles[drive.path]
            elif trouble is None and drive.state is DriveState.CHECKING and self.starts_cut:
                # It was left out of superblocks that a start wrote before it was cut.
                self.troubles[drive.path] = "back"
            elif trouble is None and drive.path in self.excused:
                self.troubles[drive.path] = "back"
            elif trouble is None:
                raise AssertionError(f"{drive.path} is {drive.state}: {drive.reason}, but is well")

    def renamed(self, drives: DriveSet) -> None:
        """Take note of drives that took the place of others."""
        for drive in drives.all():
            for place in self.places:
                if drive.path == place.path:
                    place.label = DriveLabel(drive.id, place.label.node, place.label.rack)

    # What goes wrong

    def trouble(self, place: Place, trouble: Trouble, detail: float = 0) -> None:
        self.troubles[place.path] = trouble
        if trouble == "dead":
            self.disk.lose(place.path)
        elif trouble == "slow":
            self.slow[place.path] = detail
            self.disk.slow(f"{place.path}/chunks", detail)
        elif trouble == "lying":
            self.disk.lie(place.path)

    def fill(self, place: Place, bytes_left: int) -> None:
        """Not an impaired drive: what it holds, it holds."""
        self.full.add(place.path)
        self.excused.add(place.path)
        self.disk.full(f"{place.path}", bytes_left)

    def wipe(self, place: Place) -> None:
        """A new disk in the place of one that is gone: an empty folder."""
        self.heal([place.path])
        for path in self.disk.paths(place.path):
            self.disk.unlink(path)
        self.disk.forget_folders(place.path)
        self.disk.settle(place.path)

    def heal(self, paths: Iterable[str]) -> None:
        """End what is the matter with drives; what they missed meanwhile, they lack."""
        for path in list(paths):
            for prefix in (path, f"{path}/chunks"):
                self.disk.heal(prefix)
            if self.troubles.get(path) == "lying":
                self.disk.settle(path)
            if path in self.troubles:
                self.troubles[path] = "back"
            self.full.discard(path)
            if self.slow.pop(path, None):
                self.excused.add(path)

    def lose_power(self, at: int) -> dict[str, Fate]:
        """From now on the disk is what is left of it, and another boot begins. What a liar should
        hold is anybody's guess."""
        self.clock.reboot()
        fates: dict[str, Fate] = {p.path: self.random.choice(FATES) for p in self.places}
        for place in self.places:
            if self.troubles.get(place.path) == "lying":
                for form in self.forms_on(place):
                    self.lost[form].add(place.label.id)
        self._take_over(self.disk.image(at, self.random, policy_by_prefix=fates))
        return fates

    def turn_back(self, place: Place, moment: int) -> None:
        """At a stop: a drive comes back as it was earlier on."""
        kept: dict[str, Fate] = {"/": "kept"}
        older = self.disk.image(moment, self.random, policy_by_prefix=kept)
        now = self.disk.image(len(self.disk.journal), self.random, policy_by_prefix=kept)
        for form in self.forms_on(place):
            self.lost[form].add(place.label.id)
        now.put_back(place.path, older)
        self._take_over(now)
        self.troubles[place.path] = "back"

    def size(self, path: str) -> int:
        file = self.disk.open(path, "read")
        try:
            return file.size()
        finally:
            file.close()

    def forms_on(self, place: Place) -> set[Form]:
        """The chunks of which a drive has files."""
        return {form_in(path) for path in self.disk.paths(f"{place.path}/chunks")}

    def slowness(self, path: str) -> float:
        return self.slow.get(path, 0.0)

    def _take_over(self, image: RecordingDisk) -> None:
        self.disk, self.founded = image, 0
        for place in self.places:
            trouble = self.troubles.get(place.path)
            if trouble == "dead":
                image.lose(place.path)
            elif trouble == "lying":
                image.lie(place.path)
            elif place.path in self.slow:
                image.slow(f"{place.path}/chunks", self.slow[place.path])
        # Faults that passed by themselves are over; so is want of space, to keep things short.
        self.full.clear()

    def _linger(self, seconds: float) -> None:
        if self.loop is not None:
            self.loop.linger(seconds)
