"""Who signs, as the decision takes it: users and roles with all their policies, read when asked.

A worker's reader keeps the rows under the access generation and `_policy` the compiled documents,
so a request pays for neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from coffre.access.decision import Identity
from coffre.access.policy import Policy, read_policy
from coffre.access.principals import Principal, account_of
from coffre.catalog.iam_records import IamEntity
from coffre.catalog.interface import Reader
from coffre.catalog.records import Store, User, store_owner_id
from coffre.iam import built_in
from coffre.iam.sessions import Session

DOCUMENT_LIMIT: Final = 131_072
_PRINCIPAL_TAG: Final = "aws:principaltag/"
Known = tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def _policy(document: bytes) -> Policy:
    """A policy that was checked when it was put."""
    return read_policy(document, limit=DOCUMENT_LIMIT)


@lru_cache(maxsize=1024)
def trust_policy(document: bytes) -> Policy:
    """As `_policy`, of whom a role trusts."""
    return read_policy(document, limit=DOCUMENT_LIMIT, trust=True)


def identity_of(reader: Reader, entity_id: str, session: Session | None = None) -> Identity:
    """All policies that speak for a user or role, and bound it."""
    found = reader.iam_policies(entity_id)
    known = (one for one in map(built_in.find, found.built_in) if one is not None)
    policies = _named([*found.documents, *((one.name, one.document) for one in known)])
    boundary = None
    if found.boundary:
        own = built_in.find(found.boundary)
        document = found.boundary_document if own is None else own.document
        boundary = {"permission boundary": _policy(document)}
    return Identity(policies, boundary, None if session is None else _bounds(reader, session))


def _named(documents: Iterable[tuple[str, bytes]]) -> dict[str, Policy]:
    """Compiled, by name. Two of one name, inline and managed or of two groups, both count."""
    policies: dict[str, Policy] = {}
    for name, document in documents:
        free = name if name not in policies else f"{name} ({len(policies) + 1})"
        policies[free] = _policy(document)
    return policies


def _bounds(reader: Reader, session: Session) -> dict[str, Policy] | None:
    """A session's policies. Those that are gone since allow nothing."""
    if not session.policies and not session.managed:
        return None
    bounds = {f"session policy {i}": _policy(one) for i, one in enumerate(session.policies, 1)}
    for policy_id in session.managed:
        document = managed_document(reader, policy_id)
        if document is not None:
            bounds[policy_id] = _policy(document)
    return bounds


def managed_document(reader: Reader, policy_id: str) -> bytes | None:
    """The document of a managed policy that counts; None for a policy that is gone."""
    known = built_in.find(policy_id)
    if known is not None:
        return known.document
    policy = reader.iam_entity_by_id(policy_id)
    if policy is None:
        return None
    versions = {one.name: one.document for one in reader.iam_documents(policy_id)}
    return versions[policy.facts.default]


def of_user(
    reader: Reader, user: User, store: Store, access_key: str, session: Session | None = None
) -> Principal:
    """The user of an access key, by that or by a session of it."""
    root_id = reader.iam_root(store.id) or store_owner_id(store.id)
    entity = reader.iam_entity_by_id(user.id) if user.kind == "iam" else None
    return Principal(
        user.id,
        user.label,
        user.locked or store.status != "active",
        kind=user.kind,
        store=store.name,
        path=path_of(user, entity),
        access_key=access_key,
        account=account_of(store.id),
        root=user.id == root_id,
        root_id=root_id,
        creates_buckets=user.create_buckets,
        known=_known(entity, session),
        identity=None if entity is None else identity_of(reader, user.id, session),
    )


def path_of(user: User, entity: IamEntity | None) -> str:
    """What a user's ARN says behind its account."""
    return f"user{entity.path if entity else '/'}{user.label}"


def of_role(
    reader: Reader, store: Store, role: IamEntity, session: Session, *, locked: bool
) -> Principal:
    """A session of a role; `locked`: whoever assumed it is."""
    return Principal(
        f"{role.id}:{session.name}",
        session.name,
        locked,
        kind="role",
        store=store.name,
        path=f"assumed-role/{role.name}/{session.name}",
        account=account_of(store.id),
        role_path=f"role{role.path}{role.name}",
        root_id=reader.iam_root(store.id) or store_owner_id(store.id),
        known=_known(role, session),
        identity=identity_of(reader, role.id, session),
    )


def of_person(reader: Reader, store: Store, session: Session) -> Principal:
    """A person at the console: what they make is the account's, and what the session's policies
    allow they may, unless somebody denies it."""
    policies = {f"console {at}": _policy(one) for at, one in enumerate(session.policies, 1)}
    return Principal(
        f"person:{session.name}",
        session.name,
        store.status != "active",
        kind="role",
        store=store.name,
        path=f"assumed-role/console/{session.name}",
        account=account_of(store.id),
        role_path="role/console",
        root_id=reader.iam_root(store.id) or store_owner_id(store.id),
        known=_known(None, session),
        identity=Identity(policies),
    )


def _known(entity: IamEntity | None, session: Session | None) -> Known:
    """Facts that only the catalog or a token says; tags of a session win over its role's."""
    tags = {} if entity is None else entity.facts.tags
    facts = {f"{_PRINCIPAL_TAG}{key}".lower(): value for key, value in tags.items()}
    if session is not None:
        issued = datetime.fromtimestamp(session.issued_ms / 1000, UTC)
        facts |= {"aws:tokenissuetime": issued.isoformat(), "aws:multifactorauthpresent": "false"}
        facts |= dict(session.known)
    return tuple(facts.items())
