"""People and their tokens: made, changed, deleted."""

from __future__ import annotations

from typing import Final

import apsw
from msgspec.structs import replace

from coffre.catalog.access_mutations import Rewrapped
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.packing import pack
from coffre.catalog.people_mutations import (
    CreatePerson,
    DeletePerson,
    DeleteToken,
    PutPerson,
    PutToken,
)
from coffre.catalog.people_records import Person, PersonSecrets, SealedCode
from coffre.catalog.people_rows import INSERT_TOKENS, PUT_PERSON, row_of, unpack_person_secrets
from coffre.catalog.stamp import Stamp

MOST_TOKENS: Final = 50
_TENANT: Final = "SELECT 1 FROM tenants WHERE id = ?"
_OTHER_OPERATORS: Final = (
    "SELECT 1 FROM people WHERE role = 'operator' AND status = 'active' AND id <> ?"
)


def create_person(db: apsw.Connection, mutation: CreatePerson, stamp: Stamp) -> Done:
    person = Person(mutation.id, mutation.name, mutation.role, mutation.password_hash, stamp.now_ms)
    return put_person(db, PutPerson(person), stamp)


def put_person(db: apsw.Connection, mutation: PutPerson, stamp: Stamp) -> Done:
    person, was = mutation.person, mutation.was
    named = db.execute("SELECT id FROM people WHERE name = ?", (person.name,)).get
    if named is not None and (was is None or named != person.id):
        raise Refusal("PersonAlreadyExists")
    tenant = person.tenant_id
    if tenant is not None and db.execute(_TENANT, (tenant,)).get is None:
        raise Refusal("NoSuchTenant")
    created_ms = stamp.now_ms
    if was is not None:
        row = db.execute(
            "SELECT revision, created_ms FROM people WHERE id = ?", (person.id,)
        ).fetchone()
        if row is None:
            raise Refusal("NoSuchPerson")
        if row[0] != was:
            raise Refusal("ConcurrentModification", "The person was changed meanwhile; try again.")
        created_ms = row[1]
        if person.role != "operator" or person.status != "active":
            _keep_an_operator(db, person.id)
    kept = replace(person, created_ms=created_ms, revision=0 if was is None else was + 1)
    db.execute(PUT_PERSON, row_of(kept))
    return Done()


def delete_person(db: apsw.Connection, mutation: DeletePerson, stamp: Stamp) -> Done:
    if db.execute("SELECT 1 FROM people WHERE id = ?", (mutation.person_id,)).get is None:
        raise Refusal("NoSuchPerson")
    _keep_an_operator(db, mutation.person_id)
    db.execute("DELETE FROM api_tokens WHERE person_id = ?", (mutation.person_id,))
    db.execute("DELETE FROM people WHERE id = ?", (mutation.person_id,))
    return Done()


def put_token(db: apsw.Connection, mutation: PutToken, stamp: Stamp) -> Done:
    token = mutation.token
    if db.execute("SELECT 1 FROM people WHERE id = ?", (token.person_id,)).get is None:
        raise Refusal("NoSuchPerson")
    names = [
        name
        for (name,) in db.execute(
            "SELECT name FROM api_tokens WHERE person_id = ?", (token.person_id,)
        )
    ]
    if len(names) >= MOST_TOKENS:
        raise Refusal("TooManyTokens", f"A person has at most {MOST_TOKENS} tokens: delete one.")
    if token.name in names:
        raise Refusal("TokenAlreadyExists", "A token of this name exists already.")
    db.execute(
        INSERT_TOKENS,
        (
            *(token.id, token.person_id, token.name, token.digest, pack(token.scopes)),
            *(stamp.now_ms, token.expires_ms),
        ),
    )
    return Done()


def delete_token(db: apsw.Connection, mutation: DeleteToken, stamp: Stamp) -> Done:
    if db.execute("SELECT 1 FROM api_tokens WHERE id = ?", (mutation.token_id,)).get is None:
        raise Refusal("NoSuchToken")
    db.execute("DELETE FROM api_tokens WHERE id = ?", (mutation.token_id,))
    return Done()


def rewrap_codes(db: apsw.Connection, anew: Rewrapped, root_key_id: bytes) -> None:
    """What makes a person's codes, wrapped by another root key. It changes nothing for anybody."""
    packed = db.execute("SELECT secrets FROM people WHERE id = ?", (anew.name,)).get
    secrets = PersonSecrets() if packed is None else unpack_person_secrets(packed)
    if secrets.codes is not None and secrets.codes.wrapped == anew.old:
        kept = replace(secrets, codes=SealedCode(anew.new, root_key_id))
        db.execute("UPDATE people SET secrets = ? WHERE id = ?", (pack(kept), anew.name))


def _keep_an_operator(db: apsw.Connection, but: bytes) -> None:
    """Raises LastOperator where `but` is the last one who can sign in."""
    row = db.execute("SELECT role, status FROM people WHERE id = ?", (but,)).fetchone()
    if row == ("operator", "active") and db.execute(_OTHER_OPERATORS, (but,)).get is None:
        raise Refusal("LastOperator", "Nobody else runs the region: make another operator first.")
