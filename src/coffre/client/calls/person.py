"""Calls of the management API: person. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.people import (
    Accepted,
    DeletedPerson,
    Invited,
    MadePassword,
    MadePerson,
    Person,
    Scope,
)


class PersonCalls:
    """Operations `person.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def accept(self, *, invitation: str, password: str) -> Accepted:
        """Choose a password by an invitation."""
        return self._transport.value(
            "POST",
            located("invitations", "acceptance"),
            Accepted,
            {"invitation": invitation, "password": password},
        )

    def list(
        self,
    ) -> Iterator[Person]:
        """Who signs in."""
        return self._transport.rows("GET", located("people"), Person)

    def create(
        self,
        *,
        name: str,
        role: Literal["operator", "owner", "reader", "scoped"] | UnsetType = UNSET,
        tenant: str | UnsetType | None = UNSET,
        email: str | UnsetType = UNSET,
        scopes: Sequence[Scope] | UnsetType = UNSET,
        issuer: str | UnsetType = UNSET,
        subject: str | UnsetType = UNSET,
        first_password: bool | UnsetType = UNSET,
    ) -> MadePerson:
        """Somebody new, and what lets them choose a password."""
        return self._transport.value(
            "POST",
            located("people"),
            MadePerson,
            {
                "name": name,
                "role": role,
                "tenant": tenant,
                "email": email,
                "scopes": scopes,
                "issuer": issuer,
                "subject": subject,
                "first_password": first_password,
            },
        )

    def show(self, *, name: str) -> Person:
        """One person."""
        return self._transport.value("GET", located("people", name), Person)

    def set(
        self,
        *,
        name: str,
        role: Literal["operator", "owner", "reader", "scoped"] | UnsetType | None = UNSET,
        tenant: str | UnsetType | None = UNSET,
        email: str | UnsetType | None = UNSET,
        scopes: Sequence[Scope] | UnsetType | None = UNSET,
        issuer: str | UnsetType | None = UNSET,
        subject: str | UnsetType | None = UNSET,
        status: Literal["active", "locked"] | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Person:
        """Change a person: all but another address ends their sessions."""
        return self._transport.value(
            "PATCH",
            located("people", name),
            Person,
            {
                "role": role,
                "tenant": tenant,
                "email": email,
                "scopes": scopes,
                "issuer": issuer,
                "subject": subject,
                "status": status,
            },
            if_match=if_match,
        )

    def delete(self, *, name: str) -> DeletedPerson:
        """A person goes, with all sessions and tokens."""
        return self._transport.value("DELETE", located("people", name), DeletedPerson)

    def invite(self, *, name: str) -> Invited:
        """Let a person choose another password, once, within seven days."""
        return self._transport.value("POST", located("people", name, "invitation"), Invited)

    def password(self, *, name: str) -> MadePassword:
        """Give a person a password that is made, and shown this once."""
        return self._transport.value("POST", located("people", name, "password"), MadePassword)

    def codes_off(self, *, name: str) -> None:
        """A person lost what makes their codes: none are asked for any more."""
        self._transport.nothing("DELETE", located("people", name, "codes"))
