"""A zone of drives with the stewards that keep its data whole, all in one process."""

from __future__ import annotations

from coffre.catalog.mutations import Done, Mutation, Refusal, ReplaceMember, Result
from coffre.catalog.records import BlobName
from coffre.service.local import LocalStore
from coffre.stewards.checker import Checker
from coffre.stewards.damage import Damage
from coffre.stewards.pace import Pace
from coffre.stewards.read_repair import ReadRepair
from coffre.stewards.repairer import Repairer
from coffre.stewards.scrubber import Scrubber
from coffre.stewards.survey import survey
from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import RecordingDisk
from coffre.testing.vault import DriveZone
from coffre.vault.blocks import physical
from coffre.vault.drives import Drive, DriveState, segment_path
from coffre.vault.inspection import missing_segments
from coffre.vault.records import Chunk, ChunkKind, ChunkState, Extent
from coffre.vault.superblock import superblock_path

BODY = SeededEntropy(5).bytes(400_000)
DAY_S = 86_400.0


class Rows:
    """A zone's rows as reader and committer: what the repair stewards need of either."""

    def __init__(self, zone: DriveZone) -> None:
        self._zone = zone
        self.committed: list[Mutation] = []
        self.lagging: dict[bytes, Chunk] = {}
        self.fails: Exception | None = None

    def chunk(self, chunk_id: bytes) -> Chunk | None:
        return self._zone.rows.get(chunk_id)

    def chunks(self) -> list[Chunk]:
        return [self._zone.rows[one] for one in sorted(self._zone.rows)]

    async def snapshot(self) -> list[Chunk]:
        return self.chunks()

    def lag(self, chunk: Chunk) -> None:
        """Let a chunk's row say that it is mirrored, until the next group."""
        self.lagging[chunk.id] = self._zone.rows[chunk.id]
        self._zone.rows[chunk.id] = chunk

    def striped_blobs(self, chunk_id: bytes, *, after: BlobName, limit: int) -> list[BlobName]:
        return []

    async def commit(self, mutation: Mutation, body: object = ()) -> Result:
        if self.fails is not None:
            raise self.fails
        self.committed.append(mutation)
        self._zone.rows |= self.lagging
        self.lagging.clear()
        if isinstance(mutation, ReplaceMember):
            members = list(self._zone.rows[mutation.id].members)
            if members[mutation.index] != mutation.old:
                raise Refusal("OperationAborted")
            members[mutation.index] = mutation.new
            self._zone._set(mutation.id, members=tuple(members))
        return Done()


class House:
    """A zone with its repair stewards; `seals` counts what was asked to be sealed."""

    def __init__(self, local: LocalStore, racks: int) -> None:
        self.disk = RecordingDisk(["/z"])
        self.zone = DriveZone(self.disk, "/z", racks=racks)
        self.rows = Rows(self.zone)
        self.local = local
        self.reports: list[tuple[bytes, str]] = []
        self.admitted: list[bytes] = []
        self.bad_superblocks: set[str] = set()
        self.seals = 0
        self.seal_fails: Exception | None = None
        self.extents: list[Extent] = []
        self.restart()
        for drive in self.zone.drives.all():
            self.disk.open(superblock_path(drive.path), "create").close()

    def restart(self) -> None:
        """The stewards of another process."""
        zone, clock = self.zone, self.zone.clock
        self.damage = Damage(self.local, clock)
        pace = Pace(clock, 1 << 40)
        reader = self.rows
        self.repairer = Repairer(
            reader,  # type: ignore[arg-type]
            reader,  # type: ignore[arg-type]
            zone.drives,
            self.damage,
            pace,
            clock,
            self.local,
            snapshot=reader.snapshot,
            seal_now=self._seal,
            report=self._report,
        )
        self.scrubber = Scrubber(
            reader,  # type: ignore[arg-type]
            zone.drives,
            self.damage,
            pace,
            clock,
            self.local,
            every_s=30 * DAY_S,
            snapshot=self.repairer.current_rows,
            superblock_is_whole=lambda path: path not in self.bad_superblocks,
            seal_now=self._seal,
            report=self._report,
        )
        self.checker = Checker(
            reader,  # type: ignore[arg-type]
            zone.drives,
            self.damage,
            pace,
            epoch=1,
            named=self._named,
            snapshot=self.repairer.current_rows,
            admit=self._admit,
            report=self._report,
        )
        self.read_repair = ReadRepair(
            reader,  # type: ignore[arg-type]
            zone.drives,
            self.damage,
            pace,
            seal_now=self._seal,
            report=self._report,
        )

    async def fill(self, chunks: int) -> House:
        """So many sealed chunks with a body each."""
        for _ in range(chunks):
            self.extents += await self.zone.land(BODY)
            await self.zone.seal(self.zone.close_landing())
        return self

    async def repair(self) -> None:
        """Rounds until there is nothing to do."""
        for _ in range(200):
            if (await self.repairer.round()).again:
                return
        raise AssertionError("the repairer never rests")

    async def scrub(self) -> None:
        self.scrubber.hasten()
        while (await self.scrubber.round()).again == 0.0:
            pass

    async def reads_whole(self) -> bool:
        store = self.zone.new_store()
        try:
            return all([await store.read(e, 0, e.length) == BODY for e in self.extents])
        finally:
            store.close()

    def flip(self, chunk: Chunk, index: int, block: int = 0) -> None:
        drive = self.drive(chunk.members[index])
        self.disk.corrupt(segment_path(drive, chunk.id, index), physical(block * 16384) + 9, 4)

    def drive(self, drive_id: bytes) -> Drive:
        drive = self.zone.drives.by_id(drive_id)
        assert drive is not None
        return drive

    def take_away(self, drive: Drive) -> None:
        self.disk.lose(drive.path)
        self.zone.drives.mark(drive.id, DriveState.MISSING)

    def bring_back(self, drive: Drive) -> None:
        self.disk.heal(drive.path)
        self.zone.drives.mark(drive.id, DriveState.CHECKING)

    def below(self) -> int:
        return len(survey(self.rows.chunks(), self.zone.drives, self.damage).below)

    def all_there(self) -> bool:
        """Every member of every chunk has its file, and no drive two of one chunk."""
        chunks = self.rows.chunks()
        unique = all(len(set(chunk.members)) == len(chunk.members) for chunk in chunks)
        return unique and not any(missing_segments(self.zone.drives, chunk) for chunk in chunks)

    async def _seal(self) -> int:
        self.seals += 1
        if self.seal_fails is not None:
            raise self.seal_fails
        for chunk in self.rows.chunks():
            if chunk.kind is ChunkKind.LANDING and chunk.state is ChunkState.OPEN:
                await self.zone.seal(self.zone.close_landing())
        return self.seals

    async def _report(self, drive_id: bytes, reason: str) -> None:
        self.reports.append((drive_id, reason))
        self.zone.drives.fail(drive_id, reason)

    async def _named(self) -> frozenset[bytes]:
        return frozenset()

    async def _admit(self, drive_id: bytes) -> None:
        self.admitted.append(drive_id)
        self.zone.drives.mark(drive_id, DriveState.PRESENT)
