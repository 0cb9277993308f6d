"""Root keys in service: which of them what names, and how a zone comes to another one.

A rotation is made of steps each of which may be the last one before a crash:

1. The new key stands in `root.key`, synced, as the current one; older ones stay there. From here on
   a start, wherever it is cut, reads with all of them and writes with the new one.
2. The open landing chunk is closed and superblocks are written: what follows in the log is under
   the new key.
3. Store keys and secrets are wrapped anew, in groups, through the log. Those that a crash left are
   wrapped by the next committer, before it takes anything else.

No data is encrypted again. The other processes read `root.key` again when they write with the
current key or meet the id of one that they do not know. An older key goes with `prune`, once
nothing names it and the node was started since the rotation.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from coffre.catalog.access_mutations import RewrapKeys, Rewrapped
from coffre.catalog.interface import CommitterBusy, Reader
from coffre.catalog.mutations import Refusal
from coffre.service.administration import Invalid
from coffre.service.key_files import last_backup
from coffre.service.layout import DataFolder, StartRefused
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.system.starved import Starved
from coffre.vault.archive import find_archive
from coffre.vault.drives import DriveSet
from coffre.vault.keys import KEY_BYTES, RootKey, RootKeyFile, WrongKey
from coffre.vault.records import Chunk, ChunkKind
from coffre.vault.segments import header_of
from coffre.vault.superblock import Superblock, SuperblockNotWritten, SuperblockStore

log = logging.getLogger("coffre.keys")

PAGE = 256


class Zone(Protocol):
    """What a committer offers to rotate keys: see `coffre.catalog.group.GroupCommitter`."""

    @property
    def zone(self) -> Superblock: ...

    async def commit(self, mutation: RewrapKeys) -> Any: ...

    async def close_all(self) -> tuple[Chunk, ...]: ...

    async def amend(self, change: Callable[[Superblock], Superblock]) -> object: ...


class WrappedRow(Struct, frozen=True):
    """A store key, a secret or a maker of one-time codes as a row keeps it. `name` is the key's id,
    the access key, or the person's id."""

    kind: Literal["store keys", "secrets", "codes"]
    name: bytes
    root_key_id: bytes
    wrapped: bytes


def wrapped_rows(reader: Reader) -> Iterator[list[WrappedRow]]:
    """All store keys, then all secrets, some at a time; then what makes people's codes."""
    first = b""
    while keys := reader.store_keys(after=first, limit=PAGE):
        yield [WrappedRow("store keys", key.id, key.root_key_id, key.wrapped) for key in keys]
        first = keys[-1].id
    after = ""
    while users := reader.access_keys(after=after, limit=PAGE):
        yield [
            WrappedRow("secrets", one.access_key.encode(), secret.root_key_id, secret.wrapped)
            for one in users
            for secret in one.secrets
        ]
        after = users[-1].access_key
    sealed = [(one.id, one.secrets.codes) for one in reader.people()]
    yield [
        WrappedRow("codes", person_id, codes.root_key_id, codes.wrapped)
        for person_id, codes in sealed
        if codes is not None
    ]


def refuse_unknown_keys(reader: Reader, root_keys: RootKeyFile) -> None:
    """Rows whose root key is not in `root.key` could not be opened. Raises StartRefused."""
    lacking: Counter[bytes] = Counter()
    for page in wrapped_rows(reader):
        lacking.update(row.root_key_id for row in page)
    for key_id in lacking:
        try:
            root_keys.by_id(key_id)
        except WrongKey:
            raise StartRefused(
                f"{root_keys.path} lacks root key {key_id.hex()}, which {lacking[key_id]} store"
                " keys and secrets are wrapped by: put back the copy that you keep"
            ) from None


