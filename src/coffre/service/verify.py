"""`coffre verify`: catalog, chunks and files compared, both ways; with `deep`, every byte is read.

It may run beside a node that serves: what looks wrong is looked at again with the rows as they are
then, and only what stays wrong is a finding.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from coffre.catalog.audit import Audited, Finding, audit
from coffre.catalog.interface import Reader
from coffre.catalog.schema import open_reader
from coffre.config import Settings
from coffre.service.layout import DataFolder
from coffre.service.verify_bytes import Deep, Progress
from coffre.service.zone import World, catalog_reader, open_root_keys, real_world
from coffre.stewards.pace import Pace
from coffre.vault.blocks import payload_bytes, physical, relaid
from coffre.vault.drives import Drive, DriveSet, DriveState, mirror_path, segment_path
from coffre.vault.headers import HEADER_BYTES, BadHeader, ChunkHeader
from coffre.vault.leftovers import chunk_files, parse_name
from coffre.vault.records import Chunk, ChunkKind, ChunkState
from coffre.vault.segments import read_header, sealed_at_once

# Looks at what seems wrong, a moment apart, before it is said to be.
_LOOKS = 3
_BETWEEN_S = 1.0
# Findings that are told one by one; of more of a kind only the number.
_TOLD = 100


class Verdict(Struct, frozen=True):
    """The outcome. `ok`: nothing is damaged and nothing has less to spare than promised."""

    ok: bool
    deep: bool
    verdict: str
    checked: dict[str, int]
    counts: dict[str, int]
    findings: list[Finding]


async def verify(
    folder: DataFolder,
    drives: DriveSet,
    world: World,
    *,
    deep: bool,
    online: bool,
    pace: Callable[[int], Awaitable[object]],
    progress: Progress,
    settings: Settings | None = None,
) -> Verdict:
    """Verify a zone whose catalog is up to date. Raises StartRefused, apsw.Error."""
    db = open_reader(str(folder.catalog))
    try:
        audited = await asyncio.to_thread(audit, db)
    finally:
        db.close()
    looks = _Looks(catalog_reader(folder), drives, audited, online=online)
    audited.chunks = await asyncio.to_thread(lambda: [looks.as_it_is(c) for c in audited.chunks])
    await looks.at_chunks(progress)
    await looks.at_files(progress)
    checked = {
        "buckets": audited.buckets,
        "objects": audited.objects,
        "blobs": audited.blobs,
        "chunks": len(audited.chunks),
        "files": looks.files,
    }
    findings = [*audited.findings, *looks.findings]
    if deep:
        keys = open_root_keys(folder)
        reading = Deep(
            looks.reader,
            drives,
            world,
            keys,
            audited,
            pace,
            progress,
            chunk=looks.chunk,
            settings=settings or Settings(data=str(folder.root)),
        )
        findings += await reading.all_bytes()
        checked |= {
            "bytes_read": reading.bytes_read,
            "blobs_opened": reading.opened,
            "blobs_of_customers_keys": reading.of_customers,
            "blobs_without_their_key": reading.without_key,
        }
    return _verdict(findings, checked, deep=deep)


def verify_folder(
    settings: Settings,
    drives: Sequence[Mapping[str, Any]],
    *,
    deep: bool,
    online: bool,
    rate: float | None,
    progress: Progress,
) -> Verdict:
    """Verify the data folder whose drives are as `drive.list` tells. Without `online` the caller
    holds the folder's lock. `rate`: bytes a second at most. Raises StartRefused."""
    world = real_world()
    found = DriveSet(
        world.disk,
        (
            Drive(
                bytes.fromhex(one["id"]),
                one["path"],
                one["node"],
                one["rack"],
                DriveState(one["state"]),
            )
            for one in drives
        ),
    )
    pace = _unhurried if rate is None else Pace(world.clock, rate).take
    work = verify(
        DataFolder(Path(settings.data)),
        found,
        world,
        deep=deep,
        online=online,
        pace=pace,
        progress=progress,
        settings=settings,
    )
    return asyncio.run(work)


async def _unhurried(size: int) -> None:
    """For those who have the drives for themselves."""


def _verdict(findings: list[Finding], checked: dict[str, int], *, deep: bool) -> Verdict:
    counts = Counter(finding.severity for finding in findings)
    kinds: Counter[str] = Counter()
    told: list[Finding] = []
    for finding in findings:
        kinds[finding.kind] += 1
        if kinds[finding.kind] <= _TOLD:
            told.append(finding)
    told += [
        Finding("", kind, "", f"{count - _TOLD} more of this kind")
        for kind, count in kinds.items()
        if count > _TOLD
    ]
    if counts["damage"]:
        words = f"{counts['damage']} things are wrong"
    elif counts["reduced"]:
        words = (
            f"all is there; {counts['reduced']} files are not where they should be, "
            "so that less may be lost than promised: `coffre repair` shows what is being done"
        )
    else:
        words = "every byte is as it was written" if deep else "all is as it must be"
    by_checksum = (
        checked.get("blobs_of_customers_keys", 0),
        checked.get("blobs_without_their_key", 0),
    )
    if any(by_checksum):
        words += (
            f"; checked by their checksums alone are {by_checksum[0]} blobs under keys that only "
            f"customers have (SSE-C), and {by_checksum[1]} whose key cannot be had now"
        )
    ok = not counts["damage"] and not counts["reduced"]
    severities = {name: counts[name] for name in ("damage", "reduced", "leftover")}
    return Verdict(ok, deep, words, checked, severities, told)


