"""Mutations of people and their API tokens.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.catalog.people_records import ApiToken, Person


class CreatePerson(Struct, frozen=True, tag=True):
    """Someone who signs in with a password. Refused: PersonAlreadyExists."""

    id: bytes
    name: str
    role: Literal["operator"]
    password_hash: str


class PutPerson(Struct, frozen=True, tag=True):
    """A new person (`was` None), or one as changed from the revision `was`; `revision` and
    `created_ms` are set here. Refused: PersonAlreadyExists, NoSuchPerson, ConcurrentModification,
    NoSuchTenant, LastOperator (nobody could run the region any more)."""

    person: Person
    was: int | None = None


class DeletePerson(Struct, frozen=True, tag=True):
    """A person goes with all tokens. Refused: NoSuchPerson, LastOperator."""

    person_id: bytes


class PutToken(Struct, frozen=True, tag=True):
    """A new token. Refused: NoSuchPerson, TooManyTokens, TokenAlreadyExists (its name)."""

    token: ApiToken


class DeleteToken(Struct, frozen=True, tag=True):
    """Refused: NoSuchToken."""

    token_id: bytes


PeopleMutation = CreatePerson | PutPerson | DeletePerson | PutToken | DeleteToken
