"""The commands about buckets: who has a role on them, from where they are reached."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import ADDRESSES, IN_STORE, Size, columns, given


@click.group()
def bucket() -> None:
    """Buckets."""


@bucket.command("list")
@click.option("--store", metavar="NAME", help="Of this store alone.")
@shared
def bucket_list(invocation: Invocation, store: str | None) -> None:
    """Buckets with their owner, objects and bytes."""
    buckets = invocation.call("bucket.list", store=store)
    invocation.answer(buckets, lambda: show.table(buckets, columns(buckets), "No bucket."))


@bucket.command("show")
@click.argument("name")
@IN_STORE
@shared
def bucket_show(invocation: Invocation, name: str, store: str | None) -> None:
    """One bucket."""
    buckets = invocation.call("bucket.list", store=store)
    found = [row for row in buckets if row["name"] == name]
    if not found:
        raise Complaint(f"no bucket is named {name!r}: `coffre bucket list` shows those that exist")
    if len(found) > 1:
        stores = ", ".join(sorted(str(row.get("store")) for row in found))
        raise Complaint(f"{name!r} is in several stores: name one with --store ({stores})")
    invocation.answer(found[0], lambda: show.record(found[0]))


@bucket.command("create")
@click.argument("name")
@click.option("--store", required=True, metavar="NAME", help="The store that it belongs to.")
@click.option(
    "--network",
    type=click.Choice(["private", "public", "custom"]),
    default="private",
    show_default=True,
    help="From where it is reached.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["performance", "archiving"]),
    help="Archiving: objects of which nothing else is said are archived.  [default: performance]",
)
@click.option("--object-lock", is_flag=True, help="With Object Lock and versioning, for ever.")
@ADDRESSES
@shared
def bucket_create(
    invocation: Invocation,
    name: str,
    store: str,
    network: str,
    kind: str | None,
    object_lock: bool,
    addresses: tuple[str, ...],
) -> None:
    """Make a bucket of the store itself: users reach it by a role or a policy."""
    asked = given(type=kind, object_lock=object_lock or None, addresses=addresses)
    rule = {"network": network, **asked}
    _answer(invocation, "bucket.create", name=name, store=store, **rule)


@bucket.command("set")
@click.argument("name")
@click.option("--quota-bytes", "hard_bytes", type=Size(), help="Writes beyond are refused.")
@click.option("--quota-objects", "hard_objects", type=click.IntRange(0), help="The same.")
@click.option("--warn-bytes", type=Size(), help="From there on `coffre status` warns.")
@click.option("--warn-objects", type=click.IntRange(0), help="The same.")
@IN_STORE
@shared
def bucket_set(invocation: Invocation, name: str, store: str | None, **limits: int | None) -> None:
    """Change a bucket's quota. A quota of 0 is none."""
    _answer(invocation, "bucket.set", name=name, store=store, **limits)


@bucket.command("delete")
@click.argument("name")
@IN_STORE
@shared
def bucket_delete(invocation: Invocation, name: str, store: str | None) -> None:
    """Delete an empty bucket, whoever owns it."""
    _answer(invocation, "bucket.delete", name=name, store=store)


@bucket.command("empty")
@click.argument("name")
@click.option("--yes", "confirm", metavar="NAME", help="The bucket's name again; else asked for.")
@IN_STORE
@shared
def bucket_empty(invocation: Invocation, name: str, confirm: str | None, store: str | None) -> None:
    """Delete all that is in a bucket, then the bucket; it goes on by itself."""
    if confirm is None:
        confirm = click.prompt(
            "All versions of all objects go, and nothing brings them back. Type the bucket's name",
            err=True,
        )
    _answer(invocation, "bucket.empty", name=name, confirm=confirm, store=store)


@bucket.command("emptying")
@click.argument("name")
@IN_STORE
@shared
def bucket_emptying(invocation: Invocation, name: str, store: str | None) -> None:
    """How far the emptying of a bucket is."""
    _answer(invocation, "bucket.emptying", name=name, store=store)


@bucket.command("usage")
@click.argument("name")
@IN_STORE
@shared
def bucket_usage(invocation: Invocation, name: str, store: str | None) -> None:
    """Objects and bytes of a bucket by storage class."""
    rows = invocation.call("bucket.usage", name=name, store=store)
    invocation.answer(rows, lambda: show.table(rows, columns(rows), "Nothing."))


@bucket.command("network")
@click.argument("name")
@click.argument("rule", required=False, type=click.Choice(["private", "public", "custom", "store"]))
@ADDRESSES
@IN_STORE
@shared
def bucket_network(
    invocation: Invocation,
    name: str,
    rule: str | None,
    addresses: tuple[str, ...],
    store: str | None,
) -> None:
    """Show or say from where a bucket is reached; `store`: as its store says."""
    changes = given(network=rule, addresses=addresses)
    _answer(invocation, "bucket.network", name=name, store=store, **changes)


@bucket.group("role")
def bucket_role() -> None:
    """Who reads, writes or looks after a bucket."""


@bucket_role.command("grant")
@click.argument("bucket")
@click.argument("user")
@click.argument("role", type=click.Choice(["reader", "writer", "maintainer", "write-only"]))
@IN_STORE
@shared
def bucket_role_grant(
    invocation: Invocation, bucket: str, user: str, role: str, store: str | None
) -> None:
    """Give a user a role, in the place of the one that it had."""
    _answer(invocation, "bucket.role.grant", bucket=bucket, user=user, role=role, store=store)


@bucket_role.command("revoke")
@click.argument("bucket")
@click.argument("user")
@IN_STORE
@shared
def bucket_role_revoke(invocation: Invocation, bucket: str, user: str, store: str | None) -> None:
    """Take a user's role away."""
    _answer(invocation, "bucket.role.revoke", bucket=bucket, user=user, store=store)


@bucket_role.command("list")
@click.argument("bucket")
@IN_STORE
@shared
def bucket_role_list(invocation: Invocation, bucket: str, store: str | None) -> None:
    """Who has which role on a bucket."""
    roles = invocation.call("bucket.role.list", bucket=bucket, store=store)
    invocation.answer(roles, lambda: show.table(roles, columns(roles), "No role."))


def _answer(invocation: Invocation, operation: str, **arguments: Any) -> None:
    found = invocation.call(operation, **arguments)
    invocation.answer(found, lambda: show.record(found))
