"""The memory catalog keeps the contract, and its changesets are a log that suffices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import apsw

from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import Mutation, Refusal, Result
from coffre.catalog.schema import LOGGED_TABLES, open_writer
from coffre.system.buffer import Buffer
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.catalog import Catalog, check_catalog, dump
from coffre.vault.records import Extent


class CountingLand:
    """Says where bytes would land in one endless chunk."""

    def __init__(self) -> None:
        self.end = 0

    def __call__(self, pieces: Sequence[Buffer]) -> Extent:
        length = sum(len(piece) for piece in pieces)
        self.end += length
        return Extent(b"landing chunk id", self.end - length, length)


class TwinnedCatalog(MemoryCatalog):
    """Replays every step's changeset into a twin that must stay identical, row for row; a refused
    step must leave no trace at all."""

    def __init__(self) -> None:
        super().__init__(ManualClock(), SeededEntropy(2), 1, CountingLand())
        self.twin = open_writer(":memory:")

    def _step(self, mutation: Mutation, record: bytes = b"") -> Result:
        before = dump(self._db)
        session = apsw.Session(self._db, "main")
        for table in LOGGED_TABLES:
            session.attach(table)
        try:
            result = super()._step(mutation, record)
        except Refusal:
            assert dump(self._db) == before
            assert session.changeset() == b""
            raise
        finally:
            changeset = session.changeset()
            session.close()
        apsw.Changeset.apply(changeset, self.twin, conflict=lambda *_: apsw.SQLITE_CHANGESET_ABORT)
        assert dump(self.twin) == dump(self._db)
        return result

    def close(self) -> None:
        for db in (self._db, self.twin):
            assert db.pragma("integrity_check") == "ok"
            db.close()


@asynccontextmanager
async def _memory() -> AsyncIterator[Catalog]:
    yield MemoryCatalog(ManualClock(), SeededEntropy(2), 1, CountingLand())


@asynccontextmanager
async def _twinned() -> AsyncIterator[Catalog]:
    catalog = TwinnedCatalog()
    yield catalog
    catalog.close()


def test_the_memory_catalog_keeps_the_contract() -> None:
    check_catalog(_memory, examples=40, steps=50)


def test_every_steps_changeset_makes_an_empty_twin_identical() -> None:
    check_catalog(_twinned, examples=20, steps=30)
