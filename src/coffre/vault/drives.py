"""Drives: labelled folders, which of them are there, and where new chunks go.

Placement looks at racks first, then nodes, then free space: within what the promise leaves, drives
are chosen in proportion to what is free on them. Every choice moves a drive's *turn* on by the
inverse of its free bytes, and the lowest turn is next; so equals take turns, folders of one disk
are equals, and a drive that is new starts beside the others instead of taking everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from errno import ENOENT
from typing import Literal

from coffre.system.disk import Disk
from coffre.vault.interface import StorageFull
from coffre.vault.records import GEOMETRIES, Geometry

RESERVE_BYTES = 1 << 30
# Reasons that begin so speak of a drive that answers, but not in time.
LATE = "late"
# What two racks can hold so that either may go.
_COPIES = (Geometry(1, 2), Geometry(1, 1))
Intent = Literal["", "drain"]


class DriveState(StrEnum):
    """missing: nothing of ours at the path. failed: an error was seen (see `reason`). foreign:
    another zone's, or a drive whose superblock is not the one that this path should have.
    checking: it is back, or new in a place, and its files are not trusted yet: nothing is placed on
    it, and it counts as holding nothing; only what proves itself is read from it, where nothing
    else has it; superblocks are written to it."""

    PRESENT = "present"
    MISSING = "missing"
    FAILED = "failed"
    FOREIGN = "foreign"
    CHECKING = "checking"


@dataclass(eq=False)
class Drive:
    """A folder that stands for a drive: 16-byte id, absolute path, labels, and how it is.

    `intent` is what the operator wants of it: "drain" is a drive that is to be emptied, which is
    read from as before and takes no new data. `founded`: superblocks name it, so that a folder
    without one is not this drive, and nothing is made there that would look like it."""

    id: bytes
    path: str
    node: str
    rack: str
    state: DriveState = DriveState.PRESENT
    reason: str = ""
    intent: Intent = ""
    founded: bool = False
    _chunk_dirs: set[str] = field(default_factory=set, repr=False)


def chunk_dir(drive: Drive, chunk_id: bytes) -> str:
    return f"{drive.path}/chunks/{chunk_id[-1]:02x}"


def mirror_path(drive: Drive, chunk_id: bytes) -> str:
    return f"{chunk_dir(drive, chunk_id)}/{chunk_id.hex()}.mirror"


def segment_path(drive: Drive, chunk_id: bytes, index: int) -> str:
    return f"{chunk_dir(drive, chunk_id)}/{chunk_id.hex()}.{index}.segment"


def temporary_path(path: str) -> str:
    """Where a file is written before it is renamed to `path`; left over after a crash."""
    return f"{path}.tmp"


def ensure_chunk_dir(disk: Disk, drive: Drive, chunk_id: bytes) -> None:
    """Make the folder that a chunk's file goes to, durably. Raises OSError."""
    parent = f"{drive.path}/chunks"
    known = not drive.founded or parent in drive._chunk_dirs
    if not (known or disk.exists(parent) or disk.exists(f"{drive.path}/superblock")):
        raise FileNotFoundError(ENOENT, "no drive stands there", drive.path)
    for path, above in ((parent, drive.path), (chunk_dir(drive, chunk_id), parent)):
        if path in drive._chunk_dirs:
            continue
        try:
            disk.mkdir(path)
        except FileExistsError:
            pass
        # Also when it stood already: its maker may not have synced it before a crash.
        disk.sync_dir(above)
        drive._chunk_dirs.add(path)


def broken_promise(places: Iterable[tuple[str, str]], geometry: Geometry) -> str:
    """Why drives at these (node, rack) cannot keep what a geometry promises; empty if they can.

    The promise: the data survives the loss of any m drives, and of any one rack where there are
    racks to choose from (no rack holds more than m segments of a chunk).
    """
    racks = Counter(rack for _, rack in places)
    if racks.total() < geometry.width:
        return f"{geometry} takes {geometry.width} drives, and there are {racks.total()}"
    fitting = sum(min(geometry.m, drives) for drives in racks.values())
    if len(racks) > 1 and fitting < geometry.width:
        return (
            f"{geometry} survives the loss of a rack only with at most {geometry.m} of its "
            f"{geometry.width} segments in each, and {fitting} fit so in these {len(racks)} racks"
        )
    return ""


