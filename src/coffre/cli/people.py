"""The commands about people who sign in to the console, and their API tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from coffre.cli import show
from coffre.cli.complaint import Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import columns, given

Command = Callable[..., None]
_ROLE = click.Choice(["operator", "owner", "reader", "scoped"])


@click.group()
def person() -> None:
    """People who sign in to the console."""


def _of_person(create: bool) -> Callable[[Command], Command]:
    """The options that `create` and `set` share."""
    options = (
        click.option("--role", type=_ROLE, default="reader" if create else None, help="Which."),
        click.option("--tenant", metavar="NAME", help="Whose stores they see; not an operator's."),
        click.option("--email", metavar="ADDRESS", help="Where they are written to."),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            metavar="STORE/BUCKET=ROLE",
            help="What a scoped person sees: maintainer, writer or reader of a bucket.",
        ),
        click.option("--issuer", metavar="URL", help="The OpenID Connect issuer that vouches."),
        click.option("--subject", metavar="ID", help="Who they are there."),
    )

    def decorated(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorated


def _read_scopes(scopes: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    found: list[dict[str, str]] = []
    for one in scopes:
        place, equals, role = one.rpartition("=")
        store, slash, bucket = place.partition("/")
        if not (equals and slash and store and bucket):
            raise Unusable(f"{one!r} is no scope: write STORE/BUCKET=ROLE")
        found.append({"store": store, "bucket": bucket, "role": role})
    return tuple(found)


@person.command("list")
@shared
def person_list(invocation: Invocation) -> None:
    """Everybody who signs in."""
    people = invocation.call("person.list")
    shown = ["name", "role", "tenant", "status", "codes", "email"]
    invocation.answer(people, lambda: show.table(people, shown, "Nobody."))


@person.command("show")
@click.argument("name")
@shared
def person_show(invocation: Invocation, name: str) -> None:
    """One person."""
    _answer(invocation, "person.show", name=name)


@person.command("create")
@click.argument("name")
@_of_person(create=True)
@click.option("--first-password", is_flag=True, help="Make a password, in place of an invitation.")
@shared
def person_create(
    invocation: Invocation, name: str, scopes: tuple[str, ...], first_password: bool, **own: Any
) -> None:
    """A new person, who is invited to choose a password: the invitation is shown this once."""
    asked = given(**own, scopes=_read_scopes(scopes))
    made = invocation.call("person.create", name=name, first_password=first_password, **asked)
    invocation.answer(made, lambda: show.record(made))


@person.command("set")
@click.argument("name")
@_of_person(create=False)
@shared
def person_set(invocation: Invocation, name: str, scopes: tuple[str, ...], **own: Any) -> None:
    """Change a person. All but another address ends their sessions."""
    _answer(invocation, "person.set", name=name, **given(**own, scopes=_read_scopes(scopes)))


@person.command("lock")
@click.argument("name")
@shared
def person_lock(invocation: Invocation, name: str) -> None:
    """Let a person sign in no more, until they are unlocked."""
    _answer(invocation, "person.set", name=name, status="locked")


@person.command("unlock")
@click.argument("name")
@shared
def person_unlock(invocation: Invocation, name: str) -> None:
    """Undo `lock`."""
    _answer(invocation, "person.set", name=name, status="active")


@person.command("invite")
@click.argument("name")
@shared
def person_invite(invocation: Invocation, name: str) -> None:
    """Let a person choose another password, once, within seven days."""
    _answer(invocation, "person.invite", name=name)


@person.command("password")
@click.argument("name")
@shared
def person_password(invocation: Invocation, name: str) -> None:
    """Give a person another password, shown this once: for one that was lost."""
    _answer(invocation, "person.password", name=name)


@person.command("codes-off")
@click.argument("name")
@shared
def person_codes_off(invocation: Invocation, name: str) -> None:
    """Ask a person for no one-time codes any more: for a program that was lost."""
    invocation.call("person.codes.off", name=name)
    done = {"name": name, "codes": False}
    invocation.answer(done, lambda: show.record(done))


@person.command("delete")
@click.argument("name")
@shared
def person_delete(invocation: Invocation, name: str) -> None:
    """A person goes, with all sessions and tokens."""
    _answer(invocation, "person.delete", name=name)


@click.group()
def token() -> None:
    """Personal API tokens: what programs come with."""


@token.command("create")
@click.option("--person", required=True, metavar="NAME", help="In whose name it asks.")
@click.option("--name", required=True, metavar="NAME", help="What it is called.")
@click.option(
    "--scope", "scopes", required=True, multiple=True, metavar="AREA:read|write", help="What for."
)
@click.option("--days", type=int, default=90, show_default=True, help="0: without end.")
@shared
def token_create(
    invocation: Invocation, person: str, name: str, scopes: tuple[str, ...], days: int
) -> None:
    """A new token, the only output: it is shown this once. Made on the node's own machine, or in
    the console by the person."""
    made = invocation.call("token.create", person=person, name=name, scopes=list(scopes), days=days)
    invocation.answer(made, lambda: str(made["token"]))


@token.command("list")
@click.option("--person", required=True, metavar="NAME", help="Whose.")
@shared
def token_list(invocation: Invocation, person: str) -> None:
    """A person's tokens."""
    tokens = invocation.call("token.list", person=person)
    invocation.answer(tokens, lambda: show.table(tokens, columns(tokens), "No token."))


@token.command("delete")
@click.argument("token")
@click.option("--person", required=True, metavar="NAME", help="Whose.")
@shared
def token_delete(invocation: Invocation, token: str, person: str) -> None:
    """A token, named by id or by name, is good for nothing any more."""
    _answer(invocation, "token.delete", person=person, token=token)


def _answer(invocation: Invocation, operation: str, **arguments: Any) -> None:
    answer = invocation.call(operation, **arguments)
    invocation.answer(answer, lambda: show.record(answer))
