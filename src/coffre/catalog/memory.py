"""The catalog in memory: the same rows and steps, with no log behind them and nothing on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coffre.catalog.apply import apply, needs_body, place
from coffre.catalog.apply_audit import finished
from coffre.catalog.mutations import (
    WITH_BLOB,
    CountDead,
    MoveBlob,
    Mutation,
    OpenLanding,
    Refusal,
    Refused,
    ReserveChunk,
    Result,
)
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_writer
from coffre.catalog.stamp import HybridClock
from coffre.catalog.tally import Tally
from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.records import Extent

Land = Callable[[Sequence[Buffer]], Extent]


class MemoryCatalog(SqliteReader):
    """Both doors of a catalog on one `:memory:` database: each commit is done when it returns.

    `land` keeps a body's ciphertext and says where; chunks of this process's memory need no
    reservation, so rows for them are made when an extent first names them.
    """

    def __init__(self, clock: Clock, entropy: Entropy, zone: int, land: Land) -> None:
        self._db = open_writer(":memory:")
        super().__init__(self._db)
        self._hybrid_clock = HybridClock(clock, entropy, zone)
        self._land = land

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        landed: tuple[Extent, ...] = ()
        if needs_body(mutation):
            landed = (self._land(body),)
            mutation = place(mutation, landed)
        if isinstance(mutation, WITH_BLOB):
            self._open_chunks(mutation.blob.extents)
        elif isinstance(mutation, MoveBlob):
            self._open_chunks(mutation.new)
        try:
            return self._step(mutation, record)
        except Refusal:
            if landed:
                self._step(CountDead(landed))
            raise

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        told = records or (b"",) * len(mutations)
        return [await self._outcome(*one) for one in zip(mutations, told, strict=True)]

    async def _outcome(self, mutation: Mutation, record: bytes) -> Result | Refused:
        try:
            return await self.commit(mutation, record=record)
        except Refusal as refusal:
            return Refused(refusal.code, refusal.message, refusal.fields)

    def _open_chunks(self, extents: tuple[Extent, ...]) -> None:
        for extent in extents:
            if self.chunk(extent.chunk) is not None:
                continue
            if extent.unit == 0:
                self._step(OpenLanding(extent.chunk, 0, ()))
            else:
                self._step(ReserveChunk(extent.chunk, "memory", 0, 1, 0, (b"",)))

    def _step(self, mutation: Mutation, record: bytes = b"") -> Result:
        """One mutation in a transaction of its own."""
        tally = Tally()
        self._db.execute("SAVEPOINT step")
        try:
            trusted_ms = self._hybrid_clock.release_clock(self._db).trusted_ms
            stamp = self._hybrid_clock.stamp(trusted_ms)
            result = apply(self._db, mutation, stamp, tally)
            if record:
                tally.record(finished(record, result))
            tally.write(self._db, trusted_ms)
        except BaseException:
            self._db.execute("ROLLBACK TO step")
            raise
        finally:
            self._db.execute("RELEASE step")
        return result
