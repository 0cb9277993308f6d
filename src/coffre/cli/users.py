"""The commands about users of stores and their access keys."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import GRACE, IN_STORE, columns


@click.group()
def user() -> None:
    """Users of a store and their keys. A USER is named by label, access key or id."""


@user.command("create")
@click.option("--store", required=True, metavar="NAME", help="The store that the user belongs to.")
@click.option("--label", required=True, metavar="L", help="DisplayName in S3 answers.")
@click.option("--kind", type=click.Choice(["object", "iam"]), default="object", help="Which kind.")
@click.option("--no-create-buckets", is_flag=True, help="It makes no buckets.")
@shared
def user_create(
    invocation: Invocation, store: str, label: str, kind: str, no_create_buckets: bool
) -> None:
    """Make a user with an access key; the secret is shown this once."""
    may = False if no_create_buckets else None
    made = invocation.call("user.create", store=store, label=label, kind=kind, create_buckets=may)
    invocation.answer(made, lambda: show.record(made))


@user.command("list")
@click.option("--store", metavar="NAME", help="Of this store alone.")
@shared
def user_list(invocation: Invocation, store: str | None) -> None:
    """Users, of one store or of all."""
    users: list[dict[str, Any]] = []
    with invocation.door() as door:
        names = [store] if store else [row["name"] for row in door.call("store.list", {})]
        for name in names:
            users += [{"store": name, **row} for row in door.call("user.list", {"store": name})]
    invocation.answer(users, lambda: show.table(users, columns(users), "No user."))


@user.command("show")
@click.argument("user")
@IN_STORE
@shared
def user_show(invocation: Invocation, user: str, store: str | None) -> None:
    """One user with its keys, and when each was last used (to the minute)."""
    _answer(invocation, "user.show", user=user, store=store)


@user.command("set")
@click.argument("user")
@IN_STORE
@click.option("--label", metavar="L", help="Another label.")
@click.option("--create-buckets/--no-create-buckets", default=None, help="May it make buckets?")
@shared
def user_set(
    invocation: Invocation,
    user: str,
    store: str | None,
    label: str | None,
    create_buckets: bool | None,
) -> None:
    """Change a user."""
    changes = {"label": label, "create_buckets": create_buckets}
    _answer(invocation, "user.set", user=user, store=store, **changes)


@user.command("lock")
@click.argument("user")
@IN_STORE
@shared
def user_lock(invocation: Invocation, user: str, store: str | None) -> None:
    """Refuse everything that a user asks for until it is unlocked."""
    _answer(invocation, "user.lock", user=user, store=store)


@user.command("unlock")
@click.argument("user")
@IN_STORE
@shared
def user_unlock(invocation: Invocation, user: str, store: str | None) -> None:
    """Undo lock."""
    _answer(invocation, "user.unlock", user=user, store=store)


@user.command("delete")
@click.argument("user")
@IN_STORE
@click.option("--give-to", metavar="USER", help="Who gets its buckets; @store: the store itself.")
@shared
def user_delete(invocation: Invocation, user: str, store: str | None, give_to: str | None) -> None:
    """Delete a user with its keys. One that owns buckets goes only with --give-to."""
    _answer(invocation, "user.delete", user=user, store=store, give_to=give_to)


@user.command("rotate")
@click.argument("access_key")
@GRACE
@click.option("--end-grace", is_flag=True, help="No new secret: let the old one end now.")
@shared
def user_rotate(invocation: Invocation, access_key: str, grace: int, end_grace: bool) -> None:
    """Give an access key a new secret; it is shown this once."""
    _answer(
        invocation,
        "user.rotate",
        access_key=access_key,
        grace_seconds=grace,
        end_grace=end_grace or None,
    )


@user.command("reset")
@click.argument("access_key")
@click.option("--new-key", is_flag=True, help="Another access key too, in the place of this one.")
@GRACE
@shared
def user_reset(invocation: Invocation, access_key: str, new_key: bool, grace: int) -> None:
    """Give a user other credentials in the place of an access key's; they are shown this once."""
    _answer(invocation, "user.reset", access_key=access_key, new_key=new_key, grace_seconds=grace)


@user.group("key")
def user_key() -> None:
    """Access keys of a user: two at most."""


@user_key.command("add")
@click.argument("user")
@IN_STORE
@shared
def user_key_add(invocation: Invocation, user: str, store: str | None) -> None:
    """Give a user one more access key; the secret is shown this once."""
    _answer(invocation, "user.key.add", user=user, store=store)


@user_key.command("deactivate")
@click.argument("access_key")
@shared
def user_key_deactivate(invocation: Invocation, access_key: str) -> None:
    """Let an access key verify nothing until it is active again."""
    _answer(invocation, "user.key.set", access_key=access_key, active=False)


@user_key.command("activate")
@click.argument("access_key")
@shared
def user_key_activate(invocation: Invocation, access_key: str) -> None:
    """Undo deactivate."""
    _answer(invocation, "user.key.set", access_key=access_key, active=True)


@user_key.command("delete")
@click.argument("access_key")
@shared
def user_key_delete(invocation: Invocation, access_key: str) -> None:
    """Delete an access key. Its id never comes again."""
    _answer(invocation, "user.key.delete", access_key=access_key)


def _answer(invocation: Invocation, operation: str, **arguments: Any) -> None:
    found = invocation.call(operation, **arguments)
    invocation.answer(found, lambda: show.record(found))
