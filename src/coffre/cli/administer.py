"""The commands that ask and change a node: they speak the operations of the management API."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[int]):
    """`90s`, `15m`, `1h`, `7d`: whole seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if not found:
            self.fail(f"{value!r} is no duration: write 90s, 15m, 1h or 7d", param, ctx)
        return int(found.group(1)) * _SECONDS[found.group(2)]


@click.command()
@shared
def status(invocation: Invocation) -> None:
    """How the node, its drives and its data are."""
    facts = invocation.call("status")
    invocation.answer(facts, lambda: show.record(facts))


@click.group()
def store() -> None:
    """Object stores."""


@store.command("create")
@click.argument("name")
@click.option(
    "--dialect",
    type=click.Choice(["aws", "ecs"]),
    default="aws",
    show_default=True,
    help="Whose S3 it speaks, for good: AWS's, or that of Dell ECS.",
)
@click.option(
    "--profile",
    type=click.Choice(["full", "spec"]),
    default="full",
    show_default=True,
    help="spec: what the published table lists as unsupported is refused.",
)
@shared
def store_create(invocation: Invocation, name: str, dialect: str, profile: str) -> None:
    """Make an object store and its initial S3 user; the secret is shown this once."""
    user = invocation.call("store.create", name=name, dialect=dialect, profile=profile)
    invocation.answer(user, lambda: f"Store {name} is made. Its initial user:\n{show.record(user)}")


@store.command("set")
@click.argument("name")
@click.option("--profile", type=click.Choice(["full", "spec"]), help="As in store create.")
@click.option(
    "--retention-policy",
    "policies",
    multiple=True,
    metavar="NAME=SECONDS",
    help="A policy that x-emc-retention-policy may name; -1 is for ever, 0 takes it away.",
)
@shared
def store_set(
    invocation: Invocation, name: str, profile: str | None, policies: tuple[str, ...]
) -> None:
    """Change a store's profile or its retention policies."""
    given = dict(_policy(text) for text in policies)
    changed = invocation.call(
        "store.set", name=name, profile=profile, retention_policies=given or None
    )
    invocation.answer(changed, lambda: show.record(changed))


def _policy(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"([A-Za-z0-9_-]+)=(-1|[0-9]{1,9})", text)
    if not found:
        raise Unusable(f"{text!r} is no retention policy: write NAME=SECONDS, or NAME=-1")
    return found.group(1), int(found.group(2))


@store.command("list")
@shared
def store_list(invocation: Invocation) -> None:
    """All object stores."""
    stores = invocation.call("store.list")
    invocation.answer(stores, lambda: show.table(stores, _columns(stores), "No store."))


@store.command("show")
@click.argument("name")
@shared
def store_show(invocation: Invocation, name: str) -> None:
    """One object store."""
    found = [row for row in invocation.call("store.list") if row["name"] == name]
    if not found:
        raise Complaint(f"no store is named {name!r}: `coffre store list` shows those that exist")
    invocation.answer(found[0], lambda: show.record(found[0]))


@click.group()
def user() -> None:
    """Users of a store and their keys."""


@user.command("create")
@click.option("--store", required=True, metavar="NAME", help="The store that the user belongs to.")
@click.option("--label", required=True, metavar="L", help="DisplayName in S3 answers.")
@click.option("--kind", type=click.Choice(["object", "iam"]), default="object", help="Which kind.")
@shared
def user_create(invocation: Invocation, store: str, label: str, kind: str) -> None:
    """Make a user with an access key; the secret is shown this once."""
    made = invocation.call("user.create", store=store, label=label, kind=kind)
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
    invocation.answer(users, lambda: show.table(users, _columns(users), "No user."))


@user.command("rotate")
@click.argument("access_key")
@click.option(
    "--grace",
    type=Duration(),
    default="0s",
    show_default=True,
    help="How long the old secret still verifies: 90s, 15m, 1h, 7d.",
)
@shared
def user_rotate(invocation: Invocation, access_key: str, grace: int) -> None:
    """Give an access key a new secret; it is shown this once."""
    made = invocation.call("user.rotate", access_key=access_key, grace_seconds=grace)
    invocation.answer(made, lambda: show.record(made))


@click.group()
def bucket() -> None:
    """Buckets."""


@bucket.command("list")
@click.option("--store", metavar="NAME", help="Of this store alone.")
@shared
def bucket_list(invocation: Invocation, store: str | None) -> None:
    """Buckets with their owner, objects and bytes."""
    buckets = invocation.call("bucket.list", store=store)
    invocation.answer(buckets, lambda: show.table(buckets, _columns(buckets), "No bucket."))


@bucket.command("show")
@click.argument("name")
@click.option("--store", metavar="NAME", help="The store it is in, where several have the name.")
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


@click.command()
@click.option("--now", is_flag=True, help="Seal every open chunk, the log's too, then return.")
@shared
def seal(invocation: Invocation, now: bool) -> None:
    """Code what is still mirrored: from then on any 4 drives may go."""
    if not now:
        raise Unusable("open chunks seal by themselves; to do it now say `seal --now`")
    sealed = invocation.call("seal.now")
    invocation.answer(sealed, lambda: f"Every open chunk is sealed.\n{show.record(sealed or {})}")


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """The columns of a table: what the first row holds, in its order."""
    return list(rows[0]) if rows else []
