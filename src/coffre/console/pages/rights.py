"""Which controls a page shows to whom. Nothing is decided here: an operation that is called all the
same is refused by the entrance."""

from __future__ import annotations

from starlette.requests import Request

from coffre.console.api.entrance import role_on
from coffre.console.console import console_of
from coffre.console.pages.shell import signed_of


def may_change(request: Request) -> bool:
    """Stores, storage accounts and buckets of one's tenant."""
    return signed_of(request).person.role in ("operator", "owner")


def may_run(request: Request) -> bool:
    """What only an operator does."""
    return signed_of(request).is_operator


def may_change_bucket(request: Request, store: str, bucket: str) -> bool:
    """The settings of one bucket: those who may change all, and its own maintainers."""
    if may_change(request):
        return True
    reader, person = console_of(request).parts.reader, signed_of(request).person
    found = reader.store_named(store)
    return found is not None and role_on(person, reader, found, bucket) == "maintainer"


def may_see_accounts(request: Request) -> bool:
    """All storage accounts of a store: who is bound to some buckets does not."""
    return signed_of(request).person.role != "scoped"
