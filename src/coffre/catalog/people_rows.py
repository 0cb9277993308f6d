"""Rows of people and tokens as values, and back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from coffre.catalog.packing import pack, pack_optional
from coffre.catalog.people_records import ApiToken, Person, PersonScope, PersonSecrets

SELECT_PERSON: Final = (
    "SELECT id, name, role, password_hash, created_ms, email, tenant_id, status, scopes, secrets,"
    " epoch, revision FROM people"
)
PUT_PERSON: Final = (
    "INSERT OR REPLACE INTO people (id, name, role, password_hash, created_ms, email, tenant_id,"
    " status, scopes, secrets, epoch, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_TOKENS: Final = (
    "SELECT id, person_id, name, digest, scopes, created_ms, expires_ms FROM api_tokens"
)
INSERT_TOKENS: Final = (
    "INSERT INTO api_tokens (id, person_id, name, digest, scopes, created_ms, expires_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_scopes = msgspec.msgpack.Decoder(tuple[PersonScope, ...]).decode
unpack_person_secrets = msgspec.msgpack.Decoder(PersonSecrets).decode
_words = msgspec.msgpack.Decoder(tuple[str, ...]).decode


def person_of(row: tuple[Any, ...]) -> Person:
    """A row of `SELECT_PERSON`."""
    person_id, name, role, password_hash, created_ms, email, tenant_id, status, *rest = row
    scopes, secrets, epoch, revision = rest
    return Person(
        *(person_id, name, role, password_hash, created_ms, email, tenant_id, status),
        scopes=() if scopes is None else _scopes(scopes),
        secrets=PersonSecrets() if secrets is None else unpack_person_secrets(secrets),
        epoch=epoch,
        revision=revision,
    )


def row_of(person: Person) -> tuple[Any, ...]:
    """What `PUT_PERSON` takes."""
    return (
        *(person.id, person.name, person.role, person.password_hash, person.created_ms),
        *(person.email, person.tenant_id, person.status, pack_optional(person.scopes)),
        *(pack(person.secrets), person.epoch, person.revision),
    )


def token_of(row: tuple[Any, ...]) -> ApiToken:
    """A row of `SELECT_TOKENS`."""
    (token_id, person_id, name, digest, scopes, created_ms, expires_ms) = row
    return ApiToken(token_id, person_id, name, digest, _words(scopes), created_ms, expires_ms)
