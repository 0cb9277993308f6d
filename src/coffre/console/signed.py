"""Who asks, once that is known: a person by a session or by a token."""

from __future__ import annotations

from msgspec import Struct

from coffre.access.caller import Caller, Via
from coffre.catalog.people_records import Person


class Where(Struct, frozen=True):
    """Where a request came from, and the id that its answer names."""

    client: str
    user_agent: str
    request_id: str


class Signed(Struct, frozen=True):
    """`scopes`: what a token may be used for (None: a session, which may whatever the person may).
    `session` is the session's public id ("": a token); `recent`: the password was given lately.
    `csrf` goes into every form and into the header of every change."""

    person: Person
    via: Via
    where: Where
    scopes: frozenset[str] | None = None
    session: str = ""
    recent: bool = False
    csrf: str = ""

    @property
    def who(self) -> str:
        """As the audit names them."""
        return f"person:{self.person.name}"

    @property
    def is_operator(self) -> bool:
        return self.person.role == "operator"

    def caller(self) -> Caller:
        """For whoever does what is asked."""
        where = self.where
        return Caller(self.who, self.via, where.client, where.user_agent, where.request_id)
