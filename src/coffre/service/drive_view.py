"""What an operator sees of drives: each with its state and what is left on it; chunks by what they
survive."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from coffre.system.clock import Clock
from coffre.vault.archive import find_archive
from coffre.vault.blocks import payload_bytes, relaid
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.records import Chunk, ChunkState
from coffre.vault.superblock import Superblock

# Over how many seconds the rate of a drain is measured, at least two looks apart.
_WINDOW_S = 30.0


def member_bytes(chunk: Chunk) -> int:
    """What each member holds of a chunk, roughly: a mirror all of it, a segment its share."""
    return payload_bytes(chunk.length, chunk.k) if relaid(chunk) else chunk.length


class Left:
    """What chunks still need of drives: bytes and chunks by drive id."""

    def __init__(self, chunks: Iterable[Chunk], zone: Superblock, drives: DriveSet) -> None:
        self.bytes: Counter[bytes] = Counter()
        self.chunks: Counter[bytes] = Counter()
        known: set[bytes] = set()
        for chunk in chunks:
            known.add(chunk.id)
            if chunk.state is not ChunkState.CONDEMNED:
                self._count(chunk.members, member_bytes(chunk))
        for ref in zone.log.unsealed:
            if ref.chunk not in known:
                self._count(ref.members, 0)
        # Older snapshots go by themselves; the newest must stay whole.
        for snapshot in zone.snapshots[-1:]:
            if (archive := find_archive(drives, snapshot)) is not None:
                size = payload_bytes(snapshot.length, archive.header.k)
                self._count((drive.id for drive in archive.places.values()), size)

    def _count(self, members: Iterable[bytes], size: int) -> None:
        for member in set(members):
            self.bytes[member] += size
            self.chunks[member] += 1


class DriveView:
    """Drives and their data as this process sees them."""

    def __init__(
        self,
        drives: DriveSet,
        clock: Clock,
        chunks: Callable[[], list[Chunk]],
        zone: Callable[[], Superblock],
    ) -> None:
        self._drives = drives
        self._clock = clock
        self._chunks = chunks
        self._zone = zone
        self._looks: dict[bytes, deque[tuple[float, int]]] = {}

    def left(self) -> Left:
        """What chunks need of each drive now."""
        return Left(self._as_they_are(), self._zone(), self._drives)

    def _as_they_are(self) -> list[Chunk]:
        """All chunks; of those just sealed the rows hear with the next group."""
        sealed = {ref.chunk: ref for ref in self._zone().log.sealed}
        return [
            chunk
            if (ref := sealed.get(chunk.id)) is None
            else structs.replace(
                chunk,
                state=ChunkState.SEALED,
                k=ref.k,
                m=ref.m,
                members=ref.members,
                length=ref.length,
            )
            for chunk in self._chunks()
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Every drive. `left_bytes` and `left_chunks`: what still needs it; of one that is being
        emptied also the rate, and the seconds until nothing is left (None: not known)."""
        left = self.left()
        return [self._row(drive, left) for drive in self._drives.all()]

    def _row(self, drive: Drive, left: Left) -> dict[str, Any]:
        bytes_left, chunks_left = left.bytes[drive.id], left.chunks[drive.id]
        row: dict[str, Any] = {
            "id": drive.id.hex(),
            "path": drive.path,
            "node": drive.node,
            "rack": drive.rack,
            "state": drive.state.value,
            "reason": drive.reason,
            "intent": drive.intent,
            "free_bytes": self._free(drive),
            "left_bytes": bytes_left,
            "left_chunks": chunks_left,
            "bytes_per_second": None,
            "seconds_left": None,
        }
        if drive.intent:
            rate = self._rate(drive.id, bytes_left)
            row["bytes_per_second"] = rate
            row["seconds_left"] = 0 if not chunks_left else bytes_left // rate if rate else None
        else:
            self._looks.pop(drive.id, None)
        return row

    def _free(self, drive: Drive) -> int | None:
        if drive.state not in (DriveState.PRESENT, DriveState.CHECKING):
            return None
        try:
            return self._drives.disk.free_bytes(drive.path)
        except OSError:
            return None

    def _rate(self, drive_id: bytes, left: int) -> int | None:
        """Bytes a second that left a drive lately; None before the second look."""
        looks = self._looks.setdefault(drive_id, deque())
        now = self._clock.monotonic()
        looks.append((now, left))
        while len(looks) > 2 and looks[1][0] < now - _WINDOW_S:
            looks.popleft()
        (then, before), seconds = looks[0], now - looks[0][0]
        return None if seconds <= 0 or then == now else max(0, round((before - left) / seconds))

    def exposure(self) -> list[dict[str, Any]]:
        """Chunks by how they are kept and how many of their members are away: what each group may
        still lose. A mirrored chunk waits to be sealed."""
        groups: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)
        for chunk in self._as_they_are():
            if chunk.state is ChunkState.CONDEMNED:
                continue
            there = sum(self._drives.member(member) is not None for member in chunk.members)
            if relaid(chunk):
                kept, spare = str(chunk.geometry), there - chunk.k
                away = len(chunk.members) - there
            else:
                wanted = max(len(chunk.members), self._zone().landing_copies)
                kept, spare, away = f"{wanted} mirrors", there - 1, wanted - there
            groups[kept, away, spare].append(chunk.length)
        return [
            {
                "kept": kept,
                "chunks": len(lengths),
                "bytes": sum(lengths),
                "members_away": away,
                "more_drives_may_go": spare,
            }
            for (kept, away, spare), lengths in sorted(groups.items(), key=lambda one: one[0][2])
        ]


def by_node(drives: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `DriveView.rows` summed up by node and rack."""
    found: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in drives:
        found[row["node"], row["rack"]].append(row)
    return [
        {
            "node": name,
            "rack": rack,
            "drives": len(rows),
            "states": sorted({row["intent"] or row["state"] for row in rows}),
            **{
                key: sum(row[key] or 0 for row in rows)
                for key in ("free_bytes", "left_bytes", "left_chunks")
            },
        }
        for (name, rack), rows in found.items()
    ]
