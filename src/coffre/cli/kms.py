"""The commands about keys of a store's key service, which objects ask for by name."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared

_STORE = click.option("--store", required=True, metavar="NAME", help="The store of the key.")


@click.group()
def kms() -> None:
    """The key service of a store (SSE-KMS)."""


@kms.group("key")
def kms_key() -> None:
    """Its keys."""


@kms_key.command("create")
@click.argument("alias")
@_STORE
@shared
def kms_key_create(invocation: Invocation, alias: str, store: str) -> None:
    """Make a key that requests call alias/ALIAS."""
    _answer(invocation, "kms.create", store=store, alias=alias)


@kms_key.command("list")
@_STORE
@shared
def kms_key_list(invocation: Invocation, store: str) -> None:
    """A store's keys with their state and versions."""
    keys: list[dict[str, Any]] = invocation.call("kms.list", store=store)
    columns = ["alias", "id", "enabled", "versions", "backend"]
    invocation.answer(keys, lambda: show.table(keys, columns, "No key."))


@kms_key.command("rotate")
@click.argument("key")
@_STORE
@shared
def kms_key_rotate(invocation: Invocation, key: str, store: str) -> None:
    """Give a key a new version; what the old ones encrypted stays readable."""
    _answer(invocation, "kms.rotate", store=store, key=key)


@kms_key.command("disable")
@click.argument("key")
@_STORE
@shared
def kms_key_disable(invocation: Invocation, key: str, store: str) -> None:
    """Let nothing under a key be read or written any more."""
    _answer(invocation, "kms.disable", store=store, key=key)


@kms_key.command("enable")
@click.argument("key")
@_STORE
@shared
def kms_key_enable(invocation: Invocation, key: str, store: str) -> None:
    """Undo disable."""
    _answer(invocation, "kms.enable", store=store, key=key)


def _answer(invocation: Invocation, operation: str, **arguments: str) -> None:
    found = invocation.call(operation, **arguments)
    invocation.answer(found, lambda: show.record(found))