class DriveSet:
    """A zone's drives as this process sees them.

    `reserve_bytes`: what must stay free on a drive; one with less takes no new chunk. `changed`
    hears of every drive whose state, reason or intent changed, on the thread that changed it.
    """

    changed: Callable[[Drive], None] | None = None

    def __init__(
        self, disk: Disk, drives: Iterable[Drive], *, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self.disk = disk
        self.reserve_bytes = reserve_bytes
        self._drives = {drive.id: drive for drive in drives}
        self._turns: dict[bytes, float] = {}
        self._rotation = 0
        self._full_at: dict[bytes, int] = {}

    def all(self) -> list[Drive]:
        return list(self._drives.values())

    def present(self) -> list[Drive]:
        return [drive for drive in self._drives.values() if drive.state is DriveState.PRESENT]

    def reachable(self) -> list[Drive]:
        """Drives that superblocks are written to: those that are present, or are being checked."""
        states = (DriveState.PRESENT, DriveState.CHECKING)
        return [drive for drive in self._drives.values() if drive.state in states]

    def by_id(self, drive_id: bytes) -> Drive | None:
        return self._drives.get(drive_id)

    def member(self, drive_id: bytes) -> Drive | None:
        """The drive if it is present; None for one that is away or was never chosen (b"")."""
        drive = self._drives.get(drive_id)
        return drive if drive is not None and drive.state is DriveState.PRESENT else None

    def checked(self, drive_id: bytes) -> Drive | None:
        """The drive if it is being checked."""
        drive = self._drives.get(drive_id)
        return drive if drive is not None and drive.state is DriveState.CHECKING else None

    def untrusted(self) -> tuple[bytes, ...]:
        """Drives that are not to be relied on before they are checked."""
        drives = self._drives.values()
        return tuple(drive.id for drive in drives if drive.state is not DriveState.PRESENT)

    def among(self, drives: Iterable[Drive], *, reserve_bytes: int | None = None) -> DriveSet:
        """These drives alone."""
        reserve = self.reserve_bytes if reserve_bytes is None else reserve_bytes
        return DriveSet(self.disk, drives, reserve_bytes=reserve)

    def trusting(self) -> DriveSet:
        """The same drives, for reading what proves itself: those that are being checked count as
        present."""
        return self.among(
            replace(drive, state=DriveState.PRESENT)
            if drive.state is DriveState.CHECKING
            else drive
            for drive in self._drives.values()
        )

    def take(self, drive_ids: Iterable[bytes]) -> bool:
        """Are all these drives there, and do they take new data (if they have room)?"""
        drives = [self.member(drive_id) for drive_id in drive_ids]
        return all(drive is not None and not drive.intent for drive in drives)

    def fail(self, drive_id: bytes, reason: str) -> None:
        """Take a drive out of use after an error or a missed deadline."""
        self.mark(drive_id, DriveState.FAILED, reason)

    def mark(self, drive_id: bytes, state: DriveState, reason: str = "") -> None:
        drive = self._drives[drive_id]
        if (drive.state, drive.reason) == (state, reason):
            return
        if state is not DriveState.PRESENT:
            drive._chunk_dirs.clear()
        drive.state, drive.reason = state, reason
        self._tell(drive)

    def intend(self, drive_id: bytes, intent: Intent) -> None:
        """Say what the operator wants of a drive."""
        drive = self._drives[drive_id]
        if drive.intent != intent:
            drive.intent = intent
            self._tell(drive)

    def add(self, drive: Drive) -> None:
        """Know one more drive."""
        # Another thread may be walking over the drives.
        self._drives = {**self._drives, drive.id: drive}
        self._tell(drive)

    def forget(self, drive_id: bytes) -> None:
        """The drive is no longer of the zone."""
        drive = self._drives[drive_id]
        self._drives = {one: kept for one, kept in self._drives.items() if one != drive_id}
        drive.state, drive.reason = DriveState.MISSING, "removed from the zone"
        self._tell(drive)

    def _tell(self, drive: Drive) -> None:
        if self.changed is not None:
            self.changed(drive)

    def fill(self, drive_id: bytes) -> None:
        """A write met no space: no new chunks until the drive has more free than now."""
        try:
            self._full_at[drive_id] = self.disk.free_bytes(self._drives[drive_id].path)
        except OSError as error:
            self.fail(drive_id, f"free space: {error}")

    def have_room(self, drive_ids: Iterable[bytes]) -> bool:
        """Do all these drives take new data, and have more than the reserve?"""
        takers = {drive.id: drive for drive in self._takers()}
        return all(one in takers and self._room_on(takers[one]) is not None for one in drive_ids)

    def choose_mirrors(self, count: int) -> list[Drive]:
        """Up to `count` drives for a landing chunk: distinct racks when possible, else distinct
        nodes, else distinct drives. Fewer when fewer have room. Raises StorageFull on none."""
        room = self._with_room()
        self._refuse_crowding(room, count)
        chosen = self._spread(room, count, count)
        self._take_turns(chosen, room)
        return chosen

    def choose_segments(self, wanted: Geometry) -> tuple[Geometry, list[Drive]]:
        """The widest geometry not wider than `wanted` that keeps its promise, and its drives.

        The promise: any m drives or any one rack may go, so no rack holds more than m segments.
        Where two racks are left of three or more, only whole copies can keep the second half: 1+2,
        or 1+1 where one is all that may go. A zone that has but two racks was made to promise less,
        and of one rack nothing survives its loss: then the rule is relaxed, one segment a drive,
        spread evenly over racks and nodes, any m drives may go but not a rack. One drive alone
        takes 1+0. Raises StorageFull when none has room, and when only fullness of drives that are
        there would make m smaller.
        """
        room = self._with_room()
        self._refuse_crowding(room, wanted.m + 1)
        geometry, chosen = self._fit(room, wanted)
        if geometry.m < wanted.m and geometry.m < self._fit(self._all_takers(), wanted)[0].m:
            raise StorageFull("too few drives have room for what must survive the loss of some")
        self._take_turns(chosen, room)
        self._rotation += 1
        first = self._rotation % geometry.width
        # Data segments serve the reads: let every drive have its share of them.
        return geometry, chosen[first:] + chosen[:first]

    def possible(self, wanted: Geometry) -> Geometry | None:
        """The widest geometry not wider than `wanted` that the drives keep the promise of which
        take new data, if they have room: None where no drive takes any."""
        try:
            return self._fit(self._all_takers(), wanted)[0]
        except StorageFull:
            return None

    def _fit(self, room: dict[bytes, int], wanted: Geometry) -> tuple[Geometry, list[Drive]]:
        """The widest geometry that fits on these drives. Raises StorageFull when none does."""
        allowed = [g for g in GEOMETRIES if g.width <= wanted.width and g.m <= wanted.m]
        racks = len({self._drives[drive_id].rack for drive_id in room})
        keeps_racks = racks >= 3
        if racks == 2 and len({drive.rack for drive in self._drives.values()}) >= 3:
            copies = [g for g in _COPIES if g.m <= min(wanted.m, len(room) - 1)]
            allowed, keeps_racks = copies or allowed, bool(copies)
        for geometry in allowed or [GEOMETRIES[-1]]:
            per_rack = (geometry.m or 1) if keeps_racks else geometry.width
            chosen = self._spread(room, geometry.width, per_rack)
            if len(chosen) == geometry.width:
                return geometry, chosen
        raise StorageFull("no drive has room for a chunk")

    def _takers(self) -> list[Drive]:
        """Present drives that may take new data."""
        return [drive for drive in self.present() if not drive.intent]

    def _all_takers(self) -> dict[bytes, int]:
        return dict.fromkeys((drive.id for drive in self._takers()), 0)

    def _with_room(self) -> dict[bytes, int]:
        """Bytes above the reserve of each drive that takes new data and has more than that."""
        room: dict[bytes, int] = {}
        for drive in self._takers():
            free = self._room_on(drive)
            if free is not None:
                room[drive.id] = free - self.reserve_bytes
        if not room:
            raise StorageFull("no drive has room for a chunk")
        known = [self._turns[one] for one in room if one in self._turns]
        for newcomer in room.keys() - self._turns.keys():
            self._turns[newcomer] = min(known, default=0.0)
        return room

    def _room_on(self, drive: Drive) -> int | None:
        """Free bytes of a drive that has more than the reserve; None for any other."""
        try:
            free = self.disk.free_bytes(drive.path)
        except OSError as error:
            self.fail(drive.id, f"free space: {error}")
            return None
        return free if free > max(self.reserve_bytes, self._full_at.get(drive.id, 0)) else None

    def _refuse_crowding(self, room: dict[bytes, int], copies: int) -> None:
        """Raises StorageFull where only fullness of drives that are there would put what belongs
        on three drives in three racks (any two drives, any rack may go) on fewer."""
        takers = self._takers()
        racks = len({drive.rack for drive in takers})
        with_room = len({self._drives[drive_id].rack for drive_id in room})
        enough = min(3, copies)
        if len(room) < min(enough, len(takers)) or with_room < min(enough, racks):
            raise StorageFull("too few drives have room for what must survive the loss of two")

    def _take_turns(self, chosen: Iterable[Drive], room: dict[bytes, int]) -> None:
        for drive in chosen:
            self._turns[drive.id] += 1 / max(1, room[drive.id])

    def _spread(self, room: dict[bytes, int], count: int, per_rack: int) -> list[Drive]:
        """Up to `count` drives, at most `per_rack` in a rack, as evenly spread as they allow."""
        left = [self._drives[drive_id] for drive_id in room]
        racks: Counter[str] = Counter()
        nodes: Counter[tuple[str, str]] = Counter()
        chosen: list[Drive] = []

        def rank(drive: Drive) -> tuple[int, int, float]:
            node = nodes[drive.rack, drive.node]
            # Its next turn: of two that start alike, the one with more space goes first.
            turn = self._turns.get(drive.id, 0.0) + 1 / max(1, room[drive.id])
            return racks[drive.rack], node, turn

        while left and len(chosen) < count:
            drive = min(left, key=rank)
            left.remove(drive)
            if racks[drive.rack] >= per_rack:
                break  # The emptiest rack is full to the rule: so are the others.
            racks[drive.rack] += 1
            nodes[drive.rack, drive.node] += 1
            chosen.append(drive)
        return chosen
