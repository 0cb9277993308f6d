"""Mutations of IAM: users, groups, roles, managed policies, and what ties them together.

They are part of `coffre.catalog.mutations`, which says what a mutation is. Refused with IAM's
codes: NoSuchEntity, EntityAlreadyExists, LimitExceeded, DeleteConflict, ConcurrentModification.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.iam_records import IamFacts, IamKind, Relation


class CreateIamEntity(Struct, frozen=True, tag=True):
    """A new entity with its first documents. A user has no access key yet. Refused: NoSuchStore,
    EntityAlreadyExists, LimitExceeded, NoSuchEntity (the boundary)."""

    store_id: bytes
    kind: IamKind
    id: str
    name: str
    path: str
    facts: IamFacts
    documents: dict[str, bytes] = {}
    boundary: str = ""


class ChangeIamEntity(Struct, frozen=True, tag=True):
    """Change what is given of an entity; documents are put and dropped by name. Refused:
    NoSuchEntity (also a document to drop), ConcurrentModification (its facts are not `was`),
    EntityAlreadyExists (the new name), LimitExceeded (of documents)."""

    id: str
    was: IamFacts
    facts: IamFacts
    name: str | None = None
    path: str | None = None
    put: dict[str, bytes] = {}
    drop: tuple[str, ...] = ()


class DeleteIamEntity(Struct, frozen=True, tag=True):
    """A user's buckets go to the account's root user. Refused: NoSuchEntity, DeleteConflict."""

    id: str


class LinkIam(Struct, frozen=True, tag=True):
    """A user is in a group; a user, group or role has a managed policy, or is bounded by one (one
    at a time). No error where that is so. Refused: NoSuchEntity, LimitExceeded."""

    member_id: str
    relation: Relation
    target_id: str


class UnlinkIam(Struct, frozen=True, tag=True):
    """Refused: NoSuchEntity, where there is no such tie. `target_id` "": whatever bounds it."""

    member_id: str
    relation: Relation
    target_id: str = ""


IamMutation = CreateIamEntity | ChangeIamEntity | DeleteIamEntity | LinkIam | UnlinkIam
