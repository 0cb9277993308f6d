"""Where one can go from every page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote

from starlette.requests import Request

from coffre.console.i18n import N_, Language
from coffre.console.signed import Signed


class Entry(NamedTuple):
    """One link; `here`: the page is one of those behind it."""

    address: str
    drawing: str
    words: str
    here: bool


class Group(NamedTuple):
    """Links under one title (None: of the tenant's own)."""

    title: str | None
    entries: list[Entry]


_PLATFORM: Final = (
    ("/operator/zones", "zones", N_("Zones")),
    ("/operator/drives", "drive", N_("Drives")),
    ("/operator/stewards", "steward", N_("Background work")),
    ("/operator/stores", "store", N_("Stores and quotas")),
    ("/operator/people", "people", N_("People")),
    ("/operator/alerts", "bell", N_("Alerts")),
    ("/operator/keys", "key", N_("Keys")),
    ("/operator/doctor", "doctor", N_("Doctor")),
)


def groups(signed: Signed, store: str | None, request: Request, language: Language) -> list[Group]:
    """For this person; `store` is the one whose storage accounts the navigation leads to."""
    found = [Group(None, list(_tenant(signed, store, request.url.path, language)))]
    if signed.is_operator:
        path = request.url.path
        entries = [
            Entry(address, drawing, language(words), path.startswith(address))
            for address, drawing, words in _PLATFORM
        ]
        found.append(Group(language("Platform"), entries))
    return found


def _tenant(signed: Signed, store: str | None, path: str, language: Language) -> Iterator[Entry]:
    accounts = f"/stores/{quote(store, safe='')}/accounts" if store else ""
    in_bucket = path.startswith("/buckets") or "/buckets/" in path
    in_accounts = bool(accounts) and path.startswith(accounts)
    in_stores = path.startswith("/stores") and not in_bucket and not in_accounts
    yield Entry("/", "home", language("Home"), path == "/")
    yield Entry("/stores", "store", language("Object Stores"), in_stores)
    yield Entry("/buckets", "bucket", language("Object Storage"), in_bucket)
    if signed.person.role == "scoped":
        return
    if accounts:
        yield Entry(accounts, "key", language("Storage Accounts"), in_accounts)
    for address, drawing, words in (
        ("/usage", "chart", N_("Usage")),
        ("/bills", "bill", N_("Bills")),
        ("/audit", "audit", N_("Audit")),
    ):
        yield Entry(address, drawing, language(words), path.startswith(address))
    if signed.person.role == "owner":
        people = "/operator/people"
        yield Entry(people, "people", language("People"), path.startswith(people))
