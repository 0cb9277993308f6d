"""The commands about HTTPS: what certificate serves, make another, what clients must trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from coffre.cli import show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.config import Settings


@click.group()
def tls() -> None:
    """The certificate of HTTPS, and the local authority that makes it."""


@tls.command("show")
@shared
def tls_show(invocation: Invocation) -> None:
    """The certificate that serves: names, issuer, end."""
    found = _facts(invocation.settings())
    invocation.answer(found, lambda: show.record(found))


@tls.command("renew")
@click.option("--ca", "replace", is_flag=True, help="The authority too: clients must trust anew.")
@shared
def tls_renew(invocation: Invocation, replace: bool) -> None:
    """Make another server certificate now; a running node takes it without a restart."""
    from coffre.service import StartRefused
    from coffre.service.layout import DataFolder
    from coffre.service.tls import certify, is_local

    settings = invocation.settings()
    if not is_local(settings):
        raise Complaint(
            f"{settings.tls_certificate} is your own: put another in its place, and a running node"
            " takes it by itself"
        )
    try:
        if DataFolder(Path(settings.data)).state() != "ours":
            raise Unusable(
                f"{settings.data} is not initialized: `coffre init` makes a region there"
            )
        certify(settings, renew=True, replace=replace)
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
    made = _facts(settings)
    invocation.answer(made, lambda: show.record(made))


@tls.command("ca")
@shared
def tls_ca(invocation: Invocation) -> None:
    """Print the local authority's certificate, as clients must be given it."""
    from coffre.service.tls import authority_file, is_local

    settings = invocation.settings()
    if not is_local(settings):
        raise Complaint("the certificate is your own (tls_certificate): its authority is not here")
    path = authority_file(settings)
    try:
        pem = path.read_text()
    except OSError as error:
        raise Complaint(
            f"{path} cannot be read ({error.strerror}): `coffre serve` makes it at its first start"
        ) from error
    invocation.answer({"ca": str(path), "pem": pem}, pem.rstrip)


def _facts(settings: Settings) -> dict[str, Any]:
    from coffre.service import StartRefused
    from coffre.service.tls import facts

    try:
        return facts(settings)
    except StartRefused as refused:
        raise Unusable(str(refused)) from refused