class _Looks:
    """Rows against files, and files against rows."""

    def __init__(
        self,
        reader: Reader,
        drives: DriveSet,
        audited: Audited,
        *,
        online: bool,
    ) -> None:
        self.reader = reader
        self.findings: list[Finding] = []
        self.files = 0
        self._drives = drives
        self._audited = audited
        self._online = online
        self._epoch = max((chunk.epoch for chunk in audited.chunks), default=0)

    def chunk(self, chunk_id: bytes) -> Chunk | None:
        """A chunk as it is now."""
        row = self.reader.chunk(chunk_id)
        return None if row is None else self.as_it_is(row)

    def as_it_is(self, chunk: Chunk) -> Chunk:
        """What a row says, or what it will say of a chunk that was sealed at once."""
        held = self._audited.held.get(chunk.id)
        sealed = sealed_at_once(self._drives, chunk)
        if sealed is None or (held is not None and sealed.length < held.end):
            return chunk
        counted = {"appended": chunk.appended, "dead": chunk.dead}
        return structs.replace(sealed, **counted)

    async def at_chunks(self, progress: Progress) -> None:
        """Every member of every chunk is on its drive, with the right header, long enough."""
        doubtful: list[Chunk] = []
        chunks = self._audited.chunks
        for at, chunk in enumerate(chunks):
            if await asyncio.to_thread(lambda one=chunk: list(self._wrong_in(one))):  # type: ignore[misc]
                doubtful.append(chunk)
            progress("chunks", at + 1, len(chunks))
        wrong: dict[bytes, list[Finding]] = {}
        for look in range(_LOOKS):
            if look and doubtful and self._online:
                await asyncio.sleep(_BETWEEN_S)
            wrong = {}
            for chunk in doubtful:
                now = self.chunk(chunk.id)
                if now is not None and (found := list(self._wrong_in(now))):
                    wrong[chunk.id] = found
            doubtful = [chunk for chunk in doubtful if chunk.id in wrong]
        for found in wrong.values():
            self.findings += found

    async def at_files(self, progress: Progress) -> None:
        """Every file in the drives' chunk folders belongs to a chunk, where it lies."""
        present = self._drives.present()
        for at, drive in enumerate(present):
            files = await asyncio.to_thread(
                lambda drive=drive: list(chunk_files(self._drives.disk, drive))  # type: ignore[misc]
            )
            self.files += len(files)
            for look in range(_LOOKS):
                if look and files and self._online:
                    await asyncio.sleep(_BETWEEN_S / 4)
                files = [one for one in files if self._is_unknown(drive, *one)]
            for path, name in files:
                severity = "damage" if parse_name(name) is None else "leftover"
                kind = "strange-file" if severity == "damage" else "leftover-file"
                self.findings.append(Finding(severity, kind, path, "no row refers to it"))
            progress("drives", at + 1, len(present))

    def _is_unknown(self, drive: Drive, path: str, name: str) -> bool:
        if not self._drives.disk.exists(path):
            return False
        parsed = parse_name(name)
        if parsed is None or parsed.temporary:
            return True
        chunk = self.chunk(parsed.chunk)
        if chunk is None:
            with suppress(BadHeader, OSError):
                # The log's next chunk has its files before its row.
                header = read_header(self._drives.disk, path)
                return header.role != "mirror" or header.epoch < self._epoch
            return True
        if parsed.index is None:
            return relaid(chunk) or drive.id not in chunk.members
        named = parsed.index < len(chunk.members) and chunk.members[parsed.index] == drive.id
        return not (relaid(chunk) and named) and chunk.state is not ChunkState.SEALING

    def _wrong_in(self, chunk: Chunk) -> Iterator[Finding]:
        if chunk.state is ChunkState.CONDEMNED:
            return
        held = self._audited.held.get(chunk.id)
        nothing = held is None or not held.live
        if nothing and chunk.kind is ChunkKind.STRIPED:
            return  # It may have been reserved and never made.
        missing = 0
        segments = relaid(chunk)
        for index, member in enumerate(chunk.members):
            name = f"{chunk.id.hex()}.{index}"
            drive = self._drives.member(member)
            where = "no drive" if not member else f"drive {member.hex()}"
            if drive is None:
                missing += 1
                yield Finding("reduced", "member-away", name, f"{where} is away")
                continue
            path = (
                segment_path(drive, chunk.id, index) if segments else mirror_path(drive, chunk.id)
            )
            if problem := self._problem(path, chunk, index, segments):
                missing += 1
                yield Finding("reduced", "member-file", path, problem)
        enough = chunk.k if segments else 1
        if len(chunk.members) - missing < enough:
            left = len(chunk.members) - missing
            yield Finding(
                "damage", "chunk-lost", chunk.id.hex(), f"{left} of {enough} files are left"
            )

    def _problem(self, path: str, chunk: Chunk, index: int, segments: bool) -> str:
        """What is wrong with a member's file; empty when nothing is."""
        disk = self._drives.disk
        try:
            header = read_header(disk, path)
            file = disk.open(path, "read")
            size = file.size()
            file.close()
        except (OSError, BadHeader) as error:
            return str(error) or type(error).__name__
        if not _fits(header, chunk, index, segments):
            return "its header is another file's"
        held = self._audited.held.get(chunk.id)
        end = held.end if held is not None else 0
        if not segments:
            least = HEADER_BYTES + end
        elif chunk.kind is ChunkKind.LANDING:
            least = physical(payload_bytes(chunk.length, chunk.k))
        else:
            least = physical(end)
        return "" if size >= least else f"it has {size} bytes of {least}"


def _fits(header: ChunkHeader, chunk: Chunk, index: int, segments: bool) -> bool:
    said = (header.chunk, header.kind, header.epoch)
    if said != (chunk.id, chunk.kind, chunk.epoch):
        return False
    if not segments:
        return header.role == "mirror"
    return (header.role, header.index, header.k, header.m) == ("segment", index, chunk.k, chunk.m)
