"""Reads of people and their tokens (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw

from coffre.catalog.people_records import ApiToken, Person
from coffre.catalog.people_rows import SELECT_PERSON, SELECT_TOKENS, person_of, token_of

_BY_NAME = SELECT_PERSON + " WHERE name = ?"
_BY_ID = SELECT_PERSON + " WHERE id = ?"
_ALL = SELECT_PERSON + " ORDER BY name"
_TOKENS = SELECT_TOKENS + " WHERE person_id = ? ORDER BY created_ms, id"
_TOKEN = SELECT_TOKENS + " WHERE digest = ?"


class PeopleReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def person(self, name: str) -> Person | None:
        row = self._db.execute(_BY_NAME, (name,)).get
        return row and person_of(row)

    def person_by_id(self, person_id: bytes) -> Person | None:
        row = self._db.execute(_BY_ID, (person_id,)).get
        return row and person_of(row)

    def people(self) -> list[Person]:
        rows: list[Any] = self._db.execute(_ALL).fetchall()
        return [person_of(row) for row in rows]

    def api_tokens(self, person_id: bytes) -> list[ApiToken]:
        rows: list[Any] = self._db.execute(_TOKENS, (person_id,)).fetchall()
        return [token_of(row) for row in rows]

    def api_token(self, digest: bytes) -> ApiToken | None:
        row = self._db.execute(_TOKEN, (digest,)).get
        return row and token_of(row)
