"""IAM's users, groups, roles and managed policies: made, changed, tied together, deleted.

Limits are AWS's ("IAM and AWS STS quotas"); sizes of policies do not count white space.
"""

from __future__ import annotations

from typing import Any, Final

import apsw
from msgspec.structs import replace

from coffre.catalog import apply_access, iam_rows
from coffre.catalog.access_mutations import DeleteUser
from coffre.catalog.iam_mutations import (
    ChangeIamEntity,
    CreateIamEntity,
    DeleteIamEntity,
    LinkIam,
    UnlinkIam,
)
from coffre.catalog.iam_records import BUILT_IN, IamFacts, IamKind, Relation
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack, unpack_iam_facts
from coffre.catalog.stamp import Stamp

_MOST: Final[dict[str, int]] = {"user": 5000, "group": 300, "role": 1000, "policy": 1500}
_MOST_LINKS: Final[dict[Relation, int]] = {"group": 10, "policy": 10, "boundary": 1}
_INLINE_BYTES: Final[dict[str, int]] = {"user": 2048, "group": 5120, "role": 10_240}
_VERSIONS: Final = 5
_PUT: Final = (
    "INSERT INTO iam_documents (entity_id, name, document, created_ms) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET document = excluded.document"
)


def create_iam_entity(db: apsw.Connection, mutation: CreateIamEntity, stamp: Stamp) -> Done:
    store_id, kind, name = mutation.store_id, mutation.kind, mutation.name
    if db.execute("SELECT 1 FROM stores WHERE id = ?", (store_id,)).get is None:
        raise Refusal("NoSuchStore")
    _check_name(db, store_id, kind, name)
    standing = db.execute(
        "SELECT count(*) FROM iam_entities WHERE store_id = ? AND kind = ?", (store_id, kind)
    ).get
    if standing >= _MOST[kind]:
        raise _limit(f"{kind}s", _MOST[kind])
    facts = replace(mutation.facts, updated_ms=stamp.now_ms)
    iam_rows.insert_entity(
        db, store_id, kind, mutation.id, name, stamp.now_ms, path=mutation.path, facts=facts
    )
    if kind == "user":
        db.execute(
            "INSERT INTO users (id, store_id, label, kind, locked, created_ms)"
            " VALUES (?, ?, ?, 'iam', 0, ?)",
            (mutation.id, store_id, name, stamp.now_ms),
        )
    for document, text in mutation.documents.items():
        db.execute(_PUT, (mutation.id, document, text, stamp.now_ms))
    if mutation.boundary:
        _link(db, mutation.id, "boundary", mutation.boundary)
    return Done()


def change_iam_entity(db: apsw.Connection, mutation: ChangeIamEntity, stamp: Stamp) -> Done:
    store_id, kind, facts = _entity(db, mutation.id)
    if facts != mutation.was:
        raise Refusal("ConcurrentModification", "The entity was changed meanwhile; try again.")
    if mutation.name is not None:
        _check_name(db, store_id, kind, mutation.name, mutation.id)
        folded = mutation.name.lower()
        db.execute(
            "UPDATE iam_entities SET name = ?, folded = ? WHERE id = ?",
            (mutation.name, folded, mutation.id),
        )
        if kind == "user":
            db.execute("UPDATE users SET label = ? WHERE id = ?", (mutation.name, mutation.id))
    if mutation.path is not None:
        db.execute("UPDATE iam_entities SET path = ? WHERE id = ?", (mutation.path, mutation.id))
    now = replace(mutation.facts, updated_ms=stamp.now_ms)
    db.execute("UPDATE iam_entities SET facts = ? WHERE id = ?", (pack(now), mutation.id))
    _change_documents(db, kind, mutation, stamp)
    return Done()


def _change_documents(
    db: apsw.Connection, kind: IamKind, mutation: ChangeIamEntity, stamp: Stamp
) -> None:
    for name in mutation.drop:
        db.execute(
            "DELETE FROM iam_documents WHERE entity_id = ? AND name = ?", (mutation.id, name)
        )
        if db.changes() != 1:
            raise Refusal("NoSuchEntity", f"There is no policy {name}.")
    for name, document in mutation.put.items():
        db.execute(_PUT, (mutation.id, name, document, stamp.now_ms))
    if not mutation.put:
        return
    kept: list[Any] = db.execute(
        "SELECT document FROM iam_documents WHERE entity_id = ? ORDER BY name", (mutation.id,)
    ).fetchall()
    if kind == "policy":
        if len(kept) > _VERSIONS:
            raise _limit("versions of a policy", _VERSIONS)
        return
    size = sum(len(b"".join(document.split())) for (document,) in kept)
    if size > _INLINE_BYTES[kind]:
        raise Refusal(
            "LimitExceeded",
            f"Maximum policy size of {_INLINE_BYTES[kind]} bytes exceeded for {kind}",
        )


