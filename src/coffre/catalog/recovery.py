"""Every start, clean or not: the log's end is found, made whole, and the rows brought to it.

1. The newest superblock names the landing chunks of the log that are not sealed, and their current
   members. Each must have one present member, else the end of the log may be missing: refused.
   Beside one, a mirror on a drive that is yet to be checked is read too, as far as it can be told
   that no start since has outlawed what it holds: what the others lost may be whole there.
2. The records found there make one chain (at equal sequence the higher epoch wins). Its last group
   is written and synced again where it stands: it is read from the page cache, which also shows
   what was never synced or whose sync failed. What of the chain a current member lacks is copied
   to it, a member that is away is replaced; then superblocks with the next epoch make that count.
   Only now may anything rely on the chain's end.
3. The rows' own position is looked up in the chain:

   | rows are                                         | so                                        |
   |--------------------------------------------------|-------------------------------------------|
   | at the end of the chain                          | go                                        |
   | at an earlier record of the chain                | replay what is missing                    |
   | absent, unreadable, damaged, of another history, | make them again (`rebuilding`), set the   |
   | or older than what is left of the log            | file aside                                |
   | past the end of the chain, or the log has a gap  | refuse, and leave the rows as they are    |
   | and no base is behind it                         |                                           |

Each step can be cut anywhere and started again: copies are made under other names, superblocks
count by number, rows and position move in one transaction.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from itertools import takewhile

import apsw
from msgspec import Struct
from msgspec.structs import replace

from coffre.catalog.chain import FoundRecord, MirrorSource, ScannedHead, chain_from, chain_to
from coffre.catalog.log import GENESIS_HASH, Position, RecordDamaged, RecordTooNew
from coffre.catalog.log_state import Closing, LogStart, remove_mirrors
from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.mutations import OpenLanding, ReplaceMember
from coffre.catalog.packing import unpack_members
from coffre.catalog.rebuilding import Rebuild, Rebuilt, Source, WholeLog, rebuild, roll
from coffre.catalog.replay import ReplayStopped
from coffre.catalog.schema import (
    APPLICATION_ID,
    LogPosition,
    SchemaMismatch,
    open_writer,
    read_position,
)
from coffre.system.clock import Clock
from coffre.vault.drives import Drive, DriveSet, mirror_path
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader
from coffre.vault.interface import DataLost, StorageFull
from coffre.vault.keys import RootKeys, UnknownRootKey
from coffre.vault.landing import GroupTooNew
from coffre.vault.records import ChunkState
from coffre.vault.remirror import copy_prefix
from coffre.vault.segments import find_sealed, read_header
from coffre.vault.superblock import (
    LandingRef,
    LogState,
    SealedRef,
    Superblock,
    SuperblockNotWritten,
    SuperblockStore,
)

_journal = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Errors of files that SQLite makes beside the rows; they say nothing of the rows.
_NO_SPACE = (apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMOPEN, apsw.SQLITE_IOERR_WRITE)
_DAMAGE = (apsw.NotADBError, apsw.CorruptError, apsw.IOError, apsw.SQLError, SchemaMismatch)


class RecoveryRefused(Exception):
    """Starting could lose or hide acknowledged data. The message says what to do; nothing of the
    rows was changed."""


class Way(StrEnum):
    """How the rows came to the log's end."""

    EQUAL = "equal"
    REPLAYED = "replayed"
    REBUILT = "rebuilt"


class Recovered(Struct, frozen=True):
    """A catalog at the end of its log. `replayed` counts records, `seconds` the whole recovery;
    `source` is what rebuilt rows were made from."""

    db: apsw.Connection
    start: LogStart
    last_order: int
    way: Way
    replayed: int
    seconds: float
    source: Source = Source.LOG


class _Mirror(Struct, frozen=True):
    """A readable mirror and the records of its valid prefix. One that is not `trusted` is only
    copied from."""

    drive: Drive
    header: ChunkHeader
    records: list[FoundRecord]
    trusted: bool

    @property
    def end(self) -> int:
        return self.records[-1].end if self.records else 0


