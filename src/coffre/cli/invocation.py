"""What every command shares: the options `--data`, `--config`, `--json`, and how it answers."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from coffre import config
from coffre.cli import client
from coffre.cli.complaint import Unusable
from coffre.config import Settings


class Invocation:
    """The shared options as given, before and after the command's name."""

    def __init__(self) -> None:
        self.flags: dict[str, object] = {}
        self.config_file: str | None = None
        self.json = False
        self.server = os.environ.get("COFFRE_SERVER", "")
        self.token_file = os.environ.get("COFFRE_TOKEN_FILE", "")
        self.ca_file = os.environ.get("COFFRE_CA_FILE", "")

    def take(
        self,
        data: str | None,
        config_file: str | None,
        json: bool,
        server: str | None = None,
        token_file: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        """Options nearer to the end of the line win."""
        self.server = server or self.server
        self.token_file = token_file or self.token_file
        self.ca_file = ca_file or self.ca_file
        if data is not None:
            self.flags["data"] = data
        self.config_file = config_file or self.config_file
        self.json = self.json or json

    def settings(self, **flags: object) -> Settings:
        """Settings with this command's own flags (None: not given) over everything else."""
        given = {key: value for key, value in flags.items() if value is not None}
        try:
            settings = config.load(self.flags | given, os.environ, self.config_file)
        except config.ConfigError as error:
            raise Unusable(str(error)) from error
        logging.getLogger().setLevel(settings.log_level.upper())
        return settings

    @contextmanager
    def door(self) -> Iterator[client.Door]:
        """The node that this command is about."""
        if self.server:
            if not self.token_file:
                raise Unusable("--server goes with --token-file: a personal API token, in a file")
            from coffre.cli.remote import remote

            with remote(self.server, self.token_file, self.ca_file or None) as elsewhere:
                yield elsewhere
            return
        with client.opened(self.settings()) as door:
            yield door

    def call(self, operation: str, /, **arguments: Any) -> Any:
        """One operation at the node; arguments that are None are left out."""
        given = {key: value for key, value in arguments.items() if value is not None}
        with self.door() as door:
            return door.call(operation, given)

    def answer(self, value: object, shown: Callable[[], str]) -> None:
        """Print `value` as one JSON line with `--json`, else what `shown` makes of it."""
        click.echo(msgspec.json.encode(value).decode() if self.json else shown())


_OPTIONS = (
    click.option("--data", metavar="DIR", help="The node's data folder (COFFRE_DATA; ./data)."),
    click.option("--config", "config_file", metavar="FILE", help="The TOML file (COFFRE_CONFIG)."),
    click.option("--json", is_flag=True, help="Answer with JSON alone."),
    click.option("--server", metavar="URL", help="A console elsewhere (COFFRE_SERVER)."),
    click.option("--token-file", metavar="FILE", help="An API token for it (COFFRE_TOKEN_FILE)."),
    click.option("--ca-file", metavar="FILE", help="Who signs its certificate (COFFRE_CA_FILE)."),
)


def shared(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, and its function the `Invocation` they make."""

    @functools.wraps(function)
    @click.pass_context
    def command(
        context: click.Context,
        /,
        data: str | None,
        config_file: str | None,
        json: bool,
        server: str | None,
        token_file: str | None,
        ca_file: str | None,
        **own: Any,
    ) -> None:
        invocation = context.ensure_object(Invocation)
        invocation.take(data, config_file, json, server, token_file, ca_file)
        function(invocation, **own)

    wrapped: Callable[..., None] = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
