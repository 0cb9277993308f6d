"""Faults put into the engine on purpose, to show that the simulator finds what it is for.

Each replaces a piece of the engine, or lets it leave out a call, for the rest of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from coffre.catalog import rebuilding, recovery
from coffre.catalog.chain import FoundRecord
from coffre.catalog.following import Follower
from coffre.catalog.group import GroupCommitter
from coffre.catalog.schema import LogPosition, open_writer
from coffre.catalog.snapshots import copy_rows
from coffre.catalog.transaction import Answers, Call, Group, Transaction
from coffre.catalog.zone_writer import Change
from coffre.service import drive_changes
from coffre.stewards.collector import Collector
from coffre.stewards.sealer import Sealer
from coffre.system.buffer import Buffer
from coffre.testing.disk import RecordingDisk, RecordingFile
from coffre.vault import rebuild
from coffre.vault.blocks import STORED_BLOCK_BYTES, BadBlock, verified
from coffre.vault.drives import Drive
from coffre.vault.moving import remove_chunk
from coffre.vault.records import BLOCK_BYTES, Chunk, ChunkState
from coffre.vault.seal import remove_mirrors


def _skip_syncs_of(ending: str) -> Callable[[], None]:
    sync = RecordingFile.sync

    def skipping(self: RecordingFile) -> None:
        if not self._path.endswith(ending):
            sync(self)

    def put_in() -> None:
        RecordingFile.sync = skipping  # type: ignore[method-assign]

    return put_in


def _skip_syncs_of_folders() -> None:
    sync_dir = RecordingDisk.sync_dir

    def skipping(self: RecordingDisk, path: str) -> None:
        if "/chunks/" not in path:
            sync_dir(self, path)

    RecordingDisk.sync_dir = skipping  # type: ignore[method-assign]


def _answer_before_the_log() -> None:
    apply = Transaction.apply

    def hasty(self: Transaction, calls: list[Call]) -> Group:
        group = apply(self, calls)
        for call, answers in zip(calls, group.answers, strict=True):
            call.settle(answers)
        return group

    Transaction.apply = hasty  # type: ignore[method-assign]


def _trust_stale_mirrors() -> None:
    def trusting(self: Any, log: Any, chunk: bytes) -> Any:
        return log.mirrors[chunk]

    recovery._Recovery._whole = trusting  # type: ignore[method-assign]


def _remove_mirrors_before_the_seal_is_logged() -> None:
    seal = Sealer._seal

    async def hasty(self: Sealer, chunk: Chunk) -> Any:
        sealed = await seal(self, chunk)
        remove_mirrors(self._drives, chunk.id)
        return sealed

    Sealer._seal = hasty  # type: ignore[method-assign]


def _remove_a_chunk_that_lives() -> None:
    condemn = Collector._condemn_dead

    async def hasty(self: Collector, chunks: Iterable[Chunk]) -> int:
        for chunk in chunks:
            if chunk.state is ChunkState.SEALED and chunk.appended > chunk.dead > 0:
                remove_chunk(self._drives, chunk)
        return await condemn(self, chunks)

    Collector._condemn_dead = hasty  # type: ignore[method-assign]


def _repair_without_verifying() -> None:
    def trusting(stored: Buffer, seed: int, position: int, length: int) -> bytes:
        try:
            return verified(stored, seed, position, length)
        except BadBlock:
            starts = range(0, len(stored), STORED_BLOCK_BYTES)
            payload = b"".join(bytes(stored[at : at + BLOCK_BYTES]) for at in starts)
            first = position % BLOCK_BYTES
            return payload[first : first + length]

    rebuild.verified = trusting  # type: ignore[attr-defined]


def _wait_for_who_left() -> None:
    def insisting(self: Call, answers: Answers) -> None:
        self.future.set_result(answers[0] if self.single else answers)

    Call.settle = insisting  # type: ignore[method-assign]


def _forget_where_added_drives_stand() -> None:
    drive_changes.write_places = lambda folder, places, disk: None  # type: ignore[attr-defined]


def _let_superblocks_name_removed_drives() -> None:
    amend = GroupCommitter.amend

    async def hasty(
        self: GroupCommitter, change: Change, joining: Sequence[Drive] = ()
    ) -> dict[bytes, str]:
        if len(change(self.zone).drives) < len(self.zone.drives):
            return {}
        return await amend(self, change, joining)

    GroupCommitter.amend = hasty  # type: ignore[method-assign]


def _lose_a_row(path: str) -> None:
    db = open_writer(path)
    db.execute("DELETE FROM versions WHERE sort_key = (SELECT max(sort_key) FROM versions)")
    db.close()


def _follow_badly() -> None:
    roll = Follower._roll

    async def careless(self: Follower, missing: Sequence[FoundRecord]) -> None:
        await roll(self, missing)
        if missing:
            _lose_a_row(self._path)

    Follower._roll = careless  # type: ignore[method-assign]


def _fail_over_badly() -> None:
    def careless(source: str, target: str) -> tuple[LogPosition, int]:
        copied = copy_rows(source, target)
        _lose_a_row(target)
        return copied

    rebuilding.copy_rows = careless  # type: ignore[attr-defined]


BUGS: dict[str, Callable[[], None]] = {
    "mirrors are not synced": _skip_syncs_of(".mirror"),
    "segments are not synced": _skip_syncs_of(".segment"),
    "segments are not synced before they are renamed": _skip_syncs_of(".segment.tmp"),
    "folders are not synced": _skip_syncs_of_folders,
    "answered before the log": _answer_before_the_log,
    "stale mirrors are trusted": _trust_stale_mirrors,
    "a chunk is collected that lives": _remove_a_chunk_that_lives,
    "mirrors go before the seal is logged": _remove_mirrors_before_the_seal_is_logged,
    "what is repaired is not verified": _repair_without_verifying,
    "a client that left takes the committer with it": _wait_for_who_left,
    "where added drives stand is forgotten": _forget_where_added_drives_stand,
    "superblocks go on naming removed drives": _let_superblocks_name_removed_drives,
    "the follower leaves out a row": _follow_badly,
    "a fail-over leaves out a row": _fail_over_badly,
}
