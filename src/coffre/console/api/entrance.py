"""Who may do what: decided here, once, for the API and the pages alike.

A store that somebody may not see is answered as one that is not there.
"""

from __future__ import annotations

from typing import Any, Final

from coffre.catalog.interface import Reader
from coffre.catalog.people_records import Person, ScopeRole
from coffre.catalog.records import Store
from coffre.console.api.problem import Problem
from coffre.console.api.route import Access, Arguments, Route
from coffre.console.signed import Signed

_SUFFICE: Final[dict[str, tuple[ScopeRole, ...]]] = {
    "reader": ("maintainer", "writer", "reader"),
    "writer": ("maintainer", "writer"),
    "maintainer": ("maintainer",),
}
_OF_TENANT: Final = {
    Access.SCOPED: ("owner", "reader", "scoped"),
    Access.TENANT_READER: ("owner", "reader"),
    Access.TENANT_OWNER: ("owner",),
}
_READER_OF_CHANGES: Final = "a reader changes nothing"


def sees_store(person: Person, store: Store) -> bool:
    """Whether the store is there, for this person."""
    if person.role == "operator":
        return True
    if person.tenant_id is None or person.tenant_id != store.tenant_id:
        return False
    return person.role != "scoped" or any(one.store_id == store.id for one in person.scopes)


def role_on(person: Person, reader: Reader, store: Store, bucket: str) -> ScopeRole | None:
    """A scoped person's role on a bucket."""
    found = reader.bucket(store.id, bucket)
    if found is None:
        return None
    return next((one.role for one in person.scopes if one.bucket_id == found.id), None)


def admit(reader: Reader, route: Route, signed: Signed, arguments: Arguments) -> Arguments:
    """The arguments to call with; those that a person's tenant decides are set. Raises Problem."""
    _check_token(route, signed)
    if route.sudo and signed.scopes is None and not signed.recent:
        raise Problem("PasswordRequired")
    person = signed.person
    if route.access is Access.OPERATOR and not signed.is_operator:
        # Of a region that one does not run, nothing is there.
        raise Problem("AccessDenied")
    store = _store(reader, route, person, arguments)
    if store is not None and route.key:
        _check_key(reader, route, store, arguments)
    if signed.is_operator or route.access in (Access.OPEN, Access.ANYONE):
        return arguments
    if person.role not in _OF_TENANT[route.access]:
        raise Problem("AccessDenied")
    if person.role == "reader" and _needs(route) != "reader":
        raise Problem("AccessDenied", _READER_OF_CHANGES)
    if person.role == "scoped":
        _check_bucket(reader, route, person, store, arguments)
    return _within_tenant(reader, route, person, store, arguments)


def visible(reader: Reader, route: Route, signed: Signed, rows: list[Any]) -> list[Any]:
    """The rows of a list that this person sees."""
    of = route.rows
    if of is None or signed.is_operator:
        return rows
    person = signed.person
    if of.store:
        seen = {one.name: one for one in reader.stores() if sees_store(person, one)}
        rows = [row for row in rows if row[of.store] in seen]
        if of.bucket and person.role == "scoped":
            rows = [
                row for row in rows if role_on(person, reader, seen[row[of.store]], row[of.bucket])
            ]
    if of.tenant:
        tenant = _tenant_name(reader, person)
        rows = [row for row in rows if tenant and row[of.tenant] == tenant]
    return rows


def _check_token(route: Route, signed: Signed) -> None:
    if signed.scopes is None or route.access is Access.OPEN:
        return
    if route.session_only:
        raise Problem("AccessDenied", "a token cannot do that: sign in")
    area = route.scope.removesuffix(":read")
    if route.scope and not {route.scope, f"{area}:write"} & signed.scopes:
        raise Problem("AccessDenied", f"the token lacks the scope {route.scope}")


def _store(reader: Reader, route: Route, person: Person, arguments: Arguments) -> Store | None:
    """The store that it is about, if it names one that is there for this person."""
    name = arguments.get(route.store) if route.store else None
    if not isinstance(name, str):
        return None
    store = reader.store_named(name)
    if store is None or not sees_store(person, store):
        raise Problem("NoSuchStore", f"there is no store {name!r}", route.store)
    return store


def _check_key(reader: Reader, route: Route, store: Store, arguments: Arguments) -> None:
    """An access key is only there in its own store."""
    key = arguments.get(route.key)
    identity = reader.identity(key) if isinstance(key, str) else None
    if identity is None or identity.store.id != store.id:
        raise Problem("NoSuchKey", f"there is no key {key!r}", route.key)


def _check_bucket(
    reader: Reader, route: Route, person: Person, store: Store | None, arguments: Arguments
) -> None:
    bucket = arguments.get(route.bucket)
    role = (
        role_on(person, reader, store, bucket)
        if store is not None and isinstance(bucket, str)
        else None
    )
    if role is None:
        raise Problem("NoSuchBucket", f"there is no bucket {bucket!r}", route.bucket)
    if route.scope.startswith("objects:"):
        return  # S3 decides, by a session that may what the role may.
    if role not in _SUFFICE[_needs(route)]:
        raise Problem("AccessDenied")


def _needs(route: Route) -> str:
    return route.needs or ("reader" if route.method == "GET" else "maintainer")


def _within_tenant(
    reader: Reader, route: Route, person: Person, store: Store | None, arguments: Arguments
) -> Arguments:
    """What names neither a store nor a tenant is about the person's own."""
    tenant = _tenant_name(reader, person)
    names = () if route.arguments is None else route.arguments.__struct_fields__
    if route.person and route.person in names:
        _check_person(reader, route, person, arguments)
    if route.tenant in names:
        asked = arguments.get(route.tenant)
        if tenant is None or (asked is not None and asked != tenant):
            raise Problem("NoSuchTenant", f"there is no tenant {asked!r}", route.tenant)
        if store is None:
            return {**arguments, route.tenant: tenant}
    if store is None and route.store in names:
        raise Problem("MissingField", "say which store", route.store)
    if store is None and not route.person:
        # It is about the region as a whole.
        raise Problem("AccessDenied")
    return arguments


def _check_person(reader: Reader, route: Route, person: Person, arguments: Arguments) -> None:
    """A tenant's owner sees to the people of that tenant, and makes no operators."""
    if arguments.get("role") == "operator":
        raise Problem("AccessDenied", "only an operator makes operators", "role")
    name = arguments.get(route.person)
    if not isinstance(name, str) or route.operation == "person.create":
        return
    other = reader.person(name)
    if other is None or other.tenant_id is None or other.tenant_id != person.tenant_id:
        raise Problem("NoSuchPerson", f"there is no person {name!r}", route.person)


def _tenant_name(reader: Reader, person: Person) -> str | None:
    tenant = None if person.tenant_id is None else reader.tenant(person.tenant_id)
    return None if tenant is None else tenant.name
