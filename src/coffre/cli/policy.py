"""The commands about buckets' policies: put them, and learn what they mean."""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import click

from coffre.cli import show
from coffre.cli.complaint import Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import IN_STORE, columns, given

_USER: Final = click.option(
    "--user", default="*", show_default=True, metavar="U", help="Who asks; *: without a signature."
)
_ASKING: Final = (
    click.option("--key", metavar="K", help="The object that is asked for."),
    click.option("--source-ip", metavar="A", help="From where: then the network rule counts too."),
    click.option("--secure", is_flag=True, help="Over HTTPS."),
    click.option(
        "--context",
        multiple=True,
        metavar="KEY=VALUE",
        help="A fact that conditions ask for, as s3:prefix=public/.",
    ),
    IN_STORE,
)


def _asking(command: Any) -> Any:
    for option in reversed(_ASKING):
        command = option(command)
    return command


@click.group()
def policy() -> None:
    """Policies of buckets."""


@policy.command("show")
@click.argument("bucket")
@IN_STORE
@shared
def policy_show(invocation: Invocation, bucket: str, store: str | None) -> None:
    """The bucket's policy, and whether it is public."""
    found = invocation.call("policy.show", bucket=bucket, store=store)
    invocation.answer(found, lambda: found["policy"] or "No policy.")


@policy.command("set")
@click.argument("bucket")
@click.argument("file", type=click.File("rb"))
@IN_STORE
@shared
def policy_set(invocation: Invocation, bucket: str, file: BinaryIO, store: str | None) -> None:
    """Put the policy in FILE (-: standard input); says what it changed, as diff."""
    _changes(invocation, "policy.set", bucket=bucket, policy=_text(file), store=store)


@policy.command("remove")
@click.argument("bucket")
@IN_STORE
@shared
def policy_remove(invocation: Invocation, bucket: str, store: str | None) -> None:
    """Take the bucket's policy away."""
    _changes(invocation, "policy.remove", bucket=bucket, store=store)


@policy.command("diff")
@click.argument("bucket")
@click.argument("file", type=click.File("rb"))
@IN_STORE
@shared
def policy_diff(invocation: Invocation, bucket: str, file: BinaryIO, store: str | None) -> None:
    """What rights the policy in FILE would give and take; nothing is changed."""
    _changes(invocation, "policy.diff", bucket=bucket, policy=_text(file), store=store)


@policy.command("explain")
@click.argument("bucket")
@_USER
@click.option("--action", required=True, metavar="A", help="s3:GetObject and the like.")
@_asking
@shared
def policy_explain(invocation: Invocation, bucket: str, **asked: Any) -> None:
    """Whether somebody may do something, and what decides that."""
    found = invocation.call("policy.explain", bucket=bucket, **_told(asked))
    invocation.answer(found, lambda: show.record(found))


@policy.command("simulate")
@click.argument("bucket")
@_USER
@click.option("--action", "actions", multiple=True, metavar="A", help="All, where none is named.")
@_asking
@shared
def policy_simulate(invocation: Invocation, bucket: str, **asked: Any) -> None:
    """What somebody may do, action by action."""
    rows = invocation.call("policy.simulate", bucket=bucket, **_told(asked))
    invocation.answer(rows, lambda: show.table(rows, columns(rows), "No action."))


def _text(file: BinaryIO) -> str:
    """What a policy's file says."""
    from coffre.access.policy import POLICY_BYTES

    document = file.read(POLICY_BYTES + 1)
    if len(document) > POLICY_BYTES:
        raise Unusable(f"{file.name} is longer than a policy may be: {POLICY_BYTES} bytes")
    try:
        return document.decode()
    except UnicodeDecodeError as error:
        raise Unusable(f"{file.name} is no text in UTF-8") from error


def _told(asked: dict[str, Any]) -> dict[str, Any]:
    context = {}
    for text in asked.pop("context"):
        name, equals, value = text.partition("=")
        if not equals:
            raise Unusable(f"{text!r} is no fact: write KEY=VALUE")
        context[name] = value
    return given(**asked, context=context or None)


def _changes(invocation: Invocation, operation: str, **arguments: Any) -> None:
    found = invocation.call(operation, **arguments)
    invocation.answer(found, lambda: show.record(found))