class _Log(Struct, frozen=True):
    """The chain after `anchor`, up to `known` as superblocks know it and beyond, and the mirrors
    of each unsealed chunk."""

    anchor: Position
    known: Position
    chain: list[FoundRecord]
    mirrors: dict[bytes, list[_Mirror]]

    @property
    def tail(self) -> Position:
        return self.chain[-1].position if self.chain else self.anchor

    def length(self, chunk: bytes) -> int:
        """Where a chunk's last whole group ends. (One that a later epoch outlawed harms nobody.)"""
        return max(mirror.end for mirror in self.mirrors[chunk])


async def recover(
    *,
    catalog: str,
    superblock: Superblock,
    drives: DriveSet,
    superblocks: SuperblockStore,
    roots: RootKeys,
    clock: Clock,
    followers: Sequence[str] = (),
    wanted: Rebuild | None = None,
) -> Recovered:
    """Bring the rows in `catalog` (a path) to the end of the log, under the next epoch.

    `superblock` is the newest there is, `followers` are files of followers that may be used.
    `wanted`: the rows are made again, however those that are there may be. Raises RecoveryRefused,
    SuperblockNotWritten, and what SQLite raises when its file can be neither used nor replaced.
    Blocks the loop: nothing is served before it is over.
    """
    began = clock.monotonic()
    recovery = _Recovery(drives, roots, clock)
    _refuse_newer_rows(catalog)
    try:
        log = recovery.read_end(superblock)
        _refuse_too_few(superblock, drives)
        started = recovery.mend(superblock, log)
        failed = superblocks.write(started, drives.reachable())
        for drive, why in failed.items():
            drives.fail(drive, f"its superblock could not be written: {why}")
        remove_mirrors(
            drives, [ref for ref in superblock.log.unsealed if not log.length(ref.chunk)]
        )
        rows, way = await recovery.bring_rows(
            catalog, started, log, clean=superblock.clean, followers=followers, wanted=wanted
        )
        # Not before: records were found there too.
        recovery.remove_stale(started)
    except (RecordTooNew, GroupTooNew) as error:
        raise RecoveryRefused(f"the log is newer than this version: {error}") from error
    except UnknownRootKey as error:
        raise RecoveryRefused(f"the log cannot be read: {error}. Put it back.") from error
    except (DataLost, RecordDamaged, ReplayStopped) as error:
        raise RecoveryRefused(f"the log has a gap: {error}. Bring back missing drives.") from error
    start = _start(rows.db, started, log, drives)
    seconds = clock.monotonic() - began
    _journal.info("catalog %s: %d records replayed in %.3f s", way, rows.records, seconds)
    last_order = read_position(rows.db).last_order
    return Recovered(rows.db, start, last_order, way, rows.records, seconds, rows.source)


def _refuse_too_few(superblock: Superblock, drives: DriveSet) -> None:
    """Before anything is written: so few drives cannot hold what a start has to say."""
    present = len(superblock.counted & {drive.id for drive in drives.reachable()})
    if present < superblock.quorum:
        raise SuperblockNotWritten(present, superblock.quorum, {})


