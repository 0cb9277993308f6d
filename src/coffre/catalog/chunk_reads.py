"""Reads of chunks (part of `reader`)."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from coffre.catalog import queries as q
from coffre.catalog.packing import unpack_members
from coffre.catalog.paging import Row
from coffre.vault.records import Chunk, ChunkKind, ChunkState

_KINDS = {kind.value: kind for kind in ChunkKind}
_STATES = {state.value: state for state in ChunkState}


class ChunkReads:
    """The reads of `catalog.interface.Reader` that are about chunks."""

    _db: apsw.Connection

    def chunk(self, chunk_id: bytes) -> Chunk | None:
        row: Row | None = self._db.execute(q.CHUNK_BY_ID, (chunk_id,)).fetchone()
        return None if row is None else _chunk(row)

    def chunks(self) -> list[Chunk]:
        return self._chunks(q.CHUNKS)

    def unsealed_chunks(self) -> list[Chunk]:
        return self._chunks(q.UNSEALED_CHUNKS)

    def chunks_after(self, after: bytes, *, limit: int) -> list[Chunk]:
        return self._chunks(q.CHUNKS_AFTER, after, limit)

    def _chunks(self, statement: str, *asked: object) -> list[Chunk]:
        rows: Iterable[Row] = self._db.execute(statement, asked).fetchall()
        return [_chunk(row) for row in rows]


def _chunk(row: Row) -> Chunk:
    (chunk_id, kind, state, owner, epoch, k, m, members, appended, length, dead, created) = row[:12]
    return Chunk(
        chunk_id,
        _KINDS[kind],
        _STATES[state],
        owner,
        epoch,
        k,
        m,
        unpack_members(members),
        length or appended,
        dead,
        created,
        appended,
        row[12],
        bool(row[13]),
        length > 0,
    )
