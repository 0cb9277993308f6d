"""Where the log's next group goes: landing chunks opened, rolled, given up and named.

Superblocks name every landing chunk of the log that is not sealed, so that a start finds the log's
end without looking elsewhere. A chunk's files are made, and superblocks name it, before its first
group; usually ahead of need (the *spare*). A chunk is closed when it is full or `seal_after` its
first client's byte; what the committer says of chunks themselves never starts that clock, so an
idle node does not go on closing chunks.

What the rows have yet to hear of chunks (opened, closed, sealed) are ordinary mutations that the
next group starts with: see `bookkeeping`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from coffre.catalog.landing_places import choose_places
from coffre.catalog.log import EncodedRecord, Position, RecordCipher
from coffre.catalog.log_state import (
    MANY_UNSEALED,
    MOST_UNSEALED,
    NOT_WRITTEN,
    ChunkGivenUp,
    Closing,
    LogSettings,
    LogStart,
    SealingBehind,
    Target,
    blame,
    closed_chunk,
    membership,
)
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.mutations import CloseChunk, Mutation, ReplaceMember, SealChunk
from coffre.catalog.zone_writer import Change, ZoneWriter
from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy, new_id
from coffre.system.starved import Starved
from coffre.vault.ballast import throw_off
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.keys import RootKeys
from coffre.vault.landing import (
    GROUP_HEADER_BYTES,
    Landing,
    MembersFailed,
    MembersFull,
    frame_group,
    offset_of_first_blob,
)
from coffre.vault.records import Chunk
from coffre.vault.superblock import (
    LandingRef,
    LogState,
    SealedRef,
    Superblock,
    SuperblockStore,
)

_journal = logging.getLogger(__name__)
_GROUP_KIND = 1
_RECORD_ROOM = 1024 * 1024
_RETRY_AFTER = 5.0
_DEFAULTS = LogSettings()


class LogWriter:
    """The log's end. One group at a time: `plan`, `append`, `appended`.

    `schema_version` is that of the rows, as records name it.
    """

    def __init__(
        self,
        start: LogStart,
        *,
        roots: RootKeys,
        drives: DriveSet,
        superblocks: SuperblockStore,
        clock: Clock,
        entropy: Entropy,
        settings: LogSettings = _DEFAULTS,
    ) -> None:
        self._zone = ZoneWriter(start.superblock, drives, superblocks)
        self._roots = roots
        self._drives = drives
        self._clock = clock
        self._entropy = entropy
        self._settings = settings
        self.epoch = start.superblock.epoch
        self.position = start.position
        self.schema_version = SCHEMA_VERSION
        self._target: Target | None = None
        self._spare: Target | None = None
        self._making_spare: asyncio.Task[None] | None = None
        self._unsealed = {ref.chunk: ref for ref in start.superblock.log.unsealed}
        self._lengths = dict(start.lengths)
        self._closing = list(start.closing)
        self._sealed = list(start.superblock.log.sealed)
        self._leaving: set[bytes] = set()  # of the unsealed: the next superblock says it
        self._due_at: float | None = None
        # Rows that name a mirror which is none any more are set right at once.
        self._rolled = any(closing.replaced for closing in start.closing)
        self._given_up: tuple[bytes, tuple[bytes, ...]] = (b"", ())
        if self._closing:
            self._due_at = clock.monotonic() + settings.seal_after

    @property
    def due(self) -> bool:
        """Is there something to log although no caller waits: a chunk's time is over?"""
        return self._rolled or self._late

    @property
    def _late(self) -> bool:
        return self._due_at is not None and self._clock.monotonic() >= self._due_at

    @property
    def said(self) -> ZoneWriter:
        """What superblocks say, and what they may say."""
        return self._zone

    def seconds_until_due(self) -> float | None:
        return None if self._due_at is None else max(0.0, self._due_at - self._clock.monotonic())

    @property
    def chunk(self) -> bytes:
        """The chunk of the planned group."""
        return self._planned.ref.chunk

    @property
    def blobs_offset(self) -> int:
        """Where the planned group's first blob will lie in `chunk`."""
        return offset_of_first_blob(self._planned.end)

    @property
    def _planned(self) -> Target:
        assert self._target is not None, "plan comes first"
        return self._target

    def plan(self, blob_bytes: int) -> None:
        """Choose the chunk for the next group. Nothing is written yet: a group that turns out to
        change nothing leaves no trace. Raises StorageFull (with no blobs, the reserve is used)."""
        if self._late and len(self._unsealed) >= MANY_UNSEALED:
            self.postpone()
            self._rolled = bool(self._closing)
        elif self._late:
            self._rolled, self._due_at = True, None
            self._close_target()
        elif self._target is not None and self._target.landing is not None:
            room = self._target.landing.room - min(_RECORD_ROOM, self._settings.capacity // 8)
            if self._target.end and GROUP_HEADER_BYTES + blob_bytes > room:
                self._rolled, self._due_at = True, None
                self._close_target()
        target = self._target
        if blob_bytes and target is not None and not self._drives.have_room(target.ref.members):
            # Opened for deletes, from the reserve; that is not for bodies.
            self._choose(blobs=True)
            self._rolled, self._due_at = True, None
            self._close_target()
        if self._target is None and self._spare is not None:
            self._promote_spare(self._spare)
        if self._target is None or self._target.landing is None:
            if blob_bytes and len(self._unsealed) >= MOST_UNSEALED:
                raise SealingBehind("too many chunks wait to be sealed")
            self._target = self._new_target(self._choose(blobs=blob_bytes > 0))

    def holds_all(self, seal: SealChunk) -> bool:
        """Does a re-laid chunk reach to the end of its last committed group?"""
        return seal.length >= self._lengths.get(seal.id, 0)

    def may_go(self, chunk: bytes, last_sequence: int) -> bool:
        """Is a sealed chunk's log covered by the oldest snapshot, and no superblock names it?"""
        return 0 < last_sequence <= self._zone.log_floor and chunk not in self._unsealed

    def bookkeeping(self) -> list[tuple[Mutation, int | None]]:
        """What the planned group says of chunks first; of a closed one, its length too."""
        books: list[tuple[Mutation, int | None]] = []
        for closing in self._closing:
            if closing.opened is not None:
                books.append((closing.opened, None))
            books += [(replaced, None) for replaced in closing.replaced]
            books.append((CloseChunk(closing.chunk), closing.length))
        for seal in self._sealed:
            books.append((SealChunk(seal.chunk, seal.k, seal.m, seal.members, seal.length), None))
        if not self._planned.logged:
            books.append((self._planned.opening(), None))
        return books

    async def append(self, blobs: Sequence[Buffer], encoded: EncodedRecord) -> None:
        """Write a group to the planned chunk; it is synced on every mirror when this returns.

        Raises ChunkGivenUp; while nothing of the group was written: StorageFull,
        SuperblockNotWritten, SuperblockTooLarge, Starved.
        """
        target = self._planned
        record = target.cipher.seal(encoded)
        pieces = frame_group(
            target.ref.chunk,
            _GROUP_KIND,
            encoded.epoch,
            encoded.position.sequence,
            blobs,
            record,
        )
        needed = sum(len(piece) for piece in pieces)
        landing = target.landing or await self._made(target, needed, for_bodies=bool(blobs))
        if not target.named:
            await self._write_superblock()
            target.named = True
        if needed > landing.room:
            self._close_target()
            raise ChunkGivenUp("the group does not fit any more", superseding=False)
        try:
            await landing.append(pieces)
        except (MembersFailed, MembersFull) as error:
            self._give_up(target, error)
            raise ChunkGivenUp(str(error), superseding=True) from error

    def appended(self, position: Position, *, by_client: bool) -> None:
        """The group is logged and its transaction committed."""
        self._advance(position)
        self._planned.logged = True
        self._closing.clear()
        self._sealed.clear()
        self._rolled = False
        if by_client and self._due_at is None:
            self._due_at = self._clock.monotonic() + self._settings.seal_after
            idle = self._spare is None and self._making_spare is None
            if idle and len(self._unsealed) < MANY_UNSEALED:
                self._making_spare = asyncio.get_running_loop().create_task(self._make_spare())

    def appended_alone(self, position: Position) -> None:
        """A record that says nothing of chunks is logged, and committed: the next group says it."""
        self._advance(position)

    async def supersede(self) -> Position:
        """After ChunkGivenUp: a membership record under the next epoch, in a new chunk, takes the
        place of the group that may lie on some mirror. Its position. What it raises is fatal."""
        while True:
            self.epoch += 1
            target = self._target = self._new_target(self._choose(blobs=False))
            record = membership(
                *self._given_up,
                target.ref.chunk,
                epoch=self.epoch,
                after=self.position,
                schema_version=self.schema_version,
            )
            try:
                await self.append((), record)
            except ChunkGivenUp as again:
                _journal.warning("a new landing chunk was given up too: %s", again)
                if isinstance(again.__cause__, MembersFailed) and again.__cause__.starved:
                    raise Starved(str(again)) from again
                continue
            self._advance(record.position)
            return record.position

    def abandon(self) -> None:
        """The rows do not take the planned chunk: plan another."""
        self._close_target()

    def postpone(self) -> None:
        """What was due could not be logged: try again later."""
        if self.due:
            self._rolled = False
            self._due_at = self._clock.monotonic() + min(self._settings.seal_after, _RETRY_AFTER)

    async def close_all(self) -> tuple[Chunk, ...]:
        """Close the open chunk, keep no spare; the log's chunks that are not sealed, oldest first.

        If nobody seals them (`record_sealed`), they are logged as closed in `seal_after`.
        Raises SuperblockNotWritten.
        """
        await self._spare_made()
        self._close_target()
        if self._spare is not None:
            self._discard(self._spare)
            self._spare = None
        self._rolled = False
        if self._closing:
            self._due_at = self._clock.monotonic() + self._settings.seal_after
        await self._write_superblock()
        waiting = sorted(self._unsealed.values(), key=lambda ref: ref.first_sequence)
        return tuple(closed_chunk(ref, self._lengths[ref.chunk]) for ref in waiting)

    async def record_sealed(self, seals: Sequence[SealChunk]) -> bool:
        """Name chunks as sealed in the superblocks, to be logged by the next group; False (and
        nothing done) if groups were logged since `close_all`. Raises SuperblockNotWritten,
        SuperblockTooLarge."""
        if self._target is not None and self._target.end:
            return False
        before = self._sealed
        refs = [SealedRef(s.id, s.k, s.m, s.members, s.length) for s in seals]
        gone = {s.id: self._unsealed.pop(s.id) for s in seals if s.id in self._unsealed}
        self._sealed = [*before, *refs]
        try:
            await self._write_superblock()
        except Exception:
            # Others may have left meanwhile, for good.
            self._unsealed, self._sealed = {**gone, **self._unsealed}, before
            raise
        self._due_at = None
        return True

    async def drop_sealed(self, chunks: Sequence[bytes]) -> None:
        """A committed group says that these are sealed: superblocks need not name them any more,
        and once they do not, the mirrors may go. Raises as `amend`: the next write says it."""
        self._leaving.update(chunks)
        await self._write_superblock()

    async def amend(self, change: Change, joining: Sequence[Drive] = ()) -> dict[bytes, str]:
        """Change what superblocks say of the zone, on drives that are `joining` it too; why those
        of them failed that did, by id. Raises SuperblockNotWritten, SuperblockTooLarge, Starved:
        then nothing is changed in this run."""
        return await self._zone.write(self.epoch, self._log_state, change=change, joining=joining)

    async def follow_drives(self) -> None:
        """Between groups, after drives changed: leave an open chunk with a mirror that is away or
        is to be emptied, so that it is sealed; let superblocks say which drives are trusted.

        Raises SuperblockNotWritten, SuperblockTooLarge.
        """
        spare, target = self._spare, self._target
        if spare is not None and not self._drives.take(spare.ref.members):
            self._spare = None
            self._discard(spare)
        if target is not None and not self._drives.take(target.ref.members):
            away = [one for one in target.ref.members if self._drives.member(one) is None]
            self._leave(target, away)
        waiting = (self._unsealed.get(closing.chunk) for closing in self._closing)
        if any(ref is not None and not self._drives.take(ref.members) for ref in waiting):
            self._rolled, self._due_at = True, None
        await self._write_superblock()

    @property
    def zone(self) -> Superblock:
        """The zone as superblocks say it is."""
        return self._zone.zone

    async def finish(self) -> None:
        """Mark a clean stop. Raises SuperblockNotWritten."""
        await self._spare_made()
        await self._write_superblock(clean=True)

    def close(self) -> None:
        """Let go of files and threads; what was appended stays."""
        if self._making_spare is not None:
            self._making_spare.cancel()
        for target in (self._target, self._spare):
            if target is not None and target.landing is not None:
                target.landing.close()

    def _advance(self, position: Position) -> None:
        target = self._planned
        self.position = position
        self._unsealed[target.ref.chunk] = target.ref
        self._lengths[target.ref.chunk] = target.end

    def _choose(self, *, blobs: bool) -> list[Drive]:
        return choose_places(self._drives, self._zone.zone.landing_copies, blobs=blobs)

    def _new_target(self, members: Sequence[Drive]) -> Target:
        chunk = new_id(self._entropy, self._zone.zone.zone_number, self._clock.now_ms())
        ref = LandingRef(
            chunk,
            tuple(drive.id for drive in members),
            self.epoch,
            self.position.sequence + 1,
            self.position.hash,
        )
        return Target(ref, RecordCipher(self._roots.current, chunk))

    def _promote_spare(self, spare: Target) -> None:
        self._spare = None
        if any(self._drives.member(member) is None for member in spare.ref.members):
            self._discard(spare)
            return
        spare.ref = replace(
            spare.ref,
            first_sequence=self.position.sequence + 1,
            previous_hash=self.position.hash,
        )
        self._target = spare

    async def _made(self, target: Target, needed: int, *, for_bodies: bool) -> Landing:
        try:
            return await self._create(target, needed)
        except MembersFull as full:
            if for_bodies or not await asyncio.to_thread(throw_off, self._drives):
                raise
            raise ChunkGivenUp(f"{full}: the ballast is given up", superseding=False) from full

    async def _create(self, target: Target, needed: int) -> Landing:
        """Make a chunk's files. Raises ChunkGivenUp, MembersFull, Starved."""
        found = (self._drives.by_id(member) for member in target.ref.members)
        try:
            target.landing = await Landing.create(
                self._drives,
                target.header(self._zone.zone),
                [drive for drive in found if drive is not None],
                self._clock,
                sync_deadline=self._settings.sync_deadline,
                ahead=self._settings.ahead,
                capacity=max(self._settings.capacity, needed),
            )
        except (MembersFailed, MembersFull) as error:
            blame(self._drives, error)
            self._discard(target)
            if target is self._target:
                self._target = None
            if isinstance(error, MembersFull):
                raise
            if error.starved:
                raise Starved(str(error)) from error
            raise ChunkGivenUp(str(error), superseding=False) from error
        return target.landing

    def _close_target(self) -> None:
        """No more groups for the target; a chunk without any leaves no trace."""
        target, self._target = self._target, None
        if target is None or target.landing is None:
            return
        if target.end:
            target.landing.close()
            opened = None if target.logged else target.opening()
            self._closing.append(Closing(target.ref.chunk, target.end, opened))
        else:
            self._discard(target)

    def _give_up(self, target: Target, error: MembersFailed | MembersFull) -> None:
        """A mirror failed an append: what was committed stays, on the members that remain."""
        blame(self._drives, error)
        self._given_up = target.ref.chunk, error.ids
        self._leave(target, error.ids if isinstance(error, MembersFailed) else ())

    def _leave(self, target: Target, lost: Sequence[bytes]) -> None:
        """No more groups for the target; it is logged as closed at once, without `lost` members."""
        self._target = None
        self._rolled, self._due_at = True, None
        if not target.end:
            self._discard(target)
            return
        assert target.landing is not None
        target.landing.close()
        ref = target.ref
        left = tuple(one for one in ref.members if one not in lost)
        replaced: tuple[ReplaceMember, ...] = ()
        if left and lost:
            replaced = tuple(
                ReplaceMember(ref.chunk, index, one, b"")
                for index, one in enumerate(ref.members)
                if one in lost
            )
            self._unsealed[ref.chunk] = replace(ref, members=left)
        opened = None if target.logged else target.opening()
        self._closing.append(Closing(ref.chunk, target.end, opened, replaced))

    def _discard(self, target: Target) -> None:
        """A chunk without groups: its files go once no superblock names it."""
        if target.landing is not None:
            target.landing.close()
        self._unsealed.pop(target.ref.chunk, None)
        self._zone.discard(target.ref)

    async def _spare_made(self) -> None:
        if self._making_spare is not None:
            await asyncio.wait((self._making_spare,))

    async def _make_spare(self) -> None:
        try:
            spare = self._new_target(self._choose(blobs=True))
            await self._create(spare, 0)
            self._spare = spare
            await self._write_superblock()
            spare.named = True
        except (ChunkGivenUp, *NOT_WRITTEN) as error:
            _journal.warning("no landing chunk could be made ahead of need: %s", error)
        finally:
            self._making_spare = None

    async def _write_superblock(self, *, clean: bool = False) -> None:
        """Say where the log is on every drive that can be reached. Raises as `amend`."""
        left = set(self._leaving)
        await self._zone.write(self.epoch, self._log_state, clean=clean)
        self._leaving -= left
        for chunk in left:
            self._unsealed.pop(chunk, None)

    def _log_state(self) -> LogState:
        unsealed = {id: ref for id, ref in self._unsealed.items() if id not in self._leaving}
        for target in (self._target, self._spare):
            if target is not None and target.landing is not None:
                unsealed[target.ref.chunk] = target.ref
        at = self.position
        return LogState(tuple(unsealed.values()), tuple(self._sealed), at.sequence, at.hash)