class _Recovery:
    def __init__(self, drives: DriveSet, roots: RootKeys, clock: Clock) -> None:
        self._drives = drives
        self._disk = drives.disk
        self._roots = roots
        self._clock = clock

    def read_end(self, superblock: Superblock) -> _Log:
        """The end of the log, from the chunks that superblocks name as unsealed."""
        mirrors = {ref.chunk: self._mirrors(ref, superblock) for ref in superblock.log.unsealed}
        found = [r for some in mirrors.values() for mirror in some for r in mirror.records]
        known = Position(superblock.log.tail_sequence, superblock.log.tail_hash or GENESIS_HASH)
        # What came after superblocks were written is in chunks that they name; of what came
        # before, chunks sealed since may hold some.
        before = chain_to(known, found)
        anchor = before[0].follows if before else known
        return _Log(anchor, known, [*before, *chain_from(known, found)], mirrors)

    def _mirrors(self, ref: LandingRef, superblock: Superblock) -> list[_Mirror]:
        """The mirrors that can be read, trusted ones first."""
        found: list[_Mirror] = []
        seen: dict[ScannedHead, FoundRecord] = {}
        trusting, untrusted = self._drives.trusting(), self._drives.untrusted()
        for one in sorted(ref.members, key=untrusted.__contains__):
            drive = trusting.member(one)
            if drive is None:
                continue
            path = mirror_path(drive, ref.chunk)
            try:
                header = read_header(self._disk, path)
                source = MirrorSource(self._disk, path, header, self._roots)
                records = source.records(seen)
            except (OSError, BadHeader) as error:
                _journal.warning("mirror %s cannot be read: %s", path, error)
            else:
                if one in untrusted:
                    records = _not_outlawed(records, superblock)
                found.append(_Mirror(drive, header, records, one not in untrusted))
        # Nobody knows how old the others are.
        if not any(mirror.trusted for mirror in found):
            wanted = ", ".join(self._name(member) for member in ref.members)
            raise RecoveryRefused(
                f"the end of the log is on none of the drives that are present: bring back one of"
                f" {wanted}"
            )
        return found

    def _name(self, drive_id: bytes) -> str:
        drive = self._drives.by_id(drive_id)
        return drive_id.hex() if drive is None else drive.path

    def mend(self, superblock: Superblock, log: _Log) -> Superblock:
        """Give every unsealed chunk whole mirrors again; the superblock that makes them count."""
        refs: list[LandingRef] = []
        for ref in superblock.log.unsealed:
            if length := log.length(ref.chunk):  # Else no group is in it, and it goes.
                whole, mirrors = self._whole(log, ref.chunk), log.mirrors[ref.chunk]
                members = self._re_mirror(whole, mirrors, length, superblock.landing_copies)
                refs.append(replace(ref, members=members))
        tail = log.tail
        state = LogState(tuple(refs), superblock.log.sealed, tail.sequence, tail.hash)
        return replace(
            superblock,
            epoch=superblock.epoch + 1,
            clean=False,
            log=state,
            unchecked=self._drives.untrusted(),
        )

    def _whole(self, log: _Log, chunk: bytes) -> list[_Mirror]:
        """The trusted mirrors of a chunk that hold all of it that counts, for sure."""
        length = log.length(chunk)
        whole = [one for one in log.mirrors[chunk] if one.trusted and one.end == length]
        if log.tail != log.known and (last := log.chain[-1]).chunk == chunk:
            whole = [mirror for mirror in whole if self._settled(mirror, last)]
        return whole

    def _settled(self, mirror: _Mirror, last: FoundRecord) -> bool:
        """Write the log's last group again in place and sync it; False if the drive fails."""
        at, length = HEADER_BYTES + last.start, last.end - last.start
        try:
            file = self._disk.open(mirror_path(mirror.drive, last.chunk), "edit")
            try:
                file.pwritev([file.pread(length, at)], at)
                file.sync()
            finally:
                file.close()
        except OSError as error:
            self._drives.fail(mirror.drive.id, str(error))
            return False
        return True

    def _re_mirror(
        self, whole: list[_Mirror], mirrors: list[_Mirror], length: int, copies: int
    ) -> tuple[bytes, ...]:
        """Copy a chunk's first `length` bytes to where they are missing; the members then. Where
        there is no room, there are fewer. Raises DataLost when there are none."""
        members = [mirror.drive for mirror in whole]
        targets = [
            mirror.drive
            for mirror in mirrors
            if mirror not in whole and self._drives.member(mirror.drive.id) is not None
        ]
        targets += self._others([*members, *targets], copies)
        if targets:
            others = [mirror for mirror in mirrors if mirror not in whole]
            sources = [*whole, *sorted(others, key=lambda mirror: -mirror.end)]
            ids = tuple(drive.id for drive in (*members, *targets))
            header = replace(sources[0].header, members=ids)
            wrong = copy_prefix(
                self._drives, header, [mirror.drive for mirror in sources], targets, length
            )
            for drive_id, error in wrong.items():
                if error.errno in _FULL:
                    self._drives.fill(drive_id)
                else:
                    self._drives.fail(drive_id, str(error))
            targets = [drive for drive in targets if drive.id not in wrong]
        if not members and not targets:
            raise DataLost("no drive takes the end of the log")
        return tuple(drive.id for drive in (*members, *targets))

    def _others(self, members: list[Drive], copies: int) -> list[Drive]:
        """Drives to make up the number of copies, in other racks than `members` if possible."""
        missing = copies - len(members)
        if missing <= 0:
            return []
        taken = {drive.id for drive in members}
        racks = {drive.rack for drive in members}
        free = [drive for drive in self._drives.present() if drive.id not in taken]
        elsewhere = [drive for drive in free if drive.rack not in racks]
        try:
            return self._drives.among(elsewhere or free).choose_mirrors(missing)
        except StorageFull:
            return []

    def remove_stale(self, superblock: Superblock) -> None:
        """Unlink mirrors on drives that are members no more but were: rows may still name them,
        and what they lack reads as zeros."""
        for ref in superblock.log.unsealed:
            for drive in self._drives.present():
                path = mirror_path(drive, ref.chunk)
                if drive.id not in ref.members and self._disk.exists(path):
                    with suppress(OSError):
                        self._disk.unlink(path)

    async def bring_rows(
        self,
        path: str,
        superblock: Superblock,
        log: _Log,
        *,
        clean: bool,
        followers: Sequence[str],
        wanted: Rebuild | None,
    ) -> tuple[Rebuilt, Way]:
        """Open the rows and replay what they lack, or make them again."""
        records = [r for some in log.mirrors.values() for mirror in some for r in mirror.records]
        unsealed = frozenset(ref.chunk for ref in superblock.log.unsealed)
        # What is sealed proves itself, so drives that are yet to be checked serve too.
        drives, roots = self._drives.trusting(), self._roots
        whole = WholeLog(log.tail, records, unsealed, drives, roots, self._clock)
        try:
            if wanted is None:
                found = await _go_on(path, whole, clean)
                if found is not None:
                    return found, Way.REPLAYED if found.records else Way.EQUAL
            found = await rebuild(
                path,
                whole,
                wanted or Rebuild(),
                followers=followers,
                snapshots=superblock.snapshots,
                drives=drives,
                roots=roots,
            )
            return found, Way.REBUILT
        finally:
            whole.close()


