"""IAM's users, groups, roles and managed policies as values. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

IamKind = Literal["user", "group", "role", "policy"]
Relation = Literal["group", "policy", "boundary"]
# Ids of managed policies that are code and have no rows begin so.
BUILT_IN: Final = "ANPABUILTIN"


class IamFacts(Struct, frozen=True, array_like=True):
    """What an entity says of itself. `trust` is a role's trust policy, `default` the version of a
    managed policy that counts, `versions` how many were ever made."""

    description: str = ""
    max_session_s: int = 3600
    tags: dict[str, str] = {}
    trust: bytes = b""
    default: str = ""
    versions: int = 0
    updated_ms: int = 0


class IamEntity(Struct, frozen=True):
    """A user (`id` is its Owner ID), group, role or managed policy of a store. Names are unique by
    kind, whatever their case."""

    store_id: bytes
    kind: IamKind
    id: str
    name: str
    path: str
    created_ms: int
    facts: IamFacts


class IamDocument(Struct, frozen=True):
    """An inline policy by its name, or a version of a managed policy by its number (`v3`)."""

    name: str
    document: bytes
    created_ms: int


class IamPolicies(Struct, frozen=True):
    """All policies that speak for a user or role: (name, document). `built_in` are the ids of those
    that are code, `boundary` is the id of what bounds it ("" for nothing) and its document."""

    documents: tuple[tuple[str, bytes], ...]
    built_in: tuple[str, ...] = ()
    boundary: str = ""
    boundary_document: bytes = b""