class KeyKeeper:
    """The committing process's side of root keys."""

    def __init__(
        self,
        folder: DataFolder,
        root_keys: RootKeyFile,
        *,
        reader: Reader,
        committer: Zone,
        drives: DriveSet,
        superblocks: SuperblockStore,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._folder = folder
        self._root_keys = root_keys
        self._reader = reader
        self._committer = committer
        self._drives = drives
        self._superblocks = superblocks
        self._clock = clock
        self._entropy = entropy
        self._turn = asyncio.Lock()
        # Root keys that other processes of the node may still take for the current one.
        self._held: set[bytes] = set()

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"key.check": self.check, "key.rotate": self.rotate, "key.prune": self.prune}

    async def check(self) -> dict[str, Any]:
        """Every root key with what names it; `problems` are words, none if all is well."""
        problems = [f"{_amount(n, 'row')}: {why}" for why, n in self._unopened().items()]
        mode = os.stat(self._folder.root_key).st_mode & 0o777
        if mode & 0o077:
            problems.append(f"root.key has mode {mode:o}: chmod 600 {self._folder.root_key}")
        named = await asyncio.to_thread(self._named)
        known = {key.id for key in self._root_keys.all()}
        for key_id, by in named.items():
            if key_id is not None and key_id not in known:
                problems.append(f"root key {key_id.hex()} is not in root.key: {_words(by)} name it")
        backup = last_backup(self._folder)
        return {
            "ok": not problems,
            "keys": [
                {
                    "id": key.id.hex(),
                    "current": key == self._root_keys.current,
                    "named_by": dict(named.get(key.id, Counter())),
                    "backed_up": backup is not None and key.id.hex() in backup.keys,
                }
                for key in self._root_keys.all()
            ],
            "unread": dict(named.get(None, Counter())),
            "backup_made_ms": None if backup is None else backup.made_ms,
            "problems": problems,
        }

    async def rotate(self) -> dict[str, Any]:
        """Make another root key the current one, and wrap anew what older ones wrap."""
        async with self._turn:
            key = RootKey(self._entropy.bytes(KEY_BYTES))
            await asyncio.to_thread(self._root_keys.add, key)
            if self._held:  # Else this process is alone.
                self._held.add(key.id)
            log.info("root key %s is the current one", key.id.hex())
            try:
                await self._committer.close_all()
            except (SuperblockNotWritten, Starved) as error:
                raise Invalid(
                    "ServiceUnavailable",
                    f"the new key is in root.key; superblocks follow at the next start: {error}",
                ) from error
            return {"current": key.id.hex(), "wrapped_anew": await self._wrap_anew()}

    async def resume(self, *, beside_others: bool) -> None:
        """In a node that begins to serve: wrap anew what a rotation that was cut left under older
        keys. `beside_others`: processes run that were started before this one."""
        current, *older = (key.id for key in self._root_keys.all())
        self._held = {current, *(older if beside_others else ())}
        async with self._turn:
            try:
                count = await self._wrap_anew()
            except (Refusal, CommitterBusy) as error:
                log.error("keys and secrets stay under older root keys for now: %s", error)
            else:
                if count:
                    log.info("%d keys and secrets are wrapped by the current root key", count)

    async def prune(self) -> dict[str, Any]:
        """Take older keys that nothing names out of `root.key`."""
        async with self._turn:
            await self._wrap_anew()
            for _ in (0, 1):  # Both slots of every superblock.
                await self._committer.amend(lambda zone: zone)
            named = await asyncio.to_thread(self._named)
            removed: list[str] = []
            kept: list[dict[str, Any]] = []
            for key in self._root_keys.all()[1:]:
                by = named.get(key.id, Counter()) + named.get(None, Counter())
                by["running processes"] += key.id in self._held
                by += Counter()  # Without what is zero.
                if by:
                    kept.append({"id": key.id.hex(), "named_by": dict(by)})
                else:
                    await asyncio.to_thread(self._root_keys.remove, key.id)
                    removed.append(key.id.hex())
            return {"removed": removed, "kept": kept}

    async def _wrap_anew(self) -> int:
        current, done = self._root_keys.current, 0
        for page in wrapped_rows(self._reader):
            anew: dict[str, list[Rewrapped]] = {"store keys": [], "secrets": [], "codes": []}
            for row in page:
                if row.root_key_id != current.id:
                    new = current.wrap(self._open(row))
                    anew[row.kind].append(Rewrapped(row.name, row.wrapped, new))
                    done += 1
            if any(anew.values()):
                await self._committer.commit(RewrapKeys(current.id, *map(tuple, anew.values())))
        return done

    def _open(self, row: WrappedRow) -> bytes:
        return self._root_keys.by_id(row.root_key_id).unwrap(row.wrapped)

    def _unopened(self) -> Counter[str]:
        """Why rows cannot be opened, with how many."""
        found: Counter[str] = Counter()
        for page in wrapped_rows(self._reader):
            for row in page:
                try:
                    self._open(row)
                except WrongKey as error:
                    found[str(error)] += 1
        return found

    def _named(self) -> dict[bytes | None, Counter[str]]:
        """What names which root key; under None what cannot be read and may name any.

        A landing chunk whose records every kept snapshot covers needs its key no more: bodies in it
        are under keys of their own.
        """
        floor = min((one.sequence for one in self._committer.zone.snapshots), default=0)
        named: defaultdict[bytes | None, Counter[str]] = defaultdict(Counter)
        for page in wrapped_rows(self._reader):
            for row in page:
                named[row.root_key_id][row.kind] += 1
        for drive in self._drives.all():
            ids: Iterable[bytes | None]
            try:
                ids = self._superblocks.root_key_ids(drive.path) or {None}
            except OSError:
                ids = {None}
            for one in ids:
                named[one]["superblocks"] += 1
        for chunk in self._reader.chunks():
            covered = 0 < chunk.last_sequence <= floor
            if chunk.kind is ChunkKind.LANDING and not covered:
                header = header_of(self._drives, chunk)
                named[None if header is None else header.key_id]["landing chunks"] += 1
        for snapshot in self._committer.zone.snapshots:
            archive = find_archive(self._drives, snapshot)
            named[None if archive is None else archive.header.key_id]["snapshots"] += 1
        return named


def _amount(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _words(by: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(by.items()))