def delete_iam_entity(db: apsw.Connection, mutation: DeleteIamEntity, stamp: Stamp) -> Done:
    store_id, kind, _ = _entity(db, mutation.id)
    entity = (mutation.id,)
    for asked, what in _CONFLICTS[kind]:
        if db.execute(f"SELECT EXISTS (SELECT 1 FROM {asked} = ?)", entity).get:  # noqa: S608
            raise Refusal("DeleteConflict", f"Cannot delete entity, must {what} first.")
    if kind != "user":
        iam_rows.forget_entity(db, mutation.id)
        return Done()
    root = db.execute(
        "SELECT u.id FROM iam_accounts a JOIN users u ON u.id = a.root_id WHERE a.store_id = ?",
        (store_id,),
    ).get
    try:
        apply_access.delete_user(db, DeleteUser(mutation.id, root), stamp)
    except Refusal as refusal:
        if refusal.code != "UserHasBuckets":
            raise
        raise Refusal(
            "DeleteConflict", "Cannot delete entity, must delete buckets first."
        ) from None
    return Done()


# What stands in the way of an entity's end, and what is to be done about it, in AWS's words.
_DOCUMENTS: Final = "iam_documents WHERE entity_id", "delete policies"
_ATTACHED: Final = "iam_links WHERE relation = 'policy' AND member_id", "detach all policies"
_CONFLICTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "user": (
        ("access_keys WHERE user_id", "delete access keys"),
        _DOCUMENTS,
        _ATTACHED,
        ("iam_links WHERE relation = 'group' AND member_id", "remove user from groups"),
    ),
    "group": (
        ("iam_links WHERE target_id", "remove users from group"),
        _DOCUMENTS,
        _ATTACHED,
    ),
    "role": (_DOCUMENTS, _ATTACHED),
    "policy": (
        ("iam_links WHERE target_id", "detach the policy from all entities"),
        (
            "iam_documents a JOIN iam_documents b USING (entity_id)"
            " WHERE a.name < b.name AND a.entity_id",
            "delete all versions but the default one",
        ),
    ),
}


def link_iam(db: apsw.Connection, mutation: LinkIam, stamp: Stamp) -> Done:
    _entity(db, mutation.member_id)
    _link(db, mutation.member_id, mutation.relation, mutation.target_id)
    return Done()


def _link(db: apsw.Connection, member_id: str, relation: Relation, target_id: str) -> None:
    if not target_id.startswith(BUILT_IN):
        _entity(db, target_id)
    if relation == "boundary":
        db.execute(
            "DELETE FROM iam_links WHERE member_id = ? AND relation = 'boundary'", (member_id,)
        )
    others = db.execute(
        "SELECT count(*) FROM iam_links WHERE member_id = ? AND relation = ? AND target_id <> ?",
        (member_id, relation, target_id),
    ).get
    if others >= _MOST_LINKS[relation]:
        what = "groups of a user" if relation == "group" else "policies attached to an entity"
        raise _limit(what, _MOST_LINKS[relation])
    db.execute(
        "INSERT OR IGNORE INTO iam_links (member_id, relation, target_id) VALUES (?, ?, ?)",
        (member_id, relation, target_id),
    )


def unlink_iam(db: apsw.Connection, mutation: UnlinkIam, stamp: Stamp) -> Done:
    db.execute(
        "DELETE FROM iam_links WHERE member_id = ?1 AND relation = ?2"
        " AND (target_id = ?3 OR ?3 = '')",
        (mutation.member_id, mutation.relation, mutation.target_id),
    )
    if not db.changes():
        raise Refusal("NoSuchEntity", "The entity is not tied to what it is to be parted from.")
    return Done()


def _check_name(
    db: apsw.Connection, store_id: bytes, kind: IamKind, name: str, entity_id: str = ""
) -> None:
    taken = iam_rows.is_taken(db, store_id, kind, name, entity_id)
    if kind == "user" and not taken:
        try:
            apply_access.check_label(db, store_id, name, entity_id or None)
        except Refusal:
            taken = True
    if taken:
        raise Refusal(
            "EntityAlreadyExists", f"{kind.capitalize()} with name {name} already exists."
        )


def _entity(db: apsw.Connection, entity_id: str) -> tuple[bytes, IamKind, IamFacts]:
    row = db.execute(
        "SELECT store_id, kind, facts FROM iam_entities WHERE id = ?", (entity_id,)
    ).get
    if row is None:
        raise Refusal("NoSuchEntity", "The entity does not exist any more.")
    return row[0], row[1], unpack_iam_facts(row[2])


def _limit(what: str, most: int) -> Refusal:
    return Refusal("LimitExceeded", f"Cannot exceed quota for {what}: {most}")
