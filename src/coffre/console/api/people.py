"""The API's rows about people: an operator sees to all, a tenant's owner to those of the tenant."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from coffre.catalog.people_records import PersonRole, ScopeRole
from coffre.console.api.route import Access, Arguments, Route, Rows
from coffre.console.console import console_of
from coffre.console.signed import Signed

PersonName = Annotated[str, Meta(min_length=1, max_length=64)]


class Scope(Struct, frozen=True):
    """What a scoped person may do with one bucket."""

    store: str
    bucket: str
    role: ScopeRole


class Person(Struct, frozen=True):
    """Someone who signs in. `codes`: one-time codes are asked for; `issuer` and `subject`: who else
    vouches for the person."""

    name: str
    role: PersonRole
    tenant: str | None
    email: str
    status: Literal["active", "locked", "invited"]
    scopes: list[Scope]
    codes: bool
    recovery_codes: int
    issuer: str
    subject: str
    created_ms: int


class NewPerson(Struct, frozen=True, kw_only=True):
    """`first_password`: a password to begin with is made, in place of an invitation."""

    name: PersonName
    role: PersonRole = "reader"
    tenant: str | None = None
    email: str = ""
    scopes: list[Scope] = []
    issuer: str = ""
    subject: str = ""
    first_password: bool = False


class MadePerson(Person, frozen=True, kw_only=True, omit_defaults=True):
    """`invitation` lets the person choose a password at `/welcome?invitation=…`; it is shown this
    once, and so is `password`."""

    invitation: str | None = None
    invitation_expires_ms: int | None = None
    password: str | None = None


class PersonChange(Struct, frozen=True, kw_only=True):
    name: PersonName
    role: PersonRole | None = None
    tenant: str | None = None
    email: str | None = None
    scopes: list[Scope] | None = None
    issuer: str | None = None
    subject: str | None = None
    status: Literal["active", "locked"] | None = None


class OnePerson(Struct, frozen=True):
    name: PersonName


class Invited(Struct, frozen=True):
    """Shown this once."""

    name: str
    invitation: str
    invitation_expires_ms: int


class MadePassword(Struct, frozen=True):
    """Shown this once."""

    name: str
    password: str


class DeletedPerson(Struct, frozen=True):
    name: str
    deleted: bool


class TokensOf(Struct, frozen=True):
    person: PersonName


class TokenOf(Struct, frozen=True):
    """By id, or by name."""

    person: PersonName
    token: str


class TokenFacts(Struct, frozen=True):
    """`expires_ms` null: it does not end."""

    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None


class GoneToken(Struct, frozen=True):
    id: str
    name: str
    deleted: bool


class Acceptance(Struct, frozen=True):
    invitation: str
    password: str


class Accepted(Struct, frozen=True):
    """Who may sign in now."""

    name: str


async def _accept(request: Request, signed: Signed | None, arguments: Arguments) -> Response:
    console = console_of(request)
    given = msgspec.convert(arguments, Acceptance)
    where = console.doorman.where(request)
    name = await console.sign_in.accept(given.invitation, given.password, where)
    return Response(msgspec.json.encode(Accepted(name)), 200, None, "application/json")


ROUTES: Final = (
    Route(
        operation="person.accept",
        method="POST",
        path="/invitations/acceptance",
        access=Access.OPEN,
        arguments=Acceptance,
        answer=Accepted,
        handler=_accept,
        summary="Choose a password by an invitation.",
    ),
    Route(
        operation="person.list",
        method="GET",
        path="/people",
        access=Access.TENANT_OWNER,
        scope="people:read",
        answer=Person,
        rows=Rows(key=("name",), tenant="tenant"),
        person="name",
        summary="Who signs in.",
    ),
    Route(
        operation="person.create",
        method="POST",
        path="/people",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=NewPerson,
        answer=MadePerson,
        status=201,
        person="name",
        sudo=True,
        summary="Somebody new, and what lets them choose a password.",
    ),
    Route(
        operation="person.show",
        method="GET",
        path="/people/{name}",
        access=Access.TENANT_OWNER,
        scope="people:read",
        arguments=OnePerson,
        answer=Person,
        person="name",
        summary="One person.",
    ),
    Route(
        operation="person.set",
        method="PATCH",
        path="/people/{name}",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=PersonChange,
        answer=Person,
        person="name",
        edits="person.show",
        sudo=True,
        summary="Change a person: all but another address ends their sessions.",
    ),
    Route(
        operation="person.delete",
        method="DELETE",
        path="/people/{name}",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=OnePerson,
        answer=DeletedPerson,
        person="name",
        sudo=True,
        summary="A person goes, with all sessions and tokens.",
    ),
    Route(
        operation="person.invite",
        method="POST",
        path="/people/{name}/invitation",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=OnePerson,
        answer=Invited,
        person="name",
        sudo=True,
        summary="Let a person choose another password, once, within seven days.",
    ),
    Route(
        operation="person.password",
        method="POST",
        path="/people/{name}/password",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=OnePerson,
        answer=MadePassword,
        person="name",
        sudo=True,
        summary="Give a person a password that is made, and shown this once.",
    ),
    Route(
        operation="token.list",
        method="GET",
        path="/people/{person}/tokens",
        access=Access.OPERATOR,
        scope="people:read",
        arguments=TokensOf,
        answer=TokenFacts,
        rows=Rows(key=("id",)),
        summary="A person's API tokens.",
    ),
    Route(
        operation="token.delete",
        method="DELETE",
        path="/people/{person}/tokens/{token}",
        access=Access.OPERATOR,
        scope="people:write",
        arguments=TokenOf,
        answer=GoneToken,
        sudo=True,
        summary="A person's token is good for nothing any more.",
    ),
    Route(
        operation="person.codes.off",
        method="DELETE",
        path="/people/{name}/codes",
        access=Access.TENANT_OWNER,
        scope="people:write",
        arguments=OnePerson,
        answer=None,
        person="name",
        sudo=True,
        summary="A person lost what makes their codes: none are asked for any more.",
    ),
)
