"""Objects in pieces, row by row: who holds what, and when it is let go."""

from __future__ import annotations

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.apply_manifests import PARTS_AT_ONCE
from coffre.catalog.audit import audit
from coffre.catalog.ecs_mutations import Composition
from coffre.catalog.records import Piece
from coffre.vault.records import Blob
from tests.unit.test_catalog_apply import BUCKET, FACTS, Rig


class Written(Rig):
    """A bucket with one object that is written into."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = 0
        self.put(b"base", 100)

    def put(self, name: bytes, size: int) -> None:
        self.apply(m.PutVersion(BUCKET, b"k", name, self.made(name, size), FACTS))

    def made(self, name: bytes, size: int) -> Blob:
        blob = self.blob(name, size)
        self.stored += blob.stored_bytes
        return blob

    def current(self) -> tuple[int, bytes]:
        """(order, manifest)"""
        row: tuple[int, bytes] = self.db.execute(
            "SELECT ord, manifest_id FROM versions WHERE latest = 1"
        ).get
        return row

    def compose(self, name: bytes, size: int, *others: Piece, amends: bool = False) -> m.Result:
        made = Composition(b"of " + name, (Piece(name, 0, size), *others), *self.current(), amends)
        blob = self.made(name, size)
        return self.apply(m.PutVersion(BUCKET, b"k", name, blob, FACTS, composition=made))

    def reap(self) -> None:
        """Free what waits, in steps of 20 rows."""
        more = True
        while more:
            done = self.apply(m.ReapOrphans(20))
            assert isinstance(done, m.Reaped)
            assert done.rows <= 20
            more = done.more

    def refs(self) -> dict[bytes, int]:
        return dict(self.db.execute("SELECT id, refs FROM manifests"))


def test_a_composition_holds_its_sources_until_it_goes() -> None:
    rig = Written()
    rig.compose(b"one", 10, Piece(b"base", 10, 90))
    assert rig.refs() == {b"base": 1, b"one": 1, b"of one": 1}
    assert [one for one in audit(rig.db).findings if one.kind != "striped-list"] == []
    rig.compose(b"two", 5, Piece(b"one", 5, 5), Piece(b"base", 10, 90))
    assert rig.refs() == {b"base": 1, b"one": 1, b"two": 1, b"of two": 1}
    rig.compose(b"three", 5, Piece(b"two", 0, 5))
    assert rig.refs() == {b"two": 1, b"three": 1, b"of three": 1}
    rig.apply(m.DeleteVersion(BUCKET, b"k"))
    assert rig.refs() == {}
    assert rig.chunk() == (rig.stored, rig.stored)


def test_an_amendment_changes_nothing_but_where_bytes_lie() -> None:
    rig = Written()
    rig.compose(b"one", 10, Piece(b"base", 10, 90))
    before = rig.db.execute("SELECT ord, etag, size, modified_ms FROM versions").fetchall()
    rig.compose(b"joined", 100, amends=True)
    assert rig.db.execute("SELECT ord, etag, size, modified_ms FROM versions").fetchall() == before
    assert rig.refs() == {b"joined": 1, b"of joined": 1}
    with pytest.raises(m.Refusal, match="InternalError"):
        rig.compose(b"short", 99, amends=True)


def test_a_composition_on_what_was_replaced_is_refused() -> None:
    rig = Written()
    stale = rig.current()
    rig.put(b"other", 1)
    made = Composition(b"late", (Piece(b"blob", 0, 1),), *stale)
    with pytest.raises(m.Refusal, match="OperationAborted"):
        rig.apply(
            m.PutVersion(BUCKET, b"k", b"blob", rig.blob(b"blob", 1), FACTS, composition=made)
        )


def test_many_sources_are_let_go_a_few_at_a_time() -> None:
    rig = Written()
    many = 3 * PARTS_AT_ONCE
    pieces: tuple[Piece, ...] = (Piece(b"base", 0, 100),)
    for number in range(many):
        name = b"piece %d" % number
        rig.compose(name, 1, *pieces)
        pieces = (Piece(name, 0, 1), *pieces)
    rig.reap()
    assert len(rig.refs()) == many + 2
    rig.apply(m.DeleteVersion(BUCKET, b"k"))
    assert 0 < len(rig.refs()) < many + 2
    rig.reap()
    assert rig.refs() == {}
    assert rig.chunk() == (rig.stored, rig.stored)
