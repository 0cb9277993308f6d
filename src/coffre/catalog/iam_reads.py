"""Reads of IAM's rows (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.iam_records import IamDocument, IamEntity, IamKind, IamPolicies, Relation
from coffre.catalog.packing import unpack_iam_facts

_ENTITY = "SELECT store_id, kind, id, name, path, created_ms, facts FROM iam_entities"
_BY_NAME = _ENTITY + " WHERE store_id = ? AND kind = ? AND folded = ?"
_BY_ID = _ENTITY + " WHERE id = ?"
_PAGE = (
    _ENTITY + " WHERE store_id = ?1 AND kind = ?2 AND folded > ?3"
    " AND substr(path, 1, length(?4)) = ?4 ORDER BY folded LIMIT ?5"
)
_ROOT = "SELECT u.id FROM iam_accounts a JOIN users u ON u.id = a.root_id WHERE a.store_id = ?"
_DOCUMENTS = (
    "SELECT name, document, created_ms FROM iam_documents WHERE entity_id = ? ORDER BY name"
)
_TARGETS = "SELECT target_id FROM iam_links WHERE member_id = ? AND relation = ? ORDER BY target_id"
_MEMBERS = (
    "SELECT member_id FROM iam_links INDEXED BY iam_links_by_target"
    " WHERE target_id = ? AND relation = ? ORDER BY member_id"
)


class IamReads:
    """Each method is one statement, or several inside one read transaction."""

    _db: apsw.Connection

    def iam_root(self, store_id: bytes) -> str | None:
        found: str | None = self._db.execute(_ROOT, (store_id,)).get
        return found

    def iam_entity(self, store_id: bytes, kind: IamKind, name: str) -> IamEntity | None:
        row = self._db.execute(_BY_NAME, (store_id, kind, name.lower())).get
        return row and _entity(row)

    def iam_entity_by_id(self, entity_id: str) -> IamEntity | None:
        row = self._db.execute(_BY_ID, (entity_id,)).get
        return row and _entity(row)

    def iam_entities(
        self, store_id: bytes, kind: IamKind, *, after: str, path: str, limit: int
    ) -> list[IamEntity]:
        rows = self._db.execute(_PAGE, (store_id, kind, after.lower(), path, limit)).fetchall()
        return [_entity(row) for row in rows]

    def iam_documents(self, entity_id: str) -> list[IamDocument]:
        rows: list[Any] = self._db.execute(_DOCUMENTS, (entity_id,)).fetchall()
        return [IamDocument(*row) for row in rows]

    def iam_targets(self, member_id: str, relation: Relation) -> list[str]:
        rows: list[Any] = self._db.execute(_TARGETS, (member_id, relation)).fetchall()
        return [target for (target,) in rows]

    def iam_members(self, target_id: str, relation: Relation) -> list[str]:
        rows: list[Any] = self._db.execute(_MEMBERS, (target_id, relation)).fetchall()
        return [member for (member,) in rows]

    def iam_policies(self, entity_id: str) -> IamPolicies:
        with self._db:
            documents: list[tuple[str, bytes]] = []
            built_in: list[str] = []
            for owner in (entity_id, *self.iam_targets(entity_id, "group")):
                documents += [(one.name, one.document) for one in self.iam_documents(owner)]
                for policy_id in self.iam_targets(owner, "policy"):
                    found = self._managed(policy_id)
                    if found is None:
                        built_in.append(policy_id)
                    else:
                        documents.append(found)
            bounds = self.iam_targets(entity_id, "boundary")
            boundary = bounds[0] if bounds else ""
            bound = self._managed(boundary) if boundary else None
        return IamPolicies(
            tuple(documents), tuple(built_in), boundary, b"" if bound is None else bound[1]
        )

    def _managed(self, policy_id: str) -> tuple[str, bytes] | None:
        """Name and document of a managed policy that has rows."""
        policy = self.iam_entity_by_id(policy_id)
        if policy is None:
            return None
        kept = self.iam_documents(policy_id)
        return policy.name, next(one.document for one in kept if one.name == policy.facts.default)


def _entity(row: tuple[Any, ...]) -> IamEntity:
    (store_id, kind, entity_id, name, path, created_ms, facts) = row
    return IamEntity(store_id, kind, entity_id, name, path, created_ms, unpack_iam_facts(facts))
