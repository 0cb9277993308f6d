"""The commands about what expires in a bucket."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import show
from coffre.cli.invocation import Invocation, shared
from coffre.cli.options import IN_STORE


@click.group()
def lifecycle() -> None:
    """What expires in a bucket, and when."""


@lifecycle.command("preview")
@click.argument("bucket")
@IN_STORE
@shared
def lifecycle_preview(invocation: Invocation, bucket: str, store: str | None) -> None:
    """What a bucket's rules will do as it stands: when, by which rule, how many bytes."""
    found: dict[str, Any] = invocation.call("lifecycle.preview", bucket=bucket, store=store)
    columns = ["at_ms", "act", "rule", "to", "number", "bytes", "held"]
    nothing = "Nothing will expire or move."
    invocation.answer(found, lambda: show.table(found["rows"], columns, nothing))


@lifecycle.command("set-days")
@click.argument("bucket")
@click.argument("days", type=click.IntRange(min=0))
@IN_STORE
@shared
def lifecycle_set_days(invocation: Invocation, bucket: str, days: int, store: str | None) -> None:
    """Let all of a bucket expire after DAYS; 0 keeps it for ever. Other rules stay."""
    done = invocation.call("lifecycle.set_days", bucket=bucket, days=days, store=store)
    invocation.answer(done, lambda: show.record(done))
