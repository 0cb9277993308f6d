"""A machine with drives: what is on them, how they fail, and how much may fail at a time. The data
folder is on the same disk, as far as the engine writes to it as to a disk.

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
from coffre.vault.superblock import REPLACED, SLOT_BYTES, DriveLabel, Superblock

# A chunk in one of its two forms: its id, and is it meant in segments, or in mirrors?
Form = tuple[bytes, bool]
# back: well again, but the process that runs may not use it yet.
Trouble = Literal["dead", "failing", "slow", "lying", "rotten superblock", "back"]


@dataclass(eq=False)
class Place:
    """A drive's place: its folder, which is there since an event, and the labels of the drive that
    stands there now."""

    path: str
    label: DriveLabel
    since: int = 0


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
    """Drives, a clock and randomness, which outlive every process on them. `places` are those of
    the zone's drives; `data` is the data folder."""

    random: Random
    places: list[Place]
    data: str = "/data"
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
    # Slots of superblocks that rotted, as they were found then: where, and what they hold.
    rotten: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    # Empty folders that were or are to be made drives of, and places of drives that may be removed.
    spare: list[Place] = field(default_factory=list)
    leaving: set[str] = field(default_factory=set)
    starts_cut: int = 0
    # The first event after which a drive can have been what it is.
    founded: int = 0
    # Of the process that runs.
    loop: VirtualLoop | None = None

    def __post_init__(self) -> None:
        folders = (self.data, *(place.path for place in self.places))
        self.disk = RecordingDisk(folders, wait=self._linger)

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
        for path in [path for path in self.rotten if self._is_written_anew(path)]:
            del self.rotten[path]
            self.troubles[path] = "back"
        for drive in drives.all():
            trouble = self.troubles.get(drive.path)
            if not drive.path:
                if (drive.id, REPLACED) not in zone.intents:
                    raise AssertionError(f"nobody knows the place of drive {drive.id!r}")
                continue
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
        """Take note of drives that took the place of others, are new, or are no more."""
        ids = {drive.path: drive.id for drive in drives.all() if drive.path}
        for place in [place for place in self.spare if place.path in ids]:
            self.spare.remove(place)
            self.places.append(place)
            self.troubles[place.path] = "back"  # Until superblocks trust it.
        for place in [place for place in self.places if place.path in self.leaving - ids.keys()]:
            self.leaving.remove(place.path)
            self.rotten.pop(place.path, None)
            self.heal([place.path])
            self.troubles.pop(place.path, None)
            self.places.remove(place)
        for place in self.places:
            if place.path in ids:
                label = place.label
                place.label = DriveLabel(ids[place.path], label.node, label.rack)

    # Growth

    def empty_folder(self, rack: str) -> Place:
        """A folder for one drive more; one that did not become a drive yet if there is any."""
        if not self.spare:
            path = f"/drives/{rack}n1x{len(self.places)}"
            while self.disk.exists(path) or path in self.leaving:
                path += "x"
            self.disk.mkdir(path)
            self.disk.sync_dir("/drives")
            label = DriveLabel(b"", f"{rack}n1", rack)
            self.spare.append(Place(path, label, len(self.disk.journal)))
        return self.spare[0]

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

    def rot_superblock(self, place: Place, offset: int, mask: int) -> None:
        """It is well again once it is written anew: bits do not flip back."""
        path = f"{place.path}/superblock"
        self.disk.corrupt(path, offset, mask)
        at = offset // SLOT_BYTES * SLOT_BYTES
        self.troubles[place.path] = "rotten superblock"
        self.rotten[place.path] = at, self._bytes(path, at)

    def _is_written_anew(self, path: str) -> bool:
        at, rotten = self.rotten[path]
        superblock = f"{path}/superblock"
        return self.disk.exists(superblock) and self._bytes(superblock, at) != rotten

    def _bytes(self, path: str, at: int) -> bytes:
        file = self.disk.open(path, "read")
        try:
            return file.pread(SLOT_BYTES, at)
        finally:
            file.close()

    def fill(self, place: Place, bytes_left: int) -> None:
        """Not an impaired drive: what it holds, it holds."""
        self.full.add(place.path)
        self.excused.add(place.path)
        self.disk.full(f"{place.path}", bytes_left)

    def wipe(self, place: Place) -> None:
        """A new disk in the place of one that is gone: an empty folder."""
        self.rotten.pop(place.path, None)
        self.heal([place.path])
        for path in self.disk.paths(place.path):
            self.disk.unlink(path)
        self.disk.forget_folders(place.path)
        self.disk.settle(place.path)

    def heal(self, paths: Iterable[str]) -> None:
        """End what is the matter with drives; what they missed meanwhile, they lack."""
        for path in [path for path in paths if path not in self.rotten]:
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
        folders = [self.data, *(place.path for place in (*self.places, *self.spare))]
        fates: dict[str, Fate] = {path: self.random.choice(FATES) for path in folders}
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
        self.rotten.pop(place.path, None)
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
        for place in (*self.places, *self.spare):
            place.since = 0
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