def _not_outlawed(records: list[FoundRecord], superblock: Superblock) -> list[FoundRecord]:
    """What counts of a mirror that may be old: up to where superblocks know the log, all of it;
    beyond, what was logged since the start that wrote them. That start settled what came before:
    what it did not find has not happened, and must not come back."""
    known = superblock.log.tail_sequence
    return list(
        takewhile(lambda r: r.position.sequence <= known or r.epoch >= superblock.epoch, records)
    )


async def _go_on(path: str, log: WholeLog, clean: bool) -> Rebuilt | None:
    """The rows that are there, rolled forward; None where they must be made again."""
    if not log.tail.sequence and _is_absent(path):
        return Rebuilt(open_writer(path), Source.LOG, 0)  # A zone without a history.
    opened = _open_rows(path, clean)
    if opened is None:
        return None
    db, here = opened
    if here.sequence > log.tail.sequence:
        db.close()
        raise RecoveryRefused(
            f"the catalog holds record {here.sequence}, the log on these drives ends at"
            f" {log.tail.sequence}: drives are missing or older than the catalog. Bring them"
            f" back; or move {path} away to go on from record {log.tail.sequence}."
        )
    try:
        missing = await log.after(Position(here.sequence, here.hash))
        if missing is not None and (here.sequence or not missing):
            await roll(db, path, missing)
            return Rebuilt(db, Source.LOG, len(missing))
    except (DataLost, ReplayStopped, apsw.Error) as error:
        _journal.error("the catalog %s cannot be rolled forward: %s", path, error)
    db.close()
    return None


