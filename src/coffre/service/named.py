"""What an operator names, found; and what he gives, checked. All raise Invalid with the field."""

from __future__ import annotations

from collections.abc import Sequence

from coffre.access.networks import BadNetwork, NetworkRule, read_networks, write_rule
from coffre.catalog.interface import Reader
from coffre.catalog.records import Bucket, Store, Tenant, User
from coffre.service.invalid import Invalid

LABEL_LIMIT = 128
NETWORK_KINDS = ("private", "public", "custom")
PUBLIC_NETWORK = "every address is let in: rights alone decide who reads and writes"


def tenant_named(reader: Reader, name: str) -> Tenant:
    tenant = reader.tenant_named(name)
    if tenant is None:
        raise Invalid(
            "NoSuchTenant",
            f"there is no tenant {name!r}: `coffre tenant list` shows them",
            "tenant",
        )
    return tenant


def store_named(reader: Reader, name: str) -> Store:
    store = reader.store_named(name)
    if store is None:
        raise Invalid(
            "NoSuchStore", f"there is no store {name!r}: `coffre store list` shows them", "store"
        )
    return store


def bucket_named(reader: Reader, name: str, store: str | None) -> Bucket:
    """A bucket with exact counters; `store` says where, unless only one store has a bucket of that
    name."""
    if store is None:
        only = reader.only_bucket_named(name)
        if only is not None:
            return only
        if any(reader.bucket(one.id, name) is not None for one in reader.stores()):
            raise Invalid(
                "AmbiguousBucket",
                f"several stores have a bucket {name!r}: name one with --store",
                "bucket",
            )
        raise Invalid(
            "NoSuchBucket",
            f"there is no bucket {name!r}: `coffre bucket list` shows them",
            "bucket",
        )
    found = reader.bucket(store_named(reader, store).id, name)
    if found is None:
        raise Invalid("NoSuchBucket", f"there is no bucket {name!r} in {store!r}", "bucket")
    # What a reader remembers of a bucket by its name may have older counters.
    return reader.bucket_by_id(found.id) or found


def user_named(reader: Reader, name: str, store: str | None) -> User:
    """A user by id, by access key, or by label; a label may be in several stores."""
    identity = reader.identity(name)
    user = reader.user(name) if identity is None else identity.user
    stores = reader.stores() if store is None else [store_named(reader, store)]
    if user is not None:
        found = [user] if any(one.id == user.store_id for one in stores) else []
    else:
        found = [one for each in stores for one in reader.users(each.id) if one.label == name]
    if len(found) > 1:
        raise Invalid(
            "AmbiguousUser",
            f"several users are called {name!r}: say which by --store or by access key",
            "user",
        )
    if not found:
        where = "" if store is None else f" in {store!r}"
        raise Invalid(
            "NoSuchUser", f"there is no user {name!r}{where}: `coffre user list` shows them", "user"
        )
    return found[0]


def check_label(label: str) -> None:
    if not label or len(label) > LABEL_LIMIT or not label.isprintable():
        raise Invalid(
            "InvalidLabel", f"a label is 1 to {LABEL_LIMIT} printable characters", "label"
        )


def check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise Invalid("InvalidArgument", f"{field} is one of {', '.join(choices)}", field)


def check_whole(field: str, value: int, least: int, most: int, unit: str) -> None:
    """A whole number within bounds."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise Invalid("InvalidArgument", f"{field} is {least} to {most} {unit}", field)


def network_rule(kind: str, addresses: Sequence[str]) -> bytes:
    """A network rule as it is kept."""
    check_choice("network", kind, NETWORK_KINDS)
    try:
        networks = read_networks(addresses)
    except BadNetwork as error:
        raise Invalid("InvalidNetwork", str(error), "addresses") from error
    if kind == "custom" and not networks:
        raise Invalid("InvalidNetwork", "a custom rule names its addresses", "addresses")
    if kind != "custom" and networks:
        raise Invalid("InvalidNetwork", f"{kind} takes no addresses: say custom", "addresses")
    return write_rule(NetworkRule(kind, networks))  # type: ignore[arg-type]
