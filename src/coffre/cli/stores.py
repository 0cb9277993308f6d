"""The commands about tenants and object stores."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import ADDRESSES, Size, columns, given

_STORE_COLUMNS: Final = (
    *("name", "tenant", "status", "dialect", "profile", "network"),
    *("buckets", "objects", "bytes", "created_ms"),
)
_RULES: Final = click.Choice(["private", "public", "custom"])
_SETTINGS: Final = (
    click.option("--label", metavar="L", help="What people call it."),
    click.option("--quota-bytes", "hard_bytes", type=Size(), help="Writes beyond are refused."),
    click.option("--quota-objects", "hard_objects", type=click.IntRange(0), help="The same."),
    click.option("--warn-bytes", type=Size(), help="From there on `coffre status` warns."),
    click.option("--warn-objects", type=click.IntRange(0), help="The same."),
    click.option("--rate", type=Size(), help="Bytes a second that are its own under load."),
    click.option("--cap-requests", type=click.IntRange(0), help="A second; 0: no cap."),
    click.option("--cap-connections", type=click.IntRange(0), help="At once; 0: no cap."),
    click.option("--cap-bandwidth", type=Size(), help="Bytes a second; 0: no cap."),
    click.option("--network", type=_RULES, help="Who is let in where a bucket has no own rule."),
    ADDRESSES,
    click.option(
        "--ownership",
        type=click.Choice(["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]),
        help="Of new buckets whose maker says nothing.",
    ),
    click.option(
        "--block-public/--no-block-public",
        default=None,
        help="New buckets have all four public access blocks, or none.",
    ),
    click.option(
        "--profile",
        type=click.Choice(["full", "spec"]),
        help="spec: what the published table lists as unsupported is refused.",
    ),
)


def _settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of what a store is set to, as one argument `settings`."""
    names = [one for option in _SETTINGS for one in _names(option)]

    @functools.wraps(command)
    def called(invocation: Invocation, **arguments: Any) -> None:
        settings = {name: arguments.pop(name) for name in names}
        command(invocation, settings=given(**settings), **arguments)

    wrapped: Callable[..., None] = called
    for option in reversed(_SETTINGS):
        wrapped = option(wrapped)
    return wrapped


def _names(option: Callable[..., Any]) -> list[str]:
    probe: Any = option(lambda: None)
    return [str(one.name) for one in probe.__click_params__]


@click.group()
def tenant() -> None:
    """Tenants: whose stores are whose."""


@tenant.command("create")
@click.argument("name")
@click.option("--bucket-limit", type=int, help="Buckets in all of its stores (999).")
@shared
def tenant_create(invocation: Invocation, name: str, bucket_limit: int | None) -> None:
    """Make a tenant; stores are made for it with `store create --tenant`."""
    made = invocation.call("tenant.create", name=name, bucket_limit=bucket_limit)
    invocation.answer(made, lambda: show.record(made))


@tenant.command("set")
@click.argument("name")
@click.option("--bucket-limit", type=int, required=True, help="Buckets in all of its stores.")
@shared
def tenant_set(invocation: Invocation, name: str, bucket_limit: int) -> None:
    """Change how many buckets a tenant may have."""
    changed = invocation.call("tenant.set", name=name, bucket_limit=bucket_limit)
    invocation.answer(changed, lambda: show.record(changed))


@tenant.command("list")
@shared
def tenant_list(invocation: Invocation) -> None:
    """Tenants with their stores and how many buckets they have."""
    tenants = invocation.call("tenant.list")
    invocation.answer(tenants, lambda: show.table(tenants, columns(tenants), "No tenant."))


@click.group()
def store() -> None:
    """Object stores."""


@store.command("create")
@click.argument("name")
@click.option("--tenant", metavar="NAME", help="Whose it is (default).")
@click.option(
    "--dialect",
    type=click.Choice(["aws", "ecs"]),
    default="aws",
    show_default=True,
    help="Whose S3 it speaks, for good: AWS's, or that of Dell ECS.",
)
@shared
@_settings
def store_create(
    invocation: Invocation, name: str, tenant: str | None, dialect: str, settings: dict[str, Any]
) -> None:
    """Make an object store and its initial S3 user; the secret is shown this once."""
    user = invocation.call("store.create", name=name, tenant=tenant, dialect=dialect, **settings)
    invocation.answer(user, lambda: f"Store {name} is made. Its initial user:\n{show.record(user)}")


@store.command("set")
@click.argument("name")
@click.option(
    "--retention-policy",
    "policies",
    multiple=True,
    metavar="NAME=SECONDS",
    help="A policy that x-emc-retention-policy may name; -1 is for ever, 0 takes it away.",
)
@shared
@_settings
def store_set(
    invocation: Invocation, name: str, policies: tuple[str, ...], settings: dict[str, Any]
) -> None:
    """Change a store. A quota of 0 is none."""
    kept = dict(_policy(text) for text in policies)
    changed = invocation.call("store.set", name=name, retention_policies=kept or None, **settings)
    invocation.answer(changed, lambda: show.record(changed))


def _policy(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"([A-Za-z0-9_-]+)=(-1|[0-9]{1,9})", text)
    if not found:
        raise Unusable(f"{text!r} is no retention policy: write NAME=SECONDS, or NAME=-1")
    return found.group(1), int(found.group(2))


@store.command("network")
@click.argument("name")
@click.argument("rule", type=_RULES)
@ADDRESSES
@shared
def store_network(invocation: Invocation, name: str, rule: str, addresses: tuple[str, ...]) -> None:
    """Say from where the store is reached, and its buckets that have no rule of their own."""
    changed = invocation.call("store.set", name=name, network=rule, **given(addresses=addresses))
    invocation.answer(changed, lambda: show.record(changed))


@store.command("lock")
@click.argument("name")
@shared
def store_lock(invocation: Invocation, name: str) -> None:
    """Refuse every request about a store until it is unlocked."""
    locked = invocation.call("store.lock", name=name)
    invocation.answer(locked, lambda: show.record(locked))


@store.command("unlock")
@click.argument("name")
@shared
def store_unlock(invocation: Invocation, name: str) -> None:
    """Undo lock."""
    unlocked = invocation.call("store.unlock", name=name)
    invocation.answer(unlocked, lambda: show.record(unlocked))


@store.command("delete")
@click.argument("name")
@shared
def store_delete(invocation: Invocation, name: str) -> None:
    """Delete a store that has no bucket, with its users and its data key."""
    gone = invocation.call("store.delete", name=name)
    invocation.answer(gone, lambda: f"Store {name} is deleted.")


@store.command("list")
@click.option("--all", "hidden", is_flag=True, help="With what the zone keeps for itself.")
@shared
def store_list(invocation: Invocation, hidden: bool) -> None:
    """All object stores."""
    stores = invocation.call("store.list", **({"hidden": True} if hidden else {}))
    invocation.answer(stores, lambda: show.table(stores, _STORE_COLUMNS, "No store."))


@store.command("show")
@click.argument("name")
@shared
def store_show(invocation: Invocation, name: str) -> None:
    """One object store."""
    found = [row for row in invocation.call("store.list") if row["name"] == name]
    if not found:
        raise Complaint(f"no store is named {name!r}: `coffre store list` shows those that exist")
    invocation.answer(found[0], lambda: show.record(found[0]))
