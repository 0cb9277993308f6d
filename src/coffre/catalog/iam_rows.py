"""Rows of IAM that other steps make and remove: of users, and of whole stores."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.iam_records import IamFacts, IamKind
from coffre.catalog.packing import pack

_INSERT = (
    "INSERT INTO iam_entities (store_id, kind, folded, id, name, path, created_ms, facts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def insert_entity(
    db: apsw.Connection,
    store_id: bytes,
    kind: IamKind,
    entity_id: str,
    name: str,
    now_ms: int,
    *,
    path: str = "/",
    facts: IamFacts | None = None,
) -> None:
    packed = pack(facts or IamFacts())
    db.execute(_INSERT, (store_id, kind, name.lower(), entity_id, name, path, now_ms, packed))


def is_taken(db: apsw.Connection, store_id: bytes, kind: IamKind, name: str, but: str = "") -> bool:
    """Whether another entity of this kind, which is not `but`, has the name."""
    found = db.execute(
        "SELECT id FROM iam_entities WHERE store_id = ? AND kind = ? AND folded = ?",
        (store_id, kind, name.lower()),
    ).get
    return found is not None and found != but


def rename_user(db: apsw.Connection, user_id: str, label: str) -> None:
    """An IAM user is called what its row in `users` is; nothing for others."""
    db.execute(
        "UPDATE iam_entities SET name = ?, folded = ? WHERE id = ?", (label, label.lower(), user_id)
    )


def note_first_user(db: apsw.Connection, store_id: bytes, user_id: str) -> None:
    """A store's first object user is the root user of its account, for good: what it may is never
    handed on because it is deleted."""
    db.execute(
        "INSERT OR IGNORE INTO iam_accounts (store_id, root_id) VALUES (?, ?)", (store_id, user_id)
    )


def forget_entity(db: apsw.Connection, entity_id: str) -> None:
    """All rows of an entity, and what ties it to others. No error where there are none."""
    db.execute("DELETE FROM iam_documents WHERE entity_id = ?", (entity_id,))
    db.execute("DELETE FROM iam_links WHERE member_id = ?1 OR target_id = ?1", (entity_id,))
    db.execute("DELETE FROM iam_entities WHERE id = ?", (entity_id,))


def forget_some(db: apsw.Connection, store_id: bytes, limit: int) -> int:
    """Remove at most `limit` entities of a store that is being deleted; how many there were, at
    last its account too."""
    rows: list[Any] = db.execute(
        "SELECT id FROM iam_entities WHERE store_id = ? ORDER BY id LIMIT ?", (store_id, limit)
    ).fetchall()
    for (entity_id,) in rows:
        forget_entity(db, entity_id)
    if len(rows) < limit:
        db.execute("DELETE FROM iam_accounts WHERE store_id = ?", (store_id,))
    return len(rows)
