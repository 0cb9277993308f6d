"""Snapshots in a running node: the committer's side of them, and the steward with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from coffre.catalog.interface import Reader
from coffre.catalog.log_state import NOT_WRITTEN, KeptSnapshots
from coffre.catalog.schema import LogPosition, open_reader, read_position
from coffre.catalog.snapshots import SnapshotWorld
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.admission import CATALOG_RESERVE_BYTES
from coffre.service.door import ask
from coffre.service.layout import DataFolder
from coffre.service.zone import World, ZoneFacts, open_root_keys, origin
from coffre.stewards.snapshotter import Namer, Snapshotter
from coffre.vault.drives import DriveSet
from coffre.vault.interface import DataLost
from coffre.vault.superblock import (
    SnapshotRef,
    Superblock,
)

_SCRATCH = "snapshot.tmp"
TakeNow = Callable[[], Awaitable[SnapshotRef]]


class NamingCommitter(Protocol):
    """What the committer offers to those who keep snapshots."""

    @property
    def log_floor(self) -> int: ...

    @property
    def named_chunks(self) -> frozenset[bytes]: ...

    @property
    def kept_snapshots(self) -> KeptSnapshots: ...

    async def amend(self, change: Callable[[Superblock], Superblock]) -> object: ...


class SnapshotDesk:
    """The committing process's part: a `Namer`, and the operations at its door. `take` is how a
    snapshot is taken now, `follower` how the follower is asked."""

    def __init__(self, committer: NamingCommitter) -> None:
        self._committer = committer
        self.take: TakeNow | None = None
        self.follower: Callable[[str], Awaitable[Any]] | None = None
        self.operations: dict[str, Callable[..., Awaitable[Any]]] = {
            "log.floor": self._floor,
            "log.unsealed": self._unsealed,
            "snapshot.kept": self._kept,
            "snapshot.name": self._name,
            "snapshot.list": self._list,
            "snapshot.now": self._now,
            "follower.status": partial(self._ask_follower, "follower.status"),
            "follower.compare": partial(self._ask_follower, "follower.compare"),
        }

    async def kept(self) -> KeptSnapshots:
        return self._committer.kept_snapshots

    async def name(self, snapshots: Sequence[SnapshotRef]) -> None:
        named = tuple(snapshots)
        try:
            await self._committer.amend(lambda zone: replace(zone, snapshots=named))
        except NOT_WRITTEN as error:
            raise OSError(f"superblocks do not name a snapshot: {error}") from error

    async def _floor(self) -> dict[str, int]:
        """The record up to which the log is not needed; 0 while there is no snapshot."""
        return {"floor": self._committer.log_floor}

    async def _unsealed(self) -> dict[str, list[str]]:
        """The log's chunks whose mirrors a start may look for."""
        return {"chunks": sorted(one.hex() for one in self._committer.named_chunks)}

    async def _kept(self) -> Any:
        return msgspec.to_builtins(self._committer.kept_snapshots)

    async def _name(self, snapshots: list[Any]) -> dict[str, int]:
        await self.name(msgspec.convert(snapshots, list[SnapshotRef]))
        return {"named": len(snapshots)}

    async def _list(self) -> list[dict[str, Any]]:
        """Every snapshot that counts, the oldest first."""
        return [shown(ref) for ref in self._committer.kept_snapshots.snapshots]

    async def _ask_follower(self, operation: str) -> Any:
        if self.follower is None:
            raise Invalid("Unavailable", "no follower runs: start the node with `follower` on")
        try:
            return await self.follower(operation)
        except OSError as error:
            raise Invalid("Unavailable", f"no follower answers ({error}): see the log") from error

    async def _now(self) -> dict[str, Any]:
        if self.take is None:
            raise Invalid("Unavailable", "no process of this node takes snapshots")
        return shown(await self.take())


class DoorNamer:
    """A `Namer` in another process: it asks at the committer's door."""

    def __init__(self, door: str) -> None:
        self._door = door

    async def kept(self) -> KeptSnapshots:
        return msgspec.convert(await ask(self._door, "snapshot.kept", {}), KeptSnapshots)

    async def name(self, snapshots: Sequence[SnapshotRef]) -> None:
        named = msgspec.to_builtins(list(snapshots))
        try:
            await ask(self._door, "snapshot.name", {"snapshots": named})
        except Invalid as error:
            raise OSError(f"superblocks do not name a snapshot: {error}") from error


def shown(ref: SnapshotRef) -> dict[str, Any]:
    """A snapshot as an operator sees it."""
    return {
        "id": ref.id.hex(),
        "taken_ms": int.from_bytes(ref.id[2:8], "big"),
        "record": ref.sequence,
        "schema": ref.schema_version,
        "bytes": ref.length,
    }


def snapshotter(
    settings: Settings,
    facts: ZoneFacts,
    folder: DataFolder,
    world: World,
    reader: Reader,
    drives: DriveSet,
    namer: Namer,
) -> Snapshotter:
    """The steward, for the one process that runs it."""
    root_keys = open_root_keys(folder)
    return Snapshotter(
        SnapshotWorld(
            drives=drives,
            origin=origin(facts, root_keys),
            epoch=facts.epoch,
            roots=root_keys,
            wanted=settings.coding,
            clock=world.clock,
            entropy=world.entropy,
            scratch=str(folder.root / _SCRATCH),
            scratch_reserve=CATALOG_RESERVE_BYTES,
        ),
        reader,
        namer,
        partial(_source, folder),
        partial(position_of, str(folder.catalog)),
        every=settings.snapshot_every,
        keep=settings.snapshots_kept,
    )


async def _source(folder: DataFolder, at_least: int) -> str:
    """The follower's file if it is there and far enough, else the catalog itself: to copy that one
    keeps its WAL from beginning anew. Raises DataLost where the two are known to differ."""
    try:
        follower = await ask(folder.follower_socket.name, "follower.status", {})
    except OSError:
        return str(folder.catalog)
    if follower["differs"]:
        raise DataLost(f"catalog and follower are not the same: {follower['differs']}")
    far_enough = follower["record"] >= max(1, at_least)
    return str(follower["path"]) if far_enough else str(folder.catalog)


def position_of(path: str) -> LogPosition:
    """Where a catalog in use stands in the log. Raises apsw.Error, SchemaMismatch."""
    db = open_reader(path)
    try:
        return read_position(db)
    finally:
        db.close()