def _is_absent(path: str) -> bool:
    return not os.path.exists(path)


def _open_rows(path: str, clean: bool) -> tuple[apsw.Connection, LogPosition] | None:
    """The rows and their position; None when they are absent or cannot be trusted.

    After a clean stop what is damaged shows when it is read; else all of it is read now.
    """
    if _is_absent(path):
        return None
    db: apsw.Connection | None = None
    try:
        db = open_writer(path)
        if not clean and db.pragma("quick_check", 1) != "ok":
            raise apsw.CorruptError("quick_check finds damage")
        return db, read_position(db)
    except _DAMAGE as error:
        if getattr(error, "extendedresult", 0) in _NO_SPACE:
            raise RecoveryRefused(
                f"the catalog {path} cannot be opened ({error}): its file system seems to be full."
                " Free some space there"
            ) from error
        _journal.error("the catalog %s cannot be used: %s", path, error)
        if db is not None:
            db.close()
        return None


def _refuse_newer_rows(path: str) -> None:
    """A later version's catalog is not damage. SQLite's header: user_version at 60, id at 68."""
    with suppress(FileNotFoundError), open(path, "rb") as file:
        head = file.read(72)
        version = int.from_bytes(head[60:64], "big")
        if int.from_bytes(head[68:72], "big") == APPLICATION_ID and version > SCHEMA_VERSION:
            raise RecoveryRefused(f"{path} has schema {version}: a newer version is needed")


def _start(db: apsw.Connection, superblock: Superblock, log: _Log, drives: DriveSet) -> LogStart:
    """What the log's writer takes over, by comparing superblock and rows."""
    refs: list[LandingRef] = []
    closing: list[Closing] = []
    lengths: dict[bytes, int] = {}
    for ref in superblock.log.unsealed:
        row = _chunk_row(db, ref.chunk)
        if row is not None and row[0] == ChunkState.SEALED:
            continue  # The log says so already: its mirrors are leftovers.
        refs.append(ref)
        length = lengths[ref.chunk] = log.length(ref.chunk)
        if row is None:
            opening = OpenLanding(ref.chunk, ref.epoch, ref.members)
            closing.append(Closing(ref.chunk, length, opening))
        elif row[0] == ChunkState.OPEN or set(row[1]) - {b""} != set(ref.members):
            closing.append(Closing(ref.chunk, length, None, _replacements(ref, row[1])))
    sealed: list[SealedRef] = []
    for seal in superblock.log.sealed:
        row = _chunk_row(db, seal.chunk)
        if row is not None and row[0] == ChunkState.SEALED:
            continue
        sealed.append(seal)
        if row is None:
            # Segments' checksums are seeded with the chunk's epoch: the row must name the same.
            found = find_sealed(drives, seal.chunk)
            epoch = superblock.epoch if found is None else found.epoch
            opening = OpenLanding(seal.chunk, epoch, seal.members)
            closing.append(Closing(seal.chunk, seal.length, opening))
        elif row[0] == ChunkState.OPEN:
            closing.append(Closing(seal.chunk, seal.length))
    state = replace(superblock.log, unsealed=tuple(refs), sealed=tuple(sealed))
    return LogStart(replace(superblock, log=state), log.tail, lengths, tuple(closing))


def _chunk_row(db: apsw.Connection, chunk: bytes) -> tuple[str, tuple[bytes, ...]] | None:
    row = db.execute("SELECT state, members FROM chunks WHERE id = ?", (chunk,)).get
    return None if row is None else (row[0], unpack_members(row[1]))


def _replacements(ref: LandingRef, row: tuple[bytes, ...]) -> tuple[ReplaceMember, ...]:
    """What makes a row's members those of the superblock, place by place."""
    new = [member for member in ref.members if member not in row]
    return tuple(
        ReplaceMember(ref.chunk, index, member, new.pop(0) if new else b"")
        for index, member in enumerate(row)
        if member not in ref.members and (member or new)
    )
