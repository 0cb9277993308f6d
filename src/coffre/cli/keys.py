"""The commands about root keys: check, back up, restore, rotate, prune."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared

_PASSPHRASE_FILE = click.option(
    "--passphrase-file", metavar="F", help="The passphrase is its first line; else it is asked for."
)


@click.group()
def key() -> None:
    """Root keys: from one of them every other key is made, or by it wrapped."""


@key.command("check")
@shared
def key_check(invocation: Invocation) -> None:
    """Does root.key open everything, and what names which of its keys?"""
    found = invocation.call("key.check")
    invocation.answer(found, lambda: _checked(found))
    if not found["ok"]:
        raise click.exceptions.Exit(1)


@key.command("backup")
@click.argument("file")
@_PASSPHRASE_FILE
@shared
def key_backup(invocation: Invocation, file: str, passphrase_file: str | None) -> None:
    """Write all root keys to a new file, encrypted with a passphrase."""
    from coffre.service.key_files import back_up

    made = _done(invocation, back_up, file, _passphrase(passphrase_file, confirm=True))
    invocation.answer(
        made,
        lambda: (
            f"{made['file']} holds {len(made['keys'])} root key(s)."
            " Keep it, and the passphrase, apart from this machine and its drives."
        ),
    )


@key.command("restore")
@click.argument("file")
@_PASSPHRASE_FILE
@shared
def key_restore(invocation: Invocation, file: str, passphrase_file: str | None) -> None:
    """Make root.key from a backup, in a data folder that has none."""
    from coffre.service.key_files import restore

    made = _done(invocation, restore, file, _passphrase(passphrase_file, confirm=False))
    invocation.answer(
        made,
        lambda: (
            f"{made['root_key']} stands again; it opens {made['drives_opened']} drives"
            f" ({made['drives_of_other_keys']} were written with keys that it lacks{_later(made)})."
        ),
    )
    if made["drives_of_other_keys"]:
        raise click.exceptions.Exit(1)


@key.command("rotate")
@shared
def key_rotate(invocation: Invocation) -> None:
    """Add a new root key and wrap store keys and secrets anew; data is not touched."""
    made = invocation.call("key.rotate")
    invocation.answer(
        made,
        lambda: (
            f"The current root key is {made['current']};"
            f" {made['wrapped_anew']} keys and secrets are wrapped by it.\n"
            "No backup holds it yet: `coffre key backup FILE` now. Older keys stay in root.key"
            " until nothing names them: `coffre key prune`."
        ),
    )


@key.command("prune")
@shared
def key_prune(invocation: Invocation) -> None:
    """Take older root keys that nothing names any more out of root.key."""
    done = invocation.call("key.prune")
    invocation.answer(done, lambda: _pruned(done))
    if done["kept"]:
        raise click.exceptions.Exit(1)


def _later(made: dict[str, Any]) -> str:
    if not made["drives_of_other_keys"]:
        return ""
    return ": move it away, and restore a later backup"


def _checked(found: dict[str, Any]) -> str:
    rows = [
        {**one, "named_by": [f"{n} {what}" for what, n in one["named_by"].items()]}
        for one in found["keys"]
    ]
    lines = [show.table(rows, ("id", "current", "named_by", "backed_up"), "No root key.")]
    if found["unread"]:
        words = ", ".join(f"{n} {what}" for what, n in found["unread"].items())
        lines.append(f"Not to be read now, and so may name any: {words}.")
    lines += found["problems"] or ["Everything opens."]
    return "\n".join(lines)


def _pruned(done: dict[str, Any]) -> str:
    lines = [f"root key {one} is gone from root.key." for one in done["removed"]]
    for one in done["kept"]:
        words = ", ".join(f"{n} {what}" for what, n in one["named_by"].items())
        lines.append(f"root key {one['id']} stays: {words} name it, or may.")
    return "\n".join(lines) or "There is no older root key."


def _passphrase(file: str | None, *, confirm: bool) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise Unusable("no terminal to ask on for a passphrase: give it with --passphrase-file")
        answer: str = click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return answer
    try:
        return Path(file).read_text().split("\n", 1)[0]
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unusable(f"{file} is no text in UTF-8") from error


def _done(invocation: Invocation, work: Any, file: str, passphrase: str) -> dict[str, Any]:
    from coffre.service import StartRefused
    from coffre.service.zone import real_world

    try:
        made: dict[str, Any] = work(invocation.settings(), real_world(), Path(file), passphrase)
    except StartRefused as refused:
        raise Complaint(str(refused)) from refused
    return made
